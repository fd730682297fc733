/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base.h"

/* Far above everything that we write, far below where an int overflows. */
#define INPUT_MAX ((size_t)1 << 24)

typedef struct base
{
	unsigned bits; /* in one character */
	const char *alphabet;
	const uint8_t *values; /* of each character plus 1, 0: foreign */
} base_t;

/* clang-format off */
static const uint8_t b64_values[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6,
	['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12,
	['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
	['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
	['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
	['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
	['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

static const uint8_t b32_values[256] = {
	['a'] = 1, ['b'] = 2, ['c'] = 3, ['d'] = 4, ['e'] = 5, ['f'] = 6,
	['g'] = 7, ['h'] = 8, ['i'] = 9, ['j'] = 10, ['k'] = 11, ['l'] = 12,
	['m'] = 13, ['n'] = 14, ['o'] = 15, ['p'] = 16, ['q'] = 17, ['r'] = 18,
	['s'] = 19, ['t'] = 20, ['u'] = 21, ['v'] = 22, ['w'] = 23, ['x'] = 24,
	['y'] = 25, ['z'] = 26, ['2'] = 27, ['3'] = 28, ['4'] = 29, ['5'] = 30,
	['6'] = 31, ['7'] = 32,
};
/* clang-format on */

static const base_t b64 = {6,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
		b64_values};
static const base_t b32 = {5, "abcdefghijklmnopqrstuvwxyz234567", b32_values};

static inline int encode(
		const base_t base, char *out, const uint8_t *in, size_t in_len)
{
	const uint32_t mask = (1u << base.bits) - 1;
	uint32_t acc = 0;
	unsigned have = 0; /* bits of acc that are not written yet */
	size_t n = 0;

	for(size_t i = 0; i < in_len; i++) {
		acc = acc << 8 | in[i];
		for(have += 8; have >= base.bits;) {
			have -= base.bits;
			out[n++] = base.alphabet[acc >> have & mask];
		}
	}
	if(have > 0)
		out[n++] = base.alphabet[acc << (base.bits - have) & mask];
	return (int)n;
}

static inline int decode(const base_t base, uint8_t *out, cr_span_t in)
{
	uint32_t acc = 0;
	unsigned have = 0; /* bits of acc that are not written yet */
	size_t n = 0;

	for(size_t i = 0; i < in.len; i++) {
		unsigned value = base.values[(uint8_t)in.s[i]];

		if(value == 0)
			return CR_EMALFORMED;
		acc = acc << base.bits | (value - 1);
		have += base.bits;
		if(have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(acc >> have);
		}
	}
	/* A whole character left over is a length that no encoder makes; set
	 * bits in the rest would be a second text for the same bytes. */
	if(have >= base.bits || (acc & ((1u << have) - 1)) != 0)
		return CR_EMALFORMED;
	return (int)n;
}

/* Whole groups, three bytes and four characters of base64, five and eight of base32:
 * most of a state and a map goes this way, and what is left the general one. Inlined,
 * so that all but groups is constant. */
static inline void encode_groups(const base_t base, unsigned bytes,
		unsigned chars, char *out, const uint8_t *in, size_t groups)
{
	for(; groups > 0; groups--, in += bytes, out += chars) {
		uint64_t acc = 0;

#pragma GCC unroll 8
		for(unsigned i = 0; i < bytes; i++)
			acc = acc << 8 | in[i];
#pragma GCC unroll 8
		for(unsigned i = chars; i > 0; acc >>= base.bits)
			out[--i] = base.alphabet[acc & ((1u << base.bits) - 1)];
	}
}

/* @return 0 when there is a foreign character: what it stands for is more than
 * any other, 0 - 1 */
static inline int decode_groups(const base_t base, unsigned chars,
		unsigned bytes, uint8_t *out, const uint8_t *in, size_t groups)
{
	unsigned all = 0;

	for(; groups > 0; groups--, in += chars, out += bytes) {
		uint64_t acc = 0;

#pragma GCC unroll 8
		for(unsigned i = 0; i < chars; i++) {
			unsigned value = base.values[in[i]] - 1u;

			all |= value;
			acc = acc << base.bits | value;
		}
#pragma GCC unroll 8
		for(unsigned i = bytes; i > 0; acc >>= 8)
			out[--i] = (uint8_t)acc;
	}
	return all < 1u << base.bits;
}

static inline int encode_all(const base_t base, unsigned bytes, unsigned chars,
		char *out, size_t out_max, const uint8_t *in, size_t in_len)
{
	size_t groups = in_len / bytes;

	if(in_len > INPUT_MAX || (in_len * 8 + base.bits - 1) / base.bits > out_max)
		return CR_ETOOBIG;
	/* Nothing may be nowhere, and to nowhere nothing can be added. */
	if(in_len == 0)
		return 0;
	encode_groups(base, bytes, chars, out, in, groups);
	return (int)(chars * groups)
			+ encode(base, out + chars * groups, in + bytes * groups,
					in_len % bytes);
}

static inline int decode_all(const base_t base, unsigned chars, unsigned bytes,
		uint8_t *out, size_t out_max, cr_span_t in)
{
	size_t groups = in.len / chars;
	cr_span_t rest;
	int n;

	if(in.len > INPUT_MAX || in.len * base.bits / 8 > out_max)
		return CR_ETOOBIG;
	if(in.len == 0)
		return 0;
	if(!decode_groups(base, chars, bytes, out, (const uint8_t *)in.s, groups))
		return CR_EMALFORMED;
	rest = (cr_span_t){in.s + chars * groups, in.len % chars};
	n = decode(base, out + bytes * groups, rest);
	return n < 0 ? n : (int)(bytes * groups) + n;
}

int cr_b64_encode(char *out, size_t out_max, const void *in, size_t in_len)
{
	return encode_all(b64, 3, 4, out, out_max, in, in_len);
}

int cr_b64_decode(uint8_t *out, size_t out_max, cr_span_t in)
{
	return decode_all(b64, 4, 3, out, out_max, in);
}

int cr_b32_encode(char *out, size_t out_max, const void *in, size_t in_len)
{
	return encode_all(b32, 5, 8, out, out_max, in, in_len);
}

int cr_b32_decode(uint8_t *out, size_t out_max, cr_span_t in)
{
	return decode_all(b32, 8, 5, out, out_max, in);
}
