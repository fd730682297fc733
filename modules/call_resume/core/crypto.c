/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* SHA256_Init() and the like: see below. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto.h"

#include <errno.h>
#include <stdlib.h>

#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/sha.h>

/* Of an HMAC over so little text, as calls take several of, OpenSSL 3 spends most on its
 * own ways there. So SHA-256 is called as in OpenSSL 1, which has the same code below; and
 * what it makes of a key is kept: for as many as a ring key has such keys, and a few more. */
#define HMACS 8
#define HMAC_KEY_LEN 32
#define SHA256_BLOCK 64
#define GCM_KEY_LEN 32

typedef struct hmac
{
	SHA256_CTX inner, outer; /* behind the first block, which the key makes */
	int keyed;               /* with key */
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
	hmac_t hmac[HMACS];
	int next; /* of hmac, to be used for another key */
	/* At work: not on the stack, where it would have to be wiped. */
	SHA256_CTX sha;
	EVP_CIPHER *gcm;
	gcms_t enc;
	gcms_t dec;
};

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

cr_crypto_t *cr_crypto_new(void)
{
	cr_crypto_t *c = calloc(1, sizeof(*c));

	if(!c)
		return NULL;
	if(!setup_gcm(c)) {
		cr_crypto_free(c);
		return NULL;
	}
	return c;
}

void cr_crypto_free(cr_crypto_t *c)
{
	if(!c)
		return;
	for(int i = 0; i < 2; i++) {
		EVP_CIPHER_CTX_free(c->dec.of[i].ctx);
		EVP_CIPHER_CTX_free(c->enc.of[i].ctx);
	}
	EVP_CIPHER_free(c->gcm);
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

int cr_random_hex(char *out, size_t digits)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t random[32];

	out[0] = '\0';
	if(digits / 2 > sizeof(random) || cr_random(random, digits / 2) != CR_OK)
		return CR_EINTERNAL;
	for(size_t i = 0; i < digits; i++)
		out[i] = hex[random[i / 2] >> (i % 2 ? 0 : 4) & 15];
	out[digits] = '\0';
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

/* The key, or the hash of a longer one, filled up with zeros (RFC 2104 section 2). */
static void key_block(uint8_t block[SHA256_BLOCK], const void *key, size_t len)
{
	memset(block, 0, SHA256_BLOCK);
	if(len > SHA256_BLOCK)
		(void)SHA256(key, len, block);
	else if(len > 0)
		memcpy(block, key, len);
}

static int begin(SHA256_CTX *sha, uint8_t block[SHA256_BLOCK], uint8_t pad)
{
	for(size_t i = 0; i < SHA256_BLOCK; i++)
		block[i] ^= pad;
	return SHA256_Init(sha) && SHA256_Update(sha, block, SHA256_BLOCK);
}

static hmac_t *keyed(cr_crypto_t *c, const void *key, size_t len)
{
	uint8_t block[SHA256_BLOCK];
	hmac_t *h;
	int done;

	for(int i = 0; i < HMACS && len == HMAC_KEY_LEN; i++) {
		if(c->hmac[i].keyed && is_key(c->hmac[i].key, key))
			return &c->hmac[i];
	}
	h = &c->hmac[c->next];
	c->next = (c->next + 1) % HMACS;
	key_block(block, key, len);
	done = begin(&h->inner, block, 0x36)
			&& begin(&h->outer, block, 0x36 ^ 0x5c);
	cr_wipe(block, sizeof(block));
	h->keyed = done && len == HMAC_KEY_LEN;
	if(h->keyed)
		memcpy(h->key, key, len);
	return done ? h : NULL;
}

int cr_hmac(cr_crypto_t *c, uint8_t out[32], const void *key, size_t key_len,
		const cr_span_t *parts, size_t n_parts)
{
	const hmac_t *h = keyed(c, key, key_len);
	uint8_t hash[SHA256_DIGEST_LENGTH];

	if(!h)
		return CR_EINTERNAL;
	c->sha = h->inner;
	for(size_t i = 0; i < n_parts; i++)
		if(parts[i].len > 0
				&& !SHA256_Update(&c->sha, parts[i].s, parts[i].len))
			return CR_EINTERNAL;
	if(!SHA256_Final(hash, &c->sha))
		return CR_EINTERNAL;
	c->sha = h->outer;
	return SHA256_Update(&c->sha, hash, sizeof(hash))
					&& SHA256_Final(out, &c->sha)
			? CR_OK
			: CR_EINTERNAL;
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
	return SHA256_Init(&c->sha) && SHA256_Update(&c->sha, data, len)
					&& SHA256_Final(out, &c->sha)
			? CR_OK
			: CR_EINTERNAL;
}
