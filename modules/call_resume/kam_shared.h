/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What all processes share.
 */
#ifndef CR_KAM_SHARED_H
#define CR_KAM_SHARED_H

#include "kam.h"

/** Zeroed shared memory; before the fork. Free it with shm_free(). Macros, so that mod.stats
 * names the function that has it. NULL, and it is logged, when there is not so much. */
#define KAM_SHARED(size) kam_shared_clear(shm_malloc(size), size)

/** The same for a struct that begins with a gen_lock_t, which is made too. */
#define KAM_SHARED_LOCKED(size) kam_shared_lock(KAM_SHARED(size))

/** mem with size bytes zeroed; NULL is logged. */
void *kam_shared_clear(void *mem, size_t size);

/** mem, or NULL, and it is freed and logged, when there is no lock. */
void *kam_shared_lock(void *mem);

/** Microseconds of the machine's clock that nobody sets. */
uint64_t kam_now_us(void);

#endif
