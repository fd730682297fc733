/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files that hold keys. Secret ones: nobody but their owner may read or write
 * them. Public ones: nobody but their owner may write them.
 */
#ifndef CR_PRIVATE_FILE_H
#define CR_PRIVATE_FILE_H

#include "err.h"
#include "span.h"

/**
 * Read a file. It has to be regular and neither readable nor writable by group
 * or others.
 * @param text  receives its bytes; to be given back to cr_private_file_free()
 * @param why   on failure one sentence that says what to do; CR_WHY_MAX
 *              bytes, never holds anything out of the file
 * @param how   what to do when there is none, for [why]
 * @param max   bytes that the file may have
 * @return CR_OK, CR_EMISSING (cannot be opened), CR_EFORGED (mode or kind of
 *         file), CR_ETOOBIG, CR_EINTERNAL; text then untouched
 */
int cr_private_file_read(cr_span_t *text, char *why, const char *path,
		const char *how, size_t max) CR_MUST_CHECK;

/** The same for files that everybody may read, public keys: group and others
 * must not be able to write them. */
int cr_public_file_read(cr_span_t *text, char *why, const char *path,
		const char *how, size_t max) CR_MUST_CHECK;

/** Wipe and free what either gave. */
void cr_private_file_free(cr_span_t text);

#endif
