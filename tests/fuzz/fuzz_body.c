/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bodies behind a line that is their Content-Type. What a part is taken for is in the
 * body, and a line m= is never in what is said to hold no description.
 */
#include "fuzz.h"

#include "body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const cr_span_t all = {(const char *)data, size};
	const char *nl = size > 0 ? memchr(all.s, '\n', size) : NULL;
	size_t len = nl != NULL ? (size_t)(nl - all.s) : size;
	cr_span_t body = cr_span_sub(all, len + 1, size);
	cr_span_t sdp = {NULL, 0}, other;
	cr_body_t kind = cr_body_read(&sdp, cr_span_sub(all, 0, len), body);
	int line = 0;

	for(size_t i = 0; i + 1 < body.len; i++)
		line |= (i == 0 || body.s[i - 1] == '\n')
				&& memcmp(body.s + i, "m=", 2) == 0;
	switch(kind) {
		case CR_BODY_NONE:
			CHECK(!line);
			break;
		case CR_BODY_PART:
			CHECK(sdp.len > 0 && sdp.s > body.s
					&& sdp.s + sdp.len < body.s + body.len);
			CHECK(cr_body_read(&other, CR_SPAN("text/plain"), body)
					== CR_BODY_HIDDEN);
			break;
		case CR_BODY_SDP:
			CHECK(sdp.s == body.s && sdp.len == body.len);
			break;
		case CR_BODY_HIDDEN:
			CHECK(cr_body_read(&other, CR_SPAN("text/plain"), body)
					== CR_BODY_HIDDEN);
			CHECK(sdp.s == NULL);
			break;
	}
	return 0;
}
