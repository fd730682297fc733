/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "verifier.h"

#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* SEQUENCE of two INTEGERs of 33 bytes at the most. */
#define DER_MAX 72

struct cr_verifier
{
	cr_alg_t alg;
	EVP_PKEY *key;
	EVP_MD_CTX *md;
};

const char *cr_alg_name(cr_alg_t alg)
{
	return alg == CR_ALG_EDDSA ? "EdDSA" : "ES256";
}

int cr_alg_is(cr_alg_t alg, cr_span_t name)
{
	return cr_span_eq(name, cr_span_str(cr_alg_name(alg)))
			|| (alg == CR_ALG_EDDSA && cr_span_eq(name, CR_SPAN("Ed25519")));
}

static EVP_PKEY *p256_key(const uint8_t point[CR_POINT_MAX])
{
	/* Uncompressed, SEC 1 section 2.3.3; not to be on the curve is an error of
	 * fromdata. */
	uint8_t octets[1 + CR_POINT_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	char group[] = "prime256v1";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(
								   OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
			OSSL_PARAM_construct_octet_string(
					OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof(octets)),
			OSSL_PARAM_construct_end()};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	memcpy(&octets[1], point, CR_POINT_MAX);
	if(ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

cr_verifier_t *cr_verifier_new(cr_alg_t alg, const uint8_t point[CR_POINT_MAX])
{
	cr_verifier_t *v = calloc(1, sizeof(*v));

	if(!v)
		return NULL;
	/* What other parts of the program find in OpenSSL's queue of errors has
	 * to be their own: TLS decides by it whether a connection is broken. */
	ERR_set_mark();
	v->alg = alg;
	v->md = EVP_MD_CTX_new();
	v->key = alg == CR_ALG_EDDSA ? EVP_PKEY_new_raw_public_key(
					 EVP_PKEY_ED25519, NULL, point, CR_ED25519_LEN)
								 : p256_key(point);
	if(!v->md || !v->key) {
		cr_verifier_free(v);
		v = NULL;
	}
	ERR_pop_to_mark();
	return v;
}

void cr_verifier_free(cr_verifier_t *v)
{
	if(!v)
		return;
	EVP_MD_CTX_free(v->md);
	EVP_PKEY_free(v->key);
	free(v);
}

/* A JWS has r and s side by side (RFC 7518 section 3.4), OpenSSL wants DER.
 * @return its length or 0 */
static int to_der(
		uint8_t der[DER_MAX], const uint8_t signature[CR_SIGNATURE_LEN])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, CR_P256_LEN, NULL);
	BIGNUM *s = BN_bin2bn(&signature[CR_P256_LEN], CR_P256_LEN, NULL);
	int len = 0;

	if(sig && r && s && ECDSA_SIG_set0(sig, r, s)) {
		r = s = NULL; /* sig owns them now */
		len = i2d_ECDSA_SIG(sig, NULL);
		len = len > 0 && len <= DER_MAX ? i2d_ECDSA_SIG(sig, &der) : 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return len;
}

static int check(cr_verifier_t *v, cr_span_t text, const uint8_t *signature)
{
	const char *digest = v->alg == CR_ALG_ES256 ? "SHA256" : NULL;
	uint8_t der[DER_MAX];
	int len = CR_SIGNATURE_LEN;

	if(v->alg == CR_ALG_ES256) {
		len = to_der(der, signature);
		if(len <= 0)
			return CR_EINTERNAL;
		signature = der;
	}
	if(EVP_DigestVerifyInit_ex(v->md, NULL, digest, NULL, NULL, v->key, NULL)
			!= 1)
		return CR_EINTERNAL;
	/* Below 1: wrong, or so wrong that OpenSSL did not even look. */
	return EVP_DigestVerify(v->md, signature, (size_t)len,
				   (const uint8_t *)text.s, text.len)
					== 1
			? CR_OK
			: CR_EFORGED;
}

int cr_verifier_check(cr_verifier_t *v, cr_span_t text,
		const uint8_t signature[CR_SIGNATURE_LEN])
{
	int err;

	ERR_set_mark();
	err = check(v, text, signature);
	ERR_pop_to_mark();
	return err;
}
