/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Kamailio's connections, as the core has them. Looked at under the lock of all of them and
 * without a reference: who gives back the last one has to free it, and only the core can.
 */
#ifndef CR_KAM_TCP_H
#define CR_KAM_TCP_H

#include "kam.h"

#include "../../core/ip_addr.h"
#include "../../core/locking.h"
#include "../../core/tcp_conn.h"

/* For TCPCONN_LOCK and TCPCONN_UNLOCK. */
extern gen_lock_t *tcpconn_lock;
extern struct tcp_connection **tcpconn_id_hash;

/** That connection, unless it is over; with the lock, as all of these. @return or NULL */
struct tcp_connection *kam_tcp_by_id(int id);

/** That which Kamailio finds by the address and port of its other end. @return or NULL */
struct tcp_connection *kam_tcp_by_address(const struct ip_addr *ip, int port);

/** 1 when it is being closed. */
int kam_is_closing(const struct tcp_connection *c);

/** 1 when its other end has proved who it is: the script has given it a longer lifetime than the
 * core's then (tcp_set_connection_lifetime() of tcpops). */
int kam_has_proved(const struct tcp_connection *c);

/** Whether there is one that can be sent on; takes the lock itself.
 * @param id  its number; 0: whichever has that address and port
 * @return its number, or 0 */
int kam_tcp_is_up(int id, const struct ip_addr *ip, int port);

/** Whether what goes to there by that transport is understood: a WebSocket gets frames, and
 * whatever is none does not; takes the lock itself.
 * @param proto     PROTO_TCP, PROTO_TLS, PROTO_WS or PROTO_WSS
 * @param id        as the core takes it: where there is no such connection, that of the address
 * @param our_port  that the connection with that number came to, or 0 for any: what was meant for
 * it is not for who is at the same address, and came to another port
 * @return 1, also where there is no connection yet, or 0 */
int kam_tcp_speaks(
		int proto, int id, const struct ip_addr *ip, int port, int our_port);

/** How many bytes wait in Kamailio until that connection takes them; takes the lock itself.
 * 0 where there is none of that number. */
unsigned int kam_tcp_queued(int id);

#endif
