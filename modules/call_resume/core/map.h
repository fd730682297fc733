/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The map: one direction of the splice, sealed into a SIP message. Purposes,
 * layout and context: wire.h.
 */
#ifndef CR_MAP_H
#define CR_MAP_H

#include "box.h"

/* A dialog as one message names it. */
typedef struct cr_dialog_id
{
	cr_span_t call_id;
	cr_span_t tag; /* the client's */
} cr_dialog_id_t;

typedef struct cr_map
{
	unsigned flags;              /* CR_MAP_* */
	uint32_t cseq_offset;        /* CSeq in O minus CSeq in N, modulo 2^32 */
	uint32_t exp;                /* seconds since 1970 */
	cr_dialog_id_t other;        /* the dialog to translate to */
	cr_span_t n_local, n_remote; /* with CR_MAP_URIS: From and To URIs of N */
	cr_span_t o_local, o_remote; /* and of O, as the client sees local/remote; empty: the same */
} cr_map_t;

/**
 * Seal a map.
 * @param here  the dialog in which it will be found
 * @return the number of characters (lower-case base32), CR_ETOOBIG (also: a
 *         string over 255 bytes) or CR_EINTERNAL (also: flags that the format
 *         does not have)
 */
int cr_map_seal(char *out, size_t out_max, cr_crypto_t *c, const cr_key_t *key,
		cr_purpose_t purpose, const cr_dialog_id_t *here,
		const cr_map_t *map) CR_MUST_CHECK;

/**
 * Open a map.
 * @param map  its spans point into mem
 * @param mem  CR_BOX_PLAIN_MAX bytes, to live as long as map
 * @param key  set to the key it was sealed with
 * @return CR_OK, CR_EEXPIRED (from the second exp on), CR_EUNSUPPORTED (a flag
 *         that we do not know) or an error of cr_box_open(); mem then wiped
 */
int cr_map_open(cr_map_t *map, uint8_t mem[CR_BOX_PLAIN_MAX],
		const cr_key_t **key, cr_crypto_t *c, const cr_ring_t *ring,
		int64_t now, cr_purpose_t purpose, const cr_dialog_id_t *here,
		cr_span_t text) CR_MUST_CHECK;

/**
 * Whether a map that cr_map_open() refuses as CR_EFORGED has been made of one of ours:
 * moved to another dialog or place, or changed. Random bytes do not read like a map.
 * For statistics: nothing is proved.
 * @param mem  CR_BOX_PLAIN_MAX bytes to work in, wiped
 * @return 1 or 0
 */
int cr_map_is_misplaced(uint8_t mem[CR_BOX_PLAIN_MAX], cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, cr_span_t text);

#endif
