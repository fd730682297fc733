/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which connection a client has.
 */
#ifndef CR_KAM_CONNECTION_H
#define CR_KAM_CONNECTION_H

#include "kam.h"

/** When all modules are loaded. @return 0, or -1: no memory */
int kam_connection_init(void);
int ki_resume_mark_contact(struct sip_msg *msg);
int ki_resume_unmark_uri(struct sip_msg *msg);
int ki_resume_close_ws(struct sip_msg *msg, int status, str *reason, int con);

/** Whether the other end of the connection that a message goes out over, if there is one, understands
 * it. Whoever has written where it goes, a Contact or a Via: bytes that are no frames end a WebSocket,
 * of anybody whose address and port they name. */
int kam_is_understood(const struct dest_info *dst);

/** 0 when the next hop of a request was reached over a connection that is gone, -1 when it would
 * be reached over one whose other end does not understand the transport. Relaying
 * would fail too, but only after the media server got an offer that never comes into
 * force. Somebody else may have its address and port by now: behind a web server all
 * pages share them. */
int kam_is_connected(struct sip_msg *msg);

/** 1 when a client was reached over a connection that is gone. */
int kam_is_gone(const struct dest_info *dst);

/** 1 for a transport that has connections. @param proto  PROTO_UDP and so on */
int kam_has_connections(int proto);

/** 1 for a Contact and the Request-URI that lookup() makes of it: nathelper's alias, if it
 * has one, may have become the next hop by now. */
int kam_is_same_contact(cr_span_t contact, cr_span_t uri);

/** The number that resume_unmark_uri() has taken off the Request-URI, or 0. */
int kam_connection(struct sip_msg *msg);

#endif
