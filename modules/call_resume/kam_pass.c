/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What this node says of a call: to the node that it passes a request on to, and to the far end,
 * for which each node stands for the client. kam_node.c sends it, and reads it at the other one.
 */
#include "kam_pass.h"
#include "kam_env.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_route.h"
#include "kam_seal.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_to.h"

#include "core/contact.h"
#include "core/node.h"
#include "core/screen.h"

/* ---- passing on -------------------------------------------------------------------- */

static int add_marked(struct sip_msg *msg, const char *name, cr_span_t value)
{
	char mem[CR_BOX_TEXT_MAX + 512];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	cr_put_str(&w, name);
	cr_put_str(&w, ": ");
	cr_screen_mark(&w, kam_env());
	cr_put_span(&w, value);
	cr_put_str(&w, "\r\n");
	if(cr_writer_end(&w) != CR_OK || parse_headers(msg, HDR_EOH_F, 0) < 0)
		return -1;
	return kam_add_header(msg, cr_written(&w));
}

static int begins_call(struct sip_msg *msg)
{
	return msg->first_line.u.request.method_value == METHOD_INVITE
			&& parse_headers(msg, HDR_TO_F, 0) == 0 && msg->to != NULL
			&& get_to(msg)->tag_value.len == 0;
}

int ki_resume_pass(struct sip_msg *msg, str *from)
{
	static cr_node_note_t note;
	char mem[CR_BOX_TEXT_MAX + 256];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	str proto = STR_NULL;
	int len = 0;

	if(kam_config.node == 0 || msg->first_line.type != SIP_REQUEST
			|| from->len <= 0 || from->len >= (int)sizeof(note.from)) {
		LM_ERR("resume_pass(\"trunk\" or \"client\") is for a request that "
			   "goes to"
			   " another node\n");
		return -1;
	}
	note = (cr_node_note_t){.node = (unsigned)kam_config.node,
			.resumed = kam_opened(msg)->open};
	memcpy(note.from, from->s, from->len);
	if(get_valid_proto_string(msg->rcv.proto, 1, 0, &proto) == 0
			&& proto.len < (int)sizeof(note.proto))
		memcpy(note.proto, proto.s, proto.len);
	if(begins_call(msg) && kam_session(msg)->authenticated)
		len = kam_make_caller_ref(msg, note.ref, sizeof(note.ref));
	if(len < 0) {
		LM_ERR("the call will have no state: %s\n", cr_strerror(len));
		kam_count(KAM_SEALS_FAILED);
		len = 0;
	}
	note.ref_len = (size_t)len;
	cr_node_put(&w, &note);
	return cr_writer_end(&w) == CR_OK
					&& add_marked(msg, CR_HDR_NODE, cr_written(&w)) == 0
			? 1
			: -1;
}

/* ---- to the far end ---------------------------------------------------------------- */

typedef struct hidden
{
	size_t len;
	char params[];
} hidden_t;

static void on_reply(struct cell *t, int type, struct tmcb_params *ps)
{
	const hidden_t *h = *ps->param;

	(void)t;
	(void)type;
	if(ps->rpl == NULL || ps->rpl == FAKED_REPLY || ps->code <= 100
			|| ps->code >= 300)
		return;
	if(add_marked(ps->rpl, CR_HDR_FAR, (cr_span_t){h->params, h->len}) < 0)
		LM_ERR("the far end is told nothing of this node\n");
}

static void release(void *h)
{
	shm_free(h);
}

static int watch_replies(struct sip_msg *msg, cr_span_t params)
{
	hidden_t *h = shm_malloc(sizeof(*h) + params.len);

	if(h == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	h->len = params.len;
	memcpy(h->params, params.s, params.len);
	if(kam_tm.register_tmcb(msg, 0, TMCB_RESPONSE_FWDED, on_reply, h, release)
			> 0)
		return 0;
	LM_ERR("cannot watch the replies of a transaction\n");
	shm_free(h);
	return -1;
}

int kam_pass_hide(struct sip_msg *msg)
{
	char mem[CR_BOX_TEXT_MAX + 256];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_span_t route;
	int to, by;

	if(kam_config.node == 0)
		return 0;
	to = kam_goes_to_client(msg);
	by = kam_is_by_client(msg);
	if(to == by || !kam_own_route(msg, &route)
			|| (msg->first_line.u.request.method_value
					& (METHOD_ACK | METHOD_BYE | METHOD_CANCEL)))
		return 0;
	cr_contact_put_params(&w, route);
	if(cr_writer_end(&w) != CR_OK)
		return -1;
	return by ? add_marked(msg, CR_HDR_FAR, cr_written(&w))
			  : watch_replies(msg, cr_written(&w));
}

/* Ours in an INVITE as it was made, in front of what the far end was told instead. */
static int put_routes(struct sip_msg *reply, const struct retr_buf *sent)
{
	static cr_sip_t invite;
	char mem[2 * CR_BOX_TEXT_MAX + 512];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_value_iter_t it = {0};
	cr_span_t value;

	if(sent->buffer == NULL
			|| cr_sip_parse(&invite,
					   (cr_span_t){sent->buffer, (size_t)sent->buffer_len})
					!= CR_OK)
		return 0;
	while(cr_sip_next(&invite, CR_RECORD_ROUTE, &it, &value)) {
		if(!cr_contact_is_hidden(&invite, value))
			continue;
		cr_put_str(&w, "Record-Route: ");
		cr_put_span(&w, value);
		cr_put_str(&w, "\r\n");
	}
	if(cr_writer_end(&w) != CR_OK || parse_headers(reply, HDR_EOH_F, 0) < 0)
		return -1;
	return w.len > 0 ? kam_add_header(reply, cr_written(&w)) : 0;
}

static void on_reply_to_call(struct cell *t, int type, struct tmcb_params *ps)
{
	int branch = -1;

	(void)type;
	if(ps->rpl == NULL || ps->rpl == FAKED_REPLY || ps->code <= 100
			|| ps->code >= 300)
		return;
	branch = kam_tm.tm_ctx_get()->branch_index;
	if(branch < 0 || branch >= t->nr_of_outgoings)
		return;
	if(put_routes(ps->rpl, &t->uac[branch].request) < 0)
		LM_ERR("cannot write the route set of a call\n");
}

int kam_pass_watch_call(struct sip_msg *msg)
{
	if(kam_config.node == 0
			|| kam_tm.register_tmcb(msg, 0, TMCB_RESPONSE_FWDED,
					   on_reply_to_call, NULL, NULL)
					> 0)
		return 0;
	LM_ERR("cannot watch the replies of a transaction\n");
	return -1;
}
