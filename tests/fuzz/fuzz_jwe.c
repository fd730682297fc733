/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JWE: the input as it is, and the input as plaintext, which has to come back.
 */
#include "fuzz.h"

#include "jwe.h"

static const uint8_t key[CR_KEY_LEN], nonce[12];
static char plain[CR_STATE_JSON_MAX], jwe[CR_JWE_MAX + 1];

static void open(cr_span_t text)
{
	char kid[CR_KID_MAX + 1];
	int form = cr_jwe_kid(kid, text);
	int n = cr_jwe_open(plain, sizeof(plain), crypto, key, text);

	CHECK(form <= 0 && form != CR_EINTERNAL && n != CR_EINTERNAL);
	CHECK(n <= (int)sizeof(plain));
	CHECK(form == CR_OK || n < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int n;

	setup();
	open((cr_span_t){(const char *)data, size});
	n = cr_jwe_seal(jwe, sizeof(jwe), crypto, CR_SPAN("k1"), key, nonce,
			(cr_span_t){(const char *)data, size});
	CHECK((n > 0) == (size <= CR_STATE_JSON_MAX));
	if(n < 0)
		return 0;
	CHECK(cr_jwe_open(plain, sizeof(plain), crypto, key,
				  (cr_span_t){jwe, (size_t)n})
			== (int)size);
	CHECK(size == 0 || memcmp(plain, data, size) == 0);
	return 0;
}
