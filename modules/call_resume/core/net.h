/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IP networks.
 */
#ifndef CR_NET_H
#define CR_NET_H

#include <stdint.h>

#include "err.h"
#include "span.h"

#define CR_ADDRESS_LEN 16 /* bytes; of IPv4 as in ::ffff:0:0/96 (RFC 4291) */

typedef struct cr_net
{
	uint8_t address[CR_ADDRESS_LEN];
	unsigned bits; /* of the prefix, 0 to 128 */
} cr_net_t;

/**
 * An address as text: of IPv4 four decimal numbers (RFC 3986 section 3.2.2), of IPv6
 * as in RFC 4291 section 2.2, without brackets.
 * @param address  receives CR_ADDRESS_LEN bytes
 * @return CR_OK, or CR_EMALFORMED: a host name, say
 */
int cr_address_parse(uint8_t *address, cr_span_t text) CR_MUST_CHECK;

/** An address as the network has it: of 4 bytes, or of 16. */
void cr_address_of(uint8_t *address, const uint8_t *bytes, size_t len);

/** A network as text, such as 10.0.0.0/8; an address alone is one of itself.
 * @return CR_OK or CR_EMALFORMED */
int cr_net_parse(cr_net_t *net, cr_span_t text) CR_MUST_CHECK;

/** 1 when one of n networks has the address, or the one of IPv4 that it leads to: ::a.b.c.d,
 * 64:ff9b::a.b.c.d. */
int cr_nets_have(const cr_net_t *nets, int n, const uint8_t *address);

#endif
