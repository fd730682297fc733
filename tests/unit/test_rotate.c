/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rotation of the key ring: the text, its limits, and what a failed write
 * leaves behind.
 */
#include "helper.h"

#include <sys/stat.h>
#include <unistd.h>

#include "rotate.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define KEY_B "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"
#define TODAY "k20250615"
#define UNTIL (NOW + 100)
#define UNTIL_TEXT "2025-06-15T15:08:20Z"

static char out[CR_RING_FILE_MAX + 1];
static char why[CR_WHY_MAX];
static char kid[CR_KID_MAX + 1];

static int rotate(const char *text, int64_t until)
{
	int len = cr_ring_rotate(out, CR_RING_FILE_MAX, kid, why, crypto,
			cr_span_str(text), NOW, until);

	out[len < 0 ? 0 : len] = 0;
	return len;
}

/* What follows the new line. */
static const char *rest(void)
{
	const char *feed = strchr(out, '\n');

	assert_non_null(feed);
	return feed + 1;
}

static void new_key_in_front(void **state)
{
	cr_ring_t made;

	(void)state;
	assert_true(rotate("k1 " KEY_A "\n", UNTIL) > 0);
	assert_string_equal(kid, TODAY);
	assert_string_equal(rest(), "k1 " KEY_A " " UNTIL_TEXT "\n");
	assert_int_equal(
			cr_ring_parse(&made, why, crypto, cr_span_str(out), NOW), 0);
	assert_string_equal(cr_ring_sealing(&made, NOW)->kid, TODAY);
	assert_int_equal(made.keys[1].not_after, UNTIL);
	assert_null(cr_ring_by_kid(&made, CR_SPAN("k1"), UNTIL + 1));
}

static void every_key_is_another(void **state)
{
	char first[64];

	(void)state;
	rotate("k1 " KEY_A "\n", UNTIL);
	memcpy(first, out, sizeof(first));
	rotate("k1 " KEY_A "\n", UNTIL);
	assert_memory_not_equal(first, out, sizeof(TODAY) + 43);
}

static void keeps_what_it_should(void **state)
{
	(void)state;
	/* a sooner end, comments, empty lines, tabs, no line feed at the end */
	assert_true(rotate("# mine\n\n\tk1\t" KEY_A
					   "  2025-06-15T15:07:00Z\r\nk2 " KEY_B,
						UNTIL)
			> 0);
	assert_string_equal(rest(),
			"# mine\n\n\tk1\t" KEY_A "  2025-06-15T15:07:00Z\r\nk2 " KEY_B
			" " UNTIL_TEXT "\n");
}

static void retired_keys_go(void **state)
{
	(void)state;
	assert_true(
			rotate("k1 " KEY_A " 2025-01-01T00:00:00Z\nk2 " KEY_B "\n", UNTIL)
			> 0);
	assert_string_equal(rest(), "k2 " KEY_B " " UNTIL_TEXT "\n");
	/* an end in the past is now */
	assert_true(rotate("k2 " KEY_B "\n", NOW - 5) > 0);
	assert_string_equal(rest(), "k2 " KEY_B " 2025-06-15T15:06:40Z\n");
}

static void names_are_free(void **state)
{
	(void)state;
	assert_true(rotate(TODAY " " KEY_A "\n" TODAY ".2 " KEY_B "\n", UNTIL) > 0);
	assert_string_equal(kid, TODAY ".3");
}

static void a_full_ring(void **state)
{
	char text[CR_RING_MAX * 64] = "";

	(void)state;
	for(int i = 0; i < CR_RING_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
				"k%d " KEY_A "\n", i);
	assert_int_equal(rotate(text, UNTIL), CR_ETOOBIG);
	assert_non_null(strstr(why, "16 keys are usable"));
}

static void bad_text_and_no_room(void **state)
{
	(void)state;
	assert_int_equal(rotate("k1 nonsense\n", UNTIL), CR_EMALFORMED);
	assert_int_equal(rotate("", UNTIL), CR_EMISSING);
	for(size_t max = 0; max < 110; max++) {
		int len = cr_ring_rotate(out, max, kid, why, crypto,
				CR_SPAN("k1 " KEY_A "\n"), NOW, UNTIL);

		assert_true(len == CR_ETOOBIG || (len > 0 && (size_t)len <= max));
		if(len == CR_ETOOBIG)
			assert_string_equal(why, "the file has no room for the new key");
	}
}

static void files(void **state)
{
	char dir[] = "/tmp/call_resume.XXXXXX", path[64];
	struct stat st;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ring", dir);
	assert_int_equal(cr_ring_rotate_file(kid, why, crypto, path, NOW, UNTIL),
			CR_EMISSING);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("k1 " KEY_A "\n", f);
	fclose(f);
	chmod(path, 0640);
	assert_int_equal(cr_ring_rotate_file(kid, why, crypto, path, NOW, UNTIL),
			CR_EFORGED);
	chmod(path, 0600);
	assert_int_equal(
			cr_ring_rotate_file(kid, why, crypto, path, NOW, UNTIL), CR_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_size > 90);
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* and nothing else is in it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(new_key_in_front),
			cmocka_unit_test(every_key_is_another),
			cmocka_unit_test(keeps_what_it_should),
			cmocka_unit_test(retired_keys_go),
			cmocka_unit_test(names_are_free),
			cmocka_unit_test(a_full_ring),
			cmocka_unit_test(bad_text_and_no_room),
			cmocka_unit_test(files),
	};

	return RUN(tests);
}
