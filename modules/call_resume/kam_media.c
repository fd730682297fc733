/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a session description may send media. A media server sends to whatever
 * address it is told, from within: to services of its own machine too, and bytes that
 * the sender of the description has chosen.
 */
#include "kam_media.h"
#include "kam_message.h"
#include "kam_node.h"

#include "../../core/data_lump.h"
#include "../../core/dprint.h"
#include "../../core/kemi.h"
#include "../../core/msg_translator.h"
#include "../../core/mem/mem.h"
#include "../../core/parser/parse_content.h"
#include "../../core/parser/parse_cseq.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_to.h"
#include "../../core/parser/parse_uri.h"

#include "core/body.h"
#include "core/media.h"
#include "core/net.h"
#include "core/sdp.h"

#define NETS_MAX 32

typedef struct nets
{
	const char *name;
	cr_net_t net[NETS_MAX];
	int n;
} nets_t;

static nets_t denied = {.name = "denied_media"};
static nets_t trunk = {.name = "trunk_address"};
static unsigned int trunk_port; /* of trunk_uri; 0: any */

static int add_net(nets_t *to, cr_span_t text)
{
	if(to->n == NETS_MAX) {
		LM_ERR("%s: more than %d networks\n", to->name, NETS_MAX);
		return -1;
	}
	if(cr_net_parse(&to->net[to->n], text) != CR_OK) {
		LM_ERR("%s: [%.*s] is no network, such as 10.0.0.0/8\n", to->name,
				(int)text.len, text.s);
		return -1;
	}
	to->n++;
	return 0;
}

static int add_nets(nets_t *to, const char *p)
{
	for(;;) {
		cr_span_t one;

		p += strspn(p, ", \t");
		one = (cr_span_t){p, strcspn(p, ", \t")};
		if(one.len == 0)
			return 0;
		if(add_net(to, one) < 0)
			return -1;
		p += one.len;
	}
}

int kam_media_param(modparam_t type, void *val)
{
	(void)type;
	return add_nets(&denied, (const char *)val);
}

int kam_trunk_param(modparam_t type, void *val)
{
	(void)type;
	return add_nets(&trunk, (const char *)val);
}

int kam_trunk_uri_param(modparam_t type, void *val)
{
	struct sip_uri uri;

	(void)type;
	if(parse_uri((char *)val, (int)strlen((const char *)val), &uri) < 0) {
		LM_ERR("trunk_uri: [%s] is no SIP URI\n", (const char *)val);
		return -1;
	}
	trunk_port = uri.port_no != 0 ? uri.port_no : SIP_PORT;
	return 0;
}

int kam_media_is_trunk(const struct ip_addr *ip)
{
	uint8_t address[CR_ADDRESS_LEN];

	cr_address_of(address, ip->u.addr, ip->len);
	return cr_nets_have(trunk.net, trunk.n, address);
}

static int is_denied(const struct ip_addr *ip)
{
	uint8_t address[CR_ADDRESS_LEN];

	cr_address_of(address, ip->u.addr, ip->len);
	return cr_nets_have(denied.net, denied.n, address);
}

int kam_media_is_denied(const struct ip_addr *ip)
{
	return is_denied(ip) && !kam_media_is_trunk(ip);
}

int kam_media_is_denied_at(const struct ip_addr *ip, unsigned int port)
{
	return is_denied(ip)
			&& (!kam_media_is_trunk(ip)
					|| (trunk_port != 0 && port != trunk_port));
}

/* @return 0 or -1 */
static int replace(struct sip_msg *msg, cr_span_t old, cr_span_t instead)
{
	struct lump *l;
	char *copy;

	if(old.len == 0)
		return 0;
	l = del_lump(msg, (int)(old.s - msg->buf), (int)old.len, 0);
	if(l == NULL)
		return -1;
	if(instead.len == 0)
		return 0;
	copy = pkg_malloc(instead.len);
	if(copy == NULL) {
		PKG_MEM_ERROR;
		return -1;
	}
	memcpy(copy, instead.s, instead.len);
	if(insert_new_lump_after(l, copy, (int)instead.len, 0) == NULL) {
		pkg_free(copy);
		return -1;
	}
	return 0;
}

/* ---- the description in a message --------------------------------------------- */

typedef struct found
{
	cr_body_t kind;
	cr_span_t type; /* the value of Content-Type */
	cr_span_t body;
	cr_span_t sdp;
} found_t;

/* Offers and answers are in these, and in what accepts them (RFC 3264, RFC 3311, RFC
 * 3262). Whoever reads them in others does so by their type. */
static int may_describe(struct sip_msg *msg)
{
	int method;

	if(msg->first_line.type == SIP_REQUEST) {
		method = msg->first_line.u.request.method_value;
	} else {
		if(msg->REPLY_STATUS >= 300 || parse_headers(msg, HDR_CSEQ_F, 0) < 0
				|| msg->cseq == NULL)
			return 0;
		method = get_cseq(msg)->method_id;
	}
	return (method
				   & (METHOD_INVITE | METHOD_UPDATE | METHOD_PRACK
						   | METHOD_ACK))
			!= 0;
}

/* @return how many Content-Type fields there are, or -1 */
static int find_type(cr_span_t *type, struct sip_msg *msg)
{
	int n = 0;

	if(parse_headers(msg, HDR_EOH_F, 0) < 0)
		return -1;
	for(struct hdr_field *h = msg->headers; h != NULL; h = h->next) {
		if(h->type != HDR_CONTENTTYPE_T)
			continue;
		*type = cr_span_trim(kam_span(h->body));
		n++;
	}
	return n;
}

/* A body of no length is all that is behind the head (RFC 3261 section 18.3). To
 * Kamailio's modules it is none, so it gets a length. @return 0 or -1 */
static int give_length(struct sip_msg *msg)
{
	const char *body = get_body(msg), *end = msg->buf + msg->len;
	char text[48];
	cr_writer_t w = cr_writer(text, sizeof(text));

	if(body == NULL || body >= end || msg->content_length != NULL
			|| !may_describe(msg))
		return 0;
	cr_put_str(&w, "Content-Length: ");
	cr_put_uint(&w, (uint32_t)(end - body));
	cr_put_str(&w, "\r\n");
	if(cr_writer_end(&w) != CR_OK
			|| kam_add_header(msg, (cr_span_t){text, w.len}) < 0)
		return -1;
	return sip_msg_apply_changes(msg) == 1 ? 0 : -1;
}

/* Kamailio has a line about what it does not take for one type: none, or several. */
static int is_type_odd(cr_span_t type)
{
	return type.len == 0 || memchr(type.s, ',', type.len) != NULL;
}

/* What cannot be read goes no further: each module that asked for it would have a line about it, and so
 * has Kamailio's reader. @return -1, or as parse_content_type_hdr() */
static int read_type(struct sip_msg *msg)
{
	int is_quiet = get_cfg_debug_level() <= L_CRIT, type;

	if(!is_quiet)
		set_local_debug_level(L_CRIT);
	type = parse_content_type_hdr(msg);
	if(!is_quiet)
		reset_local_debug_level();
	return type;
}

/* One of two types counts for one reader, and the other for another; so does what the
 * modules of Kamailio do not take for the type that we do. */
static void find_sdp(found_t *f, struct sip_msg *msg)
{
	const char *body = get_body(msg), *end = msg->buf + msg->len;
	int n, type, sdp = (TYPE_APPLICATION << 16) | SUBTYPE_SDP;

	*f = (found_t){.kind = kam_is_read(msg) ? CR_BODY_NONE : CR_BODY_HIDDEN};
	if(body == NULL || body >= end || msg->content_length == NULL)
		return;
	f->body = f->sdp = (cr_span_t){body, (size_t)(end - body)};
	n = find_type(&f->type, msg);
	f->kind = n < 0 || n > 1 ? CR_BODY_HIDDEN : CR_BODY_SDP;
	if(f->kind == CR_BODY_HIDDEN || !may_describe(msg))
		return;
	f->kind = cr_body_read(&f->sdp, f->type, f->body);
	if(f->kind == CR_BODY_PART || n != 1)
		return;
	type = is_type_odd(f->type) ? -1 : read_type(msg);
	if(type < 0 || (f->kind == CR_BODY_SDP && type != sdp))
		f->kind = CR_BODY_HIDDEN;
}

/* The description goes on alone, and some of its lines do not. @return 1, 2 or -1 */
static int apply(
		struct sip_msg *msg, const found_t *f, const cr_sdp_edits_t *edits)
{
	const char *end = f->sdp.s + f->sdp.len;
	int err = 0;

	if(f->kind == CR_BODY_PART) {
		size_t before = (size_t)(f->sdp.s - f->body.s);

		err |= replace(msg, f->type, CR_SPAN("application/sdp"));
		err |= replace(msg, cr_span_sub(f->body, 0, before), (cr_span_t){0});
		err |= replace(msg,
				cr_span_sub(f->body, (size_t)(end - f->body.s), f->body.len),
				(cr_span_t){0});
	}
	for(int i = 0; i < edits->n && err == 0; i++)
		err |= replace(msg, edits->line[i], edits->instead[i]);
	if(err != 0)
		return -1;
	return f->kind == CR_BODY_PART || edits->n > 0 ? 2 : 1;
}

/* A page may come from the trunk's address: with the web server and a PBX on one machine, every page does. */
static int is_of_trunk(struct sip_msg *msg)
{
	cr_span_t passed_on = kam_node_from(msg);

	if(passed_on.len > 0)
		return cr_span_eq(passed_on, CR_SPAN("trunk"));
	return kam_media_is_trunk(&msg->rcv.src_ip) && msg->rcv.proto != PROTO_WS
			&& msg->rcv.proto != PROTO_WSS;
}

/* As cr_sdp_check(). Whoever may send bytes of his choice to the trunk, with the address of the media server,
 * which is the gateway's own on one machine, speaks SIP there as the gateway does. */
static int check(cr_sdp_edits_t *edits, struct sip_msg *msg, cr_span_t sdp,
		const uint8_t *own)
{
	return cr_sdp_check(edits, sdp,
			&(cr_sdp_denied_t){.net = denied.net,
					.n = denied.n,
					.ice_only = trunk.net,
					.n_ice_only = is_of_trunk(msg) ? 0 : trunk.n,
					.own = own});
}

/* Media that go to where the message has come from go to nobody else. */
static int names_sender_only(struct sip_msg *msg, cr_span_t body)
{
	const struct ip_addr *from = &msg->rcv.src_ip;
	uint8_t own[CR_ADDRESS_LEN];
	cr_sdp_edits_t edits;

	cr_address_of(own, from->u.addr, from->len);
	return check(&edits, msg, body, own) == CR_OK;
}

int ki_resume_check_sdp(struct sip_msg *msg)
{
	cr_sdp_edits_t edits;
	found_t f;

	if(give_length(msg) < 0)
		return -1;
	find_sdp(&f, msg);
	if(f.kind == CR_BODY_NONE)
		return 1;
	if(f.kind == CR_BODY_HIDDEN)
		return -3;
	switch(check(&edits, msg, f.sdp, NULL)) {
		case CR_OK:
			return apply(msg, &f, &edits);
		case CR_EUNSUPPORTED:
			/* For a sender that may name it, nothing is taken out. */
			edits.n = 0;
			if(apply(msg, &f, &edits) < 0)
				return -1;
			return names_sender_only(msg, f.sdp) ? -4 : -2;
		default:
			return -1;
	}
}

int ki_resume_check_source(struct sip_msg *msg)
{
	return kam_media_is_denied(&msg->rcv.src_ip) ? -1 : 1;
}

/* @return 1 when the body is a description */
static int read_body(cr_sdp_edits_t *edits, struct sip_msg *msg)
{
	const char *body = get_body(msg), *end = msg->buf + msg->len;

	return body != NULL && body < end
			&& cr_sdp_check(edits, (cr_span_t){body, (size_t)(end - body)},
					   &(cr_sdp_denied_t){0})
			== CR_OK;
}

int ki_resume_has_ice(struct sip_msg *msg)
{
	cr_sdp_edits_t edits;

	return read_body(&edits, msg) && edits.is_ice ? 1 : -1;
}

int ki_resume_suits_browser(struct sip_msg *msg)
{
	cr_sdp_edits_t edits;

	return read_body(&edits, msg) && edits.is_foreign ? -1 : 1;
}

/* ---- what rtpengine says of the media ---------------------------------------------- */

typedef int (*query_f)(struct sip_msg *, str *, str *);

/* rtpengine_query_v() as KEMI has it: no script is needed to call it so. */
static query_f find_query(void)
{
	static str module = str_init("rtpengine"),
			   name = str_init("rtpengine_query_v");
	sr_kemi_module_t *all = sr_kemi_modules_get();

	for(int i = 1; i < sr_kemi_modules_size_get(); i++) {
		sr_kemi_t *query;

		if(!STR_EQ(all[i].mname, module))
			continue;
		query = sr_kemi_lookup(&module, i, &name);
		return query != NULL ? (query_f)query->func : NULL;
	}
	return NULL;
}

/* Where rtpengine's answer is kept until it is asked again, and the message that it was asked
 * for. */
static str answer_pv = str_init("$var(call_resume)");
static struct
{
	unsigned id;
	int pid; /* 0: there is none */
} asked;

static int get_answer(struct sip_msg *msg, str *answer)
{
	pv_spec_t *spec = pv_cache_get(&answer_pv);
	pv_value_t value;

	if(spec == NULL || pv_get_spec_value(msg, spec, &value) != 0
			|| !(value.flags & PV_VAL_STR))
		return 0;
	*answer = value.rs;
	return 1;
}

int kam_media_query(struct sip_msg *msg, str *answer)
{
	static str format = str_init("json");
	query_f query = find_query();
	int ret;

	asked.pid = 0;
	if(query == NULL || pv_cache_get(&answer_pv) == NULL)
		return 0;
	/* What it knows nothing of is not to be logged as an error. */
	set_local_debug_level(L_CRIT);
	ret = query(msg, &format, &answer_pv);
	reset_local_debug_level();
	if(ret < 1 || !get_answer(msg, answer))
		return 0;
	asked.id = msg->id;
	asked.pid = msg->pid;
	return 1;
}

cr_span_t kam_media_answer(struct sip_msg *msg)
{
	str answer;

	return asked.id == msg->id && asked.pid == msg->pid
					&& get_answer(msg, &answer)
			? kam_span(answer)
			: CR_SPAN("");
}

static struct
{
	unsigned id; /* of the message that it was read for */
	int pid;
	size_t len[KAM_SIDES];
	char sdp[KAM_SIDES][CR_MEDIA_SDP_MAX];
} described;

cr_span_t kam_media_described(const struct sip_msg *msg, kam_side_t side)
{
	int same = described.id == msg->id && described.pid == msg->pid;

	return (cr_span_t){described.sdp[side], same ? described.len[side] : 0};
}

/* @return 0, or -1: one of them is not in the call */
static int describe(
		kam_side_t side, const json_t *call, cr_span_t tag, cr_span_t other)
{
	int len = cr_media_describe(
			described.sdp[side], CR_MEDIA_SDP_MAX, call, tag, other);

	described.len[side] = len > 0 ? (size_t)len : 0;
	return len > 0 || len == CR_EUNSUPPORTED || len == CR_ETOOBIG ? 0 : -1;
}

int ki_resume_read_media(struct sip_msg *msg, str *answer)
{
	cr_span_t from, to;
	json_t *call;
	int err;

	described.id = msg->id;
	described.pid = msg->pid;
	memset(described.len, 0, sizeof(described.len));
	if(parse_headers(msg, HDR_FROM_F | HDR_TO_F, 0) < 0 || msg->to == NULL
			|| parse_from_header(msg) < 0
			|| cr_json_object(&call, kam_span(*answer)) != CR_OK)
		return -1;
	from = kam_span(get_from(msg)->tag_value);
	to = kam_span(get_to(msg)->tag_value);
	if(cr_media_is_of_others(call, from, to)) {
		json_decref(call);
		return -2;
	}
	err = describe(KAM_FROM, call, from, to);
	if(err == 0)
		err = describe(KAM_TO, call, to, from);
	json_decref(call);
	return err == 0 ? 1 : -1;
}
