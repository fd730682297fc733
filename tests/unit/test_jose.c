/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include "base.h"
#include "jose.h"

static cr_jose_t got;

static int header(const char *json)
{
	static char text[8192];
	int n = cr_b64_encode(text, sizeof(text), json, strlen(json));

	assert_true(n >= 0);
	memset(&got, 0x77, sizeof(got));
	return cr_jose_header(&got, (cr_span_t){text, (size_t)n});
}

static void members(void **state)
{
	(void)state;
	assert_int_equal(header("{\"alg\":\"a\",\"enc\":\"b\",\"typ\":\"c\","
							"\"kid\":\"d\",\"other\":1}"),
			CR_OK);
	assert_string_equal(got.alg, "a");
	assert_string_equal(got.enc, "b");
	assert_string_equal(got.typ, "c");
	assert_string_equal(got.kid, "d");
	assert_int_equal(header("{\"alg\":\"a\"}"), CR_OK);
	assert_string_equal(got.enc, "");
	assert_string_equal(got.kid, "");
}

static void refusals(void **state)
{
	static const char *const bad[] = {"", "{", "{}", "null", "\"alg\"",
			"{\"alg\":\"\"}", "{\"alg\":null}", "{\"alg\":\"a\",\"enc\":1}",
			"{\"alg\":\"a\",\"kid\":\"\\u00e4\"}",
			"{\"alg\":\"a\",\"kid\":\"\\u0000\"}", "{\"alg\":\"a\\u001b[2J\"}",
			"{\"alg\":\"a\\nb\"}", "{\"alg\":\"a\",\"typ\":\"\\u001b\"}",
			"{\"alg\":\"a\",\"enc\":\"a b\"}", "{\"alg\":\"a\",\"alg\":\"a\"}",
			"{\"alg\":\"a\"}}",
			"{\"alg\":\"12345678901234567890123456789012\"}", NULL};

	(void)state;
	for(int i = 0; bad[i]; i++) {
		assert_int_equal(header(bad[i]), CR_EMALFORMED);
		assert_int_equal(got.alg[0], 0x77);
	}
	assert_int_equal(
			cr_jose_header(&got, CR_SPAN("not base64url")), CR_EMALFORMED);
}

static void what_changes_the_processing(void **state)
{
	(void)state;
	assert_int_equal(header("{\"alg\":\"a\",\"crit\":[]}"), CR_EUNSUPPORTED);
	assert_int_equal(
			header("{\"alg\":\"a\",\"zip\":\"DEF\"}"), CR_EUNSUPPORTED);
	assert_int_equal(header("{\"alg\":\"a\",\"b64\":true}"), CR_EUNSUPPORTED);
}

static void size(void **state)
{
	char json[CR_JOSE_HEADER_MAX] = "{\"alg\":\"a\"}";
	size_t longest = CR_JOSE_HEADER_MAX / 4 * 3;

	(void)state;
	memset(&json[11], ' ', longest - 11);
	json[longest] = 0;
	assert_int_equal(header(json), CR_OK);
	json[longest] = ' ';
	json[longest + 1] = 0;
	assert_int_equal(header(json), CR_ETOOBIG);
}

static void peeks(void **state)
{
	cr_jose_t head = {0};

	(void)state;
	/* {"alg":"HS256","kid":"k1","typ":"JWT"} */
	assert_int_equal(cr_jose_peek(&head,
							 CR_SPAN("eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwI"
									 "joiSldUIn0.whatever")),
			CR_OK);
	assert_string_equal(head.kid, "k1");
	assert_int_equal(cr_jose_peek(&head,
							 CR_SPAN("eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIiwidHlwI"
									 "joiSldUIn0")),
			CR_EMALFORMED);
	assert_int_equal(cr_jose_peek(&head, CR_SPAN(".x")), CR_EMALFORMED);
	assert_int_equal(cr_jose_peek(&head, (cr_span_t){NULL, 0}), CR_EMALFORMED);
}

static void copies(void **state)
{
	json_t *object = NULL;
	char out[4] = "old";

	(void)state;
	assert_int_equal(
			cr_json_object(&object, CR_SPAN("{\"s\":\"abc\",\"n\":1}")), CR_OK);
	assert_int_equal(cr_json_copy(out, 3, object, "s"), CR_EMALFORMED);
	assert_int_equal(cr_json_copy(out, 4, object, "n"), CR_EMALFORMED);
	assert_string_equal(out, "old");
	assert_int_equal(cr_json_copy(out, 4, object, "s"), CR_OK);
	assert_string_equal(out, "abc");
	assert_int_equal(cr_json_copy(out, 4, object, "absent"), CR_OK);
	assert_string_equal(out, "");
	assert_int_equal(cr_json_span(json_object_get(object, "n")).len, 0);
	assert_null(cr_json_span(NULL).s);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(members),
			cmocka_unit_test(refusals),
			cmocka_unit_test(what_changes_the_processing),
			cmocka_unit_test(size),
			cmocka_unit_test(peeks),
			cmocka_unit_test(copies),
	};

	return RUN(tests);
}
