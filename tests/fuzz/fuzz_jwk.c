/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files with public keys: any text gives keys that OpenSSL takes, or a reason.
 */
#include "fuzz.h"

#include <openssl/err.h>

#include "jwk.h"
#include "text.h"

#define KEYS 4

static void check_key(const cr_jwk_t *key)
{
	static const uint8_t zero[CR_SIGNATURE_LEN];
	cr_verifier_t *v = cr_verifier_new(key->alg, key->point);

	CHECK(key->alg == CR_ALG_EDDSA || key->alg == CR_ALG_ES256);
	CHECK(memchr(key->kid, 0, sizeof(key->kid)));
	CHECK(!key->kid[0]
			|| cr_text_is_plain(cr_span_str(key->kid), CR_JOSE_KID_MAX));
	CHECK(v);
	/* Ed25519 has points of small order, for which anything may verify. */
	if(key->alg == CR_ALG_ES256)
		CHECK(cr_verifier_check(v, CR_SPAN("x"), zero) == CR_EFORGED);
	cr_verifier_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CR_WHY_MAX] = "";
	cr_jwk_t keys[KEYS];
	int n;

	setup();
	n = cr_jwk_parse(
			keys, KEYS, why, crypto, (cr_span_t){(const char *)data, size});
	CHECK(n != 0 && n <= KEYS && n != CR_EINTERNAL);
	CHECK(ERR_peek_error() == 0);
	if(n < 0)
		CHECK(why[0] && memchr(why, 0, sizeof(why)));
	for(int i = 0; i < n; i++) {
		check_key(&keys[i]);
		CHECK(n == 1 || keys[i].kid[0]);
	}
	return 0;
}
