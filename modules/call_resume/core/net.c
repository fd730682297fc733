/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_BITS 96 /* in front of an IPv4 address */

static const uint8_t mapped[V4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

void cr_address_of(uint8_t *address, const uint8_t *bytes, size_t len)
{
	if(len < CR_ADDRESS_LEN)
		memcpy(address, mapped, sizeof(mapped));
	memcpy(address + CR_ADDRESS_LEN - len, bytes, len);
}

static int is_v4(cr_span_t text)
{
	return text.len > 0 && memchr(text.s, ':', text.len) == NULL;
}

int cr_address_parse(uint8_t *address, cr_span_t text)
{
	char mem[INET6_ADDRSTRLEN];
	uint8_t ipv4[4];

	if(text.len >= sizeof(mem))
		return CR_EMALFORMED;
	memcpy(mem, text.s, text.len);
	mem[text.len] = '\0';
	if(!is_v4(text))
		return inet_pton(AF_INET6, mem, address) == 1 ? CR_OK : CR_EMALFORMED;
	if(inet_pton(AF_INET, mem, ipv4) != 1)
		return CR_EMALFORMED;
	cr_address_of(address, ipv4, sizeof(ipv4));
	return CR_OK;
}

/* @return bits, or more than any network has */
static unsigned bits_of(cr_span_t text)
{
	unsigned n = 0;

	if(text.len == 0 || text.len > 3)
		return ~0u;
	for(size_t i = 0; i < text.len; i++) {
		if(text.s[i] < '0' || text.s[i] > '9')
			return ~0u;
		n = n * 10 + (unsigned)(text.s[i] - '0');
	}
	return n;
}

int cr_net_parse(cr_net_t *net, cr_span_t text)
{
	const char *slash = text.len > 0 ? memchr(text.s, '/', text.len) : NULL;
	cr_span_t address
			= {text.s, slash != NULL ? (size_t)(slash - text.s) : text.len};
	unsigned first = is_v4(address) ? V4_BITS : 0, bits = 128 - first;

	if(slash != NULL)
		bits = bits_of((cr_span_t){slash + 1, text.len - address.len - 1});
	if(bits > 128 - first)
		return CR_EMALFORMED;
	net->bits = first + bits;
	return cr_address_parse(net->address, address);
}

static int has(const cr_net_t *net, const uint8_t *address)
{
	unsigned bytes = net->bits / 8, rest = net->bits % 8;

	if(memcmp(net->address, address, bytes) != 0)
		return 0;
	return rest == 0
			|| ((net->address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

static int any_has(const cr_net_t *nets, int n, const uint8_t *address)
{
	for(int i = 0; i < n; i++) {
		if(has(&nets[i], address))
			return 1;
	}
	return 0;
}

/* The prefixes of addresses of IPv6 that lead to the one of IPv4 in their last 32 bits: written as it
 * is (RFC 4291 section 2.5.5.1), and by a NAT64 (RFC 6052 section 2.1). */
static int leads_to_ipv4(const uint8_t *address)
{
	static const uint8_t to[][V4_BITS / 8] = {{0}, {0, 0x64, 0xff, 0x9b}};

	return memcmp(address, to[0], sizeof(to[0])) == 0
			|| memcmp(address, to[1], sizeof(to[1])) == 0;
}

int cr_nets_have(const cr_net_t *nets, int n, const uint8_t *address)
{
	uint8_t ipv4[CR_ADDRESS_LEN];

	if(any_has(nets, n, address))
		return 1;
	if(!leads_to_ipv4(address))
		return 0;
	cr_address_of(ipv4, address + V4_BITS / 8, 4);
	return any_has(nets, n, ipv4);
}
