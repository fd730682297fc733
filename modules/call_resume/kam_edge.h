/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every message from the network and to it.
 */
#ifndef CR_KAM_EDGE_H
#define CR_KAM_EDGE_H

#include "kam.h"

/** See HTTP requests before the modules that answer them (kam_edge.c): when this one is
 * loaded. @return 0, or -1 */
int kam_edge_register(void);
/** Watch the network. @return 0, or -1 and it is logged */
int kam_edge_init(void);
/** In each process, with the rank that Kamailio gives to it. */
void kam_edge_child(int rank);

/** The script is over for the message at hand, or will not run. */
void kam_edge_script_over(void);

/** Show the other modules that watch the network a message that has been made here, as
 * they would have seen it had it come from there: topoh takes its mask off it.
 * @param text  zero-terminated, in a buffer of BUF_SIZE bytes that they may change
 * @param rcv   where it would have come from */
void kam_edge_show(str *text, receive_info_t *rcv);

#endif
