/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose certificate a call is bound to: what a client names, and what it offers.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/parser/parse_content.h"

#include "sip.h"

/* From the only Call-State-Fingerprint. @return CR_OK, CR_EMISSING or worse */
int kam_fp_named(cr_fp_t *fp, struct sip_msg *msg)
{
	struct hdr_field *h;
	cr_span_t value = {NULL, 0};
	int n = 0;

	if(parse_headers(msg, HDR_EOH_F, 0) < 0)
		return CR_EMALFORMED;
	for(h = msg->headers; h != NULL; h = h->next) {
		if(!cr_span_eq_case(kam_span(h->name), CR_SPAN(CR_HDR_FINGERPRINT)))
			continue;
		value = cr_span_trim(kam_span(h->body));
		n++;
	}
	if(n > 1)
		return CR_EDUPLICATE;
	return n == 0 ? CR_EMISSING
				  : (value.len == 0 ? CR_EMALFORMED : cr_fp_parse(fp, value));
}

/* A body of several parts could be read in several ways. */
static int is_sdp(struct sip_msg *msg)
{
	int type = parse_content_type_hdr(msg);

	return type == ((TYPE_APPLICATION << 16) | SUBTYPE_SDP);
}

int kam_fp_offered(cr_fp_t *fp, struct sip_msg *msg)
{
	const char *body = get_body(msg);

	if(body == NULL || body >= msg->buf + msg->len)
		return CR_EMISSING;
	if(!is_sdp(msg))
		return CR_EUNSUPPORTED;
	return cr_fp_of_sdp(
			fp, (cr_span_t){body, (size_t)(msg->buf + msg->len - body)});
}
