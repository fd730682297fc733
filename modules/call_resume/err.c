/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "err.h"

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
		default:
			return "unknown error";
	}
}
