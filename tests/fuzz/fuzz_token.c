/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Token: the input once as it is, and once as the header and the claims of a
 * well signed token, since no mutation ever finds a MAC. The claims begin
 * behind the first line feed.
 */
#include "fuzz.h"

#include "base.h"
#include "bytes.h"
#include "text.h"
#include "token.h"

static char jwt[3 * 8192 + 64];

static size_t put(size_t n, const void *data, size_t len)
{
	int more = cr_b64_encode(&jwt[n], sizeof(jwt) - n, data, len);

	CHECK(more >= 0);
	return n + (size_t)more;
}

static size_t sign(cr_span_t header, cr_span_t claims)
{
	uint8_t mac[32];
	cr_span_t part = {jwt, 0};
	size_t n = put(0, header.s, header.len);

	jwt[n++] = '.';
	n = put(n, claims.s, claims.len);
	part.len = n;
	CHECK(!cr_hmac(crypto, mac, ring.keys[0].token, 32, &part, 1));
	jwt[n++] = '.';
	return put(n, mac, sizeof(mac));
}

static void verify(cr_span_t text)
{
	cr_token_t t;
	int err = cr_token_verify(&t, crypto, &ring, text, NOW, 5);

	CHECK(err <= 0 && err != CR_EINTERNAL);
	if(err)
		return;
	CHECK(cr_text_is_sub(cr_span_str(t.sub)));
	CHECK(cr_text_is_id(cr_span_str(t.sid), CR_SID_MAX));
	CHECK(t.exp > NOW - 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_reader_t r = cr_reader(data, size);
	cr_span_t header;

	setup();
	verify((cr_span_t){(const char *)data, size});
	header = cr_get_until(&r, '\n');
	if(r.bad || size > 8192)
		return 0;
	verify((cr_span_t){jwt, sign(header, cr_get_bytes(&r, r.left))});
	return 0;
}
