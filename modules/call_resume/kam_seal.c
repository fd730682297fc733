/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resume_seal(), and the session reference that it leaves in our Record-Route. What
 * has to happen to replies is left to callbacks of the transaction, so that the
 * gateway keeps nothing once that is over.
 */
#include "kam.h"

#include "../../core/data_lump.h"
#include "../../core/dprint.h"
#include "../../core/forward.h"
#include "../../core/mem/mem.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_cseq.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_rr.h"
#include "../../core/parser/parse_to.h"
#include "../../core/parser/parse_uri.h"
#include "../../core/socket_info.h"
#include "../../core/ut.h"
#include "../../modules/rr/loose.h"

#include "core/ref.h"
#include "core/seal.h"
#include "core/text.h"

#define ORDER_MAX 4096

/* ---- header fields ----------------------------------------------------------- */

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

/* @param iat_ms  when the state was sealed first; 0 is now, and set to it */
static int put_order(struct sip_msg *msg, cr_purpose_t purpose, cr_span_t ref,
		int64_t *iat_ms, const cr_sip_t *request)
{
	static const char name[] = CR_HDR_STATE ": ";
	char mem[ORDER_MAX];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	const cr_env_t *env = kam_env();
	int len;

	if(env == NULL)
		return -1;
	if(*iat_ms == 0)
		*iat_ms = env->now_ms;
	cr_put_str(&w, name);
	len = cr_seal_order(mem + w.len, sizeof(mem) - w.len - 2, env, purpose, ref,
			*iat_ms, request);
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
	size_t ref_len;
	char ref[];
} pending_t;

static int is_own(cr_span_t uri)
{
	str text = kam_str(uri);
	struct sip_uri parsed;

	return parse_uri(text.s, text.len, &parsed) == 0
			&& check_self(&parsed.host, 0, 0) == 1;
}

/* The first Route of the client's set is how it reaches us. It may have come
 * back on another transport than the one it was lost on: name the socket that
 * its request came in on. */
static void put_own_route(
		cr_writer_t *w, cr_span_t uri, struct sip_msg *request)
{
	struct socket_info *si = request->rcv.bind_address;
	str proto = STR_NULL;

	if(si == NULL || !is_own(uri)) {
		cr_put_span(w, uri);
		return;
	}
	if(request->rcv.proto != PROTO_UDP)
		get_valid_proto_string(request->rcv.proto, 1, 0, &proto);
	cr_uri_rehome(w, uri,
			kam_span(si->useinfo.name.len > 0 ? si->useinfo.name
											  : si->address_str),
			si->useinfo.port_no != 0 ? si->useinfo.port_no : si->port_no,
			kam_span(proto));
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
	int n = 0;

	while(n < CR_STATE_ROUTES_MAX && cr_sip_next(text, CR_ROUTE, &it, &value)) {
		if(cr_addr_parse(&routes[n], value) == CR_OK)
			n++;
	}
	while(n-- > 0) {
		cr_put_str(&w, "Record-Route: <");
		if(n == 0)
			put_own_route(&w, routes[n].uri, request);
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

static void on_reply(struct cell *t, int type, struct tmcb_params *ps)
{
	static cr_sip_t request;
	pending_t *p = *ps->param;
	int needs_request = p->resumed || p->in_dialog;
	int seal = p->purpose != 0 && ps->code >= 200;

	(void)t;
	(void)type;
	if(ps->rpl == NULL || ps->rpl == FAKED_REPLY || ps->code <= 100)
		return;
	if(!seal && !p->resumed)
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
	if(seal
			&& put_order(ps->rpl, p->purpose, (cr_span_t){p->ref, p->ref_len},
					   &p->iat_ms, p->in_dialog ? &request : NULL)
					< 0) {
		LM_ERR("cannot seal into a reply\n");
		kam_count(KAM_SEALS_FAILED);
	}
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

/* ---- what our own Route brought back --------------------------------------------- */

/* As is_own(), which need not be asked twice for the Route of a message. */
static int is_own_route(const struct sip_msg *msg, cr_span_t uri)
{
	static kam_message_t last;
	static const char *at;
	static int own;

	if(at == uri.s && last.id == msg->id && last.pid == msg->pid
			&& last.buf == msg->buf)
		return own;
	last = (kam_message_t){msg->id, msg->pid, msg->buf};
	at = uri.s;
	own = is_own(uri);
	return own;
}

/* The first Route, where it is ours. A strict router (RFC 3261 section 16.4) has it in the
 * Request-URI: that is left to rr. @return 1 when it is ours */
static int own_route(struct sip_msg *msg, cr_span_t *uri)
{
	if(parse_headers(msg, HDR_ROUTE_F, 0) < 0 || msg->route == NULL
			|| parse_rr(msg->route) < 0)
		return 0;
	*uri = kam_span(((rr_t *)msg->route->parsed)->nameaddr.uri);
	return is_own_route(msg, *uri);
}

/* A parameter of our Route. rr takes an apostrophe for a quotation mark, and a tag in
 * front of what is looked for may have one (RFC 3261 section 25.1, token).
 * @return 1 when there is one */
static int route_param(struct sip_msg *msg, const char *name, cr_span_t *value)
{
	str wanted = {(char *)name, (int)strlen(name)}, found = STR_NULL;
	cr_span_t uri;

	if(own_route(msg, &uri))
		return cr_param_find(uri, name, value, NULL);
	if(kam_rr.get_route_param(msg, &wanted, &found) != 0)
		return 0;
	*value = kam_span(found);
	return 1;
}

/* The session reference of one side. @return 1 when there is one */
static int route_ref(struct sip_msg *msg, cr_purpose_t purpose, cr_span_t *ref)
{
	return route_param(msg,
				   purpose == CR_PURPOSE_CALLER ? CR_REF_PARAM_CALLER
												: CR_REF_PARAM_CALLEE,
				   ref)
			/* It goes into a header field: nothing that could end one. */
			&& cr_text_is_token(*ref);
}

int kam_is_from_caller(struct sip_msg *msg)
{
	cr_span_t tag;

	if(!route_param(msg, "ftag", &tag) || tag.len == 0
			|| parse_from_header(msg) != 0)
		return 1;
	return cr_span_eq(tag, kam_span(get_from(msg)->tag_value));
}

int kam_open_route_ref(cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose)
{
	const cr_env_t *env = kam_env();
	cr_span_t text;

	if(env == NULL || parse_headers(msg, HDR_CALLID_F | HDR_ROUTE_F, 0) < 0
			|| msg->callid == NULL || !route_ref(msg, purpose, &text))
		return CR_EMISSING;
	return cr_ref_open(ref, env->work->box, env->crypto, env->ring,
			cr_now_s(env), purpose, kam_span(msg->callid->body), text);
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

/* A new call of the client. */
static int seal_caller(struct sip_msg *msg)
{
	kam_session_t *s = kam_session(msg);
	pending_t what = {.purpose = CR_PURPOSE_CALLER};
	char text[CR_BOX_TEXT_MAX];
	cr_fp_t fp = {0};
	int len, usable;

	if(!s->authenticated)
		return seal_failed("resume_seal() on a new call needs a resume_auth()"
						   " that was true, or the session as arguments");
	usable = kam_config.bind_fingerprint == KAM_BIND_OFF
			|| (is_usable(kam_fp_named(&fp, msg))
					&& (!fp.known || kam_fp_is_offered(&fp, msg)));
	/* The reference says that the call is ours, and resumes with no certificate
	 * that there is. */
	if(!usable)
		fp = (cr_fp_t){.known = 1};
	len = make_ref(text, sizeof(text), msg, CR_PURPOSE_CALLER,
			cr_span_str(s->token.kid), cr_span_str(s->token.sub),
			cr_span_str(s->token.sid), &fp);
	if(len < 0)
		return seal_failed(cr_strerror(len));
	cr_span_t ref = {text, (size_t)len};
	if(put_ref(msg, CR_PURPOSE_CALLER, ref) < 0) {
		(void)put_nameless_ref(msg, CR_PURPOSE_CALLER);
		return seal_failed("the session is too long for a Record-Route");
	}
	if(usable && watch_replies(msg, &what, ref) < 0)
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
	int64_t now = 0;
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
			|| put_order(msg, CR_PURPOSE_CALLEE, ref, &now, NULL) < 0)
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

/* Which side sends a request in a dialog. */
static cr_purpose_t sender_of(struct sip_msg *msg)
{
	return kam_is_from_caller(msg) ? CR_PURPOSE_CALLER : CR_PURPOSE_CALLEE;
}

static cr_purpose_t other_side(cr_purpose_t side)
{
	return side == CR_PURPOSE_CALLER ? CR_PURPOSE_CALLEE : CR_PURPOSE_CALLER;
}

/* In a dialog: the sender, if a client, wants the state in the 2xx; the
 * receiver, if a client, needs to know a new remote target. */
static int seal_in_dialog(struct sip_msg *msg)
{
	int method = msg->first_line.u.request.method_value, done = 0;
	pending_t what = {.in_dialog = 1};
	cr_purpose_t to;
	int64_t now = 0;
	cr_span_t ref;

	what.purpose = sender_of(msg);
	to = other_side(what.purpose);
	if(expect_answer(msg, to) < 0)
		return seal_failed("cannot prepare to judge the answer");
	if(method & (METHOD_ACK | METHOD_BYE | METHOD_CANCEL | METHOD_PRACK))
		return -1;
	if(route_ref(msg, what.purpose, &ref)) {
		if(watch_replies(msg, &what, ref) < 0)
			return seal_failed("cannot prepare to seal");
		done = 1;
	}
	if((method & (METHOD_INVITE | METHOD_UPDATE)) && route_ref(msg, to, &ref)) {
		if(put_order(msg, to, ref, &now, NULL) < 0)
			return seal_failed("cannot prepare to seal");
		done = 1;
	}
	return done ? 1 : -1;
}

int kam_is_by_client(struct sip_msg *msg)
{
	cr_span_t ref;

	return route_ref(msg, sender_of(msg), &ref);
}

/* The session reference in our Route is that of the other side than the sender. */
int kam_is_to_client(struct sip_msg *msg)
{
	cr_span_t ref;

	return route_ref(msg, other_side(sender_of(msg)), &ref);
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
