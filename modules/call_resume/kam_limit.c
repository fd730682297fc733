/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections whose other end has proved nothing: how many of them an address may
 * have, and for how long. Kamailio gives each a read buffer when it is accepted, and
 * runs no script for one that is silent. Those that Kamailio opens are of them: where
 * it does not for what a script sends, a stranger has made it (kam_connect.c).
 *
 * And those whose other end has proved who it is: how many of them a user may have.
 *
 * The script says which is which, by a longer lifetime than the core's
 * (tcp_set_connection_lifetime() of tcpops). Whose a connection is stands in a list,
 * one entry for each connection that there may be.
 */
#include "kam_limit.h"
#include "kam_connection.h"
#include "kam_hold.h"
#include "kam_known.h"
#include "kam_ports.h"
#include "kam_proxy.h"
#include "kam_session.h"
#include "kam_shared.h"
#include "kam_stat.h"
#include "kam_tcp.h"
#include "kam_trust.h"
#include "kam_web_sockets.h"

#include <limits.h>

#include "../../core/cfg/cfg.h"
#include "../../core/dprint.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/mod_fix.h"
#include "../../core/pt.h"
#include "../../core/resolve.h"
#include "../../core/sr_module.h"
#include "../../core/tcp_options.h"
#include "../../core/timer_proc.h"

#include "core/crowd.h"

#define TICK_US 20000
#define TICKS_PER_S (1000000 / TICK_US)
#define FOUND_MAX 16384

/* Of this process: of addresses, of proxies that have said for whom, and of proxies. */
static cr_member_t found[FOUND_MAX], spoken[FOUND_MAX], of_proxy[FOUND_MAX];
static int n_found, n_spoken, n_of_proxy;
/* What is there beside found[] and spoken[]: who has proved something, and of_proxy[]. */
static int n_others;

/* Whose the connections are that have proved it; for all processes. */
typedef struct users
{
	gen_lock_t lock;
	int n, max;
	cr_member_t of[];
} users_t;

static users_t *users;

/* Whom a proxy speaks for on a connection: at its id, modulo how many there are. More places than
 * connections, so that two seldom have the same; the later one has it then. */
#define PLACES_EACH 4
static cr_member_t
		*spoken_for; /* for all processes, with the lock of all connections */
static unsigned int n_places;
static cmd_function close_connection;

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
	return !kam_is_closing(c) && !kam_has_proved(c);
}

/* @param m  receives for whom */
static int is_spoken_for(cr_member_t *m)
{
	const cr_member_t *at = &spoken_for[(unsigned int)m->id % n_places];

	if(at->id != m->id)
		return 0;
	m->whose = at->whose;
	return 1;
}

/** Fills found[], spoken[] and of_proxy[]. @param newest  the highest id of all connections, if
 * there is one. @param see  is called for each behind that, or NULL */
static void find_unproved(
		int *newest, void (*see)(const struct tcp_connection *))
{
	int seen = *newest;

	n_found = n_spoken = n_of_proxy = n_others = 0;
	TCPCONN_LOCK;
	for(int i = 0; i < TCP_ID_HASH_SIZE; i++) {
		for(struct tcp_connection *c = tcpconn_id_hash[i]; c; c = c->id_next) {
			cr_member_t m = {.whose = net_of(&c->rcv.src_ip), .id = c->id};

			if(see != NULL && cr_crowd_is_older(seen, c->id))
				see(c);
			if(cr_crowd_is_older(*newest, c->id))
				*newest = c->id;
			if(!is_unproved(c)) {
				n_others += !kam_is_closing(c);
			} else if(!kam_is_proxy(&c->rcv.src_ip)) {
				if(n_found < FOUND_MAX)
					found[n_found++] = m;
			} else if(is_spoken_for(&m)) {
				if(n_spoken < FOUND_MAX)
					spoken[n_spoken++] = m;
			} else if(++n_others && n_of_proxy < FOUND_MAX) {
				of_proxy[n_of_proxy++] = m;
			}
		}
	}
	TCPCONN_UNLOCK;
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
static void report(int many, int old, int each)
{
	static int n_many, n_old;
	static unsigned int said;

	n_many += many;
	n_old += old;
	if(n_many + n_old == 0 || said == seconds)
		return;
	LM_WARN("closed %d connections that had proved nothing: %d more than %d of "
			"one address, %d older than %d s\n",
			n_many + n_old, n_many, each, n_old, kam_config.unproved_time);
	n_many = n_old = 0;
	said = seconds;
}

static int close_old(const cr_member_t *m, int n, int then)
{
	int old = 0;

	for(int i = 0; i < n; i++) {
		if(!m[i].is_surplus && !cr_crowd_is_older(then, m[i].id))
			old += close_one(m[i].id);
	}
	return old;
}

static int close_marked(const cr_member_t *m, int n)
{
	int many = 0;

	for(int i = 0; i < n; i++) {
		if(m[i].is_surplus)
			many += close_one(m[i].id);
	}
	return many;
}

/* All of them together may have half of what others leave, so that there is as much room
 * for who comes next. Who has most gives; where everybody has one, the oldest go.
 * @return how many each may have */
static int mark_surplus(void)
{
	int all = (cfg_get(tcp, tcp_cfg, max_connections) - n_others) / 2, each;

	/* A proxy has limits of its own for each address; all together are our business. */
	if(n_found + n_spoken > all) {
		while(n_spoken > 0 && n_found < FOUND_MAX)
			found[n_found++] = spoken[--n_spoken];
	}
	cr_crowd_sort(found, n_found);
	each = cr_crowd_share(found, n_found, kam_config.unproved_max, all);
	cr_crowd_mark(found, n_found, each, 0);
	cr_crowd_mark_oldest(found, n_found, all);
	return each;
}

static void close_unproved(void)
{
	static int newest;
	int is_known, then, many, each, old = 0;

	find_unproved(&newest, kam_ports_see);
	then = newest_then(newest, &is_known);
	each = mark_surplus();
	many = close_marked(found, n_found);
	if(is_known)
		old = close_old(found, n_found, then)
				+ close_old(spoken, n_spoken, then)
				+ close_old(of_proxy, n_of_proxy, then);
	kam_count_many(KAM_UNPROVED_CLOSED, many + old);
	report(many, old, each);
	kam_ports_check(close_one);
}

/* ---- connections of a user ---------------------------------------------------- */

/* @return that connection, while it is there; with the lock of all connections */
static struct tcp_connection *connection_of(int id)
{
	struct tcp_connection *c = kam_tcp_by_id(id);

	return c != NULL && !kam_is_closing(c) ? c : NULL;
}

static void forget_closed(void)
{
	int n = 0;

	TCPCONN_LOCK;
	for(int i = 0; i < users->n; i++) {
		if(connection_of(users->of[i].id) != NULL)
			users->of[n++] = users->of[i];
	}
	TCPCONN_UNLOCK;
	users->n = n;
}

static void close_surplus_of_users(void)
{
	static unsigned int said;
	static int n_many;
	int many = 0;

	lock_get(&users->lock);
	forget_closed();
	cr_crowd_sort(users->of, users->n);
	if(cr_crowd_mark(users->of, users->n, kam_config.proved_max, 1) > 0)
		many = close_marked(users->of, users->n);
	lock_release(&users->lock);
	kam_count_many(KAM_PROVED_CLOSED, many);
	n_many += many;
	if(n_many == 0 || said == seconds)
		return;
	LM_WARN("closed %d connections of users that had more than %d\n", n_many,
			kam_config.proved_max);
	n_many = 0;
	said = seconds;
}

static void close_surplus(unsigned int ticks, void *param)
{
	(void)ticks;
	(void)param;
	close_unproved();
	kam_web_sockets_look();
	kam_hold_check();
	if(users != NULL)
		close_surplus_of_users();
}

/* The user of the call that this message is in. Whoever is in that call can bring its names, the
 * other end too: so what they prove is counted apart.
 * @return 0: it is in none, or in one that names nobody */
static int find_user_of_call(uint64_t *user, struct sip_msg *msg)
{
	cr_ref_t ref;

	if(msg->first_line.type != SIP_REQUEST
			|| (kam_open_ref(&ref, msg, CR_PURPOSE_CALLER) != CR_OK
					&& kam_open_ref(&ref, msg, CR_PURPOSE_CALLEE) != CR_OK)
			|| ref.sub.len == 0)
		return 0;
	*user = ~cr_crowd_user(ref.sub);
	return 1;
}

/* Who says so: the token or password of this message, or the call that it is in: that closes no
 * connection that a token or password has proved.
 * @return 0: nobody does */
static int find_user(uint64_t *user, struct sip_msg *msg)
{
	const kam_session_t *session = kam_session(msg);

	if(!session->authenticated)
		return find_user_of_call(user, msg);
	*user = cr_crowd_user(cr_span_str(session->token.sub));
	return 1;
}

/* With the lock of the list. */
static cr_member_t *listed(int id)
{
	for(int i = 0; i < users->n; i++) {
		if(users->of[i].id == id)
			return &users->of[i];
	}
	return NULL;
}

/* @param user  receives whose it is */
static int is_listed(int id, uint64_t *user)
{
	const cr_member_t *m;

	lock_get(&users->lock);
	m = listed(id);
	if(m != NULL)
		*user = m->whose;
	lock_release(&users->lock);
	return m != NULL;
}

/* @return 0: there is no room */
static int list(int id, uint64_t user)
{
	cr_member_t *m;

	lock_get(&users->lock);
	m = listed(id);
	if(m == NULL && users->n < users->max)
		m = &users->of[users->n++];
	if(m != NULL)
		*m = (cr_member_t){.whose = user, .id = id};
	lock_release(&users->lock);
	return m != NULL;
}

/* What Kamailio has opened itself has no limit. */
static int is_ours(int id)
{
	const struct tcp_connection *c;
	int is;

	TCPCONN_LOCK;
	c = connection_of(id);
	is = c != NULL && !(c->flags & F_CONN_PASSIVE);
	TCPCONN_UNLOCK;
	return is;
}

int ki_resume_proved(struct sip_msg *msg)
{
	int id = msg->rcv.proto_reserved1;
	uint64_t user = 0;

	if(msg->rcv.proto == PROTO_TCP || msg->rcv.proto == PROTO_TLS)
		kam_hold(id);
	/* The connection of a proxy is nobody's: all of its clients come over it. */
	if(users == NULL || msg->rcv.proto == PROTO_UDP || kam_is_by_first_hop(msg))
		return 1;
	if((is_listed(id, &user) && !kam_session(msg)->authenticated)
			|| is_ours(id))
		return 1;
	return find_user(&user, msg) && kam_web_socket_prove(id, user)
					&& list(id, user)
			? 1
			: -1;
}

/* Whose connection it is counts for more than the names of a call: these the other end has, too. */
int64_t kam_limit_user(struct sip_msg *msg)
{
	uint64_t user = 0;

	if(users != NULL && !kam_session(msg)->authenticated
			&& kam_has_connections(msg->rcv.proto) && !kam_is_by_first_hop(msg)
			&& is_listed(msg->rcv.proto_reserved1, &user))
		return (int64_t)user;
	(void)find_user(&user, msg);
	return (int64_t)user;
}

int ki_resume_speaks_for(struct sip_msg *msg, str *address)
{
	struct ip_addr *ip = str2ip(address);
	int id = msg->rcv.proto_reserved1;

	if(ip == NULL)
		ip = str2ip6(address);
	if(ip == NULL || !kam_is_proxy(&msg->rcv.src_ip))
		return -1;
	if(n_places == 0 || msg->rcv.proto == PROTO_UDP)
		return 1;
	TCPCONN_LOCK;
	spoken_for[(unsigned int)id % n_places]
			= (cr_member_t){.whose = net_of(ip), .id = id};
	TCPCONN_UNLOCK;
	return 1;
}

static int make_places(void)
{
	n_places = PLACES_EACH
			* (unsigned int)cfg_get(tcp, tcp_cfg, max_connections);
	spoken_for = KAM_SHARED(n_places * sizeof(*spoken_for));
	return spoken_for == NULL ? -1 : 0;
}

static int make_users(void)
{
	int max = cfg_get(tcp, tcp_cfg, max_connections);
	size_t size = sizeof(*users) + (size_t)max * sizeof(users->of[0]);

	users = KAM_SHARED_LOCKED(size);
	if(users == NULL)
		return -1;
	users->max = max;
	return 0;
}

/* ---- the start, and what scripts ask ------------------------------------------- */

/* Those that are there it counts itself. */
static int admit_of_proxy(const struct sip_msg *msg)
{
	cr_member_t m = {
			.whose = net_of(&msg->rcv.src_ip), .id = msg->rcv.proto_reserved1};
	int is_spoken;

	TCPCONN_LOCK;
	is_spoken = is_spoken_for(&m);
	TCPCONN_UNLOCK;
	return kam_web_socket_open(
			m.id, m.whose, is_spoken ? kam_config.unproved_max : INT_MAX);
}

int ki_resume_admit(struct sip_msg *msg)
{
	uint64_t net = net_of(&msg->rcv.src_ip);
	int newest = 0, of_net = 0;

	if(kam_config.unproved_max == 0)
		return 1;
	if(kam_is_proxy(&msg->rcv.src_ip))
		return admit_of_proxy(msg) ? 1 : -1;
	find_unproved(&newest, NULL);
	for(int i = 0; i < n_found; i++)
		of_net += found[i].whose == net;
	/* (This one is there, and not a WebSocket yet.) */
	return of_net <= kam_config.unproved_max
					&& kam_web_socket_open(msg->rcv.proto_reserved1, net,
							kam_config.unproved_max + 1 - of_net)
			? 1
			: -1;
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
	if(make_places() < 0 || kam_web_sockets_init() < 0
			|| (kam_config.proved_max > 0 && make_users() < 0))
		return -1;
	kam_ports_init();
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
