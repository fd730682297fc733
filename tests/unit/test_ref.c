/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"
#include "samples.h"

#define CALL_ID CR_SPAN("c-1@client.invalid")

static cr_ref_t got;
static uint8_t mem[CR_BOX_PLAIN_MAX];

static int open_with(const cr_ring_t *r, cr_purpose_t purpose,
		cr_span_t call_id, cr_span_t text)
{
	return cr_ref_open(&got, mem, crypto, r, NOW, purpose, call_id, text);
}

static int open(cr_span_t text)
{
	return open_with(&ring, CR_PURPOSE_CALLER, CALL_ID, text);
}

static const char *seal(cr_purpose_t purpose, const cr_ref_t *ref)
{
	static char out[CR_BOX_TEXT_MAX + 1];
	int n = cr_ref_seal(
			out, CR_BOX_TEXT_MAX, crypto, &ring.keys[0], purpose, CALL_ID, ref);

	assert_true(n > 0);
	out[n] = 0;
	return out;
}

static void frozen_vector(void **state)
{
	const cr_ref_t ref = sample_ref();
	json_t *v = vector_load("ref");
	const char *text = vector_str(v, "text");

	(void)state;
	assert_string_equal(seal(CR_PURPOSE_CALLER, &ref), text);
	assert_int_equal(open(cr_span_str(text)), CR_OK);
	assert_hex(got.hint, sizeof(got.hint), vector_str(v, "hint"));
	assert_int_equal(got.start, vector_int(v, "start"));
	assert_text(got.sub.s, (int)got.sub.len, vector_str(v, "sub"));
	assert_text(got.sid.s, (int)got.sid.len, vector_str(v, "sid"));
	json_decref(v);
}

static void purposes(void **state)
{
	static const cr_purpose_t good[] = {CR_PURPOSE_CALLER, CR_PURPOSE_CALLEE};
	const cr_ref_t ref = sample_ref();
	char out[CR_BOX_TEXT_MAX];

	(void)state;
	for(int i = 0; i < 2; i++) {
		cr_span_t text = cr_span_str(seal(good[i], &ref));

		for(int j = 0; j < 2; j++)
			assert_int_equal(open_with(&ring, good[j], CALL_ID, text),
					i == j ? CR_OK : CR_EFORGED);
		assert_int_equal(
				open_with(&ring, CR_PURPOSE_VIA, CALL_ID, text), CR_EINTERNAL);
	}
	assert_int_equal(cr_ref_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, CALL_ID, &ref),
			CR_EINTERNAL);
}

/* A high first CSeq is in it, another takes no room. */
static void high_cseq(void **state)
{
	cr_ref_t ref = sample_ref();
	size_t without = strlen(seal(CR_PURPOSE_CALLER, &ref));

	(void)state;
	ref.cseq = 0x7fffffff;
	assert_int_equal(open(cr_span_str(seal(CR_PURPOSE_CALLER, &ref))), CR_OK);
	assert_int_equal(got.cseq, 0x7fffffff);
	assert_text(got.sid.s, (int)got.sid.len, SAMPLE_SID);
	assert_int_equal(strlen(seal(CR_PURPOSE_CALLER, &ref)),
			without + CR_B32_LEN(66) - CR_B32_LEN(62));
	ref.cseq = 0;
	assert_int_equal(open(cr_span_str(seal(CR_PURPOSE_CALLER, &ref))), CR_OK);
	assert_int_equal(got.cseq, 0);
}

/* What the call is bound to, with and without a high CSeq. */
static void bound(void **state)
{
	cr_ref_t ref = sample_ref();
	size_t without = strlen(seal(CR_PURPOSE_CALLER, &ref));

	(void)state;
	ref.fp = (cr_fp_t){.known = 1, .hash = {1, 2, [CR_FP_LEN - 1] = 255}};
	for(int i = 0; i < 2; i++) {
		ref.cseq = i ? CR_CSEQ_HIGH : 0;
		assert_int_equal(
				open(cr_span_str(seal(CR_PURPOSE_CALLER, &ref))), CR_OK);
		assert_true(cr_fp_equal(&got.fp, &ref.fp));
		assert_int_equal(got.cseq, ref.cseq);
		assert_text(got.sid.s, (int)got.sid.len, SAMPLE_SID);
	}
	ref.cseq = 0;
	assert_int_equal(strlen(seal(CR_PURPOSE_CALLER, &ref)),
			without + CR_B32_LEN(62 + CR_FP_LEN) - CR_B32_LEN(62));
	ref.fp.known = 0;
	assert_int_equal(strlen(seal(CR_PURPOSE_CALLER, &ref)), without);
	assert_int_equal(open(cr_span_str(seal(CR_PURPOSE_CALLER, &ref))), CR_OK);
	assert_false(got.fp.known);
}

static void frozen_bound_vector(void **state)
{
	const cr_ref_t ref = sample_bound_ref();
	json_t *v = vector_load("ref-bound");
	const char *text = vector_str(v, "text");

	(void)state;
	assert_string_equal(seal(CR_PURPOSE_CALLER, &ref), text);
	assert_int_equal(open(cr_span_str(text)), CR_OK);
	assert_hex(got.fp.hash, CR_FP_LEN, vector_str(v, "fp"));
	json_decref(v);
}

static void damage(void **state)
{
	json_t *v = vector_load("ref");
	const char *text = vector_str(v, "text");

	(void)state;
	refuse_damage(open, text, cr_b32_encode, cr_b32_decode);
	json_decref(v);
}

static void wrong_call_or_key(void **state)
{
	const cr_ref_t ref = sample_ref();
	cr_span_t text = cr_span_str(seal(CR_PURPOSE_CALLER, &ref));
	cr_ring_t retired = ring;

	(void)state;
	assert_int_equal(
			open_with(&ring, CR_PURPOSE_CALLER, CR_SPAN("another"), text),
			CR_EFORGED);
	assert_int_equal(
			open_with(&stranger, CR_PURPOSE_CALLER, CALL_ID, text), CR_EFORGED);
	retired.keys[0].not_after = NOW - 1;
	assert_int_equal(
			open_with(&retired, CR_PURPOSE_CALLER, CALL_ID, text), CR_EKEY);
}

static void sizes(void **state)
{
	static char big[256];
	char out[CR_BOX_TEXT_MAX];
	cr_ref_t ref = sample_ref();

	(void)state;
	ref.sub = ref.sid = (cr_span_t){big, 255};
	assert_int_equal(open(cr_span_str(seal(CR_PURPOSE_CALLER, &ref))), CR_OK);
	assert_int_equal(got.sub.len, 255);
	ref.sub.len = 256;
	assert_int_equal(cr_ref_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_CALLER, CALL_ID, &ref),
			CR_ETOOBIG);
}

static void contents(void **state)
{
	static const char good[] = "hh\0\0\0\x07\x01"
							   "a\x01"
							   "b";
	const cr_span_t context = CALL_ID;
	char out[CR_BOX_TEXT_MAX];

	(void)state;
	for(size_t len = 0; len <= sizeof(good); len++) {
		int n = cr_box_seal(out, sizeof(out), crypto, &ring.keys[0],
				CR_PURPOSE_CALLER, &context, 1, (cr_span_t){good, len});

		assert_true(n > 0);
		assert_int_equal(open((cr_span_t){out, (size_t)n}),
				len == sizeof(good) - 1 ? CR_OK : CR_EMALFORMED);
	}
	assert_int_equal(got.start, 7);
}

/* Every reference has one text: a number that is zero is not written. */
static void zero_cseq(void **state)
{
	static const char zero[] = "hh\0\0\0\x07\x01"
							   "a\x01"
							   "b\0\0\0";
	const cr_span_t context = CALL_ID;
	char out[CR_BOX_TEXT_MAX];
	int n = cr_box_seal(out, sizeof(out), crypto, &ring.keys[0],
			CR_PURPOSE_CALLER, &context, 1, (cr_span_t){zero, sizeof(zero)});

	(void)state;
	assert_true(n > 0);
	assert_int_equal(open((cr_span_t){out, (size_t)n}), CR_EMALFORMED);
}

/* Behind the sid there is nothing, a CSeq, a fingerprint, or both. */
static void tails(void **state)
{
	char plain[64] = "hh\0\0\0\x07\x01"
					 "a\x01"
					 "b";
	const cr_span_t context = CALL_ID;
	char out[CR_BOX_TEXT_MAX];

	(void)state;
	memset(&plain[10], 1, 40);
	for(size_t tail = 0; tail <= 40; tail++) {
		int n = cr_box_seal(out, sizeof(out), crypto, &ring.keys[0],
				CR_PURPOSE_CALLER, &context, 1, (cr_span_t){plain, 10 + tail});
		int good = tail == 0 || tail == 4 || tail == CR_FP_LEN
				|| tail == 4 + CR_FP_LEN;

		assert_int_equal(open((cr_span_t){out, (size_t)n}),
				good ? CR_OK : CR_EMALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(purposes),
			cmocka_unit_test(high_cseq),
			cmocka_unit_test(bound),
			cmocka_unit_test(frozen_bound_vector),
			cmocka_unit_test(damage),
			cmocka_unit_test(wrong_call_or_key),
			cmocka_unit_test(sizes),
			cmocka_unit_test(contents),
			cmocka_unit_test(zero_cseq),
			cmocka_unit_test(tails),
	};

	return RUN(tests);
}
