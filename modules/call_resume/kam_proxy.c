/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Proxies in front of Kamailio, by their addresses: those that end TLS, so that what comes
 * from them over plain WebSocket or HTTP came to them encrypted; and those that speak SIP
 * and are the first hop of clients, see core/path.h.
 */
#include "kam_proxy.h"
#include "kam_env.h"
#include "kam_route.h"
#include "kam_stat.h"

#include <time.h>

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/parser/parse_via.h"
#include "../../core/resolve.h"

#include "core/path.h"

#define PROXIES_MAX 8
#define MESSAGE_MAX (BUF_SIZE - 64)

typedef struct proxies
{
	const char *param;
	int n;
	struct ip_addr of[PROXIES_MAX];
} proxies_t;

static proxies_t trusted = {.param = "trusted_proxy"};
static proxies_t first_hop = {.param = "first_hop"};

static int add(proxies_t *to, str *text)
{
	struct ip_addr *ip = str2ip(text);

	if(ip == NULL)
		ip = str2ip6(text);
	if(ip == NULL) {
		LM_ERR("%s: [%.*s] is no address\n", to->param, text->len, text->s);
		return -1;
	}
	if(to->n == PROXIES_MAX) {
		LM_ERR("%s: more than %d addresses\n", to->param, PROXIES_MAX);
		return -1;
	}
	to->of[to->n++] = *ip;
	return 0;
}

static int add_all(proxies_t *to, char *p)
{
	str one;

	for(;;) {
		p += strspn(p, ", \t");
		one.s = p;
		one.len = (int)strcspn(p, ", \t");
		if(one.len == 0)
			return 0;
		if(add(to, &one) < 0)
			return -1;
		p += one.len;
	}
}

static int is_of(const proxies_t *p, const struct ip_addr *ip)
{
	for(int i = 0; i < p->n; i++) {
		if(ip_addr_cmp((struct ip_addr *)&p->of[i], (struct ip_addr *)ip))
			return 1;
	}
	return 0;
}

int kam_proxy_param(modparam_t type, void *val)
{
	return add_all(&trusted, (char *)val);
}

int kam_is_proxy(const struct ip_addr *ip)
{
	return is_of(&trusted, ip);
}

/* A proxy that speaks plain SIP is another hop, and not meant: whoever sends SIP
 * over UDP or TCP from the same address has not come through TLS. */
int kam_is_behind_proxy(const struct sip_msg *msg)
{
	int is_web = msg->rcv.proto == PROTO_WS
			|| (msg->rcv.proto == PROTO_TCP && IS_HTTP(msg));

	return is_web && kam_is_proxy(&msg->rcv.src_ip);
}

/* ---- the first hop ------------------------------------------------------------------ */

int kam_first_hop_param(modparam_t type, void *val)
{
	return add_all(&first_hop, (char *)val);
}

/* Pages do not come from there over WebSockets: they are behind it. */
static int is_first_hop(const struct ip_addr *ip, int proto)
{
	return first_hop.n > 0 && proto != PROTO_WS && proto != PROTO_WSS
			&& is_of(&first_hop, ip);
}

int kam_is_by_first_hop(const struct sip_msg *msg)
{
	return is_first_hop(&msg->rcv.src_ip, msg->rcv.proto);
}

/* Where a proxy had this Via from. @return 0: its sender has written of that too */
static int source_of(const struct via_body *via, str *host)
{
	int n = 0;

	*host = via->host;
	for(const struct via_param *p = via->param_lst; p != NULL; p = p->next) {
		if(p->type != PARAM_RECEIVED)
			continue;
		*host = p->value;
		n++;
	}
	return n <= 1;
}

cr_span_t kam_first_hop_client(struct sip_msg *msg)
{
	struct ip_addr *ip;
	str host;

	if(msg->first_line.type != SIP_REQUEST || msg->rcv.proto == PROTO_UDP
			|| !kam_is_by_first_hop(msg)
			|| parse_headers(msg, HDR_VIA2_F, 0) < 0 || msg->via2 == NULL
			|| msg->via2->error != PARSE_OK || !source_of(msg->via2, &host))
		return CR_SPAN("");
	ip = str2ip(&host);
	if(ip == NULL)
		ip = str2ip6(&host);
	return ip == NULL ? CR_SPAN("") : cr_span_str(ip_addr2strz(ip));
}

/* Its clients can send as many as they like: told of once a second. */
static int failed(int err)
{
	static time_t said;
	time_t now = time(NULL);

	kam_count(KAM_MESSAGES_DROPPED);
	if(now == said)
		return -1;
	said = now;
	LM_ERR("a message of a proxy in front of us cannot be read, and is "
		   "dropped: %s\n",
			cr_strerror(err));
	return -1;
}

int kam_first_hop_in(str *buf, size_t max, const receive_info_t *rcv)
{
	static char out[MESSAGE_MAX];
	const cr_env_t *env;
	int len;

	if(rcv == NULL || !is_first_hop(&rcv->src_ip, rcv->proto))
		return 0;
	if((env = kam_env()) == NULL)
		return -1;
	len = cr_path_in(out, sizeof(out), env, kam_span(*buf), kam_is_own);
	if(len < 0 || (size_t)len >= max)
		return failed(len < 0 ? len : CR_ETOOBIG);
	if(len > 0) {
		memcpy(buf->s, out, (size_t)len);
		buf->s[len] = '\0';
		buf->len = len;
	}
	return len > 0;
}

int kam_first_hop_out(
		char *out, size_t max, cr_span_t text, const struct dest_info *dst)
{
	struct ip_addr ip;
	const cr_env_t *env;
	int len;

	if(first_hop.n == 0 || dst == NULL)
		return 0;
	su2ip_addr(&ip, (union sockaddr_union *)&dst->to);
	if(!is_first_hop(&ip, dst->proto))
		return 0;
	env = kam_env();
	len = env == NULL ? CR_EINTERNAL
					  : cr_path_out(out, max, env, text, kam_is_own);
	return len < 0 ? failed(len) : len;
}
