/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two connections whose other end has one address and port. They are to two ports of ours, and
 * need not be of one client: behind a NAT a port is used again for another destination. Kamailio
 * finds the connection to a client by address and port, and of two it takes the later one, also
 * when that is gone. So whoever is behind the same NAT, or on the same machine, would get what is
 * for a client there by a connection from the same port to another one of ours.
 */
#include "kam_ports.h"
#include "kam_tcp.h"

#include "../../core/dprint.h"
#include "../../core/tcp_options.h"
#include "../../core/tcp_server.h"

#define SEEN_MAX 1024
/* 0.02 s each: how long one of the two may take to prove something, and how long it may take until
 * what is over is gone. */
#define PROOF_TRIES 100
#define GONE_TRIES 500

typedef struct seen
{
	int id, proto, tries;
	struct ip_addr ip, our_ip;
	int port, our_port;
} seen_t;

/* Of the process that has the timer. */
static seen_t seen[SEEN_MAX];
static int n_seen;

/* Kamailio copies this when all modules are there. */
void kam_ports_init(void)
{
#ifdef USE_TCP
	tcp_default_cfg.new_conn_alias_flags = 0;
#endif
}

void kam_ports_see(const struct tcp_connection *c)
{
	if(n_seen == SEEN_MAX || !(c->flags & F_CONN_PASSIVE))
		return;
	seen[n_seen++] = (seen_t){.id = c->id,
			.proto = c->rcv.proto,
			.ip = c->rcv.src_ip,
			.our_ip = c->rcv.dst_ip,
			.port = c->rcv.src_port,
			.our_port = c->rcv.dst_port};
}

/* What is known of one of them. */
typedef struct end
{
	int id; /* 0: there is none */
	int is_closing, is_proved, is_same_port;
	int is_ours; /* Kamailio has opened it */
} end_t;

static end_t end_of(const seen_t *s, struct tcp_connection *c)
{
	struct ip_addr our_ip = s->our_ip;

	return (end_t){.id = c->id,
			.is_closing = kam_is_closing(c),
			.is_proved = kam_has_proved(c),
			.is_same_port = c->rcv.dst_port == s->our_port
					&& ip_addr_cmp(&c->rcv.dst_ip, &our_ip),
			.is_ours = !(c->flags & F_CONN_PASSIVE)};
}

static void look(const seen_t *s, end_t *first, end_t *later)
{
	struct tcp_connection *c;

	*first = *later = (end_t){0};
	TCPCONN_LOCK;
	if((c = kam_tcp_by_address(&s->ip, s->port)) != NULL)
		*first = end_of(s, c);
	if((c = kam_tcp_by_id(s->id)) != NULL)
		*later = end_of(s, c);
	TCPCONN_UNLOCK;
}

/* Who has proved something stays; of two that have, or have not, the first one.
 * @return 0: to be looked at again */
static int choose(
		seen_t *s, const end_t *first, const end_t *later, int (*close)(int id))
{
	/* From one port to one port there is one connection: the first one will be gone soon. */
	if(first->is_same_port || first->is_closing)
		return ++s->tries > GONE_TRIES;
	if(!first->is_proved && later->is_proved) {
		close(first->id);
		return 0;
	}
	/* Who listens at that port may come from it too, as other proxies do. */
	if(first->is_ours)
		return 0;
	if(!first->is_proved && ++s->tries <= PROOF_TRIES)
		return 0;
	close(later->id);
	return 1;
}

/* @return 0: to be looked at again */
static int check(seen_t *s, int (*close)(int id))
{
	end_t first, later;

	look(s, &first, &later);
	if(later.id == 0 || first.id == later.id)
		return 1;
	if(first.id != 0)
		return choose(s, &first, &later, close);
	/* The first one is gone by now, and this one had come before that. */
	tcpconn_add_alias(s->id, s->port, s->proto);
	return 1;
}

void kam_ports_check(int (*close)(int id))
{
	int n = 0;

	for(int i = 0; i < n_seen; i++) {
		if(!check(&seen[i], close))
			seen[n++] = seen[i];
	}
	n_seen = n;
}
