/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arbitrary messages through both edges and through the resume.
 */
#include "boxes.h"

#include "edge.h"
#include "splice.h"

static char out[OUT_MAX];
static cr_state_t state;

static void prepare(void)
{
	setup_edge();
	state = (cr_state_t){.call_id = o_id.call_id,
			.local_tag = o_id.tag,
			.local_uri = CR_SPAN("sip:a@b"),
			.remote_uri = CR_SPAN("sip:c@d"),
			.remote_tag = CR_SPAN("rt"),
			.target = CR_SPAN("sip:c@e"),
			.routes = {CR_SPAN("sip:gw;lr")},
			.n_routes = 1,
			.cseq = 7,
			.iat = NOW * 1000};
}

/* What has been made of a message is a message. */
static void check(int changed, size_t len)
{
	static cr_sip_t m;
	int err;

	if(!changed)
		return;
	CHECK(len <= OUT_MAX);
	err = cr_sip_parse(&m, (cr_span_t){out, len});
	CHECK(err == CR_OK || err == CR_ETOOBIG); /* the Route fields are new */
}

/* A map that does not open never gets through to a client. */
static void check_edge(cr_edge_t edge)
{
	CHECK(edge.verdict == CR_KEEP || edge.verdict == CR_CHANGED
			|| edge.verdict == CR_DROP);
	CHECK(!edge.spliced || edge.verdict == CR_CHANGED);
	CHECK(!edge.sealed || edge.verdict == CR_CHANGED);
	CHECK(edge.verdict != CR_DROP || edge.refused < 0 || edge.failed < 0
			|| edge.unsealed < 0 || edge.quiet);
	CHECK(edge.len <= OUT_MAX);
	/* What follows its names is of whoever knows the mark. */
	check(edge.verdict == CR_CHANGED && !edge.quiet, edge.len);
}

/* Our own orders never leave, whatever is around them. */
static void check_orders(cr_edge_t edge, cr_span_t text)
{
	static cr_sip_t m;
	cr_span_t sent
			= edge.verdict == CR_CHANGED ? (cr_span_t){out, edge.len} : text;

	if(edge.verdict == CR_DROP || edge.quiet || cr_sip_parse(&m, sent) != CR_OK)
		return;
	for(int i = 0; i < m.n_fields; i++) {
		CHECK(m.fields[i].id != CR_CALL_STATE
				|| !cr_span_eq(cr_span_sub(m.fields[i].value, 0, 10),
						CR_SPAN("crm1 mark ")));
		/* Only what had a mark in front of it, or was sealed by us. */
		CHECK(m.fields[i].id < CR_CALL_STATE || edge.verdict == CR_CHANGED);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_edge_t edge;
	cr_span_t text;
	int len;

	prepare();
	text = expand((cr_span_t){(const char *)data, size});
	check_edge(cr_edge_in(
			out, sizeof(out), &env, text, CR_SPAN("sip:192.0.2.1:5060")));
	for(env.session_uuids = 0; env.session_uuids < 2; env.session_uuids++) {
		edge = cr_edge_out(out, sizeof(out), &env, text);
		check_edge(edge);
		check_orders(edge, text);
	}
	len = cr_splice_resume(out, sizeof(out), &env, &state, CR_SPAN(""), text);
	CHECK(len != 0 && len != CR_EINTERNAL);
	check(len > 0, (size_t)len);
	free((void *)text.s);
	return 0;
}
