/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose certificate a call is bound to: what a client names, and what it offers.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/parser/parse_content.h"

#include "sip.h"

int kam_fp_named(cr_fp_t *fp, struct sip_msg *msg)
{
	cr_span_t value;
	int n = kam_find_headers(msg, CR_SPAN(CR_HDR_FINGERPRINT), &value);

	if(n == 0)
		return CR_EMISSING;
	if(n != 1)
		return n > 1 ? CR_EDUPLICATE : CR_EMALFORMED;
	/* One that says nothing is not none. */
	return value.len > 0 ? cr_fp_parse(fp, value) : CR_EMALFORMED;
}

/* A body of several parts could be read in several ways. */
static int is_sdp(struct sip_msg *msg)
{
	int type = parse_content_type_hdr(msg);

	return type == ((TYPE_APPLICATION << 16) | SUBTYPE_SDP);
}

static int has_body(struct sip_msg *msg)
{
	const char *body = get_body(msg);

	return body != NULL && body < msg->buf + msg->len;
}

int kam_fp_offered(cr_fp_t *fp, struct sip_msg *msg)
{
	const char *body;

	if(!has_body(msg))
		return CR_EMISSING;
	if(!is_sdp(msg))
		return CR_EUNSUPPORTED;
	body = get_body(msg);
	return cr_fp_of_sdp(
			fp, (cr_span_t){body, (size_t)(msg->buf + msg->len - body)});
}

/* ---- resume_check_media() ---------------------------------------------------- */

/* What the request says about the media that its sender wants.
 * @return CR_OK, CR_EMISSING: nothing, and need not; or another error */
static int media_of(cr_fp_t *fp, struct sip_msg *msg)
{
	int method = msg->first_line.u.request.method_value;
	int err;

	if(!(method & (METHOD_INVITE | METHOD_UPDATE | METHOD_ACK | METHOD_PRACK)))
		return CR_EMISSING;
	err = kam_fp_offered(fp, msg);
	/* An INVITE without an offer wants one, to be answered later. */
	if(err == CR_EMISSING && method == METHOD_INVITE)
		return CR_EUNSUPPORTED;
	return err == CR_EMISSING && has_body(msg) ? CR_EUNSUPPORTED : err;
}

/* Both sides' references count: which side the sender is on says only the
 * request itself. Without any it is nobody's, or one that has been taken out; but
 * who comes in names of N has resumed, with its certificate. */
static int is_media_allowed(const cr_fp_t *fp, int err, struct sip_msg *msg)
{
	static const cr_purpose_t sides[] = {CR_PURPOSE_CALLER, CR_PURPOSE_CALLEE};
	int found = 0;

	for(int i = 0; i < 2; i++) {
		cr_ref_t ref;

		if(kam_open_route_ref(&ref, msg, sides[i]) != CR_OK)
			continue;
		found++;
		if(!ref.fp.known || (err == CR_OK && cr_fp_equal(&ref.fp, fp)))
			return 1;
	}
	return found == 0 && kam_is_request_route() && kam_edge_spliced();
}

int ki_resume_check_media(struct sip_msg *msg)
{
	cr_fp_t fp = {0};
	int err;

	if(kam_config.bind_fingerprint == KAM_BIND_OFF
			|| msg->first_line.type != SIP_REQUEST)
		return 1;
	err = media_of(&fp, msg);
	if(err == CR_EMISSING || is_media_allowed(&fp, err, msg))
		return 1;
	kam_count(KAM_FINGERPRINTS_REFUSED);
	LM_NOTICE("%.*s from %s refused: the call is bound to another"
			  " certificate\n",
			msg->first_line.u.request.method.len,
			msg->first_line.u.request.method.s, ip_addr2a(&msg->rcv.src_ip));
	return -1;
}
