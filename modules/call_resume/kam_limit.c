/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections whose other end has proved nothing: how many of them an address may
 * have, and for how long. Kamailio gives each a read buffer when it is accepted, and
 * runs no script for one that is silent. Those that Kamailio opens are of them: where
 * it does not for what a script sends, a stranger has made it (kam_connect.c).
 *
 * The script says who has proved what, by a longer lifetime than the core's
 * (tcp_set_connection_lifetime() of tcpops), so that nothing is kept here.
 */
#include "kam.h"

#include "../../core/cfg/cfg.h"
#include "../../core/dprint.h"
#include "../../core/mod_fix.h"
#include "../../core/pt.h"
#include "../../core/sr_module.h"
#include "../../core/tcp_conn.h"
#include "../../core/tcp_options.h"
#include "../../core/timer_proc.h"

#define TICK_US 100000
#define TICKS_PER_S (1000000 / TICK_US)
#define FOUND_MAX 16384

extern gen_lock_t *tcpconn_lock;
extern struct tcp_connection **tcpconn_id_hash;

typedef struct unproved
{
	uint64_t net;
	int id;
	int is_counted; /* not of a proxy, which speaks for many */
} unproved_t;

static cmd_function close_connection;
static unproved_t found[FOUND_MAX]; /* of this process */
static int newest_ago[KAM_UNPROVED_TIME_MAX];
static unsigned int seconds;

/* A customer has a whole /64 of IPv6 (RFC 6177). No IPv6 source begins with ffff:ffff
 * (RFC 4291 section 2.7), so that IPv4 fits in there. */
static uint64_t net_of(const struct ip_addr *ip)
{
	uint64_t net = ~(uint64_t)0;

	if(ip->len == 4)
		memcpy((char *)&net + 4, ip->u.addr, 4);
	else
		memcpy(&net, ip->u.addr, sizeof(net));
	return net;
}

static int is_unproved(const struct tcp_connection *c)
{
	return !(c->flags & F_CONN_FORCE_EOF) && c->state != S_CONN_BAD
			&& c->lifetime <= (ticks_t)cfg_get(tcp, tcp_cfg, con_lifetime);
}

/* Ids rise with each connection, and wrap. */
static int is_before(int id, int other)
{
	return (int)((unsigned int)id - (unsigned int)other) < 0;
}

/** Fills found[]. @param newest  the highest id of all connections, if there is one
 * @return how many are in it */
static int find_unproved(int *newest)
{
	int n = 0;

	TCPCONN_LOCK;
	for(int i = 0; i < TCP_ID_HASH_SIZE; i++) {
		for(struct tcp_connection *c = tcpconn_id_hash[i]; c; c = c->id_next) {
			if(is_before(*newest, c->id))
				*newest = c->id;
			if(!is_unproved(c) || n == FOUND_MAX)
				continue;
			found[n++] = (unproved_t){.net = net_of(&c->rcv.src_ip),
					.id = c->id,
					.is_counted = !kam_is_proxy(&c->rcv.src_ip)};
		}
	}
	TCPCONN_UNLOCK;
	return n;
}

static int by_net_and_age(const void *a, const void *b)
{
	const unproved_t *x = a, *y = b;

	if(x->net != y->net)
		return x->net < y->net ? -1 : 1;
	return is_before(x->id, y->id) ? -1 : x->id != y->id;
}

static int close_one(int id)
{
	gparam_t param = {.type = FPARAM_INT, .v.i = id};

	return close_connection(NULL, (char *)&param, NULL) > 0;
}

/** @return the id of the newest connection as many seconds ago as one may have */
static int newest_then(int newest, int *is_known)
{
	static unsigned int ticks;
	static int then;
	int *slot = &newest_ago[seconds % kam_config.unproved_time];

	if(ticks++ % TICKS_PER_S == 0) {
		then = *slot;
		*slot = newest;
		seconds++;
	}
	*is_known = seconds > (unsigned int)kam_config.unproved_time;
	return then;
}

/* What was done, at most once a second. */
static void report(int many, int old)
{
	static int n_many, n_old;
	static unsigned int said;

	n_many += many;
	n_old += old;
	if(n_many + n_old == 0 || said == seconds)
		return;
	LM_WARN("closed %d connections that had proved nothing: %d more than %d of "
			"one"
			" address, %d older than %d s\n",
			n_many + n_old, n_many, kam_config.unproved_max, n_old,
			kam_config.unproved_time);
	n_many = n_old = 0;
	said = seconds;
}

static void close_surplus(unsigned int ticks, void *param)
{
	static int newest;
	int is_known, of_net = 0, many = 0, old = 0;
	int n = find_unproved(&newest);
	int then = newest_then(newest, &is_known);

	(void)ticks;
	(void)param;
	qsort(found, n, sizeof(found[0]), by_net_and_age);
	for(int i = 0; i < n; i++) {
		of_net = i > 0 && found[i].net == found[i - 1].net ? of_net + 1 : 1;
		if(found[i].is_counted && of_net > kam_config.unproved_max)
			many += close_one(found[i].id);
		else if(is_known && !is_before(then, found[i].id))
			old += close_one(found[i].id);
	}
	kam_count_many(KAM_UNPROVED_CLOSED, many + old);
	report(many, old);
}

int ki_resume_admit(struct sip_msg *msg)
{
	int n, newest = 0, of_net = 0;

	if(kam_config.unproved_max == 0 || kam_is_proxy(&msg->rcv.src_ip))
		return 1;
	n = find_unproved(&newest);
	for(int i = 0; i < n; i++)
		of_net += found[i].net == net_of(&msg->rcv.src_ip);
	return of_net <= kam_config.unproved_max ? 1 : -1;
}

int kam_limit_init(void)
{
	if(kam_config.unproved_max == 0)
		return 0;
	if(kam_config.unproved_max < 0 || kam_config.unproved_time <= 0
			|| kam_config.unproved_time > KAM_UNPROVED_TIME_MAX) {
		LM_ERR("unproved_max is not negative, unproved_time from 1 to %d\n",
				KAM_UNPROVED_TIME_MAX);
		return -1;
	}
	close_connection = find_export("tcp_close_connection", 1, 0);
	if(close_connection == NULL) {
		LM_ERR("unproved_max needs the module tcpops\n");
		return -1;
	}
	return register_sync_timers(1);
}

int kam_limit_start(void)
{
	if(kam_config.unproved_max == 0)
		return 0;
	/* With a socket to the process that has the connections. */
	return fork_sync_utimer(PROC_TIMER, "call_resume connections", 1,
			close_surplus, NULL, TICK_US);
}
