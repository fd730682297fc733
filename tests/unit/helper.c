/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"

cr_crypto_t *crypto;
cr_ring_t ring;
cr_ring_t stranger;

#define STRANGER_TEXT                                                          \
	"k1 QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8\n"                         \
	"k2 YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8\n"

int setup(void **state)
{
	char why[CR_WHY_MAX];

	(void)state;
	crypto = cr_crypto_new();
	if(!crypto)
		return -1;
	if(cr_ring_parse(&stranger, why, crypto, CR_SPAN(STRANGER_TEXT), NOW))
		return -1;
	return cr_ring_parse(&ring, why, crypto, CR_SPAN(RING_TEXT), NOW);
}

int teardown(void **state)
{
	(void)state;
	cr_crypto_free(crypto);
	return 0;
}

size_t unhex(uint8_t *out, size_t max, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= max);
	for(size_t i = 0; i < n; i++) {
		unsigned byte;

		assert_int_equal(sscanf(&hex[2 * i], "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return n;
}

void assert_hex(const void *data, size_t len, const char *hex)
{
	uint8_t want[2048];

	assert_int_equal(len, unhex(want, sizeof(want), hex));
	assert_memory_equal(data, want, len);
}

void assert_text(const char *s, int len, const char *want)
{
	assert_int_equal(len, strlen(want));
	assert_memory_equal(s, want, (size_t)len);
}

json_t *vector_load(const char *name)
{
	char path[512];
	json_error_t why;
	json_t *v;

	snprintf(path, sizeof(path), "%s/%s.json", VECTORS, name);
	v = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if(!v)
		fail_msg("%s: %s", path, why.text);
	return v;
}

const char *vector_str(const json_t *v, const char *name)
{
	const char *s = json_string_value(json_object_get(v, name));

	if(!s)
		fail_msg("vector without %s", name);
	return s;
}

int64_t vector_int(const json_t *v, const char *name)
{
	const json_t *n = json_object_get(v, name);

	if(!json_is_integer(n))
		fail_msg("vector without %s", name);
	return json_integer_value(n);
}

/* ---- damage -------------------------------------------------------------- */

/* The text is moved to a block of just its size, for AddressSanitizer to see
 * a read beyond it. */
static int open_tight(open_fn open, const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	int err;

	assert_non_null(copy);
	if(len > 0)
		memcpy(copy, text, len);
	err = open((cr_span_t){copy, len});
	free(copy);
	return err;
}

static void assert_refused(int err, const char *how, size_t at)
{
	if(err >= 0)
		fail_msg("accepted with %s at %zu", how, at);
	if(err == CR_EINTERNAL)
		fail_msg("internal error with %s at %zu", how, at);
}

void refuse_truncations(open_fn open, const char *text)
{
	size_t len = strlen(text);

	assert_true(open_tight(open, text, len) >= 0);
	for(size_t n = 0; n < len; n++)
		assert_refused(open_tight(open, text, n), "the end", n);
}

void refuse_text_flips(open_fn open, const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len + 1);
	for(size_t bit = 0; bit < len * 8; bit++) {
		copy[bit / 8] ^= (char)(1 << bit % 8);
		assert_refused(open_tight(open, copy, len), "a flipped bit", bit);
		copy[bit / 8] ^= (char)(1 << bit % 8);
	}
	free(copy);
}

static void flip_segment(open_fn open, const char *text, size_t from,
		size_t len, encode_fn encode, decode_fn decode)
{
	uint8_t bytes[8192];
	char *copy = strdup(text);
	int n = decode(bytes, sizeof(bytes), (cr_span_t){&text[from], len});

	assert_non_null(copy);
	assert_true(n >= 0);
	for(size_t bit = 0; bit < (size_t)n * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(encode(&copy[from], len, bytes, (size_t)n), len);
		assert_refused(
				open_tight(open, copy, strlen(copy)), "a flipped byte", bit);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(copy);
}

static void refuse_byte_flips(
		open_fn open, const char *text, encode_fn encode, decode_fn decode)
{
	size_t from = 0;

	for(;;) {
		size_t len = strcspn(&text[from], ".");

		flip_segment(open, text, from, len, encode, decode);
		if(text[from + len] == 0)
			return;
		from += len + 1;
	}
}

void refuse_damage(
		open_fn open, const char *text, encode_fn encode, decode_fn decode)
{
	refuse_truncations(open, text);
	refuse_text_flips(open, text);
	refuse_byte_flips(open, text, encode, decode);
}

/* ---- tokens -------------------------------------------------------------- */

const char *token_make(
		const cr_key_t *key, const char *header, const char *claims)
{
	static char out[16384];
	uint8_t mac[32];
	cr_span_t part = {out, 0};
	int n = cr_b64_encode(out, sizeof(out), header, strlen(header));

	out[n++] = '.';
	n += cr_b64_encode(
			&out[n], sizeof(out) - (size_t)n, claims, strlen(claims));
	part.len = (size_t)n;
	assert_int_equal(cr_hmac(crypto, mac, key->token, 32, &part, 1), CR_OK);
	out[n++] = '.';
	n += cr_b64_encode(&out[n], sizeof(out) - (size_t)n, mac, sizeof(mac));
	out[n] = 0;
	return out;
}

/* ---- allocation failure -------------------------------------------------- */

static int allocations_left = -1;
static int allocation_failed;

static void *failing_malloc(size_t len)
{
	if(allocations_left == 0) {
		allocation_failed = 1;
		return NULL;
	}
	if(allocations_left > 0)
		allocations_left--;
	return malloc(len);
}

void jansson_fail_at(int n)
{
	allocations_left = n;
	allocation_failed = 0;
	json_set_alloc_funcs(failing_malloc, free);
}

int jansson_failed(void)
{
	return allocation_failed;
}

int refuse_without_memory(open_fn open, const char *text)
{
	int n, err;

	for(n = 0;; n++) {
		jansson_fail_at(n);
		err = open(cr_span_str(text));
		if(!jansson_failed())
			break;
		/* jansson takes a failure inside a string for a syntax error. */
		assert_true(err == CR_EINTERNAL || err == CR_EMALFORMED);
	}
	jansson_fail_at(-1);
	assert_true(n > 5);
	assert_true(err >= 0);
	return err;
}
