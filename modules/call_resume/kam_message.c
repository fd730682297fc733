/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The message at hand: which one it is, and its header fields.
 */
#include "kam_message.h"
#include "kam_env.h"

#include "../../core/data_lump.h"
#include "../../core/data_lump_rpl.h"
#include "../../core/dprint.h"
#include "../../core/msg_translator.h"
#include "../../core/receive.h"
#include "../../core/route.h"
#include "../../core/mem/mem.h"
#include "../../core/parser/parse_content.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_to.h"

#include "core/head.h"

#define NAMES_MAX 1024 /* a Call-ID and two tags */

/* A message is known by id and process, but tm gives the message that it makes
 * up for failure_route the id of another one: there nothing is known. */
int kam_is_request_route(void)
{
	return (get_route_type() & (REQUEST_ROUTE | EVENT_ROUTE)) != 0;
}

/* The messages that Kamailio makes up for event routes are counted apart, so that one may
 * have the id of a real one; its buffer is another. */
int kam_is_other_message(kam_message_t *last, const struct sip_msg *msg)
{
	if(kam_is_request_route() && last->id == msg->id && last->pid == msg->pid
			&& last->buf == msg->buf)
		return 0;
	*last = (kam_message_t){msg->id, msg->pid, msg->buf};
	return 1;
}

int kam_has_transaction(void)
{
	struct cell *t = kam_tm.t_gett();

	return t != NULL && t != T_UNDEFINED;
}

struct cell *kam_find_transaction(unsigned index, unsigned label)
{
	struct cell *was = kam_tm.t_gett(), *t = NULL;
	int branch = kam_tm.t_gett_branch();

	if(kam_tm.t_lookup_ident(&t, index, label) < 0)
		t = NULL;
	kam_tm.t_sett(was, branch);
	return t;
}

int kam_copy_request(
		struct sip_msg *copy, char *text, const struct sip_msg *request)
{
	if(request->len >= BUF_SIZE)
		return -1;
	memcpy(text, request->buf, request->len);
	text[request->len] = '\0';
	if(build_sip_msg_from_buf(copy, text, (int)request->len, inc_msg_no()) < 0)
		return -1;
	copy->rcv = request->rcv;
	copy->flags = request->flags;
	copy->msg_flags |= request->msg_flags & FL_FORCE_RPORT;
	if(parse_headers(copy, HDR_EOH_F, 0) == 0)
		return 0;
	free_sip_msg(copy);
	return -1;
}

static int put_in_reply(struct sip_msg *request, cr_span_t text, int what)
{
	return text.len == 0
			|| add_lump_rpl(request, (char *)text.s, (int)text.len, what)
			!= NULL;
}

/* What has been put into its answers before goes into this one. */
static int put_fields(
		struct sip_msg *copy, const struct sip_msg *request, cr_span_t more)
{
	for(const struct lump_rpl *l = request->reply_lump; l != NULL;
			l = l->next) {
		if((l->flags & LUMP_RPL_HDR)
				&& !put_in_reply(copy, kam_span(l->text), LUMP_RPL_HDR))
			return 0;
	}
	return put_in_reply(copy, more, LUMP_RPL_HDR);
}

/* Others may be making answers of the same request at the same time. In a dialog there is a tag
 * (RFC 3261 section 8.2.6.2); elsewhere tm has the same one for all answers to a request. */
static void reply(struct cell *t, int code, const char *text, cr_span_t fields,
		cr_span_t body)
{
	static char mem[BUF_SIZE];
	struct sip_msg copy;

	if(kam_copy_request(&copy, mem, t->uas.request) < 0) {
		LM_ERR("no answer to a request that cannot be read\n");
		return;
	}
	if(put_fields(&copy, t->uas.request, fields)
			&& put_in_reply(&copy, body, LUMP_RPL_BODY))
		(void)kam_tm.t_reply_trans(t, &copy, (unsigned)code, (char *)text);
	free_sip_msg(&copy);
}

int kam_answer_transaction(unsigned index, unsigned label, ticks_t fr, int code,
		const char *text, cr_span_t fields, cr_span_t body)
{
	struct cell *was = kam_tm.t_gett();
	struct cell *t = kam_find_transaction(index, label);
	int branch = kam_tm.t_gett_branch(), waits;

	if(t == NULL)
		return 0;
	waits = t->uas.status < 200;
	if(waits && fr > 0)
		t->fr_timeout = fr;
	if(waits)
		reply(t, code, text, fields, body);
	kam_tm.unref_cell(t);
	kam_tm.t_sett(was, branch);
	return waits;
}

int64_t kam_transaction_number(const struct cell *t)
{
	return ((int64_t)t->hash_index << 32 | t->label) + 1;
}

int kam_is_read(struct sip_msg *msg)
{
	cr_span_t rest = {msg->unparsed, 0};

	if(msg->eoh != NULL)
		return 1;
	rest.len = (size_t)(msg->buf + msg->len - msg->unparsed);
	return cr_head_is_easy(rest) || parse_headers(msg, HDR_EOH_F, 0) == 0;
}

int kam_has_body(struct sip_msg *msg)
{
	const char *body = get_body(msg);

	return body != NULL && body < msg->buf + msg->len;
}

/* ---- header fields ----------------------------------------------------------------- */

int kam_find_headers(struct sip_msg *msg, cr_span_t name, cr_span_t *value)
{
	struct hdr_field *h;
	int n = 0;

	if(parse_headers(msg, HDR_EOH_F, 0) < 0)
		return -1;
	for(h = msg->headers; h != NULL; h = h->next) {
		if(!cr_span_eq_case(kam_span(h->name), name))
			continue;
		*value = cr_span_trim(kam_span(h->body));
		n++;
	}
	return n;
}

int kam_add_header(struct sip_msg *msg, cr_span_t text)
{
	struct lump *anchor;
	char *copy;

	/* Behind the last field that has been parsed: no more of them need be. Not in
	 * front of all, as there are clients that take the letters CSeq anywhere in
	 * a message for the field. */
	if(msg->last_header == NULL)
		return -1;
	anchor = anchor_lump(msg,
			msg->last_header->name.s + msg->last_header->len - msg->buf, 0, 0);
	if(anchor == NULL)
		return -1;
	copy = pkg_malloc(text.len);
	if(copy == NULL) {
		PKG_MEM_ERROR;
		return -1;
	}
	memcpy(copy, text.s, text.len);
	if(insert_new_lump_before(anchor, copy, (int)text.len, 0) == NULL) {
		pkg_free(copy);
		return -1;
	}
	return 0;
}

int kam_remove_headers(struct sip_msg *msg, cr_span_t name)
{
	struct hdr_field *h;

	if(parse_headers(msg, HDR_EOH_F, 0) < 0)
		return -1;
	for(h = msg->headers; h != NULL; h = h->next) {
		if(cr_span_eq_case(kam_span(h->name), name)
				&& del_lump(msg, h->name.s - msg->buf, h->len, 0) == NULL)
			return -1;
	}
	return 0;
}

/* ---- the dialog that it is in -------------------------------------------------------- */

uint64_t kam_name_of(cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag)
{
	const cr_env_t *env = kam_env();
	char text[NAMES_MAX];
	cr_writer_t w = cr_writer(text, sizeof(text));
	uint8_t hash[32];
	uint64_t name = 0;

	cr_put_span(&w, call_id);
	cr_put_u8(&w, 0);
	cr_put_span(&w, client_tag);
	cr_put_u8(&w, 0);
	cr_put_span(&w, far_tag);
	if(env == NULL || cr_writer_end(&w) != CR_OK
			|| cr_sha256(env->crypto, hash, text, w.len) != CR_OK)
		return 0;
	memcpy(&name, hash, sizeof(name));
	return name;
}

uint64_t kam_dialog_name(struct sip_msg *request, int by_client)
{
	cr_span_t from, to;

	if(parse_headers(request, HDR_CALLID_F | HDR_TO_F, 0) < 0
			|| request->callid == NULL || request->to == NULL
			|| parse_from_header(request) < 0)
		return 0;
	from = kam_span(get_from(request)->tag_value);
	to = kam_span(get_to(request)->tag_value);
	return kam_name_of(kam_span(request->callid->body), by_client ? from : to,
			by_client ? to : from);
}
