/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Text looked at eight bytes at a time.
 *
 * What is found is exact for the first byte in memory that is hit. Those behind it may be
 * no hits: they are to be looked at once more, or from the first one on.
 */
#ifndef CR_EIGHT_H
#define CR_EIGHT_H

#include <stdint.h>
#include <string.h>

/** This byte, eight times. */
#define CR_EIGHT(byte) (~(uint64_t)0 / 0xff * (byte))

static inline uint64_t cr_eight_at(const char *s)
{
	uint64_t bytes;

	memcpy(&bytes, s, sizeof(bytes));
	return bytes;
}

/** Which of them are below a limit of at most 0x80: they borrow from their highest bit. */
static inline uint64_t cr_eight_below(uint64_t bytes, uint8_t limit)
{
	return (bytes - CR_EIGHT(limit)) & ~bytes & CR_EIGHT(0x80);
}

/** Which of them are this byte. */
static inline uint64_t cr_eight_equal(uint64_t bytes, uint8_t byte)
{
	return cr_eight_below(bytes ^ CR_EIGHT(byte), 1);
}

/** 1 when some of them are not from first to last, which is below 0x80, or 0xff. */
static inline int cr_eight_outside(uint64_t bytes, uint8_t first, uint8_t last)
{
	uint64_t above = 0;

	if(last < 0x80)
		above = (((bytes & CR_EIGHT(0x7f)) + CR_EIGHT(0x7f - last)) | bytes)
				& CR_EIGHT(0x80);
	return (above | cr_eight_below(bytes, first)) != 0;
}

/** How many bytes come in front of the first hit; fewer where that is not known. */
static inline size_t cr_eight_before(uint64_t hits)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(hits) / 8;
#else
	(void)hits;
	return 0;
#endif
}

#endif
