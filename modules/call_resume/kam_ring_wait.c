/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resume_wait(): a call that comes while the page that it is for is being loaded. It waits
 * for a moment, and rings as soon as the page has registered, see kam_ring_again.c.
 */
#include "kam_ring_wait.h"
#include "kam_message.h"
#include "kam_ring_again.h"

#include "../../core/dprint.h"
#include "../../core/parser/parse_uri.h"
#include "../../core/timer.h"
#include "../../modules/usrloc/ucontact.h"
#include "../../modules/usrloc/usrloc.h"

static usrloc_api_t usrloc;
static int has_usrloc;

usrloc_api_t *kam_usrloc(void)
{
	return has_usrloc ? &usrloc : NULL;
}

/* ---- who has just left ------------------------------------------------------------- */

/* Of a binding whose connection is gone usrloc knows until its next timer. */
static int is_there_one(udomain_t *location, str *aor)
{
	urecord_t *r = NULL;
	ucontact_t *c;
	int found = 0;

	usrloc.lock_udomain(location, aor);
	if(usrloc.get_urecord(location, aor, &r) == 0) {
		for(c = r->contacts; c != NULL && !found; c = c->next)
			found = c->expires == UL_EXPIRED_TIME;
		usrloc.release_urecord(r);
	}
	usrloc.unlock_udomain(location, aor);
	return found;
}

static int has_left(const struct sip_uri *uri)
{
	str aor = uri->user;
	udomain_t *location;

	if(!has_usrloc || kam_config.ring_wait <= 0 || aor.len == 0
			|| usrloc.get_udomain(kam_config.location, &location) < 0)
		return 0;
	/* The domain stands behind the user already, in the URI. */
	if(usrloc.use_domain)
		aor.len = (int)(uri->host.s + uri->host.len - uri->user.s);
	return is_there_one(location, &aor);
}

int kam_has_left(struct sip_msg *msg)
{
	struct sip_uri uri;

	return parse_uri(GET_RURI(msg)->s, GET_RURI(msg)->len, &uri) == 0
			&& has_left(&uri);
}

/* ---- waiting ----------------------------------------------------------------------- */

/* A branch that goes nowhere: it keeps the transaction until its time is over. What has been
 * asked for all branches holds for those that come later; and replies go on, as nobody will
 * t_continue(). */
static int suspend(struct sip_msg *msg, struct cell *t)
{
	ticks_t was = t->fr_timeout;
	unsigned index, label;
	int ret;

	t->fr_timeout = MS_TO_TICKS(kam_config.ring_wait);
	ret = kam_tm.t_suspend(msg, &index, &label);
	t->fr_timeout = was;
	t->flags &= ~T_ASYNC_SUSPENDED;
	if(t->on_branch_delayed == 0)
		t->on_branch_delayed = t->on_branch;
	return ret < 0 ? -1 : 1;
}

/* The client is not registered any more. */
static int wait_for_user(struct sip_msg *msg)
{
	struct sip_uri uri;
	struct cell *t;
	char mem[512];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	str user;
	int made;

	if(parse_uri(GET_RURI(msg)->s, GET_RURI(msg)->len, &uri) < 0
			|| !has_left(&uri))
		return -1;
	cr_put_str(&w, "sip:");
	cr_put_span(&w, kam_span(uri.user));
	cr_put_str(&w, "@");
	cr_put_span(&w, kam_span(uri.host));
	if(cr_writer_end(&w) != CR_OK)
		return -1;
	made = kam_tm.t_newtran(msg);
	/* 0: a copy, and its transaction waits already. */
	if(made <= 0)
		return made < 0 ? -1 : 1;
	t = kam_tm.t_gett();
	if(t == NULL || t == T_UNDEFINED)
		return -1;
	user = kam_str(cr_written(&w));
	kam_ring_again_note(t, &user);
	return suspend(msg, t);
}

/* It is, and relaying has failed. */
static int wait_for_branches(struct sip_msg *msg, struct cell *t)
{
	for(int i = 0; i < t->nr_of_outgoings; i++) {
		if(kam_ring_again_is_gone(&t->uac[i]))
			return suspend(msg, t);
	}
	return -1;
}

int ki_resume_wait(struct sip_msg *msg)
{
	struct cell *t = kam_tm.t_gett();

	if(!kam_is_request_route() || msg->first_line.type != SIP_REQUEST
			|| msg->first_line.u.request.method_value != METHOD_INVITE) {
		LM_ERR("resume_wait() is for an INVITE that nobody is there for\n");
		return -1;
	}
	/* Otherwise nobody would add a branch. */
	if(kam_config.ring_wait <= 0 || !kam_config.manage)
		return -1;
	if(t == NULL || t == T_UNDEFINED)
		return wait_for_user(msg);
	return t->uas.status >= 200 ? -1 : wait_for_branches(msg, t);
}

int kam_ring_wait_init(void)
{
	bind_usrloc_t bind = (bind_usrloc_t)find_export("ul_bind_usrloc", 1, 0);

	if(kam_config.ring_wait < 0) {
		LM_ERR("ring_wait has to be 0 or positive\n");
		return -1;
	}
	if(!kam_config.manage || bind == NULL)
		return 0;
	if(bind(&usrloc) < 0)
		return -1;
	has_usrloc = 1;
	return 0;
}
