/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which connection a client is reached over. The alias of nathelper in its Contact has
 * an address and a port; behind a web server all clients have its address, and their
 * ports come round. So beside it stands the number that Kamailio has given to the
 * connection.
 */
#include "kam_connection.h"
#include "kam_message.h"
#include "kam_node.h"
#include "kam_tcp.h"

#include "../../core/data_lump.h"
#include "../../core/dprint.h"
#include "../../core/dset.h"
#include "../../core/resolve.h"
#include "../../core/sr_module.h"
#include "../../core/mem/mem.h"
#include "../../core/parser/contact/parse_contact.h"
#include "../../core/parser/parse_uri.h"

#include "core/wire.h"

/* @return 0 when a message came over none */
static int connection_of(const struct sip_msg *msg)
{
	switch(msg->rcv.proto) {
		case PROTO_TCP:
		case PROTO_TLS:
		case PROTO_WS:
		case PROTO_WSS:
			return msg->rcv.proto_reserved1;
		default:
			return 0;
	}
}

/* The URI of the first Contact, where a parameter can be put behind it. */
static contact_t *marked_contact(struct sip_msg *msg)
{
	contact_t *c;

	if(parse_headers(msg, HDR_CONTACT_F, 0) < 0 || msg->contact == NULL
			|| parse_contact(msg->contact) < 0)
		return NULL;
	c = ((contact_body_t *)msg->contact->parsed)->contacts;
	if(c == NULL || c->uri.s == msg->buf || c->uri.s[-1] != '<'
			|| memchr(c->uri.s, '?', c->uri.len) != NULL)
		return NULL;
	return c;
}

int ki_resume_mark_contact(struct sip_msg *msg)
{
	char mem[32];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	int id = connection_of(msg);
	struct lump *anchor;
	contact_t *c;
	str param;

	if((id <= 0 && kam_config.node == 0) || (c = marked_contact(msg)) == NULL)
		return 1;
	if(id > 0) {
		cr_put_str(&w, CR_CONNECTION_PARAM);
		cr_put_uint(&w, (uint32_t)id);
	}
	if(kam_config.node > 0) {
		cr_put_str(&w, CR_NODE_PARAM);
		cr_put_uint(&w, (uint32_t)kam_config.node);
	}
	anchor = anchor_lump(msg, c->uri.s + c->uri.len - msg->buf, 0, 0);
	if(anchor == NULL || cr_writer_end(&w) != CR_OK)
		return -1;
	param.s = pkg_malloc(w.len);
	if(param.s == NULL) {
		PKG_MEM_ERROR;
		return -1;
	}
	memcpy(param.s, mem, w.len);
	param.len = (int)w.len;
	if(insert_new_lump_after(anchor, param.s, param.len, 0) == NULL) {
		pkg_free(param.s);
		return -1;
	}
	return 1;
}

/* ---- and back ------------------------------------------------------------------ */

typedef struct mark
{
	int id;   /* of the connection, or 0 */
	int node; /* that it is at, or 0 */
} mark_t;

static mark_t *unmarked(struct sip_msg *msg)
{
	static kam_message_t last;
	static mark_t mark;

	if(kam_is_other_message(&last, msg))
		mark = (mark_t){0};
	return &mark;
}

int kam_connection(struct sip_msg *msg)
{
	return unmarked(msg)->id;
}

/* @return 0 when it is no number of up to nine digits */
static int id_in(cr_span_t value)
{
	int id = 0;

	if(value.len > 9)
		return 0;
	for(size_t i = 0; i < value.len; i++) {
		if(value.s[i] < '0' || value.s[i] > '9')
			return 0;
		id = id * 10 + (value.s[i] - '0');
	}
	return id;
}

/* The last one is ours: any other a client has written into its Contact itself. */
static int find_mark(
		cr_span_t uri, const char *name, cr_span_t *value, cr_span_t *param)
{
	cr_span_t rest = uri;
	int found = 0;

	while(cr_param_find(rest, name, value, param)) {
		size_t at = (size_t)(param->s - uri.s) + param->len;

		rest = cr_span_sub(uri, at, uri.len);
		found = 1;
	}
	return found;
}

/* Kamailio 5.6.3 copies the Request-URI into 1024 bytes unchecked there. */
#define ALIAS_URI_MAX 900

typedef int (*close_ws_t)(struct sip_msg *, char *, char *, char *);

/* handle_ruri_alias() of nathelper and ws_close() of websocket; NULL where these are not loaded. */
static cmd_function handle_alias;
static close_ws_t close_ws;

/* An answer in HTTP is for the connection of who has asked (RFC 9112 section 9.2). Where that is
 * gone, Kamailio would take another one to its address: of a client behind the same NAT, to which
 * it means nothing, or even its end. */
static void answer_http(sl_cbp_t *p)
{
	if(IS_HTTP(p->req) && connection_of(p->req) != 0)
		su_setport(&p->dst->to, 0);
}

int kam_connection_init(void)
{
	static sl_cbelem_t ready = {.type = SLCB_REPLY_READY, .cbf = answer_http};

	close_ws = (close_ws_t)find_export("ws_close", 3, 0);
	if(kam_config.manage)
		handle_alias = find_export("handle_ruri_alias", 0, 0);
	return kam_sl.register_cb(&ready);
}

/* ws_close() of the module websocket is 0 when its frame cannot be sent, and 0 ends a script. */
int ki_resume_close_ws(struct sip_msg *msg, int status, str *reason, int con)
{
	fparam_t code = {.type = FPARAM_INT, .v.i = status};
	fparam_t why = {.type = FPARAM_STR, .v.str = *reason};
	fparam_t id = {.type = FPARAM_INT, .v.i = con};

	if(close_ws == NULL) {
		LM_ERR("resume_close_ws() needs the module websocket\n");
		return -1;
	}
	return close_ws(msg, (char *)&code, (char *)&why, (char *)&id) > 0 ? 1 : -1;
}

/* The script may do so later, which would be too late to tell where it goes. */
static void follow_alias(struct sip_msg *msg)
{
	if(handle_alias != NULL && msg->dst_uri.len == 0
			&& GET_RURI(msg)->len < ALIAS_URI_MAX)
		handle_alias(msg, NULL, NULL);
}

int kam_node_of_uri(struct sip_msg *msg)
{
	cr_span_t value, param;

	if(kam_config.node == 0 || msg->first_line.type != SIP_REQUEST
			|| !find_mark(
					kam_span(*GET_RURI(msg)), CR_NODE_NAME, &value, &param))
		return 0;
	return id_in(value);
}

/* Take a mark off the Request-URI. @return what it says, 0 when there is none, or -1 */
static int take_off(struct sip_msg *msg, const char *name)
{
	cr_span_t uri = kam_span(*GET_RURI(msg)), value, param;
	char mem[MAX_URI_SIZE];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	str bare;
	int id;

	if(!find_mark(uri, name, &value, &param) || (id = id_in(value)) == 0)
		return 0;
	cr_put_span(&w, cr_span_sub(uri, 0, (size_t)(param.s - uri.s)));
	cr_put_span(&w,
			cr_span_sub(uri, (size_t)(param.s - uri.s) + param.len, uri.len));
	bare = kam_str(cr_written(&w));
	if(cr_writer_end(&w) != CR_OK || rewrite_uri(msg, &bare) < 0)
		return -1;
	return id;
}

int ki_resume_unmark_uri(struct sip_msg *msg)
{
	int id, node = 0;

	follow_alias(msg);
	id = take_off(msg, CR_CONNECTION_NAME);
	if(kam_config.node > 0)
		node = take_off(msg, CR_NODE_NAME);
	if(id < 0 || node < 0)
		return -1;
	if(id > 0)
		unmarked(msg)->id = id;
	if(node > 0)
		unmarked(msg)->node = node;
	return 1;
}

/* ---- is it there ------------------------------------------------------------------ */

static int is_ip(str *host, struct ip_addr *ip)
{
	struct ip_addr *found = str2ip(host);

	if(found == NULL)
		found = str2ip6(host);
	if(found != NULL)
		*ip = *found;
	return found != NULL;
}

int kam_has_connections(int proto)
{
	return proto == PROTO_TCP || proto == PROTO_TLS || proto == PROTO_WS
			|| proto == PROTO_WSS;
}

/* Where there is a connection already, its other end has to understand the transport. */
static int speaks(const struct sip_uri *uri, int id)
{
	str host = uri->host;
	struct ip_addr ip;

	return !kam_has_connections(uri->proto) || !is_ip(&host, &ip)
			|| kam_tcp_speaks(uri->proto, id, &ip,
					uri->port_no != 0 ? uri->port_no : SIP_PORT, 0);
}

/* @return the number of a connection to that address, 0 when there is none */
static int connection_to(const struct sip_uri *uri)
{
	str host = uri->host;
	struct ip_addr ip;

	return is_ip(&host, &ip) ? kam_tcp_is_up(0, &ip, uri->port_no) : 0;
}

int kam_is_gone(const struct dest_info *dst)
{
	union sockaddr_union to = dst->to;
	struct ip_addr ip;

	if(!kam_has_connections(dst->proto))
		return 0;
	su2ip_addr(&ip, &to);
	return kam_tcp_is_up(dst->id, &ip, su_getport(&to)) == 0;
}

int kam_is_understood(const struct dest_info *dst)
{
	union sockaddr_union to = dst->to;
	struct ip_addr ip;

	if(!kam_has_connections(dst->proto))
		return 1;
	su2ip_addr(&ip, &to);
	return kam_tcp_speaks(dst->proto, dst->id, &ip, su_getport(&to),
			dst->send_sock != NULL ? dst->send_sock->port_no : 0);
}

int kam_is_connected(struct sip_msg *msg)
{
	int alias = msg->dst_uri.len > 0, id = kam_connection(msg), found;
	str *to = alias ? &msg->dst_uri : GET_RURI(msg);
	struct sip_uri uri;

	if(unmarked(msg)->node != 0 && unmarked(msg)->node != kam_config.node)
		return 0;
	/* Without an alias it would be reached over a connection of our own, if need be;
	 * unless it had one. */
	if(to->s == NULL || parse_uri(to->s, to->len, &uri) < 0)
		return 1;
	if(!speaks(&uri, id))
		return -1;
	if(alias ? !kam_has_connections(uri.proto) : id == 0)
		return 1;
	found = connection_to(&uri);
	if(found == 0)
		return !alias;
	return id == 0 || id == found;
}

int kam_is_same_contact(cr_span_t contact, cr_span_t uri)
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
