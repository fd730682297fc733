/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses of record, and whether a URI is one of them.
 */
#ifndef CR_AOR_H
#define CR_AOR_H

#include "span.h"

/**
 * Whether a SIP URI is that address of record. Compared as RFC 3261 section 19.1.4 has it:
 * the scheme and the host without case, the user with case, and what is escaped in the URI
 * without need for what it stands for. What an address of record does not have (section
 * 19.1.1, table 1; section 10.3, step 5) does not count: parameters, headers, and the
 * scheme's own port. The address is a name that somebody has been given, byte by byte: an
 * escape in it stands for itself, so that who is called %61lice is not alice.
 * @return 1 or 0; where either is no SIP URI they have to be equal byte by byte
 */
int cr_aor_is(cr_span_t uri, cr_span_t aor);

/** 1 for the From of a caller who wants to be nobody (RFC 3323 section 4.1.1.3):
 * sip:anonymous@anonymous.invalid. It is nobody else's either. */
int cr_aor_is_anonymous(cr_span_t uri);

#endif
