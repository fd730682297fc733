/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The RPC commands.
 */
#ifndef CR_KAM_RPC_H
#define CR_KAM_RPC_H

#include "kam.h"

extern rpc_export_t kam_rpc_cmds[];

#endif
