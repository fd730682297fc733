/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls whose far end has hung up on a client that can resume. The far end need not know
 * them any more when that client comes back, and may say so late (481), or not at all; where
 * it is a client itself its address rings. So the client is told here. A table that does not
 * grow, and is forgotten with Kamailio: then the far end has to say it, as it has for
 * calls that push one another out.
 */
#include "kam.h"
#include "kam_ended.h"

#include "../../core/dprint.h"
#include "../../core/locking.h"
#include "../../core/timer.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_to.h"

#define SLOTS 8192     /* a power of two */
#define NAMES_MAX 1024 /* a Call-ID and two tags */

typedef struct ended
{
	uint64_t name; /* of the dialog */
	ticks_t until;
} ended_t;

static struct
{
	gen_lock_t lock;
	ended_t slot[SLOTS];
} * table;

int kam_ended_init(void)
{
	table = shm_malloc(sizeof(*table));
	if(table == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	memset(table, 0, sizeof(*table));
	if(lock_init(&table->lock) != NULL)
		return 0;
	LM_ERR("cannot make a lock\n");
	return -1;
}

void kam_ended_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}

/* @return 0: none that fits */
static uint64_t name_of(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag)
{
	const cr_env_t *env = kam_env();
	char text[NAMES_MAX];
	cr_writer_t w = cr_writer(text, sizeof(text));
	uint8_t hash[32];
	uint64_t name = 0;

	cr_put_span(&w, call_id);
	cr_put_u8(&w, 0);
	cr_put_span(&w, client_tag);
	cr_put_u8(&w, 0);
	cr_put_span(&w, far_tag);
	if(env == NULL || cr_writer_end(&w) != CR_OK
			|| cr_sha256(env->crypto, hash, text, w.len) != CR_OK)
		return 0;
	memcpy(&name, hash, sizeof(name));
	return name;
}

/* Of the dialog of a BYE to the client. @return 0: none that fits */
static uint64_t name_of_bye(struct sip_msg *bye)
{
	if(parse_headers(bye, HDR_CALLID_F | HDR_TO_F, 0) < 0 || bye->callid == NULL
			|| bye->to == NULL || parse_from_header(bye) < 0)
		return 0;
	return name_of(kam_span(bye->callid->body),
			kam_span(get_to(bye)->tag_value),
			kam_span(get_from(bye)->tag_value));
}

void kam_ended_note(struct sip_msg *bye)
{
	uint64_t name = name_of_bye(bye);
	ended_t *e = &table->slot[name % SLOTS];

	if(name == 0)
		return;
	lock_get(&table->lock);
	e->name = name;
	e->until = get_ticks() + (ticks_t)kam_config.state_lifetime;
	lock_release(&table->lock);
}

void kam_ended_forget(struct sip_msg *bye)
{
	uint64_t name = name_of_bye(bye);
	ended_t *e = &table->slot[name % SLOTS];

	lock_get(&table->lock);
	if(e->name == name)
		e->name = 0;
	lock_release(&table->lock);
}

int kam_ended_is(const cr_state_t *st)
{
	uint64_t name = name_of(st->call_id, st->local_tag, st->remote_tag);
	const ended_t *e = &table->slot[name % SLOTS];
	int is;

	lock_get(&table->lock);
	is = name != 0 && e->name == name && e->until > get_ticks();
	lock_release(&table->lock);
	return is;
}
