/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "seal.h"

#include "answered.h"
#include "base.h"
#include "quiet.h"
#include "sdp.h"
#include "sealed.h"

#define ROLE_ANSWERED "A"

static void put_far(cr_writer_t *w, const cr_far_t *far)
{
	char text[CR_B64_LEN(CR_FAR_SDP_MAX)];
	int len = cr_b64_encode(text, sizeof(text), far->sdp.s, far->sdp.len);

	if(far->sdp.len == 0 || len < 0)
		return;
	cr_put_str(w, " ~");
	cr_put_str(w, far->offer ? "o" : "");
	cr_put_str(w, far->update ? "u" : "");
	cr_put_str(w, ",");
	cr_put_span(w, far->timer);
	cr_put_str(w, ",");
	cr_put_bytes(w, text, (size_t)len);
}

int cr_seal_order(
		char *out, size_t out_max, const cr_env_t *env, const cr_order_t *order)
{
	cr_writer_t w = cr_writer(out, out_max);
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	cr_put_str(&w, CR_MAP_MARK " ");
	cr_put_str(&w, env->order_mark);
	cr_put_str(&w, " ");
	if(order->answers)
		cr_put_str(&w, ROLE_ANSWERED);
	else
		cr_put_u8(&w, (uint8_t)order->purpose);
	cr_put_str(&w, " ");
	cr_put_uint(&w, (uint64_t)order->iat_ms);
	cr_put_str(&w, " ");
	cr_put_uint(&w, (uint64_t)order->ringing);
	cr_put_str(&w, " ");
	cr_put_span(&w, order->ref);
	put_far(&w, &order->far);
	if(order->request != NULL) {
		cr_put_str(&w, " ");
		cr_put_span(&w, order->request->ruri);
		while(cr_sip_next(order->request, CR_ROUTE, &it, &value)) {
			if(cr_addr_parse(&a, value) != CR_OK)
				continue;
			cr_put_str(&w, " ");
			cr_put_span(&w, a.uri);
		}
	}
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

/* The next word of an order; empty at the end. */
static cr_span_t next_word(cr_span_t *rest)
{
	*rest = cr_span_trim(*rest);
	const char *sp = memchr(rest->s, ' ', rest->len);
	size_t len = sp != NULL ? (size_t)(sp - rest->s) : rest->len;
	cr_span_t word = cr_span_sub(*rest, 0, len);

	*rest = cr_span_sub(*rest, len, rest->len);
	return word;
}

int cr_session_id(char id[CR_SESSION_ID_LEN + 1], cr_crypto_t *c,
		cr_span_t call_id, cr_span_t caller_tag)
{
	static const char hex[] = "0123456789abcdef";
	char text[1024];
	uint8_t hash[32];
	cr_writer_t w = cr_writer(text, sizeof(text));

	cr_put_str(&w, "call session identifier");
	cr_put_u8(&w, 0);
	cr_put_span(&w, call_id);
	cr_put_u8(&w, 0);
	cr_put_span(&w, caller_tag);
	if(cr_writer_end(&w) != CR_OK || cr_sha256(c, hash, text, w.len) != CR_OK)
		return CR_EINTERNAL;
	for(int i = 0; i < CR_SESSION_ID_LEN; i++)
		id[i] = hex[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
	id[CR_SESSION_ID_LEN] = '\0';
	return CR_OK;
}

/* ---- what the state says -------------------------------------------------- */

static cr_span_t uri_of(const cr_sip_t *m, cr_hdr_t id)
{
	cr_addr_t a;

	if(cr_addr_parse(&a, cr_sip_field(m, id)->value) != CR_OK)
		a.uri = (cr_span_t){m->text.s, 0};
	return a.uri;
}

int cr_seal_routes(cr_state_t *st, const cr_sip_t *m, cr_hdr_t id, int reversed)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	st->n_routes = 0;
	while(cr_sip_next(m, id, &it, &value)) {
		if(st->n_routes == CR_STATE_ROUTES_MAX)
			return CR_ETOOBIG;
		if(cr_addr_parse(&a, value) != CR_OK)
			return CR_EMALFORMED;
		st->routes[st->n_routes++] = a.uri;
	}
	for(int i = 0, k = st->n_routes - 1; reversed && i < k; i++, k--) {
		cr_span_t swap = st->routes[i];
		st->routes[i] = st->routes[k];
		st->routes[k] = swap;
	}
	return CR_OK;
}

/* What the far end said of itself: passed over where there is none. */
static void take_far(cr_far_t *far, char mem[CR_FAR_MAX], cr_span_t *rest)
{
	cr_span_t after = *rest, word = next_word(&after), flags, timer;
	cr_reader_t r = cr_reader(word.s, word.len);
	int len;

	*far = (cr_far_t){0};
	if(!cr_span_eq(cr_get_bytes(&r, 1), CR_SPAN("~")))
		return;
	*rest = after;
	flags = cr_get_until(&r, ',');
	timer = cr_get_until(&r, ',');
	len = cr_b64_decode(
			(uint8_t *)mem, CR_FAR_SDP_MAX, cr_get_bytes(&r, r.left));
	if(r.bad || len < 0)
		return;
	far->offer = cr_span_eq(cr_span_sub(flags, 0, 1), CR_SPAN("o"));
	far->update = flags.len > 0 && flags.s[flags.len - 1] == 'u';
	far->timer = timer;
	far->sdp = (cr_span_t){mem, (size_t)len};
}

/* Target and route set of the client's in-dialog request, from the order.
 * @return CR_EMISSING: it has none, the message itself has them */
static int take_order_routes(cr_state_t *st, cr_span_t rest)
{
	cr_span_t word = next_word(&rest);

	if(word.len == 0)
		return CR_EMISSING;
	st->target = word;
	while((word = next_word(&rest)).len > 0) {
		if(st->n_routes == CR_STATE_ROUTES_MAX)
			return CR_ETOOBIG;
		st->routes[st->n_routes++] = word;
	}
	return CR_OK;
}

/* A target refresh names the new remote target in its Contact. */
static void take_contact(cr_state_t *st, const cr_sip_t *m)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	if((cr_span_eq(m->method, CR_SPAN("INVITE"))
			   || cr_span_eq(m->method, CR_SPAN("UPDATE")))
			&& cr_sip_next(m, CR_CONTACT, &it, &value)
			&& cr_addr_parse(&a, value) == CR_OK)
		st->target = a.uri;
}

/* local: the field with the client in it. */
static int fill(cr_state_t *st, const cr_sip_t *m, cr_hdr_t local,
		cr_span_t order_routes)
{
	cr_hdr_t remote = local == CR_FROM ? CR_TO : CR_FROM;
	int err = CR_OK;

	st->call_id = m->call_id;
	st->local_uri = uri_of(m, local);
	st->local_tag = cr_sip_tag(m, local);
	st->remote_uri = uri_of(m, remote);
	st->remote_tag = cr_sip_tag(m, remote);
	st->update = m->status == 0 && st->local_tag.len > 0;
	st->cseq = m->status == 0 ? -1 : (int64_t)m->cseq;
	st->n_media = cr_sdp_media(st->media, m->body, 1);
	st->n_routes = 0;
	st->target = (cr_span_t){m->text.s, 0};
	if(!st->update)
		err = take_order_routes(st, order_routes);
	if(err == CR_EMISSING)
		err = cr_seal_routes(st, m, CR_RECORD_ROUTE, m->status != 0);
	take_contact(st, m);
	/* Ringing without a Contact: what counts is its transaction. */
	if(st->target.len == 0 && st->ringing > 0)
		st->target = st->remote_uri;
	if(st->target.len == 0 || st->remote_tag.len == 0)
		err = CR_EMALFORMED;
	return err;
}

/* ---- carrying out an order ------------------------------------------------ */

int cr_seal_state(const cr_env_t *env, const cr_ref_t *ref, cr_state_t *st)
{
	/* Not the key of the reference, which may be as old as the call: so no key
	 * is needed for longer than what it sealed is good. */
	const cr_key_t *master = cr_ring_sealing(env->ring, cr_now_s(env));

	if(master == NULL)
		return CR_EKEY;
	st->start = ref->start;
	st->fp = ref->fp;
	st->exp = st->iat / 1000 + env->state_ttl_s;
	return cr_sealed_make(env->work->jwe, sizeof(env->work->jwe), env, master,
			ref->sub, ref->sid, st);
}

/* Of our own making: only digits. */
static int64_t read_number(cr_span_t word)
{
	int64_t n = 0;

	for(size_t i = 0;
			i < word.len && i < 18 && word.s[i] >= '0' && word.s[i] <= '9'; i++)
		n = n * 10 + (word.s[i] - '0');
	return n;
}

/* Into the one of our Record-Routes that has this reference, and that of the state: what it says
 * is what the client will have. Where it does not fit the call has none. */
static void put_answered(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		cr_span_t ref, cr_state_t *st)
{
	cr_value_iter_t it = {0};
	cr_span_t value, found, param;
	cr_writer_t w = cr_writer(env->work->route, sizeof(env->work->route));
	cr_addr_t a;

	while(cr_sip_next(m, CR_RECORD_ROUTE, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK || a.spec.len == a.uri.len
				|| !cr_param_find(a.uri, CR_REF_PARAM_CALLER, &found, NULL)
				|| !cr_span_eq(found, ref))
			continue;
		cr_put_span(&w, a.uri);
		if(cr_answered_put(&w, env, m->call_id, st->iat / 1000) != CR_OK)
			return;
		param = cr_span_sub(cr_written(&w), a.uri.len, w.len);
		CR_EDIT(e, cr_span_end(a.uri), param);
		for(int i = 0; i < st->n_routes; i++) {
			if(st->routes[i].s == a.uri.s)
				st->routes[i] = cr_written(&w);
		}
		return;
	}
}

static int run_order(
		cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m, cr_span_t rest)
{
	cr_state_t *st = &env->work->state;
	cr_hdr_t local = m->status == 0 ? CR_TO : CR_FROM;
	cr_purpose_t purpose;
	cr_span_t role, text, caller_tag;
	cr_ref_t ref;
	int err, answers;

	role = next_word(&rest);
	answers = cr_span_eq(role, CR_SPAN(ROLE_ANSWERED));
	st->iat = read_number(next_word(&rest));
	st->ringing = read_number(next_word(&rest));
	text = next_word(&rest);
	take_far(&st->far, env->work->far, &rest);
	purpose = answers || cr_span_eq(role, CR_SPAN("a")) ? CR_PURPOSE_CALLER
														: CR_PURPOSE_CALLEE;
	st->role = purpose == CR_PURPOSE_CALLER ? CR_CALLER : CR_CALLEE;
	err = cr_ref_open(&ref, env->work->box, env->crypto, env->ring,
			cr_now_s(env), purpose, m->call_id, text);
	/* Of a call that could not name its session: it proves the call, no more. */
	if(err == CR_OK && ref.sub.len == 0)
		err = CR_EMISSING;
	if(err == CR_OK)
		err = fill(st, m, local, rest);
	if(err != CR_OK)
		return err;
	if(answers)
		put_answered(e, env, m, text, st);
	caller_tag = st->role == CR_CALLER ? st->local_tag : st->remote_tag;
	err = cr_session_id(st->id, env->crypto, m->call_id, caller_tag);
	return err == CR_OK ? cr_seal_state(env, &ref, st) : err;
}

/* 1 when the value is an order to seal; rest is what follows its mark. Behind a mark
 * there may also be a value that is sealed already, see cr_screen_mark(), or that of a
 * quiet resume. */
static int is_order(cr_span_t value, const cr_env_t *env, cr_span_t *rest)
{
	cr_span_t role;

	*rest = value;
	if(!cr_span_eq(next_word(rest), CR_SPAN(CR_MAP_MARK))
			|| !cr_span_eq(next_word(rest), cr_span_str(env->order_mark)))
		return 0;
	role = *rest;
	role = next_word(&role);
	return !cr_span_eq(role, CR_SPAN("="))
			&& !cr_span_eq(role, CR_SPAN(CR_QUIET_ROLE));
}

static int run_first(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		const cr_field_t *f, cr_span_t rest)
{
	int len = run_order(e, env, m, rest);

	if(len < 0) {
		cr_edit_replace(e, f->line, NULL, 0);
		return len;
	}
	CR_EDIT(e, f->value, (cr_span_t){env->work->jwe, (size_t)len},
			env->work->state.update ? CR_SPAN(";" CR_STATE_PARAM_UPDATE)
									: CR_SPAN(""));
	return CR_OK;
}

static const cr_field_t *find_order(
		const cr_env_t *env, const cr_sip_t *m, cr_span_t *rest)
{
	for(int i = 0; i < m->n_fields; i++) {
		if(m->fields[i].id == CR_CALL_STATE
				&& is_order(m->fields[i].value, env, rest))
			return &m->fields[i];
	}
	return NULL;
}

int cr_seal_run_order(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m,
		const cr_field_t **order)
{
	cr_span_t rest;

	*order = find_order(env, m, &rest);
	return *order != NULL ? run_first(e, env, m, *order, rest) : CR_EMISSING;
}
