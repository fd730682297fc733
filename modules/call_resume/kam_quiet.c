/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_quiet.h"
#include "kam_env.h"
#include "kam_known.h"
#include "kam_media.h"
#include "kam_message.h"
#include "kam_route.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/dset.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_rr.h"
#include "../../core/resolve.h"
#include "../../core/script_cb.h"
#include "../../core/socket_info.h"
#include "../../core/ut.h"
#include "../../modules/tm/ut.h"

#include "core/quiet.h"

#define URI_MAX 128
#define ROUTES_MAX 4096
#define OWN_ROUTES_MAX 4
/* Of a request in the far end's place: it is one that has not been, and the last. */
#define CSEQ_LAST (1u << 30)

/* What a transaction needs to know of a resume that shall be quiet; in shared memory. */
typedef struct quiet
{
	cr_far_t far; /* of text */
	int timer;    /* the client knows session timers */
	size_t sdp_len;
	char text[CR_FAR_MAX];
	char sdp[CR_QUIET_SDP_MAX];
} quiet_t;

/* ---- may it be quiet --------------------------------------------------------------- */

/* Both sides have media there, so it goes on with those of the far end. */
static int is_known(struct sip_msg *msg)
{
	str answer;

	return kam_media_query(msg, &answer)
			&& ki_resume_read_media(msg, &answer) == 1;
}

/* RFC 4028: a far end that refreshes goes on doing so; a client that does has to know how,
 * and the far end has to get a refresh now. Where nobody has said who does, the UPDATE does. */
static int suits_timer(const cr_far_t *far, int timer)
{
	char last = far->timer.len > 0 ? far->timer.s[far->timer.len - 1] : 's';

	return last == 's'
			|| (kam_config.quiet == KAM_QUIET_UPDATE && (last != 'c' || timer));
}

/* @return why the far end has to be asked, or NULL: it need not be */
static const char *reason(quiet_t *q, const cr_state_t *st, struct sip_msg *msg)
{
	cr_span_t text = {msg->buf, msg->len};
	char *body = get_body(msg);
	int len;

	if(st->far.sdp.len == 0)
		return "its state does not say what it allows and has";
	if(kam_config.quiet == KAM_QUIET_UPDATE && !st->far.update)
		return "it does not allow UPDATE";
	if(cr_quiet_has_two_clients(st))
		return "it is a client";
	q->timer = cr_far_lists(text, CR_SPAN("Supported"), 'k', CR_SPAN("timer"));
	if(!suits_timer(&st->far, q->timer))
		return "of its session timer";
	if(body == NULL || !kam_has_body(msg))
		return "there is no offer";
	len = cr_quiet_answer(q->sdp, st,
			(cr_span_t){body, (size_t)(msg->buf + msg->len - body)});
	if(len < 0)
		return "the media are others";
	q->sdp_len = (size_t)len;
	return is_known(msg) ? NULL : "rtpengine does not know the call";
}

static void keep_far(quiet_t *q, const cr_far_t *far)
{
	cr_writer_t w = cr_writer(q->text, sizeof(q->text));

	q->far = *far;
	cr_put_span(&w, far->sdp);
	cr_put_span(&w, far->timer);
	if(far->timer.len > 0 && far->timer.s[far->timer.len - 1] <= '9')
		cr_put_str(&w, q->timer ? CR_FAR_UAC : CR_FAR_UAS);
	q->far.sdp = (cr_span_t){q->text, far->sdp.len};
	q->far.timer = (cr_span_t){q->text + far->sdp.len, w.len - far->sdp.len};
}

/* ---- the INVITE goes to ourselves -------------------------------------------------- */

static const struct socket_info *own_socket(void)
{
	const struct socket_info *si = udp_listen;

	while(si != NULL && (si->flags & SI_IS_MCAST))
		si = si->next;
	return si;
}

static str own_uri(char *mem, size_t max)
{
	const struct socket_info *si = own_socket();
	cr_writer_t w = cr_writer(mem, max);

	cr_put_str(&w, "sip:");
	cr_put_host(&w, kam_span(si->address_str));
	cr_put_str(&w, ":");
	cr_put_uint(&w, si->port_no);
	return kam_str(
			cr_writer_end(&w) == CR_OK ? cr_written(&w) : (cr_span_t){0});
}

/* Where the far end would have got it. @return 0 or -1 */
static int resolve(struct dest_info *dst, struct sip_msg *msg)
{
	int found;

#ifdef USE_DNS_FAILOVER
	found = uri2dst(NULL, dst, msg, GET_NEXT_HOP(msg), PROTO_NONE) != NULL;
#else
	found = uri2dst(dst, msg, GET_NEXT_HOP(msg), PROTO_NONE) != NULL;
#endif
	return found && dst->send_sock != NULL ? 0 : -1;
}

/* @return the length of the whole field, or -1 */
static int put_order(
		char *mem, size_t max, const quiet_t *q, struct dest_info *dst)
{
	static const char name[] = CR_HDR_STATE ": ";
	char address[IP_ADDR_MAX_STRZ_SIZE], port[16], proto[16];
	struct ip_addr ip;
	cr_quiet_t to = {.timer = q->far.timer,
			.socket = kam_span(dst->send_sock->sock_str)};
	const cr_env_t *env = kam_env();
	int len;

	su2ip_addr(&ip, &dst->to);
	snprintf(address, sizeof(address), "%s", ip_addr2strz(&ip));
	snprintf(port, sizeof(port), "%d", su_getport(&dst->to));
	snprintf(proto, sizeof(proto), "%d", dst->proto);
	to.address = cr_span_str(address);
	to.port = cr_span_str(port);
	to.proto = cr_span_str(proto);
	if(env == NULL || max < sizeof(name) + 2)
		return -1;
	memcpy(mem, name, sizeof(name) - 1);
	len = cr_quiet_order(mem + sizeof(name) - 1, max - sizeof(name) - 2, env,
			&to, &q->far, q->timer, (cr_span_t){q->sdp, q->sdp_len});
	if(len < 0)
		return -1;
	len += (int)sizeof(name) - 1;
	memcpy(mem + len, "\r\n", 2);
	return len + 2;
}

/* What has the order goes nowhere else, or it would show the mark: so that comes last.
 * @return 0, or -1: it goes to the far end, as it would have */
static int send_to_ourselves(struct sip_msg *msg, str *own, cr_span_t order)
{
	char mem[MAX_URI_SIZE];
	str was = {mem, msg->dst_uri.len};

	if(was.len > (int)sizeof(mem))
		return -1;
	if(was.len > 0)
		memcpy(mem, msg->dst_uri.s, (size_t)was.len);
	if(set_dst_uri(msg, own) < 0)
		return -1;
	if(kam_add_header(msg, order) == 0)
		return 0;
	if(was.len == 0 || set_dst_uri(msg, &was) < 0)
		reset_dst_uri(msg);
	return -1;
}

/* tm is about to make the branch: the media server has seen the offer, and the branch can
 * still go somewhere else. */
static void on_forward(struct cell *t, int type, struct tmcb_params *ps)
{
	const quiet_t *q = *ps->param;
	struct dest_info dst = {0};
	char order[CR_QUIET_ORDER_MAX], uri[URI_MAX];
	str own = own_uri(uri, sizeof(uri));
	int len;

	(void)t;
	(void)type;
	if(resolve(&dst, ps->req) < 0)
		return;
	len = put_order(order, sizeof(order), q, &dst);
	if(len < 0 || own.len == 0
			|| send_to_ourselves(ps->req, &own, (cr_span_t){order, (size_t)len})
					< 0)
		LM_ERR("the far end is asked after all\n");
}

static void release(void *q)
{
	shm_free(q);
}

void kam_quiet_prepare(struct sip_msg *msg)
{
	const cr_state_t *st = &kam_opened(msg)->state;
	const char *why;
	quiet_t *q;

	if(kam_config.quiet == KAM_QUIET_OFF)
		return;
	q = shm_malloc(sizeof(*q));
	if(q == NULL) {
		SHM_MEM_ERROR;
		return;
	}
	why = reason(q, st, msg);
	if(why == NULL) {
		keep_far(q, &st->far);
		if(kam_tm.register_tmcb(
				   msg, 0, TMCB_REQUEST_FWDED, on_forward, q, release)
				> 0)
			return;
		why = "tm does not say when";
	}
	LM_INFO("call %s: the far end is asked, because %s\n", st->id, why);
	shm_free(q);
}

/* ---- and comes back as the answer -------------------------------------------------- */

int kam_is_quiet(struct sip_msg *reply)
{
	const cr_env_t *env = kam_env();
	cr_quiet_t q;

	return kam_config.quiet != KAM_QUIET_OFF && env != NULL && reply != NULL
			&& reply != FAKED_REPLY
			&& cr_quiet_find(&q, env, (cr_span_t){reply->buf, reply->len});
}

static int to_number(cr_span_t text)
{
	unsigned n = 0;
	str s = kam_str(text);

	return str2int(&s, &n) == 0 && n <= 65535 ? (int)n : -1;
}

/* The message at hand is such an answer. */
static int is_answer;

void kam_quiet_forget(void)
{
	is_answer = 0;
}

int kam_quiet_in(cr_span_t text)
{
	const cr_env_t *env = kam_env();
	cr_quiet_t q;

	is_answer = kam_config.quiet != KAM_QUIET_OFF && env != NULL
			&& cr_quiet_find(&q, env, text) && env->work->msg.status != 0;
	return is_answer;
}

/* It comes from where the INVITE would have gone. Only this message does: what a process
 * receives into is the same for the next one. */
static void set_source(struct sip_msg *msg)
{
	const cr_env_t *env = kam_env();
	struct ip_addr *ip;
	cr_quiet_t q;
	str address;
	int port, proto;

	if(env == NULL || !cr_quiet_find(&q, env, (cr_span_t){msg->buf, msg->len}))
		return;
	address = kam_str(q.address);
	ip = str2ip(&address);
	if(ip == NULL)
		ip = str2ip6(&address);
	port = to_number(q.port);
	proto = to_number(q.proto);
	if(ip == NULL || port < 0 || proto < 0)
		return;
	msg->rcv.src_ip = *ip;
	msg->rcv.src_port = (unsigned short)port;
	msg->rcv.proto = (char)proto;
	init_su(&msg->rcv.src_su, ip, (unsigned short)port);
}

static int before_reply(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)flags;
	(void)param;
	if(is_answer)
		set_source(msg);
	return 1;
}

/* ---- requests of our own ----------------------------------------------------------- */

/* The route set that the INVITE had left, zero-terminated. @return 0 or -1 */
static int put_routes(char *mem, size_t max, const cr_sip_t *m)
{
	cr_writer_t w = cr_writer(mem, max);
	cr_value_iter_t it = {0};
	cr_span_t value;

	while(cr_sip_next(m, CR_ROUTE, &it, &value)) {
		cr_put_str(&w, w.len > 0 ? "," : "");
		cr_put_span(&w, value);
	}
	cr_put_u8(&w, 0);
	return cr_writer_end(&w) == CR_OK ? 0 : -1;
}

static str party(const cr_sip_t *m, cr_hdr_t id, str *tag)
{
	cr_span_t value = cr_sip_field(m, id)->value;
	cr_addr_t a;

	*tag = kam_str(cr_tag_of(value));
	return kam_str(
			cr_addr_parse(&a, value) == CR_OK ? a.uri : (cr_span_t){"", 0});
}

/* A request within the dialog of the far end and the client.
 * @param routes  a list as in Route, zero-terminated; may be empty
 * @param hop     where it goes */
static int send_within(dlg_t *dlg, char *method, str *headers, char *routes,
		cr_span_t hop, str *socket, transaction_cb done, void *param)
{
	str name = {method, (int)strlen(method)};
	uac_req_t req;
	int ret;

	if(routes[0] != '\0'
			&& parse_rr_body(routes, (int)strlen(routes), &dlg->route_set) < 0)
		return -1;
	dlg->state = DLG_CONFIRMED;
	dlg->dst_uri = kam_str(hop);
	set_uac_req(&req, &name, headers, NULL, dlg,
			done != NULL ? TMCB_LOCAL_COMPLETED : 0, done, param);
	req.ssock = socket;
	ret = kam_tm.t_request_within(&req);
	if(dlg->route_set != NULL)
		free_rr(&dlg->route_set);
	return ret < 0 ? -1 : 0;
}

/* ---- the far end has no such call any more ----------------------------------------- */

/* The answer to the UPDATE tells: 481, or none at all (RFC 3261 section 12.2.1.2). The client
 * has been told before that the call goes on. */
static void end_call(const cr_sip_t *m, char *routes)
{
	char uri[URI_MAX];
	str own = own_uri(uri, sizeof(uri));
	cr_value_iter_t it = {0};
	cr_span_t value;
	dlg_t dlg = {0};
	cr_addr_t a;

	if(!cr_sip_next(m, CR_CONTACT, &it, &value)
			|| cr_addr_parse(&a, value) != CR_OK)
		return;
	dlg.id.call_id = kam_str(m->call_id);
	dlg.loc_uri = party(m, CR_TO, &dlg.id.loc_tag);
	dlg.rem_uri = party(m, CR_FROM, &dlg.id.rem_tag);
	dlg.rem_target = kam_str(a.uri);
	dlg.loc_seq = (dlg_seq_t){CSEQ_LAST, 1};
	/* The script does with it what it does with a BYE of the far end. */
	if(send_within(&dlg, "BYE", NULL, routes, kam_span(own), NULL, NULL, NULL)
			< 0)
		LM_ERR("the client does not hear that its call is over\n");
}

static void on_update(struct cell *t, int type, struct tmcb_params *ps)
{
	static cr_sip_t m;
	const struct retr_buf *sent = &t->uac[0].request;
	cr_span_t text = {sent->buffer, (size_t)sent->buffer_len};
	char *routes = *ps->param;
	int over = ps->code == 481 || ps->code == 408;

	(void)type;
	if((ps->code < 200 || ps->code >= 300) && sent->buffer != NULL
			&& cr_sip_parse(&m, text) == CR_OK) {
		kam_count(KAM_UPDATES_REFUSED);
		LM_NOTICE("%d to the UPDATE after a quiet resume, Call-ID %.*s: %s\n",
				ps->code, (int)m.call_id.len, m.call_id.s,
				over ? "the call is over"
					 : "requests of the far end do not find the client");
		if(over)
			end_call(&m, routes);
	}
	shm_free(routes);
}

/* Our own Routes of a request of the client, as the far end has them: the other way round.
 * @return in shared memory, or NULL */
static char *keep_own_routes(const cr_sip_t *m)
{
	cr_span_t own[OWN_ROUTES_MAX], value;
	char text[ROUTES_MAX], *kept;
	cr_writer_t w = cr_writer(text, sizeof(text));
	cr_value_iter_t it = {0};
	cr_addr_t a;
	int n = 0;

	while(n < OWN_ROUTES_MAX && cr_sip_next(m, CR_ROUTE, &it, &value)) {
		if(cr_addr_parse(&a, value) == CR_OK && kam_is_own(a.uri))
			own[n++] = value;
	}
	while(n-- > 0) {
		cr_put_span(&w, own[n]);
		cr_put_str(&w, n > 0 ? "," : "");
	}
	kept = cr_writer_end(&w) == CR_OK ? shm_malloc(w.len + 1) : NULL;
	if(kept == NULL)
		return NULL;
	memcpy(kept, text, w.len);
	kept[w.len] = '\0';
	return kept;
}

/* ---- the far end learns where the client is ---------------------------------------- */

static void put_hop(cr_writer_t *w, const cr_quiet_t *q)
{
	str proto = STR_NULL;

	cr_put_str(w, "sip:");
	cr_put_host(w, q->address);
	cr_put_str(w, ":");
	cr_put_span(w, q->port);
	if(get_valid_proto_string((unsigned)to_number(q->proto), 1, 0, &proto)
			== 0) {
		cr_put_str(w, ";transport=");
		cr_put_span(w, kam_span(proto));
	}
}

/* Its Contact is that of the INVITE, and so is its CSeq. */
static void put_headers(cr_writer_t *w, const cr_quiet_t *q, const cr_sip_t *m)
{
	cr_put_str(w, "Contact: ");
	cr_put_span(w, cr_sip_field(m, CR_CONTACT)->value);
	cr_put_str(w, "\r\n");
	if(q->timer.len == 0)
		return;
	cr_put_str(w, "Supported: timer\r\nSession-Expires: ");
	cr_put_span(w, q->timer);
	cr_put_str(w, "\r\n");
}

/* @param own  of keep_own_routes() */
static int send_update(const cr_quiet_t *q, const cr_sip_t *m, char *own)
{
	static char routes[ROUTES_MAX], headers[ROUTES_MAX];
	char hop[URI_MAX];
	cr_writer_t next = cr_writer(hop, sizeof(hop));
	cr_writer_t more = cr_writer(headers, sizeof(headers));
	str h, socket = kam_str(q->socket);
	dlg_t dlg = {0};

	put_hop(&next, q);
	put_headers(&more, q, m);
	if(cr_writer_end(&next) != CR_OK || cr_writer_end(&more) != CR_OK
			|| put_routes(routes, sizeof(routes), m) < 0)
		return -1;
	h = kam_str(cr_written(&more));
	dlg.id.call_id = kam_str(m->call_id);
	dlg.loc_uri = party(m, CR_FROM, &dlg.id.loc_tag);
	dlg.rem_uri = party(m, CR_TO, &dlg.id.rem_tag);
	dlg.rem_target = kam_str(m->ruri);
	/* tm sends the next one. */
	dlg.loc_seq = (dlg_seq_t){m->cseq - 1, 1};
	return send_within(&dlg, "UPDATE", &h, routes, cr_written(&next), &socket,
			on_update, own);
}

/* Parse a message of a transaction. @return 1 when it is one */
static int read_text(cr_sip_t *m, const char *text, int len)
{
	return text != NULL
			&& cr_sip_parse(m, (cr_span_t){text, (size_t)len}) == CR_OK;
}

void kam_quiet_answered(struct cell *t)
{
	static cr_sip_t m;
	const cr_env_t *env = kam_env();
	const struct retr_buf *sent = &t->uac[0].request;
	char *own = NULL;
	cr_quiet_t q;

	kam_count(KAM_RESUMES_QUIET);
	if(kam_config.quiet != KAM_QUIET_UPDATE)
		return;
	if(read_text(&m, t->uas.request->buf, (int)t->uas.request->len))
		own = keep_own_routes(&m);
	if(env != NULL && own != NULL
			&& read_text(&m, sent->buffer, sent->buffer_len)
			&& cr_quiet_find(&q, env, m.text) && send_update(&q, &m, own) == 0)
		return;
	kam_count(KAM_UPDATES_REFUSED);
	LM_ERR("no UPDATE after a quiet resume\n");
	if(own != NULL)
		shm_free(own);
}

/* ---- start ------------------------------------------------------------------------- */

int kam_quiet_init(void)
{
	if(kam_config.quiet < 0 || kam_config.quiet >= KAM_QUIET_N) {
		LM_ERR("quiet has to be 0, 1 or 2\n");
		return -1;
	}
	if(kam_config.quiet != KAM_QUIET_OFF && own_socket() == NULL) {
		LM_ERR("quiet needs a socket of UDP: listen=udp:127.0.0.1:5066, say\n");
		return -1;
	}
	return kam_config.quiet == KAM_QUIET_OFF
			? 0
			: register_script_cb(
					before_reply, PRE_SCRIPT_CB | ONREPLY_CB, NULL);
}
