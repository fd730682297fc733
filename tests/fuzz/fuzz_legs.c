/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What rtpengine says of a call: times, and labels that may be anybody's.
 */
#include "boxes.h"

#include "jose.h"
#include "legs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t mem[CR_BOX_PLAIN_MAX];
	cr_span_t in;
	cr_label_t label;
	json_t *answer;
	int64_t last = 0;
	int err;

	setup_edge();
	in = expand((cr_span_t){(const char *)data, size});
	err = cr_json_object(&answer, in);
	free((void *)in.s);
	if(err != CR_OK)
		return 0;
	err = cr_legs_last(&last, answer, CR_SPAN("a"));
	CHECK(err == CR_OK || err == CR_EMISSING || err == CR_EUNSUPPORTED);
	CHECK(err != CR_OK || last > 0);
	CHECK(err != CR_OK || last <= cr_legs_newest(answer));
	err = cr_legs_label(&label, mem, &env, answer, o_id.call_id);
	CHECK(err == CR_OK || err == CR_EMISSING);
	json_decref(answer);
	return 0;
}
