/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The version of module, packages and page. It is the same in debian/changelog and
 * web/package.json; a test compares them.
 */
#ifndef CR_VERSION_H
#define CR_VERSION_H

#define CR_VERSION "0.1.0"

#endif
