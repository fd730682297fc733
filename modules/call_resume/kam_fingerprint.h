/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The client's certificate.
 */
#ifndef CR_KAM_FINGERPRINT_H
#define CR_KAM_FINGERPRINT_H

#include "kam.h"

/** What the request names in Call-State-Fingerprint.
 * @return CR_OK, CR_EMISSING, CR_EDUPLICATE or an error of cr_fp_parse() */
int kam_fp_named(cr_fp_t *fp, struct sip_msg *msg) CR_MUST_CHECK;

/** What the description that the message brings needs. @return as cr_fp_of_sdp() */
int kam_fp_offered(cr_fp_t *fp, struct sip_msg *msg) CR_MUST_CHECK;

/** The answer to this request, of this branch in a branch_route, has to be of that
 * certificate; nothing when fp is not known. @return 0, or -1 and it is logged */
int kam_fp_expect(const cr_fp_t *fp);

/** 1 when an offer in the message is of that certificate, or there is none. */
int kam_fp_is_offered(const cr_fp_t *fp, struct sip_msg *msg);

int ki_resume_check_media(struct sip_msg *msg);

#endif
