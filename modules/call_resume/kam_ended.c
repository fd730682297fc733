/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls whose far end has hung up on a client that can resume, or that were ended for a
 * client which did not come back (kam_abandoned.c). The far end need not know them any more
 * when that client comes, and may say so late (481), or not at all; where it is a client
 * itself its address rings. So the client is told here. A table that does not grow, and is
 * forgotten with Kamailio: then the far end has to say it, as it has for calls that push one
 * another out.
 */
#include "kam_ended.h"
#include "kam_message.h"
#include "kam_route.h"
#include "kam_shared.h"
#include "kam_trust.h"

#include "../../core/locking.h"
#include "../../core/timer.h"
#include "../../core/mem/shm_mem.h"

#define SLOTS 8192   /* a power of two */
#define WAITING 1024 /* resumes; a power of two */

typedef struct ended
{
	uint64_t name; /* of the dialog */
	ticks_t until;
} ended_t;

/* What is known of a call. */
typedef enum kind
{
	OVER,
	LEAVING, /* its client has said that it is being left */
	KINDS,
} kind_t;

/* A resume that waits for its far end: its transaction. */
typedef struct waiting
{
	uint64_t name; /* of the dialog */
	unsigned index, label;
} waiting_t;

static struct
{
	gen_lock_t lock;
	ended_t slot[KINDS][SLOTS];
	waiting_t waiting[WAITING];
} * table;

int kam_ended_init(void)
{
	table = KAM_SHARED_LOCKED(sizeof(*table));
	return table == NULL ? -1 : 0;
}

void kam_ended_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}

static void note(kind_t kind, uint64_t name, int for_s)
{
	ended_t *e = &table->slot[kind][name % SLOTS];

	if(name == 0)
		return;
	lock_get(&table->lock);
	e->name = name;
	e->until = get_ticks() + (ticks_t)for_s;
	lock_release(&table->lock);
}

static void forget(kind_t kind, uint64_t name)
{
	ended_t *e = &table->slot[kind][name % SLOTS];

	lock_get(&table->lock);
	if(e->name == name)
		e->name = 0;
	lock_release(&table->lock);
}

static int is(kind_t kind, uint64_t name)
{
	const ended_t *e = &table->slot[kind][name % SLOTS];
	int found;

	lock_get(&table->lock);
	found = name != 0 && e->name == name && e->until > get_ticks();
	lock_release(&table->lock);
	return found;
}

/* ---- calls that are over ----------------------------------------------------------- */

/* The far end may have been sent the re-INVITE of a client that is back, and need not answer
 * that any more. */
static void tell_waiting(uint64_t name)
{
	waiting_t *place = &table->waiting[name % WAITING], waits;

	lock_get(&table->lock);
	waits = *place;
	if(waits.name == name)
		place->name = 0;
	lock_release(&table->lock);
	if(name != 0 && waits.name == name)
		(void)kam_answer_transaction(waits.index, waits.label, 0, 481,
				KAM_ENDED_WHILE_AWAY, CR_SPAN(""), CR_SPAN(""));
}

static void on_forward(struct cell *t, int type, struct tmcb_params *ps)
{
	waiting_t waits = {.index = t->hash_index,
			.label = t->label,
			.name = kam_dialog_name(ps->req, 1)};

	(void)type;
	lock_get(&table->lock);
	table->waiting[waits.name % WAITING] = waits;
	lock_release(&table->lock);
}

int kam_ended_watch(struct sip_msg *invite)
{
	return kam_tm.register_tmcb(
				   invite, 0, TMCB_REQUEST_FWDED, on_forward, NULL, NULL)
					> 0
			? 0
			: -1;
}

void kam_ended_note(struct sip_msg *bye)
{
	uint64_t name = kam_dialog_name(bye, 0);

	note(OVER, name, kam_config.state_lifetime);
	tell_waiting(name);
}

void kam_ended_forget(struct sip_msg *bye)
{
	forget(OVER, kam_dialog_name(bye, 0));
}

void kam_ended_note_call(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag)
{
	note(OVER, kam_name_of(call_id, client_tag, far_tag),
			kam_config.state_lifetime);
}

void kam_ended_forget_call(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag)
{
	forget(OVER, kam_name_of(call_id, client_tag, far_tag));
}

int kam_ended_is_call(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag)
{
	return is(OVER, kam_name_of(call_id, client_tag, far_tag));
}

int kam_ended_is(const cr_state_t *st)
{
	return kam_ended_is_call(st->call_id, st->local_tag, st->remote_tag);
}

/* ---- calls whose page is being left ------------------------------------------------ */

int ki_resume_leaving(struct sip_msg *msg)
{
	uint64_t name = 0;

	if(msg->first_line.type == SIP_REQUEST && kam_in_call(msg)
			&& kam_is_by_client(msg))
		name = kam_dialog_name(msg, 1);
	if(name == 0)
		return -1;
	/* By then it has been ended without that. */
	note(LEAVING, name, 2 * kam_config.abandoned_after);
	return 1;
}

int kam_ended_is_leaving(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag)
{
	return is(LEAVING, kam_name_of(call_id, client_tag, far_tag));
}

void kam_ended_is_back(const cr_state_t *st)
{
	forget(LEAVING, kam_name_of(st->call_id, st->local_tag, st->remote_tag));
}
