/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "turn.h"

#include <openssl/evp.h>

#include "bytes.h"
#include "text.h"

#define HOW_TO_MAKE                                                            \
	"one line in it with the secret that the TURN server has too; make one "   \
	"with: openssl rand -hex 32"

static cr_span_t without_line_end(cr_span_t s)
{
	if(s.len > 0 && s.s[s.len - 1] == '\n')
		s.len--;
	if(s.len > 0 && s.s[s.len - 1] == '\r')
		s.len--;
	return s;
}

int cr_turn_secret_parse(cr_turn_secret_t *secret, char *why, cr_span_t text)
{
	cr_span_t line = without_line_end(text);

	if(line.len > CR_TURN_SECRET_MAX)
		return cr_refuse(why, CR_ETOOBIG,
				"the TURN secret is too long; one line, make it with: "
				"openssl rand -hex 32");
	if(line.len < CR_TURN_SECRET_MIN
			|| !cr_text_is_plain(line, CR_TURN_SECRET_MAX))
		return cr_refuse(why, CR_EMALFORMED,
				"the TURN secret is not one line of 16 or more visible "
				"characters without quotes and backslash; make it with: "
				"openssl rand -hex 32");
	memcpy(secret->text, line.s, line.len);
	secret->len = line.len;
	return CR_OK;
}

int cr_turn_secret_load(cr_turn_secret_t *secret, char *why, const char *path)
{
	cr_span_t text;
	int err = cr_private_file_read(
			&text, why, path, HOW_TO_MAKE, CR_TURN_SECRET_FILE_MAX);

	if(err)
		return err;
	err = cr_turn_secret_parse(secret, why, text);
	cr_private_file_free(text);
	return err;
}

int cr_turn_issue(cr_turn_t *out, const cr_turn_secret_t *secret, cr_span_t sub,
		int64_t exp)
{
	cr_turn_t made;
	cr_writer_t w = cr_writer(made.user, CR_TURN_USER_MAX);
	uint8_t mac[20];

	if(secret->len == 0)
		return CR_EMISSING;
	if(sub.len > CR_SUB_MAX)
		return CR_ETOOBIG;
	if(!cr_text_is_sub(sub) || exp < 0)
		return CR_EMALFORMED;
	cr_put_uint(&w, (uint64_t)exp);
	cr_put_str(&w, ":");
	cr_put_span(&w, sub);
	if(cr_writer_end(&w) != CR_OK)
		return CR_ETOOBIG;
	made.user[w.len] = '\0';
	if(cr_hmac_sha1(mac, secret->text, secret->len, cr_written(&w)) != CR_OK)
		return CR_EINTERNAL;
	/* With padding, unlike base.c: so the TURN server has it. */
	EVP_EncodeBlock((unsigned char *)made.pass, mac, sizeof(mac));
	*out = made;
	cr_wipe(mac, sizeof(mac));
	cr_wipe(&made, sizeof(made));
	return CR_OK;
}
