/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "contact.h"

#include "box.h"

/* ---- our Route ------------------------------------------------------------------- */

/* The next parameter of text. @return 0 at the end */
static int next_param(cr_span_t *text, cr_span_t *param)
{
	const char *semi = memchr(text->s, ';', text->len), *next;
	size_t at, len;

	if(semi == NULL)
		return 0;
	at = (size_t)(semi - text->s);
	len = text->len - at;
	next = len > 1 ? memchr(semi + 1, ';', len - 1) : NULL;
	*param = (cr_span_t){semi, next != NULL ? (size_t)(next - semi) : len};
	*text = cr_span_sub(*text, at + param->len, text->len);
	return 1;
}

static int has_name(cr_span_t param, const char *name)
{
	return cr_param_find(param, name, NULL, NULL);
}

/* All but what a Route of another socket has of its own. */
void cr_contact_put_params(cr_writer_t *w, cr_span_t route)
{
	static const char *const own[] = {"lr", "r2", "transport"};
	cr_span_t param;

	while(next_param(&route, &param)) {
		int is_own = 0;

		for(size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			is_own |= has_name(param, own[i]);
		if(!is_own)
			cr_put_span(w, param);
	}
}

static int has_ref(cr_span_t text, const char *name, cr_span_t *whole)
{
	return cr_param_find(text, name, NULL, whole);
}

/* The session reference in parameters, its name and semicolon included; of a far end there
 * is none. @return 0 when both ends are clients, or none is */
static int only_ref(cr_span_t text, cr_span_t *ref)
{
	cr_span_t other;
	int caller = has_ref(text, CR_REF_PARAM_CALLER, ref);
	int callee = has_ref(text, CR_REF_PARAM_CALLEE, caller ? &other : ref);

	return caller + callee == 1;
}

/* ---- out --------------------------------------------------------------------------- */

typedef struct hiding
{
	const cr_env_t *env;
	const cr_sip_t *m;
	cr_edits_t *e;
	const cr_contact_here_t *here;
	char params[CR_BOX_TEXT_MAX + 256]; /* of our Route */
	cr_writer_t w;                      /* of params */
} hiding_t;

static int is_ours(cr_span_t value)
{
	cr_addr_t a;

	return cr_addr_parse(&a, value) == CR_OK
			&& (has_ref(a.uri, CR_REF_PARAM_CALLER, NULL)
					|| has_ref(a.uri, CR_REF_PARAM_CALLEE, NULL));
}

static const cr_field_t *far_field(const cr_sip_t *m)
{
	cr_span_t name = CR_SPAN(CR_HDR_FAR ":");

	for(int i = 0; i < m->n_fields; i++) {
		if(m->fields[i].id == CR_STATE_OTHER
				&& cr_span_eq(
						cr_span_sub(m->fields[i].line, 0, name.len), name))
			return &m->fields[i];
	}
	return NULL;
}

/* Whether a message with a Record-Route of ours goes to a far end: a request of the only
 * client, which has begun the call, or a reply of it, which was called. */
int cr_contact_is_hidden(const cr_sip_t *m, cr_span_t route)
{
	const char *client
			= m->status == 0 ? CR_REF_PARAM_CALLER : CR_REF_PARAM_CALLEE;
	cr_span_t ref, from;
	cr_addr_t a;

	if(cr_addr_parse(&a, route) != CR_OK || !only_ref(a.uri, &ref)
			|| !has_ref(a.uri, client, NULL))
		return 0;
	/* A client that was called, and resumes, is asking, and gets its route set. */
	return !cr_param_find(a.uri, "ftag", &from, NULL)
			|| cr_span_eq(from, cr_sip_tag(m, CR_FROM));
}

/* @return 1 when the message goes to a far end */
static int find_route(hiding_t *h)
{
	const cr_field_t *f = far_field(h->m);
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	if(f != NULL) {
		cr_put_span(&h->w, f->value);
		cr_edit_replace(h->e, f->line, NULL, 0);
		return 1;
	}
	while(cr_sip_next(h->m, CR_RECORD_ROUTE, &it, &value)) {
		if(!is_ours(value) || cr_addr_parse(&a, value) != CR_OK)
			continue;
		if(!cr_contact_is_hidden(h->m, value))
			return 0;
		cr_contact_put_params(&h->w, a.uri);
		return 1;
	}
	return 0;
}

/* A client may have written ours and others into one field. */
static void remove_routes(hiding_t *h)
{
	for(int i = 0; i < h->m->n_fields; i++) {
		cr_sip_t one = {.n_fields = 1, .fields = {h->m->fields[i]}};
		cr_value_iter_t it = {0};
		cr_span_t value;

		if(one.fields[0].id != CR_RECORD_ROUTE)
			continue;
		cr_edit_replace(h->e, one.fields[0].line, NULL, 0);
		while(cr_sip_next(&one, CR_RECORD_ROUTE, &it, &value)) {
			if(!is_ours(value))
				CR_EDIT(h->e, cr_span_end(one.fields[0].line),
						CR_SPAN("Record-Route: "), value, CR_SPAN("\r\n"));
		}
	}
}

static void put_be16_span(cr_writer_t *w, cr_span_t s)
{
	if(s.len > UINT16_MAX)
		w->bad = 1;
	cr_put_be16(w, (uint16_t)s.len);
	cr_put_span(w, s);
}

/* Text without a part of it. */
static void put_without(cr_writer_t *w, cr_span_t text, cr_span_t part)
{
	size_t at = (size_t)(part.s - text.s);

	cr_put_span(w, cr_span_sub(text, 0, at));
	cr_put_span(w, cr_span_sub(text, at + part.len, text.len));
}

static int seal_box(char *text, size_t max, const cr_env_t *env, cr_span_t user,
		cr_span_t rest, cr_span_t params)
{
	const cr_key_t *key = cr_ring_sealing(env->ring, cr_now_s(env));
	uint8_t plain[CR_BOX_PLAIN_MAX];
	cr_writer_t w = cr_writer(plain, sizeof(plain));

	if(key == NULL)
		return CR_EKEY;
	put_be16_span(&w, rest);
	put_be16_span(&w, params);
	if(cr_writer_end(&w) != CR_OK)
		return CR_ETOOBIG;
	return cr_box_seal(text, max, env->crypto, key, CR_PURPOSE_FAR, &user, 1,
			cr_written(&w));
}

/* sip:user@rest, or without a user: then it is empty. */
static int split_uri(cr_span_t uri, cr_span_t *user, cr_span_t *rest)
{
	const char *colon = memchr(uri.s, ':', uri.len), *at;
	cr_span_t all;

	if(colon == NULL)
		return 0;
	all = cr_span_sub(uri, (size_t)(colon - uri.s) + 1, uri.len);
	at = memchr(all.s, '@', all.len);
	*user = cr_span_sub(all, 0, at != NULL ? (size_t)(at - all.s) : 0);
	*rest = cr_span_sub(all, at != NULL ? user->len + 1 : 0, all.len);
	return 1;
}

static void put_user(cr_writer_t *w, cr_span_t user)
{
	cr_put_str(w, "sip:");
	cr_put_span(w, user);
	if(user.len > 0)
		cr_put_str(w, "@");
}

static void put_here(cr_writer_t *w, const cr_contact_here_t *here)
{
	cr_put_host(w, here->host);
	cr_put_str(w, ":");
	cr_put_uint(w, here->port);
	if(here->proto.len > 0) {
		cr_put_str(w, ";transport=");
		cr_put_span(w, here->proto);
	}
}

/* The Contact of the client, uri, as that of the node. */
static int put_contact(hiding_t *h, cr_span_t uri)
{
	char mem[CR_BOX_TEXT_MAX + 2 * CR_TARGET_MAX], box[CR_BOX_TEXT_MAX];
	char rest_mem[CR_TARGET_MAX], params_mem[sizeof(h->params)];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_writer_t rest = cr_writer(rest_mem, sizeof(rest_mem));
	cr_writer_t params = cr_writer(params_mem, sizeof(params_mem));
	cr_span_t user, host, map = {"", 0}, ref = {"", 0}, all = cr_written(&h->w);
	int len;

	if(!split_uri(uri, &user, &host) || !only_ref(all, &ref))
		return CR_EMALFORMED;
	if(!cr_param_find(host, CR_MAP_MARK, NULL, &map))
		map = cr_span_end(host);
	put_without(&rest, host, map);
	put_without(&params, all, ref);
	if(cr_writer_end(&rest) != CR_OK || cr_writer_end(&params) != CR_OK)
		return CR_ETOOBIG;
	len = seal_box(box, sizeof(box), h->env, user, cr_written(&rest),
			cr_written(&params));
	if(len < 0)
		return len;
	cr_put_str(&w, "<");
	put_user(&w, user);
	put_here(&w, h->here);
	cr_put_str(&w, CR_FAR_PARAM);
	cr_put_bytes(&w, box, (size_t)len);
	cr_put_span(&w, ref);
	cr_put_span(&w, map);
	cr_put_str(&w, ">");
	if(cr_writer_end(&w) != CR_OK)
		return CR_ETOOBIG;
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;
	if(!cr_sip_next(h->m, CR_CONTACT, &it, &value)
			|| cr_addr_parse(&a, value) != CR_OK)
		return CR_EMALFORMED;
	CR_EDIT(h->e, a.spec, cr_written(&w));
	return CR_OK;
}

/* A redirection names somebody else, and what is a failure, nobody. */
static int hide_contact(hiding_t *h)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	if(h->m->status >= 300 || !cr_sip_next(h->m, CR_CONTACT, &it, &value))
		return CR_OK;
	if(cr_addr_parse(&a, value) != CR_OK)
		return CR_EMALFORMED;
	return put_contact(h, a.uri);
}

/* Most messages are not concerned: no need to take them apart. */
static int may_be_concerned(cr_span_t text)
{
	static const char ref[] = ";crs-", order[] = CR_HDR_FAR;

	return memmem(text.s, text.len, ref, sizeof(ref) - 1) != NULL
			|| memmem(text.s, text.len, order, sizeof(order) - 1) != NULL;
}

int cr_contact_hide(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, const cr_contact_here_t *here)
{
	hiding_t h = {.env = env,
			.m = &env->work->msg,
			.e = &env->work->edits,
			.here = here};
	int err;

	if(!may_be_concerned(text) || cr_sip_parse(&env->work->msg, text) != CR_OK)
		return 0;
	h.w = cr_writer(h.params, sizeof(h.params));
	cr_edits_init(h.e, h.m);
	if(!find_route(&h))
		return 0;
	if(cr_writer_end(&h.w) != CR_OK)
		return CR_ETOOBIG;
	remove_routes(&h);
	err = hide_contact(&h);
	return err != CR_OK ? err : cr_edits_apply(out, out_max, h.e);
}

/* ---- in ---------------------------------------------------------------------------- */

static cr_span_t get_be16_span(cr_reader_t *r)
{
	return cr_get_bytes(r, cr_get_be16(r));
}

/* The client's Contact and our Route again. */
static void put_back(cr_edits_t *e, const cr_sip_t *m, cr_span_t user,
		cr_span_t rest, cr_span_t params, const cr_contact_here_t *here)
{
	cr_span_t map = {"", 0}, ref = {"", 0};
	char mem[CR_BOX_TEXT_MAX + 512], uri[CR_TARGET_MAX];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_writer_t target = cr_writer(uri, sizeof(uri));

	(void)cr_param_find(m->ruri, CR_MAP_MARK, NULL, &map);
	if(!only_ref(m->ruri, &ref))
		ref = (cr_span_t){"", 0};
	put_user(&target, user);
	CR_EDIT(e, m->ruri, cr_written(&target), rest, map);
	if(cr_sip_tag(m, CR_TO).len == 0)
		return;
	cr_put_str(&w, "Route: <sip:");
	put_here(&w, here);
	cr_put_str(&w, ";lr");
	cr_put_span(&w, params);
	cr_put_span(&w, ref);
	cr_put_str(&w, ">\r\n");
	/* In front of all others. */
	const cr_field_t *first = cr_sip_field(m, CR_ROUTE);
	if(first == NULL)
		first = cr_sip_field(m, CR_CALL_ID);
	CR_EDIT(e, cr_span_sub(first->line, 0, 0), cr_written(&w));
	if(cr_writer_end(&w) != CR_OK || cr_writer_end(&target) != CR_OK)
		e->bad = 1;
}

int cr_contact_show(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, const cr_contact_here_t *here)
{
	static const char mark[] = CR_FAR_PARAM;
	const cr_sip_t *m = &env->work->msg;
	const cr_key_t *key = NULL;
	cr_span_t user, host, box, rest, params;
	cr_reader_t r;
	int len;

	if(memmem(text.s, text.len, mark, sizeof(mark) - 1) == NULL
			|| cr_sip_parse(&env->work->msg, text) != CR_OK || m->status != 0
			|| !split_uri(m->ruri, &user, &host)
			|| !cr_param_find(host, CR_FAR_NAME, &box, NULL))
		return 0;
	len = cr_box_open(env->work->box, sizeof(env->work->box), &key, env->crypto,
			env->ring, cr_now_s(env), CR_PURPOSE_FAR, &user, 1, box);
	if(len < 0)
		return len;
	r = cr_reader(env->work->box, (size_t)len);
	rest = get_be16_span(&r);
	params = get_be16_span(&r);
	if(cr_reader_end(&r) != CR_OK)
		return CR_EMALFORMED;
	cr_edits_init(&env->work->edits, m);
	put_back(&env->work->edits, m, user, rest, params, here);
	return cr_edits_apply(out, out_max, &env->work->edits);
}
