/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * $resume(name), as Kamailio wants it.
 */
#ifndef CR_KAM_PV_H
#define CR_KAM_PV_H

#include "kam.h"

int kam_pv_parse_name(pv_spec_t *sp, str *in);
int kam_pv_get(struct sip_msg *msg, pv_param_t *param, pv_value_t *res);

#endif
