/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a web session has a client that is there: a binding whose connection is up, or that
 * needs none, or is at another node that is up.
 */
#include "kam_there.h"
#include "kam_node.h"
#include "kam_ring_wait.h"
#include "kam_tcp.h"

#include "../../core/globals.h"
#include "../../core/parser/parse_uri.h"
#include "../../core/xavp.h"
#include "../../modules/usrloc/ucontact.h"
#include "../../modules/usrloc/usrloc.h"

/* A binding that says of no session whose it is may be of this one. */
static int is_of(const ucontact_t *c, cr_span_t sid)
{
	str child = str_init("sid");
	sr_xavp_t *x = NULL;

	if(c->xavp != NULL && c->xavp->val.type == SR_XTYPE_XAVP)
		x = xavp_get(&child, c->xavp->val.v.xavp);
	return x == NULL || x->val.type != SR_XTYPE_STR
			|| cr_span_eq(kam_span(x->val.v.s), sid);
}

static int is_there(const ucontact_t *c, time_t now)
{
	if(c->expires != 0 && c->expires <= now)
		return 0;
	if(kam_config.node > 0 && c->server_id != server_id)
		return kam_node_is_up((unsigned)c->server_id);
	return c->tcpconn_id <= 0 || kam_tcp_is_up(c->tcpconn_id, NULL, 0) != 0;
}

int kam_is_binding_here(const struct ucontact *c)
{
	return c->server_id == server_id && is_there(c, time(NULL));
}

typedef void visit_f(const ucontact_t *c, void *param);

/* All bindings of a session that usrloc still knows. */
static void each_binding(
		cr_span_t sub, cr_span_t sid, visit_f *visit, void *param)
{
	usrloc_api_t *usrloc = kam_usrloc();
	urecord_t *r = NULL;
	udomain_t *location;
	struct sip_uri uri;
	str aor;

	if(usrloc == NULL || parse_uri((char *)sub.s, (int)sub.len, &uri) < 0
			|| usrloc->get_udomain(kam_config.location, &location) < 0)
		return;
	aor = uri.user;
	if(usrloc->use_domain)
		aor.len = (int)(uri.host.s + uri.host.len - uri.user.s);
	usrloc->lock_udomain(location, &aor);
	if(usrloc->get_urecord(location, &aor, &r) == 0) {
		for(ucontact_t *c = r->contacts; c != NULL; c = c->next) {
			if(is_of(c, sid))
				visit(c, param);
		}
		usrloc->release_urecord(r);
	}
	usrloc->unlock_udomain(location, &aor);
}

static void find_there(const ucontact_t *c, void *found)
{
	*(int *)found |= is_there(c, time(NULL));
}

static void find_here(const ucontact_t *c, void *found)
{
	*(int *)found |= kam_is_binding_here(c);
}

/* Also of a binding that is over, or whose connection has gone. */
static void find_node(const ucontact_t *c, void *node)
{
	int *n = node;

	if(c->server_id == server_id
			|| (*n == 0 && kam_node_is_up((unsigned)c->server_id)))
		*n = c->server_id;
}

int kam_is_there(cr_span_t sub, cr_span_t sid)
{
	int found = 0;

	each_binding(sub, sid, find_there, &found);
	return found;
}

int kam_is_here(cr_span_t sub, cr_span_t sid)
{
	int found = 0;

	each_binding(sub, sid, find_here, &found);
	return found;
}

int kam_nodes_in_front(cr_span_t sub, cr_span_t sid)
{
	int node = 0;

	if(kam_config.node == 0)
		return 0;
	each_binding(sub, sid, find_node, &node);
	if(node == 0)
		return kam_node_rank();
	return node != server_id;
}
