/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A node of a cluster that is to be empty: call_resume.drain. Every page that is registered
 * here is told by a NOTIFY, and connects again, which the balancer, or the handshake that is
 * refused here, has it do at another node. Whoever is still there when as long again has passed
 * loses its connection. What new connections, REGISTERs and calls get says the script, by
 * $resume(draining).
 */
#include "kam_drain.h"
#include "kam_abandoned.h"
#include "kam_connection.h"
#include "kam_push.h"
#include "kam_ring_wait.h"
#include "kam_shared.h"
#include "kam_there.h"

#include "../../core/dprint.h"
#include "../../core/globals.h"
#include "../../core/mod_fix.h"
#include "../../core/parser/parse_uri.h"
#include "../../core/timer.h"
#include "../../core/xavp.h"
#include "../../core/mem/shm_mem.h"
#include "../../modules/usrloc/ucontact.h"
#include "../../modules/usrloc/usrloc.h"

#include "core/text.h"

#define URI_TEXT_MAX 1024
#define PARTS_MAX 3600
/* Bytes that usrloc may want for a part of the bindings. */
#define LIST_MAX (1 << 20)

static struct drain
{
	ticks_t since; /* when it began; 0: it has not */
	int told, closed;
} * drain;

static cmd_function close_connection;

int kam_is_draining(void)
{
	return drain != NULL && drain->since != 0;
}

/* ---- who is registered here ---------------------------------------------------------- */

typedef struct client
{
	int id;    /* of its connection, or 0 */
	int proto; /* PROTO_WS and so on */
	struct socket_info *si;
	char sub[CR_SUB_MAX + 1]; /* empty: it has no web session */
	char contact[URI_TEXT_MAX], hop[URI_TEXT_MAX];
} client_t;

typedef void client_f(const client_t *c, void *param);

static int proto_of(const char *uri)
{
	struct sip_uri parsed;

	return parse_uri((char *)uri, (int)strlen(uri), &parsed) < 0 ? PROTO_NONE
																 : parsed.proto;
}

static void fill(client_t *to, const ucontact_t *c)
{
	str child = str_init("sub");
	sr_xavp_t *x = NULL;

	if(c->xavp != NULL && c->xavp->val.type == SR_XTYPE_XAVP)
		x = xavp_get(&child, c->xavp->val.v.xavp);
	*to = (client_t){.id = c->tcpconn_id, .si = c->sock};
	if(x != NULL && x->val.type == SR_XTYPE_STR)
		cr_text_show(to->sub, sizeof(to->sub), kam_span(x->val.v.s));
	cr_text_show(to->contact, sizeof(to->contact), kam_span(c->c));
	cr_text_show(to->hop, sizeof(to->hop),
			kam_span(c->received.len > 0 ? c->received : c->c));
	to->proto = proto_of(to->hop);
}

/* One of those that usrloc has listed; it may be gone by now. */
static int find_client(
		client_t *to, udomain_t *location, unsigned aorhash, str *ruid)
{
	usrloc_api_t *usrloc = kam_usrloc();
	urecord_t *r = NULL;
	ucontact_t *c = NULL;
	int found;
	str aor;

	if(usrloc->get_urecord_by_ruid(location, aorhash, ruid, &r, &c) != 0)
		return 0;
	aor = r->aor;
	found = kam_is_binding_here(c);
	if(found)
		fill(to, c);
	usrloc->release_urecord(r);
	usrloc->unlock_udomain(location, &aor);
	return found;
}

/* A list of usrloc's get_all_ucontacts(): lengths, each with its text behind it, and what
 * has a size. */
static const char *skip_text(const char *at, str *text)
{
	memcpy(&text->len, at, sizeof(text->len));
	text->s = (char *)at + sizeof(text->len);
	return text->s + text->len;
}

static void each_listed(const char *at, client_f *f, void *param)
{
	static client_t client;
	udomain_t *location;
	unsigned aorhash;
	str text, ruid;

	if(kam_usrloc()->get_udomain(kam_config.location, &location) < 0)
		return;
	for(;;) {
		at = skip_text(at, &text); /* the Contact */
		if(text.len == 0)
			return;
		at = skip_text(at, &text); /* where it was received from */
		at += sizeof(((ucontact_t *)0)->sock)
				+ sizeof(((ucontact_t *)0)->cflags);
		at = skip_text(at, &text); /* Path */
		at = skip_text(at, &ruid);
		memcpy(&aorhash, at, sizeof(aorhash));
		at += sizeof(aorhash);
		if(find_client(&client, location, aorhash, &ruid))
			f(&client, param);
	}
}

/* @param part  which one of parts, of all bindings */
static void each_client(unsigned part, unsigned parts, client_f *f, void *param)
{
	usrloc_api_t *usrloc = kam_usrloc();
	int size = 65536, more = 1;
	char *list = NULL;

	while(more > 0 && size <= LIST_MAX) {
		if(list != NULL)
			pkg_free(list);
		list = pkg_malloc(size);
		if(list == NULL) {
			PKG_MEM_ERROR;
			return;
		}
		more = usrloc->get_all_ucontacts(
				list, size, 0, part, parts, GAU_OPT_SERVER_ID);
		size += 2 * more;
	}
	if(more == 0)
		each_listed(list, f, param);
	else
		LM_ERR("too many bindings at once: take a longer drain_time\n");
	pkg_free(list);
}

/* ---- told, and closed ---------------------------------------------------------------- */

static int is_page(const client_t *c)
{
	return c->proto == PROTO_WS || c->proto == PROTO_WSS;
}

static void tell(const client_t *c, void *param)
{
	(void)param;
	if(!is_page(c) || c->sub[0] == '\0')
		return;
	if(kam_notify(cr_span_str(c->contact), cr_span_str(c->sub),
			   cr_span_str(c->hop), c->si, c->proto, CR_SPAN(CR_STATE_DRAIN))
			== CR_OK)
		drain->told++;
}

static void close_one(const client_t *c, void *param)
{
	gparam_t id = {.type = FPARAM_INT, .v.i = c->id};

	(void)param;
	if(is_page(c) && close_connection(NULL, (char *)&id, NULL) > 0)
		drain->closed++;
}

/* One part of the bindings a second: so not all pages come to the other nodes in one moment. */
static void tick(unsigned int ticks, void *param)
{
	static ticks_t since;
	static unsigned done;
	const unsigned parts = (unsigned)kam_config.drain_time;

	(void)ticks;
	(void)param;
	if(drain->since == 0)
		return;
	if(since != drain->since) {
		since = drain->since;
		done = 0;
	}
	each_client(done % parts, parts, done < parts ? tell : close_one, NULL);
	done++;
}

/* ---- kamcmd -------------------------------------------------------------------------- */

typedef struct left
{
	int websocket, connection, udp;
} left_t;

static void count(const client_t *c, void *param)
{
	left_t *left = param;

	if(is_page(c))
		left->websocket++;
	else if(kam_has_connections(c->proto))
		left->connection++;
	else
		left->udp++;
}

static void answer(rpc_t *rpc, void *ctx)
{
	const unsigned parts = (unsigned)kam_config.drain_time;
	int calls = kam_calls_here();
	left_t left = {0};
	void *h;

	for(unsigned i = 0; i < parts; i++)
		each_client(i, parts, count, &left);
	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(h, "sddddd", "draining", kam_is_draining() ? "yes" : "no",
			"told", drain->told, "closed", drain->closed, "websocket",
			left.websocket, "connection", left.connection, "udp", left.udp);
	if(calls >= 0)
		rpc->struct_add(h, "d", "calls", calls);
	rpc->struct_add(h, "s", "empty",
			left.websocket + left.connection + left.udp == 0 && calls <= 0
					? "yes"
					: "no");
}

static void begin(void)
{
	if(drain->since != 0)
		return;
	drain->told = drain->closed = 0;
	drain->since = get_ticks() > 0 ? get_ticks() : 1;
	LM_NOTICE("this node is being drained\n");
}

static void end(void)
{
	if(drain->since == 0)
		return;
	drain->since = 0;
	LM_NOTICE("this node is not drained any more\n");
}

void kam_rpc_drain(rpc_t *rpc, void *ctx)
{
	str word = STR_NULL;
	int n = rpc->scan(ctx, "*S", &word);

	if(drain == NULL) {
		rpc->fault(ctx, 404, "No cluster: the parameter node is 0");
		return;
	}
	if(n < 1)
		begin();
	else if(cr_span_eq(kam_span(word), CR_SPAN("off")))
		end();
	else if(!cr_span_eq(kam_span(word), CR_SPAN("status"))) {
		rpc->fault(ctx, 400, "Say: call_resume.drain [off|status]");
		return;
	}
	answer(rpc, ctx);
}

/* ---- start --------------------------------------------------------------------------- */

int kam_drain_init(void)
{
	if(kam_config.node == 0)
		return 0;
	if(kam_config.drain_time < 1 || kam_config.drain_time > PARTS_MAX) {
		LM_ERR("drain_time is from 1 to %d\n", PARTS_MAX);
		return -1;
	}
	close_connection = find_export("tcp_close_connection", 1, 0);
	if(close_connection == NULL || kam_usrloc() == NULL) {
		LM_WARN("no call_resume.drain: that needs tcpops, usrloc and manage\n");
		return 0;
	}
	drain = KAM_SHARED(sizeof(*drain));
	return drain == NULL ? -1 : register_timer(tick, NULL, 1);
}

void kam_drain_destroy(void)
{
	if(drain != NULL)
		shm_free(drain);
	drain = NULL;
}
