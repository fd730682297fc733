/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Kamailio's modules give back a reference to a connection by tcpconn_put(), which frees
 * nothing. When it was the last one, because the other end has closed in the meantime, its
 * memory stays for ever: a client that closes as soon as it has a message leaves that behind
 * once in some thirty times, while another process is still in the module websocket. So there
 * is one reference more, which is given back when it is the last one, to the process that frees:
 * of whatever HTTP has come over, as WebSockets begin with that, and of clients over TCP or TLS.
 */
#include "kam_hold.h"
#include "kam_shared.h"
#include "kam_tcp.h"

#include "../../core/dprint.h"
#include "../../core/pass_fd.h"
#include "../../core/pt.h"
#include "../../core/tcp_init.h"
#include "../../core/tcp_options.h"
#include "../../core/mem/shm_mem.h"

/* A connection is at its number, modulo how many places there are, or close behind it. */
#define PLACES_EACH 4
#define TRIES 16
/* So many at a time are given back. */
#define OVER_MAX 1024
/* After so many new ones a process gives back what is over itself: whoever opens and closes them
 * fast has no more of them at a time. */
#define NEW_MAX 64

typedef struct held
{
	int id; /* 0: nothing */
	struct tcp_connection *c;
} held_t;

typedef struct table
{
	gen_lock_t lock;
	int n;
	held_t of[];
} table_t;

static table_t *table;

int kam_hold_init(void)
{
	int n = PLACES_EACH * cfg_get(tcp, tcp_cfg, max_connections);

	/* Nobody would give them back. */
	if(tcp_disable || (kam_config.unproved_max == 0 && !kam_config.manage))
		return 0;
	table = KAM_SHARED_LOCKED(sizeof(*table) + (size_t)n * sizeof(held_t));
	if(table == NULL)
		return -1;
	table->n = n;
	return 0;
}

void kam_hold_destroy(void)
{
	if(table == NULL)
		return;
	shm_free(table);
	table = NULL;
}

/* With its lock. @return where that connection is or can be; NULL: there is no place */
static held_t *place_of(int id)
{
	held_t *place = NULL;

	for(int i = 0; i < TRIES; i++) {
		held_t *h
				= &table->of[((unsigned)id + (unsigned)i) % (unsigned)table->n];

		if(h->id == id)
			return h;
		if(h->id == 0 && place == NULL)
			place = h;
	}
	return place;
}

/* @return with one more reference; NULL: it is over */
static struct tcp_connection *take(int id)
{
	struct tcp_connection *c;

	TCPCONN_LOCK;
	c = kam_tcp_by_id(id);
	if(c != NULL)
		atomic_inc(&c->refcnt);
	TCPCONN_UNLOCK;
	return c;
}

/* @return 1 for a new one */
static int hold(int id)
{
	held_t *h;
	int is_new;

	lock_get(&table->lock);
	h = place_of(id);
	is_new = h != NULL && h->id == 0 && (h->c = take(id)) != NULL;
	if(is_new)
		h->id = id;
	lock_release(&table->lock);
	return is_new;
}

/* Nobody can find it, and nobody else has it. */
static int is_over(struct tcp_connection *c)
{
	if(mb_atomic_get(&c->refcnt) != 1)
		return 0;
	return c->state == S_CONN_BAD && !(c->flags & F_CONN_HASHED)
			&& (c->flags & F_CONN_FD_CLOSED);
}

/* Of a connection that is over, that takes the reference and no more.
 * @return 0, or -1: not now */
static int give_back(struct tcp_connection *c)
{
	long message[2] = {(long)c, CONN_QUEUED_WRITE};

	if(send_all(unix_tcp_sock, message, sizeof(message)) > 0)
		return 0;
	LM_ERR("cannot give back a connection\n");
	return -1;
}

/* @return how many are over */
static int find_over(held_t *over)
{
	int n = 0;

	lock_get(&table->lock);
	for(int i = 0; i < table->n && n < OVER_MAX; i++) {
		held_t *h = &table->of[i];

		if(h->id == 0 || !is_over(h->c))
			continue;
		over[n++] = *h;
		*h = (held_t){0};
	}
	lock_release(&table->lock);
	return n;
}

void kam_hold_check(void)
{
	static held_t over[OVER_MAX];
	int n;

	if(table == NULL)
		return;
	n = find_over(over);
	for(int i = 0; i < n; i++)
		(void)give_back(over[i].c);
}

void kam_hold(int id)
{
	static int n_new;

	if(table == NULL || id <= 0)
		return;
	n_new += hold(id);
	if(n_new < NEW_MAX || unix_tcp_sock <= 0)
		return;
	n_new = 0;
	kam_hold_check();
}
