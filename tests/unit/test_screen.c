/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which heads all readers understand alike, and which Call-State fields pass the edge.
 */
#include "helper_edge.h"

#include "screen.h"

/* ---- heads -------------------------------------------------------------------- */

#define HEAD(text) cr_screen_head(CR_SPAN(text))

static void a_head_ends_its_lines_in_crlf(void **state)
{
	(void)state;
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nVia: a\r\n b\r\n\r\n"), CR_OK);
	assert_int_equal(HEAD("\r\n\r\nSIP/2.0 200 OK\r\nA: b\r\n\r\n"), CR_OK);
	assert_int_equal(HEAD("OPTIONS sip:x sip/2.0\r\nA: b\nC: d\r\n\r\n"),
			CR_EMALFORMED);
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\rCall-State: c\r\n\r\n"),
			CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\0\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\n\r\n"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\rA: b\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r\r\n\r\n"), CR_EMALFORMED);
}

static void a_head_may_be_cut_off(void **state)
{
	(void)state;
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b"), CR_OK);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: \0b"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0"), CR_OK);
}

static void a_body_is_not_looked_at(void **state)
{
	(void)state;
	assert_int_equal(
			HEAD("INVITE sip:x SIP/2.0\r\nA: b\r\n\r\nv=0\no=\r\0x"), CR_OK);
}

static void what_is_no_sip_is_not_judged(void **state)
{
	(void)state;
	assert_int_equal(HEAD("GET /ws HTTP/1.1\nHost: x\n\n"), CR_OK);
	assert_int_equal(HEAD("\0\0\0\0"), CR_OK);
	assert_int_equal(HEAD("\r\n\r\n"), CR_OK);
	assert_int_equal(HEAD("2.0/SIP\n"), CR_OK);
	assert_int_equal(cr_screen_head((cr_span_t){"", 0}), CR_OK);
}

/* With every byte changed into each of the three. */
static void every_byte_of_a_head(void **state)
{
	static const char *text = resume_invite;
	const char bad[] = {'\r', '\n', '\0'};
	size_t len = strlen(text);

	(void)state;
	for(size_t i = 0; i + 2 < len; i++) {
		for(size_t k = 0; k < sizeof(bad); k++) {
			if(text[i] == bad[k] || i < sizeof("INVITE sip:bob@gw SIP/2.0"))
				continue;
			memcpy(buf[0], text, len);
			buf[0][i] = bad[k];
			assert_int_equal(cr_screen_head((cr_span_t){buf[0], len}),
					CR_EMALFORMED);
		}
	}
}

/* ---- does it concern us ------------------------------------------------------------ */

static void who_is_concerned(void **state)
{
	(void)state;
	assert_false(cr_screen_concerned(
			CR_SPAN("OPTIONS sip:x SIP/2.0\r\nX: Call-State: a\r\n\r\n"
					"Call-State: b")));
	assert_false(cr_screen_concerned((cr_span_t){"", 0}));
	assert_true(cr_screen_concerned(CR_SPAN("x;crm1=")));
	assert_true(cr_screen_concerned(
			CR_SPAN("OPTIONS sip:x SIP/2.0\r\ncALL-sTATE-foo : a\r\n\r\n")));
	assert_true(cr_screen_concerned(
			CR_SPAN("\r\nOPTIONS sip:x SIP/2.0\r\nCall-State:a")));
}

/* ---- fields that come in and go out --------------------------------------------------- */

#define REST                                                                   \
	"Via: SIP/2.0/UDP c;branch=z9hG4bK1\r\n"                                   \
	"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>%s\r\n"                             \
	"Call-ID: x\r\nCSeq: 1 %s\r\n%s\r\n"

/* The value of a field after the edge; empty when it has been taken off. */
static cr_span_t after(
		cr_edge_t (*edge)(char *, size_t, const cr_env_t *, cr_span_t),
		cr_span_t text, cr_hdr_t id)
{
	cr_edge_t r = edge(buf[1], OUT_MAX, &env, text);
	const cr_field_t *f;

	assert_int_not_equal(r.verdict, CR_DROP);
	if(r.verdict == CR_CHANGED)
		text = parsed(buf[1], r.len);
	else
		parsed(text.s, text.len);
	f = cr_sip_field(&m, id);
	return f != NULL ? f->value : CR_SPAN("");
}

static cr_span_t request(const char *method, const char *tag, const char *more)
{
	return text_of(0, "%s sip:x SIP/2.0\r\n" REST, method, tag, method, more);
}

static cr_span_t reply(const char *method, const char *more)
{
	return text_of(0, "SIP/2.0 200 OK\r\n" REST, ";tag=2", method, more);
}

static void what_a_client_may_write(void **state)
{
	const char *s = "Call-State: abc\r\n";
	const char *fp = "Call-State-Fingerprint: sha-256 AA\r\n";

	(void)state;
	assert_span(after(cr_edge_in, request("INVITE", "", s), CR_CALL_STATE), "abc");
	assert_span(after(cr_edge_in, request("INVITE", ";tag=2", s), CR_CALL_STATE), "");
	assert_span(after(cr_edge_in, request("MESSAGE", "", s), CR_CALL_STATE), "");
	assert_span(after(cr_edge_in, request("BYE", ";tag=2", s), CR_CALL_STATE), "");
	assert_span(after(cr_edge_in,
						request("BYE", ";tag=2", "call-state: replaced\r\n"),
						CR_CALL_STATE),
			"replaced");
	assert_span(after(cr_edge_in, reply("INVITE", s), CR_CALL_STATE), "");
	assert_span(after(cr_edge_in, request("REGISTER", "", fp), CR_FINGERPRINT),
			"sha-256 AA");
	assert_span(after(cr_edge_in, request("INVITE", ";tag=2", fp), CR_FINGERPRINT),
			"sha-256 AA");
	assert_span(after(cr_edge_in, request("MESSAGE", "", fp), CR_FINGERPRINT), "");
	assert_span(after(cr_edge_in, reply("INVITE", fp), CR_FINGERPRINT), "");
}

static void what_nobody_may_write(void **state)
{
	static const char *const names[] = {"Call-State-Key", "Call-State-Id",
			"cALL-sTATE-kEY", "Call-State-Whatever", "Call-State-Key "};
	char line[64];

	(void)state;
	for(size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "%s: x\r\n y\r\n", names[i]);
		assert_span(after(cr_edge_in, request("INVITE", "", line), CR_STATE_OTHER), "");
		assert_span(after(cr_edge_in, request("REGISTER", "", line), CR_STATE_OTHER), "");
		assert_span(after(cr_edge_in, reply("REGISTER", line), CR_STATE_OTHER), "");
	}
	assert_span(after(cr_edge_in, request("INVITE", "", "Call-Statement: x\r\n"),
						CR_STATE_OTHER),
			"");
	assert_true(has(parsed(buf[0], strlen(buf[0])), "Call-Statement: x"));
}

static void what_a_gateway_has_written(void **state)
{
	(void)state;
	assert_span(after(cr_edge_out,
						reply("REGISTER", "Call-State-Key: crm1 mark = kid=1\r\n"),
						CR_STATE_OTHER),
			"kid=1");
	assert_span(after(cr_edge_out, request("NOTIFY", ";tag=2",
											 "Call-State: crm1 mark = abc\r\n"),
						CR_CALL_STATE),
			"abc");
	assert_span(after(cr_edge_out, request("INVITE", "",
											 "Call-State-Id: crm1 mark = 0f\r\n"),
						CR_STATE_OTHER),
			"0f");
}

static void what_it_has_not_written(void **state)
{
	static const char *const lines[] = {"Call-State-Key: kid=1\r\n",
			"Call-State-Key: crm1 mork = kid=1\r\n",
			"Call-State-Key: crm1 mark=\r\n", "Call-State-Id: 0f\r\n",
			"Call-State-Fingerprint: sha-256 AA\r\n", "Call-State: abc\r\n"};

	(void)state;
	for(size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		cr_edge_t r = cr_edge_out(
				buf[1], OUT_MAX, &env, reply("REGISTER", lines[i]));

		if(r.verdict == CR_DROP)
			continue; /* it would show a mark */
		assert_int_equal(r.verdict, CR_CHANGED);
		assert_false(has(parsed(buf[1], r.len), "Call-State"));
	}
}

/* More known fields than the core keeps: nothing can be taken off. */
static void too_strange_to_be_taken_apart(void **state)
{
	cr_writer_t w = cr_writer(buf[0], OUT_MAX);

	(void)state;
	cr_put_str(&w, "SIP/2.0 200 OK\r\n");
	for(int i = 0; i <= CR_SIP_FIELDS_MAX; i++)
		cr_put_str(&w, "Via: SIP/2.0/UDP c\r\n");
	cr_put_str(&w, "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
				   "Call-ID: x\r\nCSeq: 1 INVITE\r\nCall-State: abc\r\n\r\n");
	assert_int_equal(
			cr_edge_out(buf[1], OUT_MAX, &env, cr_written(&w)).verdict, CR_DROP);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(a_head_ends_its_lines_in_crlf),
			T(a_head_may_be_cut_off),
			T(a_body_is_not_looked_at),
			T(what_is_no_sip_is_not_judged),
			T(every_byte_of_a_head),
			T(who_is_concerned),
			T(what_a_client_may_write),
			T(what_nobody_may_write),
			T(what_a_gateway_has_written),
			T(what_it_has_not_written),
			T(too_strange_to_be_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
