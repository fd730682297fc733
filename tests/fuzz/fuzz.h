/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the fuzz targets share: a fixed key ring, and a check that stays on
 * whatever NDEBUG is.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring.h"

#define NOW INT64_C(1750000000)

#define CHECK(ok)                                                              \
	do {                                                                       \
		if(!(ok)) {                                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #ok);           \
			abort();                                                           \
		}                                                                      \
	} while(0)

static cr_crypto_t *crypto;
static cr_ring_t ring;

static inline void setup(void)
{
	char why[CR_WHY_MAX];

	if(crypto)
		return;
	crypto = cr_crypto_new();
	CHECK(crypto);
	CHECK(!cr_ring_parse(&ring, why, crypto,
			CR_SPAN("k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"), NOW));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
