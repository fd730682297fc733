/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Linked into the module of tools/sanitize only. Kamailio's private memory is
 * one block that it cuts up by itself: AddressSanitizer sees nothing of what
 * goes wrong inside. So it is taken from malloc() from the moment on when the
 * module is loaded, by the core and all modules, and every piece has its bounds
 * and its end. What was allocated before goes back where it came from.
 *
 * Shared memory stays as it is: it is shared by processes. Kamailio's debugging
 * allocator looks for overwritten bounds when a piece is freed.
 */
#include <stdlib.h>

#include "../../core/mem/mem.h"

extern unsigned long pkg_mem_size;

static sr_pkg_api_t pool;

#define WHERE                                                                  \
	const char *file, const char *func, unsigned int line, const char *name

/* One of those that Kamailio's own allocator gave. */
static int is_of_pool(const void *p)
{
	const char *c = p;

	return c >= pool.mem_pool && c < pool.mem_pool + pkg_mem_size;
}

static void *heap_malloc(void *block, size_t size, WHERE)
{
	return malloc(size);
}

static void *heap_mallocxz(void *block, size_t size, WHERE)
{
	return calloc(1, size);
}

static void heap_free(void *block, void *p, WHERE)
{
	if(is_of_pool(p))
		pool.xfree(block, p, file, func, line, name);
	else
		free(p);
}

static void *heap_realloc(void *block, void *p, size_t size, WHERE)
{
	return is_of_pool(p) ? pool.xrealloc(block, p, size, file, func, line, name)
						 : realloc(p, size);
}

static void *heap_reallocxf(void *block, void *p, size_t size, WHERE)
{
	void *out = heap_realloc(block, p, size, file, func, line, name);

	if(out == NULL)
		heap_free(block, p, file, func, line, name);
	return out;
}

/* What tools/sanitize has to find before it believes anything else. */
static void plant(const char *what)
{
	volatile int big = 0x7fffffff;
	char *p = pkg_malloc(big == 0 ? 0 : 8);

	if(strcmp(what, "address") == 0)
		p[big - 0x7fffffff + 8] = 1;
	else
		big++;
	pkg_free(p);
}

__attribute__((constructor)) static void take_over(void)
{
	const char *what = getenv("CALL_RESUME_PLANT");

	pool = _pkg_root;
	_pkg_root.xmalloc = heap_malloc;
	_pkg_root.xmallocxz = heap_mallocxz;
	_pkg_root.xrealloc = heap_realloc;
	_pkg_root.xreallocxf = heap_reallocxf;
	_pkg_root.xfree = heap_free;
	if(what != NULL)
		plant(what);
}
