/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Key ring: any text gives a ring with a usable key or a reason.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CR_RING_WHY_MAX] = "";
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
	return 0;
}
