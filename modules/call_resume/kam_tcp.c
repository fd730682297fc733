/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_tcp.h"

#include "../../core/tcp_options.h"

extern struct tcp_conn_alias **tcpconn_aliases_hash;

struct tcp_connection *kam_tcp_by_id(int id)
{
	struct tcp_connection *c = tcpconn_id_hash[tcp_id_hash(id)];

	while(c != NULL && (c->id != id || c->state == S_CONN_BAD))
		c = c->id_next;
	return c;
}

struct tcp_connection *kam_tcp_by_address(const struct ip_addr *ip, int port)
{
	struct ip_addr to = *ip, any;
	struct tcp_conn_alias *a;

	ip_addr_mk_any(to.af, &any);
	a = tcpconn_aliases_hash[tcp_addr_hash(&to, port, &any, 0)];
	while(a != NULL
			&& (a->port != port || a->parent->state == S_CONN_BAD
					|| !ip_addr_cmp(&to, &a->parent->rcv.src_ip)))
		a = a->next;
	return a != NULL ? a->parent : NULL;
}

int kam_is_closing(const struct tcp_connection *c)
{
	return (c->flags & F_CONN_FORCE_EOF) || c->state == S_CONN_BAD;
}

int kam_has_proved(const struct tcp_connection *c)
{
	return c->lifetime > (ticks_t)cfg_get(tcp, tcp_cfg, con_lifetime);
}

int kam_tcp_is_up(int id, const struct ip_addr *ip, int port)
{
	const struct tcp_connection *c;
	int found = 0;

	/* Without TCP there are no tables. */
	if(tcpconn_id_hash == NULL)
		return 0;
	TCPCONN_LOCK;
	c = id != 0 ? kam_tcp_by_id(id) : kam_tcp_by_address(ip, port);
	if(c != NULL && c->state != S_CONN_EOF && c->state != S_CONN_ERROR)
		found = c->id;
	TCPCONN_UNLOCK;
	return found;
}

static int is_web_socket(int proto)
{
	return proto == PROTO_WS || proto == PROTO_WSS;
}

int kam_tcp_speaks(
		int proto, int id, const struct ip_addr *ip, int port, int our_port)
{
	const struct tcp_connection *c;
	int speaks, is_other = 0;

	if(tcpconn_id_hash == NULL)
		return 1;
	TCPCONN_LOCK;
	c = id != 0 ? kam_tcp_by_id(id) : NULL;
	if(c == NULL && port != 0) {
		c = kam_tcp_by_address(ip, port);
		is_other = c != NULL && id != 0 && our_port != 0
				&& (c->flags & F_CONN_PASSIVE) && c->rcv.dst_port != our_port;
	}
	speaks = c == NULL
			|| (!is_other && is_web_socket(c->type) == is_web_socket(proto));
	TCPCONN_UNLOCK;
	return speaks;
}

unsigned int kam_tcp_queued(int id)
{
	const struct tcp_connection *c;
	unsigned int queued = 0;

	if(tcpconn_id_hash == NULL || id == 0)
		return 0;
	TCPCONN_LOCK;
	c = kam_tcp_by_id(id);
	if(c != NULL)
		queued = c->wbuf_q.queued;
	TCPCONN_UNLOCK;
	return queued;
}
