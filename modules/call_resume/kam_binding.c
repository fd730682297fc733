/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The web session of a binding: kept by usrloc with the Contact, brought back by
 * registrar's lookup() for each branch, and what the INVITE of that branch is sealed for.
 */
#include "kam_binding.h"
#include "kam_connection.h"
#include "kam_event.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_modules.h"
#include "kam_node.h"
#include "kam_pass.h"
#include "kam_ring_again.h"
#include "kam_seal.h"
#include "kam_session.h"
#include "kam_trust.h"

#include "../../core/dprint.h"
#include "../../core/parser/contact/parse_contact.h"
#include "../../core/parser/parse_from.h"
#include "../../core/route.h"
#include "../../core/script_cb.h"
#include "../../core/xavp.h"

#include "core/text.h"
#include "core/wire.h"

/* ---- kept -------------------------------------------------------------------------- */

static int keep(const str *xavp, const char *name, cr_span_t value)
{
	str root = *xavp, child = {(char *)name, (int)strlen(name)};
	str text = kam_str(value);

	return xavp_set_child_sval(&root, &child, &text);
}

/* Whose certificate the calls to this binding are bound to, where the client has one. */
static int keep_fingerprint(struct sip_msg *msg, const str *xavp)
{
	cr_span_t value;
	cr_fp_t fp = {0};

	if(kam_config.bind_fingerprint == KAM_BIND_OFF
			|| kam_find_headers(msg, CR_SPAN(CR_HDR_FINGERPRINT), &value) != 1
			|| cr_fp_parse(&fp, value) != CR_OK)
		return 0;
	return keep(xavp, "fp", value);
}

/* The URI that lookup() will bring back. Of several the first one is the binding's.
 * @return 0, also for one that takes bindings away, or -1 */
static int contact_of(struct sip_msg *msg, cr_span_t *uri)
{
	contact_t *c;

	*uri = CR_SPAN("");
	if(parse_headers(msg, HDR_CONTACT_F, 0) < 0)
		return -1;
	if(msg->contact == NULL)
		return 0;
	if(parse_contact(msg->contact) < 0)
		return -1;
	c = ((contact_body_t *)msg->contact->parsed)->contacts;
	if(c != NULL)
		*uri = kam_span(c->uri);
	return 0;
}

static int keep_contact(struct sip_msg *msg, const str *xavp)
{
	cr_span_t uri;

	if(contact_of(msg, &uri) < 0)
		return -1;
	return uri.len == 0 ? 0 : keep(xavp, "contact", uri);
}

/* What has just been kept, for the calls that ring at its user: they do so here too as
 * soon as the script is over, which saves the binding. */
static struct
{
	int pending, current;
	kam_message_t of;
	cr_token_t token;
	str contact, fp;
} fresh;

static int is_fresh(const struct sip_msg *msg)
{
	return fresh.pending && fresh.of.id == msg->id && fresh.of.pid == msg->pid
			&& fresh.of.buf == msg->buf;
}

static void keep_fresh(struct sip_msg *msg)
{
	cr_span_t contact, fp = {0};

	if(!kam_config.manage || contact_of(msg, &contact) < 0 || contact.len == 0)
		return;
	fresh.pending = 1;
	fresh.of = (kam_message_t){msg->id, msg->pid, msg->buf};
	fresh.token = kam_session(msg)->token;
	fresh.contact = kam_str(contact);
	if(kam_find_headers(msg, CR_SPAN(CR_HDR_FINGERPRINT), &fp) != 1)
		fp = CR_SPAN("");
	fresh.fp = kam_str(fp);
}

static int after_request(struct sip_msg *msg, unsigned int flags, void *param)
{
	str user = {fresh.token.sub, (int)strlen(fresh.token.sub)};

	(void)flags;
	(void)param;
	kam_ring_again_made();
	if(!is_fresh(msg))
		return 1;
	fresh.pending = 0;
	fresh.current = 1;
	kam_ring_again(msg, &user, &fresh.contact);
	fresh.current = 0;
	return 1;
}

static int after_reply(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)msg;
	(void)flags;
	(void)param;
	kam_ring_again_heard();
	return 1;
}

int kam_binding_init(void)
{
	if(!kam_config.manage)
		return 0;
	if(register_script_cb(after_request, POST_SCRIPT_CB | REQUEST_CB, NULL) < 0)
		return -1;
	return register_script_cb(after_reply, POST_SCRIPT_CB | ONREPLY_CB, NULL);
}

int ki_resume_register(struct sip_msg *msg)
{
	const kam_session_t *s = kam_session(msg);
	const str *xavp = kam_modules_binding_xavp();

	if(!s->authenticated || xavp == NULL) {
		LM_ERR("resume_register() needs %s\n",
				xavp == NULL ? "usrloc in this Kamailio, with xavp_contact"
							 : "a resume_auth() or resume_session() that was "
							   "true");
		return -1;
	}
	if(keep(xavp, "sub", cr_span_str(s->token.sub)) < 0
			|| keep(xavp, "sid", cr_span_str(s->token.sid)) < 0
			|| keep(xavp, "kid", cr_span_str(s->token.kid)) < 0
			|| keep_contact(msg, xavp) < 0 || keep_fingerprint(msg, xavp) < 0) {
		LM_ERR("cannot keep the web session with the binding\n");
		return -1;
	}
	keep_fresh(msg);
	return ki_resume_key(msg);
}

/* ---- and brought back -------------------------------------------------------------- */

static cr_span_t kept(sr_xavp_t *binding, const char *name)
{
	str child = {(char *)name, (int)strlen(name)};
	sr_xavp_t *x = xavp_get(&child, binding->val.v.xavp);

	return x != NULL && x->val.type == SR_XTYPE_STR ? kam_span(x->val.v.s)
													: CR_SPAN("");
}

/* Not by their number: a lookup() for another user, in a failure_route, say, has brought
 * others before, and a branch that the script drops has none. */
static sr_xavp_t *binding_of(cr_span_t uri)
{
	const str *name = kam_modules_binding_xavp();
	sr_xavp_t *binding;
	str root;

	if(name == NULL)
		return NULL;
	root = *name;
	for(binding = xavp_get(&root, NULL); binding != NULL;
			binding = xavp_get_next(binding)) {
		if(binding->val.type == SR_XTYPE_XAVP
				&& kam_is_same_contact(kept(binding, "contact"), uri))
			return binding;
	}
	return NULL;
}

typedef struct owner
{
	str sub, sid, kid, fp;
} owner_t;

/* @return 0 when the branch goes to nobody who has a web session */
static int owner_of(owner_t *o, cr_span_t uri)
{
	sr_xavp_t *binding = binding_of(uri);

	if(binding != NULL)
		*o = (owner_t){kam_str(kept(binding, "sub")),
				kam_str(kept(binding, "sid")), kam_str(kept(binding, "kid")),
				kam_str(kept(binding, "fp"))};
	else if(fresh.current && kam_is_same_contact(kam_span(fresh.contact), uri))
		*o = (owner_t){kam_str(cr_span_str(fresh.token.sub)),
				kam_str(cr_span_str(fresh.token.sid)),
				kam_str(cr_span_str(fresh.token.kid)), fresh.fp};
	else
		return 0;
	return o->sub.len > 0 && o->sid.len > 0;
}

static void seal_branch(struct cell *t, struct sip_msg *msg)
{
	owner_t o;

	if(!owner_of(&o, kam_span(*GET_RURI(msg))))
		return;
	(void)ki_resume_seal_bound(msg, &o.sub, &o.sid, &o.kid, &o.fp);
	kam_ring_again_note(t, &o.sub);
}

/* Behind the branch_route, if there is one, and in front of the message that is made:
 * what is added here is of this branch alone. Without a branch_route tm does not say
 * which one it is. */
static void on_branch(struct cell *t, int type, struct tmcb_params *ps)
{
	tm_ctx_t *ctx = kam_tm.tm_ctx_get();
	int route = get_route_type(), index = ctx->branch_index;

	(void)type;
	if(ps->req == NULL || ps->req->first_line.type != SIP_REQUEST
			|| ps->req->first_line.u.request.method_value != METHOD_INVITE)
		return;
	set_route_type(BRANCH_ROUTE);
	ctx->branch_index = t->nr_of_outgoings;
	seal_branch(t, ps->req);
	ctx->branch_index = index;
	set_route_type(route);
}

/* The caller gives up, and nobody would answer the CANCEL; where no branch is left tm answers
 * past the failure_route. Or a client has said what it wants, and shall not wait for one that
 * is gone: it may be gone itself by now, and has said it all the same. */
static void on_end(struct cell *t, int type, struct tmcb_params *ps)
{
	if(type != TMCB_E2ECANCEL_IN) {
		if(type == TMCB_RESPONSE_IN && ps->code >= 200)
			(void)kam_ring_again_end_gone(t, kam_tm.t_gett_branch());
		return;
	}
	/* One that comes behind the answer ends nothing (RFC 3261 section 9.2). */
	if(t->uas.status >= 200)
		return;
	/* As tm says as soon as this is over, which takes as long as the media server does: who begins
	 * to ring meanwhile would be told of the end by nobody until it says something. */
	t->flags |= T_CANCELED;
	/* The message is the CANCEL, whose names its sender has chosen. */
	if(kam_ring_again_end_gone(t, -1) == 0 && kam_has_names_of(ps->req, t))
		kam_event_over(ps->req);
}

static int watch_branches(struct sip_msg *msg)
{
	/* With the last of these tm keeps the tags of those who answer. */
	const int end = TMCB_E2ECANCEL_IN | TMCB_RESPONSE_IN | TMCB_RESPONSE_READY;

	if(kam_tm.register_tmcb(msg, 0, TMCB_REQUEST_FWDED, on_branch, NULL, NULL)
					> 0
			&& kam_tm.register_tmcb(msg, 0, end, on_end, NULL, NULL) > 0)
		return 0;
	LM_ERR("cannot watch the branches of a call\n");
	return -1;
}

/* ---- a new call -------------------------------------------------------------------- */

/* Which side a request in the dialog comes from is told by the From tag in our Record-Route. */
static int put_from_tag(struct sip_msg *msg)
{
	char mem[512];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_span_t tag;
	str param;

	if(!kam_modules_from_tag_needed())
		return 0;
	if(parse_from_header(msg) < 0)
		return -1;
	tag = kam_span(get_from(msg)->tag_value);
	if(tag.len == 0 || !cr_text_is_token(tag))
		return -1;
	cr_put_str(&w, ";ftag=");
	cr_put_span(&w, tag);
	if(cr_writer_end(&w) != CR_OK)
		return -1;
	param = kam_str(cr_written(&w));
	return kam_rr.add_rr_param(msg, &param);
}

int ki_resume_call(struct sip_msg *msg)
{
	if(msg->first_line.type != SIP_REQUEST
			|| msg->first_line.u.request.method_value != METHOD_INVITE) {
		LM_ERR("resume_call() is for the INVITE of a new call\n");
		return -1;
	}
	if(put_from_tag(msg) < 0 || watch_branches(msg) < 0
			|| kam_pass_watch_call(msg) < 0)
		return -1;
	/* A call of the trunk has no session: only its other end may be a client. */
	if(kam_session(msg)->authenticated || kam_node_ref(msg).len > 0)
		return ki_resume_seal(msg);
	return 1;
}
