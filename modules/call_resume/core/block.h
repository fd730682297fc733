/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text looked at 64 bytes at a time.
 */
#ifndef CR_BLOCK_H
#define CR_BLOCK_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "eight.h"
#include "span.h"

#define CR_BLOCK 64 /* bytes */

/* Which of 16 bytes are not from first to last. */
static inline uint64_t cr_outside_of_16(
		const char *s, uint8_t first, uint8_t last)
{
#ifdef __SSE2__
	__m128i above = _mm_sub_epi8(
			_mm_loadu_si128((const __m128i *)s), _mm_set1_epi8((char)first));
	__m128i limit = _mm_set1_epi8((char)(last - first));

	return (unsigned)_mm_movemask_epi8(
				   _mm_cmpeq_epi8(_mm_min_epu8(above, limit), above))
			^ 0xffff;
#else
	uint64_t outside = 0;

	for(int i = 0; i < 16; i += 8) {
		if(!cr_eight_outside(cr_eight_at(s + i), first, last))
			continue;
		for(int k = i; k < i + 8; k++)
			outside |= (uint64_t)((uint8_t)s[k] < first || (uint8_t)s[k] > last)
					<< k;
	}
	return outside;
#endif
}

/**
 * Which bytes of a block are not from first to last.
 * @param i     where the block begins in the text: below its length
 * @param last  below 0x80, or 0xff
 * @return a bit for each byte, the lowest for that at i; none behind the end of the text
 */
static inline uint64_t cr_block_outside(
		cr_span_t s, size_t i, uint8_t first, uint8_t last)
{
	const char *p = s.s + i;
	char whole[CR_BLOCK];
	size_t beyond = 0;

	if(s.len - i < CR_BLOCK && s.len >= CR_BLOCK) {
		beyond = CR_BLOCK - (s.len - i);
		p -= beyond;
	} else if(s.len < CR_BLOCK) {
		memset(whole, first, sizeof(whole));
		memcpy(whole, p, s.len);
		p = whole;
	}
	return (cr_outside_of_16(p, first, last)
				   | cr_outside_of_16(p + 16, first, last) << 16
				   | cr_outside_of_16(p + 32, first, last) << 32
				   | cr_outside_of_16(p + 48, first, last) << 48)
			>> beyond;
}

#endif
