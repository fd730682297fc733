/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crypto.h"

#include <errno.h>
#include <stdlib.h>

#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

/* To key an HMAC costs several times what it costs to use it for so little text, and a call
 * takes several, with keys of the ring. So contexts stay keyed: as many as a ring key has
 * such keys, and a few more. */
#define HMACS 8
#define HMAC_KEY_LEN 32
#define GCM_KEY_LEN 32

typedef struct hmac
{
	EVP_MAC_CTX *ctx;
	int keyed; /* with key */
	uint8_t key[HMAC_KEY_LEN];
} hmac_t;

/* Two of each: boxes have one and the same key, states each another one in between. */
typedef struct gcm
{
	EVP_CIPHER_CTX *ctx;
	int keyed;
	uint8_t key[GCM_KEY_LEN];
} gcm_t;

typedef struct gcms
{
	gcm_t of[2];
	int last; /* used */
	int (*init)(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher,
			const unsigned char *key, const unsigned char *iv,
			const OSSL_PARAM *params);
} gcms_t;

/* The contexts keep their algorithm between calls. To name it again in an init
 * call would make OpenSSL 3 throw away and rebuild what they hold. */
struct cr_crypto
{
	EVP_MAC *mac;
	hmac_t hmac[HMACS];
	int next; /* of hmac, to be used for another key */
	EVP_CIPHER *gcm;
	gcms_t enc;
	gcms_t dec;
	EVP_MD *sha256;
	EVP_MD_CTX *md;
};

static int setup_hmac(cr_crypto_t *c)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
			OSSL_PARAM_construct_end()};

	c->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if(!c->mac)
		return 0;
	for(int i = 0; i < HMACS; i++) {
		c->hmac[i].ctx = EVP_MAC_CTX_new(c->mac);
		if(!c->hmac[i].ctx || !EVP_MAC_CTX_set_params(c->hmac[i].ctx, params))
			return 0;
	}
	return 1;
}

static int setup_gcm(cr_crypto_t *c)
{
	gcms_t *both[] = {&c->enc, &c->dec};

	c->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	c->enc.init = EVP_EncryptInit_ex2;
	c->dec.init = EVP_DecryptInit_ex2;
	for(int i = 0; c->gcm && i < 4; i++) {
		gcm_t *g = &both[i / 2]->of[i % 2];

		g->ctx = EVP_CIPHER_CTX_new();
		if(!g->ctx || !both[i / 2]->init(g->ctx, c->gcm, NULL, NULL, NULL))
			return 0;
	}
	return c->gcm != NULL;
}

static int setup_sha256(cr_crypto_t *c)
{
	c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	c->md = EVP_MD_CTX_new();
	return c->sha256 && c->md;
}

cr_crypto_t *cr_crypto_new(void)
{
	cr_crypto_t *c = calloc(1, sizeof(*c));

	if(!c)
		return NULL;
	if(!setup_hmac(c) || !setup_gcm(c) || !setup_sha256(c)) {
		cr_crypto_free(c);
		return NULL;
	}
	return c;
}

void cr_crypto_free(cr_crypto_t *c)
{
	if(!c)
		return;
	EVP_MD_CTX_free(c->md);
	EVP_MD_free(c->sha256);
	for(int i = 0; i < 2; i++) {
		EVP_CIPHER_CTX_free(c->dec.of[i].ctx);
		EVP_CIPHER_CTX_free(c->enc.of[i].ctx);
	}
	EVP_CIPHER_free(c->gcm);
	for(int i = 0; i < HMACS; i++)
		EVP_MAC_CTX_free(c->hmac[i].ctx);
	EVP_MAC_free(c->mac);
	cr_wipe(c, sizeof(*c));
	free(c);
}

void cr_crypto_before_fork(void)
{
	OPENSSL_thread_stop();
}

/* From the kernel, not from RAND_bytes(): Kamailio's module tls gives OpenSSL a
 * generator whose state is copied by fork(), so that all processes draw the same
 * numbers, and with them the same sid for different sessions. */
int cr_random(void *out, size_t len)
{
	size_t have = 0;

	while(have < len) {
		ssize_t n = getrandom((char *)out + have, len - have, 0);

		if(n < 0 && errno == EINTR)
			continue;
		if(n <= 0) {
			cr_wipe(out, len);
			return CR_EINTERNAL;
		}
		have += (size_t)n;
	}
	return CR_OK;
}

void cr_wipe(void *p, size_t len)
{
	if(len > 0)
		OPENSSL_cleanse(p, len);
}

int cr_equal_ct(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

/* Every byte is looked at, eight at a time. */
static int is_key(const uint8_t a[HMAC_KEY_LEN], const void *b)
{
	uint64_t diff = 0, x, y;

	for(size_t i = 0; i < HMAC_KEY_LEN; i += sizeof(x)) {
		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, (const uint8_t *)b + i, sizeof(y));
		diff |= x ^ y;
		__asm__("" : "+r"(diff));
	}
	return diff == 0;
}

/* A context that has been keyed already only begins anew: to OpenSSL no key means the one of
 * the last call. */
static EVP_MAC_CTX *keyed(cr_crypto_t *c, const void *key, size_t len)
{
	hmac_t *h;

	for(int i = 0; i < HMACS && len == HMAC_KEY_LEN; i++) {
		h = &c->hmac[i];
		if(h->keyed && is_key(h->key, key))
			return EVP_MAC_init(h->ctx, NULL, 0, NULL) ? h->ctx : NULL;
	}
	h = &c->hmac[c->next];
	c->next = (c->next + 1) % HMACS;
	h->keyed = 0;
	/* So the key of no length must not be none. */
	if(!EVP_MAC_init(h->ctx, len > 0 ? key : "", len, NULL))
		return NULL;
	if(len == HMAC_KEY_LEN) {
		memcpy(h->key, key, len);
		h->keyed = 1;
	}
	return h->ctx;
}

int cr_hmac(cr_crypto_t *c, uint8_t out[32], const void *key, size_t key_len,
		const cr_span_t *parts, size_t n_parts)
{
	EVP_MAC_CTX *ctx = keyed(c, key, key_len);
	size_t len = 0;

	if(!ctx)
		return CR_EINTERNAL;
	for(size_t i = 0; i < n_parts; i++)
		if(parts[i].len > 0
				&& !EVP_MAC_update(
						ctx, (const uint8_t *)parts[i].s, parts[i].len))
			return CR_EINTERNAL;
	if(!EVP_MAC_final(ctx, out, &len, 32) || len != 32)
		return CR_EINTERNAL;
	return CR_OK;
}

int cr_hmac_sha1(
		uint8_t out[20], const void *key, size_t key_len, cr_span_t text)
{
	unsigned len = 0;

	if(key_len > INT_MAX
			|| !HMAC(EVP_sha1(), key, (int)key_len, (const uint8_t *)text.s,
					text.len, out, &len)
			|| len != 20)
		return CR_EINTERNAL;
	return CR_OK;
}

int cr_hkdf_extract(cr_crypto_t *c, uint8_t out[32], cr_span_t salt,
		const void *ikm, size_t ikm_len)
{
	const cr_span_t part = {ikm, ikm_len};

	return cr_hmac(c, out, salt.s, salt.len, &part, 1);
}

int cr_hkdf_expand(
		cr_crypto_t *c, uint8_t out[32], const uint8_t prk[32], cr_span_t info)
{
	/* 32 bytes are T(1), all of the loop of RFC 5869 section 2.3. */
	const cr_span_t parts[] = {info, CR_SPAN("\x01")};

	return cr_hmac(c, out, prk, 32, parts, 2);
}

/* A context with this key, at the beginning of a text. To make of a key what AES and GCM
 * need of it costs as much as a short text. @return NULL when OpenSSL fails */
static EVP_CIPHER_CTX *begin_gcm(
		gcms_t *all, const uint8_t key[GCM_KEY_LEN], const uint8_t nonce[12])
{
	gcm_t *g = &all->of[all->last];

	if(!g->keyed || !is_key(g->key, key))
		g = &all->of[all->last ^= 1];
	if(g->keyed && is_key(g->key, key))
		return all->init(g->ctx, NULL, NULL, nonce, NULL) ? g->ctx : NULL;
	g->keyed = 0;
	if(!all->init(g->ctx, NULL, key, nonce, NULL))
		return NULL;
	memcpy(g->key, key, sizeof(g->key));
	g->keyed = 1;
	return g->ctx;
}

int cr_gcm_seal(cr_crypto_t *c, uint8_t *out, uint8_t tag[16],
		const uint8_t key[32], const uint8_t nonce[12], cr_span_t aad,
		const void *in, size_t in_len)
{
	EVP_CIPHER_CTX *ctx;
	uint8_t none[16];
	int n = 0;

	if(in_len > INT_MAX || aad.len > INT_MAX)
		return CR_EINTERNAL;
	ctx = begin_gcm(&c->enc, key, nonce);
	if(!ctx)
		return CR_EINTERNAL;
	if(aad.len > 0
			&& !EVP_EncryptUpdate(
					ctx, NULL, &n, (const uint8_t *)aad.s, (int)aad.len))
		return CR_EINTERNAL;
	if(in_len > 0 && !EVP_EncryptUpdate(ctx, out, &n, in, (int)in_len))
		return CR_EINTERNAL;
	if(!EVP_EncryptFinal_ex(ctx, none, &n)
			|| !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag))
		return CR_EINTERNAL;
	return CR_OK;
}

/* Everything up to the tag check, which is left to the caller. */
static int gcm_decrypt(EVP_CIPHER_CTX *ctx, uint8_t *out, cr_span_t aad,
		const void *in, size_t in_len)
{
	int n = 0;

	if(!ctx || in_len > INT_MAX || aad.len > INT_MAX)
		return CR_EINTERNAL;
	if(aad.len > 0
			&& !EVP_DecryptUpdate(
					ctx, NULL, &n, (const uint8_t *)aad.s, (int)aad.len))
		return CR_EINTERNAL;
	if(in_len > 0 && !EVP_DecryptUpdate(ctx, out, &n, in, (int)in_len))
		return CR_EINTERNAL;
	return CR_OK;
}

int cr_gcm_open(cr_crypto_t *c, uint8_t *out, const uint8_t key[32],
		const uint8_t nonce[12], cr_span_t aad, const void *in, size_t in_len,
		const uint8_t tag[16])
{
	uint8_t expected[16], none[16];
	int n = 0;
	EVP_CIPHER_CTX *ctx = begin_gcm(&c->dec, key, nonce);
	int err = gcm_decrypt(ctx, out, aad, in, in_len);

	if(err)
		goto end;
	memcpy(expected, tag, sizeof(expected));
	if(!EVP_CIPHER_CTX_ctrl(
			   ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(expected), expected)) {
		err = CR_EINTERNAL;
		goto end;
	}
	if(EVP_DecryptFinal_ex(ctx, none, &n) <= 0)
		err = CR_EFORGED;
end:
	if(err)
		cr_wipe(out, in_len);
	return err;
}

int cr_gcm_peek(cr_crypto_t *c, uint8_t *out, const uint8_t key[32],
		const uint8_t nonce[12], const void *in, size_t in_len)
{
	int err = gcm_decrypt(
			begin_gcm(&c->dec, key, nonce), out, CR_SPAN(""), in, in_len);

	if(err)
		cr_wipe(out, in_len);
	return err;
}

int cr_sha256(cr_crypto_t *c, uint8_t out[32], const void *data, size_t len)
{
	if(!EVP_DigestInit_ex2(c->md, c->sha256, NULL)
			|| !EVP_DigestUpdate(c->md, data, len)
			|| !EVP_DigestFinal_ex(c->md, out, NULL))
		return CR_EINTERNAL;
	return CR_OK;
}
