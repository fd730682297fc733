/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Proxies in front of us.
 */
#ifndef CR_KAM_PROXY_H
#define CR_KAM_PROXY_H

#include "kam.h"

/** The parameter trusted_proxy. @return 0, or -1 and it is logged */
int kam_proxy_param(modparam_t type, void *val);

/** 1 when that is the address of one. */
int kam_is_proxy(const struct ip_addr *ip);

/** 1 when a trusted proxy, which ended TLS, sent this over WebSocket or HTTP. */
int kam_is_behind_proxy(const struct sip_msg *msg);

/** The parameter first_hop. As kam_proxy_param(). */
int kam_first_hop_param(modparam_t type, void *val);

/** 1 for a message that came from a proxy that is the first hop of a client. */
int kam_is_by_first_hop(const struct sip_msg *msg);

/** The address of the client that it has sent this request for, by `received` in the Via below its
 * own, or by the host there (RFC 3261 section 18.2.1).
 * @return of static memory; empty when that does not say, or anybody can have written it: over UDP,
 *         or with `received` twice */
cr_span_t kam_first_hop_client(struct sip_msg *msg);

/** As kam_node_in() and kam_node_out(), for what comes from there and goes there; 1 from the
 * first: the message is another one now. */
int kam_first_hop_in(str *buf, size_t max, const receive_info_t *rcv);
int kam_first_hop_out(
		char *out, size_t max, cr_span_t text, const struct dest_info *dst);

#endif
