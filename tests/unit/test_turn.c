/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include <sys/stat.h>
#include <unistd.h>

#include "turn.h"

static char why[CR_WHY_MAX];

static int parse(cr_turn_secret_t *secret, const char *text, size_t len)
{
	why[0] = '\0';
	return cr_turn_secret_parse(secret, why, (cr_span_t){text, len});
}

static cr_turn_secret_t secret_of(const char *text)
{
	cr_turn_secret_t secret = {0};

	assert_int_equal(parse(&secret, text, strlen(text)), CR_OK);
	return secret;
}

static void frozen_vector(void **state)
{
	json_t *v = vector_load("turn");
	cr_turn_secret_t secret = secret_of(vector_str(v, "secret"));
	cr_turn_t turn;

	(void)state;
	assert_int_equal(
			cr_turn_issue(&turn, &secret, cr_span_str(vector_str(v, "sub")),
					vector_int(v, "exp")),
			CR_OK);
	assert_string_equal(turn.user, vector_str(v, "user"));
	assert_string_equal(turn.pass, vector_str(v, "pass"));
	json_decref(v);
}

/* RFC 2202 section 3, cases 1, 2 and 6. */
static void hmac_rfc2202(void **state)
{
	uint8_t key[80], out[20];

	(void)state;
	memset(key, 0x0b, 20);
	assert_int_equal(cr_hmac_sha1(out, key, 20, CR_SPAN("Hi There")), CR_OK);
	assert_hex(out, 20, "b617318655057264e28bc0b6fb378c8ef146be00");
	assert_int_equal(cr_hmac_sha1(out, "Jefe", 4,
							 CR_SPAN("what do ya want for nothing?")),
			CR_OK);
	assert_hex(out, 20, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	memset(key, 0xaa, 80);
	assert_int_equal(
			cr_hmac_sha1(out, key, 80,
					CR_SPAN("Test Using Larger Than Block-Size Key - Hash Key"
							" First")),
			CR_OK);
	assert_hex(out, 20, "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}

static void subs(void **state)
{
	cr_turn_secret_t none = {0}, secret = secret_of("0123456789abcdef");
	char longest[CR_SUB_MAX + 1];
	cr_turn_t turn = {.user = "untouched"};

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(
			cr_turn_issue(&turn, &none, CR_SPAN("a"), NOW), CR_EMISSING);
	assert_int_equal(
			cr_turn_issue(&turn, &secret, CR_SPAN(""), NOW), CR_EMALFORMED);
	assert_int_equal(cr_turn_issue(&turn, &secret, CR_SPAN("a\r\nb"), NOW),
			CR_EMALFORMED);
	assert_int_equal(
			cr_turn_issue(&turn, &secret, CR_SPAN("a"), -1), CR_EMALFORMED);
	assert_int_equal(cr_turn_issue(&turn, &secret,
							 (cr_span_t){longest, CR_SUB_MAX + 1}, NOW),
			CR_ETOOBIG);
	assert_string_equal(turn.user, "untouched");
	assert_int_equal(cr_turn_issue(&turn, &secret,
							 (cr_span_t){longest, CR_SUB_MAX}, INT64_MAX),
			CR_OK);
	assert_int_equal(strlen(turn.user), 20 - 1 + 1 + CR_SUB_MAX);
	assert_int_equal(strlen(turn.pass), CR_TURN_PASS_LEN);
}

static void lines(void **state)
{
	static const char *const good[] = {"0123456789abcdef", "0123456789abcdef\n",
			"0123456789abcdef\r\n", NULL};
	static const char *const bad[]
			= {"", "\n", "0123456789abcde", "0123456789abcdef\n\n",
					"0123456789 abcdef", "0123456789abcdef\nsecond",
					"0123456789abcd\"ef", "0123456789abc\xc3\xa4", NULL};
	char longest[CR_TURN_SECRET_MAX + 2];
	cr_turn_secret_t secret = {0};

	(void)state;
	for(int i = 0; good[i]; i++) {
		cr_turn_secret_t s = secret_of(good[i]);

		assert_text(s.text, (int)s.len, "0123456789abcdef");
	}
	for(int i = 0; bad[i]; i++) {
		assert_int_equal(parse(&secret, bad[i], strlen(bad[i])), CR_EMALFORMED);
		assert_non_null(strstr(why, "openssl rand -hex 32"));
		assert_null(strstr(why, "0123456789"));
	}
	assert_int_equal(parse(&secret, "0123456789abcde\0f", 17), CR_EMALFORMED);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(
			parse(&secret, longest, CR_TURN_SECRET_MAX + 1), CR_ETOOBIG);
	assert_int_equal(secret.len, 0);
	longest[CR_TURN_SECRET_MAX] = '\n';
	assert_int_equal(parse(&secret, longest, CR_TURN_SECRET_MAX + 1), CR_OK);
	assert_int_equal(secret.len, CR_TURN_SECRET_MAX);
}

static void files(void **state)
{
	char path[] = "/tmp/cr-test-turn-XXXXXX";
	int fd = mkstemp(path);
	cr_turn_secret_t secret = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789abcdef\n", 17), 17);
	close(fd);
	assert_int_equal(cr_turn_secret_load(&secret, why, path), CR_OK);
	assert_int_equal(secret.len, 16);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(cr_turn_secret_load(&secret, why, path), CR_EFORGED);
	assert_non_null(strstr(why, "chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, CR_TURN_SECRET_FILE_MAX + 1), 0);
	assert_int_equal(cr_turn_secret_load(&secret, why, path), CR_ETOOBIG);
	assert_int_equal(remove(path), 0);
	assert_int_equal(cr_turn_secret_load(&secret, why, path), CR_EMISSING);
	assert_non_null(strstr(why, "openssl rand -hex 32"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(frozen_vector),
			cmocka_unit_test(hmac_rfc2202),
			cmocka_unit_test(subs),
			cmocka_unit_test(lines),
			cmocka_unit_test(files),
	};

	return RUN(tests);
}
