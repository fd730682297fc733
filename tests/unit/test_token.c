/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"
#include "token.h"

#define HEAD "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"
#define GOOD "{\"sub\":\"sip:a@b\",\"sid\":\"s\",\"exp\":1750000100}"

static cr_token_t got;

static int verify_with(const cr_ring_t *r, const char *jwt, int64_t now)
{
	return cr_token_verify(&got, crypto, r, cr_span_str(jwt), now, 5);
}

static int open(cr_span_t jwt)
{
	return cr_token_verify(&got, crypto, &ring, jwt, NOW, 5);
}

/* Sign these claims with k1 and verify. */
static int claims(const char *json)
{
	return verify_with(&ring, token_make(&ring.keys[0], HEAD, json), NOW);
}

static int header(const char *json)
{
	return verify_with(&ring, token_make(&ring.keys[0], json, GOOD), NOW);
}

static void frozen_vector(void **state)
{
	json_t *v = vector_load("token");
	const char *jwt = vector_str(v, "jwt");

	(void)state;
	assert_string_equal(token_make(&ring.keys[0], vector_str(v, "header"),
								vector_str(v, "claims")),
			jwt);
	assert_int_equal(verify_with(&ring, jwt, vector_int(v, "now")), CR_OK);
	assert_string_equal(got.sub, "sip:alice@example.com");
	assert_string_equal(got.sid, "s-1");
	assert_string_equal(got.jti, "AAAAAAAAAAAAAAAAAAAAAA");
	assert_string_equal(got.kid, "k1");
	assert_int_equal(got.iat, 1750000000);
	assert_int_equal(got.exp, 1750003600);
	assert_int_equal(got.nbf, 0);
	json_decref(v);
}

static void issue(char *out, size_t max, cr_token_t *t)
{
	assert_true(cr_token_issue(out, max, t, crypto, &ring, NOW, 3600) > 0);
}

static void round_trip(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {.sub = "sip:m\xc3\xbcller@b", .sid = "s.1_-Z"};

	(void)state;
	issue(out, sizeof(out), &t);
	assert_int_equal(verify_with(&ring, out, NOW), CR_OK);
	assert_string_equal(got.sub, t.sub);
	assert_string_equal(got.sid, "s.1_-Z");
	assert_string_equal(got.kid, "k1");
	assert_string_equal(got.jti, t.jti);
	assert_int_equal(strlen(got.jti), CR_JTI_LEN);
	assert_int_equal(got.iat, NOW);
	assert_int_equal(got.exp, NOW + 3600);
}

static void longest_names(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {0};

	(void)state;
	memset(t.sub, 'x', CR_SUB_MAX);
	memset(t.sid, 'y', CR_SID_MAX);
	issue(out, sizeof(out), &t);
	assert_int_equal(verify_with(&ring, out, NOW), CR_OK);
	assert_string_equal(got.sub, t.sub);
	assert_string_equal(got.sid, t.sid);
}

static void new_session_each_time(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t a = {.sub = "sip:a@b"}, b = {.sub = "sip:a@b"};

	(void)state;
	issue(out, sizeof(out), &a);
	issue(out, sizeof(out), &b);
	assert_int_equal(strlen(a.sid), CR_JTI_LEN);
	assert_string_not_equal(a.sid, b.sid);
	assert_string_not_equal(a.jti, b.jti);
}

/* A renewed token keeps the key of the client key while that is usable. */
static void renewal_keeps_the_client_key(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {.sub = "sip:a@b", .sid = "s", .kid = "k2"};

	(void)state;
	issue(out, sizeof(out), &t);
	assert_int_equal(verify_with(&ring, out, NOW), CR_OK);
	assert_string_equal(got.kid, "k2");
	strcpy(t.kid, "gone");
	issue(out, sizeof(out), &t);
	assert_string_equal(t.kid, "k1");
}

static int issue_error(
		const char *sub, const char *sid, size_t max, int64_t ttl_s)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {0}, before;
	int err;

	strcpy(t.sub, sub);
	strcpy(t.sid, sid);
	before = t;
	err = cr_token_issue(out, max, &t, crypto, &ring, NOW, ttl_s);
	assert_memory_equal(&t, &before, sizeof(t));
	return err;
}

static void issue_refuses(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {.sub = "a"};
	cr_ring_t none = {0};

	(void)state;
	assert_int_equal(issue_error("", "s", 999, 60), CR_EMALFORMED);
	assert_int_equal(issue_error("a\"b", "s", 999, 60), CR_EMALFORMED);
	assert_int_equal(issue_error("a\\b", "s", 999, 60), CR_EMALFORMED);
	assert_int_equal(issue_error("a\r\nb", "s", 999, 60), CR_EMALFORMED);
	assert_int_equal(issue_error("\xff", "s", 999, 60), CR_EMALFORMED);
	assert_int_equal(issue_error("a", "s s", 999, 60), CR_EMALFORMED);
	assert_int_equal(issue_error("a", "s", 999, 0), CR_EMALFORMED);
	assert_int_equal(issue_error("a", "s", 999, -1), CR_EMALFORMED);
	assert_int_equal(issue_error("a", "s", 999, INT64_MAX), CR_EMALFORMED);
	assert_int_equal(issue_error("a", "s", 40, 60), CR_ETOOBIG);
	assert_int_equal(
			cr_token_issue(out, sizeof(out), &t, crypto, &none, NOW, 60),
			CR_EKEY);
}

static int stand_in(const char *sub, const char *sid, int64_t ttl_s)
{
	return cr_token_stand_in(
			&got, &ring, cr_span_str(sub), cr_span_str(sid), NOW, ttl_s);
}

static void stand_ins(void **state)
{
	char name[CR_SUB_MAX + 2] = "";
	const cr_ring_t none = {0};

	(void)state;
	assert_int_equal(stand_in("sip:a@b", "s-1", 60), CR_OK);
	assert_string_equal(got.sub, "sip:a@b");
	assert_string_equal(got.sid, "s-1");
	assert_string_equal(got.kid, "k1");
	assert_string_equal(got.jti, "");
	assert_int_equal(got.iat, NOW);
	assert_int_equal(got.exp, NOW + 60);
	memset(&got, 0x77, sizeof(got));
	assert_int_equal(stand_in("", "s", 60), CR_EMALFORMED);
	assert_int_equal(stand_in("a", "", 60), CR_EMALFORMED);
	assert_int_equal(stand_in("a\r\nb", "s", 60), CR_EMALFORMED);
	assert_int_equal(stand_in("<a>", "s", 60), CR_EMALFORMED);
	assert_int_equal(stand_in("a", "<urn:uuid:1>", 60), CR_EMALFORMED);
	assert_int_equal(stand_in("a", "s", 0), CR_EMALFORMED);
	assert_int_equal(cr_token_stand_in(&got, &ring, CR_SPAN("a\0evil"),
							 CR_SPAN("s"), NOW, 60),
			CR_EMALFORMED);
	assert_int_equal(cr_token_stand_in(&got, &ring, CR_SPAN("a"),
							 CR_SPAN("s\0evil"), NOW, 60),
			CR_EMALFORMED);
	memset(name, 'x', CR_SUB_MAX + 1);
	assert_int_equal(stand_in(name, "s", 60), CR_EMALFORMED);
	assert_int_equal(
			stand_in("a", &name[CR_SUB_MAX - CR_SID_MAX], 60), CR_EMALFORMED);
	assert_int_equal(got.sub[0], 0x77);
	assert_int_equal(
			cr_token_stand_in(&got, &none, CR_SPAN("a"), CR_SPAN("s"), NOW, 60),
			CR_EKEY);
}

static void names(void **state)
{
	cr_token_t t = {.sub = "longer than the next", .sid = "longer, too"};
	char name[CR_SUB_MAX + 1];

	(void)state;
	assert_int_equal(
			cr_token_name(&t, CR_SPAN("sip:a@b"), CR_SPAN("s")), CR_OK);
	assert_string_equal(t.sub, "sip:a@b");
	assert_string_equal(t.sid, "s");
	assert_int_equal(
			cr_token_name(&t, CR_SPAN("sip:a@b"), (cr_span_t){NULL, 0}), CR_OK);
	assert_string_equal(t.sid, "");
	assert_int_equal(cr_token_name(&t, CR_SPAN("sip:a\0@b"), CR_SPAN("")),
			CR_EMALFORMED);
	assert_int_equal(cr_token_name(&t, CR_SPAN("sip:a@b"), CR_SPAN("\0")),
			CR_EMALFORMED);
	memset(name, 'x', sizeof(name));
	assert_int_equal(cr_token_name(&t, (cr_span_t){name, CR_SUB_MAX},
							 (cr_span_t){name, CR_SID_MAX}),
			CR_OK);
	assert_int_equal(strlen(t.sub), CR_SUB_MAX);
	assert_int_equal(strlen(t.sid), CR_SID_MAX);
	assert_int_equal(
			cr_token_name(&t, (cr_span_t){name, CR_SUB_MAX + 1}, CR_SPAN("s")),
			CR_EMALFORMED);
	assert_int_equal(
			cr_token_name(&t, CR_SPAN("a"), (cr_span_t){name, CR_SID_MAX + 1}),
			CR_EMALFORMED);
}

/* The zero behind the token needs its place, too. */
static void issue_exact_room(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {.sub = "sip:a@b", .sid = "s"};
	int n = cr_token_issue(out, sizeof(out), &t, crypto, &ring, NOW, 60);
	char *tight = malloc((size_t)n + 1);

	(void)state;
	assert_true(n > 0);
	assert_int_equal(strlen(out), n);
	assert_int_equal(
			cr_token_issue(tight, (size_t)n + 1, &t, crypto, &ring, NOW, 60),
			n);
	assert_int_equal(
			cr_token_issue(tight, (size_t)n, &t, crypto, &ring, NOW, 60),
			CR_ETOOBIG);
	free(tight);
}

static void damage(void **state)
{
	json_t *v = vector_load("token");
	const char *jwt = vector_str(v, "jwt");

	(void)state;
	refuse_damage(open, jwt, cr_b64_encode, cr_b64_decode);
	json_decref(v);
}

/* A flipped MAC has to be told as forged, or a script cannot tell an attack
 * from a broken client. */
static void flipped_mac_is_forged(void **state)
{
	char *jwt = (char *)token_make(&ring.keys[0], HEAD, GOOD);
	char *mac = strrchr(jwt, '.') + 1;

	(void)state;
	assert_int_equal(verify_with(&ring, jwt, NOW), CR_OK);
	mac[0] = mac[0] == 'A' ? 'B' : 'A';
	assert_int_equal(verify_with(&ring, jwt, NOW), CR_EFORGED);
}

static void wrong_key(void **state)
{
	(void)state;
	assert_int_equal(
			verify_with(&stranger, token_make(&ring.keys[0], HEAD, GOOD), NOW),
			CR_EFORGED);
	/* named k1, signed with k2 */
	assert_int_equal(
			verify_with(&ring, token_make(&ring.keys[1], HEAD, GOOD), NOW),
			CR_EFORGED);
}

/* What another algorithm makes is told by its header, not by the length of its
 * signature. */
static void other_signatures(void **state)
{
	char *jwt = (char *)token_make(
			&ring.keys[0], "{\"alg\":\"none\",\"kid\":\"k1\"}", GOOD);

	(void)state;
	strrchr(jwt, '.')[1] = 0;
	assert_int_equal(verify_with(&ring, jwt, NOW), CR_EUNSUPPORTED);
	jwt = (char *)token_make(&ring.keys[0], HEAD, GOOD);
	strcat(jwt, ".");
	assert_int_equal(verify_with(&ring, jwt, NOW), CR_EMALFORMED);
	strrchr(jwt, '.')[0] = 0;
	strcat(jwt, "AAAA");
	assert_int_equal(verify_with(&ring, jwt, NOW), CR_EMALFORMED);
	strrchr(jwt, '.')[1] = 0;
	assert_int_equal(verify_with(&ring, jwt, NOW), CR_EMALFORMED);
}

/* A token signed with any other key that comes from the same master key. */
static void wrong_purpose(void **state)
{
	cr_key_t other = ring.keys[0];

	(void)state;
	memcpy(other.token, ring.keys[0].box, CR_KEY_LEN);
	assert_int_equal(verify_with(&ring, token_make(&other, HEAD, GOOD), NOW),
			CR_EFORGED);
	memcpy(other.token, ring.keys[0].prk, CR_KEY_LEN);
	assert_int_equal(verify_with(&ring, token_make(&other, HEAD, GOOD), NOW),
			CR_EFORGED);
}

static void unknown_and_retired_keys(void **state)
{
	const char *jwt = token_make(&ring.keys[0], HEAD, GOOD);
	cr_ring_t retired = ring;

	(void)state;
	retired.keys[0].not_after = NOW - 1;
	assert_int_equal(verify_with(&retired, jwt, NOW), CR_EKEY);
	assert_int_equal(header("{\"alg\":\"HS256\",\"kid\":\"k9\"}"), CR_EKEY);
	assert_int_equal(header("{\"alg\":\"HS256\"}"), CR_EKEY);
}

static void headers(void **state)
{
	(void)state;
	assert_int_equal(header("{\"alg\":\"HS256\",\"kid\":\"k1\"}"), CR_OK);
	assert_int_equal(
			header("{\"x\":[1],\"kid\":\"k1\",\"alg\":\"HS256\"}"), CR_OK);
	assert_int_equal(
			header("{\"alg\":\"none\",\"kid\":\"k1\"}"), CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"HS512\",\"kid\":\"k1\"}"), CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"RS256\",\"kid\":\"k1\"}"), CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"hs256\",\"kid\":\"k1\"}"), CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"HS256\",\"kid\":\"k1\",\"crit\":[]}"),
			CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"HS256\",\"kid\":\"k1\",\"b64\":false}"),
			CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"x\"}"),
			CR_EUNSUPPORTED);
	assert_int_equal(header("{\"kid\":\"k1\"}"), CR_EMALFORMED);
	assert_int_equal(header("{\"alg\":1,\"kid\":\"k1\"}"), CR_EMALFORMED);
	assert_int_equal(header("{\"alg\":\"HS256\",\"kid\":7}"), CR_EMALFORMED);
	assert_int_equal(
			header("{\"alg\":\"HS256\",\"kid\":\"k 1\"}"), CR_EMALFORMED);
	assert_int_equal(
			header("{\"alg\":\"HS256\",\"alg\":\"HS256\",\"kid\":\"k1\"}"),
			CR_EMALFORMED);
	assert_int_equal(header("[]"), CR_EMALFORMED);
	assert_int_equal(header(""), CR_EMALFORMED);
}

static void times(void **state)
{
	const char *jwt = token_make(&ring.keys[0], HEAD,
			"{\"sub\":\"a\",\"sid\":\"s\",\"nbf\":1749999000,"
			"\"exp\":1750000100}");

	(void)state;
	assert_int_equal(verify_with(&ring, jwt, 1750000104), CR_OK);
	assert_int_equal(verify_with(&ring, jwt, 1750000105), CR_EEXPIRED);
	assert_int_equal(verify_with(&ring, jwt, 1749998995), CR_OK);
	assert_int_equal(verify_with(&ring, jwt, 1749998994), CR_ENOTYET);
	assert_int_equal(
			claims("{\"sub\":\"a\",\"sid\":\"s\",\"exp\":1750000100.75}"),
			CR_OK);
	assert_int_equal(got.exp, 1750000100);
}

#define SUB_SID "\"sub\":\"a\",\"sid\":\"s\","

static void bad_claims(void **state)
{
	static const char *const bad[] = {"", "{\"sid\":\"s\"}", "[]", "1",
			GOOD "x", "{" SUB_SID "\"iat\":1750000000}",
			"{" SUB_SID "\"exp\":\"9\"}", "{" SUB_SID "\"exp\":true}",
			"{" SUB_SID "\"exp\":null}", "{" SUB_SID "\"exp\":-1}",
			"{" SUB_SID "\"exp\":1e300}",
			"{" SUB_SID "\"exp\":99999999999999999999}",
			"{" SUB_SID "\"exp\":253402300800}",
			"{" SUB_SID "\"exp\":1750000100,\"exp\":1750000100}",
			"{" SUB_SID "\"exp\":1750000100,\"nbf\":\"0\"}",
			"{" SUB_SID "\"exp\":1750000100,\"iat\":-5}",
			"{" SUB_SID "\"exp\":1750000100,\"jti\":5}",
			"{" SUB_SID "\"exp\":1750000100,\"jti\":\"a b\"}",
			"{" SUB_SID "\"exp\":1750000100,\"kid\":\"a b\"}",
			"{\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":[\"a\"],\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"a\\r\\nVia: x\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"a\\u0000b\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"a\\u0085b\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"a\\\"b\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"<a>\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"\xff\",\"sid\":\"s\",\"exp\":1750000100}",
			"{\"sub\":\"a\",\"sid\":\"s s\",\"exp\":1750000100}",
			"{\"sub\":\"a\",\"sid\":\"\",\"exp\":1750000100}", NULL};

	(void)state;
	memset(&got, 0x77, sizeof(got));
	for(int i = 0; bad[i]; i++)
		if(claims(bad[i]) != CR_EMALFORMED)
			fail_msg("not malformed: %s", bad[i]);
	assert_int_equal(got.sub[0], 0x77);
}

/* What other systems' tokens lack first of all is told apart. */
static void without_a_session(void **state)
{
	(void)state;
	assert_int_equal(claims("{\"sub\":\"a\",\"exp\":1750000100}"), CR_ENOSID);
}

static void too_long_claims(void **state)
{
	char name[CR_SUB_MAX + 2] = "", json[512];

	(void)state;
	memset(name, 'x', CR_SUB_MAX + 1);
	snprintf(json, sizeof(json),
			"{\"sub\":\"%s\",\"sid\":\"s\",\"exp\":1750000100}", name);
	assert_int_equal(claims(json), CR_EMALFORMED);
	name[CR_SID_MAX + 1] = 0;
	snprintf(json, sizeof(json),
			"{\"sub\":\"a\",\"sid\":\"%s\",\"exp\":1750000100}", name);
	assert_int_equal(claims(json), CR_EMALFORMED);
}

static void sizes(void **state)
{
	static char json[CR_TOKEN_MAX] = GOOD;

	(void)state;
	memset(&json[strlen(GOOD)], ' ', 2900);
	assert_int_equal(claims(json), CR_OK);
	memset(&json[strlen(GOOD)], ' ', 3100);
	assert_int_equal(claims(json), CR_ETOOBIG);
	memset(json, 'x', 1025 * 3 / 4 + 1);
	json[1025 * 3 / 4 + 1] = 0;
	assert_int_equal(header(json), CR_ETOOBIG);
	assert_int_equal(verify_with(&ring, "a.b.c", NOW), CR_EMALFORMED);
	assert_int_equal(verify_with(&ring, "", NOW), CR_EMALFORMED);
}

static void allocation_failures(void **state)
{
	(void)state;
	assert_int_equal(
			refuse_without_memory(open, token_make(&ring.keys[0], HEAD, GOOD)),
			CR_OK);
}

static void issue_needs_no_allocation(void **state)
{
	char out[CR_TOKEN_MAX + 1];
	cr_token_t t = {.sub = "sip:a@b"};

	(void)state;
	jansson_fail_at(0);
	issue(out, sizeof(out), &t);
	assert_false(jansson_failed());
	jansson_fail_at(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(round_trip),
			cmocka_unit_test(longest_names),
			cmocka_unit_test(new_session_each_time),
			cmocka_unit_test(renewal_keeps_the_client_key),
			cmocka_unit_test(issue_refuses),
			cmocka_unit_test(stand_ins),
			cmocka_unit_test(names),
			cmocka_unit_test(issue_exact_room),
			cmocka_unit_test(damage),
			cmocka_unit_test(flipped_mac_is_forged),
			cmocka_unit_test(wrong_key),
			cmocka_unit_test(other_signatures),
			cmocka_unit_test(wrong_purpose),
			cmocka_unit_test(unknown_and_retired_keys),
			cmocka_unit_test(headers),
			cmocka_unit_test(times),
			cmocka_unit_test(bad_claims),
			cmocka_unit_test(without_a_session),
			cmocka_unit_test(too_long_claims),
			cmocka_unit_test(sizes),
			cmocka_unit_test(allocation_failures),
			cmocka_unit_test(issue_needs_no_allocation),
	};

	return RUN(tests);
}
