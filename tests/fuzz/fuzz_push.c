/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client's 2xx, the INVITE that it got and the INVITE that came in, with a
 * line "==" between them: what they seal is a state of that session.
 */
#include "boxes.h"

#include "push.h"
#include "sealed.h"

static cr_push_t p;

static void check_sealed(int len)
{
	static char mem[CR_STATE_JSON_MAX];
	cr_state_t st;

	CHECK(len == (int)strlen(work.jwe));
	CHECK(cr_sealed_open(&st, mem, &env, CR_SPAN("sip:a@b"), CR_SPAN("s"),
				  (cr_span_t){work.jwe, (size_t)len})
			== CR_OK);
	CHECK(!st.update && cr_span_eq(st.call_id, o_id.call_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_span_t rest = {(const char *)data, size}, reply, sent, received;
	char target[OUT_MAX];
	cr_writer_t w = cr_writer(target, sizeof(target));
	int n;

	setup_edge();
	reply = next(&rest);
	sent = next(&rest);
	received = next(&rest);
	n = cr_push_parse(&p, reply, sent, received);
	CHECK(n <= 0 && n != CR_EINTERNAL);
	if(n == CR_OK) {
		cr_push_target(&w, &p);
		CHECK(cr_writer_end(&w) == CR_OK);
		CHECK(cr_push_address(&p).len <= reply.len);
		n = cr_push_seal(&env, &p);
		CHECK(n != CR_OK && n != CR_EINTERNAL);
		if(n > 0)
			check_sealed(n);
	}
	free((void *)reply.s);
	free((void *)sent.s);
	free((void *)received.s);
	return 0;
}
