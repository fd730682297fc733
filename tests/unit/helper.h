/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the unit tests share: cmocka, a fixed key ring, hexadecimal, the frozen
 * vectors, and loops that damage a text in every way.
 */
#ifndef HELPER_H
#define HELPER_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "ring.h"

#define NOW INT64_C(1750000000) /* 2025-06-15T15:06:40Z, the tests' clock */

/* Keys of the ring: k1 is the bytes 00 to 1f and seals, k2 is 20 to 3f. */
#define RING_TEXT                                                              \
	"# the tests' ring\n"                                                      \
	"k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"                         \
	"k2 ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\n"

extern cr_crypto_t *crypto;
extern cr_ring_t ring;
extern cr_ring_t stranger; /* the kids of ring with other keys */

/** Group fixture: fills crypto, ring and stranger. */
int setup(void **state);
int teardown(void **state);

#define RUN(tests) cmocka_run_group_tests(tests, setup, teardown)

/** Write the bytes of a hexadecimal string. @return their number */
size_t unhex(uint8_t *out, size_t max, const char *hex);

/** Fail unless data is the bytes of that hexadecimal string. */
void assert_hex(const void *data, size_t len, const char *hex);

/** Fail unless the len characters at s are that string. */
void assert_text(const char *s, int len, const char *want);

/** Fail unless n is from least to most; cmocka's own has another name in each of its versions. */
static inline void assert_between(uint64_t n, uint64_t least, uint64_t most)
{
	if(n < least || n > most)
		fail_msg("%ju is not from %ju to %ju", (uintmax_t)n, (uintmax_t)least,
				(uintmax_t)most);
}

/** The frozen vector of that name; json_decref() it. */
json_t *vector_load(const char *name);

/** A string member of a vector. */
const char *vector_str(const json_t *v, const char *name);

/** A member that is an integer. */
int64_t vector_int(const json_t *v, const char *name);

/** How a test opens a text: negative is an error of the core. */
typedef int (*open_fn)(cr_span_t text);

typedef int (*encode_fn)(char *, size_t, const void *, size_t);
typedef int (*decode_fn)(uint8_t *, size_t, cr_span_t);

/** Every text that is shorter is refused, and not as an internal error. */
void refuse_truncations(open_fn open, const char *text);

/** A text with any one bit of its characters flipped is refused. */
void refuse_text_flips(open_fn open, const char *text);

/** And one with any one bit flipped in the bytes that its segments between dots
 * encode. All three. */
void refuse_damage(
		open_fn open, const char *text, encode_fn encode, decode_fn decode);

/** Sign a token by hand, so that its claims can be wrong. @return the token,
 * valid until the next call */
const char *token_make(
		const cr_key_t *key, const char *header, const char *claims);

/** Without one of its allocations, whichever, a text is refused; with all of them it
 * opens. @return what open() gave then */
int refuse_without_memory(open_fn open, const char *text);

/** Make the n-th allocation of jansson (0: the first) and all later ones fail.
 * Negative: never. */
void jansson_fail_at(int n);

/** 1 when an allocation has failed since jansson_fail_at(). */
int jansson_failed(void);

#endif
