/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Session descriptions: what is read stands in them, both ways of looking give
 * the same media.
 */
#include "fuzz.h"

#include "sdp.h"

static void check(const cr_media_t *media, cr_span_t sdp)
{
	static const char *const directions[]
			= {"sendrecv", "sendonly", "recvonly", "inactive"};
	int known = 0;

	CHECK(media->kind.len == 0
			|| (media->kind.s >= sdp.s
					&& media->kind.s + media->kind.len <= sdp.s + sdp.len));
	for(size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++)
		known |= cr_span_eq(media->direction, cr_span_str(directions[i]));
	CHECK(known);
}

static int is(cr_span_t direction, const char *word)
{
	return cr_span_eq(direction, cr_span_str(word));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const cr_span_t sdp = {(const char *)data, size};
	cr_media_t here[CR_STATE_MEDIA_MAX], there[CR_STATE_MEDIA_MAX];
	const cr_net_t all = {.bits = 0};
	static cr_sdp_edits_t edits;
	int n = cr_sdp_media(here, sdp, 0);

	CHECK(n >= 0 && n <= CR_STATE_MEDIA_MAX);
	if(cr_sdp_check(&edits, sdp, &(cr_sdp_denied_t){.net = &all, .n = 1})
			== CR_OK)
		for(int i = 0; i < edits.n; i++)
			CHECK(edits.line[i].s >= sdp.s
					&& edits.line[i].s + edits.line[i].len <= sdp.s + sdp.len);
	CHECK(cr_sdp_media(there, sdp, 1) == n);
	for(int i = 0; i < n; i++) {
		check(&here[i], sdp);
		check(&there[i], sdp);
		CHECK(cr_span_eq(here[i].kind, there[i].kind));
		CHECK(is(here[i].direction, "inactive")
				== is(there[i].direction, "inactive"));
	}
	return 0;
}
