/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resume_seal(), and the session reference that it leaves in our Record-Route. What
 * has to happen to replies is left to callbacks of the transaction, so that the
 * gateway keeps nothing once that is over.
 */
#include "kam_seal.h"
#include "kam_early.h"
#include "kam_env.h"
#include "kam_fingerprint.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_node.h"
#include "kam_quiet.h"
#include "kam_route.h"
#include "kam_session.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_cseq.h"
#include "../../core/parser/parse_to.h"
#include "../../core/socket_info.h"
#include "../../core/timer.h"
#include "../../core/ut.h"

#include "core/ref.h"
#include "core/seal.h"

#define ORDER_MAX CR_SEAL_ORDER_MAX
#define REPEATED_MS 400 /* less than T1 */
/* Above the CSeq of the INVITE, and of what the client has sent. */
#define PRACK_CSEQ 500

/* ---- orders to seal --------------------------------------------------------------- */

/* What the sender of the message says of itself. The media server has not rewritten the
 * text that it came in.
 * @param offer  1 when a description in it is an offer */
static cr_far_t read_far(
		char mem[CR_FAR_MAX], const struct sip_msg *msg, int offer)
{
	cr_far_t far = {0};

	if(kam_config.quiet == KAM_QUIET_OFF
			|| cr_far_read(&far, mem, (cr_span_t){msg->buf, msg->len}, offer,
					   kam_config.quiet == KAM_QUIET_UPDATE)
					!= CR_OK)
		far = (cr_far_t){0};
	return far;
}

/* @param order  iat_ms 0 is now
 * @param offer  as for read_far() */
static int put_order(struct sip_msg *msg, const cr_order_t *order, int offer)
{
	char text[CR_FAR_MAX];
	static const char name[] = CR_HDR_STATE ": ";
	char mem[ORDER_MAX];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	const cr_env_t *env = kam_env();
	cr_order_t timed = *order;
	int len;

	if(env == NULL)
		return -1;
	if(order->ringing == 0)
		timed.far = read_far(text, msg, offer);
	if(timed.iat_ms == 0)
		timed.iat_ms = env->now_ms;
	cr_put_str(&w, name);
	len = cr_seal_order(mem + w.len, sizeof(mem) - w.len - 2, env, &timed);
	if(len < 0)
		return -1;
	w.len += (size_t)len;
	cr_put_str(&w, "\r\n");
	return kam_add_header(msg, cr_written(&w));
}

/* ---- replies of a transaction -------------------------------------------------- */

/* What the replies of a transaction need; in shared memory as long as it. */
typedef struct pending
{
	cr_purpose_t purpose; /* 0: nothing to seal */
	int in_dialog;        /* the request has target and route set */
	int resumed;          /* the request came from resume_dialog() */
	int64_t iat_ms;       /* when the first 2xx was sealed, for its copies */
	unsigned answer;      /* a hash of its tag; 0: not answered yet */
	ticks_t answered;     /* when */
	unsigned pracks;      /* that were sent in the client's place */
	size_t ref_len;
	char ref[];
} pending_t;

/* What an earlier resume has left in our Route: see CR_ROUTE_QUIET. */
static cr_span_t without_quiet(cr_writer_t *w, cr_span_t uri)
{
	cr_span_t whole;

	if(!cr_param_find(uri, CR_ROUTE_QUIET, NULL, &whole))
		return uri;
	cr_put_span(w, (cr_span_t){uri.s, (size_t)(whole.s - uri.s)});
	cr_put_span(w,
			(cr_span_t){whole.s + whole.len,
					(size_t)(uri.s + uri.len - whole.s) - whole.len});
	return cr_written(w);
}

/* The first Route of the client's set is how it reaches us. It may have come
 * back on another transport than the one it was lost on: name the socket that
 * its request came in on.
 * @param quiet  1 when the far end has not seen the request */
static void put_own_route(cr_writer_t *w, cr_span_t uri,
		struct sip_msg *request, uint32_t cseq, int quiet)
{
	struct socket_info *si = request->rcv.bind_address;
	char mem[CR_TARGET_MAX];
	cr_writer_t bare = cr_writer(mem, sizeof(mem));
	str proto = STR_NULL;

	if(si == NULL || !kam_is_own(uri)) {
		cr_put_span(w, uri);
		return;
	}
	uri = without_quiet(&bare, uri);
	if(request->rcv.proto != PROTO_UDP)
		get_valid_proto_string(request->rcv.proto, 1, 0, &proto);
	cr_uri_rehome(w, uri,
			kam_span(si->useinfo.name.len > 0 ? si->useinfo.name
											  : si->address_str),
			si->useinfo.port_no != 0 ? si->useinfo.port_no : si->port_no,
			kam_span(proto));
	if(!quiet)
		return;
	cr_put_str(w, ";" CR_ROUTE_QUIET "=");
	cr_put_uint(w, cseq);
}

/* Give the client its route set: many peers do not copy Record-Route into the
 * 2xx of a re-INVITE, but for the client it begins a dialog (RFC 3261 section
 * 12.1.2). */
static int put_record_routes(
		struct sip_msg *reply, const cr_sip_t *text, struct sip_msg *request)
{
	cr_addr_t routes[CR_STATE_ROUTES_MAX];
	cr_span_t value;
	char mem[ORDER_MAX];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_value_iter_t it = {0};
	int n = 0, quiet = kam_is_quiet(reply);

	while(n < CR_STATE_ROUTES_MAX && cr_sip_next(text, CR_ROUTE, &it, &value)) {
		if(cr_addr_parse(&routes[n], value) == CR_OK)
			n++;
	}
	while(n-- > 0) {
		cr_put_str(&w, "Record-Route: <");
		if(n == 0)
			put_own_route(&w, routes[n].uri, request, text->cseq, quiet);
		else
			cr_put_span(&w, routes[n].uri);
		cr_put_str(&w, ">\r\n");
	}
	if(cr_writer_end(&w) != CR_OK
			|| kam_remove_headers(reply, CR_SPAN("Record-Route")) < 0)
		return -1;
	return w.len > 0 ? kam_add_header(reply, cr_written(&w)) : 0;
}

/* And a remote target (RFC 3261 section 12.1.2): for the peer this is a re-INVITE, in the
 * 2xx of which Contact is optional (section 12.2.1.2), and its target stays as it was. */
static int put_contact(struct sip_msg *reply, int code, const cr_sip_t *request)
{
	char mem[ORDER_MAX];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	if(code >= 300)
		return 0;
	if(parse_headers(reply, HDR_EOH_F, 0) < 0)
		return -1;
	if(reply->contact != NULL)
		return 0;
	cr_put_str(&w, "Contact: <");
	cr_put_span(&w, request->ruri);
	cr_put_str(&w, ">\r\n");
	return cr_writer_end(&w) == CR_OK ? kam_add_header(reply, cr_written(&w))
									  : -1;
}

/* A call that rings has a state too, of a dialog that is not confirmed (RFC 3261 section
 * 12.1). */
static int is_early(const pending_t *p, const struct tmcb_params *ps)
{
	return kam_config.manage && p->purpose == CR_PURPOSE_CALLER && !p->in_dialog
			&& ps->code < 200 && parse_headers(ps->rpl, HDR_TO_F, 0) == 0
			&& get_to(ps->rpl) != NULL && get_to(ps->rpl)->tag_value.len > 0;
}

/* A reliable provisional reply (RFC 3262 section 3). @return its RSeq, or 0 */
static uint32_t rseq_of(struct sip_msg *reply)
{
	cr_span_t value;
	str number;
	unsigned n;

	if(kam_find_headers(reply, CR_SPAN("RSeq"), &value) != 1)
		return 0;
	number = kam_str(value);
	return str2int(&number, &n) == 0 ? n : 0;
}

/* The far end has waited for its ACK (RFC 3261 section 13.3.1.4: T1). What comes sooner the
 * network has doubled. */
static int is_repeated(const pending_t *p)
{
	return TICKS_TO_MS((ticks_t)(get_ticks_raw() - p->answered)) >= REPEATED_MS;
}

/* Whether the client is there for it will be seen when it is sent. */
static void expect(struct cell *t, pending_t *p, struct tmcb_params *ps)
{
	kam_unheard_t what = {.new_call = !p->in_dialog && !p->resumed,
			.canceled = was_cancelled(t) != 0,
			.late = !kam_has_body(ps->req)};
	unsigned tag;

	if(p->purpose == 0 || ps->req->REQ_METHOD != METHOD_INVITE
			|| ps->code >= 300 || parse_headers(ps->rpl, HDR_TO_F, 0) < 0
			|| get_to(ps->rpl) == NULL || get_to(ps->rpl)->tag_value.len == 0)
		return;
	if(ps->code < 200) {
		what.rseq = what.new_call ? rseq_of(ps->rpl) : 0;
		if(what.rseq == 0
				|| str2int(&get_cseq(ps->req)->number, &what.cseq) < 0)
			return;
		what.cseq += PRACK_CSEQ + p->pracks++;
	} else {
		tag = core_hash(&get_to(ps->rpl)->tag_value, NULL, 0) | 1;
		what.repeated = p->answer == tag && is_repeated(p);
		what.other = p->answer != 0 && p->answer != tag;
		if(p->answer == 0) {
			p->answer = tag;
			p->answered = get_ticks_raw();
		}
		if(what.new_call && p->ref_len <= sizeof(what.ref)) {
			memcpy(what.ref, p->ref, p->ref_len);
			what.ref_len = p->ref_len;
		}
	}
	kam_unheard_expect(&what);
}

/* @return 0 or -1 */
static int seal(struct cell *t, pending_t *p, struct tmcb_params *ps,
		const cr_sip_t *request)
{
	int early = is_early(p, ps);
	const cr_env_t *env = kam_env();
	cr_order_t order = {.purpose = p->purpose,
			.ref = {p->ref, p->ref_len},
			.ringing = early ? kam_transaction_number(t) : 0,
			.request = request};

	if(!early) {
		if(p->iat_ms == 0 && env != NULL)
			p->iat_ms = env->now_ms;
		order.iat_ms = p->iat_ms;
		order.answers = kam_config.node > 0 && p->purpose == CR_PURPOSE_CALLER
				&& !p->in_dialog && !p->resumed && ps->code < 300;
	}
	return put_order(ps->rpl, &order, !kam_has_body(ps->req));
}

static void on_reply(struct cell *t, int type, struct tmcb_params *ps)
{
	static cr_sip_t request;
	pending_t *p = *ps->param;
	int needs_request = p->resumed || p->in_dialog;

	(void)type;
	if(ps->rpl == NULL || ps->rpl == FAKED_REPLY || ps->code <= 100)
		return;
	int seals = p->purpose != 0 && (ps->code >= 200 || is_early(p, ps));

	if(!seals && !p->resumed)
		return;
	if(needs_request
			&& cr_sip_parse(&request, (cr_span_t){ps->req->buf, ps->req->len})
					!= CR_OK) {
		kam_count(KAM_SEALS_FAILED);
		return;
	}
	if(p->resumed
			&& (put_record_routes(ps->rpl, &request, ps->req) < 0
					|| put_contact(ps->rpl, ps->code, &request) < 0))
		LM_ERR("cannot write the route set of a resumed dialog\n");
	if(seals && seal(t, p, ps, p->in_dialog ? &request : NULL) < 0) {
		LM_ERR("cannot seal into a reply\n");
		kam_count(KAM_SEALS_FAILED);
	}
	if(p->resumed && ps->code >= 200 && ps->code < 300)
		kam_unheard_resumed(&ps->req->callid->body);
	expect(t, p, ps);
}

int kam_seal_is_of(
		struct cell *t, const cr_state_t *st, const cr_token_t *by, cr_fp_t *fp)
{
	const cr_env_t *env = kam_env();
	cr_ref_t ref;

	for(volatile struct tm_callback *c = t->tmcb_hl.first; env != NULL && c;
			c = c->next) {
		const pending_t *p = c->param;

		if(c->callback != on_reply || p->purpose != CR_PURPOSE_CALLER
				|| p->in_dialog
				|| cr_ref_open(&ref, env->work->box, env->crypto, env->ring,
						   cr_now_s(env), p->purpose, st->call_id,
						   (cr_span_t){p->ref, p->ref_len})
						!= CR_OK
				|| !cr_span_eq(ref.sub, cr_span_str(by->sub))
				|| !cr_span_eq(ref.sid, cr_span_str(by->sid)))
			continue;
		*fp = ref.fp;
		return 1;
	}
	return 0;
}

static void release_pending(void *p)
{
	shm_free(p);
}

static int watch_replies(
		struct sip_msg *msg, const pending_t *what, cr_span_t ref)
{
	pending_t *p = shm_malloc(sizeof(*p) + ref.len);

	if(p == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	*p = *what;
	p->ref_len = ref.len;
	memcpy(p->ref, ref.s, ref.len);
	if(kam_tm.register_tmcb(
			   msg, 0, TMCB_RESPONSE_FWDED, on_reply, p, release_pending)
			<= 0) {
		LM_ERR("cannot watch the replies of a transaction\n");
		shm_free(p);
		return -1;
	}
	return 0;
}

int kam_watch_resumed(struct sip_msg *msg)
{
	pending_t what = {.resumed = 1};

	return watch_replies(msg, &what, CR_SPAN(""));
}

/* ---- resume_seal() -------------------------------------------------------------- */

/* Put the session reference into our Record-Route. */
static int put_ref(struct sip_msg *msg, cr_purpose_t purpose, cr_span_t ref)
{
	char mem[CR_BOX_TEXT_MAX + 16];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	str param;

	cr_put_str(&w, ";");
	cr_put_str(&w,
			purpose == CR_PURPOSE_CALLER ? CR_REF_PARAM_CALLER
										 : CR_REF_PARAM_CALLEE);
	cr_put_str(&w, "=");
	cr_put_span(&w, ref);
	if(cr_writer_end(&w) != CR_OK)
		return -1;
	param = kam_str(cr_written(&w));
	return kam_rr.add_rr_param(msg, &param);
}

/* Seal a reference to the session, in text.
 * @param fp  what the call is to be bound to, if anything
 * @return its length or an error */
static int make_ref(char *text, size_t max, struct sip_msg *msg,
		cr_purpose_t purpose, cr_span_t kid, cr_span_t sub, cr_span_t sid,
		const cr_fp_t *fp)
{
	const cr_env_t *env = kam_env();
	const cr_key_t *sealing, *client;
	cr_ref_t ref = {.sub = sub, .sid = sid, .fp = *fp};
	unsigned cseq;

	if(env == NULL || parse_headers(msg, HDR_CALLID_F | HDR_CSEQ_F, 0) < 0
			|| msg->callid == NULL || msg->cseq == NULL)
		return CR_EINTERNAL;
	sealing = cr_ring_sealing(env->ring, cr_now_s(env));
	client = cr_ring_by_kid(env->ring, kid, cr_now_s(env));
	if(client == NULL)
		client = sealing;
	if(sealing == NULL)
		return CR_EKEY;
	memcpy(ref.hint, client->hint, sizeof(ref.hint));
	ref.start = (uint32_t)cr_now_s(env);
	if(purpose == CR_PURPOSE_CALLER
			&& str2int(&get_cseq(msg)->number, &cseq) == 0
			&& cseq >= CR_CSEQ_HIGH)
		ref.cseq = cseq;
	return cr_ref_seal(text, max, env->crypto, sealing, purpose,
			kam_span(msg->callid->body), &ref);
}

/* A call whose session does not fit into our Record-Route is not sealed, but still
 * proves itself: by a reference that names nobody. */
static int put_nameless_ref(struct sip_msg *msg, cr_purpose_t purpose)
{
	char text[CR_BOX_TEXT_MAX];
	const cr_fp_t fp = {0};
	int len = make_ref(text, sizeof(text), msg, purpose, CR_SPAN(""),
			CR_SPAN(""), CR_SPAN(""), &fp);

	if(len >= 0 && put_ref(msg, purpose, (cr_span_t){text, (size_t)len}) == 0)
		return 1;
	LM_ERR("the call will not be known as ours\n");
	return -1;
}

static int seal_failed(const char *why)
{
	LM_ERR("%s\n", why);
	kam_count(KAM_SEALS_FAILED);
	return -1;
}

/* One that asks for it and cannot be understood gets no state, rather than one that
 * is worth something to others. */
static int is_usable(int err)
{
	return err == CR_OK || err == CR_EMISSING;
}

/* The reference of a client that begins a call.
 * @param usable  0: its states would not be bound as it asks, so it gets none
 * @return its length or an error */
static int caller_ref(struct sip_msg *msg, char *text, size_t max, int *usable)
{
	kam_session_t *s = kam_session(msg);
	cr_fp_t fp = {0};

	*usable = kam_config.bind_fingerprint == KAM_BIND_OFF
			|| (is_usable(kam_fp_named(&fp, msg))
					&& (!fp.known || kam_fp_is_offered(&fp, msg)));
	/* The reference says that the call is ours, and resumes with no certificate
	 * that there is. */
	if(!*usable)
		fp = (cr_fp_t){.known = 1};
	return make_ref(text, max, msg, CR_PURPOSE_CALLER,
			cr_span_str(s->token.kid), cr_span_str(s->token.sub),
			cr_span_str(s->token.sid), &fp);
}

int kam_make_caller_ref(struct sip_msg *msg, char *text, size_t max)
{
	int usable;

	return caller_ref(msg, text, max, &usable);
}

/* A new call of the client; or of another node's, which has made its reference. */
static int seal_caller(struct sip_msg *msg)
{
	pending_t what = {.purpose = CR_PURPOSE_CALLER};
	char text[CR_BOX_TEXT_MAX];
	cr_span_t ref = kam_node_ref(msg);
	int usable = 1;

	if(ref.len == 0) {
		int len;

		if(!kam_session(msg)->authenticated)
			return seal_failed("resume_seal() on a new call needs a "
							   "resume_auth() that was true, or the session as "
							   "arguments");
		len = caller_ref(msg, text, sizeof(text), &usable);
		if(len < 0)
			return seal_failed(cr_strerror(len));
		ref = (cr_span_t){text, (size_t)len};
	}
	if(put_ref(msg, CR_PURPOSE_CALLER, ref) < 0) {
		(void)put_nameless_ref(msg, CR_PURPOSE_CALLER);
		return seal_failed("the session is too long for a Record-Route");
	}
	if(usable
			&& (watch_replies(msg, &what, ref) < 0
					|| (kam_config.manage && kam_early_media_watch(msg) < 0)))
		return seal_failed("cannot prepare to seal");
	if(!usable)
		return seal_failed(
				"Call-State-Fingerprint is not one of SHA-256, or not"
				" that of the offer");
	return 1;
}

/* A new call to the client. */
static int seal_callee(struct sip_msg *msg, cr_span_t sub, cr_span_t sid,
		cr_span_t kid, cr_span_t fingerprint)
{
	char text[CR_BOX_TEXT_MAX];
	cr_fp_t fp = {0};
	int len;

	if(kam_config.bind_fingerprint != KAM_BIND_OFF
			&& !is_usable(cr_fp_parse(&fp, fingerprint)))
		return seal_failed("the fingerprint is not one of SHA-256");
	len = make_ref(
			text, sizeof(text), msg, CR_PURPOSE_CALLEE, kid, sub, sid, &fp);
	if(len < 0)
		return seal_failed(cr_strerror(len));
	cr_span_t ref = {text, (size_t)len};
	if(put_ref(msg, CR_PURPOSE_CALLEE, ref) < 0) {
		(void)put_nameless_ref(msg, CR_PURPOSE_CALLEE);
		return seal_failed("the session is too long for a Record-Route");
	}
	if(kam_fp_expect(&fp) < 0
			|| put_order(msg,
					   &(cr_order_t){.purpose = CR_PURPOSE_CALLEE, .ref = ref},
					   1)
					< 0)
		return seal_failed("cannot prepare to seal");
	return 1;
}

/* The receiver's answer has to be of the certificate that its side of the call is
 * bound to. */
static int expect_answer(struct sip_msg *msg, cr_purpose_t to)
{
	cr_ref_t ref;

	if(kam_config.bind_fingerprint == KAM_BIND_OFF
			|| kam_open_route_ref(&ref, msg, to) != CR_OK)
		return 0;
	return kam_fp_expect(&ref.fp);
}

/* In a dialog: the sender, if a client, wants the state in the 2xx; the
 * receiver, if a client, needs to know a new remote target. */
static int seal_in_dialog(struct sip_msg *msg)
{
	int method = msg->first_line.u.request.method_value, done = 0;
	pending_t what = {.in_dialog = 1};
	cr_purpose_t to;
	cr_span_t ref;

	what.purpose = kam_sender(msg);
	to = kam_other_side(what.purpose);
	if(expect_answer(msg, to) < 0)
		return seal_failed("cannot prepare to judge the answer");
	if(method & (METHOD_ACK | METHOD_BYE | METHOD_CANCEL | METHOD_PRACK))
		return -1;
	if(kam_route_ref(msg, what.purpose, &ref)) {
		if(watch_replies(msg, &what, ref) < 0)
			return seal_failed("cannot prepare to seal");
		done = 1;
	}
	if((method & (METHOD_INVITE | METHOD_UPDATE))
			&& kam_route_ref(msg, to, &ref)) {
		if(put_order(msg, &(cr_order_t){.purpose = to, .ref = ref}, 1) < 0)
			return seal_failed("cannot prepare to seal");
		done = 1;
	}
	return done ? 1 : -1;
}

static int has_to_tag(struct sip_msg *msg)
{
	return parse_headers(msg, HDR_TO_F, 0) == 0 && msg->to != NULL
			&& get_to(msg) != NULL && get_to(msg)->tag_value.len > 0;
}

static int is_new_invite(struct sip_msg *msg)
{
	return msg->first_line.u.request.method_value == METHOD_INVITE
			&& !has_to_tag(msg);
}

int ki_resume_seal(struct sip_msg *msg)
{
	if(msg->first_line.type != SIP_REQUEST)
		return seal_failed("resume_seal() is for requests");
	if(has_to_tag(msg))
		return seal_in_dialog(msg);
	return is_new_invite(msg) ? seal_caller(msg) : -1;
}

int ki_resume_seal_bound(
		struct sip_msg *msg, str *sub, str *sid, str *kid, str *fingerprint)
{
	if(msg->first_line.type != SIP_REQUEST || !is_new_invite(msg))
		return seal_failed(
				"resume_seal(sub, sid, kid) is for the INVITE of a new call");
	if(sub->len == 0 && sid->len == 0)
		return put_nameless_ref(msg, CR_PURPOSE_CALLEE);
	return seal_callee(msg, kam_span(*sub), kam_span(*sid), kam_span(*kid),
			kam_span(*fingerprint));
}

int ki_resume_seal_session(struct sip_msg *msg, str *sub, str *sid, str *kid)
{
	str none = str_init("");

	return ki_resume_seal_bound(msg, sub, sid, kid, &none);
}
