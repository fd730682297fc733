/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resume_open() and resume_dialog(): what a client brings back.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "kam_resume.h"
#include "kam_away.h"
#include "kam_early.h"
#include "kam_edge.h"
#include "kam_ended.h"
#include "kam_env.h"
#include "kam_event.h"
#include "kam_fingerprint.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_node.h"
#include "kam_pace.h"
#include "kam_quiet.h"
#include "kam_revoke.h"
#include "kam_ring_again.h"
#include "kam_rotate.h"
#include "kam_seal.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/dset.h"
#include "../../core/hash_func.h"
#include "../../core/msg_translator.h"
#include "../../core/parser/parse_cseq.h"
#include "../../core/parser/parse_to.h"

#include "core/screen.h"
#include "core/sealed.h"
#include "core/splice.h"
#include "core/text.h"

#define DIALLED_MAX 255 /* bytes of a Call-ID */

/* ---- resume_open() --------------------------------------------------------------- */

static int refuse(
		kam_opened_t *o, kam_stat_t stat, int code, const char *reason)
{
	kam_count(stat);
	o->open = 0;
	o->code = code;
	o->reason = reason;
	return -1;
}

static int refuse_malformed(kam_opened_t *o)
{
	return refuse(o, KAM_STATES_MALFORMED, 400,
			"Call-State is not a JWE with dir and A256GCM");
}

/* One and the same answer for whatever does not open. */
static int refuse_foreign(kam_opened_t *o)
{
	return refuse(
			o, KAM_STATES_NOT_YOURS, 403, "Call-State is not of this session");
}

/* The value of the only Call-State. */
static int find_state(kam_opened_t *o, struct sip_msg *msg, cr_span_t *value)
{
	int n = kam_find_headers(msg, CR_SPAN(CR_HDR_STATE), value);

	if(n < 0)
		return refuse(o, KAM_STATES_MALFORMED, 400, "Bad header");
	if(n == 0)
		return refuse(o, KAM_STATES_MALFORMED, 400, "Call-State is missing");
	if(n > 1)
		return refuse(o, KAM_STATES_DUPLICATE, 400, "More than one Call-State");
	if(value->len > CR_STATE_HDR_MAX)
		return refuse(o, KAM_STATES_TOO_BIG, 400, "Call-State is over 8 KiB");
	return 0;
}

/* Open with the key of the authenticated session: sub and sid come from the
 * token, never from the state. */
static int open_one(kam_opened_t *o, cr_state_t *st, char *mem,
		const cr_env_t *env, const cr_token_t *token, cr_span_t jwe)
{
	switch(cr_sealed_open(st, mem, env, cr_span_str(token->sub),
			cr_span_str(token->sid), jwe)) {
		case CR_OK:
			return 0;
		case CR_EFORGED:
			if(kam_node_lacks_key(jwe))
				return refuse(o, KAM_STATES_NOT_YOURS, 503,
						"Call-State is under a key of another node");
			kam_count_retired(jwe);
			return refuse_foreign(o);
		case CR_EEXPIRED:
			return refuse(o, KAM_STATES_EXPIRED, 410, "Call-State is expired");
		case CR_EINTERNAL:
			return refuse(o, KAM_RESUMES_REFUSED, 500, "Server Internal Error");
		default:
			return refuse_malformed(o);
	}
}

/* The client's tag in O, which a state that was sealed into the INVITE to a
 * callee cannot have. Copied: the message may become another one. */
static int take_own_tag(kam_opened_t *o, cr_span_t params)
{
	cr_span_t tag;

	if(o->state.local_tag.len > 0
			|| !cr_param_find(params, CR_STATE_PARAM_TAG, &tag, NULL))
		return 0;
	if(tag.len > sizeof(o->own_tag) || !cr_text_is_token(tag))
		return refuse(
				o, KAM_STATES_MALFORMED, 400, "Call-State with a bad tag");
	memcpy(o->own_tag, tag.s, tag.len);
	o->state.local_tag = (cr_span_t){o->own_tag, tag.len};
	return 0;
}

/* A state that is bound to a certificate is worth nothing without its private key:
 * the media that come back have to be those of that certificate, all of them. */
static int check_fingerprint(kam_opened_t *o, struct sip_msg *msg)
{
	const cr_fp_t *bound = &o->state.fp;
	cr_fp_t offered = {0};

	if(kam_config.bind_fingerprint == KAM_BIND_OFF)
		return 0;
	if(!bound->known)
		return kam_config.bind_fingerprint == KAM_BIND_NEEDED
				? refuse(o, KAM_FINGERPRINTS_REFUSED, 403,
						"Call-State is not bound to a certificate")
				: 0;
	if(kam_fp_offered(&offered, msg) == CR_OK && cr_fp_equal(bound, &offered))
		return 0;
	return refuse(o, KAM_FINGERPRINTS_REFUSED, 403,
			"Call-State is bound to another certificate");
}

/* Nobody else's, and none at all, are told in the same way. */
static int refuse_dialled(kam_opened_t *o)
{
	return refuse(o, KAM_RESUMES_LATE, 481, "Call/Transaction Does Not Exist");
}

/* What the client has dialled, in place of a state. */
static int read_dialled(cr_state_t *st, struct sip_msg *msg, cr_span_t params)
{
	cr_span_t number;
	str digits;
	unsigned cseq;

	memset(st, 0, sizeof(*st));
	st->role = CR_CALLER;
	st->target = kam_span(*GET_RURI(msg));
	if(!cr_param_find(params, CR_STATE_PARAM_CALL_ID, &st->call_id, NULL)
			|| !cr_param_find(params, CR_STATE_PARAM_TAG, &st->local_tag, NULL)
			|| !cr_param_find(params, CR_STATE_PARAM_CSEQ, &number, NULL)
			|| st->call_id.len > DIALLED_MAX || !cr_text_is_token(st->call_id)
			|| !cr_text_is_token(st->local_tag))
		return -1;
	digits = kam_str(number);
	if(str2int(&digits, &cseq) < 0)
		return -1;
	st->cseq = cseq;
	return 0;
}

/* It rings, or was answered while nobody was there. */
static int open_dialled(
		kam_opened_t *o, const cr_env_t *env, struct sip_msg *msg, cr_span_t p)
{
	const cr_token_t *token = &kam_session(msg)->token;
	char jwe[CR_JWE_MAX + 1];
	size_t len;

	if(read_dialled(&o->state, msg, p) < 0)
		return refuse_malformed(o);
	if(!kam_config.manage)
		return refuse_dialled(o);
	o->dialled = 1;
	if(kam_dialled_find(&o->state, token))
		return check_fingerprint(o, msg);
	len = kam_unheard_state(jwe, &o->state, 0);
	if(len == 0
			|| open_one(o, &o->state, o->mem[0], env, token,
					   (cr_span_t){jwe, len})
					< 0)
		return refuse_dialled(o);
	o->dialled = 0;
	o->known = 1;
	return check_fingerprint(o, msg);
}

static int open_state(kam_opened_t *o, const cr_env_t *env, struct sip_msg *msg)
{
	const cr_token_t *token = &kam_session(msg)->token;
	static cr_state_t update;
	cr_span_t value, jwe, up;
	cr_addr_t a;

	if(find_state(o, msg, &value) < 0)
		return -1;
	/* The grammar is that of an addr-spec with parameters. */
	if(cr_addr_parse(&a, value) != CR_OK)
		return refuse_malformed(o);
	jwe = a.uri;
	if(cr_span_eq(jwe, CR_SPAN(CR_STATE_DIALLED)))
		return open_dialled(o, env, msg, a.params);
	if(open_one(o, &o->state, o->mem[0], env, token, jwe) < 0) {
		o->known = o->code == 410;
		return -1;
	}
	o->known = 1;
	if(o->state.update)
		return refuse_malformed(o);
	if(cr_param_find(a.params, CR_STATE_PARAM_UPDATE, &up, NULL)
			&& up.len > 0) {
		if(open_one(o, &update, o->mem[1], env, token, up) < 0)
			return -1;
		if(cr_state_merge(&o->state, &update) != CR_OK)
			return refuse_foreign(o);
	}
	if(take_own_tag(o, a.params) < 0 || check_fingerprint(o, msg) < 0)
		return -1;
	/* Its end was told when the BYE came. */
	if(kam_ended_is(&o->state)) {
		kam_count(KAM_RESUMES_LATE);
		o->code = 481;
		o->reason = KAM_ENDED_WHILE_AWAY;
		return -1;
	}
	o->open = 1;
	kam_count(KAM_STATES_OPENED);
	return 0;
}

int ki_resume_open(struct sip_msg *msg)
{
	kam_opened_t *o = kam_opened(msg);
	const cr_env_t *env = kam_env();

	o->open = o->known = o->dialled = 0;
	if(env == NULL)
		return -1;
	if(kam_session(msg)->authenticated
			&& kam_is_revoked(&kam_session(msg)->token))
		return refuse(
				o, KAM_TOKENS_REVOKED, 403, "Web session has been revoked");
	if(!kam_session(msg)->authenticated) {
		LM_ERR("opening a state needs a resume_auth() or resume_session() that "
			   "was true\n");
		o->code = 500;
		o->reason = "Server Internal Error";
		return -1;
	}
	return open_state(o, env, msg) < 0 ? -1 : 1;
}

/* ---- what a request asks for ------------------------------------------------------- */

static int has_method(const struct sip_msg *msg, int methods)
{
	return (msg->first_line.u.request.method_value & methods) != 0;
}

static const char *asks_in_dialog(struct sip_msg *msg, cr_span_t to_tag)
{
	cr_span_t value;

	/* A name that we gave to a client, but its map is expired, or forged: nobody behind
	 * us knows it by that name. */
	if(!kam_is_spliced()
			&& memmem(to_tag.s, to_tag.len, CR_MAP_TAG, sizeof(CR_MAP_TAG) - 1))
		return "stale";
	if(!has_method(msg, METHOD_BYE | METHOD_OPTIONS)
			|| kam_find_headers(msg, CR_SPAN(CR_HDR_STATE), &value) != 1)
		return "none";
	if(has_method(msg, METHOD_BYE))
		return cr_span_eq(value, CR_SPAN(CR_STATE_REPLACED)) ? "moved" : "none";
	return cr_span_eq(value, CR_SPAN(CR_STATE_LEAVING)) ? "leaving" : "none";
}

const char *kam_asks(struct sip_msg *msg)
{
	cr_span_t value;
	cr_addr_t a;

	if(msg->first_line.type != SIP_REQUEST || !kam_is_request_route()
			|| parse_headers(msg, HDR_TO_F, 0) < 0 || msg->to == NULL)
		return "none";
	if(kam_node_is_locked(msg))
		return "locked";
	if(get_to(msg)->tag_value.len > 0)
		return asks_in_dialog(msg, kam_span(get_to(msg)->tag_value));
	if(!has_method(msg, METHOD_INVITE)
			|| kam_find_headers(msg, CR_SPAN(CR_HDR_STATE), &value) < 1)
		return "none";
	return cr_addr_parse(&a, value) == CR_OK
					&& cr_param_find(a.params, CR_STATE_PARAM_AGAIN, NULL, NULL)
			? "again"
			: "resume";
}

/* ---- resume_again() ---------------------------------------------------------------- */

/* The address of record in the session reference of the called side. */
static cr_span_t callee_of(const cr_env_t *env, const cr_state_t *st)
{
	cr_span_t text, none = {"", 0};
	cr_ref_t ref;

	for(int i = 0; i < st->n_routes; i++) {
		if(cr_param_find(st->routes[i], CR_REF_PARAM_CALLEE, &text, NULL)
				&& cr_ref_open(&ref, env->work->box, env->crypto, env->ring,
						   cr_now_s(env), CR_PURPOSE_CALLEE, st->call_id, text)
						== CR_OK)
			return ref.sub;
	}
	return none;
}

cr_span_t kam_opened_callee(struct sip_msg *msg)
{
	const kam_opened_t *o = kam_opened(msg);
	const cr_env_t *env = kam_env();

	if(env == NULL || !o->open || o->state.role != CR_CALLER)
		return (cr_span_t){"", 0};
	return callee_of(env, &o->state);
}

int ki_resume_again(struct sip_msg *msg)
{
	static const cr_span_t gone = CR_SPAN_INIT(CR_HDR_STATE);
	const kam_opened_t *o = kam_opened(msg);
	char mem[sizeof(CR_HDR_STATE_ID) + CR_SESSION_ID_LEN + 64];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	if(kam_opened_callee(msg).len == 0) {
		LM_ERR("resume_again() needs a resume_open() that was true, of a "
			   "caller whose"
			   " other end was a client: see $resume(callee)\n");
		return -1;
	}
	cr_put_str(&w, CR_HDR_STATE_ID ": ");
	cr_screen_mark(&w, kam_env());
	cr_put_str(&w, o->state.id);
	cr_put_str(&w, "\r\n");
	if(cr_writer_end(&w) != CR_OK || kam_remove_headers(msg, gone) < 0
			|| kam_add_header(msg, cr_written(&w)) < 0) {
		LM_ERR("cannot say which call goes on\n");
		return -1;
	}
	if(kam_config.manage
			&& (kam_away_watch_again(msg) < 0
					|| kam_event_watch_again(msg) < 0))
		return -1;
	return 1;
}

/* ---- resume_dialog() -------------------------------------------------------------- */

/* The CANCEL of this INVITE and the ACK to a non-2xx come in N and without a
 * state: let tm file the transaction where it will look for it then. */
static int keep_hash(struct sip_msg *msg)
{
	if(parse_headers(msg, HDR_CALLID_F | HDR_CSEQ_F, 0) < 0
			|| msg->callid == NULL || msg->cseq == NULL
			|| get_cseq(msg) == NULL)
		return -1;
	msg->hash_index = hash(msg->callid->body, get_cseq(msg)->number);
	msg->msg_flags |= FL_HASH_INDEX;
	return 0;
}

/* What the script did to the message so far must not get lost.
 * @return 1, -1, or 0: the message is broken, the script must end */
static int apply_earlier_changes(struct sip_msg *msg)
{
	if(msg->add_rm == NULL && msg->body_lumps == NULL)
		return 1;
	return sip_msg_apply_changes(msg);
}

static int refuse_resume(kam_opened_t *o, int err)
{
	switch(err) {
		case CR_EMISSING:
			return refuse(o, KAM_RESUMES_REFUSED, 400,
					"Call-State needs the tag parameter");
		case CR_EUNSUPPORTED:
			return refuse(o, KAM_RESUMES_REFUSED, 400,
					"Call-State in a dialog: it goes with a new INVITE");
		case CR_EMALFORMED:
			return refuse(o, KAM_RESUMES_REFUSED, 400,
					"Call-State needs an INVITE with Contact and From tag");
		case CR_ETOOBIG:
			return refuse(o, KAM_RESUMES_REFUSED, 513, "Message Too Large");
		default:
			return refuse(o, KAM_RESUMES_REFUSED, 500, "Server Internal Error");
	}
}

/* A URI from a state becomes the Request-URI, sooner or later. */
static int check_targets(kam_opened_t *o)
{
	int good = o->state.target.len <= CR_TARGET_MAX;

	for(int i = 0; i < o->state.n_routes; i++)
		good = good && o->state.routes[i].len <= CR_TARGET_MAX;
	return good ? 0
				: refuse(o, KAM_RESUMES_REFUSED, 414, "Request-URI Too Long");
}

/* Replace the message. What was known about where the old one goes is wrong
 * for the new one, whose route set says it.
 * @return as apply_earlier_changes() */
static int splice(kam_opened_t *o, struct sip_msg *msg)
{
	static char out[BUF_SIZE];
	str text = {out, 0};
	int ret;

	if(keep_hash(msg) < 0)
		return refuse_resume(o, CR_EMALFORMED);
	text.len = cr_splice_resume(out, sizeof(out) - 64, kam_env(), &o->state,
			o->state.local_tag, (cr_span_t){msg->buf, msg->len});
	if(text.len < 0)
		return refuse_resume(o, text.len);
	out[text.len] = '\0';
	/* Target and route set are what the client had seen. */
	kam_edge_show(&text, &msg->rcv);
	ret = sip_msg_update_buffer(msg, &text);
	if(ret != 1)
		return ret == 0 ? 0 : refuse_resume(o, CR_EINTERNAL);
	reset_dst_uri(msg);
	reset_path_vector(msg);
	clear_branches();
	ruri_mark_new();
	return 1;
}

/* A state of a call that was not answered then.
 * @return as kam_early_join(); -1 also when the state of its answer is not for this client */
static int join(kam_opened_t *o, struct sip_msg *msg)
{
	char jwe[CR_JWE_MAX + 1];
	size_t len;

	if(o->state.ringing == 0 || !kam_config.manage)
		return 1;
	len = kam_unheard_state(jwe, &o->state, 1);
	if(len == 0) {
		int ret = kam_early_join(msg, o, kam_unheard_state);

		/* Its transaction has gone in between: there is nothing to resume. */
		return ret == 1 && o->dialled ? refuse_dialled(o) : ret;
	}
	return open_one(o, &o->state, o->mem[0], kam_env(),
				   &kam_session(msg)->token, (cr_span_t){jwe, len})
							< 0
					|| check_fingerprint(o, msg) < 0
			? -1
			: 1;
}

/* The state is good, and so many are at the moment that this one has to come again. */
static int postpone(kam_opened_t *o, struct sip_msg *msg, unsigned int wait_s)
{
	kam_put_retry_after(msg, wait_s);
	return refuse(o, KAM_RESUMES_POSTPONED, 503, "Too Many Resumes");
}

static int resume(struct sip_msg *msg)
{
	kam_opened_t *o = kam_opened(msg);
	unsigned int wait_s;
	str user;
	int ret;

	if(msg->first_line.type != SIP_REQUEST || kam_has_transaction()) {
		LM_ERR("resume_dialog() has to come before t_newtran()\n");
		return refuse_resume(o, CR_EINTERNAL);
	}
	ret = apply_earlier_changes(msg);
	if(ret != 1)
		return ret == 0 ? 0 : refuse_resume(o, CR_EINTERNAL);
	if(ki_resume_open(msg) < 0 || check_targets(o) < 0)
		return -1;
	if(parse_headers(msg, HDR_CALLID_F, 0) < 0 || msg->callid == NULL)
		return refuse_resume(o, CR_EMALFORMED);
	user = kam_str(cr_span_str(kam_session(msg)->token.sub));
	if((wait_s = kam_pace_resume(&user)) > 0)
		return postpone(o, msg, wait_s);
	/* The far end knows no such dialog, and an offer, or its end, would be one of the media
	 * of the call that rings. */
	if(kam_ring_again_is_other(&user, &o->state))
		return refuse(o, KAM_RESUMES_LATE, 481, "Answered Otherwise");
	cr_text_show(o->client_call_id, sizeof(o->client_call_id),
			kam_span(msg->callid->body));
	ret = join(o, msg);
	if(ret == 1)
		ret = splice(o, msg);
	if(ret != 1)
		return ret;
	kam_ended_is_back(&o->state);
	if(kam_watch_resumed(msg) < 0)
		return refuse_resume(o, CR_EINTERNAL);
	if(kam_event_watch(msg) < 0)
		return refuse_resume(o, CR_EINTERNAL);
	kam_quiet_prepare(msg);
	kam_count(KAM_DIALOGS_RESUMED);
	return 1;
}

int ki_resume_dialog(struct sip_msg *msg)
{
	int ret = resume(msg);

	if(ret == -1 && kam_opened(msg)->code != 481)
		kam_event_refused(msg);
	return ret;
}
