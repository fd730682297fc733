/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parser of messages and header fields: every place that it names is in the
 * message, and a message whose values are replaced by themselves is the same.
 */
#include "fuzz.h"

#include "dialog_name.h"
#include "head.h"
#include "owed.h"
#include "screen.h"
#include "seal.h"
#include "sip.h"

static cr_sip_t m;
static cr_edits_t edits;
static char out[3 * 8192];

static void inside(cr_span_t whole, cr_span_t part)
{
	CHECK(part.s >= whole.s && part.s + part.len <= whole.s + whole.len);
}

static void look_at_params(cr_span_t value)
{
	static const char *const names[] = {"tag", "lr", "crm1", "branch", ""};
	cr_span_t v, whole;

	for(size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if(!cr_param_find(value, names[i], &v, &whole))
			continue;
		inside(value, v);
		inside(value, whole);
		inside(whole, v);
	}
}

static void look_at_value(cr_span_t value)
{
	cr_writer_t w = cr_writer(out, sizeof(out));
	cr_addr_t a;

	look_at_params(value);
	CHECK(cr_tag_of(value).len <= value.len);
	if(cr_addr_parse(&a, value) != CR_OK)
		return;
	inside(value, a.spec);
	inside(a.spec, a.uri);
	inside(value, a.params);
	look_at_params(a.params);
	cr_uri_rehome(&w, a.uri, CR_SPAN("[::1]"), 5061, CR_SPAN("tls"));
	CHECK(cr_writer_end(&w) == CR_OK && w.len > 0);
}

static int rename_to_itself(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from)
{
	(void)arg;
	*to = *from;
	return 1;
}

static int rename_to_other(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from)
{
	(void)arg;
	(void)from;
	*to = (cr_dialog_name_t){CR_SPAN("c\"%;,@>"), {CR_SPAN("1"), CR_SPAN("2")}};
	return 1;
}

/* @return 1 when it fitted */
static int applied(cr_span_t *text)
{
	int n = cr_edits_apply(out, sizeof(out), &edits);

	CHECK(n > 0 || n == CR_ETOOBIG);
	*text = (cr_span_t){out, n > 0 ? (size_t)n : 0};
	return n > 0;
}

static void check_edits(cr_span_t text)
{
	cr_value_iter_t it = {0};
	cr_span_t value, after;

	cr_edits_init(&edits, &m);
	for(int id = 0; id < CR_HDR_N; id++, it = (cr_value_iter_t){0})
		while(cr_sip_next(&m, id, &it, &value))
			CR_EDIT(&edits, value, value);
	if(applied(&after))
		CHECK(cr_span_eq(after, text));
	cr_edits_init(&edits, &m);
	cr_rename_dialogs(&edits, &m, rename_to_itself, NULL);
	(void)applied(&after);
	cr_edits_init(&edits, &m);
	cr_rename_dialogs(&edits, &m, rename_to_other, NULL);
	(void)applied(&after);
}

/* An order to seal made of a request is a value of one header field. */
static void check_order(void)
{
	const cr_env_t env = {.order_mark = "mark"};
	const cr_order_t order = {.purpose = CR_PURPOSE_CALLER,
			.ref = CR_SPAN("ref"),
			.iat_ms = NOW * 1000,
			.request = &m};
	int n = cr_seal_order(out, sizeof(out), &env, &order);

	CHECK(n > 0);
	for(int i = 0; i < n; i++)
		CHECK(out[i] != '\n'
				|| (i + 1 < n && (out[i + 1] == ' ' || out[i + 1] == '\t')));
}

/* What is written for a reply is one message, in its dialog. */
static void check_owed(void)
{
	static const cr_span_t methods[]
			= {CR_SPAN_INIT("ACK"), CR_SPAN_INIT("PRACK"), CR_SPAN_INIT("BYE")};
	static char answer[8192];
	static cr_sip_t written;
	cr_owed_t what = {.cseq = m.cseq, .branch = CR_SPAN("0"), .rseq = 1};
	int n = cr_owed_answer(answer, sizeof(answer), m.body);

	for(size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		what.method = methods[i];
		what.sdp = (cr_span_t){answer, n > 0 ? (size_t)n : 0};
		int len = cr_owed_request(out, sizeof(out), &m, &what);

		if(len < 0)
			continue;
		CHECK(cr_sip_parse(&written, (cr_span_t){out, (size_t)len}) == CR_OK);
		CHECK(cr_span_eq(written.method, methods[i]));
		CHECK(cr_span_eq(written.call_id, m.call_id));
		CHECK(written.cseq == m.cseq);
		CHECK(cr_span_eq(written.body, what.sdp));
	}
}

/* Nothing is folded any more, and the body is what it was. */
static void check_unfolded(cr_span_t text, const cr_head_t *head)
{
	cr_head_t other;

	if(text.len > sizeof(out))
		return;
	memcpy(out, text.s, text.len);
	cr_head_unfold(out, text.len);
	CHECK(cr_head_read(&other, (cr_span_t){out, text.len}) == CR_OK);
	CHECK(!other.folded && other.len == head->len);
	if(head->len > 0)
		CHECK(memcmp(out + head->len, text.s + head->len, text.len - head->len)
				== 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const cr_span_t text = {(const char *)data, size};
	cr_value_iter_t it = {0};
	cr_span_t value;
	int err = cr_sip_parse(&m, text), read;
	cr_head_t head;
	size_t end;

	CHECK(err <= 0 && err != CR_EINTERNAL);
	read = cr_head_read(&head, text);
	CHECK(read == CR_OK || read == CR_EMALFORMED);
	if(read == CR_OK && head.is_sip) {
		CHECK(head.len <= size);
		if(head.lengths > 0)
			inside(text, head.length);
		(void)cr_head_end(&head, text, &end);
		CHECK(end <= size);
		check_unfolded(text, &head);
	}
	/* Values stand alone too: in a parameter of the script, in a state. */
	look_at_value(text);
	if(err != CR_OK)
		return 0;
	CHECK(m.n_fields <= CR_SIP_FIELDS_MAX && m.call_id.len > 0);
	CHECK(m.status == 0 || (m.status >= 100 && m.status <= 999));
	CHECK(m.cseq <= INT32_MAX);
	inside(text, m.body);
	inside(text, m.method);
	inside(text, m.ruri);
	for(int i = 0; i < m.n_fields; i++) {
		inside(text, m.fields[i].line);
		inside(m.fields[i].line, m.fields[i].value);
	}
	for(int id = 0; id < CR_HDR_N; id++, it = (cr_value_iter_t){0})
		while(cr_sip_next(&m, id, &it, &value)) {
			inside(text, value);
			look_at_value(value);
		}
	check_edits(text);
	/* What is taken for a field that begins so is found by the quick look as well. */
	if(read == CR_OK)
		for(int i = 0; i < m.n_fields; i++)
			CHECK((m.fields[i].id != CR_CALL_STATE
						  && m.fields[i].id != CR_STATE_OTHER)
					|| (cr_head_states(text) && head.states));
	(void)cr_screen_shows(&m);
	if(m.status == 0)
		check_order();
	else
		check_owed();
	return 0;
}
