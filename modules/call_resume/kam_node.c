/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Several gateways with one key ring. What nodes send each other goes from and to a socket
 * of its own and is signed, every message of it: requests that one passes on to the node
 * that has the client, and what Kamailio's own modules send (dmq, dispatcher). Nothing else
 * is taken there. To a far end each node stands for the client, see core/contact.h.
 */
#include "kam_node.h"
#include "kam_env.h"
#include "kam_modules.h"
#include "kam_shared.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/socket_info.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_to.h"
#include "../../core/parser/parse_uri.h"

#include "core/contact.h"
#include "core/jose.h"
#include "core/node.h"
#include "core/screen.h"
#include "core/text.h"

#define PEERS_MAX 64
#define SILENT_MAX_S 10 /* they ask each other every second */
#define MESSAGE_MAX (BUF_SIZE - 64)

/* What is known of another node; in shared memory, a slot for each. */
typedef struct peer
{
	unsigned node; /* 0: free */
	int64_t heard_s;
	int64_t ahead_s; /* of our clock */
	char kid[CR_KID_MAX + 1];
	char address[IP_ADDR_MAX_STR_SIZE];
} peer_t;

static peer_t *peers;
static const struct socket_info *node_socket;

/* The message that this process has in hand, when another node has sent it, or when it is for
 * a Contact under a key that we have not got. */
static struct
{
	const char *buf;
	const char *locked;
	cr_node_note_t note;
} current;

/* However it is written. What is none of ours would be one that takes everything. */
static int find_socket(void)
{
	str name = {kam_config.node_socket, (int)strlen(kam_config.node_socket)};

	node_socket = lookup_local_socket(&name);
	if(node_socket != NULL)
		return 0;
	LM_ERR("node_socket %s is none of the sockets that Kamailio listens on\n",
			kam_config.node_socket);
	return -1;
}

int kam_node_init(void)
{
	if(kam_config.node == 0)
		return 0;
	if(kam_config.node < 0 || kam_config.node > CR_NODE_MAX) {
		LM_ERR("node is a number from 1 to %d, or 0\n", CR_NODE_MAX);
		return -1;
	}
	if(kam_config.node_socket == NULL
			|| strncmp(kam_config.node_socket, "udp:", 4) != 0) {
		LM_ERR("node needs node_socket, one of the sockets that Kamailio "
			   "listens"
			   " on: \"udp:192.0.2.1:5090\"\n");
		return -1;
	}
	if(kam_config.quiet != 0) {
		LM_ERR("quiet has to be 0 in a cluster: a far end learns from the "
			   "re-INVITE"
			   " which node the client is at\n");
		return -1;
	}
	if(find_socket() < 0 || kam_modules_share_nonces() < 0)
		return -1;
	peers = KAM_SHARED(PEERS_MAX * sizeof(*peers));
	return peers == NULL ? -1 : 0;
}

void kam_node_destroy(void)
{
	if(peers != NULL)
		shm_free(peers);
	peers = NULL;
}

int kam_node_is_socket(const struct socket_info *si)
{
	return kam_config.node > 0 && si != NULL && si == node_socket;
}

/* ---- a key that is at other nodes already ------------------------------------------ */

static void report_key(const char *what)
{
	static time_t said;
	time_t now = time(NULL);

	if(now == said)
		return;
	said = now;
	LM_ERR("%s is under a key that is not in our key ring: give it to all "
		   "nodes,"
		   " then call_resume.reload\n",
			what);
}

int kam_node_lacks_key(cr_span_t jose)
{
	const cr_env_t *env = kam_env();
	cr_jose_t head;

	if(kam_config.node == 0 || env == NULL
			|| cr_jose_peek(&head, jose) != CR_OK)
		return 0;
	for(int i = 0; i < env->ring->n_keys; i++) {
		if(strcmp(env->ring->keys[i].kid, head.kid) == 0)
			return 0;
	}
	report_key("a Call-State");
	return 1;
}

int kam_node_is_locked(const struct sip_msg *msg)
{
	return current.locked != NULL && msg->buf == current.locked;
}

void kam_node_report_locked(void)
{
	report_key("the Contact that a far end has");
}

/* ---- in ---------------------------------------------------------------------------- */

/* Each node has a slot, and writes into it alone: what another process writes at the same
 * time is the same. */
static void note_peer(const cr_node_note_t *note, const receive_info_t *rcv)
{
	struct ip_addr ip = rcv->src_ip;
	int64_t now = time(NULL);

	if(note->node == (unsigned)kam_config.node)
		return;
	for(int i = 0; i < PEERS_MAX; i++) {
		peer_t *p = &peers[i];

		if(p->node != 0 && p->node != note->node)
			continue;
		p->node = note->node;
		p->heard_s = now;
		p->ahead_s = note->signed_s - now;
		memcpy(p->kid, note->kid, sizeof(p->kid));
		cr_text_show(
				p->address, sizeof(p->address), cr_span_str(ip_addr2strz(&ip)));
		return;
	}
}

int kam_node_is_up(unsigned node)
{
	const int64_t now = time(NULL);

	for(int i = 0; i < PEERS_MAX; i++) {
		if(peers[i].node == node)
			return now - peers[i].heard_s <= SILENT_MAX_S;
	}
	return 0;
}

int kam_node_rank(void)
{
	int n = 0;

	for(int i = 0; i < PEERS_MAX; i++)
		n += peers[i].node != 0 && peers[i].node < (unsigned)kam_config.node
				&& kam_node_is_up(peers[i].node);
	return n;
}

/* Anybody can send here: one line a second. */
static void report(
		int err, const cr_node_note_t *note, const receive_info_t *rcv)
{
	struct ip_addr ip = rcv->src_ip;
	static time_t said;
	time_t now = time(NULL);

	kam_count(KAM_NODES_REFUSED);
	if(now == said)
		return;
	said = now;
	switch(err) {
		case CR_EEXPIRED:
		case CR_ENOTYET:
			LM_ERR("node %u: its clock and ours differ by %lld s, clock_skew is"
				   " %d: what it sends is not taken\n",
					note->node, (long long)(note->signed_s - now),
					kam_config.clock_skew);
			return;
		case CR_EKEY:
			LM_ERR("from %s: signed with a key that is not in our key ring: "
				   "give"
				   " it to all nodes, then call_resume.reload\n",
					ip_addr2strz(&ip));
			return;
		default:
			LM_NOTICE("from %s: no node of ours, %s\n", ip_addr2strz(&ip),
					cr_strerror(err));
	}
}

/* What has been made of a message in its place. @return 0, or -1: there is no room */
static int put_instead(str *buf, size_t max, const char *text, int len)
{
	if((size_t)len >= max)
		return -1;
	memcpy(buf->s, text, (size_t)len);
	buf->s[len] = '\0';
	buf->len = len;
	return 0;
}

static int from_node(str *buf, size_t max, const receive_info_t *rcv)
{
	static char out[MESSAGE_MAX];
	const cr_env_t *env = kam_env();
	int len;

	if(env == NULL)
		return -1;
	len = cr_node_open(out, sizeof(out), &current.note, env, kam_span(*buf),
			kam_config.clock_skew);
	if(len < 0) {
		report(len, &current.note, rcv);
		return -1;
	}
	note_peer(&current.note, rcv);
	current.buf = buf->s;
	return put_instead(buf, max, out, len);
}

static cr_contact_here_t here_of(const struct socket_info *si, int proto)
{
	int named = si->useinfo.name.len > 0;
	str name = STR_NULL;

	if(proto != PROTO_UDP)
		get_valid_proto_string(proto, 1, 0, &name);
	return (cr_contact_here_t){
			kam_span(named ? si->useinfo.name : si->address_str),
			si->useinfo.port_no != 0 ? si->useinfo.port_no : si->port_no,
			kam_span(name)};
}

/* A request to a Contact that we gave to a far end. One that does not open stays as it is:
 * it leads to nobody. */
static int from_far_end(str *buf, size_t max, const receive_info_t *rcv)
{
	static char out[MESSAGE_MAX];
	const cr_env_t *env = kam_env();
	cr_contact_here_t here;
	int len;

	if(env == NULL || rcv->bind_address == NULL)
		return 0;
	here = here_of(rcv->bind_address, rcv->proto);
	len = cr_contact_show(out, sizeof(out), env, kam_span(*buf), &here);
	if(len == CR_EKEY)
		current.locked = buf->s;
	if(len < 0) {
		kam_count(len == CR_EKEY ? KAM_MAPS_EXPIRED : KAM_MAPS_FORGED);
		return 0;
	}
	return len > 0 ? put_instead(buf, max, out, len) : 0;
}

int kam_node_in(str *buf, size_t max, const receive_info_t *rcv)
{
	current.buf = current.locked = NULL;
	if(kam_config.node == 0 || rcv == NULL)
		return 0;
	return kam_node_is_socket(rcv->bind_address) ? from_node(buf, max, rcv)
												 : from_far_end(buf, max, rcv);
}

/* ---- out --------------------------------------------------------------------------- */

static int failed(int err)
{
	LM_ERR("a message of the cluster cannot be made, and is not sent: %s\n",
			cr_strerror(err));
	kam_count(KAM_MESSAGES_DROPPED);
	return -1;
}

int kam_node_out(
		char *out, size_t max, cr_span_t text, const struct dest_info *dst)
{
	const cr_env_t *env;
	cr_contact_here_t here;
	int len;

	if(kam_config.node == 0 || dst == NULL || dst->send_sock == NULL
			|| (env = kam_env()) == NULL)
		return 0;
	if(kam_node_is_socket(dst->send_sock)) {
		len = cr_node_sign(out, max, env, text, (unsigned)kam_config.node);
		/* dispatcher and dmq know no keep-alive of another kind. */
		return len < 0 ? failed(len) : len;
	}
	here = here_of(dst->send_sock, dst->proto);
	len = cr_contact_hide(out, max, env, text, &here);
	return len < 0 ? failed(len) : len;
}

/* ---- what another node says -------------------------------------------------------- */

static const cr_node_note_t *note_of(struct sip_msg *msg)
{
	return current.buf != NULL && msg->buf == current.buf ? &current.note
														  : NULL;
}

cr_span_t kam_node_from(struct sip_msg *msg)
{
	const cr_node_note_t *note = note_of(msg);

	if(note == NULL)
		return CR_SPAN("");
	return cr_span_str(note->from[0] != '\0' ? note->from : "node");
}

cr_span_t kam_node_proto(struct sip_msg *msg)
{
	const cr_node_note_t *note = note_of(msg);

	return cr_span_str(note != NULL ? note->proto : "");
}

int kam_node_peer(struct sip_msg *msg)
{
	const cr_node_note_t *note = note_of(msg);

	return note != NULL ? (int)note->node : 0;
}

int kam_node_resumed(struct sip_msg *msg)
{
	const cr_node_note_t *note = note_of(msg);

	return note != NULL && note->resumed;
}

cr_span_t kam_node_ref(struct sip_msg *msg)
{
	const cr_node_note_t *note = note_of(msg);

	return note != NULL ? (cr_span_t){note->ref, note->ref_len} : CR_SPAN("");
}

/* ---- what leaves by another socket -------------------------------------------------- */

/* What came by the socket of the nodes would leave by it as well, over UDP. */
static struct socket_info *other_socket(void)
{
	struct socket_info *found = NULL;

	for(struct socket_info *s = udp_listen; s != NULL; s = s->next) {
		if(s == node_socket || s->address.af != node_socket->address.af)
			continue;
		if(found == NULL || ip_addr_cmp(&s->address, &node_socket->address))
			found = s;
	}
	return found;
}

void kam_node_leave(struct sip_msg *msg)
{
	str *hop = GET_NEXT_HOP(msg);
	struct sip_uri uri;

	if(!kam_node_is_socket(msg->rcv.bind_address)
			|| msg->force_send_socket != NULL
			|| parse_uri(hop->s, hop->len, &uri) < 0
			|| (uri.proto != PROTO_NONE && uri.proto != PROTO_UDP))
		return;
	set_force_socket(msg, other_socket());
}

/* ---- kamcmd ------------------------------------------------------------------------ */

void kam_rpc_nodes(rpc_t *rpc, void *ctx)
{
	const cr_env_t *env = kam_env();
	const cr_key_t *key;
	void *h;

	if(kam_config.node == 0 || env == NULL) {
		rpc->fault(ctx, 404, "No cluster: the parameter node is 0");
		return;
	}
	key = cr_ring_sealing(env->ring, cr_now_s(env));
	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(h, "dsss", "node", kam_config.node, "is", "this one",
			"socket", kam_config.node_socket, "signs_with",
			key != NULL ? key->kid : "-");
	for(int i = 0; i < PEERS_MAX && peers[i].node != 0; i++) {
		const peer_t *p = &peers[i];

		if(rpc->add(ctx, "{", &h) < 0)
			return;
		rpc->struct_add(h, "dsssdd", "node", (int)p->node, "is", "proved",
				"address", p->address, "signs_with", p->kid, "heard_s_ago",
				(int)(cr_now_s(env) - p->heard_s), "clock_ahead_s",
				(int)p->ahead_s);
	}
}
