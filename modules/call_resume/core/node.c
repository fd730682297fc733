/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "node.h"

#include "base.h"
#include "screen.h"

#define SIGNATURE ";mac="
#define MAC_TEXT_LEN CR_B32_LEN(CR_NODE_MAC_LEN)
#define HINT_TEXT_LEN CR_B32_LEN(CR_BOX_HINT_LEN)
#define DIGITS_MAX 12

void cr_node_put(cr_writer_t *w, const cr_node_note_t *note)
{
	cr_put_uint(w, note->node);
	if(note->from[0] != '\0') {
		cr_put_str(w, ";from=");
		cr_put_str(w, note->from);
		cr_put_str(w, ";proto=");
		cr_put_str(w, note->proto);
	}
	if(note->resumed)
		cr_put_str(w, ";resumed");
	if(note->ref_len > 0) {
		cr_put_str(w, ";ref=");
		cr_put_span(w, (cr_span_t){note->ref, note->ref_len});
	}
}

static int is_node_field(const cr_field_t *f)
{
	cr_span_t name = CR_SPAN(CR_HDR_NODE);
	cr_span_t end = cr_span_sub(f->line, name.len, 1);

	return f->id == CR_STATE_OTHER
			&& cr_span_eq_case(cr_span_sub(f->line, 0, name.len), name)
			&& end.len == 1 && strchr(": \t", end.s[0]) != NULL;
}

/* @return CR_OK, CR_EMISSING or CR_EDUPLICATE */
static int find_field(const cr_field_t **field, const cr_sip_t *m)
{
	*field = NULL;
	for(int i = 0; i < m->n_fields; i++) {
		if(!is_node_field(&m->fields[i]))
			continue;
		if(*field != NULL)
			return CR_EDUPLICATE;
		*field = &m->fields[i];
	}
	return *field != NULL ? CR_OK : CR_EMISSING;
}

/* Of a message in the parts between which the signature is not. */
static int make_mac(char text[MAC_TEXT_LEN], const cr_env_t *env,
		const cr_key_t *key, const cr_span_t parts[3])
{
	uint8_t mac[32];
	int err = cr_hmac(env->crypto, mac, key->node, sizeof(key->node), parts, 3);

	if(err == CR_OK
			&& cr_b32_encode(text, MAC_TEXT_LEN, mac, CR_NODE_MAC_LEN)
					!= (int)MAC_TEXT_LEN)
		err = CR_EINTERNAL;
	return err;
}

/* ---- signing ----------------------------------------------------------------------- */

static void put_stamp(cr_writer_t *w, const cr_env_t *env, const cr_key_t *key)
{
	char hint[HINT_TEXT_LEN];

	cr_put_str(w, ";t=");
	cr_put_uint(w, (uint64_t)cr_now_s(env));
	cr_put_str(w, ";k=");
	if(cr_b32_encode(hint, sizeof(hint), key->hint, sizeof(key->hint)) < 0)
		w->bad = 1;
	cr_put_bytes(w, hint, sizeof(hint));
}

/* What comes in front of the signature, what behind it. A field of our own comes behind
 * Call-ID, and brings its line end. */
static void put_head(cr_writer_t *w, cr_span_t rest[2], const cr_env_t *env,
		const cr_key_t *key, const cr_field_t *f, unsigned node)
{
	const cr_sip_t *m = &env->work->msg;
	cr_span_t at = f != NULL ? cr_span_end(f->value)
							 : cr_span_end(cr_sip_field(m, CR_CALL_ID)->line);
	size_t len = (size_t)(at.s - m->text.s);

	cr_put_span(w, cr_span_sub(m->text, 0, len));
	if(f == NULL) {
		cr_put_str(w, CR_HDR_NODE ": ");
		cr_put_uint(w, node);
	}
	put_stamp(w, env, key);
	rest[0] = f == NULL ? CR_SPAN("\r\n") : at;
	rest[1] = cr_span_sub(m->text, len, m->text.len);
}

int cr_node_sign(char *out, size_t out_max, const cr_env_t *env, cr_span_t text,
		unsigned node)
{
	const cr_key_t *key = cr_ring_sealing(env->ring, cr_now_s(env));
	cr_writer_t w = cr_writer(out, out_max);
	const cr_field_t *f;
	char mac[MAC_TEXT_LEN];
	cr_span_t parts[3];
	int err = cr_sip_parse(&env->work->msg, text);

	if(err == CR_OK && key == NULL)
		err = CR_EKEY;
	if(err == CR_OK && find_field(&f, &env->work->msg) == CR_EDUPLICATE)
		err = CR_EDUPLICATE;
	if(err != CR_OK)
		return err;
	put_head(&w, &parts[1], env, key, f, node);
	parts[0] = cr_written(&w);
	err = cr_writer_end(&w) == CR_OK ? make_mac(mac, env, key, parts)
									 : CR_ETOOBIG;
	if(err != CR_OK)
		return err;
	cr_put_str(&w, SIGNATURE);
	cr_put_bytes(&w, mac, sizeof(mac));
	cr_put_span(&w, parts[1]);
	cr_put_span(&w, parts[2]);
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

/* ---- verifying --------------------------------------------------------------------- */

/* @return 0 when it is no number of 1 to max digits, or is 0 */
static uint64_t number(cr_span_t s, size_t max)
{
	uint64_t n = 0;

	if(s.len > max)
		return 0;
	for(size_t i = 0; i < s.len; i++) {
		if(s.s[i] < '0' || s.s[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(s.s[i] - '0');
	}
	return n;
}

/* @return 0 when it does not fit */
static int copy(char *to, size_t max, cr_span_t s)
{
	if(s.len >= max)
		return 0;
	memcpy(to, s.s, s.len);
	to[s.len] = '\0';
	return 1;
}

static int take_ref(cr_node_note_t *note, cr_span_t ref)
{
	if(ref.len > sizeof(note->ref))
		return 0;
	memcpy(note->ref, ref.s, ref.len);
	note->ref_len = ref.len;
	return 1;
}

/* @param mac  receives the signature and its semicolon
 * @return 1 when it can be read */
static int read_note(
		cr_node_note_t *note, cr_span_t value, cr_span_t *hint, cr_span_t *mac)
{
	const char *semi = memchr(value.s, ';', value.len);
	cr_span_t v, node = {value.s, semi != NULL ? (size_t)(semi - value.s) : 0};

	*note = (cr_node_note_t){.node = (unsigned)number(node, 4)};
	if(cr_param_find(value, "t", &v, NULL))
		note->signed_s = (int64_t)number(v, DIGITS_MAX);
	if(note->node == 0 || note->signed_s == 0
			|| !cr_param_find(value, "k", hint, NULL)
			|| !cr_param_find(value, "mac", NULL, mac)
			|| mac->s + mac->len != value.s + value.len)
		return 0;
	note->resumed = cr_param_find(value, "resumed", NULL, NULL);
	return (!cr_param_find(value, "from", &v, NULL)
				   || copy(note->from, sizeof(note->from), v))
			&& (!cr_param_find(value, "proto", &v, NULL)
					|| copy(note->proto, sizeof(note->proto), v))
			&& (!cr_param_find(value, "ref", &v, NULL) || take_ref(note, v));
}

static const cr_key_t *key_of(const cr_env_t *env, cr_span_t hint)
{
	uint8_t bytes[CR_BOX_HINT_LEN];

	if(cr_b32_decode(bytes, sizeof(bytes), hint) != (int)sizeof(bytes))
		return NULL;
	return cr_ring_by_hint(env->ring, bytes, cr_now_s(env));
}

static int verify(cr_node_note_t *note, const cr_env_t *env,
		const cr_field_t *f, int64_t skew_s)
{
	const cr_span_t text = env->work->msg.text;
	cr_span_t hint, mac, parts[3] = {0};
	char good[MAC_TEXT_LEN];
	const cr_key_t *key;
	int64_t age;
	int err;

	if(!read_note(note, f->value, &hint, &mac)
			|| mac.len != sizeof(SIGNATURE) - 1 + sizeof(good)
			|| !cr_span_eq(cr_span_sub(mac, 0, sizeof(SIGNATURE) - 1),
					CR_SPAN(SIGNATURE)))
		return CR_EMALFORMED;
	key = key_of(env, hint);
	if(key == NULL)
		return CR_EKEY;
	parts[0] = cr_span_sub(text, 0, (size_t)(mac.s - text.s));
	parts[1] = parts[2]
			= cr_span_sub(text, (size_t)(mac.s - text.s) + mac.len, text.len);
	parts[2].len = 0;
	err = make_mac(good, env, key, parts);
	if(err != CR_OK)
		return err;
	if(!cr_equal_ct(good, mac.s + sizeof(SIGNATURE) - 1, sizeof(good)))
		return CR_EFORGED;
	copy(note->kid, sizeof(note->kid), cr_span_str(key->kid));
	age = cr_now_s(env) - note->signed_s;
	if(age > skew_s)
		return CR_EEXPIRED;
	return age < -skew_s ? CR_ENOTYET : CR_OK;
}

static int is_of_gateways(const cr_field_t *f)
{
	return f->id == CR_CALL_STATE || f->id == CR_STATE_OTHER;
}

int cr_node_open(char *out, size_t out_max, cr_node_note_t *note,
		const cr_env_t *env, cr_span_t text, int64_t skew_s)
{
	const cr_sip_t *m = &env->work->msg;
	cr_edits_t *e = &env->work->edits;
	const cr_field_t *f;
	char mark[64];
	cr_writer_t w = cr_writer(mark, sizeof(mark));
	int err = cr_sip_parse(&env->work->msg, text);

	if(err == CR_OK)
		err = find_field(&f, m);
	if(err == CR_OK)
		err = verify(note, env, f, skew_s);
	if(err != CR_OK)
		return err;
	cr_edits_init(e, m);
	cr_edit_replace(e, f->line, NULL, 0);
	cr_screen_mark(&w, env);
	for(int i = 0; i < m->n_fields; i++) {
		if(&m->fields[i] != f && is_of_gateways(&m->fields[i]))
			CR_EDIT(e, cr_span_sub(m->fields[i].value, 0, 0), cr_written(&w));
	}
	return cr_edits_apply(out, out_max, e);
}
