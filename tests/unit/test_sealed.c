/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper_edge.h"

#include "base.h"
#include "jwe.h"
#include "samples.h"
#include "sealed.h"

#define SUB CR_SPAN(SAMPLE_SUB)
#define SID CR_SPAN(SAMPLE_SID)

static cr_state_t opened;
static char mem[CR_STATE_JSON_MAX];
static char sealed[CR_JWE_MAX + 1];

static cr_span_t make(void)
{
	cr_state_t st = sample_full();
	int len = cr_sealed_make(
			sealed, sizeof(sealed), &env, &ring.keys[0], SUB, SID, &st);

	assert_true(len > 0);
	return (cr_span_t){sealed, (size_t)len};
}

static int open(cr_span_t jwe)
{
	return cr_sealed_open(&opened, mem, &env, SUB, SID, jwe);
}

static void frozen_vector(void **state)
{
	json_t *v = vector_load("sealed");
	cr_span_t jwe = cr_span_str(vector_str(v, "jwe"));
	cr_span_t sub = cr_span_str(vector_str(v, "sub"));
	cr_span_t sid = cr_span_str(vector_str(v, "sid"));
	char text[CR_JWE_MAX + 1];
	cr_state_t st = sample_full();
	int n;

	(void)state;
	assert_string_equal(ring.keys[0].kid, vector_str(v, "kid"));
	assert_hex(ring.keys[0].state, CR_KEY_LEN, vector_str(v, "state_key"));
	n = cr_sealed_make(text, sizeof(text), &env, &ring.keys[0], sub, sid, &st);
	assert_text(text, n, vector_str(v, "jwe"));

	env.now_ms = vector_int(v, "now") * 1000;
	assert_int_equal(cr_sealed_open(&opened, mem, &env, sub, sid, jwe), CR_OK);
	n = cr_state_encode(text, sizeof(text), &opened);
	assert_text(text, n, vector_str(v, "state"));
	json_decref(v);
}

/* A nonce must not come twice with another content (RFC 5116 section 3.1). */
static void another_state_has_another_nonce(void **state)
{
	char first[CR_JWE_MAX + 1];
	cr_state_t st = sample_full();

	(void)state;
	make();
	strcpy(first, sealed);
	make();
	assert_string_equal(first, sealed);
	st.iat++;
	assert_true(cr_sealed_make(sealed, sizeof(sealed), &env, &ring.keys[0], SUB,
						SID, &st)
			> 0);
	assert_memory_not_equal(
			strchr(first, '.') + 2, strchr(sealed, '.') + 2, 16);
	st.iat--;
	assert_true(cr_sealed_make(sealed, sizeof(sealed), &env, &ring.keys[0], SUB,
						CR_SPAN("s-2"), &st)
			> 0);
	assert_memory_not_equal(
			strchr(first, '.') + 2, strchr(sealed, '.') + 2, 16);
}

static void round_trip(void **state)
{
	cr_state_t st = sample_full();

	(void)state;
	assert_int_equal(open(make()), CR_OK);
	assert_string_equal(opened.id, st.id);
	assert_true(cr_span_eq(opened.target, st.target));
	assert_int_equal(opened.n_routes, st.n_routes);
	assert_int_equal(opened.cseq, st.cseq);
}

/* The client holds its client key, and may read but not write with it. */
static void made_by_the_client(void **state)
{
	static const char *const tails[] = {
			"}", ",\"mac\":\"\"}", ",\"mac\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"};
	char json[CR_STATE_JSON_MAX], jwe[CR_JWE_MAX + 1];
	uint8_t key[CR_KEY_LEN];
	cr_state_t st = sample_full();
	int len = cr_state_encode(json, sizeof(json), &st), n;

	(void)state;
	assert_true(len > 0);
	assert_int_equal(
			cr_client_key(key, crypto, &ring.keys[0], SUB, SID), CR_OK);
	for(int i = 0; i < 3; i++) {
		strcpy(json + len - 1, tails[i]);
		n = cr_jwe_seal(jwe, sizeof(jwe), crypto, CR_SPAN("k1"), key,
				sample_nonce, cr_span_str(json));
		assert_true(n > 0);
		assert_int_equal(open((cr_span_t){jwe, (size_t)n}), CR_EFORGED);
	}
}

/* Nor may it change what we made: open, edit one character, seal again. */
static void edited_by_the_client(void **state)
{
	char json[CR_STATE_JSON_MAX], jwe[CR_JWE_MAX + 1];
	uint8_t key[CR_KEY_LEN];
	int len, n;

	(void)state;
	assert_int_equal(
			cr_client_key(key, crypto, &ring.keys[0], SUB, SID), CR_OK);
	len = cr_jwe_open(json, sizeof(json), crypto, key, make());
	assert_true(len > 0);
	for(int i = 0; i < len; i++) {
		json[i] ^= 1;
		n = cr_jwe_seal(jwe, sizeof(jwe), crypto, CR_SPAN("k1"), key,
				sample_nonce, (cr_span_t){json, (size_t)len});
		assert_int_equal(open((cr_span_t){jwe, (size_t)n}), CR_EFORGED);
		json[i] ^= 1;
	}
	n = cr_jwe_seal(jwe, sizeof(jwe), crypto, CR_SPAN("k1"), key, sample_nonce,
			(cr_span_t){json, (size_t)len});
	assert_int_equal(open((cr_span_t){jwe, (size_t)n}), CR_OK);
}

static void of_another_session(void **state)
{
	cr_span_t jwe = make();

	(void)state;
	assert_int_equal(cr_sealed_open(&opened, mem, &env,
							 CR_SPAN("sip:mallory@example.com"), SID, jwe),
			CR_EFORGED);
	assert_int_equal(
			cr_sealed_open(&opened, mem, &env, SUB, CR_SPAN("s-2"), jwe),
			CR_EFORGED);
	env.ring = &stranger;
	assert_int_equal(open(jwe), CR_EFORGED);
}

static void expired(void **state)
{
	cr_span_t jwe = make();

	(void)state;
	env.now_ms = (sample_full().exp - 1) * 1000;
	assert_int_equal(open(jwe), CR_OK);
	env.now_ms += 1000;
	assert_int_equal(open(jwe), CR_EEXPIRED);
	assert_true(cr_span_eq(opened.call_id, sample_full().call_id));
}

static void of_a_retired_key(void **state)
{
	cr_span_t jwe = make();

	(void)state;
	ring.keys[0].not_after = NOW - 1;
	assert_int_equal(open(jwe), CR_EFORGED);
}

static int open_whole(cr_span_t jwe)
{
	return open(jwe);
}

static void damaged(void **state)
{
	char copy[CR_JWE_MAX + 1];

	(void)state;
	make();
	strcpy(copy, sealed);
	refuse_damage(open_whole, copy, cr_b64_encode, cr_b64_decode);
}

/* All that has our header gets one and the same answer. */
static void truncations_are_forged(void **state)
{
	cr_span_t jwe = make();
	size_t head = (size_t)(strchr(sealed, '.') - sealed) + 1;

	(void)state;
	for(size_t n = head; n < jwe.len; n++)
		assert_int_equal(open((cr_span_t){sealed, n}), CR_EFORGED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(frozen_vector),
			T(another_state_has_another_nonce),
			T(round_trip),
			T(made_by_the_client),
			T(edited_by_the_client),
			T(of_another_session),
			T(expired),
			T(of_a_retired_key),
			T(damaged),
			T(truncations_are_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
