/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Box, map and session reference: the input as it is, and the input as the
 * content of a genuine box. What opens as a map has to seal to the same box.
 */
#include "fuzz.h"

#include "map.h"
#include "ref.h"

static const cr_dialog_id_t here = {{"call", 4}, {"tag", 3}};
static uint8_t mem[CR_BOX_PLAIN_MAX];

static void open_map(cr_span_t text)
{
	char again[CR_BOX_TEXT_MAX];
	const cr_key_t *key;
	cr_map_t map;
	int n,
			err = cr_map_open(&map, mem, &key, crypto, &ring, NOW,
					CR_PURPOSE_VIA, &here, text);

	CHECK(err <= 0 && err != CR_EINTERNAL);
	if(err)
		return;
	n = cr_map_seal(
			again, sizeof(again), crypto, key, CR_PURPOSE_VIA, &here, &map);
	CHECK(n == (int)text.len && memcmp(again, text.s, text.len) == 0);
}

static void open_ref(cr_span_t text)
{
	char again[CR_BOX_TEXT_MAX];
	cr_ref_t ref;
	int n,
			err = cr_ref_open(&ref, mem, crypto, &ring, NOW, CR_PURPOSE_CALLER,
					here.call_id, text);

	CHECK(err <= 0 && err != CR_EINTERNAL);
	if(err)
		return;
	n = cr_ref_seal(again, sizeof(again), crypto, &ring.keys[0],
			CR_PURPOSE_CALLER, here.call_id, &ref);
	CHECK(n == (int)text.len && memcmp(again, text.s, text.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const cr_span_t in = {(const char *)data, size};
	const cr_span_t context[] = {here.call_id, here.tag};
	char text[CR_BOX_TEXT_MAX];
	int n;

	setup();
	open_map(in);
	open_ref(in);
	n = cr_box_seal(text, sizeof(text), crypto, &ring.keys[0], CR_PURPOSE_VIA,
			context, 2, in);
	CHECK((n > 0) == (size <= CR_BOX_PLAIN_MAX));
	if(n < 0)
		return 0;
	open_map((cr_span_t){text, (size_t)n});
	n = cr_box_seal(text, sizeof(text), crypto, &ring.keys[0],
			CR_PURPOSE_CALLER, context, 1, in);
	CHECK(n > 0);
	open_ref((cr_span_t){text, (size_t)n});
	return 0;
}
