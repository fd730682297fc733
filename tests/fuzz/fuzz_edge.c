/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arbitrary messages through both edges and through the resume. No fuzzer makes
 * a genuine map, so the input names them: {v} {c} {t} {a} {b} stand for the maps
 * on Via, Contact and tag, and for the references of caller and callee, of the
 * dialogs O (call o, tag ot) and N (call n, tag nt).
 */
#include "fuzz.h"

#include "map.h"
#include "ref.h"
#include "splice.h"

#define OUT_MAX 60000

static const cr_dialog_id_t n_id = {{"n", 1}, {"nt", 2}};
static const cr_dialog_id_t o_id = {{"o", 1}, {"ot", 2}};

static char boxes[128][CR_BOX_TEXT_MAX];
static size_t box_len[128];
static cr_work_t work;
static cr_env_t env;
static cr_state_t state;

static void make_map(char name, cr_purpose_t purpose,
		const cr_dialog_id_t *here, const cr_dialog_id_t *other)
{
	cr_map_t map = {.flags = purpose == CR_PURPOSE_VIA ? CR_MAP_RESUME : 0,
			.cseq_offset = 1000,
			.exp = NOW + 60,
			.other = *other};
	int len = cr_map_seal(boxes[(int)name], CR_BOX_TEXT_MAX, crypto,
			&ring.keys[0], purpose, here, &map);

	CHECK(len > 0);
	box_len[(int)name] = (size_t)len;
}

static void make_ref(char name, cr_purpose_t purpose)
{
	cr_ref_t ref = {.start = 1, .sub = CR_SPAN("sip:a@b"), .sid = CR_SPAN("s")};
	int len;

	memcpy(ref.hint, ring.keys[0].hint, sizeof(ref.hint));
	len = cr_ref_seal(boxes[(int)name], CR_BOX_TEXT_MAX, crypto, &ring.keys[0],
			purpose, o_id.call_id, &ref);
	CHECK(len > 0);
	box_len[(int)name] = (size_t)len;
}

static void prepare(void)
{
	if(crypto != NULL)
		return;
	setup();
	make_map('v', CR_PURPOSE_VIA, &o_id, &n_id);
	make_map('c', CR_PURPOSE_CONTACT, &o_id, &n_id);
	make_map('t', CR_PURPOSE_TAG, &n_id, &o_id);
	make_ref('a', CR_PURPOSE_CALLER);
	make_ref('b', CR_PURPOSE_CALLEE);
	env = (cr_env_t){.crypto = crypto,
			.ring = &ring,
			.work = &work,
			.now_ms = NOW * 1000,
			.state_ttl_s = 60,
			.map_ttl_s = 60, .order_mark = "mark"};
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

/* The input with {x} replaced. @return its length, 0 when it does not fit */
static size_t expand(char *out, const uint8_t *in, size_t len)
{
	cr_writer_t w = cr_writer(out, OUT_MAX);

	for(size_t i = 0; i < len; i++) {
		int box = i + 2 < len && in[i] == '{' && in[i + 2] == '}'
						&& in[i + 1] < 128
				? in[i + 1]
				: 0;

		if(box != 0 && box_len[box] != 0) {
			cr_put_bytes(&w, boxes[box], box_len[box]);
			i += 2;
		} else {
			cr_put_u8(&w, in[i]);
		}
	}
	return cr_writer_end(&w) == CR_OK ? w.len : 0;
}

/* What the edge has made of a message is a message. */
static void check(const cr_edge_t *edge, const char *out)
{
	static cr_sip_t m;
	int err;

	if(edge->verdict != CR_CHANGED)
		return;
	CHECK(edge->len <= OUT_MAX);
	err = cr_sip_parse(&m, (cr_span_t){out, edge->len});
	CHECK(err == CR_OK || err == CR_ETOOBIG); /* the Route fields are new */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char in[OUT_MAX], out[OUT_MAX];
	cr_edge_t edge;
	cr_span_t text = {in, 0};
	int len;

	prepare();
	text.len = expand(in, data, size);
	edge = cr_edge_in(out, sizeof(out), &env, text);
	check(&edge, out);
	edge = cr_edge_out(out, sizeof(out), &env, text);
	check(&edge, out);
	len = cr_splice_resume(out, sizeof(out), &env, &state, CR_SPAN(""), text);
	CHECK(len != 0 && len <= OUT_MAX);
	if(len > 0) {
		edge = (cr_edge_t){.verdict = CR_CHANGED, .len = (size_t)len};
		check(&edge, out);
	}
	return 0;
}
