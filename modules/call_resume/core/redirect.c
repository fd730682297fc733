/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr */
#endif
#include "redirect.h"

#include <link.h> /* __GLIBC__ too */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* There glibc has made the addresses in the dynamic section absolute. */
#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
typedef struct slot
{
	const char *name;
	void (**at)(void); /* what its calls go to; NULL: there is none */
	int is_readonly;   /* the program was linked with -z now */
} slot_t;

/* What the dynamic section says of the procedure linkage table (System V ABI, chapter 5). */
typedef struct table
{
	const ElfW(Sym) * symbols;
	const char *names;
	const ElfW(Rela) * list;
	size_t n;
} table_t;

static void read_table(table_t *t, const ElfW(Dyn) * d)
{
	for(; d->d_tag != DT_NULL; d++) {
		if(d->d_tag == DT_SYMTAB)
			t->symbols = (const void *)d->d_un.d_ptr;
		else if(d->d_tag == DT_STRTAB)
			t->names = (const void *)d->d_un.d_ptr;
		else if(d->d_tag == DT_JMPREL)
			t->list = (const void *)d->d_un.d_ptr;
		else if(d->d_tag == DT_PLTRELSZ)
			t->n = d->d_un.d_val / sizeof(*t->list);
	}
}

static void find_in(slot_t *slot, const table_t *t, uintptr_t base)
{
	if(t->symbols == NULL || t->names == NULL || t->list == NULL)
		return;
	for(size_t i = 0; i < t->n; i++) {
		const ElfW(Sym) *s = &t->symbols[ELF64_R_SYM(t->list[i].r_info)];

		if(strcmp(t->names + s->st_name, slot->name) == 0)
			slot->at = (void (**)(void))(base + t->list[i].r_offset);
	}
}

static uintptr_t page_of(uintptr_t at)
{
	return at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
}

/* The executable is the first one. */
static int find(struct dl_phdr_info *info, size_t size, void *param)
{
	slot_t *slot = param;
	table_t t = {0};
	uintptr_t from = 0, to = 0; /* what glibc has made read-only, whole pages */

	(void)size;
	for(int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + h->p_vaddr;

		if(h->p_type == PT_DYNAMIC) {
			read_table(&t, (const void *)at);
		} else if(h->p_type == PT_GNU_RELRO) {
			from = page_of(at);
			to = page_of(at + h->p_memsz);
		}
	}
	find_in(slot, &t, info->dlpi_addr);
	slot->is_readonly = (uintptr_t)slot->at >= from && (uintptr_t)slot->at < to;
	return 1;
}

int cr_redirect(const char *name, void (*to)(void))
{
	slot_t slot = {.name = name};
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page;

	dl_iterate_phdr(find, &slot);
	if(slot.at == NULL)
		return CR_EUNSUPPORTED;
	page = (void *)page_of((uintptr_t)slot.at);
	if(slot.is_readonly && mprotect(page, size, PROT_READ | PROT_WRITE) < 0)
		return CR_EINTERNAL;
	*slot.at = to;
	if(slot.is_readonly && mprotect(page, size, PROT_READ) < 0)
		return CR_EINTERNAL;
	return CR_OK;
}
#else
int cr_redirect(const char *name, void (*to)(void))
{
	(void)name;
	(void)to;
	return CR_EUNSUPPORTED;
}
#endif
