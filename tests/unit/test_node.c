/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What nodes send each other.
 */
#include "helper_edge.h"

#include "node.h"

#define SKEW 60 /* s */

static const char request[] = "INFO sip:a@b SIP/2.0\r\n"
							  "Via: SIP/2.0/UDP c;branch=z9hG4bK1\r\n"
							  "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
							  "Call-ID: x\r\n%sCSeq: 1 INFO\r\n"
							  "Content-Length: 4\r\n\r\nbody";

static cr_node_note_t note;

static cr_span_t plain(int to, const char *field)
{
	return text_of(to, request, field);
}

/* Signed into buf[1]. */
static cr_span_t signed_by(const cr_ring_t *by, cr_span_t text)
{
	const cr_ring_t *own = env.ring;
	int len;

	env.ring = by;
	len = cr_node_sign(buf[1], OUT_MAX - 1, &env, text, 7);
	env.ring = own;
	assert_true(len > 0);
	buf[1][len] = '\0';
	return (cr_span_t){buf[1], (size_t)len};
}

static int open_text(cr_span_t text)
{
	return cr_node_open(buf[2], OUT_MAX, &note, &env, text, SKEW);
}

static void comes_out_as_it_was(void **state)
{
	cr_span_t text = plain(0, "");
	int len = open_text(signed_by(&ring, text));

	(void)state;
	assert_int_equal(len, (int)text.len);
	assert_memory_equal(buf[2], text.s, text.len);
	assert_int_equal(note.node, 7);
	assert_int_equal(note.signed_s, NOW);
	assert_string_equal(note.kid, "k1");
	assert_string_equal(note.from, "");
	assert_int_equal(note.ref_len, 0);
}

static void says_what_it_passes_on(void **state)
{
	const cr_node_note_t what = {.node = 7,
			.from = "trunk",
			.proto = "udp",
			.resumed = 1,
			.ref = "abc",
			.ref_len = 3};
	char mem[256];
	cr_writer_t w = cr_writer(mem, sizeof(mem) - 3);
	cr_span_t text;

	(void)state;
	cr_put_str(&w, "Call-State-Node: ");
	cr_node_put(&w, &what);
	mem[w.len] = '\0';
	strcat(mem, "\r\n");
	text = plain(0, mem);
	assert_true(open_text(signed_by(&ring, text)) > 0);
	assert_string_equal(note.from, "trunk");
	assert_string_equal(note.proto, "udp");
	assert_int_equal(note.resumed, 1);
	assert_text(note.ref, (int)note.ref_len, "abc");
	assert_false(has((cr_span_t){buf[2], strlen(buf[2])}, "Call-State-Node"));
}

/* The fields of a gateway are as good as our own, and only in what is signed. */
static void fields_are_marked(void **state)
{
	cr_span_t text = plain(0, "Call-State: a.b\r\nCall-State-Id: c\r\n");
	int len = open_text(signed_by(&ring, text));

	(void)state;
	assert_true(len > 0);
	buf[2][len] = '\0';
	assert_true(has((cr_span_t){buf[2], (size_t)len},
			"\r\nCall-State: crm1 mark = a.b\r\nCall-State-Id: crm1 mark = "
			"c\r\n"));
	/* It passes the way in, and goes out as it was. */
	pass(cr_edge_out, 0, (cr_span_t){buf[2], (size_t)len});
	assert_true(has(m.text, "\r\nCall-State: a.b\r\n"));
}

/* Each byte is of what is signed. */
static void any_change_is_refused(void **state)
{
	static char good[OUT_MAX];
	cr_span_t text = signed_by(&ring, plain(0, ""));

	(void)state;
	memcpy(good, text.s, text.len);
	for(size_t i = 0; i < text.len; i++) {
		for(int bit = 0; bit < 8; bit++) {
			good[i] ^= (char)(1 << bit);
			assert_true(open_text((cr_span_t){good, text.len}) < 0);
			good[i] ^= (char)(1 << bit);
		}
	}
	for(size_t len = 0; len < text.len; len++)
		assert_true(open_text((cr_span_t){good, len}) < 0);
	assert_true(open_text((cr_span_t){good, text.len}) > 0);
}

static void who_is_no_node(void **state)
{
	cr_ring_t other = ring;

	(void)state;
	assert_int_equal(open_text(plain(0, "")), CR_EMISSING);
	assert_int_equal(
			open_text(plain(0, "Call-State-Node: 7\r\n")), CR_EMALFORMED);
	assert_int_equal(
			open_text(plain(0, "Call-State-Nodes: 7\r\n")), CR_EMISSING);
	assert_int_equal(
			open_text(plain(0, "Call-State-Node: 7\r\nCall-State-Node: 7\r\n")),
			CR_EDUPLICATE);
	assert_int_equal(open_text(signed_by(&stranger, plain(0, ""))), CR_EFORGED);
	memset(other.keys[0].hint, 0xee, sizeof(other.keys[0].hint));
	assert_int_equal(open_text(signed_by(&other, plain(0, ""))), CR_EKEY);
	assert_int_equal(
			cr_node_sign(buf[1], OUT_MAX, &env,
					plain(0, "Call-State-Node: 7\r\nCall-State-Node: 7\r\n"),
					7),
			CR_EDUPLICATE);
	assert_int_equal(
			cr_node_sign(buf[1], 64, &env, plain(0, ""), 7), CR_ETOOBIG);
	assert_int_equal(cr_node_sign(buf[1], OUT_MAX, &env, CR_SPAN("x"), 7),
			CR_EMALFORMED);
}

static void clocks(void **state)
{
	static const struct
	{
		int later_s, err;
	} at[] = {{SKEW, 0}, {-SKEW, 0}, {SKEW + 1, CR_EEXPIRED},
			{-SKEW - 1, CR_ENOTYET}};

	(void)state;
	for(size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		cr_span_t text = signed_by(&ring, plain(0, ""));
		int len;

		env.now_ms += 1000 * at[i].later_s;
		len = open_text(text);
		env.now_ms = NOW * 1000;
		if(at[i].err != 0)
			assert_int_equal(len, at[i].err);
		else
			assert_true(len > 0);
		/* Who it is can be told. */
		assert_int_equal(note.node, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(comes_out_as_it_was),
			cmocka_unit_test(says_what_it_passes_on),
			cmocka_unit_test(fields_are_marked),
			cmocka_unit_test(any_change_is_refused),
			cmocka_unit_test(who_is_no_node),
			cmocka_unit_test(clocks),
	};

	return cmocka_run_group_tests(tests, edge_setup, edge_teardown);
}
