/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "splice.h"

#include "grammar.h"
#include "translate.h"

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
		cr_job_t *j, cr_hdr_t id, cr_span_t *n, cr_span_t *o, cr_span_t o_uri)
{
	cr_addr_t a;

	if(cr_addr_parse(&a, cr_sip_field(j->m, id)->value) != CR_OK) {
		cr_translate_fail(j, CR_EMALFORMED);
		return;
	}
	if(cr_span_eq(a.uri, o_uri))
		return;
	*n = a.uri;
	*o = o_uri;
	j->map.flags |= CR_MAP_URIS;
}

static void set_uris(cr_job_t *j, const cr_state_t *st)
{
	set_pair(j, CR_FROM, &j->map.n_local, &j->map.o_local, st->local_uri);
	set_pair(j, CR_TO, &j->map.n_remote, &j->map.o_remote, st->remote_uri);
}

static void remove_fields(cr_job_t *j, cr_hdr_t id)
{
	for(int i = 0; i < j->m->n_fields; i++) {
		if(j->m->fields[i].id == id)
			cr_edit_replace(j->e, j->m->fields[i].line, NULL, 0);
	}
}

static void put_route_set(cr_job_t *j, const cr_state_t *st)
{
	cr_span_t end = cr_span_end(cr_sip_field(j->m, CR_CALL_ID)->line);

	for(int i = 0; i < st->n_routes; i++)
		CR_EDIT(j->e, end, CR_SPAN("Route: <"), st->routes[i],
				CR_SPAN(">\r\n"));
}

/* The INVITE must be one that can be turned: N's own names, and a Contact. */
static int check_resume(cr_job_t *j, cr_span_t own_tag)
{
	cr_value_iter_t it = {0};
	cr_span_t contact;

	if(j->m->status != 0 || !cr_span_eq(j->m->method, CR_SPAN("INVITE"))
			|| !cr_sip_next(j->m, CR_CONTACT, &it, &contact)
			|| cr_sip_tag(j->m, CR_FROM).len == 0)
		return CR_EMALFORMED;
	if(cr_sip_tag(j->m, CR_TO).len > 0)
		return CR_EUNSUPPORTED;
	return own_tag.len > 0 ? CR_OK : CR_EMISSING;
}

int cr_splice_resume(char *out, size_t out_max, const cr_env_t *env,
		const cr_state_t *st, cr_span_t own_tag, cr_span_t text)
{
	static const cr_hdr_t gone[] = {CR_ROUTE, CR_CALL_STATE, CR_AUTHORIZATION,
			CR_FINGERPRINT, CR_SESSION};
	uint32_t cseq = resume_cseq(env, st);
	cr_job_t j;
	int err = cr_translate_begin(&j, env, text);

	if(st->local_tag.len > 0)
		own_tag = st->local_tag;
	if(err == CR_OK)
		err = check_resume(&j, own_tag);
	if(err != CR_OK)
		return err;
	cr_dialog_id_t n = {j.m->call_id, cr_sip_tag(j.m, CR_FROM)};
	cr_dialog_id_t o = {st->call_id, own_tag};

	j.key = cr_ring_sealing(env->ring, cr_now_s(env));
	if(j.key == NULL)
		return CR_EKEY;
	j.map = (cr_map_t){.cseq_offset = cseq - j.m->cseq,
			.exp = (uint32_t)(cr_now_s(env) + env->map_ttl_s)};
	set_uris(&j, st);
	CR_EDIT(j.e, j.m->ruri, st->target);
	cr_translate_to_o(&j, CR_FROM, o, st->remote_tag);
	cr_translate_cseq(&j, cseq);
	put_route_set(&j, st);
	for(size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		remove_fields(&j, gone[i]);
	cr_translate_via(
			&j, cr_translate_seal(&j, CR_PURPOSE_VIA, CR_MAP_RESUME, o, n));
	cr_translate_contacts(
			&j, cr_translate_seal(&j, CR_PURPOSE_CONTACT, 0, o, n));
	return j.err != CR_OK ? j.err : cr_edits_apply(out, out_max, j.e);
}
