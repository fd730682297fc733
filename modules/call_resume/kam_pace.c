/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a node, a network or a media server has been away, everybody comes back at once:
 * how many calls may be resumed in a second. What is more than that is told when to
 * come again, before the media server or the far end hears of it.
 */
#include "kam_pace.h"
#include "kam_shared.h"

#include "../../core/data_lump_rpl.h"
#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"

#include "core/bytes.h"
#include "core/crypto.h"
#include "core/pace.h"

#define RESUMES_MAX_MAX 100000

/* A user gets a tenth, and no less than this: or one could keep all the others out. */
#define USER_LEAST 20
#define SLOTS 4096 /* a power of two */

static struct
{
	gen_lock_t lock;
	cr_pace_t all;
	cr_pace_t user[SLOTS]; /* those who share a place share what they may */
} * resumes;

int kam_pace_init(void)
{
	if(kam_config.resumes_max < 0 || kam_config.resumes_max > RESUMES_MAX_MAX) {
		LM_ERR("resumes_max is from 0 to %d\n", RESUMES_MAX_MAX);
		return -1;
	}
	if(kam_config.resumes_max == 0)
		return 0;
	resumes = KAM_SHARED_LOCKED(sizeof(*resumes));
	return resumes == NULL ? -1 : 0;
}

void kam_pace_destroy(void)
{
	if(resumes != NULL)
		shm_free(resumes);
	resumes = NULL;
}

/* How many a second may be one user's. */
static unsigned int of_user(unsigned int most)
{
	unsigned int share = most / 10 > USER_LEAST ? most / 10 : USER_LEAST;

	return share < most ? share : most;
}

unsigned int kam_pace_resume(const str *user)
{
	unsigned int most = (unsigned int)kam_config.resumes_max;
	unsigned int share = of_user(most), together = most / 10;
	uint64_t now = kam_now_us(), wait_us;

	if(resumes == NULL)
		return 0;
	lock_get(&resumes->lock);
	/* Of one user all calls come together, and leave room for as many of others. */
	wait_us = cr_pace_take(&resumes->user[core_hash(user, NULL, SLOTS)], now,
			share, (share < together ? share : together) / 2);
	if(wait_us == 0)
		wait_us = cr_pace_take(&resumes->all, now, most, together);
	lock_release(&resumes->lock);
	return (unsigned int)((wait_us + 999999) / 1000000);
}

void kam_put_retry_after(struct sip_msg *msg, unsigned int most_s)
{
	char mem[32];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	uint8_t n = 0;

	if(cr_random(&n, sizeof(n)) != CR_OK)
		n = 0;
	cr_put_str(&w, "Retry-After: ");
	cr_put_uint(&w, 1 + n % most_s);
	cr_put_str(&w, "\r\n");
	if(cr_writer_end(&w) == CR_OK)
		add_lump_rpl(msg, mem, (int)w.len, LUMP_RPL_HDR);
}
