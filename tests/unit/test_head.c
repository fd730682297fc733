/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which heads all readers understand alike, and where a message ends.
 */
#include "helper_edge.h"

#include "head.h"

/* ---- heads -------------------------------------------------------------------- */

static cr_head_t head;

#define HEAD(text) cr_head_read(&head, CR_SPAN(text))

static void a_head_ends_its_lines_in_crlf(void **state)
{
	(void)state;
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nVia: a\r\n b\r\n\r\n"), CR_OK);
	assert_int_equal(HEAD("\r\n\r\nSIP/2.0 200 OK\r\nA: b\r\n\r\n"), CR_OK);
	assert_int_equal(
			HEAD("OPTIONS sip:x sip/2.0\r\nA: b\nC: d\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\rCall-State: c\r\n\r\n"),
			CR_EMALFORMED);
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\0\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\n\r\n"), CR_EMALFORMED);
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\rA: b\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r\r\n\r\n"), CR_EMALFORMED);
}

static void a_head_may_be_cut_off(void **state)
{
	(void)state;
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b"), CR_OK);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: \0b"), CR_EMALFORMED);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0"), CR_OK);
}

/* At every byte, in memory that ends there; lines are looked for by the word. */
static void a_head_may_be_cut_off_anywhere(void **state)
{
	static const char text[]
			= "OPTIONS sip:x SIP/2.0\r\nA: b\tc\x01\td\r\nLonger: "
			  "0123456789abcdef\r\n"
			  "B: \x0d\x0a \x0b\x0c\x0e........\r\n\r\n";

	(void)state;
	for(size_t n = 1; n < sizeof(text); n++) {
		char *copy = malloc(n);
		int ends_in_cr = text[n - 1] == '\r';

		memcpy(copy, text, n);
		assert_int_equal(cr_head_read(&head, (cr_span_t){copy, n}),
				ends_in_cr ? CR_EMALFORMED : CR_OK);
		free(copy);
	}
	assert_int_equal(head.len, sizeof(text) - 1);
}

static void state_fields_are_found_on_the_way(void **state)
{
	(void)state;
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r\ncall-STATE-x: y\r\n\r\n"),
			CR_OK);
	assert_int_equal(head.states, 1);
	assert_int_equal(
			HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r\ncall_STATE: y\r\n\r\n"),
			CR_OK);
	assert_int_equal(head.states, 1);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: Call-State: "
						  "y\r\n\r\nCall-State: y"),
			CR_OK);
	assert_int_equal(head.states, 0);
}

/* Kamailio skips more in front of a message than line ends. */
static void blanks_in_front_hide_nothing(void **state)
{
	(void)state;
	assert_int_equal(HEAD(" \r\n\r\nSIP/2.0 486 Busy\r\nCall-State: x\r\n\r\n"),
			CR_EMALFORMED);
	assert_int_equal(
			HEAD("\t\r\nOPTIONS sip:x SIP/2.0\r\nA: b\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(
			HEAD("\r\n\0\r\n\r\nSIP/2.0 486 Busy\r\n\r\n"), CR_EMALFORMED);
	assert_int_equal(HEAD(" \r\n"), CR_OK);
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
	assert_int_equal(cr_head_read(&head, (cr_span_t){"", 0}), CR_OK);
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
			assert_int_equal(cr_head_read(&head, (cr_span_t){buf[0], len}),
					CR_EMALFORMED);
		}
	}
}

/* ---- folds ------------------------------------------------------------------------ */

static void a_field_of_several_lines_becomes_one(void **state)
{
	static const struct
	{
		const char *text, *unfolded;
	} cases[] = {
			{"\r\n\r\nA x SIP/2.0\r\nA: b\r\n c\r\n\td\r\n\r\n\r\n e",
					"\r\n\r\nA x SIP/2.0\r\nA: b   c   d\r\n\r\n\r\n e"},
			{"A x SIP/2.0\r\nA: b\r\n \r\n\r\nv",
					"A x SIP/2.0\r\nA: b   \r\n\r\nv"},
			{"A x SIP/2.0\r\n b", "A x SIP/2.0   b"},
			{"A x SIP/2.0\r\nA: b\r\n", "A x SIP/2.0\r\nA: b\r\n"},
			{"", ""},
	};

	(void)state;
	for(size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);

		memcpy(buf[0], cases[i].text, len + 1);
		assert_int_equal(cr_head_read(&head, (cr_span_t){buf[0], len}), CR_OK);
		assert_int_equal(head.folded, i < 3);
		cr_head_unfold(buf[0], len);
		assert_string_equal(buf[0], cases[i].unfolded);
	}
}

/* ---- where a message ends ------------------------------------------------------------ */

static int end_of(const char *text, size_t *end)
{
	cr_span_t s = cr_span_str(text);

	assert_int_equal(cr_head_read(&head, s), CR_OK);
	return cr_head_end(&head, s, end);
}

static void a_message_ends_where_its_length_says(void **state)
{
	static const char *const good[] = {"Content-Length: 2", "l:2", "L \t: 2 ",
			"content-length :002", "A: l\r\nl: 2\r\nB: Content-Length: 7"};
	static const char *const bad[] = {"Content-Length: 2\r\nl: 2",
			"Content-Length: 5", "Content-Length: 2x",
			"Content-Length:", "l: -1", "l: 1234567890"};
	size_t end;
	int n;

	(void)state;
	for(size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		n = sprintf(buf[0], "A x SIP/2.0\r\n%s\r\n\r\nbody", good[i]);
		assert_int_equal(end_of(buf[0], &end), CR_OK);
		assert_int_equal(end, n - 2);
	}
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sprintf(buf[0], "A x SIP/2.0\r\n%s\r\n\r\nbody", bad[i]);
		assert_int_equal(end_of(buf[0], &end), CR_EMALFORMED);
	}
	assert_int_equal(
			end_of("A x SIP/2.0\r\nlA: 2\r\n\r\nbody", &end), CR_EMISSING);
	assert_int_equal(end, strlen("A x SIP/2.0\r\nlA: 2\r\n\r\nbody"));
	assert_int_equal(end_of("A x SIP/2.0\r\nl: 2", &end), CR_EMALFORMED);
}

static void a_message_without_a_length_gets_one(void **state)
{
	cr_span_t text = CR_SPAN("A x SIP/2.0\r\nB: c\r\n\r\nbody");
	const char *framed = "A x SIP/2.0\r\nB: c\r\nContent-Length: 4\r\n\r\nbody";
	int n;

	(void)state;
	assert_int_equal(cr_head_read(&head, text), CR_OK);
	n = cr_head_frame(buf[0], OUT_MAX, &head, text);
	assert_int_equal(n, strlen(framed));
	assert_memory_equal(buf[0], framed, n);
	assert_int_equal(cr_head_frame(buf[0], n - 1, &head, text), CR_ETOOBIG);
	assert_int_equal(
			cr_head_read(&head, CR_SPAN("A x SIP/2.0\r\nB: c")), CR_OK);
	assert_int_equal(
			cr_head_frame(buf[0], OUT_MAX, &head, text), CR_EMALFORMED);
}

/* ---- HTTP -------------------------------------------------------------------------------- */

static int is_http(const char *text)
{
	assert_int_equal(cr_head_read(&head, cr_span_str(text)), CR_OK);
	return head.is_http;
}

static void what_kamailio_takes_for_http(void **state)
{
	static const char *const http[] = {"GET /ws HTTP/1.1\r\n",
			"HTTP/1.1 200 OK", "\r\n\r\nPOST /session\thttp/1.0\r\n",
			"POST /session HTTP/1.1 SIP/2.0\r\n", "A sip:x/HTTP/1 HTTP/1.1\n"};
	static const char *const none[] = {"OPTIONS sip:a;x=HTTP/1.1 SIP/2.0\r\n",
			"SIP/2.0 200 OK\r\nA: HTTP/1.1\r\n", "", "\r\n\r\n", "HTTP"};

	(void)state;
	for(size_t i = 0; i < sizeof(http) / sizeof(http[0]); i++)
		assert_true(is_http(http[i]));
	for(size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(is_http(none[i]));
}

/* ---- fields ------------------------------------------------------------------------------ */

static void fields_are_counted(void **state)
{
	(void)state;
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\nA: b\r\nC:\r\n c\r\nl: "
						  "0\r\n\r\nD: e\r\n"),
			CR_OK);
	assert_int_equal(head.fields, 3);
	assert_int_equal(HEAD("\r\nOPTIONS sip:x SIP/2.0\r\nA:\r\nB"), CR_OK);
	assert_int_equal(head.fields, 2);
	assert_int_equal(HEAD("OPTIONS sip:x SIP/2.0\r\n\r\n"), CR_OK);
	assert_int_equal(head.fields, 0);
	assert_int_equal(
			HEAD("GET / HTTP/1.1\r\nA: b\r\nC:\r\n\r\nD: e\r\n"), CR_OK);
	assert_int_equal(head.fields, 2);
	assert_int_equal(HEAD("GET / HTTP/1.1\nA: b\nC:\nD\n\nD: e\n"), CR_OK);
	assert_int_equal(head.fields, 3);
	assert_int_equal(HEAD("GET / HTTP/1.1\nA: b\n\rC:\n\r"), CR_OK);
	assert_int_equal(head.fields, 3);
	assert_int_equal(HEAD("GET / HTTP/1.1\r\n"), CR_OK);
	assert_int_equal(head.fields, 0);
	assert_int_equal(HEAD("GET / HTTP/1.1"), CR_OK);
	assert_int_equal(head.fields, 0);
}

static void what_kamailio_reads_is_easy(void **state)
{
	static const char *const easy[] = {"\r\n", "\r\nbody: \n",
			"A: b\r\nLonger-Name \t: c\r\n\r\n", "A:\r\n\r\n", "c: d\r\n\r\n",
			"Content-Length: 12\r\n\r\n", "l : 0 \r\nCall-ID: a\r\n\r\n",
			"From: \r\nTop: a\r\nVias: b\r\nCSeqs: c\r\n\r\n"};
	static const char *const no[] = {"", "A: b", "A: b\r\n", "A: b\n\n", "\n",
			"\r", "A b\r\n\r\n", "A\r\n: b\r\n\r\n", ": b\r\n\r\n",
			"A B: c\r\n\r\n", " A: b\r\n\r\n", "A: b\r\n c\r\n\r\n",
			"\"A\": b\r\n\r\n", "Via: a\r\n\r\n", "v: a\r\n\r\n",
			"V : a\r\n\r\n", "To: a\r\n\r\n", "T: a\r\n\r\n",
			"cseq: 1 A\r\n\r\n", "RETRY-AFTER: 1\r\n\r\n",
			"Content-Length: a\r\n\r\n", "Content-Length: \r\n\r\n",
			"L: -1\r\n\r\n", "l: 1234567890\r\n\r\n"};

	(void)state;
	for(size_t i = 0; i < sizeof(easy) / sizeof(easy[0]); i++)
		assert_int_equal(cr_head_is_easy(cr_span_str(easy[i])), 1);
	for(size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_int_equal(cr_head_is_easy(cr_span_str(no[i])), 0);
}

/* A first line and a field, with so many semicolons or commas in it. */
static int parts(const char *line, int n, const char *behind)
{
	static char text[4 * CR_HEAD_PARTS_MAX];
	size_t len = (size_t)sprintf(text, "%s\r\nTo: x", line);

	for(int i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, i % 2 ? "," : ";a");
	strcpy(text + len, behind);
	assert_int_equal(cr_head_read(&head, cr_span_str(text)), CR_OK);
	return head.parts;
}

static void parts_are_counted_where_there_may_be_too_many(void **state)
{
	const char *lines[] = {"OPTIONS sip:x SIP/2.0", "GET / HTTP/1.1"};

	(void)state;
	for(int i = 0; i < 2; i++) {
		assert_int_equal(parts(lines[i], 100, "\r\n\r\n"), 0);
		assert_int_equal(parts(lines[i], CR_HEAD_PARTS_MAX, "\r\n\r\n;,;,"),
				CR_HEAD_PARTS_MAX);
		assert_int_equal(parts(lines[i], CR_HEAD_PARTS_MAX + 1, "\r\n\r\n"),
				CR_HEAD_PARTS_MAX + 1);
		assert_int_equal(parts(lines[i], CR_HEAD_PARTS_MAX + 1, ""),
				CR_HEAD_PARTS_MAX + 1);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(a_head_ends_its_lines_in_crlf),
			T(a_head_may_be_cut_off),
			T(a_head_may_be_cut_off_anywhere),
			T(state_fields_are_found_on_the_way),
			T(blanks_in_front_hide_nothing),
			T(a_body_is_not_looked_at),
			T(what_is_no_sip_is_not_judged),
			T(every_byte_of_a_head),
			T(a_field_of_several_lines_becomes_one),
			T(a_message_ends_where_its_length_says),
			T(a_message_without_a_length_gets_one),
			T(what_kamailio_takes_for_http),
			T(fields_are_counted),
			T(what_kamailio_reads_is_easy),
			T(parts_are_counted_where_there_may_be_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
