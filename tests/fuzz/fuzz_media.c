/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What rtpengine says of a call: a description of it is one, line by line.
 */
#define _GNU_SOURCE
#include "fuzz.h"
#include "sdp_lines.h"

#include "media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[CR_MEDIA_SDP_MAX];
	json_t *call;
	int len;

	if(cr_json_object(&call, (cr_span_t){(const char *)data, size}) != CR_OK)
		return 0;
	len = cr_media_describe(out, sizeof(out), call, CR_SPAN("a"), CR_SPAN("b"));
	json_decref(call);
	CHECK(len != 0 && len != CR_EINTERNAL && len <= (int)sizeof(out));
	if(len > 0)
		check_lines((cr_span_t){out, (size_t)len});
	return 0;
}
