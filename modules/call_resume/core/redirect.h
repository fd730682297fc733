/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls of the running program that lead to another function than the one that it was linked
 * with: of those that it has from shared libraries.
 */
#ifndef CR_REDIRECT_H
#define CR_REDIRECT_H

#include "err.h"

/** From now on, in this process and in those that it forks, the executable's own calls of a
 * function go elsewhere; those of its libraries and modules do not. Not while another thread
 * may call it.
 * @param name  of the function, as "read"
 * @param to    what is called in its place, of the same type
 * @return CR_OK; CR_EUNSUPPORTED: the executable does not call it by its procedure linkage
 *         table, or this is no machine on which that is known; CR_EINTERNAL: the table cannot
 *         be written to (mprotect(2)) */
int cr_redirect(const char *name, void (*to)(void));

#endif
