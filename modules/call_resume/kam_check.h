/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * call_resume.check: does what a call would need, on values of its own.
 */
#ifndef CR_KAM_CHECK_H
#define CR_KAM_CHECK_H

#include "../../core/rpc.h"

void kam_rpc_check(rpc_t *rpc, void *ctx);

#endif
