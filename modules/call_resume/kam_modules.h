/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the other modules have to be like.
 */
#ifndef CR_KAM_MODULES_H
#define CR_KAM_MODULES_H

#include "kam.h"

/** When this module is loaded: whether one that has to be behind it is in front of it.
 * @return 0, or -1 and each is logged with what to do */
int kam_modules_check_order(void);

/** When all are loaded and their parameters are set.
 * @return 0, or -1 and it is logged with what to do */
int kam_modules_init(void);

/** Have auth make its nonces with what all nodes have and what we have alone, where its
 * parameter secret is not set: those of another node are told from wrong passwords then, and
 * not taken. It does nothing where auth is not loaded, or in front of this module.
 * @return 0, or -1 and it is logged why */
int kam_modules_share_nonces(void);

/** 1 when rr does not put the From tag into our Record-Route: without it nobody can
 * tell which side a request in a dialog comes from. */
int kam_modules_from_tag_needed(void);

/** The name of the XAVP whose values usrloc keeps with a binding, and registrar brings
 * back with it; NULL when there is none. It is usrloc's. */
const str *kam_modules_binding_xavp(void);

#endif
