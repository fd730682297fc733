/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys and clock.
 */
#ifndef CR_KAM_ENV_H
#define CR_KAM_ENV_H

#include "kam.h"

/** Read the key ring, the issuers' keys, and the TURN secret if there is one, into
 * shared memory. @return 0, or -1 and it is logged */
int kam_env_init(void);
void kam_env_destroy(void);

/**
 * Read the files again, for every process: all of them or none.
 * @param why  CR_WHY_MAX bytes, filled on failure
 * @return 0, or -1: the old keys stay in use
 */
int kam_env_reload(char *why);

/**
 * Put a new key in front of the others into the key ring file, and read it.
 * @param kid    CR_KID_MAX + 1 bytes, receives the new key's
 * @param why    CR_WHY_MAX bytes, filled on failure
 * @param old_s  for how long the other keys stay usable, seconds
 * @return 0, or -1: file and ring are as they were
 */
int kam_env_rotate(char *kid, char *why, int old_s);

/** This process' environment with the newest ring and the time; NULL, logged,
 * when OpenSSL fails. */
const cr_env_t *kam_env(void);

/** The newest TURN secret, as it was at the last kam_env(). */
const cr_turn_secret_t *kam_turn_secret(void);

#endif
