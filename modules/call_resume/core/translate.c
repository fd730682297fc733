/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "translate.h"

#include "grammar.h"

int cr_translate_begin(cr_job_t *j, const cr_env_t *env, cr_span_t text)
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

void cr_translate_fail(cr_job_t *j, int err)
{
	if(j->err == CR_OK)
		j->err = err;
}

/* ---- maps in a message --------------------------------------------------- */

int cr_translate_open(
		cr_job_t *j, cr_purpose_t purpose, cr_dialog_id_t here, cr_span_t text)
{
	const cr_env_t *env = j->env;

	return cr_map_open(&j->map, env->work->box, &j->key, env->crypto, env->ring,
			cr_now_s(env), purpose, &here, text);
}

cr_span_t cr_translate_seal(cr_job_t *j, cr_purpose_t purpose, unsigned flags,
		cr_dialog_id_t here, cr_dialog_id_t other)
{
	cr_map_t map = j->map;
	int len;

	map.flags = (map.flags & CR_MAP_URIS) | flags;
	map.other = other;
	len = cr_map_seal(j->text, sizeof(j->text), j->env->crypto, j->key, purpose,
			&here, &map);
	if(len < 0) {
		cr_translate_fail(j, len);
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

void cr_translate_contacts(cr_job_t *j, cr_span_t map)
{
	cr_value_iter_t it = {0};
	cr_span_t value;
	cr_addr_t a;

	while(cr_sip_next(j->m, CR_CONTACT, &it, &value)) {
		if(cr_addr_parse(&a, value) != CR_OK || cr_span_eq(a.uri, CR_SPAN("*")))
			continue;
		if(a.uri.len + sizeof(CR_MAP_PARAM) - 1 + map.len > CR_TARGET_MAX)
			cr_translate_fail(j, CR_ETOOBIG);
		if(a.spec.len != a.uri.len) {
			CR_EDIT(j->e, uri_params_end(a.uri), CR_SPAN(CR_MAP_PARAM), map);
		} else {
			CR_EDIT(j->e, a.uri, CR_SPAN("<"), a.uri, CR_SPAN(CR_MAP_PARAM),
					map, CR_SPAN(">"));
		}
	}
}

void cr_translate_via(cr_job_t *j, cr_span_t map)
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
static void put_party(cr_job_t *j, cr_hdr_t id, cr_span_t tag, uris_t uri)
{
	cr_span_t value = cr_sip_field(j->m, id)->value, old;
	cr_addr_t a;

	if(cr_addr_parse(&a, value) != CR_OK) {
		cr_translate_fail(j, CR_EMALFORMED);
		return;
	}
	if(uri.there.len > 0 && cr_span_eq(a.uri, uri.here))
		CR_EDIT(j->e, a.spec, CR_SPAN("<"), uri.there, CR_SPAN(">"));
	if(cr_param_find(a.params, "tag", &old, NULL))
		CR_EDIT(j->e, old, tag);
	else
		CR_EDIT(j->e, cr_span_end(value), CR_SPAN(";tag="), tag);
}

void cr_translate_cseq(cr_job_t *j, uint32_t cseq)
{
	char digits[16];
	cr_writer_t w = cr_writer(digits, sizeof(digits));

	if(cseq > INT32_MAX)
		cr_translate_fail(j, CR_EMALFORMED);
	cr_put_uint(&w, cseq);
	CR_EDIT(j->e, j->m->cseq_digits, cr_written(&w));
}

/* The digits that s begins with, at most as many as a CSeq has. */
static cr_span_t digits_of(cr_span_t s)
{
	size_t i = 0;

	while(i < s.len && i < 10 && s.s[i] >= '0' && s.s[i] <= '9')
		i++;
	return cr_span_sub(s, 0, i);
}

/* Another number in the place of one that is the CSeq of a request of the client's. */
static void shift_digits(cr_job_t *j, cr_span_t old, uint32_t offset)
{
	char digits[16];
	cr_writer_t w = cr_writer(digits, sizeof(digits));
	uint32_t n = 0;

	if(old.len == 0)
		return;
	for(size_t i = 0; i < old.len; i++)
		n = n * 10 + (uint32_t)(old.s[i] - '0');
	cr_put_uint(&w, n + offset);
	CR_EDIT(j->e, old, cr_written(&w));
}

void cr_translate_rack(cr_job_t *j)
{
	const cr_field_t *f = cr_sip_field(j->m, CR_RACK);
	cr_span_t s;

	if(f == NULL)
		return;
	s = f->value;
	while(s.len > 0 && s.s[0] != ' ' && s.s[0] != '\t')
		s = cr_span_sub(s, 1, s.len);
	shift_digits(j, digits_of(cr_span_trim(s)), j->map.cseq_offset);
}

void cr_translate_event_id(cr_job_t *j, const char *method, uint32_t offset)
{
	const cr_field_t *f = cr_sip_field(j->m, CR_EVENT_HDR);
	cr_span_t id, name, params;
	size_t i = 0;

	if(f == NULL || !cr_span_eq(j->m->method, cr_span_str(method)))
		return;
	while(i < f->value.len && f->value.s[i] != ';')
		i++;
	name = cr_span_trim(cr_span_sub(f->value, 0, i));
	params = cr_span_sub(f->value, i, f->value.len);
	if(cr_span_eq_case(name, CR_SPAN("refer"))
			&& cr_param_find(params, "id", &id, NULL)
			&& digits_of(id).len == id.len)
		shift_digits(j, id, offset);
}

/* Name the dialog to translate to. */
static void put_dialog(cr_job_t *j, cr_hdr_t client, cr_dialog_id_t id,
		cr_span_t remote_tag, uris_t local, uris_t remote)
{
	if(!(j->map.flags & CR_MAP_URIS))
		local.there.len = remote.there.len = 0;
	j->spliced = 1;
	CR_EDIT(j->e, j->m->call_id, id.call_id);
	put_party(j, client, id.tag, local);
	put_party(j, client == CR_FROM ? CR_TO : CR_FROM, remote_tag, remote);
}

void cr_translate_to_n(
		cr_job_t *j, cr_hdr_t client, cr_dialog_id_t n, cr_span_t remote_tag)
{
	put_dialog(j, client, n, remote_tag,
			(uris_t){j->map.o_local, j->map.n_local},
			(uris_t){j->map.o_remote, j->map.n_remote});
}

void cr_translate_to_o(
		cr_job_t *j, cr_hdr_t client, cr_dialog_id_t o, cr_span_t remote_tag)
{
	put_dialog(j, client, o, remote_tag,
			(uris_t){j->map.n_local, j->map.o_local},
			(uris_t){j->map.n_remote, j->map.o_remote});
}
