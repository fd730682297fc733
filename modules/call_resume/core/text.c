/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "text.h"

#include <stdint.h>

static int is_alpha(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_alnum(uint8_t c)
{
	return is_alpha(c) || (c >= '0' && c <= '9');
}

static int is_visible(uint8_t c)
{
	return c > ' ' && c < 0x7f;
}

static int is_one_of(uint8_t c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

int cr_text_is_id(cr_span_t s, size_t max)
{
	for(size_t i = 0; i < s.len; i++)
		if(!is_alnum((uint8_t)s.s[i]) && !is_one_of((uint8_t)s.s[i], "._-"))
			return 0;
	return s.len > 0 && s.len <= max;
}

int cr_text_is_token(cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++)
		if(!is_alnum((uint8_t)s.s[i])
				&& !is_one_of((uint8_t)s.s[i], "-.!%*_+`'~"))
			return 0;
	return s.len > 0;
}

int cr_text_is_call_id(cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++)
		if(!is_visible((uint8_t)s.s[i]) || is_one_of((uint8_t)s.s[i], ",;"))
			return 0;
	return s.len > 0;
}

int cr_text_is_visible(cr_span_t s)
{
	for(size_t i = 0; i < s.len; i++)
		if(!is_visible((uint8_t)s.s[i]))
			return 0;
	return s.len > 0;
}

int cr_text_is_plain(cr_span_t s, size_t max)
{
	for(size_t i = 0; i < s.len; i++)
		if(!is_visible((uint8_t)s.s[i]) || is_one_of((uint8_t)s.s[i], "\"\\"))
			return 0;
	return s.len > 0 && s.len <= max;
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

/* 1 for UTF-8 in which no ASCII character is a control or one of forbidden. */
static int is_utf8_without(cr_span_t s, const char *forbidden)
{
	const uint8_t *p = (const uint8_t *)s.s;
	size_t n = 0;

	for(size_t i = 0; i < s.len; i += n) {
		n = utf8_sequence(&p[i], s.len - i);
		if(n == 0 || p[i] < ' ' || p[i] == 0x7f || is_one_of(p[i], forbidden))
			return 0;
	}
	return 1;
}

int cr_text_is_uri(cr_span_t s)
{
	size_t i = 0;

	if(s.len == 0 || !is_alpha((uint8_t)s.s[0]))
		return 0;
	while(i < s.len
			&& (is_alnum((uint8_t)s.s[i]) || is_one_of((uint8_t)s.s[i], "+-.")))
		i++;
	return i + 1 < s.len && s.s[i] == ':' && is_utf8_without(s, " \"<>\\");
}

int cr_text_is_sub(cr_span_t s)
{
	return s.len > 0 && is_utf8_without(s, "\"<>\\");
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
	size_t len = 0;

	for(size_t i = 0; i < s.len;) {
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
