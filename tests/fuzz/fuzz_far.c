/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a state keeps of a far end's message, and what is answered in its place: lines of a
 * description, whatever the client offers. A zero byte ends the message, the offer follows.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz.h"
#include "sdp_lines.h"

#include "quiet.h"
#include "sdp.h"

static char mem[CR_FAR_MAX], out[CR_QUIET_SDP_MAX];

static void check_answer(const cr_far_t *far, cr_span_t offer)
{
	cr_state_t st = {.far = *far};
	cr_media_t media[CR_STATE_MEDIA_MAX];
	int n;

	st.n_media = cr_sdp_media(st.media, offer, 0);
	n = cr_quiet_answer(out, &st, offer);
	CHECK(n > 0 || n == CR_EUNSUPPORTED || n == CR_ETOOBIG);
	if(n < 0)
		return;
	check_lines((cr_span_t){out, (size_t)n});
	CHECK(cr_sdp_media(media, (cr_span_t){out, (size_t)n}, 1) == st.n_media);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_span_t text = {(const char *)data, size}, offer = cr_span_end(text);
	const char *zero = size > 0 ? memchr(text.s, 0, size) : NULL;
	cr_far_t far;

	if(zero != NULL) {
		text.len = (size_t)(zero - text.s);
		offer = (cr_span_t){zero + 1, size - text.len - 1};
	}
	for(int is_offer = 0; is_offer < 2; is_offer++) {
		if(cr_far_read(&far, mem, text, is_offer, 0) != CR_OK)
			continue;
		CHECK(cr_far_is_good(&far));
		CHECK(far.sdp.len <= CR_FAR_SDP_MAX && far.offer == is_offer);
		check_answer(&far, offer);
	}
	return 0;
}
