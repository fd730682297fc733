/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The primitives against the vectors of their own documents.
 */
#include "helper.h"

#include <openssl/err.h>
#include <openssl/hmac.h>

#include "base.h"

static void hmac_is(const char *key, const char *data, const char *want)
{
	uint8_t k[256], d[256], out[32];
	size_t k_len = unhex(k, sizeof(k), key);
	size_t d_len = unhex(d, sizeof(d), data);
	const cr_span_t one[] = {{(char *)d, d_len}};
	const cr_span_t two[] = {{(char *)d, d_len / 2}, {NULL, 0},
			{(char *)&d[d_len / 2], d_len - d_len / 2}};

	assert_int_equal(cr_hmac(crypto, out, k, k_len, one, 1), CR_OK);
	assert_hex(out, 32, want);
	assert_int_equal(cr_hmac(crypto, out, k, k_len, two, 3), CR_OK);
	assert_hex(out, 32, want);
}

#define AA10 "aaaaaaaaaaaaaaaaaaaa"
#define AA20 AA10 AA10
#define AA131 AA20 AA20 AA20 AA20 AA20 AA20 AA10 "aa"

/* RFC 4231 sections 4.2 to 4.8; 4.6 is of a truncated output. */
static void hmac_rfc4231(void **state)
{
	(void)state;
	hmac_is("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
			"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_is("4a656665",
			"7768617420646f2079612077616e7420666f72206e6f7468696e673f",
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_is(AA20,
			"dddddddddddddddddddddddddddddddddddddddddddddddddd"
			"dddddddddddddddddddddddddddddddddddddddddddddddddd",
			"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	hmac_is("0102030405060708090a0b0c0d0e0f10111213141516171819",
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
			"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
			"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	hmac_is(AA131,
			"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a"
			"65204b6579202d2048617368204b6579204669727374",
			"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_is(AA131,
			"5468697320697320612074657374207573696e672061206c6172676572207468"
			"616e20626c6f636b2d73697a65206b657920616e642061206c61726765722074"
			"68616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565"
			"647320746f20626520686173686564206265666f7265206265696e6720757365"
			"642062792074686520484d414320616c676f726974686d2e",
			"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* Contexts stay keyed, and there are more keys than contexts; some are of another length,
 * or differ in their last byte only. */
static void hmac_of_many_keys(void **state)
{
	static const size_t lens[] = {32, 32, 32, 0, 31, 33, 64, 32};
	uint8_t key[64], out[32], want[32];
	unsigned want_len;

	(void)state;
	for(int round = 0; round < 1000; round++) {
		const cr_span_t text = CR_SPAN("some text");
		size_t len = lens[round % 8];

		memset(key, 'k', sizeof(key));
		key[31] = (uint8_t)((round * 7) % 20);
		assert_int_equal(cr_hmac(crypto, out, key, len, &text, 1), CR_OK);
		assert_non_null(HMAC(EVP_sha256(), key, (int)len,
				(const uint8_t *)text.s, text.len, want, &want_len));
		assert_memory_equal(out, want, 32);
	}
}

/* RFC 5869 appendices A.1 and A.3: the PRK, and of the OKM the first 32 bytes,
 * which are T(1). */
static void hkdf_rfc5869(void **state)
{
	uint8_t ikm[22], salt[13], info[10], prk[32], okm[32];

	(void)state;
	memset(ikm, 0x0b, sizeof(ikm));
	unhex(salt, sizeof(salt), "000102030405060708090a0b0c");
	unhex(info, sizeof(info), "f0f1f2f3f4f5f6f7f8f9");
	assert_int_equal(
			cr_hkdf_extract(crypto, prk,
					(cr_span_t){(char *)salt, sizeof(salt)}, ikm, sizeof(ikm)),
			CR_OK);
	assert_hex(prk, 32,
			"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
	assert_int_equal(cr_hkdf_expand(crypto, okm, prk,
							 (cr_span_t){(char *)info, sizeof(info)}),
			CR_OK);
	assert_hex(okm, 32,
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
	assert_int_equal(cr_hkdf_extract(crypto, prk, (cr_span_t){NULL, 0}, ikm,
							 sizeof(ikm)),
			CR_OK);
	assert_hex(prk, 32,
			"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
	assert_int_equal(
			cr_hkdf_expand(crypto, okm, prk, (cr_span_t){NULL, 0}), CR_OK);
	assert_hex(okm, 32,
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

/* RFC 5869 appendix A.2, the long one, likewise. */
static void hkdf_rfc5869_long(void **state)
{
	uint8_t in[240], prk[32], okm[32];

	(void)state;
	for(int i = 0; i < 240; i++)
		in[i] = (uint8_t)(i < 80  ? i
						: i < 160 ? 0x60 + i - 80
								  : 0xb0 + i - 160);
	assert_int_equal(cr_hkdf_extract(crypto, prk,
							 (cr_span_t){(char *)&in[80], 80}, in, 80),
			CR_OK);
	assert_hex(prk, 32,
			"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244");
	assert_int_equal(
			cr_hkdf_expand(crypto, okm, prk, (cr_span_t){(char *)&in[160], 80}),
			CR_OK);
	assert_hex(okm, 32,
			"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c");
}

/* RFC 7515 appendix A.1. */
static void hs256_rfc7515(void **state)
{
	const cr_span_t text = CR_SPAN("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
								   "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODA"
								   "sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"
								   "p0cnVlfQ");
	const cr_span_t secret = CR_SPAN(
			"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i"
			"PS4hcgUuTwjAzZr1Z9CAow");
	uint8_t key[64], mac[32];
	char out[64];

	(void)state;
	assert_int_equal(cr_b64_decode(key, sizeof(key), secret), 64);
	assert_int_equal(cr_hmac(crypto, mac, key, 64, &text, 1), CR_OK);
	assert_text(out, cr_b64_encode(out, sizeof(out), mac, 32),
			"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

static void sha256_fips180(void **state)
{
	uint8_t out[32];

	(void)state;
	assert_int_equal(cr_sha256(crypto, out, "abc", 3), CR_OK);
	assert_hex(out, 32,
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation
 * (GCM)", as submitted to NIST: AES-256 with associated data. */
static const struct
{
	const char *key, *nonce, *aad, *plain, *cipher, *tag;
} gcm16 = {
		"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
		"cafebabefacedbaddecaf888",
		"feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
		"76fc6ece0f4e1768cddf8853bb2d551b",
};

typedef struct gcm
{
	uint8_t key[32], nonce[12], aad_bytes[20], data[60], tag[16];
	cr_span_t aad;
} gcm_t;

static void gcm_load(gcm_t *g, const char *data)
{
	unhex(g->key, 32, gcm16.key);
	unhex(g->nonce, 12, gcm16.nonce);
	unhex(g->aad_bytes, 20, gcm16.aad);
	unhex(g->data, 60, data);
	unhex(g->tag, 16, gcm16.tag);
	g->aad = (cr_span_t){(char *)g->aad_bytes, 20};
}

static void gcm_vector(void **state)
{
	uint8_t out[60], tag[16];
	gcm_t g;

	(void)state;
	gcm_load(&g, gcm16.plain);
	assert_int_equal(
			cr_gcm_seal(crypto, out, tag, g.key, g.nonce, g.aad, g.data, 60),
			CR_OK);
	assert_hex(out, 60, gcm16.cipher);
	assert_hex(tag, 16, gcm16.tag);
	assert_int_equal(
			cr_gcm_open(crypto, out, g.key, g.nonce, g.aad, out, 60, tag),
			CR_OK);
	assert_hex(out, 60, gcm16.plain);
}

/* Test case 13: nothing to encrypt and nothing to authenticate. */
static void gcm_of_nothing(void **state)
{
	static const uint8_t zero[32];
	uint8_t tag[16];

	(void)state;
	assert_int_equal(cr_gcm_seal(crypto, NULL, tag, zero, zero,
							 (cr_span_t){NULL, 0}, NULL, 0),
			CR_OK);
	assert_hex(tag, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	assert_int_equal(cr_gcm_open(crypto, NULL, zero, zero, (cr_span_t){NULL, 0},
							 NULL, 0, tag),
			CR_OK);
}

static void refuse_gcm(const gcm_t *g)
{
	static const uint8_t zero[60];
	uint8_t out[60];

	memset(out, 1, sizeof(out));
	assert_int_equal(cr_gcm_open(crypto, out, g->key, g->nonce, g->aad, g->data,
							 60, g->tag),
			CR_EFORGED);
	assert_memory_equal(out, zero, sizeof(out));
}

static void flip_each(gcm_t *g, uint8_t *bytes, size_t len)
{
	for(size_t bit = 0; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refuse_gcm(g);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void gcm_flips(void **state)
{
	gcm_t g;

	(void)state;
	gcm_load(&g, gcm16.cipher);
	flip_each(&g, g.key, 32);
	flip_each(&g, g.nonce, 12);
	flip_each(&g, g.aad_bytes, 20);
	flip_each(&g, g.data, 60);
	flip_each(&g, g.tag, 16);
	g.aad.len--;
	refuse_gcm(&g);
}

/* Contexts stay keyed: each key has to make what it makes in a fresh one. */
static void gcm_of_many_keys(void **state)
{
	static const uint8_t order[] = {0, 1, 0, 2, 0, 1, 1, 3, 2, 3, 0};
	static const uint8_t nonce[12] = {1};
	uint8_t key[32], want[4], want_tag[16], got[4], tag[16], text[4];

	(void)state;
	for(size_t i = 0; i < sizeof(order); i++) {
		cr_crypto_t *fresh = cr_crypto_new();

		assert_non_null(fresh);
		memset(key, order[i], sizeof(key));
		assert_int_equal(cr_gcm_seal(fresh, want, want_tag, key, nonce,
								 CR_SPAN("aad"), "text", 4),
				CR_OK);
		cr_crypto_free(fresh);
		assert_int_equal(cr_gcm_seal(crypto, got, tag, key, nonce,
								 CR_SPAN("aad"), "text", 4),
				CR_OK);
		assert_memory_equal(got, want, sizeof(want));
		assert_memory_equal(tag, want_tag, sizeof(want_tag));
		assert_int_equal(cr_gcm_open(crypto, text, key, nonce, CR_SPAN("aad"),
								 got, 4, tag),
				CR_OK);
		assert_memory_equal(text, "text", 4);
		key[31] ^= 1;
		assert_int_equal(cr_gcm_open(crypto, text, key, nonce, CR_SPAN("aad"),
								 got, 4, tag),
				CR_EFORGED);
	}
}

static void equal(void **state)
{
	(void)state;
	assert_true(cr_equal_ct("abc", "abc", 3));
	assert_false(cr_equal_ct("abc", "abd", 3));
	assert_true(cr_equal_ct("abc", "xyz", 0));
}

static void random_and_wipe(void **state)
{
	static const uint8_t zero[32];
	uint8_t a[32], b[32];

	(void)state;
	assert_int_equal(cr_random(a, 32), CR_OK);
	assert_int_equal(cr_random(b, 32), CR_OK);
	assert_memory_not_equal(a, b, 32);
	cr_wipe(a, 32);
	assert_memory_equal(a, zero, 32);
	cr_wipe(NULL, 0);
	cr_crypto_free(NULL);
}

static void random_hex(void **state)
{
	char a[65], b[65], none[67];

	(void)state;
	assert_int_equal(cr_random_hex(a, 64), CR_OK);
	assert_int_equal(cr_random_hex(b, 64), CR_OK);
	assert_int_equal(strspn(a, "0123456789abcdef"), 64);
	assert_int_equal(strlen(a), 64);
	assert_string_not_equal(a, b);
	assert_int_equal(cr_random_hex(none, 66), CR_EINTERNAL);
	assert_string_equal(none, "");
}

static void before_a_fork(void **state)
{
	(void)state;
	ERR_raise(ERR_LIB_USER, 1);
	assert_true(ERR_peek_error() != 0);
	cr_crypto_before_fork();
	assert_true(ERR_peek_error() == 0);
	ERR_raise(ERR_LIB_USER, 1);
	assert_true(ERR_get_error() != 0);
	hmac_rfc4231(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(hmac_rfc4231),
			cmocka_unit_test(hmac_of_many_keys),
			cmocka_unit_test(hkdf_rfc5869),
			cmocka_unit_test(hkdf_rfc5869_long),
			cmocka_unit_test(hs256_rfc7515),
			cmocka_unit_test(sha256_fips180),
			cmocka_unit_test(gcm_vector),
			cmocka_unit_test(gcm_of_nothing),
			cmocka_unit_test(gcm_flips),
			cmocka_unit_test(gcm_of_many_keys),
			cmocka_unit_test(equal),
			cmocka_unit_test(random_and_wipe),
			cmocka_unit_test(random_hex),
			cmocka_unit_test(before_a_fork),
	};

	return RUN(tests);
}
