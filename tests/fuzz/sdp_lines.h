/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A session description that we write has lines of the kinds that it may have (RFC 8866
 * section 5), each with one end.
 */
#ifndef SDP_LINES_H
#define SDP_LINES_H

#include <string.h>

#include "bytes.h"
#include "fuzz.h"

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

#endif
