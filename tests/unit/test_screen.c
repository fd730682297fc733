/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What concerns us, what can be read and shown, and which Call-State fields pass the edge.
 */
#include "helper_edge.h"

#include "screen.h"

/* ---- who is concerned ------------------------------------------------------------ */

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

/* In memory that ends with the text, which is looked at in blocks. */
static void wherever_it_stands(void **state)
{
	static const char *const marks[] = {"crm1", "\nCall-State", "\ncall-sTATE"};

	(void)state;
	for(size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++) {
		size_t len = strlen(marks[k]);

		for(size_t n = len + 1; n < 200; n++) {
			char *text = malloc(n);

			for(size_t at = 1; at + len <= n; at++) {
				memset(text, 'x', n);
				memcpy(text + at, marks[k], len);
				assert_true(cr_screen_concerned((cr_span_t){text, n}));
			}
			free(text);
		}
	}
}

static void what_looks_like_it(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text));
	for(size_t i = 0; i + 6 < sizeof(text); i += 6)
		memcpy(text + i, "m3-qm1", 6);
	assert_false(cr_screen_concerned((cr_span_t){text, sizeof(text)}));
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
	const char *sid = "Call-State-Session: b-1\r\n";

	(void)state;
	assert_span(after(edge_in, request("INVITE", "", s), CR_CALL_STATE), "abc");
	assert_span(
			after(edge_in, request("INVITE", ";tag=2", s), CR_CALL_STATE), "");
	assert_span(after(edge_in, request("MESSAGE", "", s), CR_CALL_STATE), "");
	assert_span(after(edge_in, request("BYE", ";tag=2", s), CR_CALL_STATE), "");
	assert_span(
			after(edge_in, request("BYE", ";tag=2", "call-state: replaced\r\n"),
					CR_CALL_STATE),
			"replaced");
	assert_span(after(edge_in,
						request("OPTIONS", ";tag=2", "Call-State: leaving\r\n"),
						CR_CALL_STATE),
			"leaving");
	assert_span(
			after(edge_in, request("OPTIONS", "", "Call-State: leaving\r\n"),
					CR_CALL_STATE),
			"");
	assert_span(
			after(edge_in, request("OPTIONS", ";tag=2", s), CR_CALL_STATE), "");
	assert_span(
			after(edge_in, request("BYE", ";tag=2", "Call-State: leaving\r\n"),
					CR_CALL_STATE),
			"");
	assert_span(after(edge_in, reply("INVITE", s), CR_CALL_STATE), "");
	assert_span(after(edge_in, request("REGISTER", "", fp), CR_FINGERPRINT),
			"sha-256 AA");
	assert_span(after(edge_in, request("INVITE", ";tag=2", fp), CR_FINGERPRINT),
			"sha-256 AA");
	assert_span(after(edge_in, request("MESSAGE", "", fp), CR_FINGERPRINT), "");
	assert_span(after(edge_in, reply("INVITE", fp), CR_FINGERPRINT), "");
	assert_span(
			after(edge_in, request("REGISTER", "", sid), CR_SESSION), "b-1");
	assert_span(after(edge_in, request("INVITE", "", sid), CR_SESSION), "b-1");
	assert_span(after(edge_in, request("BYE", ";tag=2", sid), CR_SESSION), "");
	assert_span(after(edge_in, reply("INVITE", sid), CR_SESSION), "");
}

static void assert_off(cr_span_t text, const char *line)
{
	assert_span(after(edge_in, text, CR_STATE_OTHER), "");
	assert_false(has(m.text, line));
}

static void what_nobody_may_write(void **state)
{
	static const char *const names[] = {"Call-State-Key", "Call-State-Id",
			"cALL-sTATE-kEY", "Call-State-Whatever", "Call-State-Key ",
			"Call_State", "call_state_key", "Call-State_Id", "Call_State-Key"};
	char line[64];

	(void)state;
	for(size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "%s: x\r\n y\r\n", names[i]);
		assert_off(request("INVITE", "", line), line);
		assert_off(request("REGISTER", "", line), line);
		assert_off(reply("REGISTER", line), line);
	}
	assert_span(after(edge_in, request("INVITE", "", "Call-Statement: x\r\n"),
						CR_STATE_OTHER),
			"");
	assert_true(has(parsed(buf[0], strlen(buf[0])), "Call-Statement: x"));
}

static void what_a_gateway_has_written(void **state)
{
	(void)state;
	assert_span(
			after(cr_edge_out,
					reply("REGISTER", "Call-State-Key: crm1 mark = kid=1\r\n"),
					CR_STATE_OTHER),
			"kid=1");
	assert_span(after(cr_edge_out,
						request("NOTIFY", ";tag=2",
								"Call-State: crm1 mark = abc\r\n"),
						CR_CALL_STATE),
			"abc");
	assert_span(
			after(cr_edge_out,
					request("INVITE", "", "Call-State-Id: crm1 mark = 0f\r\n"),
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

static void a_reply_without_a_via_is_no_way_around(void **state)
{
	cr_edge_t r = cr_edge_out(buf[1], OUT_MAX, &env,
			CR_SPAN("SIP/2.0 200 OK\r\nVia:\r\nFrom: <sip:a@b>;tag=1\r\n"
					"To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
					"Call-State: abc\r\n\r\n"));

	(void)state;
	assert_int_equal(r.verdict, CR_CHANGED);
	assert_false(has(parsed(buf[1], r.len), "Call-State"));
}

/* More known fields than the core keeps: nothing can be taken off. */
static void too_strange_to_be_taken_apart(void **state)
{
	cr_writer_t w = cr_writer(buf[0], OUT_MAX);

	(void)state;
	cr_put_str(&w, "SIP/2.0 200 OK\r\n");
	for(int i = 0; i <= CR_SIP_FIELDS_MAX; i++)
		cr_put_str(&w, "Via: SIP/2.0/UDP c\r\n");
	cr_put_str(&w,
			"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
			"Call-ID: x\r\nCSeq: 1 INVITE\r\nCall-State: abc\r\n\r\n");
	assert_int_equal(cr_edge_out(buf[1], OUT_MAX, &env, cr_written(&w)).verdict,
			CR_DROP);
}

/* ---- what can be shown ------------------------------------------------------------------- */

static int shows(const char *call_id, const char *from, const char *more)
{
	text_of(0,
			"OPTIONS sip:x SIP/2.0\r\nVia: v\r\nFrom: %s\r\nTo: <sip:c@d>\r\n"
			"Call-ID: %s\r\nCSeq: 1 OPTIONS\r\n%s\r\nbody\x1b",
			from, call_id, more);
	parsed(buf[0], strlen(buf[0]));
	return cr_screen_shows(&m);
}

#define FROM "<sip:a@b>;tag=1"

static void what_can_be_shown(void **state)
{
	static const char *const from[]
			= {FROM, "sip:a@b;tag=1", "\"A \\\" B\" <sip:a@b> ; tag = 1",
					"A B<sip:a@b>\r\n ;tag=\"x y\"", "<sip:[::1]:5060>",
					"\"\xd0\xb0\"<sip:a@b>;x", "<tel:+1>;tag=1", "sip:b"};

	(void)state;
	for(size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		assert_true(shows("a@b<c>", from[i], "Contact: <sip:x>\r\n"));
	assert_true(shows("x", FROM, "Subject: a\tb \xe2\x82\xac\r\n"));
	assert_true(shows("x", FROM, "Contact: \"A\"\r\n <sip:x>\r\n"));
}

static void what_cannot(void **state)
{
	static const char *const from[] = {"\"A <sip:a@b>", "<sip:a@b>;tag=1 x",
			"<sip:a@b", "<>", "a b", "<sip:a@b>;", "<sip:a@b>;=1",
			"<sip:a@b>;tag=", "<sip:a@b>;tag=\"x", "\"a\" \"b\" <sip:a@b>",
			"\"a\r\n b\" <sip:a@b>", "<sip:a b>", "\"a\\", ";tag=1"};
	static const char *const more[] = {"X: \x1b[2J\r\n", "X: \x7f\r\n",
			"X: \xc2\x9b\r\n", "X: \xe2\x80\xa8\r\n", "X: \xe2\x81\xa9\r\n",
			"X: \x01\r\n", "Contact: a\r\n ERROR: b <sip:x> <\r\n"};
	char name[CR_SCREEN_NAME_MAX + 32];

	(void)state;
	for(size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		assert_false(shows("x", from[i], ""));
	for(size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		assert_false(shows("x", FROM, more[i]));
	assert_false(shows("a b", FROM, ""));
	assert_false(shows("a\r\n ERROR: b", FROM, ""));
	assert_false(shows("\xc3\xa9", FROM, ""));
	snprintf(name, sizeof(name), "<sip:a@%0*d>;tag=1", CR_SCREEN_HOST_MAX, 1);
	assert_true(shows("x", name, ""));
	snprintf(name, sizeof(name), "<sip:%0*d>;tag=1", CR_SCREEN_HOST_MAX + 1, 1);
	assert_false(shows("x", name, ""));
	snprintf(name, sizeof(name), "<sip:%0*d@b>", CR_SCREEN_NAME_MAX - 8, 1);
	assert_true(shows("x", name, ""));
	snprintf(name, sizeof(name), "<sip:%0*d@b>", CR_SCREEN_NAME_MAX - 7, 1);
	assert_false(shows("x", name, ""));
}

/* ---- what can be read --------------------------------------------------------------------- */

static int reads(const char *uri, const char *via, const char *more)
{
	text_of(0,
			"OPTIONS %s SIP/2.0\r\nVia: %s\r\nFrom: <sip:a@b>;tag=1\r\nTo: "
			"<sip:c@d>\r\n"
			"Call-ID: x\r\nCSeq: 1 OPTIONS\r\n%s\r\nbody",
			uri, via, more);
	parsed(buf[0], strlen(buf[0]));
	return cr_screen_reads(&m);
}

#define VIA "SIP/2.0/UDP h;branch=z9hG4bK1"

static void what_reads_well(void **state)
{
	static const char *const uris[] = {"sip:x",
			"sips:a:b@[::1]:5061;transport=tcp?X=y",
			"sip:a@[::1];alias=[::1]~5~1", "tel:+1-2;p=q", "urn:service:sos"};
	static const char *const vias[]
			= {VIA, "SIP / 2.0 / TCP  h : 5060 ; rport ; received=::1",
					"SIP/2.0/WS [::1]:80;x=\"y\"",
					VIA ",\r\n SIP/2.0/TLS a.b;branch=c"};
	static const char *const more[] = {"", "Contact: *\r\n",
			"Contact: \"A\" <sip:x;y>;+sip.instance=\"<urn:z>\", <sip:z>\r\n",
			"Route: <sip:h;lr>, <sip:i;lr;crs-a=b>\r\n", "l : 4\r\n",
			"X-Any!: \xff\r\n y\r\n", "Max-Forwards: 70 \r\n",
			"Retry-After: 120\r\n"};

	(void)state;
	for(size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_true(reads(uris[i], VIA, ""));
	for(size_t i = 0; i < sizeof(vias) / sizeof(vias[0]); i++)
		assert_true(reads("sip:x", vias[i], ""));
	for(size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		assert_true(reads("sip:x", VIA, more[i]));
}

static void what_does_not(void **state)
{
	static const char *const uris[] = {
			"x", "sip:", "sip:a@", "sip:[::1", "sip:h:x", "sip:h:65536", ":h"};
	static const char *const vias[] = {"SIP/3.0/UDP h", "SIP/2.0 h",
			"SIP/2.0/UDP", "SIP/2.0/UDP h:", "SIP/2.0/UDP h;;",
			"SIP/2.0/UDP h x", "SIP/2.0/UDP h;b=\"", VIA ", x"};
	static const char *const more[] = {"Contact <sip:x>: y\r\n",
			"Contact: <sip:x\r\n", "Contact: sip:x y\r\n",
			"Route: \"<sip:h>\r\n", "Content-Length: 4x\r\n", "l:\r\n",
			"Max-Forwards: 7\r\n 0\r\n", "retry-after: 5x\r\n", ": y\r\n",
			"X\xff: y\r\n", "X y: z\r\n"};

	(void)state;
	for(size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		assert_false(reads(uris[i], VIA, ""));
	for(size_t i = 0; i < sizeof(vias) / sizeof(vias[0]); i++)
		assert_false(reads("sip:x", vias[i], ""));
	for(size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		assert_false(reads("sip:x", VIA, more[i]));
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(who_is_concerned),
			T(wherever_it_stands),
			T(what_looks_like_it),
			T(what_a_client_may_write),
			T(what_nobody_may_write),
			T(what_a_gateway_has_written),
			T(what_it_has_not_written),
			T(a_reply_without_a_via_is_no_way_around),
			T(too_strange_to_be_taken_apart),
			T(what_can_be_shown),
			T(what_cannot),
			T(what_reads_well),
			T(what_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
