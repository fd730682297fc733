/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose certificate a call is bound to: what a client names, and what it offers.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/parser/parse_content.h"

#include "ref.h"
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

/* ---- what our Route brought back, and resume_check_media() ------------------------------------------------------ */

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

/* The session reference of one side, in the Route that brought the request here. */
static int open_ref(cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose)
{
	str caller = str_init(CR_REF_PARAM_CALLER);
	str callee = str_init(CR_REF_PARAM_CALLEE);
	const cr_env_t *env = kam_env();
	str value = STR_NULL;

	if(env == NULL || parse_headers(msg, HDR_CALLID_F, 0) < 0
			|| msg->callid == NULL
			|| kam_rr.get_route_param(msg,
					   purpose == CR_PURPOSE_CALLER ? &caller : &callee, &value)
					!= 0)
		return CR_EMISSING;
	return cr_ref_open(ref, env->work->box, env->crypto, env->ring,
			cr_now_s(env), purpose, kam_span(msg->callid->body),
			kam_span(value));
}

int kam_in_call(struct sip_msg *msg)
{
	cr_ref_t ref;

	return msg->first_line.type == SIP_REQUEST && kam_is_request_route()
			&& (open_ref(&ref, msg, CR_PURPOSE_CALLER) == CR_OK
					|| open_ref(&ref, msg, CR_PURPOSE_CALLEE) == CR_OK);
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

		if(open_ref(&ref, msg, sides[i]) != CR_OK)
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
