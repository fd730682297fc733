/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"
#include "jwe.h"
#include "samples.h"

static uint8_t key[CR_KEY_LEN];
static char plain[CR_STATE_JSON_MAX];

static int open(cr_span_t jwe)
{
	memset(plain, 0, sizeof(plain));
	return cr_jwe_open(plain, sizeof(plain), crypto, key, jwe);
}

static int open_text(const char *jwe)
{
	return open(cr_span_str(jwe));
}

/* A JWE under a protected header of one's choice. */
static const char *make(const char *header, cr_span_t text)
{
	static char out[32768];
	static uint8_t cipher[16384];
	uint8_t tag[16];
	int n = cr_b64_encode(out, sizeof(out), header, strlen(header));
	cr_span_t aad = {out, (size_t)n};

	assert_true(text.len <= sizeof(cipher));
	assert_int_equal(cr_gcm_seal(crypto, cipher, tag, key, sample_nonce, aad,
							 text.s, text.len),
			CR_OK);
	n += sprintf(&out[n], "..");
	n += cr_b64_encode(&out[n], 32, sample_nonce, 12);
	out[n++] = '.';
	n += cr_b64_encode(&out[n], 24000, cipher, text.len);
	out[n++] = '.';
	n += cr_b64_encode(&out[n], 32, tag, 16);
	out[n] = 0;
	return out;
}

static int header(const char *json)
{
	return open_text(make(json, CR_SPAN("hi")));
}

static json_t *load(void)
{
	json_t *v = vector_load("jwe");

	unhex(key, sizeof(key), vector_str(v, "key"));
	return v;
}

static void frozen_vector(void **state)
{
	json_t *v = load();
	const char *text = vector_str(v, "plain");
	char out[CR_JWE_MAX + 1], kid[CR_KID_MAX + 1];
	uint8_t nonce[12];
	int n;

	(void)state;
	unhex(nonce, sizeof(nonce), vector_str(v, "nonce"));
	n = cr_jwe_seal(out, sizeof(out), crypto, cr_span_str(vector_str(v, "kid")),
			key, nonce, cr_span_str(text));
	assert_text(out, n, vector_str(v, "jwe"));
	assert_int_equal(out[n], 0);
	assert_int_equal(cr_jwe_kid(kid, cr_span_str(out)), CR_OK);
	assert_string_equal(kid, vector_str(v, "kid"));
	assert_text(plain, open_text(out), text);
	json_decref(v);
}

static void round_trips(void **state)
{
	static char in[CR_STATE_JSON_MAX + 1], out[CR_JWE_MAX + 1];

	(void)state;
	for(size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7);
	for(size_t len = 0; len <= CR_STATE_JSON_MAX; len += len < 40 ? 1 : 1014) {
		int n = cr_jwe_seal(out, sizeof(out), crypto, CR_SPAN("k1"), key,
				sample_nonce, (cr_span_t){in, len});

		assert_true(n > 0);
		assert_int_equal(open((cr_span_t){out, (size_t)n}), len);
		assert_memory_equal(plain, in, len);
	}
	assert_int_equal(
			cr_jwe_seal(out, sizeof(out), crypto, CR_SPAN("k1"), key,
					sample_nonce, (cr_span_t){in, CR_STATE_JSON_MAX + 1}),
			CR_ETOOBIG);
}

static void damage(void **state)
{
	json_t *v = load();
	const char *jwe = vector_str(v, "jwe");

	(void)state;
	refuse_damage(open, jwe, cr_b64_encode, cr_b64_decode);
	json_decref(v);
}

static void wrong_key(void **state)
{
	static const char zero[16];
	json_t *v = load();

	(void)state;
	key[31] ^= 1;
	assert_int_equal(open_text(vector_str(v, "jwe")), CR_EFORGED);
	assert_memory_equal(plain, zero, sizeof(zero));
	json_decref(v);
}

/* A state of one web session does not open for another, nor for another
 * subject of the same session, nor after a change of the master key. */
static void wrong_session(void **state)
{
	static const struct
	{
		const char *sub, *sid;
		int key;
	} others[]
			= {{SAMPLE_SUB, "s-2", 0}, {"sip:eve@example.com", SAMPLE_SID, 0},
					{SAMPLE_SUB, SAMPLE_SID, 1}};
	json_t *v = load();

	(void)state;
	for(size_t i = 0; i < 3; i++) {
		assert_int_equal(
				cr_client_key(key, crypto, &ring.keys[others[i].key],
						cr_span_str(others[i].sub), cr_span_str(others[i].sid)),
				CR_OK);
		assert_int_equal(open_text(vector_str(v, "jwe")), CR_EFORGED);
	}
	json_decref(v);
}

static void headers(void **state)
{
	(void)state;
	assert_int_equal(
			header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"k\"}"), 2);
	assert_int_equal(header("{\"typ\":\"x\",\"kid\":\"k\",\"enc\":\"A256GCM\","
							"\"alg\":\"dir\",\"y\":{}}"),
			2);
	assert_int_equal(
			header("{\"alg\":\"A256KW\",\"enc\":\"A256GCM\",\"kid\":\"k\"}"),
			CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"dir\",\"enc\":\"A128GCM\",\"kid\":\"k\"}"),
			CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"dir\",\"kid\":\"k\"}"), CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":"
							"\"k\",\"zip\":\"DEF\"}"),
			CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":"
							"\"k\",\"crit\":[\"x\"]}"),
			CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}"), CR_EMALFORMED);
	assert_int_equal(
			header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"\"}"),
			CR_EMALFORMED);
	assert_int_equal(header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":"
							"\"a23456789.123456789.123456789.123\"}"),
			CR_EMALFORMED);
	assert_int_equal(header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":"
							"\"k\",\"kid\":\"l\"}"),
			CR_EMALFORMED);
	assert_int_equal(header("x"), CR_EMALFORMED);
}

static void forms(void **state)
{
	static const char *const bad[] = {"", ".", "....", "a.b.c", "a..b.c.d.e",
			"eyJhbGciOiJkaXIifQ..AQIDBAUGBwgJCgsM..AAAAAAAAAAAAAAAAAAAAA",
			"eyJhbGciOiJkaXIifQ.A.AQIDBAUGBwgJCgsM..AAAAAAAAAAAAAAAAAAAAAA",
			"eyJhbGciOiJkaXIifQ..AQIDBAUGBwgJCgs..AAAAAAAAAAAAAAAAAAAAAA",
			"eyJhbGciOiJkaXIifQ..AQIDBAUGBwgJCgsM..AAAAAAAAAAAAAAAAAAAAAA.",
			NULL};
	char kid[CR_KID_MAX + 1] = "same";

	(void)state;
	for(int i = 0; bad[i]; i++) {
		assert_int_equal(open_text(bad[i]), CR_EMALFORMED);
		assert_int_not_equal(cr_jwe_kid(kid, cr_span_str(bad[i])), CR_OK);
	}
	assert_string_equal(kid, "same");
}

/* Whose it is can be told from the header alone, so that a truncated state and
 * a forged one get the same answer. */
static void truncated_but_named(void **state)
{
	json_t *v = load();
	const char *jwe = vector_str(v, "jwe");
	size_t head = (size_t)(strchr(jwe, '.') - jwe);
	char kid[CR_KID_MAX + 1];

	(void)state;
	for(size_t n = 0; n < strlen(jwe); n++) {
		int err = cr_jwe_kid(kid, (cr_span_t){jwe, n});

		if((err == CR_OK) != (n > head))
			fail_msg("%zu characters: %s", n, cr_strerror(err));
	}
	json_decref(v);
}

static void sizes(void **state)
{
	static char big[CR_JWE_MAX];
	static const char head[]
			= "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"k\"}";
	const char *jwe = make(head, (cr_span_t){big, 100});
	char small[100];

	(void)state;
	assert_int_equal(
			cr_jwe_open(small, 99, crypto, key, cr_span_str(jwe)), CR_ETOOBIG);
	assert_int_equal(
			cr_jwe_open(small, 100, crypto, key, cr_span_str(jwe)), 100);
	jwe = make(head, (cr_span_t){big, CR_STATE_JSON_MAX + 1});
	assert_int_equal(open_text(jwe), CR_ETOOBIG);
	jwe = make(head, (cr_span_t){big, sizeof(big)});
	assert_int_equal(open_text(jwe), CR_ETOOBIG);
}

/* The zero behind the JWE needs its place, too. */
static void seal_room(void **state)
{
	char out[CR_JWE_MAX + 1];
	int n = cr_jwe_seal(out, sizeof(out), crypto, CR_SPAN("k1"), key,
			sample_nonce, CR_SPAN("hi"));

	(void)state;
	assert_true(n > 0);
	for(size_t max = 0; max <= (size_t)n; max++) {
		char *tight = malloc(max + 1);

		assert_int_equal(cr_jwe_seal(tight, max, crypto, CR_SPAN("k1"), key,
								 sample_nonce, CR_SPAN("hi")),
				CR_ETOOBIG);
		free(tight);
	}
	assert_int_equal(cr_jwe_seal(out, (size_t)n + 1, crypto, CR_SPAN("k1"), key,
							 sample_nonce, CR_SPAN("hi")),
			n);
	assert_int_equal(cr_jwe_seal(out, sizeof(out), crypto, CR_SPAN("k\"1"), key,
							 sample_nonce, CR_SPAN("hi")),
			CR_EMALFORMED);
}

static void allocation_failures(void **state)
{
	/* Not of our own making, so that it takes a JSON parser. */
	cr_span_t jwe = cr_span_str(
			make("{\"kid\":\"k1\",\"alg\":\"dir\",\"enc\":\"A256GCM\"}",
					CR_SPAN("x")));
	char kid[CR_KID_MAX + 1];
	int n, err;

	(void)state;
	for(n = 0;; n++) {
		jansson_fail_at(n);
		err = cr_jwe_kid(kid, jwe);
		if(!jansson_failed())
			break;
		assert_true(err == CR_EINTERNAL || err == CR_EMALFORMED);
		jansson_fail_at(n);
		err = open(jwe);
		assert_true(err == CR_EINTERNAL || err == CR_EMALFORMED);
	}
	jansson_fail_at(-1);
	assert_true(n > 5);
	assert_int_equal(err, CR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(round_trips),
			cmocka_unit_test(damage),
			cmocka_unit_test(wrong_key),
			cmocka_unit_test(wrong_session),
			cmocka_unit_test(headers),
			cmocka_unit_test(forms),
			cmocka_unit_test(truncated_but_named),
			cmocka_unit_test(sizes),
			cmocka_unit_test(seal_room),
			cmocka_unit_test(allocation_failures),
	};

	return RUN(tests);
}
