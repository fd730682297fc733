/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The script's functions, for Kamailio's own language and for KEMI.
 */
#ifndef CR_KAM_SCRIPT_H
#define CR_KAM_SCRIPT_H

#include "../../core/sr_module.h"

#include "../../core/kemi.h"

extern cmd_export_t kam_script_cmds[];
extern sr_kemi_t kam_script_kemi[];

#endif
