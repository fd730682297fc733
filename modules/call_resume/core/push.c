/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "push.h"

#include "map.h"
#include "ref.h"
#include "sdp.h"
#include "seal.h"
#include "text.h"

int cr_push_parse(
		cr_push_t *p, cr_span_t reply, cr_span_t sent, cr_span_t received)
{
	int err = cr_sip_parse(&p->reply, reply);

	if(err == CR_OK
			&& (p->reply.status < 200 || p->reply.status >= 300
					|| !cr_span_eq(p->reply.method, CR_SPAN("INVITE"))))
		err = CR_EMISSING;
	if(err == CR_OK)
		err = cr_sip_parse(&p->sent, sent);
	if(err == CR_OK)
		err = cr_sip_parse(&p->received, received);
	if(err == CR_OK && (p->sent.status != 0 || p->received.status != 0))
		err = CR_EMALFORMED;
	return err;
}

static cr_span_t party(const cr_sip_t *m, cr_hdr_t id, cr_span_t *tag)
{
	cr_span_t value = cr_sip_field(m, id)->value, none = {m->text.s, 0};
	cr_addr_t a;

	*tag = cr_tag_of(value);
	return cr_addr_parse(&a, value) == CR_OK ? a.uri : none;
}

void cr_push_target(cr_writer_t *w, const cr_push_t *p)
{
	cr_span_t uri = cr_sip_contact(&p->reply), map = {uri.s + uri.len, 0};

	(void)cr_param_find(uri, CR_MAP_MARK, NULL, &map);
	cr_put_span(w, cr_span_sub(uri, 0, (size_t)(map.s - uri.s)));
	cr_put_span(
			w, cr_span_sub(uri, (size_t)(map.s - uri.s) + map.len, uri.len));
}

cr_span_t cr_push_address(const cr_push_t *p)
{
	cr_span_t tag;

	return party(&p->reply, CR_TO, &tag);
}

static int is_first(const cr_push_t *p)
{
	return cr_sip_tag(&p->received, CR_TO).len == 0;
}

/* ---- whose call ------------------------------------------------------------- */

/* The first of our own entries in the Route or Record-Route. */
static int find_ref(const cr_sip_t *m, cr_hdr_t id, const char *param,
		cr_span_t *text, cr_span_t *entry)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(m, id, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK
				|| !cr_param_find(a.uri, param, text, NULL))
			continue;
		*entry = a.uri;
		return 1;
	}
	return 0;
}

/* The called one gets what the caller sends: ftag is the caller's tag, written by
 * the module rr. */
static int is_from_caller(const cr_push_t *p, cr_span_t entry)
{
	cr_span_t ftag;

	return cr_param_find(entry, "ftag", &ftag, NULL)
			&& cr_span_eq(ftag, cr_sip_tag(&p->received, CR_FROM));
}

/* Which reference is that of the client who answers. */
static cr_purpose_t find_client(const cr_push_t *p, cr_span_t *text)
{
	cr_span_t entry;

	if(is_first(p))
		return find_ref(&p->sent, CR_RECORD_ROUTE, CR_REF_PARAM_CALLEE, text,
					   &entry)
				? CR_PURPOSE_CALLEE
				: 0;
	if(find_ref(&p->received, CR_ROUTE, CR_REF_PARAM_CALLEE, text, &entry)
			&& is_from_caller(p, entry))
		return CR_PURPOSE_CALLEE;
	if(find_ref(&p->received, CR_ROUTE, CR_REF_PARAM_CALLER, text, &entry)
			&& !is_from_caller(p, entry))
		return CR_PURPOSE_CALLER;
	return 0;
}

/* ---- what the state says ------------------------------------------------------ */

static int count_vias(const cr_sip_t *m)
{
	cr_value_iter_t it = {0};
	cr_span_t via;
	int n = 0;

	while(cr_sip_next(m, CR_VIA, &it, &via))
		n++;
	return n;
}

/* The client's route set. Where its dialog begins it is the Record-Route (RFC 3261
 * section 12.1.1). A re-INVITE has the far end's instead, what is left of it here: with
 * nobody between the far end and us that is all of it, and the client's is the
 * same, reversed. */
static int take_route_set(cr_state_t *st, const cr_push_t *p)
{
	if(is_first(p))
		return cr_seal_routes(st, &p->sent, CR_RECORD_ROUTE, 0);
	if(count_vias(&p->received) != 1)
		return CR_EUNSUPPORTED;
	return cr_seal_routes(st, &p->received, CR_ROUTE, 1);
}

/* By how much CSeq in O is above that of the dialog that the client is in: the map is in its
 * Contact. @return 1, 0 when the client is in O still, or an error */
static int read_offset(
		const cr_env_t *env, const cr_push_t *p, uint32_t *offset)
{
	cr_dialog_id_t o = {p->reply.call_id, cr_sip_tag(&p->reply, CR_TO)};
	const cr_key_t *key;
	cr_span_t text;
	cr_map_t map;
	int err;

	if(!cr_param_find(cr_sip_contact(&p->reply), CR_MAP_MARK, &text, NULL))
		return 0;
	err = cr_map_open(&map, env->work->box, &key, env->crypto, env->ring,
			cr_now_s(env), CR_PURPOSE_CONTACT, &o, text);
	if(err != CR_OK)
		return err;
	*offset = map.cseq_offset;
	return 1;
}

/* A number that the client's CSeq in O has not passed, for nobody knows how far it is: in O it
 * began at one that the reference tells, in N at a low one. */
static int set_cseq(
		cr_state_t *st, const cr_env_t *env, const cr_push_t *p, uint32_t first)
{
	uint32_t offset = 0;
	int spliced = read_offset(env, p, &offset);

	if(spliced < 0)
		return spliced;
	/* N began above O: not at a low one. */
	if(offset > INT32_MAX)
		return CR_EUNSUPPORTED;
	if(is_first(p))
		st->cseq = -1;
	else if(spliced)
		st->cseq = (int64_t)offset + CR_CSEQ_LOW;
	else
		st->cseq = (int64_t)first + CR_CSEQ_UNKNOWN;
	return st->cseq <= INT32_MAX ? CR_OK : CR_EUNSUPPORTED;
}

static int fill(cr_state_t *st, const cr_env_t *env, const cr_push_t *p)
{
	int err = take_route_set(st, p);

	st->update = 0;
	st->call_id = p->reply.call_id;
	st->local_uri = party(&p->reply, CR_TO, &st->local_tag);
	st->remote_uri = party(&p->reply, CR_FROM, &st->remote_tag);
	st->target = cr_sip_contact(&p->sent);
	/* An answer; an offer in the 2xx will be answered later. */
	st->n_media = p->sent.body.len > 0
			? cr_sdp_media(st->media, p->reply.body, 0)
			: 0;
	st->iat = env->now_ms;
	st->far = (cr_far_t){0};
	if(env->keeps_far
			&& cr_far_read(&st->far, env->work->far, p->received.text, 1,
					   env->keeps_far_by_update)
					!= CR_OK)
		st->far = (cr_far_t){0};
	if(err == CR_OK
			&& (!cr_text_is_uri(cr_sip_contact(&p->reply))
					|| st->target.len == 0 || st->local_tag.len == 0
					|| st->remote_tag.len == 0))
		err = CR_EMALFORMED;
	return err;
}

int cr_push_seal(const cr_env_t *env, const cr_push_t *p)
{
	cr_state_t *st = &env->work->state;
	uint8_t mem[CR_BOX_PLAIN_MAX];
	cr_purpose_t purpose;
	cr_span_t text;
	cr_ref_t ref;
	int err;

	purpose = find_client(p, &text);
	if(purpose == 0)
		return CR_EMISSING;
	err = cr_ref_open(&ref, mem, env->crypto, env->ring, cr_now_s(env), purpose,
			p->reply.call_id, text);
	if(err == CR_OK)
		err = fill(st, env, p);
	if(err == CR_OK)
		err = set_cseq(st, env, p, ref.cseq);
	if(err != CR_OK)
		return err;
	st->ringing = 0;
	st->role = purpose == CR_PURPOSE_CALLER ? CR_CALLER : CR_CALLEE;
	err = cr_session_id(st->id, env->crypto, st->call_id,
			st->role == CR_CALLER ? st->local_tag : st->remote_tag);
	return err == CR_OK ? cr_seal_state(env, &ref, st) : err;
}
