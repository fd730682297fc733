/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bare.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define MAX 16384

static const unsigned char key[32] = {1}, nonce[12] = {2};
static unsigned char text[MAX], cipher[MAX], out[MAX], tag[16];
static EVP_MAC_CTX *mac;
static EVP_CIPHER_CTX *enc, *dec;

typedef struct signer
{
	const char *digest;
	EVP_PKEY *key;
	EVP_MD_CTX *md;
	unsigned char signature[128];
	size_t len;        /* of the signature */
	size_t signed_len; /* of what it is a signature of */
} signer_t;

static signer_t ed25519, es256 = {.digest = "SHA256"};

static int setup_mac(void)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
			OSSL_PARAM_construct_end()};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	mac = EVP_MAC_CTX_new(hmac);
	EVP_MAC_free(hmac);
	return mac != NULL && EVP_MAC_CTX_set_params(mac, params);
}

int bare_setup(void)
{
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	int ok;

	enc = EVP_CIPHER_CTX_new();
	dec = EVP_CIPHER_CTX_new();
	ed25519.md = EVP_MD_CTX_new();
	es256.md = EVP_MD_CTX_new();
	ed25519.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	es256.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ok = gcm != NULL && enc != NULL && dec != NULL && ed25519.md != NULL
			&& es256.md != NULL && ed25519.key != NULL && es256.key != NULL
			&& setup_mac() && EVP_EncryptInit_ex2(enc, gcm, NULL, NULL, NULL)
			&& EVP_DecryptInit_ex2(dec, gcm, NULL, NULL, NULL);
	EVP_CIPHER_free(gcm);
	return ok;
}

void bare_cleanup(void)
{
	EVP_MAC_CTX_free(mac);
	EVP_CIPHER_CTX_free(enc);
	EVP_CIPHER_CTX_free(dec);
	EVP_MD_CTX_free(ed25519.md);
	EVP_MD_CTX_free(es256.md);
	EVP_PKEY_free(ed25519.key);
	EVP_PKEY_free(es256.key);
}

int bare_hmac(size_t len)
{
	size_t n;

	return EVP_MAC_init(mac, key, sizeof(key), NULL)
			&& EVP_MAC_update(mac, text, len)
			&& EVP_MAC_final(mac, out, &n, 32);
}

static size_t sealed_aad, sealed_len; /* of what is in cipher and tag */

int bare_gcm_seal(size_t aad_len, size_t len)
{
	int n;

	sealed_aad = aad_len;
	sealed_len = len;

	return EVP_EncryptInit_ex2(enc, NULL, key, nonce, NULL)
			&& EVP_EncryptUpdate(enc, NULL, &n, text, (int)aad_len)
			&& EVP_EncryptUpdate(enc, cipher, &n, text, (int)len)
			&& EVP_EncryptFinal_ex(enc, out, &n)
			&& EVP_CIPHER_CTX_ctrl(enc, EVP_CTRL_AEAD_GET_TAG, 16, tag);
}

int bare_gcm_open(size_t aad_len, size_t len)
{
	int n;

	if((sealed_aad != aad_len || sealed_len != len)
			&& !bare_gcm_seal(aad_len, len))
		return 0;
	return EVP_DecryptInit_ex2(dec, NULL, key, nonce, NULL)
			&& EVP_DecryptUpdate(dec, NULL, &n, text, (int)aad_len)
			&& EVP_DecryptUpdate(dec, out, &n, cipher, (int)len)
			&& EVP_CIPHER_CTX_ctrl(dec, EVP_CTRL_AEAD_SET_TAG, 16, tag)
			&& EVP_DecryptFinal_ex(dec, out, &n) > 0;
}

static int sign(signer_t *s, size_t len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok;

	s->len = sizeof(s->signature);
	ok = EVP_DigestSignInit_ex(md, NULL, s->digest, NULL, NULL, s->key, NULL)
					== 1
			&& EVP_DigestSign(md, s->signature, &s->len, text, len) == 1;
	EVP_MD_CTX_free(md);
	s->signed_len = len;
	return ok;
}

static int verify(signer_t *s, size_t len)
{
	if(s->signed_len != len && !sign(s, len))
		return 0;
	return EVP_DigestVerifyInit_ex(
				   s->md, NULL, s->digest, NULL, NULL, s->key, NULL)
			== 1
			&& EVP_DigestVerify(s->md, s->signature, s->len, text, len) == 1;
}

int bare_ed25519(size_t len)
{
	return verify(&ed25519, len);
}

int bare_es256(size_t len)
{
	return verify(&es256, len);
}
