/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long the far end of a client that is away has tried a re-INVITE. 491 has it try again
 * within 4 s (RFC 3261 section 14.1), for as long as it gets 491. One that has queued its BYE
 * behind that never hangs up then: Asterisk with direct_media, which takes the media back
 * first. So there is another answer after some time, and it goes on to the BYE. A table that
 * does not grow: where two calls are at one place, both get 491 for longer.
 */
#include "kam_pending.h"
#include "kam_message.h"
#include "kam_shared.h"

#include "../../core/locking.h"
#include "../../core/timer.h"
#include "../../core/mem/shm_mem.h"

#define SLOTS 1024 /* a power of two */
#define LONG_S 32  /* as the timers B and F (RFC 3261 section 17) */
/* More between two of them than 491 allows: another series. */
#define PAUSE_S 10

typedef struct pending
{
	uint64_t name; /* of the dialog */
	ticks_t first, last;
} pending_t;

static struct
{
	gen_lock_t lock;
	pending_t slot[SLOTS];
} * table;

int kam_pending_init(void)
{
	table = KAM_SHARED_LOCKED(sizeof(*table));
	return table == NULL ? -1 : 0;
}

void kam_pending_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}

int kam_pending_is_long(struct sip_msg *invite)
{
	uint64_t name = kam_dialog_name(invite, 0);
	pending_t *p = &table->slot[name % SLOTS];
	ticks_t now = get_ticks();
	int is;

	if(name == 0)
		return 0;
	lock_get(&table->lock);
	if(p->name != name || now - p->last > PAUSE_S) {
		p->name = name;
		p->first = now;
	}
	p->last = now;
	is = now - p->first >= LONG_S;
	lock_release(&table->lock);
	return is;
}
