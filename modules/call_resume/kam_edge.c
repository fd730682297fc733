/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The network edge: every message passes here once on its way in, before any
 * module or script has seen it, and once on its way out, after all of them.
 */
#include "kam.h"

#include "../../core/config.h"
#include "../../core/dprint.h"
#include "../../core/events.h"
#include "../../core/nonsip_hooks.h"
#include "../../core/script_cb.h"
#include "../../core/mem/mem.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_to.h"
#include "../../core/parser/parse_uri.h"
#include "../../core/tcp_options.h"

#include "core/head.h"
#include "core/screen.h"
#include "core/splice.h"
#include "core/text.h"

/* Shorter than the buffers that Kamailio itself receives into: BUF_SIZE for UDP
 * and, cloned, for TCP, where a WebSocket frame has up to 14 bytes in front of
 * the message. The module sipcapture hands on parts of a buffer, so it must not
 * run in the same Kamailio. */
#define EDGE_MAX (BUF_SIZE - 64)

#define CALL_ID_SHOWN 128 /* bytes of it in the log, and a zero */

static char out[EDGE_MAX];
static int spliced;
static int
		plain; /* the message at hand reads without a complaint, and can be shown;
					 * -1: not looked at yet */
static int refused; /* it is one that nobody shall see */
static int listens; /* this process reads what strangers send */
static int quiet;   /* nothing is logged */
static int shows;   /* to the other modules, what has been made here */

int kam_edge_spliced(void)
{
	return spliced;
}

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

static void report(const cr_edge_t *edge, kam_stat_t stat, const char *where)
{
	report_refused(edge, where);
	if(edge->unsealed != CR_OK) {
		LM_ERR("a state could not be sealed: %s\n",
				cr_strerror(edge->unsealed));
		kam_count(KAM_SEALS_FAILED);
	}
	if(edge->sealed)
		kam_count(KAM_STATES_SEALED);
	if(edge->spliced)
		kam_count(stat);
	if(edge->verdict == CR_DROP)
		kam_count(KAM_MESSAGES_DROPPED);
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

/* What our grammar takes Kamailio's parsers need not: they have the last word, and say
 * it in silence. */
static int is_read(struct sip_msg *msg)
{
	return parse_headers(msg, HDR_EOH_F, 0) == 0
			&& (msg->first_line.type != SIP_REQUEST
					|| parse_sip_msg_uri(msg) >= 0)
			&& parse_from_uri(msg) != NULL && parse_to_uri(msg) != NULL;
}

static int before_script(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)flags;
	(void)param;
	if(quiet && plain > 0 && is_read(msg))
		end_quiet();
	return 1;
}

void kam_edge_script_over(void)
{
	end_quiet();
	if(listens)
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

/* Kamailio has read an HTTP request: what its script says of it is said, until it has
 * answered. */
static int before_http(struct sip_msg *msg)
{
	(void)msg;
	end_quiet();
	return NONSIP_MSG_PASS;
}

static int is_http_reply(cr_span_t text)
{
	return cr_span_eq_case(
			cr_span_sub(cr_head_skip(text), 0, 5), CR_SPAN("HTTP/"));
}

static void after_http(cr_span_t text)
{
	if(listens && is_http_reply(text))
		set_quiet();
}

static int is_plain(cr_span_t text)
{
	const cr_env_t *env = kam_env();

	return env != NULL && cr_sip_parse(&env->work->msg, text) == CR_OK
			&& cr_screen_reads(&env->work->msg)
			&& cr_screen_shows(&env->work->msg);
}

int kam_edge_plain(const struct sip_msg *msg)
{
	if(plain < 0)
		plain = is_plain((cr_span_t){msg->buf, msg->len});
	return plain;
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

static void translate_in(str *buf, const receive_info_t *rcv)
{
	char own[128];
	const cr_env_t *env = kam_env();
	cr_edge_t edge;

	if(env == NULL)
		return;
	edge = cr_edge_in(out, sizeof(out), env, kam_span(*buf),
			(cr_span_t){own, own_uri(own, sizeof(own), rcv)});
	report(&edge, KAM_SPLICED_IN, "in");
	spliced = edge.spliced;
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

	if(cr_head_is_http(kam_span(*buf)))
		return CR_EMALFORMED;
	if(!head->is_sip || err == CR_EMISSING)
		return CR_OK;
	if(err == CR_OK && end < (size_t)buf->len) {
		buf->len = (int)end;
		buf->s[end] = '\0';
	}
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
	if(err == CR_OK && head->fields > CR_HEAD_FIELDS_MAX)
		err = CR_EMALFORMED;
	if(err == CR_OK && is_http_reply(kam_span(*buf)))
		err = CR_EMALFORMED;
	if(err == CR_OK && rcv != NULL && !is_stream(rcv->proto))
		err = cut(buf, head);
	return err;
}

void kam_edge_show(str *text, receive_info_t *rcv)
{
	sr_event_param_t evp = {.data = text, .rcv = rcv};

	shows = 1;
	sr_event_exec(SREV_NET_DATA_IN, &evp);
	shows = 0;
}

static int edge_in(sr_event_param_t *evp)
{
	str *buf = (str *)evp->data;
	cr_head_t head;

	if(shows)
		return 0;
	end_quiet();
	kam_connect_off(); /* not every script comes to its end */
	spliced = refused = 0;
	plain = -1;
	if(read_head(buf, &head, evp->rcv) != CR_OK) {
		drop_in(buf);
		return 0;
	}
	if(!kam_config.log_damaged)
		plain = is_plain(kam_span(*buf));
	if(head.states || cr_screen_mark_in(kam_span(*buf)))
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

static int edge_out(sr_event_param_t *evp)
{
	str *buf = (str *)evp->data;
	const cr_env_t *env;
	cr_edge_t edge;

	if(buf->s == NULL)
		return 0;
	after_http(kam_span(*buf));
	if(evp->dst != NULL && is_stream(evp->dst->proto) && frame(buf) < 0)
		return 0;
	if(!kam_config.session_id && !cr_screen_concerned(kam_span(*buf)))
		return 0;
	/* It would show O to the client, or the mark of our orders. */
	if((env = kam_env()) == NULL) {
		kam_count(KAM_MESSAGES_DROPPED);
		drop(buf);
		return 0;
	}
	edge = cr_edge_out(out, sizeof(out), env, kam_span(*buf));
	report(&edge, KAM_SPLICED_OUT, "out");
	if(edge.verdict == CR_DROP)
		drop(buf);
	if(edge.verdict == CR_CHANGED)
		send_instead(buf, out, edge.len);
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
			= {.name = "call_resume", .on_nonsip_req = before_http};

	return register_nonsip_msg_hook(&hook);
}

void kam_edge_child(int rank)
{
	listens = rank > 0 && !kam_config.log_damaged;
	if(listens)
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
