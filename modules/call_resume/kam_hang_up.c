/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The BYE in the place of a client that does not come back. Kamailio gets it from its own
 * memory, so that script, dialog, acc and media server see what they see of any other BYE of
 * that client, and nothing from the network can look like it.
 */
#include "kam_hang_up.h"
#include "kam_abandoned.h"
#include "kam_ended.h"
#include "kam_event.h"
#include "kam_known.h"
#include "kam_node.h"
#include "kam_stat.h"

#include <unistd.h>

#include "../../core/config.h"
#include "../../core/dprint.h"
#include "../../core/receive.h"
#include "../../core/socket_info.h"
#include "../../core/mem/shm_mem.h"

/* Where the BYEs come from: an address of this machine that nobody has for a trunk. What is
 * answered goes to a socket there that nobody reads. */
#define FROM_4 "127.83.73.80"
#define FROM_6 "::1"
#define BRANCH_LEN 16 /* hex digits */

static struct
{
	struct socket_info *to;
	struct ip_addr ip;
	unsigned short port;
	char via[64];
} sender;

/* Of the BYE that is being received; nothing else is, in this process. */
static const kam_gone_t *current;
static int watched;

/* ---- what becomes of it ------------------------------------------------------------ */

static void forget(const kam_gone_t *g)
{
	kam_ended_forget_call(cr_span_str(g->e.call_id),
			cr_span_str(g->e.local_tag), cr_span_str(g->far_tag));
}

static void on_final(struct cell *t, int type, struct tmcb_params *ps)
{
	kam_gone_t g = *(const kam_gone_t *)*ps->param;

	(void)t;
	(void)type;
	if(ps->code < 200)
		return;
	g.e.code = ps->code;
	/* RFC 3261 section 15.1.2, and who does not answer. */
	if(ps->code >= 300 && ps->code != 481 && ps->code != 408) {
		LM_WARN("call %s: %s does not come back, and its BYE got %d\n", g.e.id,
				g.e.sub, ps->code);
		forget(&g);
		return;
	}
	kam_count(KAM_CALLS_ABANDONED);
	LM_NOTICE("call %s: ended, %s has been silent for %d s and is not"
			  " connected, session %s, Call-ID %s\n",
			g.e.id, g.e.sub, g.silent_s, g.e.sid, g.e.call_id);
	kam_event_abandoned(&g.e);
}

static void release(void *g)
{
	shm_free(g);
}

void kam_abandoned_watch(struct sip_msg *msg)
{
	kam_gone_t *g;

	if(current == NULL)
		return;
	g = shm_malloc(sizeof(*g));
	if(g == NULL) {
		SHM_MEM_ERROR;
		return;
	}
	*g = *current;
	if(kam_tm.register_tmcb(msg, 0, TMCB_RESPONSE_OUT, on_final, g, release)
			> 0) {
		watched = 1;
		return;
	}
	LM_ERR("cannot watch the replies of a transaction\n");
	shm_free(g);
}

/* ---- the BYE ----------------------------------------------------------------------- */

cr_span_t kam_hang_up_via(void)
{
	return cr_span_str(sender.via);
}

void kam_hang_up_receive(char *text, int len)
{
	receive_info_t rcv = {0};

	rcv.src_ip = sender.ip;
	rcv.src_port = sender.port;
	init_su(&rcv.src_su, &rcv.src_ip, rcv.src_port);
	rcv.bind_address = sender.to;
	rcv.dst_ip = sender.to->address;
	rcv.dst_port = sender.to->port_no;
	rcv.proto = PROTO_UDP;
	text[len] = '\0';
	kam_know_abandoned(1);
	receive_msg(text, (unsigned int)len, &rcv);
	kam_know_abandoned(0);
}

void kam_hang_up(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		const kam_gone_t *g)
{
	static char text[BUF_SIZE];
	char branch[BRANCH_LEN + 1];
	cr_sender_t from = {cr_span_str(ip_addr2strz(&sender.ip)), sender.port,
			{branch, BRANCH_LEN}};
	int len;

	if(cr_random_hex(branch, BRANCH_LEN) != CR_OK)
		return;
	len = cr_label_bye(
			text, BUF_SIZE / 2, env, label, call_id, side, ref, &from);
	if(len < 0) {
		LM_ERR("no BYE for call %s: %s\n", g->e.id, cr_strerror(len));
		return;
	}
	current = g;
	watched = 0;
	kam_hang_up_receive(text, len);
	current = NULL;
	if(watched)
		return;
	LM_WARN("call %s: %s does not come back, and the script has refused its"
			" BYE\n",
			g->e.id, g->e.sub);
	forget(g);
}

/* ---- start ------------------------------------------------------------------------- */

static int find_socket(void)
{
	for(struct socket_info *s = udp_listen; s != NULL; s = s->next) {
		if(kam_node_is_socket(s))
			continue;
		if(sender.to == NULL || s->address.af == AF_INET)
			sender.to = s;
	}
	if(sender.to != NULL)
		return 0;
	LM_ERR("abandoned_after needs one socket of UDP to listen on, such as"
		   " udp:127.0.0.1:5060\n");
	return -1;
}

/* Every process has it, so that its port stays ours. */
static int open_sink(void)
{
	str text = str_init(FROM_4), text6 = str_init(FROM_6);
	int is6 = sender.to->address.af == AF_INET6;
	struct ip_addr *ip = is6 ? str2ip6(&text6) : str2ip(&text);
	union sockaddr_union su;
	socklen_t len = sizeof(su);
	int fd;

	sender.ip = *ip;
	init_su(&su, ip, 0);
	fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if(fd >= 0 && bind(fd, &su.s, sockaddru_len(su)) == 0
			&& getsockname(fd, &su.s, &len) == 0) {
		sender.port = su_getport(&su);
		snprintf(sender.via, sizeof(sender.via), "SIP/2.0/UDP %s:%u",
				is6 ? "[" FROM_6 "]" : FROM_4, sender.port);
		return 0;
	}
	LM_ERR("no socket for the answers to what is ended here\n");
	if(fd >= 0)
		close(fd);
	return -1;
}

int kam_hang_up_init(void)
{
	if(sender.port != 0)
		return 0;
	return find_socket() < 0 ? -1 : open_sink();
}
