/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a call was answered, in our Route.
 */
#include "helper_edge.h"

#include "answered.h"

#define CALL_ID CR_SPAN("c-1@client.invalid")
#define ANSWERED INT64_C(1749999012)

static char mem[512];

static cr_span_t route(cr_span_t call_id, int64_t answered_s)
{
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	cr_put_str(&w, "sip:gw;lr;crs-a=x");
	assert_int_equal(cr_answered_put(&w, &env, call_id, answered_s), CR_OK);
	return cr_written(&w);
}

static void frozen_vector(void **state)
{
	json_t *v = vector_load("answered");
	cr_span_t all = route(CALL_ID, ANSWERED), box;

	(void)state;
	assert_true(cr_param_find(all, CR_ANSWERED_NAME, &box, NULL));
	assert_text(box.s, (int)box.len, vector_str(v, "text"));
	assert_int_equal(vector_int(v, "answered"), ANSWERED);
	json_decref(v);
}

static void there_and_back(void **state)
{
	cr_span_t all = route(CALL_ID, ANSWERED);

	(void)state;
	assert_true(all.len - strlen("sip:gw;lr;crs-a=x") <= CR_ANSWERED_MAX);
	assert_int_equal(cr_answered_of(&env, CALL_ID, all), ANSWERED);
	assert_int_equal(
			cr_answered_of(&env, CR_SPAN("c-2@client.invalid"), all), 0);
	assert_int_equal(
			cr_answered_of(&env, CALL_ID, CR_SPAN("sip:gw;lr;crs-a=x")), 0);
	assert_int_equal(
			cr_answered_of(&env, CALL_ID, CR_SPAN("sip:gw;lr;cra=")), 0);
}

static void damage(void **state)
{
	cr_span_t all = route(CALL_ID, ANSWERED);

	(void)state;
	for(size_t i = strlen("sip:gw;lr;crs-a=x" CR_ANSWERED_PARAM); i < all.len;
			i++) {
		char was = mem[i];

		mem[i] = was == 'a' ? 'b' : 'a';
		assert_int_equal(cr_answered_of(&env, CALL_ID, all), 0);
		assert_int_equal(cr_answered_of(&env, CALL_ID, (cr_span_t){mem, i}), 0);
		mem[i] = was;
	}
	assert_int_equal(cr_answered_of(&env, CALL_ID, all), ANSWERED);
}

static void no_room(void **state)
{
	char out[40];
	cr_writer_t w = cr_writer(out, sizeof(out));

	(void)state;
	assert_int_equal(cr_answered_put(&w, &env, CALL_ID, ANSWERED), CR_ETOOBIG);
}

#define T(f) cmocka_unit_test_setup_teardown(f, edge_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			T(frozen_vector),
			T(there_and_back),
			T(damage),
			T(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, edge_teardown);
}
