/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Proxies that end TLS in front of Kamailio: what comes from them over plain
 * WebSocket or HTTP came to them encrypted.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/resolve.h"

#define TRUSTED_MAX 8

static struct ip_addr trusted[TRUSTED_MAX];
static int n_trusted;

static int add_trusted(str *text)
{
	struct ip_addr *ip = str2ip(text);

	if(ip == NULL)
		ip = str2ip6(text);
	if(ip == NULL) {
		LM_ERR("trusted_proxy: [%.*s] is no address\n", text->len, text->s);
		return -1;
	}
	if(n_trusted == TRUSTED_MAX) {
		LM_ERR("trusted_proxy: more than %d addresses\n", TRUSTED_MAX);
		return -1;
	}
	trusted[n_trusted++] = *ip;
	return 0;
}

int kam_proxy_param(modparam_t type, void *val)
{
	char *p = (char *)val;
	str one;

	for(;;) {
		p += strspn(p, ", \t");
		one.s = p;
		one.len = (int)strcspn(p, ", \t");
		if(one.len == 0)
			return 0;
		if(add_trusted(&one) < 0)
			return -1;
		p += one.len;
	}
}

int kam_is_proxy(const struct ip_addr *ip)
{
	for(int i = 0; i < n_trusted; i++) {
		if(ip_addr_cmp(&trusted[i], ip))
			return 1;
	}
	return 0;
}

/* A proxy that speaks plain SIP is another hop, and not meant: whoever sends SIP
 * over UDP or TCP from the same address has not come through TLS. */
int kam_is_behind_proxy(const struct sip_msg *msg)
{
	int is_web = msg->rcv.proto == PROTO_WS
			|| (msg->rcv.proto == PROTO_TCP && IS_HTTP(msg));

	return is_web && kam_is_proxy(&msg->rcv.src_ip);
}
