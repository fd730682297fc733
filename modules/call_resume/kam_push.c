/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resume_push(): a NOTIFY with the full state to a client that has just answered.
 */
#include "kam_push.h"
#include "kam_env.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/parser/parse_cseq.h"
#include "../../core/socket_info.h"

#include "core/push.h"
#include "core/screen.h"

#define HEADERS_MAX (CR_JWE_MAX + 512)

static int push_failed(const char *why)
{
	LM_ERR("no state pushed: %s\n", why);
	kam_count(KAM_SEALS_FAILED);
	return -1;
}

static str text_of(const cr_writer_t *w)
{
	return kam_str(cr_written(w));
}

/* sip:address:port;transport=... */
static void put_hop(cr_writer_t *w, cr_span_t host, unsigned port, int proto)
{
	str name = STR_NULL;

	cr_put_str(w, "sip:");
	cr_put_host(w, host);
	cr_put_str(w, ":");
	cr_put_uint(w, port);
	if(proto == PROTO_UDP || get_valid_proto_string(proto, 1, 0, &name) < 0)
		return;
	cr_put_str(w, ";transport=");
	cr_put_span(w, kam_span(name));
}

/* The connection that the 2xx came over, whatever the Contact says. */
static void put_next_hop(cr_writer_t *w, const struct receive_info *rcv)
{
	cr_span_t host = cr_span_str(ip_addr2strz((struct ip_addr *)&rcv->src_ip));

	put_hop(w, host, rcv->src_port, rcv->proto);
}

/* The subscription is one without a SUBSCRIBE, and of this one NOTIFY: it ends with it, so
 * that neither side has anything to keep, refresh or wait for (RFC 6665 section 4.1.3), and
 * with noresource nobody tries to subscribe. NOTIFY needs a Contact (RFC 3265 section 7.1). */
static void put_headers(cr_writer_t *w, const struct socket_info *si, int proto,
		cr_span_t state)
{
	cr_put_str(w, "Contact: <");
	put_hop(w,
			kam_span(si->useinfo.name.len > 0 ? si->useinfo.name
											  : si->address_str),
			si->useinfo.port_no != 0 ? si->useinfo.port_no : si->port_no,
			proto);
	cr_put_str(w, ">\r\nEvent: " CR_EVENT "\r\n");
	cr_put_str(w, "Subscription-State: terminated;reason=noresource\r\n");
	cr_put_str(w, CR_HDR_STATE ": ");
	cr_screen_mark(w, kam_env());
	cr_put_span(w, state);
	cr_put_str(w, "\r\n");
}

int kam_notify(cr_span_t contact, cr_span_t address, cr_span_t hop,
		struct socket_info *si, int proto, cr_span_t state)
{
	static char mem[HEADERS_MAX];
	char party_mem[CR_TARGET_MAX];
	cr_writer_t party = cr_writer(party_mem, sizeof(party_mem));
	cr_writer_t more = cr_writer(mem, sizeof(mem));
	str method = str_init("NOTIFY"), r = kam_str(contact), n = kam_str(hop);
	str a, h;
	uac_req_t req;

	cr_put_str(&party, "<");
	cr_put_span(&party, address);
	cr_put_str(&party, ">");
	put_headers(&more, si, proto, state);
	if(cr_writer_end(&party) != CR_OK || cr_writer_end(&more) != CR_OK
			|| contact.len == 0)
		return CR_ETOOBIG;
	a = text_of(&party);
	h = text_of(&more);
	set_uac_req(&req, &method, &h, NULL, NULL, 0, NULL, NULL);
	req.ssock = &si->sock_str;
	return kam_tm.t_request(&req, &r, &a, &a, &n) < 0 ? CR_EINTERNAL : CR_OK;
}

static int send_notify(
		const cr_push_t *p, const struct receive_info *rcv, cr_span_t jwe)
{
	char uri[CR_TARGET_MAX + 1], hop[128];
	cr_writer_t target = cr_writer(uri, sizeof(uri));
	cr_writer_t next = cr_writer(hop, sizeof(hop));

	cr_push_target(&target, p);
	put_next_hop(&next, rcv);
	if(cr_writer_end(&target) != CR_OK || cr_writer_end(&next) != CR_OK)
		return CR_ETOOBIG;
	return kam_notify(cr_written(&target), cr_push_address(p),
			cr_written(&next), rcv->bind_address, rcv->proto, jwe);
}

/* The transaction that a first 2xx belongs to; NULL when there is none, or when a final
 * reply has been sent on before: then this one is a copy. */
static struct cell *find_transaction(struct sip_msg *msg, int *branch)
{
	struct cell *t;

	if(kam_tm.t_check(msg, branch) != 1)
		return NULL;
	t = kam_tm.t_gett();
	if(t == NULL || t == T_UNDEFINED || t->uas.request == NULL
			|| t->uas.status >= 200 || *branch < 0
			|| *branch >= t->nr_of_outgoings
			|| t->uac[*branch].request.buffer == NULL)
		return NULL;
	return t;
}

static int is_answer(struct sip_msg *msg)
{
	return msg->first_line.u.reply.statuscode >= 200
			&& msg->first_line.u.reply.statuscode < 300
			&& parse_headers(msg, HDR_CSEQ_F, 0) == 0 && msg->cseq != NULL
			&& get_cseq(msg)->method_id == METHOD_INVITE;
}

int ki_resume_push(struct sip_msg *msg)
{
	static cr_push_t p;
	const cr_env_t *env = kam_env();
	struct retr_buf *sent;
	struct cell *t;
	int branch = -1, n;

	if(msg->first_line.type != SIP_REPLY)
		return push_failed("resume_push() is for replies");
	if(env == NULL || !is_answer(msg)
			|| (t = find_transaction(msg, &branch)) == NULL)
		return -1;
	sent = &t->uac[branch].request;
	/* A datagram may say anything of where it comes from, and the NOTIFY goes there. */
	if(msg->rcv.proto == PROTO_UDP
			&& su_cmp(&sent->dst.to, &msg->rcv.src_su) != 1)
		return -1;
	n = cr_push_parse(&p, (cr_span_t){msg->buf, msg->len},
			(cr_span_t){sent->buffer, sent->buffer_len},
			(cr_span_t){t->uas.request->buf, t->uas.request->len});
	if(n == CR_OK)
		n = cr_push_seal(env, &p);
	/* Not a client's, or not known well enough: nothing is wrong. */
	if(n == CR_EMISSING || n == CR_EUNSUPPORTED)
		return -1;
	if(n > 0)
		n = send_notify(&p, &msg->rcv, (cr_span_t){env->work->jwe, (size_t)n});
	if(n != CR_OK)
		return push_failed(cr_strerror(n));
	kam_count(KAM_STATES_PUSHED);
	return 1;
}
