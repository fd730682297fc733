/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A WebSocket keeps its memory for some seconds after its end (rm_delay_interval of the module
 * websocket), so that who opens them and closes them at once has many at a time. One that has
 * ended counts as long as that: for its address, or for the user who has proved it.
 */
#include "kam_web_sockets.h"
#include "kam_shared.h"
#include "kam_tcp.h"

#include "../../core/tcp_options.h"
#include "../../core/mem/shm_mem.h"

#define KEPT_US 7000000
/* So many of them that nobody has proved are a part of all connections; and of those a part is for
 * addresses that have none, so that some addresses do not keep all others out. */
#define ENDED_PART 4
#define OTHERS_PART 4
/* Of a user, of those that there may be at a time: pages that are loaded again, and once more. */
#define USER_ENDED 2

typedef struct opened
{
	uint64_t whose, user;
	uint64_t until_us; /* 0: it has not ended */
	int id;
	int is_used, is_proved;
} opened_t;

/* Behind the first top places none is used. */
typedef struct table
{
	gen_lock_t lock;
	int n, top, n_ended, n_ended_max;
	opened_t of[];
} table_t;

static table_t *table;

int kam_web_sockets_init(void)
{
	int max = cfg_get(tcp, tcp_cfg, max_connections);
	int ended = max / ENDED_PART, n = 2 * max + ended;

	table = KAM_SHARED_LOCKED(
			sizeof(*table) + (size_t)n * sizeof(table->of[0]));
	if(table == NULL)
		return -1;
	table->n = n;
	table->n_ended_max = ended;
	return 0;
}

/* With the lock of all connections too. */
static void look_at(opened_t *o, uint64_t now_us)
{
	const struct tcp_connection *c;

	if(o->until_us != 0) {
		o->is_used = now_us < o->until_us;
		return;
	}
	c = kam_tcp_by_id(o->id);
	if(c == NULL || kam_is_closing(c))
		o->until_us = now_us + KEPT_US;
	else if(!o->is_proved)
		o->is_used = !kam_has_proved(c);
}

void kam_web_sockets_look(void)
{
	uint64_t now_us = kam_now_us();
	int top = 0;

	lock_get(&table->lock);
	TCPCONN_LOCK;
	table->n_ended = 0;
	for(int i = 0; i < table->top; i++) {
		opened_t *o = &table->of[i];

		if(o->is_used)
			look_at(o, now_us);
		if(o->is_used)
			top = i + 1;
		table->n_ended += o->is_used && !o->is_proved && o->until_us != 0;
	}
	table->top = top;
	TCPCONN_UNLOCK;
	lock_release(&table->lock);
}

/* Who has proved one has had it. */
static int may_go(const opened_t *o, const opened_t *rather)
{
	return o->is_proved && o->until_us != 0
			&& (rather == NULL || o->until_us < rather->until_us);
}

/* With the lock. @return a place for one of that address; NULL: there are too many */
static opened_t *place_for(int id, uint64_t whose, int most)
{
	opened_t *place = NULL, *oldest = NULL;
	int n = 0, any = 0, ended_max = table->n_ended_max;

	for(int i = 0; i < table->top; i++) {
		opened_t *o = &table->of[i];

		if(!o->is_used) {
			if(place == NULL)
				place = o;
		} else if(o->id == id && o->until_us == 0) {
			place = o;
		} else if(may_go(o, oldest)) {
			oldest = o;
		} else if(!o->is_proved && o->whose == whose) {
			any = 1;
			n += o->until_us != 0;
		}
	}
	if(any)
		ended_max -= ended_max / OTHERS_PART;
	if(n >= most || table->n_ended >= ended_max)
		return NULL;
	if(place == NULL && table->top < table->n)
		place = &table->of[table->top++];
	return place != NULL ? place : oldest;
}

int kam_web_socket_open(int id, uint64_t whose, int most)
{
	opened_t *place;

	lock_get(&table->lock);
	place = place_for(id, whose, most);
	if(place != NULL)
		*place = (opened_t){.whose = whose, .id = id, .is_used = 1};
	lock_release(&table->lock);
	return place != NULL;
}

/* With the lock. @return NULL: it is none */
static opened_t *open_one(int id)
{
	for(int i = 0; i < table->top; i++) {
		opened_t *o = &table->of[i];

		if(o->id == id && o->is_used && o->until_us == 0)
			return o;
	}
	return NULL;
}

/* With the lock. */
static int ended_of(uint64_t user)
{
	int n = 0;

	for(int i = 0; i < table->top; i++) {
		const opened_t *o = &table->of[i];

		n += o->is_used && o->is_proved && o->until_us != 0 && o->user == user;
	}
	return n;
}

int kam_web_socket_prove(int id, uint64_t user)
{
	opened_t *o;
	int may = 1;

	lock_get(&table->lock);
	o = open_one(id);
	if(o != NULL && !(o->is_proved && o->user == user)) {
		may = ended_of(user) < USER_ENDED * kam_config.proved_max;
		if(may) {
			o->is_proved = 1;
			o->user = user;
		}
	}
	lock_release(&table->lock);
	return may;
}
