/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * No connection is opened but by a script.
 */
#ifndef CR_KAM_CONNECT_H
#define CR_KAM_CONNECT_H

#include "kam.h"

/** Watches the script, if connect_back says so. @return 0, or -1 and it is logged */
int kam_connect_init(void);
/** In each process, with the rank that Kamailio gives to it. */
void kam_connect_child(int rank);
/** Until the script runs next this process opens no connection. */
void kam_connect_off(void);

#endif
