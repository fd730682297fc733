/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Kamailio's readers of TCP and TLS are given.
 */
#ifndef CR_KAM_READER_H
#define CR_KAM_READER_H

#include "kam.h"

/** In each process, with the rank that Kamailio gives to it. */
void kam_reader_child(int rank);

#endif
