/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is believed. A message proves that it is of a call of ours by a map, which
 * has been translated at the edge, or by a session reference of ours that opens for
 * its Call-ID. Which addresses are believed, and on which transport, says the script.
 */
#include "kam_trust.h"
#include "kam_connection.h"
#include "kam_env.h"
#include "kam_known.h"
#include "kam_media.h"
#include "kam_message.h"
#include "kam_node.h"
#include "kam_revoke.h"
#include "kam_route.h"
#include "kam_session.h"
#include "kam_stat.h"
#include "kam_tcp.h"

#include "../../core/dprint.h"
#include "../../core/parser/parse_content.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_to.h"
#include "../../core/parser/parse_via.h"
#include "../../core/resolve.h"
#include "../../core/ut.h"

#include "core/edge.h"
#include "core/grammar.h"

/* ---- session references --------------------------------------------------------- */

/* The reference of one side in the Record-Route of a reply. @return 1 when found */
static int reply_ref(cr_span_t *ref, const cr_sip_t *m, cr_purpose_t purpose)
{
	const char *name = purpose == CR_PURPOSE_CALLER ? CR_REF_PARAM_CALLER
													: CR_REF_PARAM_CALLEE;
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(m, CR_RECORD_ROUTE, &it, &value)) {
		if(cr_addr_parse(&a, value) == CR_OK
				&& cr_param_find(a.uri, name, ref, NULL))
			return 1;
	}
	return 0;
}

static int open_reply_ref(
		cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose)
{
	const cr_env_t *env = kam_env();
	cr_span_t text;
	cr_sip_t *m;

	if(env == NULL)
		return CR_EINTERNAL;
	m = &env->work->msg;
	if(cr_sip_parse(m, (cr_span_t){msg->buf, msg->len}) != CR_OK
			|| !reply_ref(&text, m, purpose))
		return CR_EMISSING;
	return cr_ref_open(ref, env->work->box, env->crypto, env->ring,
			cr_now_s(env), purpose, m->call_id, text);
}

int kam_open_ref(cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose)
{
	int err = msg->first_line.type == SIP_REQUEST
			? kam_open_route_ref(ref, msg, purpose)
			: open_reply_ref(ref, msg, purpose);

	if(err == CR_OK && cr_ref_age(ref, time(NULL)) > kam_config.ref_lifetime)
		return CR_EEXPIRED;
	return err;
}

static int opens(struct sip_msg *msg, cr_purpose_t purpose)
{
	cr_ref_t ref;

	return kam_open_ref(&ref, msg, purpose) == CR_OK;
}

/* The session of either side, or its user, has been revoked since the call began. */
static int is_revoked(struct sip_msg *msg, cr_purpose_t purpose)
{
	cr_token_t session = {0};
	cr_ref_t ref;

	if(!kam_revoke_is_on() || kam_open_ref(&ref, msg, purpose) != CR_OK)
		return 0;
	session.iat = ref.start;
	return cr_token_name(&session, ref.sub, ref.sid) != CR_OK
			|| kam_is_revoked(&session);
}

/* ---- what a message proves --------------------------------------------------------- */

static int is_here(struct sip_msg *msg)
{
	return msg->first_line.type == SIP_REPLY || kam_is_request_route();
}

int kam_is_mapped_reply(struct sip_msg *msg)
{
	const cr_env_t *env = kam_env();

	return env != NULL && msg->first_line.type == SIP_REPLY
			&& cr_edge_proves(env, (cr_span_t){msg->buf, msg->len});
}

/* Outside of a dialog a Route is of the sender's choice, the one of a call of his own that
 * is over, say. */
static int is_outside(struct sip_msg *msg)
{
	return msg->first_line.type == SIP_REQUEST
			&& (parse_headers(msg, HDR_TO_F, 0) < 0 || msg->to == NULL
					|| get_to(msg)->tag_value.len == 0);
}

/* Outside of a dialog, and about one: the call that comes out of an attended transfer
 * (RFC 5589 section 7). */
static int is_about_call(const struct sip_msg *msg)
{
	const cr_env_t *env = kam_env();

	return env != NULL && cr_edge_names(env, (cr_span_t){msg->buf, msg->len});
}

int kam_in_call(struct sip_msg *msg)
{
	if(!is_here(msg))
		return 0;
	if(kam_is_abandoned())
		return 1;
	if(is_outside(msg))
		return is_about_call(msg);
	return kam_is_spliced() || kam_is_mapped_reply(msg)
			|| opens(msg, CR_PURPOSE_CALLER) || opens(msg, CR_PURPOSE_CALLEE);
}

/* Who has sent the INVITE at hand: what the node says that has passed it on, which has asked
 * for a token or password, or who has proved it here. */
static cr_span_t sender_of_call(struct sip_msg *msg)
{
	const kam_session_t *session = kam_session(msg);
	const cr_env_t *env = kam_env();
	cr_ref_t ref;

	if(env != NULL && parse_headers(msg, HDR_CALLID_F, 0) == 0
			&& msg->callid != NULL
			&& cr_ref_open(&ref, env->work->box, env->crypto, env->ring,
					   cr_now_s(env), CR_PURPOSE_CALLER,
					   kam_span(msg->callid->body), kam_node_ref(msg))
					== CR_OK)
		return ref.sub;
	return session->authenticated ? cr_span_str(session->token.sub)
								  : CR_SPAN("");
}

cr_span_t kam_party(struct sip_msg *msg, cr_purpose_t side)
{
	cr_ref_t ref;

	if(is_outside(msg))
		return side == CR_PURPOSE_CALLER ? sender_of_call(msg) : CR_SPAN("");
	return kam_open_ref(&ref, msg, side) == CR_OK ? ref.sub : CR_SPAN("");
}

/* What asks for nothing but the end of the call, or whether it is up. */
static int asks_for_nothing(struct sip_msg *msg)
{
	return (msg->first_line.u.request.method_value
				   & (METHOD_BYE | METHOD_ACK | METHOD_OPTIONS))
			&& kam_is_read(msg) && !kam_has_body(msg);
}

/* The call of who has signed out stays up, and can be hung up. */
int kam_is_known(struct sip_msg *msg)
{
	if(msg->first_line.type != SIP_REQUEST || !kam_in_call(msg))
		return 0;
	return asks_for_nothing(msg)
			|| (!is_revoked(msg, CR_PURPOSE_CALLER)
					&& !is_revoked(msg, CR_PURPOSE_CALLEE));
}

/* ---- heads ------------------------------------------------------------------------- */

/* At most one, and a token (RFC 3261 section 25.1). Kamailio takes the last of several, others
 * the first; and what stands in quotation marks holds blanks, and is several words to whoever
 * makes a command of it, for the media server say. */
static int has_good_tag(const struct to_body *party)
{
	int n = 0;

	if(party == NULL)
		return 0;
	for(const struct to_param *p = party->param_lst; p != NULL; p = p->next) {
		if(p->type != TAG_PARAM)
			continue;
		if(++n > 1 || (p->value.len > 0 && p->value.s[-1] == '"'))
			return 0;
	}
	return 1;
}

/* Most need no parser that says so. */
static int has_good_from(struct sip_msg *msg)
{
	if(msg->from != NULL && msg->from->parsed == NULL
			&& cr_is_plain_party(kam_span(msg->from->body)))
		return 1;
	return parse_from_header(msg) == 0 && has_good_tag(get_from(msg));
}

static int has_good_tags(struct sip_msg *msg)
{
	return parse_headers(msg, HDR_TO_F | HDR_FROM_F, 0) == 0 && msg->to != NULL
			&& has_good_from(msg) && has_good_tag(get_to(msg));
}

int ki_resume_check_head(struct sip_msg *msg)
{
	return kam_is_plain((cr_span_t){msg->buf, msg->len}) && has_good_tags(msg)
			? 1
			: -1;
}

/* ---- replies ----------------------------------------------------------------------- */

/* As tm calls the header fields that it keeps of a request. */
#if VERSIONVAL < 5007000
#define HDR_OF(t, name) (&(t)->name)
#else
#define HDR_OF(t, name) (&(t)->name##_hdr)
#endif

/* The value of a header field as tm keeps it, with its name. */
static cr_span_t value_of(const str *field)
{
	const char *colon
			= field->len > 0 ? memchr(field->s, ':', field->len) : NULL;

	return colon == NULL ? CR_SPAN("")
						 : cr_span_trim(cr_span_sub(kam_span(*field),
								 (size_t)(colon + 1 - field->s), field->len));
}

/* Whether a header field is, word for word, that which tm keeps, with parameters behind it or
 * without: then it says the same. */
static int repeats(const str *field, const struct hdr_field *h)
{
	cr_span_t was = kam_span(*field), is = {h->name.s, (size_t)h->len};

	if(was.len < 2 || was.s[was.len - 1] != '\n')
		return 0;
	was.len -= 2;
	return was.len < is.len && cr_span_eq(cr_span_sub(is, 0, was.len), was)
			&& (is.s[was.len] == ';' || is.s[was.len] == '\r');
}

static int has_tag(const str *field, const struct hdr_field *h)
{
	cr_span_t tag;

	if(repeats(field, h))
		return 1;
	tag = cr_tag_of(value_of(field));
	return tag.len == 0 || cr_span_eq(tag, cr_tag_of(kam_span(h->body)));
}

static int has_call_id(const str *field, const struct hdr_field *h)
{
	cr_span_t is = {h->name.s, (size_t)h->len};

	return cr_span_eq(is, kam_span(*field))
			|| cr_span_eq(kam_span(h->body), value_of(field));
}

/* tm finds the transaction by the branch alone. What is done for a reply or a CANCEL, at the
 * media server above all, is done in the names that it has. */
int kam_has_names_of(struct sip_msg *msg, const struct cell *t)
{
	return parse_headers(msg, HDR_CALLID_F | HDR_FROM_F | HDR_TO_F, 0) == 0
			&& msg->callid != NULL && msg->from != NULL && msg->to != NULL
			&& has_call_id(HDR_OF(t, callid), msg->callid)
			&& has_tag(HDR_OF(t, from), msg->from)
			&& has_tag(HDR_OF(t, to), msg->to);
}

/* @return 1; 0 when there is none; -1 when it is of another call */
static int has_transaction(struct sip_msg *msg)
{
	struct cell *t;
	int branch = -1;

	if(kam_tm.t_check(msg, &branch) != 1 || (t = kam_tm.t_gett()) == NULL
			|| t == T_UNDEFINED)
		return 0;
	return kam_has_names_of(msg, t) ? 1 : -1;
}

int kam_has_been_asked(struct sip_msg *msg)
{
	int branch = -1;

	return kam_tm.t_check(msg, &branch) == 1;
}

/* Until the script is over: see kam_edge.c. */
static void hush(void)
{
	if(!kam_config.log_damaged && get_cfg_debug_level() < L_DBG)
		set_local_debug_level(L_CRIT);
}

/* As the core reads it, which would log another rport. @return 0, or -1 for what is none */
static int port_of(const struct via_body *via, int *port)
{
	str rport = STR_NULL;
	int err = 0;

	if(via->rport != NULL)
		rport = via->rport->value;
	*port = rport.s != NULL ? str2s(rport.s, rport.len, &err) : 0;
	if(*port == 0)
		*port = via->port != 0 ? via->port : SIP_PORT;
	return err == 0 ? 0 : -1;
}

/* Without a transaction it is the second Via that says where the reply goes, and its
 * sender may have written that: to no name, with a datagram to nothing inside, and over a
 * connection in the way only that its other end speaks. */
static int may_go_on(struct sip_msg *msg)
{
	struct via_body *via;
	struct ip_addr *ip;
	str *host;
	int port;

	if(parse_headers(msg, HDR_VIA2_F, 0) < 0 || msg->via2 == NULL
			|| msg->via2->error != PARSE_OK)
		return 0;
	via = msg->via2;
	host = via->received != NULL ? &via->received->value : &via->host;
	ip = str2ip(host);
	if(ip == NULL)
		ip = str2ip6(host);
	if(ip == NULL || port_of(via, &port) < 0)
		return 0;
	if(!kam_has_connections(via->proto))
		return !kam_media_is_denied_at(ip, (unsigned)port);
	return kam_tcp_speaks(via->proto, 0, ip, port, 0);
}

/* The transaction is another one's, of a Kamailio that died. Nothing is looked up and
 * nothing is connected to for it (RFC 3261 section 18.2.2 would have us try). The number of
 * a connection in our Via is of that Kamailio, or the sender's: here it may be anybody's. And who has
 * the reference of one call may send as many as he likes: nothing that Kamailio does not like about one is
 * said. */
static int is_proved(struct sip_msg *msg)
{
	if(!kam_in_call(msg) || !may_go_on(msg))
		return 0;
	hush();
	msg->via1->i = NULL;
	msg->rpl_send_flags.f |= SND_F_FORCE_CON_REUSE;
	return 1;
}

int ki_resume_check_reply(struct sip_msg *msg)
{
	if(msg->first_line.type != SIP_REPLY) {
		LM_ERR("resume_check_reply() is for replies\n");
		return -1;
	}
	switch(kam_is_read(msg) && has_good_tags(msg) ? has_transaction(msg) : -1) {
		case 1:
			return 1;
		case 0:
			if(is_proved(msg))
				return 1;
	}
	kam_count(KAM_REPLIES_REFUSED);
	return -1;
}
