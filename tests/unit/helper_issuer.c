/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper_issuer.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base.h"

const void *hmac_key = "";
size_t hmac_key_len;

static void private_bytes(uint8_t out[32], const char *name)
{
	json_t *v = vector_load("issuer");
	const char *d = vector_str(json_object_get(v, name), "d");

	assert_int_equal(cr_b64_decode(out, 32, cr_span_str(d)), 32);
	json_decref(v);
}

static EVP_PKEY *ed25519_key(void)
{
	uint8_t d[32];

	private_bytes(d, "ed25519");
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d, sizeof(d));
}

static EVP_PKEY *p256_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;
	uint8_t bytes[32];
	BIGNUM *d;

	private_bytes(bytes, "p256");
	d = BN_bin2bn(bytes, sizeof(bytes), NULL);
	OSSL_PARAM_BLD_push_utf8_string(
			b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
	OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, d);
	params = OSSL_PARAM_BLD_to_param(b);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	BN_free(d);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* DER to r and s. */
static void split_signature(uint8_t out[64], const uint8_t *der, size_t len)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);

	assert_non_null(sig);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32), 32);
	ECDSA_SIG_free(sig);
}

static size_t sign(uint8_t out[64], signer_t by, cr_span_t text)
{
	EVP_PKEY *key = by == SIGN_P256 ? p256_key() : ed25519_key();
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t raw[80];
	size_t len = sizeof(raw);

	assert_int_equal(
			EVP_DigestSignInit_ex(md, NULL, by == SIGN_P256 ? "SHA256" : NULL,
					NULL, NULL, key, NULL),
			1);
	assert_int_equal(
			EVP_DigestSign(md, raw, &len, (const uint8_t *)text.s, text.len),
			1);
	if(by == SIGN_P256)
		split_signature(out, raw, len);
	else
		memcpy(out, raw, 64);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	return 64;
}

static size_t make_signature(uint8_t out[64], signer_t by, cr_span_t text)
{
	memset(out, 0, 64);
	if(by == SIGN_NONE)
		return 0;
	if(by == SIGN_ZERO)
		return 64;
	if(by != SIGN_HMAC)
		return sign(out, by, text);
	assert_int_equal(
			cr_hmac(crypto, out, hmac_key, hmac_key_len, &text, 1), CR_OK);
	return 32;
}

const char *outside_make(signer_t by, const char *header, const char *claims)
{
	static char out[16384];
	uint8_t signature[64];
	size_t n, len;

	n = (size_t)cr_b64_encode(out, sizeof(out), header, strlen(header));
	out[n++] = '.';
	n += (size_t)cr_b64_encode(
			&out[n], sizeof(out) - n, claims, strlen(claims));
	len = make_signature(signature, by, (cr_span_t){out, n});
	out[n++] = '.';
	n += (size_t)cr_b64_encode(&out[n], sizeof(out) - n, signature, len);
	out[n] = 0;
	return out;
}

char *both_keys(void)
{
	json_t *v = vector_load("issuer"), *set = json_array(), *root;
	const char *const names[] = {"ed25519", "p256"};
	char *text;

	for(int i = 0; i < 2; i++) {
		const json_t *key = json_object_get(v, names[i]);
		json_t *jwk = json_loads(vector_str(key, "jwk"), 0, NULL);

		json_object_set_new(jwk, "kid", json_string(vector_str(key, "kid")));
		json_array_append_new(set, jwk);
	}
	root = json_pack("{s:o}", "keys", set);
	text = json_dumps(root, 0);
	json_decref(root);
	json_decref(v);
	return text;
}

void trust_text(cr_trust_t *trust, const char *param, const char *text)
{
	cr_issuers_t *set = &trust->set;
	char why[CR_WHY_MAX];
	cr_issuer_t *issuer = &set->list[set->n];
	int n;

	assert_int_equal(cr_issuers_add(set, why, cr_span_str(param)), CR_OK);
	n = cr_jwk_parse(&set->keys[set->n_keys], CR_ISSUER_KEYS_MAX - set->n_keys,
			why, crypto, cr_span_str(text));
	if(n < 0)
		fail_msg("%s", why);
	issuer->first = set->n_keys;
	issuer->n = n;
	set->n_keys += n;
}
