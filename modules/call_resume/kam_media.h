/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where media go.
 */
#ifndef CR_KAM_MEDIA_H
#define CR_KAM_MEDIA_H

#include "kam.h"

/** The parameter denied_media. @return 0, or -1 and it is logged */
int kam_media_param(modparam_t type, void *val);

/** The parameter trunk_address. As kam_media_param(). */
int kam_trunk_param(modparam_t type, void *val);

/** The parameter trunk_uri. As kam_media_param(). */
int kam_trunk_uri_param(modparam_t type, void *val);

/** 1 for an address of trunk_address. */
int kam_media_is_trunk(const struct ip_addr *ip);

/** Ask rtpengine for the call that a message is of, as rtpengine_query_v() does.
 * @param answer  receives JSON, until it is asked again
 * @return 1, or 0: there is no answer */
int kam_media_query(struct sip_msg *msg, str *answer);

/** The answer that kam_media_query() has had for this message; empty when there is none. */
cr_span_t kam_media_answer(struct sip_msg *msg);

/** 1 for an address of denied_media that is not the trunk's. */
int kam_media_is_denied(const struct ip_addr *ip);

/** The same of a port, in host order: of the trunk's address only that of trunk_uri is the trunk's. */
int kam_media_is_denied_at(const struct ip_addr *ip, unsigned int port);

int ki_resume_check_sdp(struct sip_msg *msg);
int ki_resume_check_source(struct sip_msg *msg);
int ki_resume_has_ice(struct sip_msg *msg);
int ki_resume_suits_browser(struct sip_msg *msg);
int ki_resume_read_media(struct sip_msg *msg, str *answer);

typedef enum kam_side
{
	KAM_FROM,
	KAM_TO,
	KAM_SIDES,
} kam_side_t;

/** What resume_read_media() found the media of a side to be, for this message; empty when it
 * found nothing. */
cr_span_t kam_media_described(const struct sip_msg *msg, kam_side_t side);

#endif
