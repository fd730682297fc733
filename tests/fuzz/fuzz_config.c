/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an operator writes: an issuer, the secret of the TURN server, and realm,
 * server and scope of the challenge, which a script may take from a request. And text of
 * others as the log shows it.
 */
#include "fuzz.h"

#include "challenge.h"
#include "issuer.h"
#include "text.h"
#include "turn.h"

static void try_issuer(cr_span_t text)
{
	static cr_issuers_t set;
	char why[CR_WHY_MAX] = "";
	int err;

	set.n = set.n_keys = 0;
	err = cr_issuers_add(&set, why, text);
	CHECK(err <= 0 && err != CR_EINTERNAL);
	CHECK((err == CR_OK) == (set.n == 1));
	if(err != CR_OK)
		CHECK(why[0] && memchr(why, 0, sizeof(why)));
	else
		CHECK(cr_issuers_add(&set, why, text) == CR_EDUPLICATE);
}

static void try_turn(cr_span_t text)
{
	char why[CR_WHY_MAX] = "";
	cr_turn_secret_t secret = {.len = 0};
	cr_turn_t turn;
	int err = cr_turn_secret_parse(&secret, why, text);

	CHECK(err <= 0 && err != CR_EINTERNAL);
	if(err != CR_OK)
		CHECK(why[0] && memchr(why, 0, sizeof(why)) && secret.len == 0);
	else
		CHECK(!cr_turn_issue(&turn, &secret, CR_SPAN("sip:a@b"), NOW));
	CHECK(!cr_turn_secret_parse(&secret, why,
			CR_SPAN("0123456789abcdef0123456789abcdef0123456789abcdef\n")));
	err = cr_turn_issue(&turn, &secret, text, NOW);
	CHECK(err <= 0 && err != CR_EINTERNAL);
	if(err == CR_OK)
		CHECK(memchr(turn.user, 0, sizeof(turn.user))
				&& memchr(turn.pass, 0, sizeof(turn.pass)));
}

/* One header field, whatever is in it: no line end but the last. */
static void try_challenge(cr_span_t a, cr_span_t b)
{
	const cr_challenge_t all[] = {
			{.realm = a},
			{.realm = a, .server = b},
			{.realm = a, .scope = b},
			{.realm = CR_SPAN("r"), .server = a, .scope = b},
	};
	char out[CR_CHALLENGE_MAX];

	for(size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int n = cr_challenge_write(out, sizeof(out), &all[i]);

		CHECK(n == CR_EMALFORMED || n == CR_ETOOBIG
				|| (n > 2 && n <= CR_CHALLENGE_MAX));
		if(n > 0)
			CHECK(memchr(out, '\r', (size_t)n) == out + n - 2
					&& memchr(out, '\n', (size_t)n) == out + n - 1);
	}
}

/* A line of the log stays one. */
static void try_show(cr_span_t text)
{
	char out[64];

	cr_text_show(out, sizeof(out), text);
	CHECK(memchr(out, 0, sizeof(out)));
	for(const char *p = out; *p != '\0'; p++)
		CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const cr_span_t text = {(const char *)data, size};
	const char *end = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t first = end != NULL ? (size_t)(end - text.s) : size;

	setup();
	try_issuer(text);
	try_turn(text);
	try_show(text);
	try_challenge((cr_span_t){text.s, first},
			end != NULL ? (cr_span_t){end + 1, size - first - 1}
						: (cr_span_t){text.s, 0});
	return 0;
}
