/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How many calls nobody has answered yet, in streams of media: each has ports at the media
 * server, and who calls with somebody else's address begins as many as he likes. Counted in
 * a table that does not grow; names that share a place in it share what they may.
 */
#include "kam.h"

#include "../../core/atomic_ops.h"
#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_content.h"

#include "core/sdp.h"

#define SLOTS 8192 /* a power of two */

/* What a call takes until it is answered, for better or worse. */
typedef struct place
{
	unsigned slot;
	atomic_t n;
	struct place *next; /* of the same message */
} place_t;

static atomic_t *slots;

int kam_ringing_init(void)
{
	slots = shm_malloc(SLOTS * sizeof(*slots));
	if(slots == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	memset(slots, 0, SLOTS * sizeof(*slots));
	return 0;
}

void kam_ringing_destroy(void)
{
	if(slots != NULL)
		shm_free(slots);
	slots = NULL;
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

static void add(unsigned slot, int n)
{
	if(slots != NULL)
		(void)atomic_add(&slots[slot], n);
}

static void give_back(place_t *place)
{
	int n = atomic_get_and_set(&place->n, 0);

	if(n > 0)
		add(place->slot, -n);
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
	int n = streams_of(msg);

	if(place == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	*place = (place_t){
			.slot = core_hash(name, NULL, SLOTS), .next = *taken(msg)};
	atomic_set(&place->n, n);
	if(atomic_get(&slots[place->slot]) + n > most) {
		shm_free(place);
		return refuse(msg);
	}
	if(kam_tm.register_tmcb(
			   msg, 0, TMCB_RESPONSE_READY, on_response, place, release)
			<= 0) {
		LM_ERR("cannot watch the transaction of a call\n");
		shm_free(place);
		return -1;
	}
	add(place->slot, n);
	*taken(msg) = place;
	return 1;
}
