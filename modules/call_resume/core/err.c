/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>

const char *cr_strerror(int err)
{
	switch(err) {
		case CR_OK:
			return "ok";
		case CR_EMISSING:
			return "missing";
		case CR_EMALFORMED:
			return "malformed";
		case CR_ETOOBIG:
			return "too big";
		case CR_EFORGED:
			return "does not verify";
		case CR_EEXPIRED:
			return "expired";
		case CR_ENOTYET:
			return "not valid yet";
		case CR_EKEY:
			return "unknown or retired key";
		case CR_EUNSUPPORTED:
			return "unsupported version or algorithm";
		case CR_EDUPLICATE:
			return "duplicate";
		case CR_EINTERNAL:
			return "internal error";
		case CR_EISSUER:
			return "unknown issuer";
		case CR_EAUDIENCE:
			return "for another audience";
		case CR_ENOSID:
			return "without sid";
		case CR_EMISPLACED:
			return "of another dialog, or changed";
		default:
			return "unknown error";
	}
}

int cr_refuse(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, CR_WHY_MAX, format, args);
	va_end(args);
	return err;
}
