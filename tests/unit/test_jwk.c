/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files with public keys: PEM, one JWK, a set; what is passed over and what is
 * refused.
 */
#include "helper_issuer.h"

#include <openssl/err.h>

#include "base.h"

#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\""
#define EC                                                                     \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define SET(keys) "{\"keys\":[" keys "]}"

static cr_jwk_t out[4];
static char why[CR_WHY_MAX];

static int parse_span(cr_span_t text)
{
	int n;

	memset(why, 0, sizeof(why));
	n = cr_jwk_parse(out, 4, why, crypto, text);
	assert_true(n > 0 || why[0]);
	assert_int_equal(ERR_peek_error(), 0);
	return n;
}

/* In a block of just its size. */
static int parse(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);
	int n;

	memcpy(copy, text, len);
	n = parse_span((cr_span_t){copy, len});
	free(copy);
	return n;
}

static void refuse(const char *text, int want, const char *phrase)
{
	int err = parse(text);

	if(err != want)
		fail_msg("%d instead of %d for %s", err, want, text);
	if(!strstr(why, phrase))
		fail_msg("\"%s\" does not say \"%s\"", why, phrase);
}

static void check_key(const cr_jwk_t *key, const json_t *v)
{
	char print[CR_B64_LEN(32) + 1] = "";

	cr_b64_encode(print, sizeof(print), key->thumbprint, 32);
	assert_string_equal(print, vector_str(v, "thumbprint"));
	assert_string_equal(cr_alg_name(key->alg), vector_str(v, "alg"));
}

/* The same key from PEM and from JSON; RFC 8037 appendix A.3 has the
 * thumbprint. */
static void frozen_vector(void **state)
{
	const char *const names[] = {"ed25519", "p256"};
	json_t *v = vector_load("issuer");

	(void)state;
	for(int i = 0; i < 2; i++) {
		const json_t *key = json_object_get(v, names[i]);
		uint8_t point[CR_POINT_MAX];

		assert_int_equal(parse(vector_str(key, "pem")), 1);
		check_key(&out[0], key);
		assert_string_equal(out[0].kid, "");
		memcpy(point, out[0].point, sizeof(point));
		assert_int_equal(parse(vector_str(key, "jwk")), 1);
		check_key(&out[0], key);
		assert_memory_equal(out[0].point, point, sizeof(point));
	}
	json_decref(v);
}

static void sets(void **state)
{
	(void)state;
	assert_int_equal(
			parse(" \n" SET("{" ED ",\"kid\":\"a\"},{" EC ",\"kid\":\"b\"}")),
			2);
	assert_string_equal(out[0].kid, "a");
	assert_int_equal(out[0].alg, CR_ALG_EDDSA);
	assert_string_equal(out[1].kid, "b");
	assert_int_equal(out[1].alg, CR_ALG_ES256);
	assert_int_equal(parse(SET("{" ED "}")), 1);
	assert_int_equal(parse("{\"keys\":[{" ED "}],\"more\":1}"), 1);
	assert_int_equal(parse(SET("{" ED ",\"use\":\"sig\",\"alg\":\"EdDSA\","
							   "\"key_ops\":[\"x\",\"verify\"],\"x5t\":1}")),
			1);
	assert_int_equal(parse(SET("{" ED ",\"alg\":\"Ed25519\"}")), 1);
	assert_int_equal(
			parse(SET("{" EC ",\"alg\":\"ES256\",\"kid\":\"Ab+/=.\"}")), 1);
}

/* RFC 7517 section 5: kinds and uses that we do not know are no reason to
 * refuse the rest. */
static void passed_over(void **state)
{
	static const char *const other[] = {
			"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
			"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"}",
			"{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" ED_X "\"}",
			"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"A\",\"y\":\"A\"}",
			"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"A\",\"y\":\"A\"}",
			"{\"kty\":\"new\"}", "{\"kty\":1}", "{}",
			"{" ED ",\"use\":\"enc\"}", "{" ED ",\"use\":[\"sig\"]}",
			"{" ED ",\"key_ops\":[\"sign\"]}",
			"{" ED ",\"key_ops\":\"verify\"}", "{" ED ",\"alg\":\"ES256\"}",
			"{" EC ",\"alg\":\"ECDH-ES\"}", "{" EC ",\"alg\":7}", NULL};
	char text[1024];

	(void)state;
	for(int i = 0; other[i]; i++) {
		snprintf(text, sizeof(text), SET("%s"), other[i]);
		refuse(text, CR_EMISSING, "there is no key in it");
		snprintf(text, sizeof(text), SET("%s,{" EC "}"), other[i]);
		assert_int_equal(parse(text), 1);
		assert_int_equal(out[0].alg, CR_ALG_ES256);
	}
	refuse(SET(""), CR_EMISSING, "there is no key in it");
}

static void refused_json(void **state)
{
	(void)state;
	refuse("{", CR_EMALFORMED, "not a JSON object");
	refuse("{\"keys\":{}}", CR_EMALFORMED, "not an array");
	refuse("{\"keys\":[1]}", CR_EMALFORMED, "key 1 is not an object");
	refuse(SET("{" ED "},{" EC ",\"kid\":\"b\"}"), CR_EMISSING,
			"one has no kid");
	refuse(SET("{" ED ",\"kid\":\"a\"},{" EC ",\"kid\":\"a\"}"), CR_EDUPLICATE,
			"key 2 has the kid [a]");
	refuse(SET("{" ED ",\"kid\":\"a b\"}"), CR_EMALFORMED, "has a kid");
	refuse(SET("{" ED ",\"kid\":5}"), CR_EMALFORMED, "has a kid");
	refuse(SET("{" ED ",\"kid\":\"a\",\"kid\":\"a\"}"), CR_EMALFORMED,
			"not a JSON object");
	refuse(SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}"), CR_EMALFORMED,
			"key 1 has a coordinate");
	refuse(SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"),
			CR_EMALFORMED, "32 bytes");
	refuse(SET("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "=\"}"),
			CR_EMALFORMED, "32 bytes");
	refuse(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}"),
			CR_EMALFORMED, "32 bytes");
	refuse(SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X
			   "\",\"y\":\"" EC_X "\"}"),
			CR_EMALFORMED, "not on its curve");
}

static void private_keys(void **state)
{
	(void)state;
	refuse(SET("{" EC ",\"kid\":\"b\"},{" ED ",\"kid\":\"a\",\"d\":\"AA\"}"),
			CR_EUNSUPPORTED, "key 2 is a private or secret key");
	refuse("{" ED ",\"d\":\"secret\"}", CR_EUNSUPPORTED, "openssl pkey");
	assert_null(strstr(why, "secret\""));
	/* One that is not for signatures neither. */
	refuse(SET("{\"kty\":\"RSA\",\"d\":\"AA\"}"), CR_EUNSUPPORTED, "private");
	refuse(SET("{\"kty\":\"oct\",\"k\":\"AA\"}"), CR_EUNSUPPORTED, "secret");
}

static void room(void **state)
{
	char text[2048] = "{\"keys\":[";

	(void)state;
	for(int i = 0; i < 5; i++)
		snprintf(&text[strlen(text)], sizeof(text) - strlen(text),
				"%s{" ED ",\"kid\":\"%d\"}", i ? "," : "", i);
	strcat(text, "]}");
	refuse(text, CR_ETOOBIG, "room for 4 keys");
}

/* ---- PEM ----------------------------------------------------------------------- */

#define PEM(name, body)                                                        \
	"-----BEGIN " name "-----\n" body "-----END " name "-----\n"
#define ED_SPKI "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
/* One byte too many. */
#define ED_SPKI_AND_MORE                                                       \
	"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURoA\n"
/* RFC 8410 section 10.3, and X25519 in the place of Ed25519. */
#define ED_PKCS8                                                               \
	"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
#define X25519_SPKI                                                            \
	"MCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"

static void pem(void **state)
{
	(void)state;
	assert_int_equal(
			parse("Key of the portal\n\n" PEM("PUBLIC KEY", ED_SPKI)), 1);
	refuse(PEM("PUBLIC KEY", ED_SPKI) PEM("PUBLIC KEY", ED_SPKI), CR_EDUPLICATE,
			"several keys");
	refuse(PEM("PRIVATE KEY", ED_PKCS8), CR_EUNSUPPORTED, "private key");
	refuse(PEM("ENCRYPTED PRIVATE KEY", ED_PKCS8), CR_EUNSUPPORTED, "private");
	refuse(PEM("EC PRIVATE KEY", ED_PKCS8), CR_EUNSUPPORTED, "private");
	refuse(PEM("PUBLIC KEY", ED_SPKI) PEM("PRIVATE KEY", ED_PKCS8),
			CR_EUNSUPPORTED, "private");
	refuse(PEM("CERTIFICATE", ED_SPKI), CR_EUNSUPPORTED, "x509");
	refuse(PEM("RSA PUBLIC KEY", ED_SPKI), CR_EUNSUPPORTED, "RSA PUBLIC KEY");
	refuse(PEM("PUBLIC KEY", X25519_SPKI), CR_EUNSUPPORTED, "neither");
	refuse(PEM("PUBLIC KEY", ED_PKCS8), CR_EMALFORMED, "is none");
	refuse(PEM("PUBLIC KEY", "AAAA\n"), CR_EMALFORMED, "is none");
	refuse(PEM("PUBLIC KEY", ED_SPKI_AND_MORE), CR_EMALFORMED, "is none");
	refuse(PEM("PUBLIC KEY", ED_SPKI) "-----BEGIN PUBLIC KEY-----\nMCow",
			CR_EMALFORMED, "damaged");
	refuse(PEM("PUBLIC KEY", "!!!!\n"), CR_EMALFORMED, "damaged");
	refuse("-----BEGIN PUBLIC KEY-----\n" ED_SPKI, CR_EMALFORMED, "damaged");
	refuse("", CR_EMALFORMED, "neither a PEM public key");
	refuse("hello", CR_EMALFORMED, "neither a PEM public key");
	refuse("[]", CR_EMALFORMED, "neither a PEM public key");
}

/* Other curves, and other ways to write a point, as OpenSSL makes them. */
static void curves(void **state)
{
	static const char p384[] = PEM("PUBLIC KEY",
			"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE7IWrbWT/ucxA8Vw4gfZBRyc9U0LvYBCE\n"
			"meWMSnq8mdi8ftvApOxf0KWUi9NAxibA8CIqxl5kQZb26S1ecpPXPBdciZWOvSB/\n"
			"i3kdyQ5Z0CKF+RWj+AxXig/9v1iLR4gD\n");
	static const char secp256k1[] = PEM("PUBLIC KEY",
			"MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEzspeGaaoz/ahl6tG1iG2l+zJ8K0EetFI\n"
			"WQBX/VAK0KoqRemZZZEwILBTAzm6kGkeRRhaazjh+hLCmZSvCJN3KA==\n");

	(void)state;
	refuse(p384, CR_EUNSUPPORTED, "neither of Ed25519 nor of P-256");
	refuse(secp256k1, CR_EUNSUPPORTED, "neither of Ed25519 nor of P-256");
}

/* A private or a half file is never taken for a key. */
static void truncations(void **state)
{
	json_t *v = vector_load("issuer");
	const char *text = vector_str(json_object_get(v, "p256"), "pem");
	char *set = both_keys();

	(void)state;
	/* All but the line feed at the end. */
	for(size_t n = 0; n + 1 < strlen(text); n++)
		assert_true(parse_span((cr_span_t){text, n}) < 0);
	refuse_truncations(parse_span, set);
	free(set);
	json_decref(v);
}

static void allocation_failures(void **state)
{
	(void)state;
	assert_int_equal(
			refuse_without_memory(parse_span, SET("{" ED ",\"kid\":\"a\"}")),
			1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(sets),
			cmocka_unit_test(passed_over),
			cmocka_unit_test(refused_json),
			cmocka_unit_test(private_keys),
			cmocka_unit_test(room),
			cmocka_unit_test(pem),
			cmocka_unit_test(curves),
			cmocka_unit_test(truncations),
			cmocka_unit_test(allocation_failures),
	};

	return RUN(tests);
}
