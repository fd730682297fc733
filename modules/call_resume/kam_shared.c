/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What all processes of Kamailio have in common: tables, which are made before the fork and do
 * not grow, and a clock.
 */
#include "kam_shared.h"

#include <time.h>

#include "../../core/dprint.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"

void *kam_shared_clear(void *mem, size_t size)
{
	if(mem == NULL)
		SHM_MEM_ERROR;
	else
		memset(mem, 0, size);
	return mem;
}

void *kam_shared_lock(void *mem)
{
	if(mem == NULL || lock_init((gen_lock_t *)mem) != NULL)
		return mem;
	LM_ERR("cannot make a lock\n");
	shm_free(mem);
	return NULL;
}

uint64_t kam_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
