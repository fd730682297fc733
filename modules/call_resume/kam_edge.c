/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The network edge: every message passes here once on its way in, before any
 * module or script has seen it, and once on its way out, after all of them.
 */
#include "kam_edge.h"
#include "kam_connect.h"
#include "kam_connection.h"
#include "kam_early.h"
#include "kam_env.h"
#include "kam_hold.h"
#include "kam_known.h"
#include "kam_node.h"
#include "kam_proxy.h"
#include "kam_quiet.h"
#include "kam_stat.h"

#include "../../core/config.h"
#include "../../core/dprint.h"
#include "../../core/events.h"
#include "../../core/nonsip_hooks.h"
#include "../../core/pt.h"
#include "../../core/script_cb.h"
#include "../../core/mem/mem.h"
#include "../../core/parser/contact/parse_contact.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_rr.h"
#include "../../core/parser/parse_to.h"
#include "../../core/parser/parse_uri.h"
#include "../../core/tcp_options.h"
#include "../../core/ut.h"

#include "core/edge.h"
#include "core/head.h"
#include "core/screen.h"
#include "core/text.h"

/* Shorter than the buffers that Kamailio itself receives into: BUF_SIZE for UDP
 * and, cloned, for TCP, where a WebSocket frame has up to 14 bytes in front of
 * the message. The module sipcapture hands on parts of a buffer, so it must not
 * run in the same Kamailio. */
#define EDGE_MAX (BUF_SIZE - 64)

/* Of what Kamailio sends: a frame whose length has two bytes, and a datagram over IPv4. */
#define FRAME_MAX 65535
#define DATAGRAM_MAX 65507

#define CALL_ID_SHOWN 128 /* bytes of it in the log, and a zero */
#define NAMED_MS 1000     /* a process has its name after so long */

static char out[EDGE_MAX];
static int refused; /* it is one that nobody shall see */
static int listens; /* this process reads what strangers send */
static int quiet;   /* nothing is logged */
static int shows;   /* to the other modules, what has been made here */

static void count_refused(int err)
{
	switch(err) {
		case CR_OK:
			return;
		case CR_EEXPIRED:
		case CR_EKEY:
			kam_count(KAM_MAPS_EXPIRED);
			break;
		case CR_EFORGED:
			kam_count(KAM_MAPS_FORGED);
			break;
		case CR_EMISPLACED:
			kam_count(KAM_MAPS_MISPLACED);
			break;
		default:
			kam_count(KAM_MAPS_MALFORMED);
	}
}

/* Kamailio's readers and parsers print what they do not like, with all that stands
 * behind it: tokens, states, and lines of the sender's making. So with log_damaged 0
 * a process that listens says nothing until it has a message that reads well, and
 * again after that one. Who debugs wants to see it all. */
static void set_quiet(void)
{
	if(get_cfg_debug_level() >= L_DBG)
		return;
	quiet = 1;
	set_local_debug_level(L_CRIT);
}

static void end_quiet(void)
{
	if(quiet)
		reset_local_debug_level();
	quiet = 0;
}

/* Anybody can send maps that do not open, as many as he likes: they are counted, and
 * told of once a second. */
static void report_refused(const cr_edge_t *edge, const char *where)
{
	static time_t said;
	char call_id[CALL_ID_SHOWN] = "-";
	int err = edge->refused != CR_OK ? edge->refused : edge->failed;
	time_t now;

	count_refused(edge->refused);
	if(edge->failed != CR_OK)
		kam_count(KAM_SPLICES_FAILED);
	if(err == CR_OK || (now = time(NULL)) == said)
		return;
	said = now;
	/* Its sender has written it: one word, or nothing. */
	if(cr_text_is_visible(edge->call_id))
		cr_text_show(call_id, sizeof(call_id), edge->call_id);
	LM_NOTICE("%s: %s: %s, Call-ID %s%s\n", where,
			edge->refused != CR_OK ? "map refused" : "not translated",
			cr_strerror(err), call_id,
			edge->verdict == CR_DROP ? ", message dropped" : "");
}

/* Likewise: the reference of an order is one that the sender of a request has brought. */
static void report_unsealed(int err)
{
	static time_t said;
	time_t now;

	if(err == CR_OK)
		return;
	kam_count(KAM_SEALS_FAILED);
	if((now = time(NULL)) == said)
		return;
	said = now;
	LM_ERR("a state could not be sealed: %s\n", cr_strerror(err));
}

/* Our lines have nothing of the sender's making, and are said of every message. */
static void report(const cr_edge_t *edge, kam_stat_t stat, const char *where)
{
	int was_quiet = quiet;

	end_quiet();
	report_refused(edge, where);
	report_unsealed(edge->unsealed);
	if(was_quiet)
		set_quiet();
	if(edge->sealed)
		kam_count(KAM_STATES_SEALED);
	if(edge->spliced)
		kam_count(stat);
	if(edge->verdict == CR_DROP && !edge->quiet)
		kam_count(KAM_MESSAGES_DROPPED);
}

static int is_uri_read(const str *text)
{
	struct sip_uri uri;

	return parse_uri(text->s, text->len, &uri) == 0;
}

/* The first of them, which the script and its modules look into. */
static int is_contact_read(struct sip_msg *msg)
{
	const contact_body_t *body;

	if(msg->contact == NULL)
		return 1;
	if(parse_contact(msg->contact) < 0)
		return 0;
	body = msg->contact->parsed;
	return body->contacts == NULL || is_uri_read(&body->contacts->uri);
}

static int is_route_read(struct sip_msg *msg)
{
	return msg->route == NULL
			|| (parse_rr(msg->route) == 0
					&& is_uri_read(
							&((rr_t *)msg->route->parsed)->nameaddr.uri));
}

/* What our grammar takes Kamailio's parsers need not: they have the last word, and say
 * it in silence. */
static int is_read(struct sip_msg *msg)
{
	return parse_headers(msg, HDR_EOH_F, 0) == 0
			&& (msg->first_line.type != SIP_REQUEST
					|| (parse_sip_msg_uri(msg) >= 0 && is_route_read(msg)))
			&& parse_from_uri(msg) != NULL && parse_to_uri(msg) != NULL
			&& is_contact_read(msg);
}

static int before_script(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)flags;
	(void)param;
	if(quiet && kam_is_plain((cr_span_t){msg->buf, msg->len}) && is_read(msg))
		end_quiet();
	return 1;
}

void kam_edge_script_over(void)
{
	end_quiet();
	if(!listens)
		return;
	reset_local_debug_level(); /* the script may have set one for itself */
	set_quiet();
}

static int after_script(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)msg;
	(void)flags;
	(void)param;
	kam_edge_script_over();
	return 1;
}

/* Kamailio has read an HTTP request: what its script says of it is said, whether it has an answer
 * or none. That script is one of the hooks that are behind this one. */
static int run_http(struct sip_msg *msg)
{
	static int runs;
	int ret;

	if(runs)
		return NONSIP_MSG_PASS;
	runs = 1;
	end_quiet();
	kam_hold(msg->rcv.proto_reserved1);
	ret = nonsip_msg_run_hooks(msg);
	kam_edge_script_over();
	runs = 0;
	return ret;
}

static int is_http_reply(cr_span_t text)
{
	return cr_span_eq_case(
			cr_span_sub(cr_head_skip(text), 0, 5), CR_SPAN("HTTP/"));
}

/* Kamailio has no way to say so here. It gets a message of no length, which it
 * cannot parse; what it would log about that is of no use, and a stranger could
 * fill the log with it. after_drop_in() is next. */
static void drop_in(str *buf)
{
	kam_count(KAM_HEADS_MALFORMED);
	kam_count(KAM_MESSAGES_DROPPED);
	refused = 1;
	set_quiet();
	buf->s[0] = '\0';
	buf->len = 0;
}

/* Kamailio asks whether somebody else knows what this is. */
static int after_drop_in(sr_event_param_t *evp)
{
	int ours = refused;

	(void)evp;
	refused = 0;
	if(ours && !listens)
		end_quiet();
	return ours ? NONSIP_MSG_DROP : NONSIP_MSG_PASS;
}

/* Where a message came to, as a URI without brackets. @return its length, 0 for none */
static size_t own_uri(char *mem, size_t max, const receive_info_t *rcv)
{
	cr_writer_t w = cr_writer(mem, max);
	struct ip_addr ip;
	str proto = STR_NULL;

	if(rcv == NULL || rcv->bind_address == NULL)
		return 0;
	ip = rcv->dst_ip;
	cr_put_str(&w, "sip:");
	cr_put_host(&w, cr_span_str(ip_addr2strz(&ip)));
	cr_put_str(&w, ":");
	cr_put_uint(&w, rcv->dst_port);
	if(rcv->proto != PROTO_UDP
			&& get_valid_proto_string(rcv->proto, 1, 0, &proto) == 0) {
		cr_put_str(&w, ";transport=");
		cr_put_span(&w, kam_span(proto));
	}
	return cr_writer_end(&w) == CR_OK ? w.len : 0;
}

/* It has arrived: as drop_in(), but nothing is wrong. */
static void end_in(str *buf)
{
	refused = 1;
	set_quiet();
	buf->s[0] = '\0';
	buf->len = 0;
}

static void translate_in(str *buf, const receive_info_t *rcv)
{
	char own[128];
	const cr_env_t *env = kam_env();
	cr_edge_t edge;

	if(env == NULL || kam_quiet_in(kam_span(*buf)))
		return;
	edge = cr_edge_in(out, sizeof(out), env, kam_span(*buf),
			(cr_span_t){own, own_uri(own, sizeof(own), rcv)});
	report(&edge, KAM_SPLICED_IN, "in");
	kam_know_spliced(edge.spliced);
	if(edge.verdict == CR_DROP)
		end_in(buf);
	if(edge.verdict == CR_CHANGED) {
		memcpy(buf->s, out, edge.len);
		buf->s[edge.len] = '\0';
		buf->len = (int)edge.len;
	}
}

static int is_stream(int proto)
{
	return proto == PROTO_TCP || proto == PROTO_TLS;
}

/* One message is all that a datagram or a frame holds (RFC 3261 section 18.3, RFC 7118
 * section 5): bytes behind it would be another one where they go on over a stream. Nor
 * is there HTTP in them, with the web server for a sender. A request that is cut off is
 * left to the script, which can say so. */
static int cut(str *buf, const cr_head_t *head)
{
	size_t end;
	int err = cr_head_end(head, kam_span(*buf), &end);

	if(head->is_http)
		return CR_EMALFORMED;
	if(!head->is_sip || err == CR_EMISSING)
		return CR_OK;
	if(err == CR_OK && end < (size_t)buf->len) {
		buf->len = (int)end;
		buf->s[end] = '\0';
	}
	if(err == CR_OK)
		return CR_OK;
	return cr_span_eq_case(cr_span_sub(cr_head_skip(kam_span(*buf)), 0, 4),
				   CR_SPAN("SIP/"))
			? err
			: CR_OK;
}

/* @return CR_OK, or CR_EMALFORMED: this is nobody's message */
static int read_head(str *buf, cr_head_t *head, const receive_info_t *rcv)
{
	int err = cr_head_read(head, kam_span(*buf));

	if(err == CR_OK && head->folded) {
		cr_head_unfold(buf->s, (size_t)buf->len);
		err = cr_head_read(head, kam_span(*buf));
	}
	if(err == CR_OK
			&& (head->fields > CR_HEAD_FIELDS_MAX
					|| head->parts > CR_HEAD_PARTS_MAX))
		err = CR_EMALFORMED;
	if(err == CR_OK && head->is_http && is_http_reply(kam_span(*buf)))
		err = CR_EMALFORMED;
	if(err == CR_OK && rcv != NULL && !is_stream(rcv->proto))
		err = cut(buf, head);
	return err;
}

/* A map or an order, which are in no body, or a field of ours. (What other nodes or far ends
 * send has been written anew meanwhile.) */
static int concerns_us(const str *buf, const cr_head_t *head)
{
	cr_span_t text = kam_span(*buf);

	if(kam_config.node == 0 && head->len > 0)
		text = cr_span_sub(text, 0, head->len);
	return head->states || cr_screen_mark_in(text);
}

void kam_edge_show(str *text, receive_info_t *rcv)
{
	sr_event_param_t evp = {.data = text, .rcv = rcv};

	shows = 1;
	sr_event_exec(SREV_NET_DATA_IN, &evp);
	shows = 0;
}

/* What nodes and proxies in front of us have added is taken off, or put in order.
 * @return 0, or -1: the message is to be dropped */
static int rewrite_in(str *buf, cr_head_t *head, const receive_info_t *rcv)
{
	int changed;

	if(kam_node_in(buf, EDGE_MAX, rcv) < 0)
		return -1;
	changed = kam_first_hop_in(buf, EDGE_MAX, rcv);
	/* Nobody knows where its head ends now. */
	if(changed > 0)
		head->len = 0;
	return changed < 0 ? -1 : 0;
}

static int edge_in(sr_event_param_t *evp)
{
	str *buf = (str *)evp->data;
	cr_head_t head;

	if(shows)
		return 0;
	end_quiet();
	kam_connect_off(); /* not every script comes to its end */
	refused = 0;
	kam_know_received();
	kam_quiet_forget();
	if(read_head(buf, &head, evp->rcv) != CR_OK
			|| rewrite_in(buf, &head, evp->rcv) < 0) {
		drop_in(buf);
		return 0;
	}
	if(!kam_config.log_damaged)
		(void)kam_is_plain(kam_span(*buf));
	if(concerns_us(buf, &head))
		translate_in(buf, evp->rcv);
	if(!kam_config.log_damaged)
		set_quiet();
	return 0;
}

/* Kamailio does not send a message whose buffer is gone. */
static void drop(str *buf)
{
	pkg_free(buf->s);
	buf->s = NULL;
	buf->len = 0;
}

/* @return 0, or -1 and nothing is sent */
static int send_instead(str *buf, const char *text, size_t len)
{
	char *fresh = pkg_malloc(len + 1);

	if(fresh == NULL) {
		PKG_MEM_ERROR;
		kam_count(KAM_MESSAGES_DROPPED);
		drop(buf);
		return -1;
	}
	memcpy(fresh, text, len);
	fresh[len] = '\0';
	pkg_free(buf->s);
	buf->s = fresh;
	buf->len = (int)len;
	return 0;
}

/* Over a stream the receiver finds the end by Content-Length. Kamailio writes one into
 * a reply by the transport that its second Via names, and that its sender has written.
 * @return 0, or -1 and nothing is sent */
static int frame(str *buf)
{
	cr_head_t head;
	size_t end;
	int len = 0, err = cr_head_read(&head, kam_span(*buf));

	/* A script's own line ends are its business. */
	if(err != CR_OK || !head.is_sip)
		return 0;
	err = cr_head_end(&head, kam_span(*buf), &end);
	if(err == CR_OK && end == (size_t)buf->len)
		return 0;
	if(err == CR_EMISSING)
		len = cr_head_frame(out, sizeof(out), &head, kam_span(*buf));
	if(len > 0)
		return send_instead(buf, out, (size_t)len);
	kam_count(KAM_MESSAGES_DROPPED);
	drop(buf);
	return -1;
}

static void translate_out(str *buf)
{
	const cr_env_t *env;
	cr_edge_t edge;

	if(!kam_config.session_id && !cr_screen_concerned(kam_span(*buf)))
		return;
	/* It would show O to the client, or the mark of our orders. */
	if((env = kam_env()) == NULL) {
		kam_count(KAM_MESSAGES_DROPPED);
		drop(buf);
		return;
	}
	edge = cr_edge_out(out, sizeof(out), env, kam_span(*buf));
	report(&edge, KAM_SPLICED_OUT, "out");
	if(edge.verdict == CR_DROP)
		drop(buf);
	if(edge.verdict == CR_CHANGED)
		send_instead(buf, out, edge.len);
}

/* To another node, a far end, or a proxy in front of us. */
static void finish_out(str *buf, const struct dest_info *dst)
{
	int len = kam_node_out(out, sizeof(out), kam_span(*buf), dst);

	if(len == 0)
		len = kam_first_hop_out(out, sizeof(out), kam_span(*buf), dst);
	if(len < 0)
		drop(buf);
	if(len > 0)
		send_instead(buf, out, (size_t)len);
}

/* It has become longer on its way. The module websocket would write a length that ends the
 * connection (RFC 6455 section 5.2), and a datagram has no more. */
static int is_too_long(const str *buf, const struct dest_info *dst)
{
	switch(dst->proto) {
		case PROTO_WS:
		case PROTO_WSS:
			return buf->len > FRAME_MAX;
		case PROTO_UDP:
			return buf->len > DATAGRAM_MAX;
		default:
			return 0;
	}
}

static void leave(str *buf, const struct dest_info *dst)
{
	finish_out(buf, dst);
	if(buf->s == NULL || dst == NULL || !is_too_long(buf, dst))
		return;
	kam_count(KAM_MESSAGES_DROPPED);
	drop(buf);
}

static int edge_out(sr_event_param_t *evp)
{
	str *buf = (str *)evp->data;

	if(buf->s == NULL)
		return 0;
	/* (What makes a WebSocket of a connection is HTTP still.) */
	if(evp->dst != NULL && !kam_is_understood(evp->dst)
			&& !is_http_reply(kam_span(*buf))) {
		kam_count(KAM_MESSAGES_DROPPED);
		drop(buf);
		return 0;
	}
	if(evp->dst != NULL && is_stream(evp->dst->proto) && frame(buf) < 0)
		return 0;
	translate_out(buf);
	if(buf->s != NULL)
		kam_unheard_sent(buf, evp->dst);
	if(buf->s != NULL)
		leave(buf, evp->dst);
	return 0;
}

static int watch_script(void)
{
	if(register_script_cb(
			   before_script, PRE_SCRIPT_CB | REQUEST_CB | ONREPLY_CB, NULL)
			< 0)
		return -1;
	return register_script_cb(
			after_script, POST_SCRIPT_CB | REQUEST_CB | ONREPLY_CB, NULL);
}

int kam_edge_register(void)
{
	struct nonsip_hook hook
			= {.name = "call_resume", .on_nonsip_req = run_http};

	return register_nonsip_msg_hook(&hook);
}

/* The module websocket pings from a process of its own, that runs no script. It has two lines
 * a second for each WebSocket that is gone, for as long as that keeps its memory. Who forks it
 * writes its name behind the fork, and so maybe only now. */
static int pings(int rank)
{
	static const char name[] = "WEBSOCKET KEEPALIVE";

	for(int i = 0; rank == PROC_TIMER && i < NAMED_MS; i++) {
		size_t len = strlen(my_desc());

		if(strncmp(my_desc(), name, len) != 0)
			return 0;
		if(len == sizeof(name) - 1)
			return 1;
		sleep_us(1000);
	}
	return 0;
}

void kam_edge_child(int rank)
{
	/* The process that has all connections has a line for each that is gone before what
	 * Kamailio answers by itself. */
	listens = (rank > 0 || rank == PROC_TCP_MAIN) && !kam_config.log_damaged;
	if(listens || (!kam_config.log_damaged && pings(rank)))
		set_quiet();
}

/* In calls the callbacks in the order of registration, out in the reverse: to
 * be next to the network this module has to be loaded before all others that
 * register some (dialog, topoh, topos). */
int kam_edge_init(void)
{
	if(sr_event_register_cb(SREV_NET_DATA_IN, edge_in) < 0
			|| sr_event_register_cb(SREV_NET_DATA_OUT, edge_out) < 0) {
		LM_ERR("too many modules watch the network\n");
		return -1;
	}
	/* There is one place only; without it, what is dropped is logged as a message
	 * that cannot be parsed. */
	if(sr_event_register_cb(SREV_RCV_NOSIP, after_drop_in) < 0)
		LM_INFO("another module takes what is no SIP\n");
	if(!kam_config.log_damaged && watch_script() < 0) {
		LM_ERR("cannot watch the script\n");
		return -1;
	}
#ifdef USE_TCP
	/* The buffer that a message came in is rewritten in place. */
	tcp_set_clone_rcvbuf(1);
#endif
	return 0;
}
