/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"
#include "box.h"

static const cr_span_t context[] = {{"one", 3}, {"", 0}, {"three", 5}};

static uint8_t got[CR_BOX_PLAIN_MAX];
static const cr_key_t *got_key;

static int open_with(const cr_ring_t *r, cr_purpose_t purpose,
		const cr_span_t *ctx, size_t n, cr_span_t text)
{
	memset(got, 0xee, sizeof(got));
	return cr_box_open(
			got, sizeof(got), &got_key, crypto, r, NOW, purpose, ctx, n, text);
}

static int open(cr_span_t text)
{
	return open_with(&ring, CR_PURPOSE_VIA, context, 3, text);
}

/* Seal for CR_PURPOSE_VIA and context, zero-terminated. */
static const char *seal(const cr_key_t *key, cr_span_t plain)
{
	static char out[CR_BOX_TEXT_MAX + 1];
	int n = cr_box_seal(out, CR_BOX_TEXT_MAX, crypto, key, CR_PURPOSE_VIA,
			context, 3, plain);

	assert_true(n > 0);
	out[n] = 0;
	return out;
}

static void frozen_vector(void **state)
{
	json_t *v = vector_load("box");
	const char *text = vector_str(v, "text");
	const char *plain = vector_str(v, "plain");

	(void)state;
	assert_string_equal(vector_str(v, "purpose"), "v");
	assert_string_equal(seal(&ring.keys[0], cr_span_str(plain)), text);
	assert_text((char *)got, open(cr_span_str(text)), plain);
	assert_ptr_equal(got_key, &ring.keys[0]);
	json_decref(v);
}

static void round_trips(void **state)
{
	static char in[CR_BOX_PLAIN_MAX + 1];
	char out[CR_BOX_TEXT_MAX];

	(void)state;
	for(size_t len = 0; len <= CR_BOX_PLAIN_MAX; len += len < 50 ? 1 : 230) {
		memset(in, (int)len, len);
		assert_int_equal(
				open(cr_span_str(seal(&ring.keys[1], (cr_span_t){in, len}))),
				len);
		assert_memory_equal(got, in, len);
		assert_ptr_equal(got_key, &ring.keys[1]);
	}
	assert_int_equal(
			cr_box_seal(out, sizeof(out), crypto, &ring.keys[0], CR_PURPOSE_VIA,
					context, 3, (cr_span_t){in, CR_BOX_PLAIN_MAX + 1}),
			CR_ETOOBIG);
}

/* The dialog tags rely on the first; the second is what keeps GCM safe. */
static void same_content_same_box(void **state)
{
	char first[CR_BOX_TEXT_MAX + 1];

	(void)state;
	strcpy(first, seal(&ring.keys[0], CR_SPAN("content")));
	assert_string_equal(first, seal(&ring.keys[0], CR_SPAN("content")));
	/* hint and nonce are the first 14 bytes, 22 whole characters */
	assert_memory_not_equal(first, seal(&ring.keys[0], CR_SPAN("c0ntent")), 22);
}

static void damage(void **state)
{
	json_t *v = vector_load("box");
	const char *text = vector_str(v, "text");

	(void)state;
	refuse_damage(open, text, cr_b32_encode, cr_b32_decode);
	json_decref(v);
}

static void folded_case_is_another_text(void **state)
{
	char text[256];

	(void)state;
	strcpy(text, seal(&ring.keys[0], CR_SPAN("x")));
	for(char *p = text; *p; p++)
		if(*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 32);
	assert_int_equal(open(cr_span_str(text)), CR_EMALFORMED);
}

static void wrong_keys(void **state)
{
	cr_ring_t retired = ring;
	cr_ring_t one = ring;
	cr_span_t text;

	(void)state;
	text = cr_span_str(seal(&ring.keys[1], CR_SPAN("x")));
	assert_int_equal(
			open_with(&stranger, CR_PURPOSE_VIA, context, 3, text), CR_EFORGED);
	one.n_keys = 1;
	assert_int_equal(
			open_with(&one, CR_PURPOSE_VIA, context, 3, text), CR_EKEY);
	retired.keys[1].not_after = NOW - 1;
	assert_int_equal(
			open_with(&retired, CR_PURPOSE_VIA, context, 3, text), CR_EKEY);
}

static void wrong_purpose(void **state)
{
	static const cr_purpose_t others[] = {CR_PURPOSE_CONTACT, CR_PURPOSE_TAG,
			CR_PURPOSE_CALLER, CR_PURPOSE_CALLEE};
	static const uint8_t zero[4];
	cr_span_t text = cr_span_str(seal(&ring.keys[0], CR_SPAN("wipe")));

	(void)state;
	for(size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(
				open_with(&ring, others[i], context, 3, text), CR_EFORGED);
		assert_memory_equal(got, zero, 4);
	}
}

static void wrong_context(void **state)
{
	/* The same bytes with their borders elsewhere, and one more or fewer. */
	static const cr_span_t moved[] = {{"onet", 4}, {"", 0}, {"hree", 4}};
	static const cr_span_t swapped[] = {{"", 0}, {"one", 3}, {"three", 5}};
	cr_span_t text = cr_span_str(seal(&ring.keys[0], CR_SPAN("x")));

	(void)state;
	assert_int_equal(
			open_with(&ring, CR_PURPOSE_VIA, moved, 3, text), CR_EFORGED);
	assert_int_equal(
			open_with(&ring, CR_PURPOSE_VIA, swapped, 3, text), CR_EFORGED);
	assert_int_equal(
			open_with(&ring, CR_PURPOSE_VIA, context, 2, text), CR_EFORGED);
	assert_int_equal(
			open_with(&ring, CR_PURPOSE_VIA, NULL, 0, text), CR_EFORGED);
}

static void limits(void **state)
{
	static char big[70000];
	const cr_span_t long1 = {big, CR_BOX_AAD_MAX - 2};
	const cr_span_t long2 = {big, sizeof(big)};
	const cr_span_t four[4] = {{NULL, 0}};
	char out[CR_BOX_TEXT_MAX];
	cr_span_t text = cr_span_str(seal(&ring.keys[0], CR_SPAN("four")));

	(void)state;
	assert_int_equal(cr_box_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, four, 4, CR_SPAN("x")),
			CR_ETOOBIG);
	assert_int_equal(cr_box_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, &long1, 1, CR_SPAN("x")),
			CR_ETOOBIG);
	assert_int_equal(
			open_with(&ring, CR_PURPOSE_VIA, &long2, 1, text), CR_ETOOBIG);
	assert_int_equal(cr_box_seal(out, text.len - 1, crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, context, 3, CR_SPAN("four")),
			CR_ETOOBIG);
	assert_int_equal(cr_box_open(got, 3, &got_key, crypto, &ring, NOW,
							 CR_PURPOSE_VIA, context, 3, text),
			CR_ETOOBIG);
	assert_int_equal(cr_box_open(got, 4, &got_key, crypto, &ring, NOW,
							 CR_PURPOSE_VIA, context, 3, text),
			4);
	memset(big, 'a', sizeof(big));
	assert_int_equal(open((cr_span_t){big, CR_BOX_TEXT_MAX + 2}), CR_ETOOBIG);
	assert_int_equal(open(CR_SPAN("")), CR_EMALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(round_trips),
			cmocka_unit_test(same_content_same_box),
			cmocka_unit_test(damage),
			cmocka_unit_test(folded_case_is_another_text),
			cmocka_unit_test(wrong_keys),
			cmocka_unit_test(wrong_purpose),
			cmocka_unit_test(wrong_context),
			cmocka_unit_test(limits),
	};

	return RUN(tests);
}
