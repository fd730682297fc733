/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The label of a call: the input as the content of a genuine one; and as a 2xx, the request
 * that was sent and the one that came in, with a line "==" between them. Whatever opens makes a
 * BYE that is one message, of the names in it.
 */
#include "boxes.h"

#include "label.h"

static cr_label_t label;
static cr_sip_t bye;
static uint8_t mem[CR_BOX_PLAIN_MAX], ref_mem[CR_BOX_PLAIN_MAX];

static void check_bye(cr_side_t side)
{
	static char text[65536];
	const cr_sender_t from = {CR_SPAN("127.0.0.1"), 9, CR_SPAN("b")};
	cr_span_t gateway;
	cr_ref_t ref = {0};
	int len;

	(void)cr_label_client(
			&ref, ref_mem, &gateway, &env, &label, o_id.call_id, side);
	len = cr_label_bye(
			text, sizeof(text), &env, &label, o_id.call_id, side, &ref, &from);
	CHECK(len > 0);
	CHECK(cr_sip_parse(&bye, (cr_span_t){text, (size_t)len}) == CR_OK);
	CHECK(cr_span_eq(bye.method, CR_SPAN("BYE")) && bye.body.len == 0);
	CHECK(cr_span_eq(bye.ruri, label.party[!side].target));
	CHECK(cr_span_eq(bye.call_id, o_id.call_id));
}

static void open_label(cr_span_t text)
{
	int err = cr_label_open(&label, mem, &env, o_id.call_id, text);

	CHECK(err <= 0 && err != CR_EINTERNAL);
	if(err != CR_OK)
		return;
	check_bye(CR_SIDE_CALLER);
	check_bye(CR_SIDE_CALLEE);
}

static void read_messages(cr_span_t in)
{
	static cr_sip_t reply, sent, received;
	cr_span_t text[3] = {next(&in), next(&in), next(&in)};
	char sealed[CR_BOX_TEXT_MAX];
	int len;

	if(cr_sip_parse(&reply, text[0]) == CR_OK
			&& cr_sip_parse(&sent, text[1]) == CR_OK
			&& cr_sip_parse(&received, text[2]) == CR_OK
			&& cr_label_read(&label, &reply, &sent, &received) == CR_OK) {
		len = cr_label_seal(sealed, sizeof(sealed), &env, o_id.call_id, &label);
		CHECK(len > 0 || len == CR_ETOOBIG);
		if(len > 0) {
			CHECK(cr_label_open(&label, mem, &env, o_id.call_id,
						  (cr_span_t){sealed, (size_t)len})
					== CR_OK);
			open_label((cr_span_t){sealed, (size_t)len});
		}
	}
	for(int i = 0; i < 3; i++)
		free((void *)text[i].s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const cr_span_t in = {(const char *)data, size};
	char text[CR_BOX_TEXT_MAX];
	int n;

	setup_edge();
	open_label(in);
	read_messages(in);
	n = cr_box_seal(text, sizeof(text), crypto, &ring.keys[0], CR_PURPOSE_LABEL,
			&o_id.call_id, 1, in);
	if(n > 0)
		open_label((cr_span_t){text, (size_t)n});
	return 0;
}
