/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The web session of a binding: kept by usrloc with the Contact, brought back by
 * registrar's lookup() for each branch, and what the INVITE of that branch is sealed for.
 */
#include "kam.h"
#include "kam_modules.h"

#include "../../core/dprint.h"
#include "../../core/parser/contact/parse_contact.h"
#include "../../core/parser/parse_from.h"
#include "../../core/route.h"
#include "../../core/xavp.h"

#include "core/text.h"
#include "core/wire.h"

/* ---- kept --------------------------------------------------------------------------- */

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
static int keep_contact(struct sip_msg *msg, const str *xavp)
{
	contact_t *c;

	if(parse_headers(msg, HDR_CONTACT_F, 0) < 0)
		return -1;
	if(msg->contact == NULL)
		return 0;
	if(parse_contact(msg->contact) < 0)
		return -1;
	c = ((contact_body_t *)msg->contact->parsed)->contacts;
	return c == NULL ? 0 : keep(xavp, "contact", kam_span(c->uri));
}

int ki_resume_register(struct sip_msg *msg)
{
	const kam_session_t *s = kam_session(msg);
	const str *xavp = kam_modules_binding_xavp();

	if(!s->authenticated || xavp == NULL) {
		LM_ERR("resume_register() needs %s\n",
				xavp == NULL ? "usrloc's parameter xavp_contact"
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
	return ki_resume_key(msg);
}

/* ---- and brought back ----------------------------------------------------------------- */

static cr_span_t kept(sr_xavp_t *binding, const char *name)
{
	str child = {(char *)name, (int)strlen(name)};
	sr_xavp_t *x = xavp_get(&child, binding->val.v.xavp);

	return x != NULL && x->val.type == SR_XTYPE_STR ? kam_span(x->val.v.s)
													: CR_SPAN("");
}

/* A Contact, and the Request-URI that lookup() makes of it: nathelper's alias, if it has
 * one, may have become the next hop by now. */
static int is_same_uri(cr_span_t contact, cr_span_t uri)
{
	cr_span_t alias;
	size_t at, behind;

	if(cr_span_eq(contact, uri))
		return 1;
	if(!cr_param_find(contact, "alias", NULL, &alias))
		return 0;
	at = (size_t)(alias.s - contact.s);
	behind = at + alias.len;
	return uri.len + alias.len == contact.len
			&& cr_span_eq(cr_span_sub(uri, 0, at), cr_span_sub(contact, 0, at))
			&& cr_span_eq(cr_span_sub(uri, at, uri.len),
					cr_span_sub(contact, behind, contact.len));
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
				&& is_same_uri(kept(binding, "contact"), uri))
			return binding;
	}
	return NULL;
}

static void seal_branch(struct sip_msg *msg)
{
	sr_xavp_t *binding = binding_of(kam_span(*GET_RURI(msg)));
	str sub, sid, kid, fp;

	if(binding == NULL)
		return;
	sub = kam_str(kept(binding, "sub"));
	sid = kam_str(kept(binding, "sid"));
	kid = kam_str(kept(binding, "kid"));
	fp = kam_str(kept(binding, "fp"));
	if(sub.len > 0 && sid.len > 0)
		(void)ki_resume_seal_bound(msg, &sub, &sid, &kid, &fp);
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
	seal_branch(ps->req);
	ctx->branch_index = index;
	set_route_type(route);
}

static int watch_branches(struct sip_msg *msg)
{
	if(kam_tm.register_tmcb(msg, 0, TMCB_REQUEST_FWDED, on_branch, NULL, NULL)
			> 0)
		return 0;
	LM_ERR("cannot watch the branches of a call\n");
	return -1;
}

/* ---- a new call -------------------------------------------------------------------------- */

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
	if(put_from_tag(msg) < 0 || watch_branches(msg) < 0)
		return -1;
	/* A call of the trunk has no session: only its other end may be a client. */
	if(kam_session(msg)->authenticated)
		return ki_resume_seal(msg);
	return 1;
}
