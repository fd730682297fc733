/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "text.h"

#include <stdint.h>

/* Characters by what they may be part of. */
enum
{
	ALPHA = 1,
	ID = 2,
	TOKEN = 4,
	CALL_ID = 8,
	VISIBLE = 16,
	PLAIN = 32, /* without quotes and backslash */
	URI = 64,   /* ... and angle brackets */
	SCHEME = 128,
};

#define LETTER (ALPHA | ID | TOKEN | CALL_ID | VISIBLE | PLAIN | URI | SCHEME)
#define DIGIT (LETTER & ~ALPHA)
#define SIGN (CALL_ID | VISIBLE | PLAIN | URI)

/* clang-format off */
static const uint8_t classes[256] = {
	['a'] = LETTER, ['b'] = LETTER, ['c'] = LETTER, ['d'] = LETTER, ['e'] = LETTER,
	['f'] = LETTER, ['g'] = LETTER, ['h'] = LETTER, ['i'] = LETTER, ['j'] = LETTER,
	['k'] = LETTER, ['l'] = LETTER, ['m'] = LETTER, ['n'] = LETTER, ['o'] = LETTER,
	['p'] = LETTER, ['q'] = LETTER, ['r'] = LETTER, ['s'] = LETTER, ['t'] = LETTER,
	['u'] = LETTER, ['v'] = LETTER, ['w'] = LETTER, ['x'] = LETTER, ['y'] = LETTER,
	['z'] = LETTER,
	['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER, ['E'] = LETTER,
	['F'] = LETTER, ['G'] = LETTER, ['H'] = LETTER, ['I'] = LETTER, ['J'] = LETTER,
	['K'] = LETTER, ['L'] = LETTER, ['M'] = LETTER, ['N'] = LETTER, ['O'] = LETTER,
	['P'] = LETTER, ['Q'] = LETTER, ['R'] = LETTER, ['S'] = LETTER, ['T'] = LETTER,
	['U'] = LETTER, ['V'] = LETTER, ['W'] = LETTER, ['X'] = LETTER, ['Y'] = LETTER,
	['Z'] = LETTER,
	['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
	['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
	['-'] = SIGN | ID | TOKEN | SCHEME, ['.'] = SIGN | ID | TOKEN | SCHEME,
	['_'] = SIGN | ID | TOKEN, ['+'] = SIGN | TOKEN | SCHEME,
	['!'] = SIGN | TOKEN, ['%'] = SIGN | TOKEN, ['*'] = SIGN | TOKEN,
	['`'] = SIGN | TOKEN, ['\''] = SIGN | TOKEN, ['~'] = SIGN | TOKEN,
	['#'] = SIGN, ['$'] = SIGN, ['&'] = SIGN, ['('] = SIGN, [')'] = SIGN,
	['/'] = SIGN, [':'] = SIGN, ['='] = SIGN, ['?'] = SIGN, ['@'] = SIGN,
	['['] = SIGN, [']'] = SIGN, ['^'] = SIGN, ['{'] = SIGN, ['|'] = SIGN,
	['}'] = SIGN,
	['<'] = VISIBLE | PLAIN | CALL_ID, ['>'] = VISIBLE | PLAIN | CALL_ID,
	[','] = VISIBLE | PLAIN | URI, [';'] = VISIBLE | PLAIN | URI,
	['"'] = VISIBLE | CALL_ID, ['\\'] = VISIBLE | CALL_ID,
};
/* clang-format on */

static int is(char c, unsigned class)
{
	return (classes[(uint8_t)c] & class) != 0;
}

/* Where the first character is that is of none of these classes, or the length. */
static size_t span_of(cr_span_t s, size_t i, unsigned class)
{
	while(i < s.len && is(s.s[i], class))
		i++;
	return i;
}

static int is_all(cr_span_t s, unsigned class)
{
	return s.len > 0 && span_of(s, 0, class) == s.len;
}

int cr_text_is_id(cr_span_t s, size_t max)
{
	return s.len <= max && is_all(s, ID);
}

int cr_text_is_token(cr_span_t s)
{
	return is_all(s, TOKEN);
}

int cr_text_is_call_id(cr_span_t s)
{
	return is_all(s, CALL_ID);
}

int cr_text_is_visible(cr_span_t s)
{
	return is_all(s, VISIBLE);
}

int cr_text_is_plain(cr_span_t s, size_t max)
{
	return s.len <= max && is_all(s, PLAIN);
}

/* The length of the UTF-8 sequence (RFC 3629 section 4) with which s begins; 0
 * when it is none, or one of the control characters U+0080 to U+009F. */
static size_t utf8_sequence(const uint8_t *s, size_t left)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if(n == 1)
		return 1;
	if(s[0] < 0xc2 || s[0] > 0xf4 || n > left)
		return 0;
	for(size_t i = 1; i < n; i++)
		if((s[i] & 0xc0) != 0x80)
			return 0;
	if((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0)
			|| (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90)
			|| (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* 1 for UTF-8 of which every ASCII character can be part of a URI; with blanks, a space
 * too. */
static int is_utf8(cr_span_t s, size_t i, int blanks)
{
	const uint8_t *p = (const uint8_t *)s.s;

	while((i = span_of(s, i, URI)) < s.len) {
		size_t n = utf8_sequence(&p[i], s.len - i);

		if(n == 0 || (n == 1 && !(blanks && p[i] == ' ')))
			return 0;
		i += n;
	}
	return 1;
}

int cr_text_is_uri(cr_span_t s)
{
	size_t i;

	if(s.len == 0 || !is(s.s[0], ALPHA))
		return 0;
	i = span_of(s, 0, SCHEME);
	return i + 1 < s.len && s.s[i] == ':' && is_utf8(s, i, 0);
}

int cr_text_is_sub(cr_span_t s)
{
	return s.len > 0 && is_utf8(s, 0, 1);
}

int cr_text_is_mark(cr_span_t s)
{
	const uint8_t *p = (const uint8_t *)s.s;

	return s.len >= 3 && p[0] == 0xe2
			&& ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae)
					|| (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void cr_text_show(char *out, size_t max, cr_span_t s)
{
	const uint8_t *p = (const uint8_t *)s.s;
	size_t len = span_of(cr_span_sub(s, 0, max - 1), 0, VISIBLE);

	/* Most is nothing else. */
	if(len > 0)
		memcpy(out, s.s, len);
	for(size_t i = len; i < s.len;) {
		size_t n = utf8_sequence(&p[i], s.len - i);

		if(len + (n > 0 ? n : 1) >= max)
			break;
		if(n == 0 || p[i] < ' ' || p[i] == 0x7f
				|| cr_text_is_mark((cr_span_t){s.s + i, s.len - i})) {
			out[len++] = '?';
			i++;
			continue;
		}
		memcpy(&out[len], &p[i], n);
		len += n;
		i += n;
	}
	out[len] = '\0';
}
