/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rotation: a key ring file with a new key in front, and an end for the others.
 */
#ifndef CR_ROTATE_H
#define CR_ROTATE_H

#include "ring.h"

/**
 * The text of a ring with a new random key in its first line, which seals from
 * then on. The other keys get until as their not-after unless theirs is sooner;
 * those that are retired already go. Comments and empty lines stay.
 * @param out   receives the text, wipe after use
 * @param kid   receives the new key's: k and the date, with a suffix where that
 *              is taken
 * @param why   on failure one sentence, CR_WHY_MAX bytes
 * @return the length, an error of cr_ring_parse() for the old text or the new
 *         one (CR_ETOOBIG: CR_RING_MAX keys are usable), CR_ETOOBIG (out_max),
 *         CR_EINTERNAL
 */
int cr_ring_rotate(char *out, size_t out_max, char kid[CR_KID_MAX + 1],
		char *why, cr_crypto_t *c, cr_span_t text, int64_t now,
		int64_t until) CR_MUST_CHECK;

/**
 * Rotate a file: as cr_ring_rotate(), and the file is replaced at once, by one
 * of the same owner and mode 0600. On failure the old one stays.
 * @return CR_OK, an error of cr_ring_load() or cr_ring_rotate(), CR_EMISSING
 *         (cannot write there)
 */
int cr_ring_rotate_file(char kid[CR_KID_MAX + 1], char *why, cr_crypto_t *c,
		const char *path, int64_t now, int64_t until) CR_MUST_CHECK;

#endif
