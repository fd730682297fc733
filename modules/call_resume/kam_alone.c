/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One call under a Call-ID at a time. A session reference proves a Call-ID: of several
 * clients that are called under one, by a proxy that forks, each would have one for the call
 * that one of them has then. What is kept of a call goes with its transaction, and with an
 * answer that ends it.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"

#define SLOTS 1024 /* a power of two */

typedef struct call
{
	struct call *next, **at; /* at: NULL when it is in no list */
	int len, via_len;
	char text[]; /* Call-ID, and the topmost Via */
} call_t;

typedef enum claim
{
	ALONE,
	COPY, /* of a message that is being worked on */
	SECOND,
} claim_t;

static struct
{
	gen_lock_t lock;
	call_t *first[SLOTS];
} * table;

int kam_alone_init(void)
{
	table = shm_malloc(sizeof(*table));
	if(table == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	memset(table, 0, sizeof(*table));
	return lock_init(&table->lock) == NULL ? -1 : 0;
}

void kam_alone_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}

/* In the list of its Call-ID, with the lock. */
static call_t **slot_of(const call_t *call)
{
	str id = {(char *)call->text, call->len};

	return &table->first[core_hash(&id, NULL, SLOTS)];
}

static claim_t compare(const call_t *call, const call_t *other)
{
	if(call->len != other->len
			|| memcmp(call->text, other->text, call->len) != 0)
		return ALONE;
	return call->via_len == other->via_len
					&& memcmp(call->text + call->len, other->text + other->len,
							   call->via_len)
							== 0
			? COPY
			: SECOND;
}

static claim_t enter(call_t *call)
{
	call_t **slot = slot_of(call);
	claim_t found = ALONE;

	lock_get(&table->lock);
	for(const call_t *c = *slot; c != NULL && found == ALONE; c = c->next)
		found = compare(call, c);
	if(found == ALONE) {
		call->next = *slot;
		call->at = slot;
		if(call->next != NULL)
			call->next->at = &call->next;
		*slot = call;
	}
	lock_release(&table->lock);
	return found;
}

static void leave(call_t *call)
{
	if(table == NULL)
		return;
	lock_get(&table->lock);
	if(call->at != NULL) {
		*call->at = call->next;
		if(call->next != NULL)
			call->next->at = call->at;
		call->at = NULL;
	}
	lock_release(&table->lock);
}

/* In front of the answer: who gets it may call again. */
static void on_answer(struct cell *t, int type, struct tmcb_params *ps)
{
	(void)t;
	(void)type;
	if(ps->code >= 300)
		leave(*ps->param);
}

static void release(void *call)
{
	leave(call);
	shm_free(call);
}

/* @return NULL, and it is logged, when there is no memory */
static call_t *make(struct sip_msg *msg)
{
	str id = msg->callid->body;
	int via_len = (int)msg->via1->bsize;
	call_t *call = shm_malloc(sizeof(*call) + id.len + via_len);

	if(call == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	*call = (call_t){.len = id.len, .via_len = via_len};
	memcpy(call->text, id.s, id.len);
	memcpy(call->text + id.len, msg->via1->name.s, via_len);
	return call;
}

/* @return 0, or -1 and it is logged */
static int watch(struct sip_msg *msg, call_t *call)
{
	if(kam_tm.register_tmcb(
			   msg, 0, TMCB_RESPONSE_READY, on_answer, call, release)
			> 0)
		return 0;
	LM_ERR("cannot watch the transaction of a call\n");
	release(call);
	return -1;
}

int ki_resume_alone(struct sip_msg *msg)
{
	claim_t claim;
	call_t *call;

	if(msg->first_line.type != SIP_REQUEST
			|| msg->first_line.u.request.method_value != METHOD_INVITE
			|| parse_headers(msg, HDR_CALLID_F | HDR_VIA_F, 0) < 0
			|| msg->callid == NULL || msg->via1 == NULL) {
		LM_ERR("resume_alone() is for the INVITE of a new call\n");
		return -1;
	}
	call = make(msg);
	if(call == NULL)
		return -1;
	claim = enter(call);
	if(claim == ALONE)
		return watch(msg, call) < 0 ? -1 : 1;
	shm_free(call);
	/* tm will see that it is one. */
	return claim == COPY ? 1 : -1;
}
