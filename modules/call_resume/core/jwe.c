/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "jwe.h"

#include "base.h"
#include "bytes.h"
#include "jose.h"
#include "text.h"

/* The four texts of the compact serialization (RFC 7516 section 7.1); the
 * encrypted key, the second of the five, is empty with "dir". */
typedef struct parts
{
	cr_span_t header; /* as base64url: it is the AAD in this form */
	cr_span_t nonce;
	cr_span_t cipher;
	cr_span_t tag;
} parts_t;

static int split(parts_t *out, cr_span_t jwe)
{
	cr_reader_t r = cr_reader(jwe.s, jwe.len);
	cr_span_t no_key;

	if(jwe.len > CR_JWE_MAX)
		return CR_ETOOBIG;
	out->header = cr_get_until(&r, '.');
	no_key = cr_get_until(&r, '.');
	out->nonce = cr_get_until(&r, '.');
	out->cipher = cr_get_until(&r, '.');
	out->tag = cr_get_bytes(&r, r.left);
	if(cr_reader_end(&r) || no_key.len != 0)
		return CR_EMALFORMED;
	/* A dot too many is in the tag, whose length is fixed. */
	if(out->nonce.len != CR_B64_LEN(12) || out->tag.len != CR_B64_LEN(16))
		return CR_EMALFORMED;
	return CR_OK;
}

/* The protected header: what it says, and whether that is our profile. */
static int read_header(cr_jose_t *head, cr_span_t header)
{
	int err = cr_jose_header(head, header);

	if(err)
		return err;
	if(strcmp(head->alg, "dir") != 0 || strcmp(head->enc, "A256GCM") != 0)
		return CR_EUNSUPPORTED;
	return cr_text_is_id(cr_span_str(head->kid), CR_KID_MAX) ? CR_OK
															 : CR_EMALFORMED;
}

int cr_jwe_kid(char kid[CR_KID_MAX + 1], cr_span_t jwe)
{
	cr_reader_t r = cr_reader(jwe.s, jwe.len);
	cr_span_t header = cr_get_until(&r, '.');
	cr_jose_t head;
	int err;

	if(jwe.len > CR_JWE_MAX)
		return CR_ETOOBIG;
	if(r.bad)
		return CR_EMALFORMED;
	err = read_header(&head, header);
	if(!err)
		memcpy(kid, head.kid, CR_KID_MAX + 1);
	return err;
}

static void put_b64(cr_writer_t *w, const void *data, size_t len)
{
	char text[CR_B64_LEN(CR_STATE_JSON_MAX)];
	int n = cr_b64_encode(text, sizeof(text), data, len);

	if(n < 0)
		w->bad = 1;
	else
		cr_put_bytes(w, text, (size_t)n);
}

static void put_header(cr_writer_t *w, cr_span_t kid)
{
	char json[64 + CR_KID_MAX];
	cr_writer_t head = cr_writer(json, sizeof(json));

	cr_put_str(&head, "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"");
	cr_put_span(&head, kid);
	cr_put_str(&head, "\"}");
	if(cr_writer_end(&head))
		w->bad = 1;
	else
		put_b64(w, json, head.len);
}

int cr_jwe_seal(char *out, size_t out_max, cr_crypto_t *c, cr_span_t kid,
		const uint8_t key[CR_KEY_LEN], const uint8_t nonce[12], cr_span_t plain)
{
	uint8_t cipher[CR_STATE_JSON_MAX], tag[16];
	/* One more than the limit: for the zero. */
	cr_writer_t w = cr_writer(
			out, out_max > CR_JWE_MAX + 1 ? CR_JWE_MAX + 1 : out_max);
	int err;

	if(!cr_text_is_id(kid, CR_KID_MAX))
		return CR_EMALFORMED;
	if(plain.len > sizeof(cipher))
		return CR_ETOOBIG;
	put_header(&w, kid);
	if(cr_writer_end(&w))
		return CR_ETOOBIG;
	err = cr_gcm_seal(
			c, cipher, tag, key, nonce, cr_written(&w), plain.s, plain.len);
	if(err)
		goto end;
	cr_put_str(&w, "..");
	put_b64(&w, nonce, 12);
	cr_put_str(&w, ".");
	put_b64(&w, cipher, plain.len);
	cr_put_str(&w, ".");
	put_b64(&w, tag, sizeof(tag));
	cr_put_u8(&w, 0);
	err = cr_writer_end(&w);
end:
	if(err)
		cr_wipe(cipher, plain.len);
	return err ? err : (int)w.len - 1;
}

int cr_jwe_open(char *out, size_t out_max, cr_crypto_t *c,
		const uint8_t key[CR_KEY_LEN], cr_span_t jwe)
{
	parts_t parts;
	cr_jose_t head;
	uint8_t nonce[12], tag[16];
	int len, err = split(&parts, jwe);

	if(!err)
		err = read_header(&head, parts.header);
	if(err)
		return err;
	if(cr_b64_decode(nonce, sizeof(nonce), parts.nonce) != sizeof(nonce)
			|| cr_b64_decode(tag, sizeof(tag), parts.tag) != sizeof(tag))
		return CR_EMALFORMED;
	len = cr_b64_decode((uint8_t *)out, out_max, parts.cipher);
	if(len < 0)
		return len;
	err = cr_gcm_open(
			c, (uint8_t *)out, key, nonce, parts.header, out, (size_t)len, tag);
	return err ? err : len;
}
