/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How many calls nobody has answered yet, in streams of media: each has ports at the media
 * server, and who calls with somebody else's address begins as many as he likes. Each name is
 * counted for itself: what rings under one keeps nobody from calling under another one. What is
 * kept of a name goes with the last of its calls.
 */
#include "kam_ringing.h"
#include "kam_message.h"
#include "kam_shared.h"

#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_content.h"

#include "core/sdp.h"

#define SLOTS 1024 /* a power of two */

typedef struct count
{
	struct count *next, **at;
	int n;
	int len;
	char name[];
} count_t;

/* What a call takes until it is answered, for better or worse. */
typedef struct place
{
	count_t *count; /* while n is more than 0 */
	int n;
	struct place *next; /* of the same message */
} place_t;

static struct
{
	gen_lock_t lock;
	count_t *first[SLOTS];
} * table;

int kam_ringing_init(void)
{
	table = KAM_SHARED_LOCKED(sizeof(*table));
	return table == NULL ? -1 : 0;
}

void kam_ringing_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}

/* What it will take: a description that cannot be read here counts as the longest one. */
static int streams_of(struct sip_msg *msg)
{
	const char *body = get_body(msg), *end = msg->buf + msg->len;
	cr_media_t media[CR_STATE_MEDIA_MAX];
	int n;

	if(body == NULL || body >= end)
		return 1;
	n = cr_sdp_media(media, (cr_span_t){body, (size_t)(end - body)}, 0);
	return n > 0 ? n : CR_STATE_MEDIA_MAX;
}

static count_t **slot_of(const str *name)
{
	return &table->first[core_hash(name, NULL, SLOTS)];
}

/* With the lock. @return NULL: nothing is counted under that name */
static count_t *find(const str *name)
{
	count_t *c = *slot_of(name);

	while(c != NULL
			&& (c->len != name->len || memcmp(c->name, name->s, c->len) != 0))
		c = c->next;
	return c;
}

/* With the lock. @return NULL, and it is logged, when there is no memory */
static count_t *make(const str *name)
{
	count_t *c = shm_malloc(sizeof(*c) + name->len), **slot = slot_of(name);

	if(c == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	*c = (count_t){.next = *slot, .at = slot, .len = name->len};
	memcpy(c->name, name->s, name->len);
	if(c->next != NULL)
		c->next->at = &c->next;
	*slot = c;
	return c;
}

/* With the lock. */
static void drop(count_t *c)
{
	*c->at = c->next;
	if(c->next != NULL)
		c->next->at = c->at;
	shm_free(c);
}

/* @return 0: that would be more than most, or there is no memory */
static int take(place_t *place, const str *name, int n, int most)
{
	count_t *c;

	lock_get(&table->lock);
	c = find(name);
	if(n <= most - (c != NULL ? c->n : 0)) {
		place->count = c != NULL ? c : make(name);
		place->n = place->count != NULL ? n : 0;
	}
	if(place->n > 0)
		place->count->n += n;
	lock_release(&table->lock);
	return place->n > 0;
}

static void give_back(place_t *place)
{
	if(table == NULL)
		return;
	lock_get(&table->lock);
	if(place->n > 0) {
		place->count->n -= place->n;
		if(place->count->n == 0)
			drop(place->count);
		place->n = 0;
	}
	lock_release(&table->lock);
}

/* In front of the answer: who gets it may call again. */
static void on_response(struct cell *t, int type, struct tmcb_params *ps)
{
	(void)t;
	(void)type;
	if(ps->code >= 200)
		give_back(*ps->param);
}

/* The transaction is gone, answered or not. */
static void release(void *param)
{
	give_back(param);
	shm_free(param);
}

/* What the message at hand has taken already, under another name. */
static place_t **taken(struct sip_msg *msg)
{
	static kam_message_t last;
	static place_t *places;

	if(kam_is_other_message(&last, msg))
		places = NULL;
	return &places;
}

/* It is refused, and tm will find out only when another one comes. */
static int refuse(struct sip_msg *msg)
{
	for(place_t *place = *taken(msg); place != NULL; place = place->next)
		give_back(place);
	return -1;
}

int ki_resume_ring(struct sip_msg *msg, str *name, int most)
{
	place_t *place = shm_malloc(sizeof(*place));

	if(place == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	*place = (place_t){.next = *taken(msg)};
	if(!take(place, name, streams_of(msg), most)) {
		shm_free(place);
		return refuse(msg);
	}
	if(kam_tm.register_tmcb(
			   msg, 0, TMCB_RESPONSE_READY, on_response, place, release)
			<= 0) {
		LM_ERR("cannot watch the transaction of a call\n");
		release(place);
		return -1;
	}
	*taken(msg) = place;
	return 1;
}
