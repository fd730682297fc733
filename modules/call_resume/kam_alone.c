/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One call under a Call-ID at a time. A session reference proves a Call-ID: of several
 * clients that are called under one, by a proxy that forks, each would have one for the call
 * that one of them has then. What is kept of a call goes with its transaction, and with an
 * answer that ends it.
 */
#include "kam_alone.h"
#include "kam_shared.h"

#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"

#define SLOTS 1024 /* a power of two */

typedef struct call
{
	struct call *next, **at; /* at: NULL when it is in no list */
	int len, copy_len;
	char text[]; /* Call-ID, and what tm knows a copy by */
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
	table = KAM_SHARED_LOCKED(sizeof(*table));
	return table == NULL ? -1 : 0;
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
	return call->copy_len == other->copy_len
					&& memcmp(call->text + call->len, other->text + other->len,
							   call->copy_len)
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

/* The topmost Via and the number in CSeq; where the branch is of RFC 2543 the others as well. What
 * is another message for tm would go on beside the first one. */
#define PARTS 5

static int find_parts(str part[PARTS], struct sip_msg *msg)
{
	const hdr_flags_t needed
			= HDR_CALLID_F | HDR_VIA_F | HDR_CSEQ_F | HDR_FROM_F | HDR_TO_F;

	if(parse_headers(msg, needed, 0) < 0 || msg->callid == NULL
			|| msg->via1 == NULL || msg->cseq == NULL || msg->from == NULL
			|| msg->to == NULL)
		return -1;
	part[0] = (str){msg->via1->name.s, (int)msg->via1->bsize};
	part[1] = msg->cseq->body;
	part[2] = msg->from->body;
	part[3] = msg->to->body;
	part[4] = msg->first_line.u.request.uri;
	return 0;
}

/* No part has an LF in it. */
static void put(call_t *call, const str *part)
{
	char *end = call->text + call->len + call->copy_len;

	memcpy(end, part->s, part->len);
	end[part->len] = '\n';
	call->copy_len += part->len + 1;
}

/* @return NULL, and it is logged, when there is no memory */
static call_t *make(const str *id, const str part[PARTS])
{
	size_t size = sizeof(call_t) + (size_t)id->len;
	call_t *call;

	for(int i = 0; i < PARTS; i++)
		size += (size_t)part[i].len + 1;
	call = shm_malloc(size);
	if(call == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	*call = (call_t){.len = id->len};
	memcpy(call->text, id->s, id->len);
	for(int i = 0; i < PARTS; i++)
		put(call, &part[i]);
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
	str part[PARTS];
	claim_t claim;
	call_t *call;

	if(msg->first_line.type != SIP_REQUEST
			|| msg->first_line.u.request.method_value != METHOD_INVITE
			|| find_parts(part, msg) < 0) {
		LM_ERR("resume_alone() is for the INVITE of a new call\n");
		return -1;
	}
	call = make(&msg->callid->body, part);
	if(call == NULL)
		return -1;
	claim = enter(call);
	if(claim == ALONE)
		return watch(msg, call) < 0 ? -1 : 1;
	shm_free(call);
	/* tm will see that it is one. */
	return claim == COPY ? 1 : -1;
}
