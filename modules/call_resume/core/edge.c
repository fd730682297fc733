/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "edge.h"

#include "dialog_name.h"
#include "grammar.h"
#include "head.h"
#include "quiet.h"
#include "screen.h"
#include "seal.h"
#include "session_uuid.h"
#include "translate.h"

/* A map that is in the message, which does not open. */
static void refuse(cr_job_t *j, int err, cr_span_t map)
{
	const cr_env_t *env = j->env;

	if(err == CR_EFORGED
			&& cr_map_is_misplaced(
					env->work->box, env->crypto, env->ring, cr_now_s(env), map))
		err = CR_EMISPLACED;
	if(j->err == CR_OK && err != CR_EINTERNAL)
		j->refused = err;
	cr_translate_fail(j, err);
}

/* The remote tag that the client gets is <peer's tag>CR_MAP_TAG<map>. */
static int split_tag(cr_span_t tag, cr_span_t *bare, cr_span_t *map)
{
	cr_span_t mark = CR_SPAN(CR_MAP_TAG);
	size_t at = tag.len;

	while(at > 0) {
		if(cr_span_eq(cr_span_sub(tag, --at, mark.len), mark)) {
			*bare = cr_span_sub(tag, 0, at);
			*map = cr_span_sub(tag, at + mark.len, tag.len);
			return 1;
		}
	}
	*bare = tag;
	return 0;
}

/* ---- dialog names in other fields ---------------------------------------- */

/* A name of N: one of the tags brings its own map. */
static int name_to_o(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from)
{
	cr_job_t *j = arg;

	for(int i = 0; i < 2; i++) {
		cr_dialog_id_t n = {from->call_id, from->tags[1 - i]};
		cr_span_t bare, text;

		if(!split_tag(from->tags[i], &bare, &text))
			continue;
		int err = cr_translate_open(j, CR_PURPOSE_TAG, n, text);
		if(err != CR_OK) {
			refuse(j, err, text);
			return 0;
		}
		to->call_id = j->map.other.call_id;
		to->tags[i] = bare;
		to->tags[1 - i] = j->map.other.tag;
		return 1;
	}
	return 0;
}

typedef struct to_n
{
	cr_job_t *j;
	cr_span_t ruri_map;
	int found; /* a name of O */
	char tag[CR_BOX_TEXT_MAX + 256];
} to_n_t;

/* The remote tag of N: the peer's own, with the map to O behind it. */
static cr_span_t n_remote_tag(cr_job_t *j, char *mem, size_t mem_max,
		cr_span_t bare, cr_dialog_id_t n, cr_dialog_id_t o)
{
	cr_writer_t w = cr_writer(mem, mem_max);

	cr_put_span(&w, bare);
	cr_put_str(&w, CR_MAP_TAG);
	cr_put_span(&w, cr_translate_seal(j, CR_PURPOSE_TAG, 0, n, o));
	if(cr_writer_end(&w) != CR_OK)
		cr_translate_fail(j, CR_ETOOBIG);
	return cr_written(&w);
}

/* A name of O: the map in the Request-URI opens for its own dialog only. */
static int name_to_n(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from)
{
	to_n_t *a = arg;

	for(int i = 0; i < 2; i++) {
		cr_dialog_id_t o = {from->call_id, from->tags[i]};

		if(cr_translate_open(a->j, CR_PURPOSE_CONTACT, o, a->ruri_map) != CR_OK)
			continue;
		to->call_id = a->j->map.other.call_id;
		to->tags[i] = a->j->map.other.tag;
		to->tags[1 - i] = n_remote_tag(a->j, a->tag, sizeof(a->tag),
				from->tags[1 - i], a->j->map.other, o);
		a->found = 1;
		return 1;
	}
	return 0;
}

/* ---- the edge ------------------------------------------------------------ */

static cr_edge_t report(const cr_job_t *j, cr_verdict_t verdict)
{
	return (cr_edge_t){.verdict = verdict,
			.refused = j->refused,
			.failed = j->refused == CR_OK ? j->err : CR_OK,
			.call_id = j->m->call_id};
}

/* @param failed  the verdict when the new message cannot be made */
static cr_edge_t finish_job(
		cr_job_t *j, char *out, size_t out_max, cr_verdict_t failed)
{
	cr_edge_t edge;
	int len = 0;

	if(j->e->n > 0)
		len = cr_edits_apply(out, out_max, j->e);
	if(len < 0)
		cr_translate_fail(j, len);
	edge = report(j, len > 0 ? CR_CHANGED : len < 0 ? failed : CR_KEEP);
	edge.len = len > 0 ? (size_t)len : 0;
	edge.spliced = j->spliced && edge.verdict == CR_CHANGED;
	return edge;
}

/* N to O for a request of the client (client is From) or its reply (To). */
static void translate_in(cr_job_t *j, cr_hdr_t client, cr_span_t bare)
{
	cr_dialog_id_t n = {j->m->call_id, cr_sip_tag(j->m, client)};
	cr_dialog_id_t o = j->map.other;

	cr_translate_to_o(j, client, o, bare);
	if(client == CR_FROM) {
		cr_translate_cseq(j, j->m->cseq + j->map.cseq_offset);
		cr_translate_rack(j);
		cr_translate_event_id(j, "SUBSCRIBE", j->map.cseq_offset);
		cr_translate_via(j, cr_translate_seal(j, CR_PURPOSE_VIA, 0, o, n));
	}
	/* The Contact of a redirection is not the client's own. */
	if(j->m->status < 300 && cr_sip_field(j->m, CR_CONTACT) != NULL)
		cr_translate_contacts(
				j, cr_translate_seal(j, CR_PURPOSE_CONTACT, 0, o, n));
}

/* Behind Call-ID, in front of its line end: the line that follows may be one that is
 * taken off. */
static void put_route(cr_job_t *j, cr_span_t own)
{
	cr_span_t line = cr_sip_field(j->m, CR_CALL_ID)->line;

	if(own.len == 0 || j->m->status != 0 || cr_sip_field(j->m, CR_ROUTE) != NULL
			|| line.len < 2 || line.s[line.len - 2] != '\r')
		return;
	CR_EDIT(j->e, cr_span_sub(line, line.len - 2, 0), CR_SPAN("\r\nRoute: <"),
			own, CR_SPAN(";lr>"));
}

/* The ACK to the 2xx of a resume that the far end has not seen: our own Route says which
 * that was. */
static int ends_here(const cr_job_t *j, cr_hdr_t client)
{
	cr_value_iter_t it = {0};
	cr_span_t route, cseq;
	char digits[16];
	cr_writer_t w = cr_writer(digits, sizeof(digits));
	cr_addr_t a;

	cr_put_uint(&w, j->m->cseq + j->map.cseq_offset);
	return client == CR_FROM && j->spliced
			&& cr_span_eq(j->m->method, CR_SPAN("ACK"))
			&& cr_sip_next(j->m, CR_ROUTE, &it, &route)
			&& cr_addr_parse(&a, route) == CR_OK
			&& cr_param_find(a.uri, CR_ROUTE_QUIET, &cseq, NULL)
			&& cr_span_eq(cseq, cr_written(&w));
}

/* The map of a Via. Ours alone: of its name in capitals a sender has his own parameter, which is
 * not looked for in all that comes in. @return 0 when there is none */
static int find_map(cr_span_t via, cr_param_t *map)
{
	size_t next = 0;

	while(cr_param_next(via, &next, map)) {
		if(cr_span_eq(map->name, CR_SPAN(CR_MAP_MARK)))
			return 1;
	}
	return 0;
}

/* That of the first one. */
static int find_first_map(const cr_sip_t *m, cr_param_t *map)
{
	cr_value_iter_t it = {0};
	cr_span_t via;

	return cr_sip_next(m, CR_VIA, &it, &via) && find_map(via, map);
}

cr_edge_t cr_edge_in(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, cr_span_t own)
{
	cr_span_t bare, map;
	cr_param_t of_via;
	cr_hdr_t client;
	cr_job_t j;

	if(cr_translate_begin(&j, env, text) != CR_OK)
		return (cr_edge_t){.verdict = CR_KEEP};
	/* In front of the client's Via that has our map is one of ours, in all that comes back to
	 * us. To this one no answer could be sent: reply_out() would drop each. */
	if(j.m->status == 0 && find_first_map(j.m, &of_via))
		return (cr_edge_t){.verdict = CR_DROP,
				.refused = CR_EMALFORMED,
				.call_id = j.m->call_id};
	cr_screen_in(j.e, env, j.m);
	client = j.m->status == 0 ? CR_FROM : CR_TO;
	if(split_tag(cr_sip_tag(j.m, client == CR_FROM ? CR_TO : CR_FROM), &bare,
			   &map)) {
		cr_dialog_id_t n = {j.m->call_id, cr_sip_tag(j.m, client)};
		int err = cr_translate_open(&j, CR_PURPOSE_TAG, n, map);

		if(err == CR_OK) {
			put_route(&j, own);
			translate_in(&j, client, bare);
			if(j.err == CR_OK && ends_here(&j, client))
				return (cr_edge_t){.verdict = CR_DROP, .quiet = 1};
		} else {
			refuse(&j, err, map);
		}
	}
	if(j.err == CR_OK) {
		cr_rename_dialogs(j.e, j.m, name_to_o, &j);
	} else {
		/* Not half translated. */
		j.spliced = 0;
		cr_edits_init(j.e, j.m);
		cr_screen_in(j.e, env, j.m);
	}
	return finish_job(&j, out, out_max, CR_KEEP);
}

/* A reply that names O must not reach the client: where the map does not open,
 * the client had better ask again. */
static cr_edge_t reply_out(cr_job_t *j, char *out, size_t out_max)
{
	cr_dialog_id_t o = {j->m->call_id, cr_sip_tag(j->m, CR_FROM)}, n;
	cr_span_t tag = cr_sip_tag(j->m, CR_TO);
	cr_param_t map;
	char mem[CR_BOX_TEXT_MAX + 256];
	int err;

	if(!find_first_map(j->m, &map))
		return finish_job(j, out, out_max, CR_DROP);
	err = cr_translate_open(j, CR_PURPOSE_VIA, o, map.value);
	if(err != CR_OK) {
		refuse(j, err, map.value);
	} else {
		n = j->map.other;
		/* Before there is a dialog, the client's ACK and CANCEL must stay in N
		 * as its INVITE was: they get a tag without a map. */
		if(!(j->map.flags & CR_MAP_RESUME)
				|| (j->m->status > 100 && j->m->status < 300))
			tag = n_remote_tag(j, mem, sizeof(mem), tag, n, o);
		cr_translate_to_n(j, CR_FROM, n, tag);
		cr_translate_cseq(j, j->m->cseq - j->map.cseq_offset);
		cr_edit_replace(j->e, map.whole, NULL, 0);
	}
	if(j->err != CR_OK)
		return report(j, CR_DROP);
	return finish_job(j, out, out_max, CR_DROP);
}

/* Whether a request is in no dialog, for every reader: what is in one, and has a To that we
 * do not read, would show O. */
static int has_no_tag(const cr_sip_t *m)
{
	cr_span_t to = cr_sip_field(m, CR_TO)->value;
	cr_addr_t a;

	return cr_is_name_addr(to) && cr_addr_parse(&a, to) == CR_OK
			&& !cr_param_find(a.params, "tag", NULL, NULL);
}

static cr_edge_t request_out(cr_job_t *j, char *out, size_t out_max)
{
	cr_dialog_id_t o = {j->m->call_id, cr_sip_tag(j->m, CR_TO)}, n;
	char mem[CR_BOX_TEXT_MAX + 256];
	cr_span_t text, param;
	to_n_t names = {.j = j};
	int err = CR_OK;

	/* With a Route left the client is not the next hop: another gateway is. */
	if(cr_sip_field(j->m, CR_ROUTE) != NULL
			|| !cr_param_find(j->m->ruri, CR_MAP_MARK, &text, &param)
			|| param.s == j->m->ruri.s)
		return finish_job(j, out, out_max, CR_DROP);
	if(o.tag.len == 0 && !has_no_tag(j->m))
		return (cr_edge_t){.verdict = CR_DROP, .refused = CR_EMALFORMED};
	names.ruri_map = text;
	cr_rename_dialogs(j->e, j->m, name_to_n, &names);
	/* Somebody else's parameter, which happens to have that name. */
	if(o.tag.len == 0 && !names.found)
		return finish_job(j, out, out_max, CR_DROP);
	if(o.tag.len > 0)
		err = cr_translate_open(j, CR_PURPOSE_CONTACT, o, text);
	if(err != CR_OK)
		refuse(j, err, text);
	if(o.tag.len > 0 && j->err == CR_OK) {
		n = j->map.other;
		cr_translate_to_n(j, CR_TO, n,
				n_remote_tag(
						j, mem, sizeof(mem), cr_sip_tag(j->m, CR_FROM), n, o));
		cr_translate_event_id(j, "NOTIFY", 0 - j->map.cseq_offset);
	}
	if(j->err != CR_OK)
		return report(j, CR_DROP);
	cr_edit_replace(j->e, param, NULL, 0);
	return finish_job(j, out, out_max, CR_DROP);
}

/* Too strange to be taken apart: a reply to a resumed client cannot be translated, a
 * field that somebody has planted cannot be taken off. */
static int is_too_strange(cr_span_t text)
{
	return cr_head_states(text)
			|| (cr_span_eq_case(cr_span_sub(cr_span_trim(text), 0, 8),
						CR_SPAN("SIP/2.0 "))
					&& memmem(text.s, text.len, CR_MAP_PARAM,
							   sizeof(CR_MAP_PARAM) - 1)
							!= NULL);
}

/* An order to seal that was not carried out, in whatever shape a far end has
 * got it to be. Its mark is known to the gateway only, and has to stay so. */
static int shows_order(const cr_env_t *env, cr_span_t text)
{
	cr_span_t mark = cr_span_str(env->order_mark);
	const char *p = text.s, *end = text.s + text.len;

	while(mark.len > 0 && p < end
			&& (p = memchr(p, mark.s[0], (size_t)(end - p))) != NULL) {
		if((size_t)(end - p) >= mark.len && memcmp(p, mark.s, mark.len) == 0)
			return 1;
		p++;
	}
	return 0;
}

static cr_edge_t translate_out(
		char *out, size_t out_max, const cr_env_t *env, cr_span_t text)
{
	cr_edge_t edge = {.verdict = CR_KEEP};
	const cr_field_t *order;
	cr_job_t j;
	int sealed;
	int err = cr_translate_begin(&j, env, text);

	if(err != CR_OK) {
		if(is_too_strange(text)) {
			edge.verdict = CR_DROP;
			*(shows_order(env, text) ? &edge.unsealed : &edge.refused) = err;
		}
		return edge;
	}
	edge.len = 0;
	if(j.m->status == 0 && cr_quiet_has(env, j.m)) {
		int len = cr_quiet_reply(out, out_max, env, text);

		edge.verdict = len > 0 ? CR_CHANGED : CR_DROP;
		edge.len = len > 0 ? (size_t)len : 0;
		edge.failed = len > 0 ? CR_OK : len;
		edge.quiet = 1;
		return edge;
	}
	sealed = cr_seal_run_order(j.e, env, j.m, &order);
	cr_screen_out(j.e, env, j.m, order);
	if(env->session_uuids)
		cr_session_uuid_put(j.e, env, j.m);
	if(j.m->status == 0)
		edge = request_out(&j, out, out_max);
	else
		edge = reply_out(&j, out, out_max);
	edge.sealed = sealed == CR_OK && edge.verdict == CR_CHANGED;
	edge.unsealed = sealed == CR_EMISSING ? CR_OK : sealed;
	/* There was nothing to do but to add a field that it can do without. */
	if(edge.verdict == CR_DROP && !cr_screen_concerned(text))
		edge.verdict = CR_KEEP;
	return edge;
}

cr_edge_t cr_edge_out(
		char *out, size_t out_max, const cr_env_t *env, cr_span_t text)
{
	cr_edge_t edge = translate_out(out, out_max, env, text);
	cr_span_t sent
			= edge.verdict == CR_CHANGED ? (cr_span_t){out, edge.len} : text;

	if(edge.verdict != CR_DROP && !edge.quiet && shows_order(env, sent)) {
		edge = (cr_edge_t){.verdict = CR_DROP,
				.unsealed = edge.unsealed ? edge.unsealed : CR_EMALFORMED,
				.call_id = edge.call_id};
	}
	return edge;
}

int cr_edge_proves(const cr_env_t *env, cr_span_t text)
{
	cr_value_iter_t it = {0};
	cr_param_t map;
	cr_span_t via;
	cr_job_t j;

	if(!cr_screen_concerned(text) || cr_translate_begin(&j, env, text) != CR_OK
			|| j.m->status == 0)
		return 0;
	cr_dialog_id_t o = {j.m->call_id, cr_sip_tag(j.m, CR_FROM)};
	while(cr_sip_next(j.m, CR_VIA, &it, &via)) {
		if(find_map(via, &map))
			return cr_translate_open(&j, CR_PURPOSE_VIA, o, map.value) == CR_OK;
	}
	return 0;
}

int cr_edge_names(const cr_env_t *env, cr_span_t text)
{
	to_n_t names = {0};
	cr_job_t j;

	if(cr_translate_begin(&j, env, text) != CR_OK || j.m->status != 0
			|| !cr_param_find(j.m->ruri, CR_MAP_MARK, &names.ruri_map, NULL))
		return 0;
	names.j = &j;
	cr_rename_dialogs(j.e, j.m, name_to_n, &names);
	return names.found;
}
