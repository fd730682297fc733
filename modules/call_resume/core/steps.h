/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Steps from one RTP stream to the next. A client that comes back begins a new stream
 * (another SSRC, RFC 3550 section 8.2), whose sequence numbers have nothing to do with the
 * old ones. Some readers look at the numbers alone, and take what lies up to 32768 behind
 * the last one for late (RFC 3550 appendix A.1 does so within one SSRC): they hear nothing
 * any more. Browsers begin below 32768. Three packets of silence, with numbers between, lead
 * such a reader from any number to any of those.
 */
#ifndef CR_STEPS_H
#define CR_STEPS_H

#include <stdint.h>

#include "err.h"
#include "span.h"

#define CR_STEPS 3
/** A packet of 20 ms of G.711 (RFC 3551 section 4.5.14). */
#define CR_STEP_LEN (12 + 160)
#define CR_STEPS_SDP_MAX 512

/**
 * @param codec  as in a=rtpmap, such as PCMU/8000
 * @return its payload type (RFC 3551 section 6), or -1 for one that has no steps
 */
int cr_steps_type(cr_span_t codec);

/**
 * The n-th packet.
 * @param out   CR_STEP_LEN bytes
 * @param n     from 0 to CR_STEPS - 1
 * @param type  of cr_steps_type()
 */
void cr_step(uint8_t *out, int n, int type, uint32_t ssrc);

/**
 * An offer (RFC 8866) of whoever sends them.
 * @param out   CR_STEPS_SDP_MAX bytes, not zero-terminated
 * @param is6   1 when the address is one of IPv6
 * @param rtpmap  the codec, as for cr_steps_type()
 * @return CR_OK or CR_ETOOBIG; out and len then untouched
 */
int cr_steps_sdp(char *out, size_t *len, cr_span_t address, int is6, int port,
		cr_span_t rtpmap) CR_MUST_CHECK;

#endif
