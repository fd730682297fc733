/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What rtpengine says of a call: a description of it is one, line by line.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include "media.h"

static void check_lines(cr_span_t sdp)
{
	while(sdp.len > 0) {
		const char *nl = memchr(sdp.s, '\n', sdp.len);
		size_t len = (size_t)(nl - sdp.s) + 1;

		CHECK(nl != NULL && len > 3 && nl[-1] == '\r' && sdp.s[1] == '='
				&& memchr(sdp.s, '\r', len) == nl - 1
				&& memchr("vostmca", sdp.s[0], 7) != NULL);
		sdp = (cr_span_t){sdp.s + len, sdp.len - len};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[CR_MEDIA_SDP_MAX];
	cr_span_t json = {(const char *)data, size};
	int len = cr_media_describe(
			out, sizeof(out), json, CR_SPAN("a"), CR_SPAN("b"));

	CHECK(len != 0 && len != CR_EINTERNAL && len <= (int)sizeof(out));
	if(len > 0)
		check_lines((cr_span_t){out, (size_t)len});
	return 0;
}
