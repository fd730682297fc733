/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The key ring: derivation against the frozen vector, each refusal of a text,
 * each refusal of a file.
 */
#include "helper.h"

#include <sys/stat.h>
#include <unistd.h>

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define KEY_B "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"

static char why[CR_WHY_MAX];

static int parse_into(cr_ring_t *out, const char *text, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(why, 'x', sizeof(why));
	why[0] = 0;
	err = cr_ring_parse(out, why, crypto, (cr_span_t){copy, len}, NOW);
	assert_non_null(memchr(why, 0, sizeof(why)));
	assert_null(strstr(why, "AAECAwQF"));
	free(copy);
	return err;
}

/* The text is refused with that error, the reason holds that phrase, and the
 * ring is left as it was. */
static void refuse(const char *text, int want, const char *phrase)
{
	cr_ring_t out, before;

	memset(&out, 0x5a, sizeof(out));
	before = out;
	assert_int_equal(parse_into(&out, text, strlen(text)), want);
	assert_memory_equal(&out, &before, sizeof(out));
	if(!strstr(why, phrase))
		fail_msg("\"%s\" does not say \"%s\"", why, phrase);
}

static void accept(cr_ring_t *out, const char *text, int n_keys)
{
	int err = parse_into(out, text, strlen(text));

	if(err)
		fail_msg("refused: %s", why);
	assert_int_equal(out->n_keys, n_keys);
}

static void check_key(const cr_key_t *key, const json_t *v, const json_t *all)
{
	uint8_t client[CR_KEY_LEN];

	assert_string_equal(key->kid, vector_str(v, "kid"));
	assert_hex(key->hint, CR_BOX_HINT_LEN, vector_str(v, "hint"));
	assert_hex(key->prk, CR_KEY_LEN, vector_str(v, "prk"));
	assert_hex(key->token, CR_KEY_LEN, vector_str(v, "token"));
	assert_hex(key->state, CR_KEY_LEN, vector_str(v, "state"));
	assert_hex(key->box, CR_KEY_LEN, vector_str(v, "box"));
	assert_hex(key->nonce, CR_KEY_LEN, vector_str(v, "nonce"));
	assert_int_equal(cr_client_key(client, crypto, key,
							 cr_span_str(vector_str(all, "sub")),
							 cr_span_str(vector_str(all, "sid"))),
			CR_OK);
	assert_hex(client, CR_KEY_LEN, vector_str(v, "client"));
}

static void frozen_vector(void **state)
{
	json_t *v = vector_load("ring");
	const json_t *keys = json_object_get(v, "keys");
	cr_ring_t out;

	(void)state;
	accept(&out, vector_str(v, "text"), (int)json_array_size(keys));
	for(int i = 0; i < out.n_keys; i++)
		check_key(&out.keys[i], json_array_get(keys, (size_t)i), v);
	json_decref(v);
}

static void layouts(void **state)
{
	cr_ring_t out;

	(void)state;
	accept(&out, "a " KEY_A, 1);
	accept(&out, "a " KEY_A "\r\nb " KEY_B "\r\n", 2);
	accept(&out, "\n \n\t# note\n\t a \t " KEY_A "  \n#b " KEY_A "\n", 1);
	accept(&out, "a " KEY_A " 2025-06-15T15:06:40Z\n", 1);
	assert_int_equal(out.keys[0].not_after, NOW);
}

static void bad_lines(void **state)
{
	(void)state;
	refuse("a " KEY_A "\nb\n", CR_EMALFORMED, "line 2:");
	refuse("# one\n\na " KEY_A " 2030-01-01T00:00:00Z x\n", CR_EMALFORMED,
			"line 3:");
	refuse("a$ " KEY_A "\n", CR_EMALFORMED, "a kid has");
	refuse("a23456789.123456789.123456789.123 " KEY_A, CR_EMALFORMED,
			"line 1: a kid has");
	refuse(KEY_A " a\n", CR_EMALFORMED, "a kid has");
}

static void bad_keys(void **state)
{
	(void)state;
	refuse("a " KEY_A "=\n", CR_EMALFORMED, "not base64url");
	refuse("a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH+8\n", CR_EMALFORMED,
			"not base64url");
	refuse("a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9\n", CR_EMALFORMED,
			"not base64url");
	refuse("a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg\n", CR_EMALFORMED,
			"not 32 bytes");
	refuse("a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A\n", CR_EMALFORMED,
			"not 32 bytes");
	refuse("a " KEY_A KEY_A KEY_A KEY_A "\n", CR_EMALFORMED, "not 32 bytes");
	refuse("a x\n", CR_EMALFORMED, "openssl rand -base64 32");
}

static void bad_times(void **state)
{
	static const char *const bad[] = {"2030-01-01", "2030-01-01T00:00:00",
			"2030-01-01T00:00:00z", "2030-01-01 00:00:00Z",
			"2030-13-01T00:00:00Z", "2030-00-01T00:00:00Z",
			"2030-01-00T00:00:00Z", "2030-01-32T00:00:00Z",
			"2030-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
			"2030-01-01T24:00:00Z", "2030-01-01T00:60:00Z",
			"2030-01-01T00:00:60Z", "1970-01-01T00:00:00Z",
			"+030-01-01T00:00:00Z", "20300101T000000000Z0", "never", NULL};
	char text[128];

	(void)state;
	for(int i = 0; bad[i]; i++) {
		snprintf(text, sizeof(text), "a " KEY_A " %s\n", bad[i]);
		refuse(text, CR_EMALFORMED, "not-after");
	}
}

/* Times checked with date -u -d. */
static void good_times(void **state)
{
	static const struct
	{
		const char *text;
		int64_t want;
	} times[] = {
			{"2027-01-31T00:00:00Z", 1801353600},
			{"2028-02-29T23:59:59Z", 1835481599},
			{"2028-03-01T00:00:00Z", 1835481600},
			{"2100-03-01T00:00:00Z", INT64_C(4107542400)},
			{"2400-02-29T12:00:00Z", INT64_C(13574606400)},
			{"2400-12-31T23:59:59Z", INT64_C(13601087999)},
			{"9999-12-31T23:59:59Z", INT64_C(253402300799)},
	};
	char text[128];
	cr_ring_t out;

	(void)state;
	for(size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		snprintf(text, sizeof(text), "a " KEY_A " %s\n", times[i].text);
		accept(&out, text, 1);
		assert_int_equal(out.keys[0].not_after, times[i].want);
	}
}

static void duplicates(void **state)
{
	(void)state;
	refuse("a " KEY_A "\nb " KEY_B "\na " KEY_B "\n", CR_EDUPLICATE,
			"line 3: the kid a");
}

/* Two kids whose SHA-256 begins with the same two bytes, found by search. */
static void hint_collision(void **state)
{
	char kid[2][16], text[256];
	static int seen[65536];
	uint8_t digest[32];
	int i, hint;

	(void)state;
	for(i = 1;; i++) {
		snprintf(kid[0], sizeof(kid[0]), "k%d", i);
		assert_int_equal(
				cr_sha256(crypto, digest, kid[0], strlen(kid[0])), CR_OK);
		hint = digest[0] << 8 | digest[1];
		if(seen[hint])
			break;
		seen[hint] = i;
	}
	snprintf(kid[1], sizeof(kid[1]), "k%d", seen[hint]);
	snprintf(
			text, sizeof(text), "%s " KEY_A "\n%s " KEY_B "\n", kid[1], kid[0]);
	refuse(text, CR_EDUPLICATE, "line 2:");
	assert_non_null(strstr(why, "same hint"));
}

static void too_many(void **state)
{
	char text[4096] = "";
	cr_ring_t out;

	(void)state;
	for(int i = 0; i < CR_RING_MAX; i++)
		sprintf(&text[strlen(text)], "a%d " KEY_A "\n", i);
	accept(&out, text, CR_RING_MAX);
	strcat(text, "one-more " KEY_A "\n");
	refuse(text, CR_ETOOBIG, "line 17:");
}

static void no_usable_key(void **state)
{
	(void)state;
	refuse("", CR_EMISSING, "no usable key");
	refuse("# nothing\n", CR_EMISSING, "openssl rand");
	refuse("a " KEY_A " 2025-06-15T15:06:39Z\n", CR_EMISSING, "1 retired");
}

static void retirement(void **state)
{
	cr_ring_t out;

	(void)state;
	accept(&out,
			"a " KEY_A " 2025-06-15T15:06:40Z\nb " KEY_B
			" 2025-06-15T15:06:50Z",
			2);
	assert_string_equal(cr_ring_sealing(&out, NOW)->kid, "a");
	assert_string_equal(cr_ring_sealing(&out, NOW + 1)->kid, "b");
	assert_null(cr_ring_sealing(&out, NOW + 11));
	assert_non_null(cr_ring_by_kid(&out, CR_SPAN("a"), NOW));
	assert_null(cr_ring_by_kid(&out, CR_SPAN("a"), NOW + 1));
	assert_null(cr_ring_by_kid(&out, CR_SPAN("c"), NOW));
	assert_null(cr_ring_by_kid(&out, CR_SPAN(""), NOW));
	assert_ptr_equal(
			cr_ring_by_hint(&out, out.keys[1].hint, NOW), &out.keys[1]);
	assert_null(cr_ring_by_hint(&out, out.keys[0].hint, NOW + 1));
}

static void truncations_never_crash(void **state)
{
	static const char text[] = RING_TEXT "x " KEY_A " 2030-01-01T00:00:00Z\n";
	cr_ring_t out;

	(void)state;
	for(size_t n = 0; n < sizeof(text); n++) {
		int err = parse_into(&out, text, n);

		assert_true(err <= 0 && err != CR_EINTERNAL);
	}
}

static void client_key_limits(void **state)
{
	static char longer[CR_SUB_MAX + 1];
	const cr_key_t *k = &ring.keys[0];
	uint8_t a[32], b[32];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(cr_client_key(a, crypto, k, CR_SPAN(""), CR_SPAN("s")),
			CR_EMALFORMED);
	assert_int_equal(cr_client_key(a, crypto, k, CR_SPAN("s"), CR_SPAN("")),
			CR_EMALFORMED);
	assert_int_equal(cr_client_key(a, crypto, k,
							 (cr_span_t){longer, CR_SUB_MAX + 1}, CR_SPAN("s")),
			CR_EMALFORMED);
	assert_int_equal(cr_client_key(a, crypto, k, CR_SPAN("u"),
							 (cr_span_t){longer, CR_SID_MAX + 1}),
			CR_EMALFORMED);
	assert_int_equal(
			cr_client_key(a, crypto, k, (cr_span_t){longer, CR_SUB_MAX},
					(cr_span_t){longer, CR_SID_MAX}),
			CR_OK);
	/* Lengths are part of the context: no shifting between sid and sub. */
	assert_int_equal(
			cr_client_key(a, crypto, k, CR_SPAN("bc"), CR_SPAN("a")), CR_OK);
	assert_int_equal(
			cr_client_key(b, crypto, k, CR_SPAN("c"), CR_SPAN("ab")), CR_OK);
	assert_memory_not_equal(a, b, 32);
}

/* As another implementation of HKDF derives it. */
static void digest_secret(void **state)
{
	uint8_t a[32], b[32];
	cr_ring_t out;

	(void)state;
	accept(&out, "a " KEY_A "\nb " KEY_B, 2);
	assert_int_equal(cr_digest_secret(a, crypto, &out.keys[0]), CR_OK);
	assert_hex(a, CR_KEY_LEN,
			"8d2cd453d032bfa6bebb4b2aaa89ed2c760b6c16654703160493ab1879924494");
	assert_int_equal(cr_digest_secret(b, crypto, &out.keys[1]), CR_OK);
	assert_memory_not_equal(a, b, 32);
}

/* ---- files --------------------------------------------------------------- */

static char path[64];

static int make_file(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/cr-test-ring-XXXXXX");
	fd = mkstemp(path);
	if(fd < 0)
		return -1;
	if(write(fd, RING_TEXT, sizeof(RING_TEXT) - 1) < 0)
		return -1;
	return close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return remove(path);
}

static int load(void)
{
	cr_ring_t out;

	why[0] = 0;
	return cr_ring_load(&out, why, crypto, path, NOW);
}

static void file_loads(void **state)
{
	cr_ring_t out;

	(void)state;
	assert_int_equal(cr_ring_load(&out, why, crypto, path, NOW), CR_OK);
	assert_memory_equal(&out, &ring, sizeof(out));
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(load(), CR_OK);
}

static void file_modes(void **state)
{
	static const mode_t bad[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644};

	(void)state;
	for(size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		assert_int_equal(load(), CR_EFORGED);
		assert_non_null(strstr(why, "chmod 600"));
	}
}

static void file_is_absent(void **state)
{
	cr_ring_t out;

	(void)state;
	assert_int_equal(cr_ring_load(&out, why, crypto, "/nowhere/at/all", NOW),
			CR_EMISSING);
	assert_non_null(strstr(why, "/nowhere/at/all"));
	assert_non_null(strstr(why,
			"openssl rand -base64 32 | tr '+/' '-_'"
			" | tr -d '='"));
}

static void file_is_something_else(void **state)
{
	(void)state;
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(load(), CR_EFORGED);
	assert_non_null(strstr(why, "not a regular file"));
	assert_int_equal(remove(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load(), CR_EFORGED);
}

static void file_size(void **state)
{
	(void)state;
	assert_int_equal(truncate(path, CR_RING_FILE_MAX + 1), 0);
	assert_int_equal(load(), CR_ETOOBIG);
	assert_int_equal(truncate(path, CR_RING_FILE_MAX), 0);
	assert_int_equal(load(), CR_EMALFORMED); /* zero bytes */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(load(), CR_EMISSING);
}

#define WITH_FILE(fn)                                                          \
	cmocka_unit_test_setup_teardown(fn, make_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(layouts),
			cmocka_unit_test(bad_lines),
			cmocka_unit_test(bad_keys),
			cmocka_unit_test(bad_times),
			cmocka_unit_test(good_times),
			cmocka_unit_test(duplicates),
			cmocka_unit_test(hint_collision),
			cmocka_unit_test(too_many),
			cmocka_unit_test(no_usable_key),
			cmocka_unit_test(retirement),
			cmocka_unit_test(truncations_never_crash),
			cmocka_unit_test(client_key_limits),
			cmocka_unit_test(digest_secret),
			WITH_FILE(file_loads),
			WITH_FILE(file_modes),
			cmocka_unit_test(file_is_absent),
			WITH_FILE(file_is_something_else),
			WITH_FILE(file_size),
	};

	return RUN(tests);
}
