/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "splice.h"

#include "dialog_name.h"
#include "grammar.h"
#include "head.h"
#include "map.h"
#include "screen.h"
#include "seal.h"
#include "session_uuid.h"

/* A message that is being translated. */
typedef struct job
{
	const cr_env_t *env;
	const cr_sip_t *m;
	cr_edits_t *e;
	const cr_key_t *key; /* of the map that was found; seals the others too */
	cr_map_t map;
	int err;     /* the first error */
	int refused; /* it is about a map of the message: why that was refused */
	int spliced; /* names of the dialog have been put */
	char text[CR_BOX_TEXT_MAX];
} job_t;

static void fail(job_t *j, int err)
{
	if(j->err == CR_OK)
		j->err = err;
}

/* A map that is in the message, which does not open. */
static void refuse(job_t *j, int err, cr_span_t map)
{
	const cr_env_t *env = j->env;

	if(err == CR_EFORGED
			&& cr_map_is_misplaced(
					env->work->box, env->crypto, env->ring, cr_now_s(env), map))
		err = CR_EMISPLACED;
	if(j->err == CR_OK && err != CR_EINTERNAL)
		j->refused = err;
	fail(j, err);
}

/* ---- maps in a message --------------------------------------------------- */

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

static int open_map(
		job_t *j, cr_purpose_t purpose, cr_dialog_id_t here, cr_span_t text)
{
	const cr_env_t *env = j->env;

	return cr_map_open(&j->map, env->work->box, &j->key, env->crypto, env->ring,
			cr_now_s(env), purpose, &here, text);
}

/* Seal the map that leads from the dialog here to the dialog other, with all
 * else as in the map of the job. The text lives until the next call. */
static cr_span_t seal_map(job_t *j, cr_purpose_t purpose, unsigned flags,
		cr_dialog_id_t here, cr_dialog_id_t other)
{
	cr_map_t map = j->map;
	int len;

	map.flags = (map.flags & CR_MAP_URIS) | flags;
	map.other = other;
	len = cr_map_seal(j->text, sizeof(j->text), j->env->crypto, j->key, purpose,
			&here, &map);
	if(len < 0) {
		fail(j, len);
		len = 0;
	}
	return (cr_span_t){j->text, (size_t)len};
}

/* The parameters of a URI end where its headers begin. */
static cr_span_t uri_params_end(cr_span_t uri)
{
	const char *at = memchr(uri.s, '@', uri.len);
	size_t host = at != NULL ? (size_t)(at - uri.s) : 0;
	cr_span_t rest = cr_span_sub(uri, host, uri.len);
	const char *q = memchr(rest.s, '?', rest.len);

	return q != NULL ? (cr_span_t){q, 0} : cr_span_end(uri);
}

static void add_map_to_contacts(job_t *j, cr_span_t map)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(j->m, CR_CONTACT, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK || cr_span_eq(a.uri, CR_SPAN("*")))
			continue;
		if(a.uri.len + sizeof(CR_MAP_PARAM) - 1 + map.len > CR_TARGET_MAX)
			fail(j, CR_ETOOBIG);
		if(a.spec.len != a.uri.len) {
			CR_EDIT(j->e, uri_params_end(a.uri), CR_SPAN(CR_MAP_PARAM), map);
		} else {
			CR_EDIT(j->e, a.uri, CR_SPAN("<"), a.uri, CR_SPAN(CR_MAP_PARAM),
					map, CR_SPAN(">"));
		}
	}
}

static void add_map_to_via(job_t *j, cr_span_t map)
{
	cr_value_iter_t it = {0};
	cr_span_t via;

	if(cr_sip_next(j->m, CR_VIA, &it, &via))
		CR_EDIT(j->e, cr_span_end(via), CR_SPAN(CR_MAP_PARAM), map);
}

/* ---- what is translated -------------------------------------------------- */

/* A URI that the one dialog has where the other has another one; both may be empty. */
typedef struct uris
{
	cr_span_t here, there;
} uris_t;

/* Give From or To another tag, and the URI of the other dialog. Whoever calls himself
 * something else meanwhile (RFC 4916), or repeats that in an answer (RFC 3261 section
 * 8.2.6.2), is left his name. */
static void put_party(job_t *j, cr_hdr_t id, cr_span_t tag, uris_t uri)
{
	cr_span_t value = cr_sip_field(j->m, id)->value, old;
	cr_addr_t a;

	if(cr_addr_parse(&a, value) != CR_OK) {
		fail(j, CR_EMALFORMED);
		return;
	}
	if(uri.there.len > 0 && cr_span_eq(a.uri, uri.here))
		CR_EDIT(j->e, a.spec, CR_SPAN("<"), uri.there, CR_SPAN(">"));
	if(cr_param_find(a.params, "tag", &old, NULL))
		CR_EDIT(j->e, old, tag);
	else
		CR_EDIT(j->e, cr_span_end(value), CR_SPAN(";tag="), tag);
}

static void put_cseq(job_t *j, uint32_t cseq)
{
	char digits[16];
	cr_writer_t w = cr_writer(digits, sizeof(digits));

	if(cseq > INT32_MAX)
		fail(j, CR_EMALFORMED);
	cr_put_uint(&w, cseq);
	CR_EDIT(j->e, j->m->cseq_digits, cr_written(&w));
}

/* RAck = response-num LWS CSeq-num LWS Method (RFC 3262 section 7.2): the
 * second number is the CSeq of the client's INVITE. */
static void shift_rack(job_t *j)
{
	const cr_field_t *f = cr_sip_field(j->m, CR_RACK);
	char digits[16];
	cr_writer_t w = cr_writer(digits, sizeof(digits));
	cr_span_t s;
	uint32_t n = 0;
	size_t i = 0;

	if(f == NULL)
		return;
	s = f->value;
	while(s.len > 0 && s.s[0] != ' ' && s.s[0] != '\t')
		s = cr_span_sub(s, 1, s.len);
	s = cr_span_trim(s);
	for(; i < s.len && i < 10 && s.s[i] >= '0' && s.s[i] <= '9'; i++)
		n = n * 10 + (uint32_t)(s.s[i] - '0');
	cr_put_uint(&w, n + j->map.cseq_offset);
	if(i > 0)
		CR_EDIT(j->e, cr_span_sub(s, 0, i), cr_written(&w));
}

/* Name the dialog to translate to. */
static void put_dialog(job_t *j, cr_hdr_t client, cr_dialog_id_t id,
		cr_span_t remote_tag, uris_t local, uris_t remote)
{
	if(!(j->map.flags & CR_MAP_URIS))
		local.there.len = remote.there.len = 0;
	j->spliced = 1;
	CR_EDIT(j->e, j->m->call_id, id.call_id);
	put_party(j, client, id.tag, local);
	put_party(j, client == CR_FROM ? CR_TO : CR_FROM, remote_tag, remote);
}

static void put_dialog_n(
		job_t *j, cr_hdr_t client, cr_dialog_id_t n, cr_span_t remote_tag)
{
	put_dialog(j, client, n, remote_tag,
			(uris_t){j->map.o_local, j->map.n_local},
			(uris_t){j->map.o_remote, j->map.n_remote});
}

static void put_dialog_o(
		job_t *j, cr_hdr_t client, cr_dialog_id_t o, cr_span_t remote_tag)
{
	put_dialog(j, client, o, remote_tag,
			(uris_t){j->map.n_local, j->map.o_local},
			(uris_t){j->map.n_remote, j->map.o_remote});
}

/* ---- dialog names in other fields ---------------------------------------- */

/* A name of N: one of the tags brings its own map. */
static int name_to_o(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from)
{
	job_t *j = arg;

	for(int i = 0; i < 2; i++) {
		cr_dialog_id_t n = {from->call_id, from->tags[1 - i]};
		cr_span_t bare, text;

		if(!split_tag(from->tags[i], &bare, &text))
			continue;
		int err = open_map(j, CR_PURPOSE_TAG, n, text);
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
	job_t *j;
	cr_span_t ruri_map;
	int found; /* a name of O */
	char tag[CR_BOX_TEXT_MAX + 256];
} to_n_t;

/* The remote tag of N: the peer's own, with the map to O behind it. */
static cr_span_t n_remote_tag(job_t *j, char *mem, size_t mem_max,
		cr_span_t bare, cr_dialog_id_t n, cr_dialog_id_t o)
{
	cr_writer_t w = cr_writer(mem, mem_max);

	cr_put_span(&w, bare);
	cr_put_str(&w, CR_MAP_TAG);
	cr_put_span(&w, seal_map(j, CR_PURPOSE_TAG, 0, n, o));
	if(cr_writer_end(&w) != CR_OK)
		fail(j, CR_ETOOBIG);
	return cr_written(&w);
}

/* A name of O: the map in the Request-URI opens for its own dialog only. */
static int name_to_n(
		void *arg, cr_dialog_name_t *to, const cr_dialog_name_t *from)
{
	to_n_t *a = arg;

	for(int i = 0; i < 2; i++) {
		cr_dialog_id_t o = {from->call_id, from->tags[i]};

		if(open_map(a->j, CR_PURPOSE_CONTACT, o, a->ruri_map) != CR_OK)
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

static cr_span_t tag_of(const cr_sip_t *m, cr_hdr_t id)
{
	return cr_tag_of(cr_sip_field(m, id)->value);
}

static int start_job(job_t *j, const cr_env_t *env, cr_span_t text)
{
	j->env = env;
	j->m = &env->work->msg;
	j->e = &env->work->edits;
	j->key = NULL;
	j->err = j->refused = CR_OK;
	j->spliced = 0;
	cr_edits_init(j->e, j->m);
	return cr_sip_parse(&env->work->msg, text);
}

static cr_edge_t report(const job_t *j, cr_verdict_t verdict)
{
	return (cr_edge_t){.verdict = verdict,
			.refused = j->refused,
			.failed = j->refused == CR_OK ? j->err : CR_OK,
			.call_id = j->m->call_id};
}

/* @param failed  the verdict when the new message cannot be made */
static cr_edge_t finish_job(
		job_t *j, char *out, size_t out_max, cr_verdict_t failed)
{
	cr_edge_t edge;
	int len = 0;

	if(j->e->n > 0)
		len = cr_edits_apply(out, out_max, j->e);
	if(len < 0)
		fail(j, len);
	edge = report(j, len > 0 ? CR_CHANGED : len < 0 ? failed : CR_KEEP);
	edge.len = len > 0 ? (size_t)len : 0;
	edge.spliced = j->spliced && edge.verdict == CR_CHANGED;
	return edge;
}

/* N to O for a request of the client (client is From) or its reply (To). */
static void translate_in(job_t *j, cr_hdr_t client, cr_span_t bare)
{
	cr_dialog_id_t n = {j->m->call_id, tag_of(j->m, client)};
	cr_dialog_id_t o = j->map.other;

	put_dialog_o(j, client, o, bare);
	if(client == CR_FROM) {
		put_cseq(j, j->m->cseq + j->map.cseq_offset);
		shift_rack(j);
		add_map_to_via(j, seal_map(j, CR_PURPOSE_VIA, 0, o, n));
	}
	/* The Contact of a redirection is not the client's own. */
	if(j->m->status < 300)
		add_map_to_contacts(j, seal_map(j, CR_PURPOSE_CONTACT, 0, o, n));
}

/* Behind Call-ID, in front of its line end: the line that follows may be one that is
 * taken off. */
static void put_route(job_t *j, cr_span_t own)
{
	cr_span_t line = cr_sip_field(j->m, CR_CALL_ID)->line;

	if(own.len == 0 || j->m->status != 0 || cr_sip_field(j->m, CR_ROUTE) != NULL
			|| line.len < 2 || line.s[line.len - 2] != '\r')
		return;
	CR_EDIT(j->e, cr_span_sub(line, line.len - 2, 0), CR_SPAN("\r\nRoute: <"),
			own, CR_SPAN(";lr>"));
}

cr_edge_t cr_edge_in(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t text, cr_span_t own)
{
	cr_span_t bare, map;
	cr_hdr_t client;
	job_t j;

	if(start_job(&j, env, text) != CR_OK)
		return (cr_edge_t){.verdict = CR_KEEP};
	cr_screen_in(j.e, j.m);
	client = j.m->status == 0 ? CR_FROM : CR_TO;
	if(split_tag(
			   tag_of(j.m, client == CR_FROM ? CR_TO : CR_FROM), &bare, &map)) {
		cr_dialog_id_t n = {j.m->call_id, tag_of(j.m, client)};
		int err = open_map(&j, CR_PURPOSE_TAG, n, map);

		if(err == CR_OK) {
			put_route(&j, own);
			translate_in(&j, client, bare);
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
		cr_screen_in(j.e, j.m);
	}
	return finish_job(&j, out, out_max, CR_KEEP);
}

/* A reply that names O must not reach the client: where the map does not open,
 * the client had better ask again. */
static cr_edge_t reply_out(job_t *j, char *out, size_t out_max, cr_span_t via)
{
	cr_dialog_id_t o = {j->m->call_id, tag_of(j->m, CR_FROM)}, n;
	cr_span_t text, param, tag = tag_of(j->m, CR_TO);
	char mem[CR_BOX_TEXT_MAX + 256];
	int err;

	if(!cr_param_find(via, CR_MAP_MARK, &text, &param))
		return finish_job(j, out, out_max, CR_DROP);
	err = open_map(j, CR_PURPOSE_VIA, o, text);
	if(err != CR_OK) {
		refuse(j, err, text);
	} else {
		n = j->map.other;
		/* Before there is a dialog, the client's ACK and CANCEL must stay in N
		 * as its INVITE was: they get a tag without a map. */
		if(!(j->map.flags & CR_MAP_RESUME)
				|| (j->m->status > 100 && j->m->status < 300))
			tag = n_remote_tag(j, mem, sizeof(mem), tag, n, o);
		put_dialog_n(j, CR_FROM, n, tag);
		put_cseq(j, j->m->cseq - j->map.cseq_offset);
		cr_edit_replace(j->e, param, NULL, 0);
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

static cr_edge_t request_out(job_t *j, char *out, size_t out_max)
{
	cr_dialog_id_t o = {j->m->call_id, tag_of(j->m, CR_TO)}, n;
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
		err = open_map(j, CR_PURPOSE_CONTACT, o, text);
	if(err != CR_OK)
		refuse(j, err, text);
	if(o.tag.len > 0 && j->err == CR_OK) {
		n = j->map.other;
		put_dialog_n(j, CR_TO, n,
				n_remote_tag(j, mem, sizeof(mem), tag_of(j->m, CR_FROM), n, o));
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

	return mark.len > 0 && memmem(text.s, text.len, mark.s, mark.len) != NULL;
}

static cr_edge_t translate_out(
		char *out, size_t out_max, const cr_env_t *env, cr_span_t text)
{
	cr_edge_t edge = {.verdict = CR_KEEP};
	cr_value_iter_t it = {0};
	const cr_field_t *order;
	cr_span_t via;
	job_t j;
	int sealed;
	int err = start_job(&j, env, text);

	if(err != CR_OK) {
		if(is_too_strange(text)) {
			edge.verdict = CR_DROP;
			*(shows_order(env, text) ? &edge.unsealed : &edge.refused) = err;
		}
		return edge;
	}
	sealed = cr_seal_run_order(j.e, env, j.m, &order);
	cr_screen_out(j.e, env, j.m, order);
	if(env->session_uuids)
		cr_session_uuid_put(j.e, env, j.m);
	if(j.m->status == 0)
		edge = request_out(&j, out, out_max);
	else if(cr_sip_next(j.m, CR_VIA, &it, &via))
		edge = reply_out(&j, out, out_max, via);
	else
		edge = finish_job(&j, out, out_max, CR_DROP);
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

	if(edge.verdict != CR_DROP && shows_order(env, sent)) {
		edge = (cr_edge_t){.verdict = CR_DROP,
				.unsealed = edge.unsealed ? edge.unsealed : CR_EMALFORMED,
				.call_id = edge.call_id};
	}
	return edge;
}

int cr_edge_proves(const cr_env_t *env, cr_span_t text)
{
	cr_value_iter_t it = {0};
	cr_span_t via, map;
	job_t j;

	if(!cr_screen_concerned(text) || start_job(&j, env, text) != CR_OK
			|| j.m->status == 0)
		return 0;
	cr_dialog_id_t o = {j.m->call_id, tag_of(j.m, CR_FROM)};
	while(cr_sip_next(j.m, CR_VIA, &it, &via)) {
		if(cr_param_find(via, CR_MAP_MARK, &map, NULL))
			return open_map(&j, CR_PURPOSE_VIA, o, map) == CR_OK;
	}
	return 0;
}

int cr_edge_names(const cr_env_t *env, cr_span_t text)
{
	to_n_t names = {0};
	job_t j;

	if(start_job(&j, env, text) != CR_OK || j.m->status != 0
			|| !cr_param_find(j.m->ruri, CR_MAP_MARK, &names.ruri_map, NULL))
		return 0;
	names.j = &j;
	cr_rename_dialogs(j.e, j.m, name_to_n, &names);
	return names.found;
}

/* ---- the resume INVITE ---------------------------------------------------- */

/* The state's CSeq and a jump that grows with time, so that requests which the
 * state does not know of and two resumes from one state stay apart. */
static uint32_t resume_cseq(const cr_env_t *env, const cr_state_t *st)
{
	int64_t age_ms = env->now_ms - st->iat;
	int64_t base = st->cseq >= 0 ? st->cseq : CR_CSEQ_UNKNOWN;

	if(age_ms < 0)
		age_ms = 0;
	base += CR_CSEQ_JUMP + age_ms / CR_CSEQ_MS;
	return base > INT32_MAX ? INT32_MAX : (uint32_t)base;
}

/* Both or, where the two dialogs have the same, neither. */
static void set_pair(
		job_t *j, cr_hdr_t id, cr_span_t *n, cr_span_t *o, cr_span_t o_uri)
{
	cr_addr_t a;

	if(cr_addr_parse(&a, cr_sip_field(j->m, id)->value) != CR_OK) {
		fail(j, CR_EMALFORMED);
		return;
	}
	if(cr_span_eq(a.uri, o_uri))
		return;
	*n = a.uri;
	*o = o_uri;
	j->map.flags |= CR_MAP_URIS;
}

static void set_uris(job_t *j, const cr_state_t *st)
{
	set_pair(j, CR_FROM, &j->map.n_local, &j->map.o_local, st->local_uri);
	set_pair(j, CR_TO, &j->map.n_remote, &j->map.o_remote, st->remote_uri);
}

static void remove_fields(job_t *j, cr_hdr_t id)
{
	for(int i = 0; i < j->m->n_fields; i++) {
		if(j->m->fields[i].id == id)
			cr_edit_replace(j->e, j->m->fields[i].line, NULL, 0);
	}
}

static void put_route_set(job_t *j, const cr_state_t *st)
{
	cr_span_t end = cr_span_end(cr_sip_field(j->m, CR_CALL_ID)->line);

	for(int i = 0; i < st->n_routes; i++)
		CR_EDIT(j->e, end, CR_SPAN("Route: <"), st->routes[i],
				CR_SPAN(">\r\n"));
}

/* The INVITE must be one that can be turned: N's own names, and a Contact. */
static int check_resume(job_t *j, cr_span_t own_tag)
{
	cr_value_iter_t it = {0};
	cr_span_t contact;

	if(j->m->status != 0 || !cr_span_eq(j->m->method, CR_SPAN("INVITE"))
			|| !cr_sip_next(j->m, CR_CONTACT, &it, &contact)
			|| tag_of(j->m, CR_FROM).len == 0)
		return CR_EMALFORMED;
	if(tag_of(j->m, CR_TO).len > 0)
		return CR_EUNSUPPORTED;
	return own_tag.len > 0 ? CR_OK : CR_EMISSING;
}

int cr_splice_resume(char *out, size_t out_max, const cr_env_t *env,
		const cr_state_t *st, cr_span_t own_tag, cr_span_t text)
{
	static const cr_hdr_t gone[] = {CR_ROUTE, CR_CALL_STATE, CR_AUTHORIZATION,
			CR_FINGERPRINT, CR_SESSION};
	uint32_t cseq = resume_cseq(env, st);
	job_t j;
	int err = start_job(&j, env, text);

	if(st->local_tag.len > 0)
		own_tag = st->local_tag;
	if(err == CR_OK)
		err = check_resume(&j, own_tag);
	if(err != CR_OK)
		return err;
	cr_dialog_id_t n = {j.m->call_id, tag_of(j.m, CR_FROM)};
	cr_dialog_id_t o = {st->call_id, own_tag};

	j.key = cr_ring_sealing(env->ring, cr_now_s(env));
	if(j.key == NULL)
		return CR_EKEY;
	j.map = (cr_map_t){.cseq_offset = cseq - j.m->cseq,
			.exp = (uint32_t)(cr_now_s(env) + env->map_ttl_s)};
	set_uris(&j, st);
	CR_EDIT(j.e, j.m->ruri, st->target);
	put_dialog_o(&j, CR_FROM, o, st->remote_tag);
	put_cseq(&j, cseq);
	put_route_set(&j, st);
	for(size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		remove_fields(&j, gone[i]);
	add_map_to_via(&j, seal_map(&j, CR_PURPOSE_VIA, CR_MAP_RESUME, o, n));
	add_map_to_contacts(&j, seal_map(&j, CR_PURPOSE_CONTACT, 0, o, n));
	return j.err != CR_OK ? j.err : cr_edits_apply(out, out_max, j.e);
}
