/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two connections whose other end has one address and port.
 */
#ifndef CR_KAM_PORTS_H
#define CR_KAM_PORTS_H

#include "kam.h"

struct tcp_connection;

/** In mod_init, where kam_ports_check() will be called: what is for an address and port goes over
 * the first one. */
void kam_ports_init(void);

/** A connection that is new; with the lock of all connections. */
void kam_ports_see(const struct tcp_connection *c);

/** Those that have been seen: of two one is closed.
 * @param close  that connection */
void kam_ports_check(int (*close)(int id));

#endif
