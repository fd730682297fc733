/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Key ring: any text gives a ring with a usable key or a reason.
 */
#include "fuzz.h"
#include "rotate.h"

/* A ring that is good can be rotated, unless it is full, and the new key seals. */
static void rotate(const uint8_t *data, size_t size)
{
	static char text[CR_RING_FILE_MAX];
	char why[CR_WHY_MAX] = "", kid[CR_KID_MAX + 1];
	cr_ring_t out;
	int len = cr_ring_rotate(text, sizeof(text), kid, why, crypto,
			(cr_span_t){(const char *)data, size}, NOW, NOW + 100);

	if(len < 0) {
		CHECK(len == CR_ETOOBIG && why[0]);
		return;
	}
	CHECK(cr_ring_parse(&out, why, crypto, (cr_span_t){text, (size_t)len}, NOW)
			== CR_OK);
	CHECK(strcmp(cr_ring_sealing(&out, NOW)->kid, kid) == 0);
	for(int i = 1; i < out.n_keys; i++)
		CHECK(out.keys[i].not_after > 0 && out.keys[i].not_after <= NOW + 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CR_WHY_MAX] = "";
	cr_ring_t out = {0};
	int err;

	setup();
	err = cr_ring_parse(
			&out, why, crypto, (cr_span_t){(const char *)data, size}, NOW);
	CHECK(err != CR_EINTERNAL);
	if(err) {
		CHECK(why[0] && memchr(why, 0, sizeof(why)) && out.n_keys == 0);
		return 0;
	}
	CHECK(out.n_keys > 0 && out.n_keys <= CR_RING_MAX);
	CHECK(cr_ring_sealing(&out, NOW));
	for(int i = 0; i < out.n_keys; i++)
		CHECK(memchr(out.keys[i].kid, 0, sizeof(out.keys[i].kid)));
	rotate(data, size);
	return 0;
}
