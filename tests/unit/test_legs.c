/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long the sides of a call have been silent, by what rtpengine says of it.
 */
#include "helper_edge.h"

#include "legs.h"

#define CALL_ID "o-1@peer"
#define STREAM(last) "{\"last packet\":" last "}"
#define MEDIA(streams, flags)                                                  \
	"{\"type\":\"audio\",\"streams\":[" streams "],\"flags\":[" flags "]}"
#define LEG(tag, medias)                                                       \
	"\"" tag "\":{\"tag\":\"" tag "\",\"medias\":[" medias "]}"
#define BOTH "\"send\",\"recv\""

static json_t *answer;

static int answer_is(const char *text)
{
	json_decref(answer);
	answer = json_loads(text, 0, NULL);
	return answer != NULL;
}

static int64_t last_of(const char *tag, int want)
{
	int64_t last = -1;

	assert_int_equal(cr_legs_last(&last, answer, cr_span_str(tag)), want);
	return last;
}

static void the_last_packet(void **state)
{
	(void)state;
	assert_true(answer_is("{\"created\":100,\"last signal\":120,\"tags\":{" LEG(
			"a", MEDIA(STREAM("130") "," STREAM("135"), BOTH)) "," LEG("b",
			MEDIA(STREAM("110"), BOTH) "," MEDIA(STREAM("190"), BOTH)) "}}"));
	assert_int_equal(last_of("a", CR_OK), 135);
	assert_int_equal(last_of("b", CR_OK), 190);
	last_of("c", CR_EMISSING);
	last_of("", CR_EMISSING);
	assert_int_equal(cr_legs_newest(answer), 190);
}

/* A phone on hold sends nothing; a browser shows that it is there in any case. */
static void on_hold(void **state)
{
	(void)state;
	assert_true(answer_is(
			"{\"tags\":{" LEG("a", MEDIA(STREAM("130"), "\"send\"")) "," LEG(
					"b", MEDIA(STREAM("110"), "\"ICE\"")) "," LEG("c",
					MEDIA(STREAM("110"), "")) "," LEG("d",
					MEDIA(STREAM("110"), "\"send\"") "," MEDIA(
							STREAM("111"), "\"recv\"")) "}}"));
	last_of("a", CR_EUNSUPPORTED);
	assert_int_equal(last_of("b", CR_OK), 110);
	last_of("c", CR_EUNSUPPORTED);
	assert_int_equal(last_of("d", CR_OK), 111);
}

static void other_answers(void **state)
{
	static const char *const odd[] = {"{}", "{\"tags\":[]}",
			"{\"tags\":{\"a\":1}}", "{\"tags\":{\"a\":{\"medias\":3}}}",
			"{\"tags\":{\"a\":{\"medias\":[1,{\"streams\":{}}]}}}",
			"{\"tags\":{" LEG("a", MEDIA(STREAM("\"x\""), BOTH)) "}}", NULL};
	cr_label_t label;
	uint8_t mem[CR_BOX_PLAIN_MAX];

	(void)state;
	for(int i = 0; odd[i] != NULL; i++) {
		assert_true(answer_is(odd[i]));
		last_of("a", CR_EMISSING);
		assert_int_equal(cr_legs_newest(answer), 0);
		assert_int_equal(
				cr_legs_label(&label, mem, &env, answer, CR_SPAN(CALL_ID)),
				CR_EMISSING);
	}
}

static void seal(char *out, const char *target, int64_t at)
{
	cr_label_t label = {0};
	int len;

	for(int i = 0; i < CR_SIDES; i++)
		label.party[i] = (cr_party_t){
				CR_SPAN("sip:a@b"), CR_SPAN("tag"), cr_span_str(target), -1};
	env.now_ms = at * 1000;
	len = cr_label_seal(out, CR_BOX_TEXT_MAX, &env, CR_SPAN(CALL_ID), &label);
	assert_true(len > 0);
	out[len] = '\0';
	env.now_ms = NOW * 1000;
}

static void the_newest_label(void **state)
{
	char older[CR_BOX_TEXT_MAX + 1], newer[CR_BOX_TEXT_MAX + 1];
	char text[3 * CR_BOX_TEXT_MAX];
	uint8_t mem[CR_BOX_PLAIN_MAX];
	cr_label_t label;

	(void)state;
	seal(older, "sip:older@x", NOW - 10);
	seal(newer, "sip:newer@x", NOW - 5);
	for(int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
				"{\"tags\":{\"a\":{\"label\":\"%s\"},\"b\":{\"label\":\"%s\"},"
				"\"c\":{\"label\":\"somebody's own\"},\"d\":{}}}",
				i ? older : newer, i ? newer : older);
		assert_true(answer_is(text));
		assert_int_equal(
				cr_legs_label(&label, mem, &env, answer, CR_SPAN(CALL_ID)),
				CR_OK);
		assert_span(label.party[0].target, "sip:newer@x");
		assert_int_equal(
				cr_legs_label(&label, mem, &env, answer, CR_SPAN("other")),
				CR_EMISSING);
	}
}

static void a_clock(void **state)
{
	cr_clock_t c = {0};

	(void)state;
	assert_int_equal(cr_clock_now(&c, 5), 0);
	cr_clock_look(&c, 1000, 10);
	assert_int_equal(cr_clock_now(&c, 10), 1000);
	assert_int_equal(cr_clock_now(&c, 17), 1007);
	/* Nothing comes in any more. */
	cr_clock_look(&c, 1000, 20);
	assert_int_equal(cr_clock_now(&c, 25), 1015);
	/* Something does: that is its time, whatever ours is. */
	cr_clock_look(&c, 1009, 30);
	assert_int_equal(cr_clock_now(&c, 30), 1009);
	cr_clock_look(&c, 9000, 40);
	assert_int_equal(cr_clock_now(&c, 41), 9001);
	/* The call that was newest is over. */
	cr_clock_look(&c, 1100, 50);
	assert_int_equal(cr_clock_now(&c, 50), 9010);
	/* There is none at all, or it has been started again. */
	cr_clock_look(&c, 0, 60);
	assert_int_equal(cr_clock_now(&c, 60), 0);
	cr_clock_look(&c, 500, 70);
	assert_int_equal(cr_clock_now(&c, 71), 501);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(the_last_packet),
			T(on_hold),
			T(other_answers),
			T(the_newest_label),
			T(a_clock),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	json_decref(answer);
	return failed;
}
