/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tokens of issuers: each algorithm against the frozen vector, each way to lie
 * about the key or the algorithm, each claim that has to fit.
 */
#include "helper_issuer.h"

#include <openssl/err.h>

#include "base.h"

#define ED_HEAD "{\"alg\":\"EdDSA\",\"kid\":\"ed25519-1\"}"
#define P256_HEAD "{\"alg\":\"ES256\",\"kid\":\"p256-1\"}"
#define WHO "\"iss\":\"" ISS "\",\"aud\":\"" AUD "\","
#define REST "\"sub\":\"sip:a@b\",\"sid\":\"s\",\"exp\":1750000100}"
#define GOOD "{" WHO REST

static cr_trust_t trust; /* ISS with a set of both keys */
static cr_token_t got;

static int accept_with(cr_trust_t *t, const char *jwt, int64_t now)
{
	const cr_env_t env = {
			.crypto = crypto, .ring = &ring, .trust = t, .now_ms = now * 1000};

	return cr_token_accept(&got, &env, cr_span_str(jwt), 5);
}

static int accept_span(cr_span_t jwt)
{
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.trust = &trust,
			.now_ms = NOW * 1000};

	return cr_token_accept(&got, &env, jwt, 5);
}

static int accept(signer_t by, const char *header, const char *claims)
{
	return accept_with(&trust, outside_make(by, header, claims), NOW);
}

static int header(const char *json)
{
	return accept(SIGN_ED25519, json, GOOD);
}

static int claims(const char *json)
{
	return accept(SIGN_ED25519, ED_HEAD, json);
}

static int setup_trust(void **state)
{
	char *keys;

	if(setup(state))
		return -1;
	keys = both_keys();
	trust_text(&trust, "iss=" ISS ";keys=/k;aud=" AUD, keys);
	free(keys);
	return 0;
}

static int teardown_trust(void **state)
{
	/* After all these refusals. TLS would take what it finds there for its own. */
	assert_int_equal(ERR_peek_error(), 0);
	cr_trust_clear(&trust);
	return teardown(state);
}

/* ---- the frozen vector ------------------------------------------------------- */

static void check_frozen(const char *name)
{
	json_t *v = vector_load("issuer");
	const json_t *key = json_object_get(v, name);
	const char *jwt = vector_str(key, "jwt");
	cr_trust_t pem = {0};

	assert_int_equal(accept_with(&trust, jwt, vector_int(v, "now")), CR_OK);
	assert_string_equal(got.sub, "sip:alice@example.com");
	assert_string_equal(got.sid, "s-1");
	assert_string_equal(got.jti, "a1");
	assert_string_equal(got.iss, vector_str(v, "iss"));
	assert_string_equal(got.kid, "k1"); /* the sealing key */
	assert_int_equal(got.exp, 1750003600);
	trust_text(&pem, "iss=" ISS ";keys=/k;aud=" AUD, vector_str(key, "pem"));
	assert_int_equal(accept_with(&pem, jwt, NOW), CR_OK);
	cr_trust_clear(&pem);
	json_decref(v);
}

static void frozen_vectors(void **state)
{
	(void)state;
	check_frozen("ed25519");
	check_frozen("p256");
}

static void damage_of(const char *name)
{
	json_t *v = vector_load("issuer");
	const char *jwt = vector_str(json_object_get(v, name), "jwt");

	refuse_damage(accept_span, jwt, cr_b64_encode, cr_b64_decode);
	json_decref(v);
}

static void damage(void **state)
{
	(void)state;
	damage_of("ed25519");
	damage_of("p256");
}

/* The RFCs' own examples: signatures over something that is no token of ours. */
static void rfc_examples(void **state)
{
	const char *const names[] = {"ed25519", "p256"};
	json_t *v = vector_load("issuer");

	(void)state;
	for(int i = 0; i < 2; i++) {
		const char *jws = vector_str(json_object_get(v, names[i]), "jws");
		const char *dot = strrchr(jws, '.');
		cr_span_t text = {jws, (size_t)(dot - jws)};
		const cr_jwk_t *key = &trust.set.keys[i];
		uint8_t signature[64];

		assert_int_equal(
				cr_b64_decode(signature, 64, cr_span_str(dot + 1)), 64);
		assert_int_equal(cr_trust_check(&trust, key, text, signature), CR_OK);
		text.len--;
		assert_int_equal(
				cr_trust_check(&trust, key, text, signature), CR_EFORGED);
	}
	json_decref(v);
}

/* ---- which key, which algorithm ----------------------------------------------- */

static void accepted(void **state)
{
	(void)state;
	assert_int_equal(accept(SIGN_ED25519, ED_HEAD, GOOD), CR_OK);
	assert_int_equal(accept(SIGN_P256, P256_HEAD, GOOD), CR_OK);
	assert_int_equal(
			header("{\"alg\":\"Ed25519\",\"kid\":\"ed25519-1\"}"), CR_OK);
	assert_int_equal(header("{\"alg\":\"EdDSA\",\"kid\":\"ed25519-1\",\"typ\":"
							"\"at+jwt\",\"x\":1}"),
			CR_OK);
	assert_int_equal(header("{\"alg\":\"EdDSA\",\"kid\":\"ed25519-1\",\"typ\":"
							"\"jwt\"}"),
			CR_OK);
}

/* A key is good for one algorithm, whatever the header says. */
static void algorithm_of_another_key(void **state)
{
	(void)state;
	assert_int_equal(header("{\"alg\":\"ES256\",\"kid\":\"ed25519-1\"}"),
			CR_EUNSUPPORTED);
	assert_int_equal(accept(SIGN_P256,
							 "{\"alg\":\"ES256\",\"kid\":\"ed25519-1\"}", GOOD),
			CR_EUNSUPPORTED);
	assert_int_equal(
			accept(SIGN_P256, "{\"alg\":\"EdDSA\",\"kid\":\"p256-1\"}", GOOD),
			CR_EUNSUPPORTED);
	assert_int_equal(accept(SIGN_P256, ED_HEAD, GOOD), CR_EFORGED);
	assert_int_equal(accept(SIGN_ED25519, P256_HEAD, GOOD), CR_EFORGED);
}

/* HS256 with what everybody can read of a public key: the header may name a key
 * of the issuer or one of the ring. */
static void algorithm_confusion(void **state)
{
	const char *const heads[] = {"{\"alg\":\"HS256\",\"kid\":\"ed25519-1\"}",
			"{\"alg\":\"HS256\",\"kid\":\"k1\"}", "{\"alg\":\"HS256\"}"};
	json_t *v = vector_load("issuer");
	const json_t *key = json_object_get(v, "ed25519");
	const char *const texts[]
			= {vector_str(key, "pem"), vector_str(key, "jwk")};

	(void)state;
	for(int i = 0; i < 3; i++) {
		for(int k = 0; k < 2; k++) {
			hmac_key = texts[k];
			hmac_key_len = strlen(texts[k]);
			assert_int_equal(accept(SIGN_HMAC, heads[i], GOOD),
					i == 1 ? CR_EFORGED : CR_EKEY);
		}
		hmac_key = trust.set.keys[0].point;
		hmac_key_len = 32;
		assert_int_equal(accept(SIGN_HMAC, heads[i], GOOD),
				i == 1 ? CR_EFORGED : CR_EKEY);
	}
	/* And with EdDSA in the header, the HMAC is no signature. */
	assert_int_equal(accept(SIGN_HMAC, ED_HEAD, GOOD), CR_EMALFORMED);
	json_decref(v);
}

static void other_algorithms(void **state)
{
	static const char *const algs[] = {"none", "None", "HS512", "RS256",
			"PS256", "ES384", "ES256K", "eddsa", "Ed448", "", NULL};
	char head[80];

	(void)state;
	for(int i = 0; algs[i]; i++) {
		snprintf(head, sizeof(head), "{\"alg\":\"%s\",\"kid\":\"ed25519-1\"}",
				algs[i]);
		assert_int_equal(
				header(head), algs[i][0] ? CR_EUNSUPPORTED : CR_EMALFORMED);
		assert_int_equal(accept(SIGN_NONE, head, GOOD),
				algs[i][0] ? CR_EUNSUPPORTED : CR_EMALFORMED);
	}
}

static void no_signature(void **state)
{
	(void)state;
	assert_int_equal(accept(SIGN_NONE, ED_HEAD, GOOD), CR_EMALFORMED);
	assert_int_equal(accept(SIGN_NONE, P256_HEAD, GOOD), CR_EMALFORMED);
	/* r and s of zero: a mistake that others have made. */
	assert_int_equal(accept(SIGN_ZERO, P256_HEAD, GOOD), CR_EFORGED);
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(accept(SIGN_ZERO, ED_HEAD, GOOD), CR_EFORGED);
}

static void headers(void **state)
{
	(void)state;
	assert_int_equal(
			header("{\"alg\":\"EdDSA\",\"kid\":\"ed25519-2\"}"), CR_EKEY);
	assert_int_equal(header("{\"alg\":\"EdDSA\"}"), CR_EKEY);
	assert_int_equal(header("{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"), CR_EKEY);
	assert_int_equal(header("{\"alg\":\"EdDSA\",\"kid\":\"ed25519-1\","
							"\"crit\":[\"exp\"],\"exp\":1}"),
			CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"EdDSA\",\"kid\":\"ed25519-1\","
							"\"b64\":true}"),
			CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"EdDSA\",\"kid\":\"ed25519-1\","
							"\"typ\":\"dpop+jwt\"}"),
			CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"EdDSA\",\"kid\":\"a b\"}"), CR_EMALFORMED);
}

/* A key that comes with the token is no reason to believe it. */
static void key_in_the_header(void **state)
{
	json_t *v = vector_load("issuer");
	char head[512];

	(void)state;
	snprintf(head, sizeof(head),
			"{\"alg\":\"ES256\",\"kid\":\"mine\",\"jku\":\"https://x.invalid\","
			"\"jwk\":%s}",
			vector_str(json_object_get(v, "p256"), "jwk"));
	assert_int_equal(accept(SIGN_P256, head, GOOD), CR_EKEY);
	json_decref(v);
}

/* ---- whose token, for whom -------------------------------------------------------- */

static void issuers(void **state)
{
	(void)state;
	assert_int_equal(claims("{" REST), CR_EISSUER);
	assert_int_equal(
			claims("{\"iss\":\"https://portal.example.org/\",\"aud\":\"" AUD
				   "\"," REST),
			CR_EISSUER);
	assert_int_equal(
			claims("{\"iss\":\"\",\"aud\":\"" AUD "\"," REST), CR_EISSUER);
	assert_int_equal(claims("{\"iss\":[\"" ISS "\"],\"aud\":\"" AUD "\"," REST),
			CR_EISSUER);
	assert_int_equal(claims("{\"iss\":\"" ISS "\",\"iss\":\"" ISS "\"," REST),
			CR_EMALFORMED);
}

static void audiences(void **state)
{
	cr_trust_t nameless = {0};
	char *keys = both_keys();

	(void)state;
#define AS(aud) "{\"iss\":\"" ISS "\",\"aud\":" aud "," REST
	assert_int_equal(claims(AS("[\"x\",\"" AUD "\"]")), CR_OK);
	assert_int_equal(claims(AS("[\"x\"]")), CR_EAUDIENCE);
	assert_int_equal(claims(AS("[]")), CR_EAUDIENCE);
	assert_int_equal(claims(AS("\"call-gateway2\"")), CR_EAUDIENCE);
	assert_int_equal(claims(AS("{\"a\":\"" AUD "\"}")), CR_EAUDIENCE);
	assert_int_equal(claims(AS("[[\"" AUD "\"]]")), CR_EAUDIENCE);
	assert_int_equal(claims(AS("null")), CR_EAUDIENCE);
	assert_int_equal(claims("{\"iss\":\"" ISS "\"," REST), CR_EAUDIENCE);

	/* RFC 7519 section 4.1.3: without a name we are not the one that is meant. */
	trust_text(&nameless, "iss=" ISS ";keys=/k", keys);
	assert_int_equal(accept_with(&nameless,
							 outside_make(SIGN_ED25519, ED_HEAD, GOOD), NOW),
			CR_EAUDIENCE);
	assert_int_equal(accept_with(&nameless,
							 outside_make(SIGN_ED25519, ED_HEAD,
									 "{\"iss\":\"" ISS "\"," REST),
							 NOW),
			CR_OK);
	cr_trust_clear(&nameless);
	free(keys);
}

/* Each issuer's tokens by its own keys only. */
static void two_issuers(void **state)
{
	json_t *v = vector_load("issuer");
	const char *ed = vector_str(json_object_get(v, "ed25519"), "pem");
	const char *p256 = vector_str(json_object_get(v, "p256"), "pem");
	cr_trust_t two = {0};

	(void)state;
	trust_text(&two, "iss=a;keys=/k", ed);
	trust_text(&two, "keys=/k;iss=b", p256);
#define OF(iss) "{\"iss\":\"" iss "\"," REST
#define TRY(by, head, iss)                                                     \
	accept_with(&two, outside_make(by, head, OF(iss)), NOW)
	assert_int_equal(TRY(SIGN_ED25519, ED_HEAD, "a"), CR_OK);
	assert_string_equal(got.iss, "a");
	assert_int_equal(TRY(SIGN_P256, P256_HEAD, "b"), CR_OK);
	assert_string_equal(got.iss, "b");
	/* PEM has no kid, so that none is asked for. */
	assert_int_equal(TRY(SIGN_P256, "{\"alg\":\"ES256\"}", "b"), CR_OK);
	assert_int_equal(TRY(SIGN_ED25519, ED_HEAD, "b"), CR_EUNSUPPORTED);
	assert_int_equal(TRY(SIGN_P256, P256_HEAD, "a"), CR_EUNSUPPORTED);
	assert_int_equal(TRY(SIGN_ED25519, ED_HEAD, "c"), CR_EISSUER);
	cr_trust_clear(&two);
	json_decref(v);
}

/* ---- claims and clock -------------------------------------------------------------- */

static void bad_claims(void **state)
{
#define C(rest) "{" WHO rest "}"
	(void)state;
	memset(&got, 0x77, sizeof(got));
	assert_int_equal(
			claims(C("\"sid\":\"s\",\"exp\":1750000100")), CR_EMALFORMED);
	assert_int_equal(claims(C("\"sub\":\"a\",\"exp\":1750000100")), CR_ENOSID);
	assert_int_equal(claims(C("\"sub\":\"a\",\"sid\":\"\",\"exp\":1750000100")),
			CR_EMALFORMED);
	assert_int_equal(
			claims(C("\"sub\":\"a\\r\\nb\",\"sid\":\"s\",\"exp\":1750000100")),
			CR_EMALFORMED);
	assert_int_equal(claims(C("\"sub\":\"a\",\"sid\":\"s\"")), CR_EMALFORMED);
	assert_int_equal(claims(C("\"sub\":\"a\",\"sid\":\"s\",\"exp\":null")),
			CR_EMALFORMED);
	assert_int_equal(claims("[]"), CR_EMALFORMED);
	assert_int_equal(claims(""), CR_EMALFORMED);
	assert_int_equal(got.sub[0], 0x77);
}

/* The portal has no say in which key of the ring the client key comes from. */
static void kid_claim_is_not_heard(void **state)
{
	(void)state;
	assert_int_equal(claims("{\"kid\":\"k2\"," WHO REST), CR_OK);
	assert_string_equal(got.kid, "k1");
	assert_int_equal(claims("{\"kid\":[1]," WHO REST), CR_OK);
}

static int at(const char *json, int64_t now)
{
	return accept_with(&trust, outside_make(SIGN_ED25519, ED_HEAD, json), now);
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(at(GOOD, 1750000104), CR_OK);
	assert_int_equal(at(GOOD, 1750000105), CR_EEXPIRED);
	assert_int_equal(at("{\"nbf\":1750000000," WHO REST, 1749999995), CR_OK);
	assert_int_equal(
			at("{\"nbf\":1750000000," WHO REST, 1749999994), CR_ENOTYET);
	assert_int_equal(at("{\"iat\":1750000000," WHO REST, 1749999995), CR_OK);
	assert_int_equal(
			at("{\"iat\":1750000000," WHO REST, 1749999994), CR_ENOTYET);
}

/* ---- ours beside theirs --------------------------------------------------------------- */

static void own_tokens(void **state)
{
	json_t *v = vector_load("token");
	const char *jwt = vector_str(v, "jwt");
	cr_trust_t nobody = {0};

	(void)state;
	assert_int_equal(accept_with(&trust, jwt, NOW), CR_OK);
	assert_string_equal(got.iss, "");
	assert_string_equal(got.kid, "k1");
	assert_int_equal(accept_with(&nobody, jwt, NOW), CR_OK);
	assert_int_equal(accept_with(NULL, jwt, NOW), CR_OK);
	json_decref(v);
}

static void nobody_else_issues(void **state)
{
	const char *jwt = outside_make(SIGN_ED25519, ED_HEAD, GOOD);
	cr_trust_t nobody = {0};

	(void)state;
	assert_int_equal(accept_with(&nobody, jwt, NOW), CR_EUNSUPPORTED);
	assert_int_equal(accept_with(NULL, jwt, NOW), CR_EUNSUPPORTED);
	assert_int_equal(
			cr_token_verify(&got, crypto, &ring, cr_span_str(jwt), NOW, 5),
			CR_EUNSUPPORTED);
}

static void without_a_key_to_seal_with(void **state)
{
	const char *jwt = outside_make(SIGN_ED25519, ED_HEAD, GOOD);
	const cr_ring_t empty = {0};
	const cr_env_t env = {.crypto = crypto,
			.ring = &empty,
			.trust = &trust,
			.now_ms = NOW * 1000};

	(void)state;
	assert_int_equal(cr_token_accept(&got, &env, cr_span_str(jwt), 5), CR_EKEY);
}

static void allocation_failures(void **state)
{
	(void)state;
	assert_int_equal(refuse_without_memory(accept_span,
							 outside_make(SIGN_ED25519, ED_HEAD, GOOD)),
			CR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vectors),
			cmocka_unit_test(damage),
			cmocka_unit_test(rfc_examples),
			cmocka_unit_test(accepted),
			cmocka_unit_test(algorithm_of_another_key),
			cmocka_unit_test(algorithm_confusion),
			cmocka_unit_test(other_algorithms),
			cmocka_unit_test(no_signature),
			cmocka_unit_test(headers),
			cmocka_unit_test(key_in_the_header),
			cmocka_unit_test(issuers),
			cmocka_unit_test(audiences),
			cmocka_unit_test(two_issuers),
			cmocka_unit_test(bad_claims),
			cmocka_unit_test(kid_claim_is_not_heard),
			cmocka_unit_test(times),
			cmocka_unit_test(own_tokens),
			cmocka_unit_test(nobody_else_issues),
			cmocka_unit_test(without_a_key_to_seal_with),
			cmocka_unit_test(allocation_failures),
	};

	return cmocka_run_group_tests(tests, setup_trust, teardown_trust);
}
