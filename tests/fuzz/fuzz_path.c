/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arbitrary messages of clients behind a proxy, to and from there. {p} is a way.
 */
#include "boxes.h"

#include "path.h"

#define OWN "sip:10.0.0.1"

static char out[OUT_MAX], again[OUT_MAX];

static int is_own(cr_span_t uri)
{
	return cr_span_eq(cr_span_sub(uri, 0, sizeof(OWN) - 1), CR_SPAN(OWN));
}

static void make_way(void)
{
	int len = cr_box_seal(boxes['p'], CR_BOX_TEXT_MAX, crypto, &ring.keys[0],
			CR_PURPOSE_PATH, NULL, 0, CR_SPAN("<sip:p;lr>"));

	CHECK(len > 0);
	box_len['p'] = (size_t)len;
}

static int opens(cr_span_t way)
{
	static uint8_t plain[CR_BOX_PLAIN_MAX];
	const cr_key_t *key;

	return cr_box_open(plain, sizeof(plain), &key, crypto, &ring, NOW,
				   CR_PURPOSE_PATH, NULL, 0, way)
			>= 0;
}

/* A Contact that has been written into has a way of ours, or none. */
static void check_contacts(cr_span_t text)
{
	static cr_sip_t m;
	cr_value_iter_t it = {0};
	cr_span_t value, way;
	cr_addr_t a;

	if(cr_sip_parse(&m, text) != CR_OK)
		return;
	while(cr_sip_next(&m, CR_CONTACT, &it, &value)) {
		if(cr_addr_parse(&a, value) == CR_OK && a.spec.len > a.uri.len
				&& cr_param_find(a.uri, CR_PATH_NAME, &way, NULL))
			CHECK(opens(way));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_span_t text;
	int len;

	if(crypto == NULL) {
		setup_edge();
		make_way();
	}
	text = expand((cr_span_t){(const char *)data, size});
	len = cr_path_out(again, sizeof(again), &env, text, is_own);
	CHECK(len != CR_EINTERNAL && len <= OUT_MAX);
	len = cr_path_in(out, sizeof(out), &env, text, is_own);
	CHECK(len != CR_EINTERNAL && len <= OUT_MAX);
	if(len > 0) {
		check_contacts((cr_span_t){out, (size_t)len});
		len = cr_path_out(again, sizeof(again), &env,
				(cr_span_t){out, (size_t)len}, is_own);
		CHECK(len != CR_EINTERNAL && len <= OUT_MAX);
	}
	free((void *)text.s);
	return 0;
}
