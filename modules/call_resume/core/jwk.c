/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "jwk.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base.h"
#include "bytes.h"
#include "text.h"

#define HOW_TO_GET_PUBLIC                                                      \
	"it must not leave the portal; take the public one: openssl pkey -in "     \
	"PRIVATE -pubout"

typedef struct parser
{
	cr_crypto_t *c;
	char *why;
	cr_jwk_t *keys;
	int n, max;
} parser_t;

/* ---- a key, whatever it came from ------------------------------------------ */

/* SHA-256 over the members that make the key, in lexicographic order (RFC 7638
 * section 3.2). */
static int thumbprint(cr_jwk_t *key, cr_crypto_t *c)
{
	char json[192], x[CR_B64_LEN(32)], y[CR_B64_LEN(32)];
	cr_writer_t w = cr_writer(json, sizeof(json));
	int okp = key->alg == CR_ALG_EDDSA;

	cr_b64_encode(x, sizeof(x), key->point, 32);
	cr_b64_encode(y, sizeof(y), &key->point[CR_P256_LEN], 32);
	cr_put_str(&w,
			okp ? "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\""
				: "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
	cr_put_bytes(&w, x, sizeof(x));
	if(!okp) {
		cr_put_str(&w, "\",\"y\":\"");
		cr_put_bytes(&w, y, sizeof(y));
	}
	cr_put_str(&w, "\"}");
	if(cr_writer_end(&w))
		return CR_EINTERNAL;
	return cr_sha256(c, key->thumbprint, json, w.len);
}

/* @param at  how to call it: "key 2" */
static int add_key(parser_t *p, cr_jwk_t *key, const char *at)
{
	cr_verifier_t *v = cr_verifier_new(key->alg, key->point);
	int good = v != NULL;

	cr_verifier_free(v);
	if(!good)
		return cr_refuse(p->why, CR_EMALFORMED, "%s is not on its curve", at);
	if(p->n == p->max)
		return cr_refuse(p->why, CR_ETOOBIG,
				"%s is too much: there is room for %d keys of all issuers", at,
				p->max);
	if(thumbprint(key, p->c))
		return cr_refuse(p->why, CR_EINTERNAL, "OpenSSL failed");
	for(int i = 0; i < p->n; i++)
		if(strcmp(p->keys[i].kid, key->kid) == 0)
			return cr_refuse(p->why, CR_EDUPLICATE,
					"%s has the kid [%.60s] of another one", at, key->kid);
	p->keys[p->n++] = *key;
	return CR_OK;
}

/* ---- JSON Web Keys ----------------------------------------------------------- */

static int is(const json_t *jwk, const char *name, const char *value)
{
	return cr_span_eq(
			cr_json_span(json_object_get(jwk, name)), cr_span_str(value));
}

static int has_op(const json_t *ops, const char *op)
{
	for(size_t i = 0; i < json_array_size(ops); i++)
		if(cr_span_eq(cr_json_span(json_array_get(ops, i)), cr_span_str(op)))
			return 1;
	return 0;
}

/* RFC 7517 sections 4.2 to 4.4: what it says that it is for. */
static int is_for_verifying(const json_t *jwk, cr_alg_t alg)
{
	const json_t *ops = json_object_get(jwk, "key_ops");
	const json_t *name = json_object_get(jwk, "alg");

	if(json_object_get(jwk, "use") && !is(jwk, "use", "sig"))
		return 0;
	if(ops && !has_op(ops, "verify"))
		return 0;
	return !name || cr_alg_is(alg, cr_json_span(name));
}

/* @return 0: of another kind */
static int kind_of(cr_alg_t *alg, const json_t *jwk)
{
	if(is(jwk, "kty", "OKP") && is(jwk, "crv", "Ed25519"))
		*alg = CR_ALG_EDDSA;
	else if(is(jwk, "kty", "EC") && is(jwk, "crv", "P-256"))
		*alg = CR_ALG_ES256;
	else
		return 0;
	return 1;
}

static int read_coordinate(uint8_t out[32], const json_t *jwk, const char *name)
{
	return cr_b64_decode(out, 32, cr_json_span(json_object_get(jwk, name)))
					== 32
			? CR_OK
			: CR_EMALFORMED;
}

static int read_jwk(parser_t *p, const json_t *jwk, const char *at)
{
	cr_jwk_t key = {0};

	if(!json_is_object(jwk))
		return cr_refuse(p->why, CR_EMALFORMED, "%s is not an object", at);
	/* RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 8037 section 2. */
	if(json_object_get(jwk, "d") || json_object_get(jwk, "k"))
		return cr_refuse(p->why, CR_EUNSUPPORTED,
				"%s is a private or secret key; " HOW_TO_GET_PUBLIC, at);
	if(!kind_of(&key.alg, jwk) || !is_for_verifying(jwk, key.alg))
		return CR_OK;
	if(cr_json_copy(key.kid, sizeof(key.kid), jwk, "kid")
			|| (key.kid[0]
					&& !cr_text_is_plain(
							cr_span_str(key.kid), CR_JOSE_KID_MAX)))
		return cr_refuse(p->why, CR_EMALFORMED,
				"%s has a kid that is not 1 to %d visible characters", at,
				CR_JOSE_KID_MAX);
	if(read_coordinate(key.point, jwk, "x")
			|| (key.alg == CR_ALG_ES256
					&& read_coordinate(&key.point[CR_P256_LEN], jwk, "y")))
		return cr_refuse(p->why, CR_EMALFORMED,
				"%s has a coordinate that is not 32 bytes in base64url", at);
	return add_key(p, &key, at);
}

/* With several keys the kid of a token has to tell which. */
static int check_kids(const parser_t *p)
{
	for(int i = 0; p->n > 1 && i < p->n; i++)
		if(p->keys[i].kid[0] == 0)
			return cr_refuse(p->why, CR_EMISSING,
					"there are %d keys, and one has no kid", p->n);
	return CR_OK;
}

static int read_set(parser_t *p, const json_t *keys)
{
	int err = CR_OK;

	if(!json_is_array(keys))
		return cr_refuse(p->why, CR_EMALFORMED, "\"keys\" is not an array");
	for(size_t i = 0; !err && i < json_array_size(keys); i++) {
		char at[32];

		snprintf(at, sizeof(at), "key %zu", i + 1);
		err = read_jwk(p, json_array_get(keys, i), at);
	}
	return err ? err : check_kids(p);
}

static int parse_json(parser_t *p, cr_span_t text)
{
	json_t *root = NULL;
	const json_t *keys;
	int err = cr_json_object(&root, text);

	if(err)
		return cr_refuse(p->why, err,
				err == CR_EINTERNAL ? "there is no memory"
									: "it is not a JSON object");
	keys = json_object_get(root, "keys");
	err = keys ? read_set(p, keys) : read_jwk(p, root, "the key");
	json_decref(root);
	return err;
}

/* ---- PEM ----------------------------------------------------------------------- */

static int get_coordinate(
		uint8_t out[CR_P256_LEN], const EVP_PKEY *pkey, const char *name)
{
	BIGNUM *n = NULL;
	int ok = EVP_PKEY_get_bn_param(pkey, name, &n)
			&& BN_bn2binpad(n, out, CR_P256_LEN) == CR_P256_LEN;

	BN_free(n);
	return ok;
}

/* @return 1, or 0: of another kind */
static int from_pkey(cr_jwk_t *key, const EVP_PKEY *pkey)
{
	char group[32] = "";
	size_t len = CR_ED25519_LEN;

	if(EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519) {
		key->alg = CR_ALG_EDDSA;
		return EVP_PKEY_get_raw_public_key(pkey, key->point, &len);
	}
	key->alg = CR_ALG_ES256;
	return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC
			&& EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL)
			&& strcmp(group, "prime256v1") == 0
			&& get_coordinate(key->point, pkey, OSSL_PKEY_PARAM_EC_PUB_X)
			&& get_coordinate(
					&key->point[CR_P256_LEN], pkey, OSSL_PKEY_PARAM_EC_PUB_Y);
}

static int read_spki(parser_t *p, const uint8_t *der, long len)
{
	const uint8_t *end = der;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &end, len);
	cr_jwk_t key = {0};
	int err;

	if(!pkey || end != der + len)
		err = cr_refuse(p->why, CR_EMALFORMED,
				"what is between BEGIN PUBLIC KEY and its end is none");
	else if(!from_pkey(&key, pkey))
		err = cr_refuse(p->why, CR_EUNSUPPORTED,
				"the key is neither of Ed25519 nor of P-256");
	else
		err = add_key(p, &key, "the key");
	EVP_PKEY_free(pkey);
	return err;
}

static int read_block(parser_t *p, const char *name, const char *header,
		const uint8_t *der, long len)
{
	if(strstr(name, "PRIVATE KEY"))
		return cr_refuse(p->why, CR_EUNSUPPORTED,
				"it holds a private key; " HOW_TO_GET_PUBLIC);
	if(strcmp(name, "PUBLIC KEY") != 0 || header[0])
		return cr_refuse(p->why, CR_EUNSUPPORTED,
				"it holds a %.40s, not a PUBLIC KEY; of a certificate: openssl "
				"x509 -in CERTIFICATE -pubkey -noout",
				name);
	if(p->n > 0)
		return cr_refuse(p->why, CR_EDUPLICATE,
				"it holds several keys; PEM has no kid to tell them apart, "
				"make it a JWK set");
	return read_spki(p, der, len);
}

/* The reader stopped: because nothing is left, or at something broken? */
static int check_rest(const parser_t *p, int n)
{
	if(ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return cr_refuse(p->why, CR_EMALFORMED, "a PEM block is damaged");
	if(n == 0)
		return cr_refuse(p->why, CR_EMALFORMED,
				"it is neither a PEM public key nor a JWK set");
	return CR_OK;
}

static int read_blocks(parser_t *p, BIO *bio)
{
	for(int n = 0;; n++) {
		char *name = NULL, *header = NULL;
		uint8_t *der = NULL;
		long len = 0;
		int err;

		if(!PEM_read_bio(bio, &name, &header, &der, &len))
			return check_rest(p, n);
		err = read_block(p, name, header, der, len);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
		if(err)
			return err;
	}
}

static int parse_pem(parser_t *p, cr_span_t text)
{
	BIO *bio = BIO_new_mem_buf(text.s, (int)text.len);
	int err;

	if(!bio)
		return cr_refuse(p->why, CR_EINTERNAL, "there is no memory");
	ERR_set_mark();
	err = read_blocks(p, bio);
	ERR_pop_to_mark();
	BIO_free(bio);
	return err;
}

int cr_jwk_parse(
		cr_jwk_t *out, int max, char *why, cr_crypto_t *c, cr_span_t text)
{
	parser_t p = {c, why, out, 0, max};
	size_t i = 0;
	int err;

	while(i < text.len && strchr(" \t\r\n", text.s[i]) && text.s[i])
		i++;
	if(text.len > INT_MAX)
		return cr_refuse(why, CR_ETOOBIG, "it is too long");
	if(i < text.len && text.s[i] == '{')
		err = parse_json(&p, text);
	else
		err = parse_pem(&p, text);
	if(!err && p.n == 0)
		return cr_refuse(why, CR_EMISSING,
				"there is no key in it that verifies EdDSA or ES256");
	return err ? err : p.n;
}
