/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages with genuine boxes in them. No fuzzer makes one, so the input names
 * them: {v} {c} {t} {a} {b} stand for the maps on Via, Contact and tag, and for
 * the references of caller and callee, of the dialogs O (call o, tag ot) and N
 * (call n, tag nt).
 */
#ifndef FUZZ_BOXES_H
#define FUZZ_BOXES_H

#include "fuzz.h"

#include "env.h"
#include "map.h"
#include "ref.h"

#define OUT_MAX 60000

static const cr_dialog_id_t n_id = {{"n", 1}, {"nt", 2}};
static const cr_dialog_id_t o_id = {{"o", 1}, {"ot", 2}};

static char boxes[128][CR_BOX_TEXT_MAX];
static size_t box_len[128];
static cr_work_t work;
static cr_env_t env;

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

static void setup_edge(void)
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
			.map_ttl_s = 60,
			.order_mark = "mark"};
}

/**
 * The input with {x} replaced.
 * @return to be freed: exactly as long as the text, so that a read beyond its
 *         end is seen; empty when it is over OUT_MAX
 */
static inline cr_span_t expand(cr_span_t in)
{
	static char text[OUT_MAX];
	cr_writer_t w = cr_writer(text, sizeof(text));
	size_t len;
	char *copy;

	for(size_t i = 0; i < in.len; i++) {
		int box = i + 2 < in.len && in.s[i] == '{' && in.s[i + 2] == '}'
						&& in.s[i + 1] > 0
				? in.s[i + 1]
				: 0;

		if(box != 0 && box_len[box] != 0) {
			cr_put_bytes(&w, boxes[box], box_len[box]);
			i += 2;
		} else {
			cr_put_u8(&w, (uint8_t)in.s[i]);
		}
	}
	len = cr_writer_end(&w) == CR_OK ? w.len : 0;
	copy = malloc(len);
	CHECK(copy);
	memcpy(copy, text, len);
	return (cr_span_t){copy, len};
}

/* The text in front of the next line "==". */
static inline cr_span_t next(cr_span_t *rest)
{
	static const char between[] = "\n==\n";
	cr_span_t out = *rest;

	for(size_t i = 0; i + 4 <= rest->len; i++) {
		if(memcmp(rest->s + i, between, 4) != 0)
			continue;
		out.len = i + 1;
		*rest = cr_span_sub(*rest, i + 4, rest->len);
		return expand(out);
	}
	*rest = (cr_span_t){rest->s, 0};
	return expand(out);
}

#endif
