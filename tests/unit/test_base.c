/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"

/* RFC 4648 section 10, without the padding and base32 in lower case. */
static const struct
{
	const char *plain, *b64, *b32;
} rfc4648[] = {
		{"", "", ""},
		{"f", "Zg", "my"},
		{"fo", "Zm8", "mzxq"},
		{"foo", "Zm9v", "mzxw6"},
		{"foob", "Zm9vYg", "mzxw6yq"},
		{"fooba", "Zm9vYmE", "mzxw6ytb"},
		{"foobar", "Zm9vYmFy", "mzxw6ytboi"},
};

#define N_RFC4648 (sizeof(rfc4648) / sizeof(rfc4648[0]))

static void one_vector(
		encode_fn encode, decode_fn decode, const char *plain, const char *text)
{
	char out[32];
	uint8_t back[32];

	assert_text(out, encode(out, sizeof(out), plain, strlen(plain)), text);
	assert_text(
			(char *)back, decode(back, sizeof(back), cr_span_str(text)), plain);
}

static void rfc_vectors(void **state)
{
	(void)state;
	for(size_t i = 0; i < N_RFC4648; i++) {
		one_vector(
				cr_b64_encode, cr_b64_decode, rfc4648[i].plain, rfc4648[i].b64);
		one_vector(
				cr_b32_encode, cr_b32_decode, rfc4648[i].plain, rfc4648[i].b32);
	}
}

static void url_alphabet(void **state)
{
	(void)state;
	one_vector(cr_b64_encode, cr_b64_decode, "\xfb\xef\xff", "--__");
}

/* Every byte value at every place, and the lengths that the macros promise. */
static void round_trips(void **state)
{
	uint8_t in[67], back[67];
	char out[128];

	(void)state;
	for(size_t len = 0; len < sizeof(in); len++) {
		int n;

		for(size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(i * 37 + len * 101);
		n = cr_b64_encode(out, CR_B64_LEN(len), in, len);
		assert_int_equal(n, CR_B64_LEN(len));
		assert_int_equal(
				cr_b64_decode(back, len, (cr_span_t){out, (size_t)n}), len);
		assert_memory_equal(in, back, len);
		n = cr_b32_encode(out, CR_B32_LEN(len), in, len);
		assert_int_equal(n, CR_B32_LEN(len));
		assert_int_equal(
				cr_b32_decode(back, len, (cr_span_t){out, (size_t)n}), len);
		assert_memory_equal(in, back, len);
	}
}

static void room(void **state)
{
	char out[8];
	uint8_t back[8];

	(void)state;
	assert_int_equal(cr_b64_encode(out, 7, "foobar", 6), CR_ETOOBIG);
	assert_int_equal(cr_b32_encode(out, 8, "foobar", 6), CR_ETOOBIG);
	assert_int_equal(cr_b64_decode(back, 5, CR_SPAN("Zm9vYmFy")), CR_ETOOBIG);
	assert_int_equal(cr_b32_decode(back, 5, CR_SPAN("mzxw6ytboi")), CR_ETOOBIG);
	assert_int_equal(cr_b64_encode(out, 8, "x", (size_t)1 << 62), CR_ETOOBIG);
	assert_int_equal(cr_b64_decode(back, 8, (cr_span_t){"x", (size_t)1 << 62}),
			CR_ETOOBIG);
}

/* How many of the 256 characters decode at the second of two places, and that
 * no two give the same byte. */
static int count_texts(decode_fn decode, char first)
{
	char text[2] = {first, 0};
	uint8_t seen[256] = {0}, out[2];
	int n = 0;

	for(int c = 0; c < 256; c++) {
		text[1] = (char)c;
		if(decode(out, sizeof(out), (cr_span_t){text, 2}) != 1)
			continue;
		assert_int_equal(seen[out[0]]++, 0);
		n++;
	}
	return n;
}

static void one_text_for_each_byte(void **state)
{
	(void)state;
	/* 8 bits in 12: a quarter of the first character's values are left. */
	assert_int_equal(count_texts(cr_b64_decode, 'Z'), 4);
	assert_int_equal(count_texts(cr_b32_decode, 'm'), 8);
}

static void refused_texts(void **state)
{
	static const char *const bad64[] = {"A", "AAAAA", "Zg==", "Zh", "Zm9",
			"Zm8=", "Z g", "Zg\n", "+/+/", "Zg.", "\xc3\xa4", NULL};
	static const char *const bad32[] = {"a", "aaa", "aaaaaa", "MY", "My", "mz",
			"my======", "m1", "m0", "m8", "m9", "my ", NULL};
	uint8_t out[16];

	(void)state;
	for(int i = 0; bad64[i]; i++)
		assert_int_equal(
				cr_b64_decode(out, 16, cr_span_str(bad64[i])), CR_EMALFORMED);
	for(int i = 0; bad32[i]; i++)
		assert_int_equal(
				cr_b32_decode(out, 16, cr_span_str(bad32[i])), CR_EMALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(rfc_vectors),
			cmocka_unit_test(url_alphabet),
			cmocka_unit_test(round_trips),
			cmocka_unit_test(room),
			cmocka_unit_test(one_text_for_each_byte),
			cmocka_unit_test(refused_texts),
	};

	return RUN(tests);
}
