/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Other nodes.
 */
#ifndef CR_KAM_NODE_H
#define CR_KAM_NODE_H

#include "kam.h"

/** Checks node and node_socket. @return 0, or -1 and it is logged */
int kam_node_init(void);
void kam_node_destroy(void);

/** A message has come in; called in front of all else that is done with it.
 * @param max  bytes that there is room for at buf->s
 * @return 0, or -1: nobody shall see it */
int kam_node_in(str *buf, size_t max, const receive_info_t *rcv);

/** A message is about to go out: it is the last that is done with it.
 * @param out  receives the message that goes in its place, at most max bytes
 * @return its length; 0: it goes as it is; -1: it must not go */
int kam_node_out(
		char *out, size_t max, cr_span_t text, const struct dest_info *dst);

/** Where a message at hand that another node has sent comes from: "trunk" or "client", or
 * "node" when it has not been passed on; empty when no node has sent it. */
cr_span_t kam_node_from(struct sip_msg *msg);

/** Which transport it came over there; else empty. */
cr_span_t kam_node_proto(struct sip_msg *msg);

/** 1 for the socket that is for nodes only. */
int kam_node_is_socket(const struct socket_info *si);

/** Have a request in a dialog that another node has passed on go to its receiver from the
 * socket that this one knows. */
void kam_node_leave(struct sip_msg *msg);

/** 1 when another node has been heard within the last seconds. */
int kam_node_is_up(unsigned node);

/** How many of these have a lower number than this one. Only in a cluster. */
int kam_node_rank(void);

/** The number of the node that has sent the message at hand, or 0. */
int kam_node_peer(struct sip_msg *msg);

/** 1 for the INVITE of a client that has resumed its call at another node. */
int kam_node_resumed(struct sip_msg *msg);

/** The session reference of the client that begins a call at another node, or empty. */
cr_span_t kam_node_ref(struct sip_msg *msg);

/** Which node the client that a request is for was connected to, by its Contact; 0 where that
 * does not matter. */
int kam_node_of_uri(struct sip_msg *msg);

void kam_rpc_nodes(rpc_t *rpc, void *ctx);

/** 1 in a cluster for a JWE whose key no line of our key ring has: another node has got it
 * already. */
int kam_node_lacks_key(cr_span_t jose);

/** 1 for a request to a Contact of a node that is sealed with such a key. */
int kam_node_is_locked(const struct sip_msg *msg);

/** Say so, once a second: of what the trunk has sent, since anybody can make one up. */
void kam_node_report_locked(void);

#endif
