/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "samples.h"
#include "state.h"

static cr_state_t got;
static char mem[CR_STATE_JSON_MAX];
static char out[CR_STATE_JSON_MAX];

static int decode(cr_span_t json)
{
	return cr_state_decode(&got, mem, sizeof(mem), json);
}

static int decode_text(const char *json)
{
	return decode(cr_span_str(json));
}

static void encode_is(const cr_state_t *st, const char *want)
{
	assert_text(out, cr_state_encode(out, sizeof(out), st), want);
}

static void same(cr_span_t a, cr_span_t b)
{
	assert_int_equal(a.len, b.len);
	assert_true(cr_span_eq(a, b));
}

static void same_state(const cr_state_t *a, const cr_state_t *b)
{
	assert_int_equal(a->update, b->update);
	assert_string_equal(a->id, b->id);
	assert_int_equal(a->role, b->role);
	same(a->call_id, b->call_id);
	same(a->local_uri, b->local_uri);
	same(a->local_tag, b->local_tag);
	same(a->remote_uri, b->remote_uri);
	same(a->remote_tag, b->remote_tag);
	same(a->target, b->target);
	assert_int_equal(a->n_routes, b->n_routes);
	for(int i = 0; i < a->n_routes; i++)
		same(a->routes[i], b->routes[i]);
	assert_int_equal(a->cseq, b->cseq);
	assert_int_equal(a->n_media, b->n_media);
	for(int i = 0; i < a->n_media; i++) {
		same(a->media[i].kind, b->media[i].kind);
		same(a->media[i].direction, b->media[i].direction);
	}
	assert_int_equal(a->fp.known, b->fp.known);
	if(a->fp.known)
		assert_true(cr_fp_equal(&a->fp, &b->fp));
	same(a->far.sdp, b->far.sdp);
	same(a->far.timer, b->far.timer);
	assert_int_equal(a->far.offer, b->far.offer);
	assert_int_equal(a->far.update, b->far.update);
	assert_true(a->ringing == b->ringing);
	assert_int_equal(a->start, b->start);
	assert_int_equal(a->iat, b->iat);
	assert_int_equal(a->exp, b->exp);
}

static void one_vector(const cr_state_t *st, const char *json)
{
	encode_is(st, json);
	assert_int_equal(decode_text(json), CR_OK);
	same_state(&got, st);
}

static void frozen_vectors(void **state)
{
	const cr_state_t full = sample_full(), first = sample_first();
	const cr_state_t update = sample_update();
	json_t *v = vector_load("state");

	(void)state;
	one_vector(&full, vector_str(v, "full"));
	one_vector(&first, vector_str(v, "first"));
	one_vector(&update, vector_str(v, "update"));
	json_decref(v);
}

static void frozen_bound_vector(void **state)
{
	const cr_state_t bound = sample_bound();
	json_t *v = vector_load("state-bound");

	(void)state;
	one_vector(&bound, vector_str(v, "full"));
	refuse_truncations(decode, vector_str(v, "full"));
	json_decref(v);
}

static void frozen_far_vector(void **state)
{
	const cr_state_t far = sample_far();
	json_t *v = vector_load("state-far");

	(void)state;
	one_vector(&far, vector_str(v, "full"));
	refuse_truncations(decode, vector_str(v, "full"));
	json_decref(v);
}

/* Its members are of the right type, and nothing of it ends a line. */
static void far_ends(void **state)
{
	static const char *const bad[] = {"1", "{}", "{\"sdp\":\"\"}",
			"{\"sdp\":1}", "{\"sdp\":\"m=audio\",\"offer\":1}",
			"{\"sdp\":\"m=audio\",\"update\":\"true\"}",
			"{\"sdp\":\"m=audio\",\"timer\":1800}",
			"{\"sdp\":\"m=audio\",\"timer\":\"1800;refresher=x\"}",
			"{\"sdp\":\"m=audio\\r\\na=x\"}", "{\"sdp\":\"audio\"}"};
	const char *mark = ",\"iat\":";
	cr_state_t st = sample_full();
	int n = cr_state_encode(out, sizeof(out) - 1, &st);
	const char *at;
	char text[2 * CR_STATE_JSON_MAX];

	(void)state;
	assert_true(n > 0);
	out[n] = '\0';
	at = strstr(out, mark);
	assert_non_null(at);
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "%.*s,\"far\":%s%s", (int)(at - out), out,
				bad[i], at);
		assert_int_equal(decode_text(text), CR_EMALFORMED);
	}
	snprintf(text, sizeof(text), "%.*s, \"far\": {\"x\":0,\"sdp\":\"m=a b\"}%s",
			(int)(at - out), out, at);
	assert_int_equal(decode_text(text), CR_OK);
	same(got.far.sdp, CR_SPAN("m=a b"));
	assert_false(got.far.offer || got.far.update || got.far.timer.len > 0);
}

static void largest_lists(void **state)
{
	cr_state_t st = sample_full();
	int n;

	(void)state;
	st.n_routes = CR_STATE_ROUTES_MAX;
	for(int i = 0; i < st.n_routes; i++)
		st.routes[i] = CR_SPAN("sip:p;lr");
	st.n_media = CR_STATE_MEDIA_MAX;
	for(int i = 0; i < st.n_media; i++)
		st.media[i] = (cr_media_t){CR_SPAN("audio"), CR_SPAN("sendonly")};
	st.cseq = INT32_MAX;
	n = cr_state_encode(out, sizeof(out), &st);
	assert_true(n > 0);
	assert_int_equal(decode((cr_span_t){out, (size_t)n}), CR_OK);
	same_state(&got, &st);
	st.n_media++;
	assert_int_equal(cr_state_encode(out, sizeof(out), &st), CR_ETOOBIG);
	st.n_media = 0;
	st.n_routes++;
	assert_int_equal(cr_state_encode(out, sizeof(out), &st), CR_ETOOBIG);
}

/* Quotes and backslashes are legal in a Call-ID, UTF-8 is met in URIs. */
static void escapes(void **state)
{
	cr_state_t st = sample_full();
	int n;

	(void)state;
	st.call_id = CR_SPAN("a\"b\\c");
	st.remote_uri = CR_SPAN("sip:m\xc3\xbcller@b");
	n = cr_state_encode(out, sizeof(out), &st);
	assert_true(n > 0);
	assert_int_equal(decode((cr_span_t){out, (size_t)n}), CR_OK);
	same_state(&got, &st);
}

static void truncations(void **state)
{
	json_t *v = vector_load("state");

	(void)state;
	refuse_truncations(decode, vector_str(v, "full"));
	refuse_truncations(decode, vector_str(v, "update"));
	json_decref(v);
}

/* Plain JSON has no tag that a flipped bit would break (the JWE around it has,
 * see test_jwe.c); but what still decodes has to encode. */
static void flips(void **state)
{
	static char text[CR_STATE_JSON_MAX], again[CR_STATE_JSON_MAX];
	json_t *v = vector_load("state");
	size_t len = strlen(vector_str(v, "full"));

	(void)state;
	memcpy(text, vector_str(v, "full"), len);
	for(size_t bit = 0; bit < len * 8; bit++) {
		int err;

		text[bit / 8] ^= (char)(1 << bit % 8);
		err = decode((cr_span_t){text, len});
		assert_int_not_equal(err, CR_EINTERNAL);
		if(!err)
			assert_true(cr_state_encode(again, sizeof(again), &got) > 0);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	json_decref(v);
}

/* ---- members that are wrong ---------------------------------------------- */

/* Decode the frozen full state with one member replaced, or removed (NULL). */
static int with(const char *which, const char *name, const char *value)
{
	json_t *v = vector_load("state");
	json_t *st = json_loads(vector_str(v, which), 0, NULL);
	char *text;
	int err;

	if(value)
		assert_int_equal(
				json_object_set_new(st, name,
						json_loads(
								value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)),
				0);
	else
		json_object_del(st, name);
	text = json_dumps(st, JSON_COMPACT);
	memset(&got, 0x77, sizeof(got));
	err = decode_text(text);
	if(err)
		assert_int_equal(got.id[0], 0x77);
	free(text);
	json_decref(st);
	json_decref(v);
	return err;
}

static void every_member_is_needed(void **state)
{
	static const char *const full[] = {"v", "id", "role", "call_id",
			"local_uri", "local_tag", "remote_uri", "remote_tag", "target",
			"routes", "start", "iat", "exp", NULL};
	static const char *const update[]
			= {"v", "id", "role", "call_id", "target", "iat", "exp", NULL};

	(void)state;
	for(int i = 0; full[i]; i++)
		assert_int_equal(with("full", full[i], NULL), CR_EMALFORMED);
	for(int i = 0; update[i]; i++)
		assert_int_equal(with("update", update[i], NULL), CR_EMALFORMED);
	assert_int_equal(with("full", "cseq", NULL), CR_OK);
	assert_int_equal(got.cseq, -1);
	assert_int_equal(with("full", "media", NULL), CR_OK);
	assert_int_equal(got.n_media, 0);
	assert_int_equal(with("full", "x-unknown", "[1]"), CR_OK);
	assert_int_equal(with("update", "routes", "7"), CR_OK);
}

static void fingerprints(void **state)
{
	(void)state;
	assert_int_equal(with("full", "fp", "\"oKGio6SlpqeoqaqrrK2urw\""), CR_OK);
	assert_int_equal(got.fp.known, 1);
	assert_int_equal(got.fp.hash[15], 0xaf);
	assert_int_equal(with("full", "fp", NULL), CR_OK);
	assert_int_equal(got.fp.known, 0);
	assert_int_equal(
			with("full", "fp", "\"oKGio6SlpqeoqaqrrK2u\""), CR_EMALFORMED);
	assert_int_equal(
			with("full", "fp", "\"oKGio6SlpqeoqaqrrK2urx\""), CR_EMALFORMED);
	assert_int_equal(
			with("full", "fp", "\"oKGio6SlpqeoqaqrrK2urw8\""), CR_EMALFORMED);
	/* The full state says it. */
	assert_int_equal(with("update", "fp", "1"), CR_OK);
	assert_int_equal(got.fp.known, 0);
}

static void ringing(void **state)
{
	char text[CR_STATE_JSON_MAX], mem[CR_STATE_JSON_MAX];
	cr_state_t again;
	int len;

	(void)state;
	assert_int_equal(with("full", "ringing", NULL), CR_OK);
	assert_true(got.ringing == 0);
	assert_int_equal(with("full", "ringing", "0"), CR_EMALFORMED);
	assert_int_equal(with("full", "ringing", "281474976710656"), CR_OK);
	assert_true(got.ringing == INT64_C(281474976710656));
	/* And as we write it. */
	len = cr_state_encode(text, sizeof(text), &got);
	assert_true(len > 0);
	assert_int_equal(cr_state_decode(&again, mem, sizeof(mem),
							 (cr_span_t){text, (size_t)len}),
			CR_OK);
	same_state(&again, &got);
}

static void every_type_is_checked(void **state)
{
	static const char *const names[]
			= {"v", "update", "id", "role", "call_id", "local_uri", "local_tag",
					"remote_uri", "remote_tag", "target", "routes", "cseq",
					"media", "start", "iat", "exp", "fp", "ringing", NULL};
	static const char *const values[]
			= {"null", "{}", "[0]", "\"\"", "1.5", "-1", NULL};

	(void)state;
	for(int n = 0; names[n]; n++)
		for(int i = 0; values[i]; i++) {
			int err = with("full", names[n], values[i]);
			int version = !strcmp(names[n], "v") && !strcmp(values[i], "-1");

			if(err != (version ? CR_EUNSUPPORTED : CR_EMALFORMED))
				fail_msg("%s: %s gives %d", names[n], values[i], err);
		}
}

static void injections(void **state)
{
	/* The first two not for a Call-ID, which may have them. */
	static const char *const names[] = {"local_uri", "local_tag", "remote_uri",
			"remote_tag", "target", "call_id", NULL};
	static const char *const values[] = {"\"sip:a>b\"", "\"sip:<b\"",
			"\"sip:a\\r\\nVia: x\"", "\"sip:a\\nb\"", "\"sip:a\\u0000b\"",
			"\"sip:a b\"", "\"sip:a\\tb\"", "\"sip:\\u007f\"",
			"\"sip:\\u0085\"", NULL};
	char list[64];

	(void)state;
	for(int i = 0; values[i]; i++) {
		for(int n = 0; names[n + (i < 2)]; n++)
			assert_int_equal(with("full", names[n], values[i]), CR_EMALFORMED);
		snprintf(list, sizeof(list), "[\"sip:ok\",%s]", values[i]);
		assert_int_equal(with("full", "routes", list), CR_EMALFORMED);
	}
	assert_int_equal(with("full", "local_tag", "\"a;b\""), CR_EMALFORMED);
	assert_int_equal(with("full", "call_id", "\"a;to-tag=b\""), CR_EMALFORMED);
	assert_int_equal(with("full", "target", "\"no scheme\""), CR_EMALFORMED);
}

static void values(void **state)
{
	(void)state;
	assert_int_equal(with("full", "v", "2"), CR_EUNSUPPORTED);
	assert_int_equal(with("full", "role", "\"Caller\""), CR_EMALFORMED);
	assert_int_equal(with("full", "cseq", "2147483647"), CR_OK);
	assert_int_equal(with("full", "cseq", "2147483648"), CR_EMALFORMED);
	assert_int_equal(with("full", "id", "\"0123456789ABCDEF0123456789abcdef\""),
			CR_EMALFORMED);
	assert_int_equal(with("full", "id", "\"0123456789abcdef0123456789abcde\""),
			CR_EMALFORMED);
	assert_int_equal(
			with("full", "media", "[{\"kind\":\"audio\"}]"), CR_EMALFORMED);
	assert_int_equal(with("full", "media",
							 "[{\"kind\":\"a b\",\"direction\":\"sendrecv\"}]"),
			CR_EMALFORMED);
	assert_int_equal(with("full", "media",
							 "[{\"kind\":\"audio\",\"direction\":\"both\"}]"),
			CR_EMALFORMED);
	assert_int_equal(with("full", "update", "false"), CR_OK);
	assert_int_equal(with("full", "update", "true"), CR_OK);
	assert_int_equal(with("update", "update", "false"), CR_EMALFORMED);
	assert_int_equal(with("first", "role", "\"caller\""), CR_EMALFORMED);
}

static void limits(void **state)
{
	static char big[CR_STATE_JSON_MAX + 1];
	json_t *v = vector_load("state");
	const char *full = vector_str(v, "full");
	size_t len = strlen(full);

	(void)state;
	assert_int_equal(with("full", "routes",
							 "[\"s:1\",\"s:2\",\"s:3\",\"s:4\",\"s:5\","
							 "\"s:6\",\"s:7\",\"s:8\",\"s:9\",\"s:0\","
							 "\"s:a\",\"s:b\",\"s:c\"]"),
			CR_ETOOBIG);
	assert_int_equal(with("full", "media", "[1,2,3,4,5,6,7,8,9]"), CR_ETOOBIG);
	memcpy(big, full, len);
	memset(&big[len], ' ', sizeof(big) - len);
	assert_int_equal(decode((cr_span_t){big, sizeof(big) - 1}), CR_OK);
	assert_int_equal(decode((cr_span_t){big, sizeof(big)}), CR_ETOOBIG);
	assert_int_equal(
			cr_state_decode(&got, mem, 100, cr_span_str(full)), CR_ETOOBIG);
	json_decref(v);
}

static void json_is_strict(void **state)
{
	(void)state;
	assert_int_equal(decode_text(""), CR_EMALFORMED);
	assert_int_equal(decode_text("[]"), CR_EMALFORMED);
	assert_int_equal(decode_text("{\"v\":1,\"v\":1}"), CR_EMALFORMED);
	assert_int_equal(decode_text("{} x"), CR_EMALFORMED);
	assert_int_equal(decode((cr_span_t){"{}\0", 3}), CR_EMALFORMED);
}

/* ---- encode -------------------------------------------------------------- */

static void encode_refuses(void **state)
{
	const cr_state_t good = sample_full();
	cr_state_t st;

	(void)state;
#define REFUSED(change)                                                        \
	st = good;                                                                 \
	change;                                                                    \
	assert_int_equal(cr_state_encode(out, sizeof(out), &st), CR_EMALFORMED)
	REFUSED(st.call_id = CR_SPAN(""));
	REFUSED(st.call_id = CR_SPAN("a\r\nb"));
	REFUSED(st.target = CR_SPAN("sip:a>"));
	REFUSED(st.remote_uri = CR_SPAN("sip:\xff"));
	REFUSED(st.local_tag.len = 0);
	REFUSED(st.remote_tag.len = 0);
	REFUSED(st.routes[1] = CR_SPAN("<sip:a>"));
	REFUSED(st.media[1].direction = CR_SPAN("x"));
	REFUSED(st.id[3] = 0);
	REFUSED(st.id[32] = 'a');
	REFUSED(st.role = (cr_role_t)7);
	REFUSED(st.cseq = -2);
	REFUSED(st.ringing = -1);
	REFUSED(st.iat = -1);
	REFUSED(st.n_media = -1);
}

static void encode_room(void **state)
{
	const cr_state_t st = sample_full();
	int n = cr_state_encode(out, sizeof(out), &st);

	(void)state;
	for(size_t max = 0; max < (size_t)n; max++) {
		char *tight = malloc(max + 1);

		assert_int_equal(cr_state_encode(tight, max, &st), CR_ETOOBIG);
		free(tight);
	}
	assert_int_equal(cr_state_encode(out, (size_t)n, &st), n);
}

/* ---- merge --------------------------------------------------------------- */

static void merge(void **state)
{
	cr_state_t st = sample_full(), up = sample_update(), want = sample_full();

	(void)state;
	want.target = up.target;
	want.media[0] = up.media[0];
	want.n_media = 1;
	assert_int_equal(cr_state_merge(&st, &up), CR_OK);
	same_state(&st, &want);
	st = sample_far(); /* what it had said is not of these media */
	assert_int_equal(cr_state_merge(&st, &up), CR_OK);
	assert_int_equal(st.far.sdp.len, 0);
	up.far = sample_far().far;
	st = sample_full();
	assert_int_equal(cr_state_merge(&st, &up), CR_OK);
	same(st.far.sdp, up.far.sdp);
	up = sample_update();
	up.n_media = 0; /* not known: the old media stay */
	st = sample_full();
	want = sample_full();
	want.target = up.target;
	assert_int_equal(cr_state_merge(&st, &up), CR_OK);
	same_state(&st, &want);
}

static void merge_of_an_older_one(void **state)
{
	cr_state_t st = sample_full(), up = sample_update(), want = sample_full();

	(void)state;
	up.iat = st.iat - 1;
	assert_int_equal(cr_state_merge(&st, &up), CR_OK);
	same_state(&st, &want);
}

static void merge_refuses(void **state)
{
	cr_state_t st = sample_full(), want = sample_full(), up = sample_update();

	(void)state;
	assert_int_equal(cr_state_merge(&st, &st), CR_EMALFORMED);
	assert_int_equal(cr_state_merge(&up, &up), CR_EMALFORMED);
	up.role = CR_CALLEE;
	assert_int_equal(cr_state_merge(&st, &up), CR_EFORGED);
	up = sample_update();
	up.call_id = CR_SPAN("another");
	assert_int_equal(cr_state_merge(&st, &up), CR_EFORGED);
	up = sample_update();
	up.id[0] = 'f';
	assert_int_equal(cr_state_merge(&st, &up), CR_EFORGED);
	same_state(&st, &want);
}

static void allocation_failures(void **state)
{
	const cr_state_t st = sample_full();
	json_t *v = vector_load("state");
	const char *json = vector_str(v, "full");
	char other[CR_STATE_JSON_MAX];
	int n, err;

	(void)state;
	/* As nobody here writes it. */
	snprintf(other, sizeof(other), "{ %s", json + 1);
	for(n = 0;; n++) {
		jansson_fail_at(n);
		err = decode_text(other);
		if(!jansson_failed())
			break;
		assert_true(err == CR_EINTERNAL || err == CR_EMALFORMED);
	}
	jansson_fail_at(0);
	encode_is(&st, json);
	assert_int_equal(decode_text(json), CR_OK);
	assert_false(jansson_failed());
	jansson_fail_at(-1);
	assert_true(n > 20);
	assert_int_equal(err, CR_OK);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vectors),
			cmocka_unit_test(frozen_bound_vector),
			cmocka_unit_test(frozen_far_vector),
			cmocka_unit_test(far_ends),
			cmocka_unit_test(fingerprints),
			cmocka_unit_test(ringing),
			cmocka_unit_test(largest_lists),
			cmocka_unit_test(escapes),
			cmocka_unit_test(truncations),
			cmocka_unit_test(flips),
			cmocka_unit_test(every_member_is_needed),
			cmocka_unit_test(every_type_is_checked),
			cmocka_unit_test(injections),
			cmocka_unit_test(values),
			cmocka_unit_test(limits),
			cmocka_unit_test(json_is_strict),
			cmocka_unit_test(encode_refuses),
			cmocka_unit_test(encode_room),
			cmocka_unit_test(merge),
			cmocka_unit_test(merge_of_an_older_one),
			cmocka_unit_test(merge_refuses),
			cmocka_unit_test(allocation_failures),
	};

	return RUN(tests);
}
