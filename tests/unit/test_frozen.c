/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What earlier versions have sealed opens in this one. Clients and far ends hold
 * it over an upgrade: the samples in tests/vectors/frozen-N are kept for ever.
 */
#include "helper.h"

#include <unistd.h>

#include "map.h"
#include "ref.h"
#include "sealed.h"
#include "token.h"
#include "turn.h"

static char folder[16];
static cr_ring_t old; /* the ring of that version */
static int64_t now;

static json_t *frozen(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return vector_load(path);
}

static int exists(int version)
{
	char path[512];

	snprintf(folder, sizeof(folder), "frozen-%d", version);
	snprintf(path, sizeof(path), "%s/%s/ring.json", VECTORS, folder);
	return access(path, R_OK) == 0;
}

/* In turn for each sample in that file of each version. */
static void each(const char *name, void (*sample)(const json_t *v))
{
	int versions = 0;

	while(exists(versions + 1)) {
		char why[CR_WHY_MAX];
		json_t *v = frozen("ring"), *list = frozen(name);
		size_t n = json_array_size(list);

		versions++;
		now = vector_int(v, "now");
		assert_int_equal(cr_ring_parse(&old, why, crypto,
								 cr_span_str(vector_str(v, "text")), now),
				CR_OK);
		assert_true(n > 0);
		for(size_t i = 0; i < n; i++)
			sample(json_array_get(list, i));
		json_decref(list);
		json_decref(v);
	}
	assert_true(versions > 0);
}

static cr_span_t member(const json_t *v, const char *name)
{
	return cr_span_str(vector_str(v, name));
}

static void is(const json_t *v, const char *name, cr_span_t got)
{
	assert_text(got.s, (int)got.len, vector_str(v, name));
}

static void is_client_key(const json_t *v, const char *kid)
{
	uint8_t key[CR_KEY_LEN];
	const cr_key_t *master = cr_ring_by_kid(&old, cr_span_str(kid), now);

	assert_non_null(master);
	assert_int_equal(cr_client_key(key, crypto, master, member(v, "sub"),
							 member(v, "sid")),
			CR_OK);
	assert_hex(key, sizeof(key), vector_str(v, "client_key"));
}

static void one_token(const json_t *v)
{
	cr_token_t t;

	assert_int_equal(
			cr_token_verify(&t, crypto, &old, member(v, "jwt"), now, 0), CR_OK);
	assert_string_equal(t.sub, vector_str(v, "sub"));
	assert_string_equal(t.sid, vector_str(v, "sid"));
	assert_string_equal(t.kid, vector_str(v, "kid"));
	assert_int_equal(t.exp, vector_int(v, "exp"));
	is_client_key(v, t.kid);
}

static void tokens(void **state)
{
	(void)state;
	each("tokens", one_token);
}

/* Every member that it had then; a later version may have more. */
static void is_state(const json_t *want, const cr_state_t *st)
{
	char text[CR_STATE_JSON_MAX];
	int n = cr_state_encode(text, sizeof(text), st);
	const char *name;
	json_t *got, *value;

	assert_true(n > 0);
	got = json_loadb(text, (size_t)n, 0, NULL);
	json_object_foreach((json_t *)want, name, value)
	{
		if(strcmp(name, "v") != 0
				&& !json_equal(value, json_object_get(got, name)))
			fail_msg("%s is another one in %s", name, text);
	}
	json_decref(got);
}

static void one_state(const json_t *v)
{
	static cr_work_t work;
	static char mem[CR_STATE_JSON_MAX];
	const cr_env_t env = {.crypto = crypto,
			.ring = &old,
			.work = &work,
			.order_mark = "",
			.now_ms = now * 1000};
	cr_state_t st;

	assert_int_equal(cr_sealed_open(&st, mem, &env, member(v, "sub"),
							 member(v, "sid"), member(v, "jwe")),
			CR_OK);
	is_state(json_object_get(v, "state"), &st);
	is_client_key(v, vector_str(v, "kid"));
}

static void states(void **state)
{
	(void)state;
	each("states", one_state);
}

static void one_map(const json_t *v)
{
	const cr_dialog_id_t here
			= {member(v, "here_call_id"), member(v, "here_tag")};
	uint8_t mem[CR_BOX_PLAIN_MAX];
	const cr_key_t *key;
	cr_map_t m;

	assert_int_equal(cr_map_open(&m, mem, &key, crypto, &old, now,
							 (cr_purpose_t)vector_str(v, "purpose")[0], &here,
							 member(v, "text")),
			CR_OK);
	assert_string_equal(key->kid, vector_str(v, "kid"));
	assert_int_equal(m.flags, vector_int(v, "flags"));
	assert_int_equal(m.cseq_offset, vector_int(v, "cseq_offset"));
	assert_int_equal(m.exp, vector_int(v, "exp"));
	is(v, "call_id", m.other.call_id);
	is(v, "tag", m.other.tag);
	is(v, "n_local", m.n_local);
	is(v, "n_remote", m.n_remote);
	is(v, "o_local", m.o_local);
	is(v, "o_remote", m.o_remote);
}

static void maps(void **state)
{
	(void)state;
	each("maps", one_map);
}

static void one_reference(const json_t *v)
{
	const json_t *fp = json_object_get(v, "fp");
	uint8_t mem[CR_BOX_PLAIN_MAX];
	cr_ref_t r;

	assert_int_equal(cr_ref_open(&r, mem, crypto, &old, now,
							 (cr_purpose_t)vector_str(v, "purpose")[0],
							 member(v, "call_id"), member(v, "text")),
			CR_OK);
	assert_hex(r.hint, sizeof(r.hint), vector_str(v, "hint"));
	assert_int_equal(r.start, vector_int(v, "start"));
	assert_int_equal(r.cseq, vector_int(v, "cseq"));
	is(v, "sub", r.sub);
	is(v, "sid", r.sid);
	assert_int_equal(r.fp.known, json_is_string(fp));
	if(r.fp.known)
		assert_hex(r.fp.hash, CR_FP_LEN, json_string_value(fp));
}

static void references(void **state)
{
	(void)state;
	each("references", one_reference);
}

static void one_turn(const json_t *v)
{
	char why[CR_WHY_MAX];
	cr_turn_secret_t secret;
	cr_turn_t t;

	assert_int_equal(
			cr_turn_secret_parse(&secret, why, member(v, "secret")), CR_OK);
	assert_int_equal(
			cr_turn_issue(&t, &secret, member(v, "sub"), vector_int(v, "exp")),
			CR_OK);
	assert_string_equal(t.user, vector_str(v, "user"));
	assert_string_equal(t.pass, vector_str(v, "pass"));
}

static void turn(void **state)
{
	(void)state;
	each("turn", one_turn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(tokens),
			cmocka_unit_test(states),
			cmocka_unit_test(maps),
			cmocka_unit_test(references),
			cmocka_unit_test(turn),
	};

	return RUN(tests);
}
