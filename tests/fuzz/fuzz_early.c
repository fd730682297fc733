/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The INVITE of a call that rings, that of its client which is back, and what the far end has
 * said: what the media server gets of them. A zero byte ends each of the first two.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz.h"

#include "early.h"
#include "quiet.h"
#include "sdp.h"

static cr_sip_t first, again, made;
static char out[65536];

/* The next part. */
static cr_span_t take(cr_span_t *rest)
{
	const char *zero = rest->len > 0 ? memchr(rest->s, 0, rest->len) : NULL;
	size_t len = zero != NULL ? (size_t)(zero - rest->s) : rest->len;
	cr_span_t part = {rest->s, len};

	*rest = cr_span_sub(*rest, len + (zero != NULL), rest->len);
	return part;
}

/* It has that description, and the names of the first call. */
static void check(int len, cr_span_t sdp)
{
	CHECK(len > 0 || len == CR_ETOOBIG || len == CR_EMISSING);
	if(len < 0 || cr_sip_parse(&made, (cr_span_t){out, (size_t)len}) != CR_OK)
		return;
	CHECK(cr_span_eq(made.call_id, first.call_id));
	CHECK(cr_span_eq(made.from_tag, first.from_tag));
	CHECK(cr_span_eq(made.body, sdp));
}

/* As many lines, and each of them is what it was, or names no certificate. */
static void check_fresh(int len, cr_span_t sdp)
{
	static const cr_span_t none = CR_SPAN_INIT(
			"a=fingerprint:sha-256 00:00:00:00:00:00:00:00:00:00:"
			"00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
			"00:00:00:00:00");
	cr_span_t body;

	if(len < 0)
		return;
	body = (cr_span_t){memmem(out, (size_t)len, "\r\n\r\n", 4), 0};
	CHECK(body.s != NULL);
	body.len = (size_t)(out + len - body.s);
	body = cr_span_sub(body, 4, body.len);
	while(sdp.len > 0) {
		cr_span_t was = cr_span_trim(cr_sdp_line(&sdp));
		cr_span_t is = body.len > 0 ? cr_span_trim(cr_sdp_line(&body)) : body;

		CHECK(cr_span_eq(is, was) || cr_span_eq(is, none));
	}
	CHECK(body.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_span_t rest = {(const char *)data, size};
	cr_span_t one = take(&rest), two = take(&rest), said = rest, sdp;
	cr_early_t e = {.first = &first, .tag = CR_SPAN("b1"), .again = &again};

	(void)cr_quiet_suits(said, two);
	if(cr_sip_parse(&first, one) != CR_OK || cr_sip_parse(&again, two) != CR_OK)
		return 0;
	sdp = cr_early_sdp(&again);
	(void)cr_quiet_suits(said, sdp);
	check(cr_early_offer(out, sizeof(out), &e, 0), sdp);
	check_fresh(cr_early_offer(out, sizeof(out), &e, 1), sdp);
	check(cr_early_answer(out, sizeof(out), &e, said), said);
	if(cr_early_is_same_dtls(&e))
		CHECK(sdp.len > 0);
	return 0;
}
