/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Call state: what decodes has to encode, and to decode to the same again, and
 * holds nothing that would end a header field. Two states, with a line feed
 * between them, are merged.
 */
#include "fuzz.h"

#include "bytes.h"
#include "state.h"

static char mem[2][CR_STATE_JSON_MAX];

static int decode(cr_state_t *st, int i, cr_span_t json)
{
	int err = cr_state_decode(st, mem[i], sizeof(mem[i]), json);

	CHECK(err <= 0 && err != CR_EINTERNAL);
	return err;
}

static void check_visible(cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++)
		CHECK((unsigned char)s.s[i] > ' ' && s.s[i] != 0x7f);
}

static void check_string(cr_span_t s)
{
	check_visible(s);
	for(size_t i = 0; i < s.len; i++)
		CHECK(s.s[i] != '<' && s.s[i] != '>');
}

static void check_round_trip(const cr_state_t *st)
{
	static char a[CR_STATE_JSON_MAX], b[CR_STATE_JSON_MAX];
	static char again[CR_STATE_JSON_MAX];
	cr_state_t back;
	int n = cr_state_encode(a, sizeof(a), st);

	/* Shortened escapes can make the input longer, never the output. */
	CHECK(n > 0);
	CHECK(!cr_state_decode(
			&back, again, sizeof(again), (cr_span_t){a, (size_t)n}));
	CHECK(cr_state_encode(b, sizeof(b), &back) == n);
	CHECK(memcmp(a, b, (size_t)n) == 0);
}

/* A blank in front makes it none of our own writing: the JSON parser says the same. */
static void check_parser_agrees(int err, const cr_state_t *st, cr_span_t json)
{
	static char other[CR_STATE_JSON_MAX], a[CR_STATE_JSON_MAX],
			b[CR_STATE_JSON_MAX];
	cr_state_t same;
	int n;

	if(json.len + 1 > sizeof(other))
		return;
	other[0] = ' ';
	if(json.len > 0)
		memcpy(other + 1, json.s, json.len);
	CHECK(decode(&same, 1, (cr_span_t){other, json.len + 1}) == err);
	if(err)
		return;
	n = cr_state_encode(a, sizeof(a), st);
	CHECK(n > 0 && cr_state_encode(b, sizeof(b), &same) == n);
	CHECK(memcmp(a, b, (size_t)n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_reader_t r = cr_reader(data, size);
	cr_state_t st, up;
	cr_span_t first;
	int err;

	setup();
	first = cr_get_until(&r, '\n');
	if(r.bad)
		first = (cr_span_t){(const char *)data, size};
	err = decode(&st, 0, first);
	check_parser_agrees(err, &st, first);
	if(err)
		return 0;
	/* A Call-ID may have brackets (RFC 3261 section 25.1, word). */
	check_visible(st.call_id);
	check_string(st.target);
	check_string(st.local_uri);
	check_string(st.remote_tag);
	for(int i = 0; i < st.n_routes; i++)
		check_string(st.routes[i]);
	check_round_trip(&st);
	if(!r.bad && !decode(&up, 1, cr_get_bytes(&r, r.left))
			&& !cr_state_merge(&st, &up))
		(void)!cr_state_encode(mem[1], 0, &st);
	return 0;
}
