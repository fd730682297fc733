/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"
#include "samples.h"

static cr_map_t got;
static uint8_t mem[CR_BOX_PLAIN_MAX];
static const cr_key_t *got_key;

static int open_at(int64_t now, cr_purpose_t purpose,
		const cr_dialog_id_t *here, cr_span_t text)
{
	return cr_map_open(
			&got, mem, &got_key, crypto, &ring, now, purpose, here, text);
}

static int open(cr_span_t text)
{
	return open_at(NOW, CR_PURPOSE_VIA, &sample_here, text);
}

static const char *seal(const cr_map_t *map)
{
	static char out[CR_BOX_TEXT_MAX + 1];
	int n = cr_map_seal(out, CR_BOX_TEXT_MAX, crypto, &ring.keys[0],
			CR_PURPOSE_VIA, &sample_here, map);

	assert_true(n > 0);
	out[n] = 0;
	return out;
}

static void same(cr_span_t a, cr_span_t b)
{
	assert_int_equal(a.len, b.len);
	assert_true(cr_span_eq(a, b));
}

static void same_map(const cr_map_t *a, const cr_map_t *b)
{
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->cseq_offset, b->cseq_offset);
	assert_int_equal(a->exp, b->exp);
	same(a->other.call_id, b->other.call_id);
	same(a->other.tag, b->other.tag);
	same(a->n_local, b->n_local);
	same(a->n_remote, b->n_remote);
	same(a->o_local, b->o_local);
	same(a->o_remote, b->o_remote);
}

static void vector_member(const json_t *v, const char *name, cr_span_t got_one)
{
	assert_text(got_one.s, (int)got_one.len, vector_str(v, name));
}

static void frozen_vector(void **state)
{
	const cr_map_t map = sample_map();
	json_t *v = vector_load("map");
	const char *text = vector_str(v, "text");

	(void)state;
	assert_string_equal(seal(&map), text);
	assert_int_equal(open(cr_span_str(text)), CR_OK);
	same_map(&got, &map);
	assert_ptr_equal(got_key, &ring.keys[0]);
	vector_member(v, "call_id", got.other.call_id);
	vector_member(v, "tag", got.other.tag);
	vector_member(v, "n_local", got.n_local);
	vector_member(v, "n_remote", got.n_remote);
	vector_member(v, "o_local", got.o_local);
	vector_member(v, "o_remote", got.o_remote);
	assert_int_equal(got.flags, vector_int(v, "flags"));
	assert_int_equal(got.cseq_offset, vector_int(v, "cseq_offset"));
	assert_int_equal(got.exp, vector_int(v, "exp"));
	json_decref(v);
}

static void round_trips(void **state)
{
	static char longest[255];
	const cr_span_t s = {longest, sizeof(longest)};
	cr_map_t map = sample_map();

	(void)state;
	map.flags = 0;
	map.n_local = map.n_remote = map.o_local = map.o_remote
			= (cr_span_t){NULL, 0};
	map.cseq_offset = UINT32_MAX;
	assert_int_equal(open(cr_span_str(seal(&map))), CR_OK);
	same_map(&got, &map);
	memset(longest, 'x', sizeof(longest));
	map.other = (cr_dialog_id_t){s, s};
	map.exp = UINT32_MAX;
	assert_int_equal(open(cr_span_str(seal(&map))), CR_OK);
	same_map(&got, &map);
}

/* What has been made of one of ours is told from what has not. */
static void misplaced_or_made_up(void **state)
{
	const cr_map_t map = sample_map();
	const cr_dialog_id_t other = {CR_SPAN("another"), CR_SPAN("tag")};
	char text[CR_BOX_TEXT_MAX + 1];
	size_t len;

	(void)state;
	strcpy(text, seal(&map));
	len = strlen(text);
	assert_int_equal(open_at(NOW, CR_PURPOSE_VIA, &other, cr_span_str(text)),
			CR_EFORGED);
	assert_true(
			cr_map_is_misplaced(mem, crypto, &ring, NOW, cr_span_str(text)));
	text[len - 5] = text[len - 5] == 'a' ? 'b' : 'a';
	assert_int_equal(open(cr_span_str(text)), CR_EFORGED);
	assert_true(
			cr_map_is_misplaced(mem, crypto, &ring, NOW, cr_span_str(text)));
	for(char c = 'a'; c <= 'z'; c++) {
		memset(text + 5, c, len - 5);
		assert_false(cr_map_is_misplaced(
				mem, crypto, &ring, NOW, cr_span_str(text)));
	}
	assert_false(cr_map_is_misplaced(mem, crypto, &ring, NOW, CR_SPAN("")));
	memset(text, 'z', len);
	assert_false(
			cr_map_is_misplaced(mem, crypto, &ring, NOW, cr_span_str(text)));
}

static void too_long(void **state)
{
	static char big[256];
	char out[CR_BOX_TEXT_MAX];
	cr_map_t map = sample_map();

	(void)state;
	map.other.tag = (cr_span_t){big, 256};
	assert_int_equal(cr_map_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, &sample_here, &map),
			CR_ETOOBIG);
	map.other.tag = map.other.call_id = (cr_span_t){big, 255};
	map.n_local = map.n_remote = map.o_local = map.other.tag;
	assert_int_equal(cr_map_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, &sample_here, &map),
			CR_ETOOBIG);
}

static void damage(void **state)
{
	json_t *v = vector_load("map");
	const char *text = vector_str(v, "text");

	(void)state;
	refuse_damage(open, text, cr_b32_encode, cr_b32_decode);
	json_decref(v);
}

static void wrong_purpose_or_dialog(void **state)
{
	const cr_map_t map = sample_map();
	const cr_dialog_id_t other_call = {CR_SPAN("x"), sample_here.tag};
	const cr_dialog_id_t other_tag = {sample_here.call_id, CR_SPAN("x")};
	cr_span_t text = cr_span_str(seal(&map));

	(void)state;
	assert_int_equal(
			open_at(NOW, CR_PURPOSE_CONTACT, &sample_here, text), CR_EFORGED);
	assert_int_equal(
			open_at(NOW, CR_PURPOSE_TAG, &sample_here, text), CR_EFORGED);
	assert_int_equal(
			open_at(NOW, CR_PURPOSE_VIA, &other_call, text), CR_EFORGED);
	assert_int_equal(
			open_at(NOW, CR_PURPOSE_VIA, &other_tag, text), CR_EFORGED);
}

static void wrong_key(void **state)
{
	const cr_map_t map = sample_map();

	(void)state;
	assert_int_equal(
			cr_map_open(&got, mem, &got_key, crypto, &stranger, NOW,
					CR_PURPOSE_VIA, &sample_here, cr_span_str(seal(&map))),
			CR_EFORGED);
}

static void expiry(void **state)
{
	static const uint8_t zero[64];
	const cr_map_t map = sample_map();
	cr_span_t text = cr_span_str(seal(&map));

	(void)state;
	assert_int_equal(
			open_at((int64_t)map.exp - 1, CR_PURPOSE_VIA, &sample_here, text),
			CR_OK);
	memset(&got, 0x77, sizeof(got));
	got_key = NULL;
	assert_int_equal(
			open_at(map.exp, CR_PURPOSE_VIA, &sample_here, text), CR_EEXPIRED);
	assert_int_equal(got.exp, 0x77777777);
	assert_null(got_key);
	assert_memory_equal(mem, zero, sizeof(zero));
}

/* Seal bytes that no cr_map_seal() makes. */
static int open_bytes(const char *bytes, size_t len)
{
	const cr_span_t context[] = {sample_here.call_id, sample_here.tag};
	char out[CR_BOX_TEXT_MAX];
	int n = cr_box_seal(out, sizeof(out), crypto, &ring.keys[0], CR_PURPOSE_VIA,
			context, 2, (cr_span_t){bytes, len});

	assert_true(n > 0);
	return open((cr_span_t){out, (size_t)n});
}

static void contents(void **state)
{
	static const char good[] = "\0\0\0\0\x01\xff\xff\xff\xff\x02"
							   "ab\x01"
							   "c";
	const size_t len = sizeof(good) - 1;
	char bytes[sizeof(good)];

	(void)state;
	assert_int_equal(open_bytes(good, len), CR_OK);
	assert_int_equal(got.cseq_offset, 1);
	for(size_t n = 1; n < len; n++)
		assert_int_equal(open_bytes(good, n), CR_EMALFORMED);
	assert_int_equal(open_bytes(good, 0), CR_EMALFORMED);
	assert_int_equal(open_bytes(good, len + 1), CR_EMALFORMED);
	memcpy(bytes, good, sizeof(good));
	bytes[0] = CR_MAP_URIS;
	assert_int_equal(open_bytes(bytes, len), CR_EMALFORMED);
	bytes[0] = 0x04;
	assert_int_equal(open_bytes(bytes, len), CR_EUNSUPPORTED);
}

static void unknown_flags_are_not_sealed(void **state)
{
	char out[CR_BOX_TEXT_MAX];
	cr_map_t map = sample_map();

	(void)state;
	map.flags = 0x100;
	assert_int_equal(cr_map_seal(out, sizeof(out), crypto, &ring.keys[0],
							 CR_PURPOSE_VIA, &sample_here, &map),
			CR_EINTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(round_trips),
			cmocka_unit_test(misplaced_or_made_up),
			cmocka_unit_test(too_long),
			cmocka_unit_test(damage),
			cmocka_unit_test(wrong_purpose_or_dialog),
			cmocka_unit_test(wrong_key),
			cmocka_unit_test(expiry),
			cmocka_unit_test(contents),
			cmocka_unit_test(unknown_flags_are_not_sealed),
	};

	return RUN(tests);
}
