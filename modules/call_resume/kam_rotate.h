/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A new key for the ring, and what comes from keys that are over.
 */
#ifndef CR_KAM_ROTATE_H
#define CR_KAM_ROTATE_H

#include "../../core/rpc.h"

#include "core/span.h"

/** Count a token or JWE that did not verify or open if it names a key of the
 * ring that is retired. */
void kam_count_retired(cr_span_t jose);

void kam_rpc_keys(rpc_t *rpc, void *ctx);
void kam_rpc_rotate(rpc_t *rpc, void *ctx);

#endif
