/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "path.h"

#include "box.h"
#include "text.h"

#define ROUTES_MAX (CR_BOX_PLAIN_MAX - 2)

typedef struct path
{
	const cr_env_t *env;
	const cr_sip_t *m;
	cr_edits_t *e;
	char box[sizeof(CR_PATH_PARAM) + CR_BOX_TEXT_MAX]; /* the whole parameter */
	size_t box_len;
} path_t;

static path_t begin(const cr_env_t *env)
{
	path_t p = {.env = env,
			.m = &env->work->msg,
			.e = &env->work->edits,
			.box = ""};

	cr_edits_init(p.e, p.m);
	return p;
}

static cr_span_t boxed(const path_t *p)
{
	return (cr_span_t){p->box, p->box_len};
}

static int finish(const path_t *p, char *out, size_t out_max)
{
	if(p->e->n == 0)
		return p->e->bad ? CR_ETOOBIG : 0;
	return cr_edits_apply(out, out_max, p->e);
}

/* @param call_id  of a way in a Route of ours, which is good in its dialog only; NULL: in a
 *                 Contact or Via
 * @return the length of the routes in env->work->box, or an error */
static int open(const path_t *p, const cr_span_t *call_id, cr_span_t box)
{
	const cr_key_t *key = NULL;

	return cr_box_open(p->env->work->box, sizeof(p->env->work->box), &key,
			p->env->crypto, p->env->ring, cr_now_s(p->env), CR_PURPOSE_PATH,
			call_id, call_id != NULL, box);
}

/* Into p->box. @param call_id  see open() */
static int seal(path_t *p, const cr_span_t *call_id, cr_span_t routes)
{
	const cr_key_t *key = cr_ring_sealing(p->env->ring, cr_now_s(p->env));
	const size_t name = sizeof(CR_PATH_PARAM) - 1;
	int len;

	if(key == NULL)
		return CR_EKEY;
	memcpy(p->box, CR_PATH_PARAM, name);
	len = cr_box_seal(p->box + name, sizeof(p->box) - name, p->env->crypto, key,
			CR_PURPOSE_PATH, call_id, call_id != NULL, routes);
	if(len < 0)
		return len;
	p->box_len = name + (size_t)len;
	return CR_OK;
}

static cr_span_t opened(const path_t *p, int len)
{
	return (cr_span_t){(const char *)p->env->work->box, (size_t)len};
}

/* ---- in ---------------------------------------------------------------------------- */

/* Values one after the other, in the order of the message: those in front of ours. */
static int read_routes(
		cr_writer_t *w, const cr_sip_t *m, cr_hdr_t id, cr_path_own_f *is_own)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(m, id, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK || !cr_text_is_uri(a.uri))
			return CR_EMALFORMED;
		if(is_own(a.uri))
			break;
		if(w->len > 0)
			cr_put_str(w, ",");
		cr_put_str(w, "<");
		cr_put_span(w, a.uri);
		cr_put_str(w, ">");
	}
	return cr_writer_end(w);
}

/* @return whether there was a way in it */
static int put_without_way(cr_writer_t *w, cr_span_t uri)
{
	size_t next = 0, done = 0;
	cr_param_t param;

	while(cr_param_next(uri, &next, &param)) {
		size_t at = (size_t)(param.whole.s - uri.s);

		if(!cr_span_eq_case(param.name, CR_SPAN(CR_PATH_NAME)))
			continue;
		cr_put_span(w, cr_span_sub(uri, done, at - done));
		done = at + param.whole.len;
	}
	cr_put_span(w, cr_span_sub(uri, done, uri.len));
	return done > 0;
}

/* A client cannot write one itself: only what came with this message is on its way. */
static void put_into_contacts(path_t *p)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(p->m, CR_CONTACT, &it, &value)) {
		char uri[CR_TARGET_MAX + sizeof(p->box) + 2];
		cr_writer_t w = cr_writer(uri, sizeof(uri));
		int put, taken;

		if(cr_addr_parse(&a, value) != CR_OK)
			continue;
		put = p->box_len > 0 && cr_text_is_uri(a.uri); /* not Contact: * */
		cr_put_str(&w, "<");
		taken = put_without_way(&w, a.uri);
		if(!put && !taken)
			continue;
		if(put)
			cr_put_span(&w, boxed(p));
		cr_put_str(&w, ">");
		if(cr_writer_end(&w) != CR_OK)
			p->e->bad = 1;
		else
			CR_EDIT(p->e, a.spec, cr_written(&w));
	}
}

static cr_span_t top_via(const cr_sip_t *m)
{
	cr_value_iter_t it = {0};
	cr_span_t value = {m->text.s, 0};

	(void)cr_sip_next(m, CR_VIA, &it, &value);
	return value;
}

/* A value of Record-Route, behind the field that it stands in. */
static void put_without_way_in(
		path_t *p, const cr_field_t *field, cr_span_t value)
{
	cr_span_t way = cr_span_end(value);
	cr_addr_t a;
	size_t at;

	if(cr_addr_parse(&a, value) == CR_OK)
		(void)cr_param_find(a.uri, CR_PATH_NAME, NULL, &way);
	at = (size_t)(way.s - value.s);
	CR_EDIT(p->e, cr_span_end(field->line), CR_SPAN("Record-Route: "),
			cr_span_sub(value, 0, at),
			cr_span_sub(value, at + way.len, value.len), CR_SPAN("\r\n"));
}

/* Ours, and those behind it. @param all  1: those in front of it too */
static void keep_routes(path_t *p, cr_path_own_f *is_own, int all)
{
	int kept = all;

	for(int i = 0; i < p->m->n_fields; i++) {
		cr_sip_t one = {.n_fields = 1, .fields = {p->m->fields[i]}};
		cr_value_iter_t it = {0};
		cr_span_t value;
		cr_addr_t a;

		if(one.fields[0].id != CR_RECORD_ROUTE)
			continue;
		cr_edit_replace(p->e, one.fields[0].line, NULL, 0);
		while(cr_sip_next(&one, CR_RECORD_ROUTE, &it, &value)) {
			kept = kept || (cr_addr_parse(&a, value) == CR_OK && is_own(a.uri));
			if(kept)
				put_without_way_in(p, &one.fields[0], value);
		}
	}
}

/* Within a dialog a proxy need not record its route again: the way stands in our own Route then,
 * see put_into_own(). */
static int read_own_route(path_t *p, cr_path_own_f *is_own)
{
	cr_value_iter_t it = {0};
	cr_span_t route, way, whole;
	cr_addr_t a;
	int len = 0;

	while(cr_sip_next(p->m, CR_ROUTE, &it, &route)) {
		if(cr_addr_parse(&a, route) != CR_OK || !is_own(a.uri)
				|| !cr_param_find(a.uri, CR_PATH_NAME, &way, &whole))
			continue;
		cr_edit_replace(p->e, whole, NULL, 0);
		if(len <= 0)
			len = open(p, &p->m->call_id, way);
	}
	return len > 0 && p->box_len == 0 ? seal(p, NULL, opened(p, len)) : CR_OK;
}

static int request_in(path_t *p, cr_path_own_f *is_own)
{
	int registers = cr_span_eq(p->m->method, CR_SPAN("REGISTER"));
	char mem[ROUTES_MAX];
	cr_writer_t routes = cr_writer(mem, sizeof(mem));
	int err = read_routes(
			&routes, p->m, registers ? CR_PATH : CR_RECORD_ROUTE, is_own);

	if(err == CR_OK && routes.len > 0)
		err = seal(p, NULL, cr_written(&routes));
	if(err == CR_OK && p->box_len > 0 && !registers) {
		keep_routes(p, is_own, 0);
		CR_EDIT(p->e, cr_span_end(top_via(p->m)), boxed(p));
	}
	if(err == CR_OK)
		err = read_own_route(p, is_own);
	if(err == CR_OK)
		put_into_contacts(p);
	return err;
}

/* Our Via has the way that the request has gone, or what the client has made of it. */
static void reply_in(path_t *p, cr_path_own_f *is_own)
{
	cr_span_t value, whole;

	if(cr_param_find(top_via(p->m), CR_PATH_NAME, &value, &whole)
			&& whole.len < sizeof(p->box) && open(p, NULL, value) > 0) {
		memcpy(p->box, whole.s, whole.len);
		p->box_len = whole.len;
	}
	keep_routes(p, is_own, p->box_len == 0);
	put_into_contacts(p);
}

int cr_path_in(char *out, size_t out_max, const cr_env_t *env, cr_span_t text,
		cr_path_own_f *is_own)
{
	path_t p;
	int err = CR_OK;

	if(cr_sip_parse(&env->work->msg, text) != CR_OK)
		return 0;
	p = begin(env);
	if(p.m->status == 0)
		err = request_in(&p, is_own);
	else
		reply_in(&p, is_own);
	return err != CR_OK ? err : finish(&p, out, out_max);
}

/* ---- out --------------------------------------------------------------------------- */

static const cr_field_t *last_of(const cr_sip_t *m, cr_hdr_t id)
{
	const cr_field_t *last = NULL;

	for(int i = 0; i < m->n_fields; i++) {
		if(m->fields[i].id == id)
			last = &m->fields[i];
	}
	return last;
}

static void put_routes(path_t *p, const char *name, cr_span_t at, int len)
{
	CR_EDIT(p->e, at, cr_span_str(name), opened(p, len), CR_SPAN("\r\n"));
}

/* For what the client sends in this dialog: into that one of our Record-Routes which is next to it,
 * the first one of a request and the last one of a reply. */
static void put_into_own(path_t *p, cr_path_own_f *is_own, int len)
{
	cr_value_iter_t it = {0};
	cr_span_t value, end = {NULL, 0};
	cr_addr_t a;

	while(cr_sip_next(p->m, CR_RECORD_ROUTE, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK || a.spec.len == a.uri.len
				|| !is_own(a.uri))
			continue;
		end = cr_span_end(a.uri);
		if(p->m->status == 0)
			break;
	}
	if(end.s != NULL && seal(p, &p->m->call_id, opened(p, len)) == CR_OK)
		CR_EDIT(p->e, end, boxed(p));
}

static void request_out(path_t *p, cr_path_own_f *is_own)
{
	cr_span_t value, whole;
	const cr_field_t *first = cr_sip_field(p->m, CR_ROUTE);
	int len;

	if(!cr_param_find(p->m->ruri, CR_PATH_NAME, &value, &whole))
		return;
	cr_edit_replace(p->e, whole, NULL, 0);
	len = open(p, NULL, value);
	if(len <= 0)
		return;
	if(first == NULL)
		first = cr_sip_field(p->m, CR_CALL_ID);
	put_routes(p, "Route: ", cr_span_sub(first->line, 0, 0), len);
	CR_EDIT(p->e, cr_span_end(top_via(p->m)), whole);
	put_into_own(p, is_own, len);
}

/* The client's own Contacts, in the answer to its REGISTER. */
static void clear_contacts(path_t *p)
{
	cr_value_iter_t it = {0};
	cr_span_t value, whole;
	cr_addr_t a;

	while(cr_sip_next(p->m, CR_CONTACT, &it, &value)) {
		if(cr_addr_parse(&a, value) == CR_OK
				&& cr_param_find(a.uri, CR_PATH_NAME, NULL, &whole))
			cr_edit_replace(p->e, whole, NULL, 0);
	}
}

static void reply_out(path_t *p, cr_path_own_f *is_own)
{
	const cr_field_t *last = last_of(p->m, CR_RECORD_ROUTE);
	cr_span_t value, whole;
	int len;

	if(cr_span_eq(p->m->method, CR_SPAN("REGISTER")))
		clear_contacts(p);
	if(!cr_param_find(top_via(p->m), CR_PATH_NAME, &value, &whole))
		return;
	cr_edit_replace(p->e, whole, NULL, 0);
	len = open(p, NULL, value);
	if(len <= 0 || p->m->status <= 100 || p->m->status >= 300)
		return;
	if(last != NULL)
		put_routes(p, "Record-Route: ", cr_span_end(last->line), len);
	else
		put_routes(p, "Record-Route: ",
				cr_span_sub(cr_sip_field(p->m, CR_CALL_ID)->line, 0, 0), len);
	put_into_own(p, is_own, len);
}

int cr_path_out(char *out, size_t out_max, const cr_env_t *env, cr_span_t text,
		cr_path_own_f *is_own)
{
	path_t p;

	if(cr_sip_parse(&env->work->msg, text) != CR_OK)
		return 0;
	p = begin(env);
	if(p.m->status == 0)
		request_out(&p, is_own);
	else
		reply_out(&p, is_own);
	return finish(&p, out, out_max);
}
