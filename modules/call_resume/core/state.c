/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "state.h"

#include "base.h"
#include "bytes.h"
#include "crypto.h"
#include "jose.h"
#include "text.h"

#define CSEQ_MAX INT64_C(0x7fffffff) /* RFC 3261 section 8.1.1.5 */

/* ---- what both directions check ------------------------------------------ */

static int is_hex(const char *s, size_t len)
{
	for(size_t i = 0; i < len; i++)
		if(!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return 0;
	return 1;
}

static int is_direction(cr_span_t s)
{
	return cr_span_eq(s, CR_SPAN("sendrecv"))
			|| cr_span_eq(s, CR_SPAN("sendonly"))
			|| cr_span_eq(s, CR_SPAN("recvonly"))
			|| cr_span_eq(s, CR_SPAN("inactive"));
}

static int check_lists(const cr_state_t *st)
{
	if(st->n_routes < 0 || st->n_media < 0)
		return CR_EMALFORMED;
	if(st->n_routes > CR_STATE_ROUTES_MAX || st->n_media > CR_STATE_MEDIA_MAX)
		return CR_ETOOBIG;
	for(int i = 0; i < st->n_media; i++)
		if(!cr_text_is_token(st->media[i].kind)
				|| !is_direction(st->media[i].direction))
			return CR_EMALFORMED;
	for(int i = 0; i < st->n_routes; i++)
		if(!cr_text_is_uri(st->routes[i]))
			return CR_EMALFORMED;
	return CR_OK;
}

/* What a full state has and an update has not. */
static int check_full(const cr_state_t *st)
{
	if(!cr_text_is_uri(st->local_uri) || !cr_text_is_uri(st->remote_uri)
			|| !cr_text_is_token(st->remote_tag))
		return CR_EMALFORMED;
	if(st->local_tag.len == 0 && st->role != CR_CALLEE)
		return CR_EMALFORMED;
	if(st->local_tag.len > 0 && !cr_text_is_token(st->local_tag))
		return CR_EMALFORMED;
	if(st->cseq < -1 || st->cseq > CSEQ_MAX || st->start < 0 || st->ringing < 0)
		return CR_EMALFORMED;
	return CR_OK;
}

/* All of these strings are written into SIP messages later on, in the name of
 * the gateway: nothing may pass that ends a header field or a URI there. */
static int check(const cr_state_t *st)
{
	int err = check_lists(st);

	if(err)
		return err;
	if(!is_hex(st->id, CR_SESSION_ID_LEN) || st->id[CR_SESSION_ID_LEN] != 0)
		return CR_EMALFORMED;
	if(st->role != CR_CALLER && st->role != CR_CALLEE)
		return CR_EMALFORMED;
	if(!cr_text_is_call_id(st->call_id) || !cr_text_is_uri(st->target))
		return CR_EMALFORMED;
	if(st->iat < 0 || st->exp < 0)
		return CR_EMALFORMED;
	if(st->far.sdp.len > 0 && !cr_far_is_good(&st->far))
		return CR_EMALFORMED;
	return st->update ? CR_OK : check_full(st);
}

/* ---- encode -------------------------------------------------------------- */

/* Every member follows [v], hence the comma. */
#define MEMBER(name) CR_SPAN(",\"" name "\":")

static int needs_escape(cr_span_t s)
{
	return s.len > 0
			&& (memchr(s.s, '"', s.len) != NULL
					|| memchr(s.s, '\\', s.len) != NULL);
}

/* After check() a string holds no control character, which leaves two characters to
 * escape (RFC 8259 section 7); and in most, none. */
static void put_escaped(cr_writer_t *w, cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++) {
		if(s.s[i] == '"' || s.s[i] == '\\')
			cr_put_u8(w, '\\');
		cr_put_u8(w, (uint8_t)s.s[i]);
	}
}

static void put_json(cr_writer_t *w, cr_span_t s)
{
	cr_put_u8(w, '"');
	if(needs_escape(s))
		put_escaped(w, s);
	else
		cr_put_span(w, s);
	cr_put_u8(w, '"');
}

static void put_string(cr_writer_t *w, cr_span_t member, cr_span_t s)
{
	cr_put_span(w, member);
	put_json(w, s);
}

static void put_int(cr_writer_t *w, cr_span_t member, int64_t v)
{
	cr_put_span(w, member);
	cr_put_uint(w, (uint64_t)v);
}

static void put_routes(cr_writer_t *w, const cr_state_t *st)
{
	cr_put_span(w, MEMBER("routes"));
	cr_put_str(w, "[");
	for(int i = 0; i < st->n_routes; i++) {
		if(i > 0)
			cr_put_str(w, ",");
		put_json(w, st->routes[i]);
	}
	cr_put_str(w, "]");
}

static void put_media(cr_writer_t *w, const cr_state_t *st)
{
	cr_put_span(w, MEMBER("media"));
	cr_put_str(w, "[");
	for(int i = 0; i < st->n_media; i++) {
		cr_put_str(w, i > 0 ? ",{\"kind\":" : "{\"kind\":");
		put_json(w, st->media[i].kind);
		put_string(w, MEMBER("direction"), st->media[i].direction);
		cr_put_str(w, "}");
	}
	cr_put_str(w, "]");
}

static void put_far(cr_writer_t *w, const cr_far_t *far)
{
	cr_put_span(w, MEMBER("far"));
	cr_put_str(w, "{\"sdp\":");
	put_json(w, far->sdp);
	if(far->offer)
		cr_put_str(w, ",\"offer\":true");
	if(far->update)
		cr_put_str(w, ",\"update\":true");
	if(far->timer.len > 0)
		put_string(w, MEMBER("timer"), far->timer);
	cr_put_str(w, "}");
}

static void put_fp(cr_writer_t *w, const cr_fp_t *fp)
{
	char text[CR_B64_LEN(CR_FP_LEN)];

	if(!fp->known)
		return;
	(void)cr_b64_encode(text, sizeof(text), fp->hash, CR_FP_LEN);
	put_string(w, MEMBER("fp"), (cr_span_t){text, sizeof(text)});
}

static void put_dialog(cr_writer_t *w, const cr_state_t *st)
{
	put_string(w, MEMBER("local_uri"), st->local_uri);
	if(st->local_tag.len > 0)
		put_string(w, MEMBER("local_tag"), st->local_tag);
	put_string(w, MEMBER("remote_uri"), st->remote_uri);
	put_string(w, MEMBER("remote_tag"), st->remote_tag);
	put_routes(w, st);
	if(st->cseq >= 0)
		put_int(w, MEMBER("cseq"), st->cseq);
	if(st->ringing > 0)
		put_int(w, MEMBER("ringing"), st->ringing);
	put_int(w, MEMBER("start"), st->start);
	put_fp(w, &st->fp);
}

int cr_state_encode(char *out, size_t out_max, const cr_state_t *st)
{
	cr_writer_t w = cr_writer(
			out, out_max > CR_STATE_JSON_MAX ? CR_STATE_JSON_MAX : out_max);
	int err = check(st);

	if(err)
		return err;
	cr_put_str(&w, "{\"v\":");
	cr_put_uint(&w, CR_STATE_VERSION);
	if(st->update) {
		cr_put_span(&w, MEMBER("update"));
		cr_put_str(&w, "true");
	}
	put_string(&w, MEMBER("id"), cr_span_str(st->id));
	put_string(&w, MEMBER("role"),
			st->role == CR_CALLER ? CR_SPAN("caller") : CR_SPAN("callee"));
	put_string(&w, MEMBER("call_id"), st->call_id);
	put_string(&w, MEMBER("target"), st->target);
	if(!st->update)
		put_dialog(&w, st);
	if(st->n_media > 0)
		put_media(&w, st);
	if(st->far.sdp.len > 0)
		put_far(&w, &st->far);
	put_int(&w, MEMBER("iat"), st->iat);
	put_int(&w, MEMBER("exp"), st->exp);
	cr_put_str(&w, "}");
	err = cr_writer_end(&w);
	return err ? err : (int)w.len;
}

/* ---- decode -------------------------------------------------------------- */

/* Remembers the first error, as the writer does: one check at the end. */
typedef struct decoder
{
	const json_t *root;
	cr_writer_t mem;
	int bad;
} decoder_t;

/* A string value, copied to where it outlives the JSON tree. */
static cr_span_t keep(decoder_t *d, const json_t *value)
{
	cr_span_t s = cr_json_span(value);
	size_t at = d->mem.len;

	if(!json_is_string(value))
		d->bad = 1;
	cr_put_span(&d->mem, s);
	if(d->bad || d->mem.bad)
		return (cr_span_t){NULL, 0};
	return (cr_span_t){(const char *)&d->mem.p[at], s.len};
}

static cr_span_t get_string(decoder_t *d, const char *name)
{
	return keep(d, json_object_get(d->root, name));
}

static int64_t get_int(decoder_t *d, const char *name)
{
	const json_t *value = json_object_get(d->root, name);

	if(!json_is_integer(value)) {
		d->bad = 1;
		return 0;
	}
	return json_integer_value(value);
}

/* The elements of an array, or 0; an array over max is an error of its own. */
static int count(decoder_t *d, const json_t *array, int max)
{
	size_t n = json_array_size(array);

	if(!json_is_array(array))
		d->bad = 1;
	if(n > (size_t)max) {
		d->mem.bad = 1;
		return 0;
	}
	return (int)n;
}

static void get_routes(decoder_t *d, cr_state_t *st)
{
	const json_t *routes = json_object_get(d->root, "routes");

	st->n_routes = count(d, routes, CR_STATE_ROUTES_MAX);
	for(int i = 0; i < st->n_routes; i++)
		st->routes[i] = keep(d, json_array_get(routes, (size_t)i));
}

static void get_media(decoder_t *d, cr_state_t *st)
{
	const json_t *media = json_object_get(d->root, "media");

	if(!media)
		return;
	st->n_media = count(d, media, CR_STATE_MEDIA_MAX);
	for(int i = 0; i < st->n_media; i++) {
		const json_t *m = json_array_get(media, (size_t)i);

		st->media[i].kind = keep(d, json_object_get(m, "kind"));
		st->media[i].direction = keep(d, json_object_get(m, "direction"));
	}
}

static int get_flag(decoder_t *d, const json_t *in, const char *name)
{
	const json_t *flag = json_object_get(in, name);

	d->bad |= flag != NULL && !json_is_boolean(flag);
	return json_is_true(flag);
}

static void get_far(decoder_t *d, cr_far_t *far)
{
	const json_t *value = json_object_get(d->root, "far"), *timer;

	if(value == NULL)
		return;
	d->bad |= !json_is_object(value);
	far->sdp = keep(d, json_object_get(value, "sdp"));
	far->offer = get_flag(d, value, "offer");
	far->update = get_flag(d, value, "update");
	timer = json_object_get(value, "timer");
	if(timer != NULL)
		far->timer = keep(d, timer);
	d->bad |= far->sdp.len == 0;
}

static void get_update(decoder_t *d, cr_state_t *st)
{
	const json_t *update = json_object_get(d->root, "update");

	st->update = json_is_true(update);
	if(update && !json_is_boolean(update))
		d->bad = 1;
}

static void get_id(decoder_t *d, cr_state_t *st)
{
	cr_span_t id = cr_json_span(json_object_get(d->root, "id"));

	if(id.len != CR_SESSION_ID_LEN)
		d->bad = 1;
	else
		memcpy(st->id, id.s, id.len);
}

static void get_role(decoder_t *d, cr_state_t *st)
{
	cr_span_t role = cr_json_span(json_object_get(d->root, "role"));

	if(cr_span_eq(role, CR_SPAN("caller")))
		st->role = CR_CALLER;
	else if(cr_span_eq(role, CR_SPAN("callee")))
		st->role = CR_CALLEE;
	else
		d->bad = 1;
}

static void get_fp(decoder_t *d, cr_fp_t *fp)
{
	const json_t *value = json_object_get(d->root, "fp");

	if(value == NULL)
		return;
	fp->known = 1;
	d->bad |= !json_is_string(value)
			|| cr_b64_decode(fp->hash, CR_FP_LEN, cr_json_span(value))
					!= CR_FP_LEN;
}

static void get_dialog(decoder_t *d, cr_state_t *st)
{
	st->local_uri = get_string(d, "local_uri");
	if(json_object_get(d->root, "local_tag"))
		st->local_tag = get_string(d, "local_tag");
	st->remote_uri = get_string(d, "remote_uri");
	st->remote_tag = get_string(d, "remote_tag");
	get_routes(d, st);
	if(json_object_get(d->root, "cseq")) {
		st->cseq = get_int(d, "cseq");
		d->bad |= st->cseq < 0;
	}
	if(json_object_get(d->root, "ringing")) {
		st->ringing = get_int(d, "ringing");
		d->bad |= st->ringing <= 0;
	}
	st->start = get_int(d, "start");
	get_fp(d, &st->fp);
}

static int read_members(decoder_t *d, cr_state_t *st)
{
	int64_t version = get_int(d, "v");

	if(d->bad)
		return CR_EMALFORMED;
	if(version != CR_STATE_VERSION)
		return CR_EUNSUPPORTED;
	get_update(d, st);
	get_id(d, st);
	get_role(d, st);
	st->call_id = get_string(d, "call_id");
	st->target = get_string(d, "target");
	if(!st->update)
		get_dialog(d, st);
	get_media(d, st);
	get_far(d, &st->far);
	st->iat = get_int(d, "iat");
	st->exp = get_int(d, "exp");
	if(d->bad)
		return CR_EMALFORMED;
	if(cr_writer_end(&d->mem))
		return CR_ETOOBIG;
	return check(st);
}

/* ---- decode, what we have written ---------------------------------------- */

static int begins(const cr_reader_t *r, cr_span_t text)
{
	return r->left >= text.len && memcmp(r->p, text.s, text.len) == 0;
}

/* @return 1 when that was there; it is passed over */
static int take(cr_reader_t *r, cr_span_t text)
{
	int is = begins(r, text);

	(void)cr_get_bytes(r, is ? text.len : 0);
	return is;
}

/* The string behind that, which ends with the opening quote. */
static cr_span_t own_string(cr_reader_t *r, cr_span_t name)
{
	r->bad |= !take(r, name);
	return cr_get_until(r, '"');
}

static int64_t own_int(cr_reader_t *r, cr_span_t name)
{
	int64_t n = 0;

	r->bad |= !take(r, name);
	for(int i = 0; i < 18 && !r->bad && r->left > 0 && r->p[0] >= '0'
			&& r->p[0] <= '9';
			i++)
		n = n * 10 + (cr_get_u8(r) - '0');
	return n;
}

static void own_routes(cr_reader_t *r, cr_state_t *st)
{
	r->bad |= !take(r, CR_SPAN(",\"routes\":["));
	while(!r->bad && st->n_routes < CR_STATE_ROUTES_MAX
			&& take(r, st->n_routes > 0 ? CR_SPAN(",\"") : CR_SPAN("\"")))
		st->routes[st->n_routes++] = cr_get_until(r, '"');
	r->bad |= !take(r, CR_SPAN("]"));
}

static void own_media(cr_reader_t *r, cr_state_t *st)
{
	if(!take(r, CR_SPAN(",\"media\":[")))
		return;
	while(!r->bad && st->n_media < CR_STATE_MEDIA_MAX
			&& take(r,
					st->n_media > 0 ? CR_SPAN(",{\"kind\":\"")
									: CR_SPAN("{\"kind\":\""))) {
		cr_media_t *m = &st->media[st->n_media++];

		m->kind = cr_get_until(r, '"');
		m->direction = own_string(r, CR_SPAN(",\"direction\":\""));
		r->bad |= !take(r, CR_SPAN("}"));
	}
	r->bad |= !take(r, CR_SPAN("]"));
}

static void own_far(cr_reader_t *r, cr_far_t *far)
{
	if(!begins(r, CR_SPAN(",\"far\":{")))
		return;
	far->sdp = own_string(r, CR_SPAN(",\"far\":{\"sdp\":\""));
	far->offer = take(r, CR_SPAN(",\"offer\":true"));
	far->update = take(r, CR_SPAN(",\"update\":true"));
	if(begins(r, CR_SPAN(",\"timer\":\"")))
		far->timer = own_string(r, CR_SPAN(",\"timer\":\""));
	r->bad |= !take(r, CR_SPAN("}"));
}

static void own_dialog(cr_reader_t *r, cr_state_t *st)
{
	st->local_uri = own_string(r, CR_SPAN(",\"local_uri\":\""));
	if(begins(r, CR_SPAN(",\"local_tag\":\"")))
		st->local_tag = own_string(r, CR_SPAN(",\"local_tag\":\""));
	st->remote_uri = own_string(r, CR_SPAN(",\"remote_uri\":\""));
	st->remote_tag = own_string(r, CR_SPAN(",\"remote_tag\":\""));
	own_routes(r, st);
	if(begins(r, CR_SPAN(",\"cseq\":")))
		st->cseq = own_int(r, CR_SPAN(",\"cseq\":"));
	if(begins(r, CR_SPAN(",\"ringing\":")))
		st->ringing = own_int(r, CR_SPAN(",\"ringing\":"));
	st->start = own_int(r, CR_SPAN(",\"start\":"));
	if(begins(r, CR_SPAN(",\"fp\":\""))) {
		st->fp.known = 1;
		r->bad |= cr_b64_decode(st->fp.hash, CR_FP_LEN,
						  own_string(r, CR_SPAN(",\"fp\":\"")))
				!= CR_FP_LEN;
	}
}

static void own_members(cr_reader_t *r, cr_state_t *st)
{
	cr_span_t id;

	r->bad |= !take(r, CR_SPAN("{\"v\":1"));
	st->update = take(r, CR_SPAN(",\"update\":true"));
	id = own_string(r, CR_SPAN(",\"id\":\""));
	r->bad |= id.len != CR_SESSION_ID_LEN;
	if(!r->bad)
		memcpy(st->id, id.s, id.len);
	st->role = cr_span_eq(own_string(r, CR_SPAN(",\"role\":\"")),
					   CR_SPAN("caller"))
			? CR_CALLER
			: CR_CALLEE;
	st->call_id = own_string(r, CR_SPAN(",\"call_id\":\""));
	st->target = own_string(r, CR_SPAN(",\"target\":\""));
	if(!st->update)
		own_dialog(r, st);
	own_media(r, st);
	own_far(r, &st->far);
	st->iat = own_int(r, CR_SPAN(",\"iat\":"));
	st->exp = own_int(r, CR_SPAN(",\"exp\":"));
}

/* Whether that is what cr_state_encode() makes of it, but for its last brace.
 * @return how long that is, or 0 */
static size_t encodes_to(const cr_state_t *st, cr_span_t json)
{
	char same[CR_STATE_JSON_MAX];
	int len = cr_state_encode(same, sizeof(same), st);
	size_t n = len > 0 ? (size_t)len - 1 : 0;

	if(!cr_span_eq(cr_span_sub(json, 0, n), (cr_span_t){same, n}))
		n = 0;
	cr_wipe(same, len > 0 ? (size_t)len : 0);
	return n;
}

/* What cr_state_encode() writes is read without a JSON parser, several times as fast.
 * Behind it may be the one member more that a sealed state has.
 * @return 1, or 0 and it is for the parser; mem wiped */
static int decode_own(cr_state_t *st, char *mem, size_t mem_max, cr_span_t json)
{
	cr_reader_t r = cr_reader(mem, json.len);
	size_t len = 0;

	if(json.len == 0 || json.len > mem_max)
		return 0;
	memcpy(mem, json.s, json.len);
	own_members(&r, st);
	if(!r.bad && take(&r, CR_SPAN(",\"mac\":\"")))
		(void)cr_get_until(&r, '"');
	r.bad |= !take(&r, CR_SPAN("}"));
	if(cr_reader_end(&r) == CR_OK)
		len = encodes_to(st, json);
	cr_wipe(mem + len, json.len - len);
	return len > 0;
}

int cr_state_decode(cr_state_t *st, char *mem, size_t mem_max, cr_span_t json)
{
	json_t *root = NULL;
	decoder_t d = {NULL, cr_writer(mem, mem_max), 0};
	cr_state_t read = {.cseq = -1};
	int err;

	if(json.len > CR_STATE_JSON_MAX)
		return CR_ETOOBIG;
	if(decode_own(&read, mem, mem_max, json)) {
		*st = read;
		return CR_OK;
	}
	read = (cr_state_t){.cseq = -1};
	err = cr_json_object(&root, json);
	if(err)
		return err;
	d.root = root;
	err = read_members(&d, &read);
	json_decref(root);
	if(err)
		cr_wipe(mem, d.mem.len);
	else
		*st = read;
	return err;
}

/* ---- merge --------------------------------------------------------------- */

int cr_state_merge(cr_state_t *st, const cr_state_t *up)
{
	if(st->update || !up->update)
		return CR_EMALFORMED;
	if(!cr_span_eq(st->call_id, up->call_id) || st->role != up->role
			|| memcmp(st->id, up->id, CR_SESSION_ID_LEN) != 0)
		return CR_EFORGED;
	if(up->iat < st->iat)
		return CR_OK;
	st->target = up->target;
	if(up->n_media == 0)
		return CR_OK;
	memcpy(st->media, up->media, sizeof(st->media));
	st->n_media = up->n_media;
	st->far = up->far;
	return CR_OK;
}
