/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Arbitrary messages between nodes, and to and from a far end.
 */
#include "boxes.h"

#include "contact.h"
#include "node.h"

static char out[OUT_MAX], again[OUT_MAX];
static cr_node_note_t note;
static const cr_contact_here_t here = {{"10.0.0.1", 8}, 5060, {"tcp", 3}};

/* What is signed opens, but for a field of that name that is not ours; nothing else does. */
static void check_node(cr_span_t text)
{
	int len = cr_node_open(out, sizeof(out), &note, &env, text, 60);
	int bare = len == CR_EMISSING;

	CHECK(len < 0 && len != CR_EINTERNAL);
	len = cr_node_sign(out, sizeof(out), &env, text, 1);
	CHECK(len != 0 && len != CR_EINTERNAL);
	if(len < 0)
		return;
	len = cr_node_open(again, sizeof(again), &note, &env,
			(cr_span_t){out, (size_t)len}, 60);
	CHECK(len != CR_EINTERNAL && (!bare || len > 0 || len == CR_ETOOBIG));
}

static void check_far(cr_span_t text)
{
	int len = cr_contact_show(out, sizeof(out), &env, text, &here);

	CHECK(len != CR_EINTERNAL && len <= OUT_MAX);
	len = cr_contact_hide(out, sizeof(out), &env, text, &here);
	CHECK(len != CR_EINTERNAL && len <= OUT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_span_t text;

	setup_edge();
	text = expand((cr_span_t){(const char *)data, size});
	check_node(text);
	check_far(text);
	free((void *)text.s);
	return 0;
}
