/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "crowd.h"

#include <stdlib.h>

uint64_t cr_crowd_user(cr_span_t sub)
{
	/* FNV-1a: who has a name has it from us. */
	uint64_t h = 14695981039346656037u;

	for(size_t i = 0; i < sub.len; i++) {
		unsigned char c = (unsigned char)sub.s[i];

		h ^= c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
		h *= 1099511628211u;
	}
	return h;
}

static int by_age(const void *a, const void *b)
{
	const cr_member_t *x = a, *y = b;

	return cr_crowd_is_older(x->id, y->id) ? -1 : x->id != y->id;
}

static int by_whose_and_age(const void *a, const void *b)
{
	const cr_member_t *x = a, *y = b;

	if(x->whose != y->whose)
		return x->whose < y->whose ? -1 : 1;
	return by_age(a, b);
}

void cr_crowd_sort(cr_member_t *m, int n)
{
	qsort(m, (size_t)n, sizeof(m[0]), by_whose_and_age);
}

/* How many there are when each has that many at most. */
static int left(const cr_member_t *m, int n, int each)
{
	int of_one = 0, sum = 0;

	for(int i = 0; i < n; i++) {
		of_one = i > 0 && m[i].whose == m[i - 1].whose ? of_one + 1 : 1;
		sum += of_one <= each;
	}
	return sum;
}

int cr_crowd_share(const cr_member_t *m, int n, int each, int all)
{
	int low = 1, high = each;

	while(low < high) {
		int middle = low + (high - low + 1) / 2;

		if(left(m, n, middle) <= all)
			low = middle;
		else
			high = middle - 1;
	}
	return high;
}

int cr_crowd_mark(cr_member_t *m, int n, int each, int is_oldest)
{
	int of_one = 0, marked = 0;

	for(int k = 0; k < n; k++) {
		int i = is_oldest ? n - 1 - k : k, before = is_oldest ? i + 1 : i - 1;

		of_one = k > 0 && m[i].whose == m[before].whose ? of_one + 1 : 1;
		m[i].is_surplus = of_one > each;
		marked += m[i].is_surplus;
	}
	return marked;
}

int cr_crowd_mark_oldest(cr_member_t *m, int n, int all)
{
	int kept = 0, marked = 0;

	qsort(m, (size_t)n, sizeof(m[0]), by_age);
	for(int i = 0; i < n; i++)
		kept += !m[i].is_surplus;
	for(int i = 0; i < n && kept > all; i++) {
		if(m[i].is_surplus)
			continue;
		m[i].is_surplus = 1;
		kept--;
		marked++;
	}
	return marked;
}
