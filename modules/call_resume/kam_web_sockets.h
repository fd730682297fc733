/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * WebSockets that there are, and that have been.
 */
#ifndef CR_KAM_WEB_SOCKETS_H
#define CR_KAM_WEB_SOCKETS_H

#include "kam.h"

/** Before the fork. @return 0, or -1 and it is logged */
int kam_web_sockets_init(void);

/** One more of that address.
 * @param id    of its connection
 * @param whose  the address
 * @param most   so many of it there may be, of those that have ended
 * @return 0: there are too many */
int kam_web_socket_open(int id, uint64_t whose, int most);

/** It is that user's. @return 0: too many of his have ended; 1: or it is no WebSocket */
int kam_web_socket_prove(int id, uint64_t user);

/** Which of them have ended; now and then. */
void kam_web_sockets_look(void);

#endif
