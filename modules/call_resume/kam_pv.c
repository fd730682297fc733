/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * $resume(name)
 */
#include "kam_pv.h"
#include "kam_connection.h"
#include "kam_drain.h"
#include "kam_env.h"
#include "kam_event.h"
#include "kam_known.h"
#include "kam_label.h"
#include "kam_limit.h"
#include "kam_media.h"
#include "kam_message.h"
#include "kam_node.h"
#include "kam_proxy.h"
#include "kam_resume.h"
#include "kam_ring_wait.h"
#include "kam_route.h"
#include "kam_session.h"
#include "kam_steps.h"
#include "kam_trust.h"

#include "../../core/dprint.h"

#include "core/text.h"

typedef enum kam_pv
{
	PV_TOKEN,
	PV_TURN_USER,
	PV_TURN_PASS,
	PV_TURN_TTL,
	PV_SUB,
	PV_SID,
	PV_EXP,
	PV_KID,
	PV_ISS,
	PV_ERROR,
	PV_SECURE,
	PV_FIRST_HOP,
	PV_SPLICED,
	PV_IN_CALL,
	PV_CONNECTION,
	PV_CONNECTED,
	PV_LEFT,
	PV_KNOWN,
	PV_ABANDONED,
	PV_LABEL,
	PV_ASKS,
	PV_TO_CLIENT,
	PV_SENDER,
	PV_STEPS,
	PV_FROM_CALLER,
	PV_USER,
	PV_BEGUN,
	PV_ANSWERED,
	PV_CLIENT_ADDRESS,
	PV_CALLER,
	PV_CALLED,
	PV_MEDIA_FROM,
	PV_MEDIA_TO,
	PV_MEDIA_ANSWER,
	PV_NODE,
	PV_DRAINING,
	PV_PEER,
	PV_PEER_PROTO,
	PV_CODE,
	PV_REASON,
	PV_ID,
	PV_CALL_ID,
	PV_CLIENT_CALL_ID,
	PV_ROLE,
	PV_LOCAL_URI,
	PV_LOCAL_TAG,
	PV_REMOTE_URI,
	PV_REMOTE_TAG,
	PV_TARGET,
	PV_CSEQ,
	PV_START,
	PV_AWAY,
	PV_SEALED,
	PV_BOUND,
	PV_CALLEE,
	PV_N,
} kam_pv_t;

static const char *const names[PV_N] = {
		[PV_TOKEN] = "token",
		[PV_TURN_USER] = "turn_user",
		[PV_TURN_PASS] = "turn_pass",
		[PV_TURN_TTL] = "turn_ttl",
		[PV_SUB] = "sub",
		[PV_SID] = "sid",
		[PV_EXP] = "exp",
		[PV_KID] = "kid",
		[PV_ISS] = "iss",
		[PV_ERROR] = "error",
		[PV_SECURE] = "secure",
		[PV_FIRST_HOP] = "first_hop",
		[PV_SPLICED] = "spliced",
		[PV_IN_CALL] = "in_call",
		[PV_CONNECTION] = "connection",
		[PV_CONNECTED] = "connected",
		[PV_LEFT] = "left",
		[PV_KNOWN] = "known",
		[PV_ABANDONED] = "abandoned",
		[PV_LABEL] = "label",
		[PV_ASKS] = "asks",
		[PV_TO_CLIENT] = "to_client",
		[PV_SENDER] = "sender",
		[PV_STEPS] = "steps",
		[PV_FROM_CALLER] = "from_caller",
		[PV_USER] = "user",
		[PV_BEGUN] = "begun",
		[PV_ANSWERED] = "answered",
		[PV_CLIENT_ADDRESS] = "client_address",
		[PV_CALLER] = "caller",
		[PV_CALLED] = "called",
		[PV_MEDIA_FROM] = "media_from",
		[PV_MEDIA_TO] = "media_to",
		[PV_MEDIA_ANSWER] = "media_answer",
		[PV_NODE] = "node",
		[PV_DRAINING] = "draining",
		[PV_PEER] = "peer",
		[PV_PEER_PROTO] = "peer_proto",
		[PV_CODE] = "code",
		[PV_REASON] = "reason",
		[PV_ID] = "id",
		[PV_CALL_ID] = "call_id",
		[PV_CLIENT_CALL_ID] = "client_call_id",
		[PV_ROLE] = "role",
		[PV_LOCAL_URI] = "local_uri",
		[PV_LOCAL_TAG] = "local_tag",
		[PV_REMOTE_URI] = "remote_uri",
		[PV_REMOTE_TAG] = "remote_tag",
		[PV_TARGET] = "target",
		[PV_CSEQ] = "cseq",
		[PV_START] = "start",
		[PV_AWAY] = "away",
		[PV_SEALED] = "sealed",
		[PV_BOUND] = "bound",
		[PV_CALLEE] = "callee",
};

int kam_pv_parse_name(pv_spec_t *sp, str *in)
{
	for(int i = 0; i < PV_N; i++) {
		if(!cr_span_eq(kam_span(*in), cr_span_str(names[i])))
			continue;
		sp->pvp.pvn.type = PV_NAME_INTSTR;
		sp->pvp.pvn.u.isname.type = 0;
		sp->pvp.pvn.u.isname.name.n = i;
		return 0;
	}
	LM_ERR("there is no $resume(%.*s)\n", in->len, in->s);
	return -1;
}

#define SENDER_MAX 256 /* of the URI, with the zero */

static int get_text(
		struct sip_msg *msg, pv_param_t *param, pv_value_t *res, cr_span_t text)
{
	str s = kam_str(text);

	if(text.len == 0)
		return pv_get_null(msg, param, res);
	return pv_get_strval(msg, param, res, &s);
}

/* Whoever it is, the line of the log that names him is one of ours. */
static int get_sender(struct sip_msg *msg, pv_param_t *param, pv_value_t *res)
{
	char uri[SENDER_MAX], mem[SENDER_MAX + 64];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_addr_t from = {0};

	if(parse_headers(msg, HDR_FROM_F, 0) < 0 || msg->from == NULL
			|| cr_addr_parse(&from, kam_span(msg->from->body)) != CR_OK)
		from.uri = CR_SPAN("-");
	cr_text_show(uri, sizeof(uri), from.uri);
	cr_put_str(&w, uri);
	cr_put_str(&w, " from ");
	cr_put_str(&w, ip_addr2a(&msg->rcv.src_ip));
	return get_text(msg, param, res, cr_written(&w));
}

/* By resume_turn(), for whoever the script says. */
static int get_turn(struct sip_msg *msg, pv_param_t *param, pv_value_t *res,
		const kam_session_t *s, int which)
{
	if(s->turn.user[0] == '\0')
		return pv_get_null(msg, param, res);
	if(which == PV_TURN_TTL)
		return pv_get_sintval(msg, param, res, s->turn_ttl);
	return get_text(msg, param, res,
			cr_span_str(which == PV_TURN_USER ? s->turn.user : s->turn.pass));
}

static int get_session(struct sip_msg *msg, pv_param_t *param, pv_value_t *res,
		const kam_session_t *s, int which)
{
	if(which == PV_TOKEN)
		return get_text(msg, param, res, cr_span_str(s->issued));
	if(which <= PV_TURN_TTL)
		return get_turn(msg, param, res, s, which);
	if(which == PV_ERROR)
		return get_text(msg, param, res, cr_span_str(kam_auth_word(s->error)));
	if(!s->authenticated)
		return pv_get_null(msg, param, res);
	switch(which) {
		case PV_SUB:
			return get_text(msg, param, res, cr_span_str(s->token.sub));
		case PV_SID:
			return get_text(msg, param, res, cr_span_str(s->token.sid));
		case PV_KID:
			return get_text(msg, param, res, cr_span_str(s->token.kid));
		case PV_ISS:
			return get_text(msg, param, res, cr_span_str(s->token.iss));
		default:
			return pv_get_sintval(msg, param, res, (long)s->token.exp);
	}
}

static int get_number(struct sip_msg *msg, pv_param_t *param, pv_value_t *res,
		const cr_state_t *st, int which)
{
	const cr_env_t *env = kam_env();

	if(which == PV_CSEQ)
		return pv_get_sintval(msg, param, res, (long)st->cseq);
	if(which == PV_BOUND)
		return pv_get_sintval(msg, param, res, st->fp.known);
	if(which == PV_SEALED)
		return pv_get_sintval(msg, param, res, (long)(st->iat / 1000));
	if(which == PV_START || env == NULL)
		return pv_get_sintval(msg, param, res, (long)st->start);
	return pv_get_sintval(
			msg, param, res, (long)(cr_now_s(env) - st->iat / 1000));
}

static int get_state(struct sip_msg *msg, pv_param_t *param, pv_value_t *res,
		const cr_state_t *st, int which)
{
	switch(which) {
		case PV_ID:
			return get_text(msg, param, res, cr_span_str(st->id));
		case PV_CALL_ID:
			return get_text(msg, param, res, st->call_id);
		case PV_ROLE:
			return get_text(msg, param, res,
					cr_span_str(st->role == CR_CALLER ? "caller" : "callee"));
		case PV_LOCAL_URI:
			return get_text(msg, param, res, st->local_uri);
		case PV_LOCAL_TAG:
			return get_text(msg, param, res, st->local_tag);
		case PV_REMOTE_URI:
			return get_text(msg, param, res, st->remote_uri);
		case PV_REMOTE_TAG:
			return get_text(msg, param, res, st->remote_tag);
		case PV_TARGET:
			return get_text(msg, param, res, st->target);
		default:
			return get_number(msg, param, res, st, which);
	}
}

static const char *event_text(const kam_event_t *e, int which)
{
	switch(which) {
		case PV_SUB:
			return e->sub;
		case PV_SID:
			return e->sid;
		case PV_REASON:
			return e->reason;
		case PV_ID:
			return e->id;
		case PV_CALL_ID:
			return e->call_id;
		case PV_CLIENT_CALL_ID:
			return e->client_call_id;
		case PV_ROLE:
			return e->role != NULL ? e->role : "";
		case PV_LOCAL_URI:
			return e->local_uri;
		case PV_LOCAL_TAG:
			return e->local_tag;
		case PV_REMOTE_URI:
			return e->remote_uri;
		default:
			return "";
	}
}

static int get_event(struct sip_msg *msg, pv_param_t *param, pv_value_t *res,
		const kam_event_t *e, int which)
{
	if(which == PV_CODE && e->code != 0)
		return pv_get_sintval(msg, param, res, e->code);
	if(which == PV_AWAY && e->away >= 0)
		return pv_get_sintval(msg, param, res, e->away);
	if(which == PV_START && e->start != 0)
		return pv_get_sintval(msg, param, res, (long)e->start);
	return get_text(msg, param, res, cr_span_str(event_text(e, which)));
}

/* Of the message at hand. @return 1 when it is a number */
static int number_of(struct sip_msg *msg, int which, long *n)
{
	switch(which) {
		case PV_SECURE:
			*n = kam_is_secure(msg);
			return 1;
		case PV_FIRST_HOP:
			*n = kam_is_by_first_hop(msg);
			return 1;
		case PV_SPLICED:
			*n = kam_is_request_route() && kam_is_spliced();
			return 1;
		case PV_IN_CALL:
			*n = kam_in_call(msg);
			return 1;
		case PV_KNOWN:
			*n = kam_is_known(msg);
			return 1;
		case PV_LEFT:
			*n = kam_has_left(msg);
			return 1;
		case PV_CONNECTED:
			*n = kam_is_connected(msg);
			return 1;
		case PV_ABANDONED:
			*n = kam_is_abandoned();
			return 1;
		case PV_TO_CLIENT:
			*n = kam_goes_to_client(msg);
			return 1;
		case PV_FROM_CALLER:
			*n = kam_is_from_caller(msg);
			return 1;
		case PV_USER:
			*n = (long)kam_limit_user(msg);
			return 1;
		case PV_BEGUN:
			*n = kam_begun(msg);
			return 1;
		case PV_ANSWERED:
			*n = kam_answered(msg);
			return 1;
		case PV_NODE:
			*n = kam_node_of_uri(msg);
			return 1;
		case PV_DRAINING:
			*n = kam_is_draining();
			return 1;
		default:
			return 0;
	}
}

/* Of the message at hand. @return 1 when it is a text */
static int text_of(struct sip_msg *msg, int which, cr_span_t *text)
{
	switch(which) {
		case PV_LABEL:
			*text = kam_label();
			return 1;
		case PV_ASKS:
			*text = cr_span_str(kam_asks(msg));
			return 1;
		case PV_STEPS:
			*text = kam_steps_sdp();
			return 1;
		case PV_MEDIA_FROM:
			*text = kam_media_described(msg, KAM_FROM);
			return 1;
		case PV_MEDIA_TO:
			*text = kam_media_described(msg, KAM_TO);
			return 1;
		case PV_MEDIA_ANSWER:
			*text = kam_media_answer(msg);
			return 1;
		case PV_CLIENT_ADDRESS:
			*text = kam_first_hop_client(msg);
			return 1;
		case PV_CALLER:
			*text = kam_party(msg, CR_PURPOSE_CALLER);
			return 1;
		case PV_CALLED:
			*text = kam_party(msg, CR_PURPOSE_CALLEE);
			return 1;
		case PV_PEER:
			*text = kam_node_from(msg);
			return 1;
		case PV_PEER_PROTO:
			*text = kam_node_proto(msg);
			return 1;
		default:
			return 0;
	}
}

/* Of the state that the message has brought, or why it was refused. */
static int get_opened(struct sip_msg *msg, pv_param_t *param, pv_value_t *res,
		kam_opened_t *o, int which)
{
	if(which == PV_CODE && o->code != 0)
		return pv_get_sintval(msg, param, res, o->code);
	if(which == PV_REASON && o->code != 0)
		return get_text(msg, param, res, cr_span_str(o->reason));
	if(which <= PV_REASON || !o->open)
		return pv_get_null(msg, param, res);
	if(which == PV_CLIENT_CALL_ID)
		return get_text(msg, param, res, cr_span_str(o->client_call_id));
	if(which == PV_CALLEE)
		return get_text(msg, param, res, kam_opened_callee(msg));
	return get_state(msg, param, res, &o->state, which);
}

int kam_pv_get(struct sip_msg *msg, pv_param_t *param, pv_value_t *res)
{
	int which = param->pvn.u.isname.name.n;
	cr_span_t text;
	long n;

	if(msg == NULL)
		return -1;
	if(kam_event() != NULL)
		return get_event(msg, param, res, kam_event(), which);
	if(number_of(msg, which, &n))
		return pv_get_sintval(msg, param, res, n);
	if(text_of(msg, which, &text))
		return get_text(msg, param, res, text);
	if(which == PV_CONNECTION)
		return kam_connection(msg) > 0
				? pv_get_sintval(msg, param, res, kam_connection(msg))
				: pv_get_null(msg, param, res);
	if(which == PV_SENDER)
		return get_sender(msg, param, res);
	if(which <= PV_ERROR)
		return get_session(msg, param, res, kam_session(msg), which);
	return get_opened(msg, param, res, kam_opened(msg), which);
}
