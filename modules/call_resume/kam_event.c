/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_event.h"
#include "kam_env.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_quiet.h"
#include "kam_resume.h"
#include "kam_session.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/fmsg.h"
#include "../../core/kemi.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/route.h"

#include "core/base.h"
#include "core/ref.h"
#include "core/seal.h"
#include "core/text.h"

typedef enum kind
{
	EV_RESUMED,
	EV_REFUSED,
	EV_ENDED,
	EV_OVER,
	EV_REPLACED,
	EV_OFFER,
	EV_ANSWER,
	EV_ABANDONED,
	EV_N,
} kind_t;

/* With a dash: Kamailio takes no underscore in front of the colon. */
static const char *const names[EV_N] = {
		[EV_RESUMED] = "call-resume:resumed",
		[EV_REFUSED] = "call-resume:refused",
		[EV_ENDED] = "call-resume:ended-while-away",
		[EV_OVER] = "call-resume:over",
		[EV_REPLACED] = "call-resume:replaced",
		[EV_OFFER] = "call-resume:offer",
		[EV_ANSWER] = "call-resume:answer",
		[EV_ABANDONED] = "call-resume:abandoned",
};

static int routes[EV_N];
static const kam_event_t *current;

int kam_event_init(void)
{
	for(int i = 0; i < EV_N; i++) {
		routes[i] = route_lookup(&event_rt, (char *)names[i]);
		if(routes[i] >= 0 && event_rt.rlist[routes[i]] == NULL)
			routes[i] = -1;
	}
	return faked_msg_init() < 0 ? -1 : 0;
}

const kam_event_t *kam_event(void)
{
	return current;
}

/* ---- running a route -------------------------------------------------------- */

static void run_kemi(struct sip_msg *msg, kind_t kind)
{
	sr_kemi_eng_t *engine = sr_kemi_eng_get();
	str callback = {kam_config.event_callback, 0};
	str name = {(char *)names[kind], (int)strlen(names[kind])};

	if(callback.s == NULL || callback.s[0] == '\0' || engine == NULL)
		return;
	callback.len = (int)strlen(callback.s);
	if(sr_kemi_route(engine, msg, EVENT_ROUTE, &callback, &name) < 0)
		LM_ERR("the event callback failed\n");
}

/* @param msg  the request that it is about, or NULL where there is none that a
 *             script may touch */
static void run(kind_t kind, struct sip_msg *msg, const kam_event_t *e)
{
	int type = get_route_type();

	if(current != NULL
			|| (routes[kind] < 0 && kam_config.event_callback == NULL))
		return;
	if(msg == NULL)
		msg = faked_msg_next();
	current = e;
	set_route_type(EVENT_ROUTE);
	if(routes[kind] >= 0)
		run_top_route(event_rt.rlist[routes[kind]], msg, NULL);
	else
		run_kemi(msg, kind);
	set_route_type(type);
	current = NULL;
}

static const char *or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static void refused(struct sip_msg *msg, const kam_event_t *e)
{
	LM_NOTICE("call %s: resume by %s refused, %d %s%s%s\n", or_dash(e->id),
			or_dash(e->sub), e->code, e->reason, msg != NULL ? ", from " : "",
			msg != NULL ? ip_addr2a(&msg->rcv.src_ip) : "");
	run(EV_REFUSED, msg, e);
}

/* A BYE was answered for the client, or the client has come back to a call that is over:
 * of one and the same call, maybe, on whatever node. Each is counted as what it is. */
static void ended(struct sip_msg *msg, const kam_event_t *e, kam_stat_t as)
{
	kam_count(as);
	LM_INFO("call %s: ended while %s was away\n", or_dash(e->id),
			or_dash(e->sub));
	run(EV_ENDED, msg, e);
}

/* ---- what is known ------------------------------------------------------------- */

/* Cut off rather than refused: it is for people to read. */
#define COPY(field, text) cr_text_show(e->field, sizeof(e->field), text)

static void fill_session(kam_event_t *e, const kam_session_t *s)
{
	memset(e, 0, sizeof(*e));
	e->away = -1;
	if(s->token.sid[0] == '\0')
		return;
	COPY(sub, cr_span_str(s->token.sub));
	COPY(sid, cr_span_str(s->token.sid));
}

static void fill_state(kam_event_t *e, const cr_state_t *st)
{
	const cr_env_t *env = kam_env();

	COPY(id, cr_span_str(st->id));
	COPY(call_id, st->call_id);
	COPY(local_uri, st->local_uri);
	COPY(local_tag, st->local_tag);
	COPY(remote_uri, st->remote_uri);
	e->role = st->role == CR_CALLER ? "caller" : "callee";
	e->start = st->start;
	if(env == NULL)
		return;
	e->away = (int)(cr_now_s(env) - st->iat / 1000);
	/* Sealed by a node whose clock is ahead. */
	if(e->away < 0)
		e->away = 0;
}

/* ---- refused here ---------------------------------------------------------------- */

void kam_event_refused(struct sip_msg *msg)
{
	const kam_opened_t *o = kam_opened(msg);
	kam_event_t e;

	fill_session(&e, kam_session(msg));
	if(o->known)
		fill_state(&e, &o->state);
	e.code = o->code;
	cr_text_show(e.reason, sizeof(e.reason), cr_span_str(o->reason));
	refused(msg, &e);
}

static int is_resume(struct sip_msg *msg)
{
	cr_span_t state;

	return msg->first_line.type == SIP_REQUEST
			&& msg->first_line.u.request.method_value == METHOD_INVITE
			&& kam_find_headers(msg, CR_SPAN(CR_HDR_STATE), &state) > 0;
}

void kam_event_unauthorized(struct sip_msg *msg, int code, const char *why)
{
	kam_event_t e;

	if(!is_resume(msg))
		return;
	memset(&e, 0, sizeof(e));
	e.away = -1;
	e.code = code;
	snprintf(e.reason, sizeof(e.reason), "token %s", why);
	/* The line about the token is the script's. */
	run(EV_REFUSED, msg, &e);
}

/* ---- what the far end says --------------------------------------------------------- */

static void on_final(struct cell *t, int type, struct tmcb_params *ps)
{
	kam_event_t e = *(const kam_event_t *)*ps->param;
	int quiet;

	(void)type;
	if(ps->code < 200)
		return;
	e.code = ps->code;
	if(ps->rpl != NULL && ps->rpl != FAKED_REPLY)
		cr_text_show(e.reason, sizeof(e.reason),
				kam_span(ps->rpl->first_line.u.reply.reason));
	if(ps->code >= 300) {
		kam_count(KAM_RESUMES_FAILED);
		refused(NULL, &e);
		if(ps->code == 481)
			ended(NULL, &e, KAM_RESUMES_LATE);
		return;
	}
	kam_count(KAM_RESUMES_ANSWERED);
	kam_count_many(KAM_AWAY_SECONDS, e.away);
	quiet = kam_is_quiet(ps->rpl);
	LM_INFO("call %s: resumed by %s, away for %d s, session %s, Call-ID %s, at"
			" the client %s%s\n",
			e.id, e.sub, e.away, e.sid, e.call_id, e.client_call_id,
			quiet ? ", the far end was not asked" : "");
	if(quiet)
		kam_quiet_answered(t);
	run(EV_RESUMED, NULL, &e);
}

static void release(void *e)
{
	shm_free(e);
}

static int watch(struct sip_msg *msg, transaction_cb on_reply)
{
	kam_event_t *e = shm_malloc(sizeof(*e));

	if(e == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	fill_session(e, kam_session(msg));
	fill_state(e, &kam_opened(msg)->state);
	COPY(client_call_id, cr_span_str(kam_opened(msg)->client_call_id));
	if(kam_tm.register_tmcb(msg, 0, TMCB_RESPONSE_OUT, on_reply, e, release)
			<= 0) {
		LM_ERR("cannot watch the replies of a transaction\n");
		shm_free(e);
		return -1;
	}
	return 0;
}

int kam_event_watch(struct sip_msg *msg)
{
	return watch(msg, on_final);
}

/* ---- a new call in the place of one that both ends have lost ----------------------- */

static void on_replaced(struct cell *t, int type, struct tmcb_params *ps)
{
	kam_event_t e = *(const kam_event_t *)*ps->param;

	(void)t;
	(void)type;
	if(ps->code < 200 || ps->code >= 300)
		return;
	e.code = ps->code;
	run(EV_REPLACED, NULL, &e);
}

int kam_event_watch_again(struct sip_msg *msg)
{
	return watch(msg, on_replaced);
}

/* ---- what only the script can do --------------------------------------------------- */

static void tell(kind_t kind, struct sip_msg *msg)
{
	kam_event_t e;

	memset(&e, 0, sizeof(e));
	e.away = -1;
	run(kind, msg, &e);
}

void kam_event_over(struct sip_msg *msg)
{
	tell(EV_OVER, msg);
}

void kam_event_call_over(const struct cell *t)
{
	static char text[BUF_SIZE];
	struct cell *was = kam_tm.t_gett();
	int branch = kam_tm.t_gett_branch();
	struct sip_msg copy;

	if(kam_copy_request(&copy, text, t->uas.request) < 0)
		return;
	kam_tm.t_sett(T_UNDEFINED, T_BR_UNDEFINED);
	kam_event_over(&copy);
	kam_tm.t_sett(was, branch);
	free_sip_msg(&copy);
}

void kam_event_offer(struct sip_msg *msg)
{
	tell(EV_OFFER, msg);
}

void kam_event_answer(struct sip_msg *msg)
{
	tell(EV_ANSWER, msg);
}

void kam_event_abandoned(const kam_event_t *e)
{
	run(EV_ABANDONED, NULL, e);
}

/* ---- ended without the client ------------------------------------------------------ */

/* The session reference in our own Route, which the far end's request brings.
 * @return 1 when there is one that opens */
static int open_route_ref(
		cr_ref_t *ref, cr_purpose_t *purpose, const cr_sip_t *m)
{
	const cr_env_t *env = kam_env();
	cr_value_iter_t it = {0};
	cr_span_t value, text;
	cr_addr_t a;

	while(env != NULL && cr_sip_next(m, CR_ROUTE, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK)
			continue;
		*purpose = CR_PURPOSE_CALLER;
		if(!cr_param_find(a.uri, CR_REF_PARAM_CALLER, &text, NULL)) {
			*purpose = CR_PURPOSE_CALLEE;
			if(!cr_param_find(a.uri, CR_REF_PARAM_CALLEE, &text, NULL))
				continue;
		}
		if(cr_ref_open(ref, env->work->box, env->crypto, env->ring,
				   cr_now_s(env), *purpose, m->call_id, text)
				== CR_OK)
			return 1;
	}
	return 0;
}

static cr_span_t uri_in(cr_span_t field)
{
	cr_addr_t a;

	return cr_addr_parse(&a, field) == CR_OK ? a.uri : cr_span_sub(field, 0, 0);
}

static int fill_request(kam_event_t *e, const cr_sip_t *m)
{
	cr_span_t from = cr_sip_field(m, CR_FROM)->value;
	cr_span_t to = cr_sip_field(m, CR_TO)->value;
	const cr_env_t *env = kam_env();
	cr_purpose_t purpose;
	cr_ref_t ref;

	memset(e, 0, sizeof(*e));
	e->away = -1;
	if(env == NULL || !open_route_ref(&ref, &purpose, m))
		return -1;
	COPY(sub, ref.sub);
	COPY(sid, ref.sid);
	COPY(call_id, m->call_id);
	COPY(local_uri, uri_in(to));
	COPY(remote_uri, uri_in(from));
	e->start = ref.start;
	e->role = purpose == CR_PURPOSE_CALLER ? "caller" : "callee";
	return cr_session_id(e->id, env->crypto, m->call_id,
			cr_tag_of(purpose == CR_PURPOSE_CALLER ? to : from));
}

/* For the request of a far end that ends a call whose client is not there. */
int ki_resume_ended(struct sip_msg *msg)
{
	static cr_sip_t m;
	kam_event_t e;

	if(msg->first_line.type != SIP_REQUEST
			|| cr_sip_parse(&m, (cr_span_t){msg->buf, msg->len}) != CR_OK
			|| fill_request(&e, &m) != CR_OK)
		return -1;
	ended(msg, &e, KAM_ENDED_AWAY);
	return 1;
}
