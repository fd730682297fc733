/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "label.h"

#include "contact.h"
#include "text.h"

#define LABEL_VERSION 1
#define MS 1000

static cr_side_t other(cr_side_t side)
{
	return side == CR_SIDE_CALLER ? CR_SIDE_CALLEE : CR_SIDE_CALLER;
}

static const char *ref_param(cr_side_t side)
{
	return side == CR_SIDE_CALLER ? CR_REF_PARAM_CALLER : CR_REF_PARAM_CALLEE;
}

/* ---- from an answer --------------------------------------------------------------- */

static int read_party(cr_party_t *p, const cr_sip_t *m, cr_hdr_t id)
{
	cr_addr_t a;

	if(cr_addr_parse(&a, cr_sip_field(m, id)->value) != CR_OK)
		return CR_EMALFORMED;
	p->uri = a.uri;
	p->tag = cr_sip_tag(m, id);
	p->cseq = -1;
	return cr_text_is_uri(p->uri) && cr_text_is_token(p->tag) ? CR_OK
															  : CR_EMALFORMED;
}

static void turn_round(cr_label_t *label)
{
	for(int i = 0, k = label->n_routes - 1; i < k; i++, k--) {
		cr_span_t swap = label->routes[i];

		label->routes[i] = label->routes[k];
		label->routes[k] = swap;
	}
}

static int add_route(cr_label_t *label, cr_span_t value)
{
	cr_addr_t a;

	if(label->n_routes == CR_STATE_ROUTES_MAX)
		return CR_ETOOBIG;
	if(cr_addr_parse(&a, value) != CR_OK || !cr_text_is_uri(a.uri))
		return CR_EMALFORMED;
	label->routes[label->n_routes++] = a.uri;
	return CR_OK;
}

static int read_routes(cr_label_t *label, const cr_sip_t *m, cr_hdr_t id)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	int err = CR_OK;

	label->n_routes = 0;
	while(err == CR_OK && cr_sip_next(m, id, &it, &value))
		err = add_route(label, value);
	return err;
}

static int is_ours(cr_span_t route)
{
	return cr_param_find(route, CR_REF_PARAM_CALLER, NULL, NULL)
			|| cr_param_find(route, CR_REF_PARAM_CALLEE, NULL, NULL);
}

/* A node of a cluster tells a far end none of ours, so none comes back; see contact.h. */
static int add_hidden(cr_label_t *label, const cr_sip_t *sent)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	int err = CR_OK;

	for(int i = 0; i < label->n_routes; i++) {
		if(is_ours(label->routes[i]))
			return CR_OK;
	}
	while(err == CR_OK && cr_sip_next(sent, CR_RECORD_ROUTE, &it, &value)) {
		if(cr_contact_is_hidden(sent, value))
			err = add_route(label, value);
	}
	return err;
}

/* Which side sends a request within a dialog: the tag of the caller stands in our own Route
 * (rr's parameter ftag), beside the session references.
 * @return CR_EMISSING: not a client */
static int sender_of(cr_side_t *side, const cr_label_t *label, cr_span_t tag)
{
	cr_span_t ftag;

	for(int i = 0; i < label->n_routes; i++) {
		cr_span_t own = label->routes[i];

		if(!is_ours(own))
			continue;
		*side = cr_param_find(own, "ftag", &ftag, NULL)
						&& !cr_span_eq(ftag, tag)
				? CR_SIDE_CALLEE
				: CR_SIDE_CALLER;
		return cr_param_find(own, ref_param(*side), NULL, NULL) ? CR_OK
																: CR_EMISSING;
	}
	return CR_EMISSING;
}

/* The route set, in the order of the called side. */
static int read_dialog(cr_label_t *label, cr_side_t *sender,
		const cr_sip_t *reply, const cr_sip_t *sent, const cr_sip_t *received)
{
	cr_span_t to = cr_sip_tag(received, CR_TO);
	int err;

	*sender = CR_SIDE_CALLER;
	if(to.len == 0) {
		err = read_routes(label, reply, CR_RECORD_ROUTE);
		return err == CR_OK ? add_hidden(label, sent) : err;
	}
	err = read_routes(label, received, CR_ROUTE);
	if(err == CR_OK)
		err = sender_of(sender, label, cr_sip_tag(received, CR_FROM));
	if(err == CR_OK && *sender == CR_SIDE_CALLER)
		turn_round(label);
	return err;
}

int cr_label_read(cr_label_t *label, const cr_sip_t *reply,
		const cr_sip_t *sent, const cr_sip_t *received)
{
	cr_party_t *one, *two;
	cr_side_t sender;
	int err = read_dialog(label, &sender, reply, sent, received);

	if(err != CR_OK)
		return err;
	one = &label->party[sender];
	two = &label->party[other(sender)];
	if(read_party(one, reply, CR_FROM) != CR_OK
			|| read_party(two, reply, CR_TO) != CR_OK)
		return CR_EMALFORMED;
	one->cseq = received->cseq;
	one->target = cr_sip_contact(sent);
	two->target = cr_sip_contact(reply);
	/* Optional within a dialog (RFC 3261 section 12.2.1.2): then it stays. */
	if(two->target.len == 0)
		two->target = received->ruri;
	return cr_text_is_uri(one->target) && cr_text_is_uri(two->target)
			? CR_OK
			: CR_EMALFORMED;
}

/* ---- sealed ------------------------------------------------------------------------ */

static void put_span16(cr_writer_t *w, cr_span_t s)
{
	cr_put_be16(w, (uint16_t)s.len);
	cr_put_span(w, s);
	if(s.len > UINT16_MAX)
		w->bad = 1;
}

static cr_span_t get_span16(cr_reader_t *r)
{
	return cr_get_bytes(r, cr_get_be16(r));
}

static void put_party(cr_writer_t *w, const cr_party_t *p)
{
	cr_put_be32(w, p->cseq < 0 ? UINT32_MAX : (uint32_t)p->cseq);
	cr_put_span8(w, p->tag);
	cr_put_span8(w, p->uri);
	put_span16(w, p->target);
}

int cr_label_seal(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t call_id, const cr_label_t *label)
{
	const cr_key_t *key = cr_ring_sealing(env->ring, cr_now_s(env));
	uint8_t plain[CR_BOX_PLAIN_MAX];
	cr_writer_t w = cr_writer(plain, sizeof(plain));
	int err;

	if(key == NULL)
		return CR_EKEY;
	cr_put_u8(&w, LABEL_VERSION);
	cr_put_be32(&w, (uint32_t)cr_now_s(env));
	put_party(&w, &label->party[CR_SIDE_CALLER]);
	put_party(&w, &label->party[CR_SIDE_CALLEE]);
	cr_put_u8(&w, (uint8_t)label->n_routes);
	for(int i = 0; i < label->n_routes; i++)
		put_span16(&w, label->routes[i]);
	err = cr_writer_end(&w);
	if(err == CR_OK)
		err = cr_box_seal(out, out_max, env->crypto, key, CR_PURPOSE_LABEL,
				&call_id, 1, cr_written(&w));
	cr_wipe(plain, w.len);
	return err;
}

static int get_party(cr_party_t *p, cr_reader_t *r)
{
	uint32_t cseq = cr_get_be32(r);

	p->cseq = cseq == UINT32_MAX ? -1 : (int64_t)cseq;
	p->tag = cr_get_span8(r);
	p->uri = cr_get_span8(r);
	p->target = get_span16(r);
	return cr_text_is_token(p->tag) && cr_text_is_uri(p->uri)
			&& cr_text_is_uri(p->target);
}

static int get_label(cr_label_t *label, cr_reader_t *r)
{
	int good;

	if(cr_get_u8(r) != LABEL_VERSION)
		return CR_EMALFORMED;
	label->made_s = cr_get_be32(r);
	good = get_party(&label->party[CR_SIDE_CALLER], r);
	good = get_party(&label->party[CR_SIDE_CALLEE], r) && good;
	label->n_routes = cr_get_u8(r);
	if(!good || label->n_routes > CR_STATE_ROUTES_MAX)
		return CR_EMALFORMED;
	for(int i = 0; i < label->n_routes; i++) {
		label->routes[i] = get_span16(r);
		if(!cr_text_is_uri(label->routes[i]))
			return CR_EMALFORMED;
	}
	return cr_reader_end(r);
}

int cr_label_open(cr_label_t *label, uint8_t mem[CR_BOX_PLAIN_MAX],
		const cr_env_t *env, cr_span_t call_id, cr_span_t text)
{
	const cr_key_t *key = NULL;
	cr_reader_t r;
	int err,
			len
			= cr_box_open(mem, CR_BOX_PLAIN_MAX, &key, env->crypto, env->ring,
					cr_now_s(env), CR_PURPOSE_LABEL, &call_id, 1, text);

	if(len < 0)
		return len;
	r = cr_reader(mem, (size_t)len);
	err = get_label(label, &r);
	if(err != CR_OK)
		cr_wipe(mem, (size_t)len);
	return err;
}

/* ---- used -------------------------------------------------------------------------- */

int cr_label_client(cr_ref_t *ref, uint8_t mem[CR_BOX_PLAIN_MAX],
		cr_span_t *gateway, const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side)
{
	cr_span_t text;

	for(int i = 0; i < label->n_routes; i++) {
		if(!cr_param_find(label->routes[i], ref_param(side), &text, NULL))
			continue;
		*gateway = label->routes[i];
		return cr_ref_open(ref, mem, env->crypto, env->ring, cr_now_s(env),
				side == CR_SIDE_CALLER ? CR_PURPOSE_CALLER : CR_PURPOSE_CALLEE,
				call_id, text);
	}
	return CR_EMISSING;
}

/* As after a resume: above what the client can have reached since. */
static uint32_t next_cseq(const cr_env_t *env, const cr_party_t *p,
		int64_t made_s, const cr_ref_t *ref)
{
	int64_t since = p->cseq >= 0 ? made_s : ref->start;
	int64_t age = cr_now_s(env) - since;
	int64_t cseq
			= p->cseq >= 0 ? p->cseq : ref->cseq + (int64_t)CR_CSEQ_UNKNOWN;

	if(age < 0)
		age = 0;
	cseq += CR_CSEQ_JUMP + age * MS / CR_CSEQ_MS;
	return cseq > INT32_MAX ? INT32_MAX : (uint32_t)cseq;
}

static void put_party_field(
		cr_writer_t *w, const char *name, const cr_party_t *p)
{
	cr_put_str(w, name);
	cr_put_span(w, p->uri);
	cr_put_str(w, ">;tag=");
	cr_put_span(w, p->tag);
	cr_put_str(w, "\r\n");
}

static void put_routes(cr_writer_t *w, const cr_label_t *label, cr_side_t side)
{
	for(int i = 0; i < label->n_routes; i++) {
		int at = side == CR_SIDE_CALLEE ? i : label->n_routes - 1 - i;

		cr_put_str(w, "Route: <");
		cr_put_span(w, label->routes[at]);
		cr_put_str(w, ">\r\n");
	}
}

int cr_label_bye(char *out, size_t out_max, const cr_env_t *env,
		const cr_label_t *label, cr_span_t call_id, cr_side_t side,
		const cr_ref_t *ref, const cr_sender_t *from)
{
	const cr_party_t *gone = &label->party[side];
	const cr_party_t *stays = &label->party[other(side)];
	cr_writer_t w = cr_writer(out, out_max);

	cr_put_str(&w, "BYE ");
	cr_put_span(&w, stays->target);
	cr_put_str(&w, " SIP/2.0\r\nVia: SIP/2.0/UDP ");
	cr_put_host(&w, from->host);
	cr_put_str(&w, ":");
	cr_put_uint(&w, from->port);
	cr_put_str(&w, ";rport;branch=z9hG4bK");
	cr_put_span(&w, from->branch);
	cr_put_str(&w, "\r\nMax-Forwards: 70\r\n");
	put_party_field(&w, "From: <", gone);
	put_party_field(&w, "To: <", stays);
	cr_put_str(&w, "Call-ID: ");
	cr_put_span(&w, call_id);
	cr_put_str(&w, "\r\nCSeq: ");
	cr_put_uint(&w, next_cseq(env, gone, label->made_s, ref));
	cr_put_str(&w, " BYE\r\n");
	put_routes(&w, label, side);
	cr_put_str(&w, "Reason: " CR_REASON_ABANDONED "\r\n");
	cr_put_str(&w, "Content-Length: 0\r\n\r\n");
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}
