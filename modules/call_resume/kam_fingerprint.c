/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose certificate a call is bound to: what a client names, and what it offers.
 */
#include "kam_fingerprint.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_stat.h"
#include "kam_trust.h"

#include "../../core/dprint.h"
#include "../../core/ip_addr.h"
#include "../../core/usr_avp.h"
#include "../../core/parser/parse_content.h"

#include "core/sip.h"
#include "core/text.h"

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

int kam_fp_offered(cr_fp_t *fp, struct sip_msg *msg)
{
	const char *body;

	if(!kam_has_body(msg))
		return CR_EMISSING;
	if(!is_sdp(msg))
		return CR_EUNSUPPORTED;
	body = get_body(msg);
	return cr_fp_of_sdp(
			fp, (cr_span_t){body, (size_t)(msg->buf + msg->len - body)});
}

/* ---- offers ------------------------------------------------------------------- */

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
	return err == CR_EMISSING && kam_has_body(msg) ? CR_EUNSUPPORTED : err;
}

/* Both sides' references count: which side the sender is on says only the
 * message itself. Without any it is nobody's, or one that has been taken out; but
 * who comes in names of N has resumed, with its certificate. */
static int is_media_allowed(const cr_fp_t *fp, int err, struct sip_msg *msg)
{
	static const cr_purpose_t sides[] = {CR_PURPOSE_CALLER, CR_PURPOSE_CALLEE};
	int found = 0;

	for(int i = 0; i < 2; i++) {
		cr_ref_t ref;

		if(kam_open_ref(&ref, msg, sides[i]) != CR_OK)
			continue;
		found++;
		if(!ref.fp.known || (err == CR_OK && cr_fp_equal(&ref.fp, fp)))
			return 1;
	}
	return found == 0 && kam_is_spliced();
}

/* ---- answers -------------------------------------------------------------------- */

/* What is expected of a branch is kept with its transaction, as an AVP. */
#define AVP_FP "call_resume_fp_"
#define AVP_FP_CLASS (AVP_TRACK_FROM | AVP_CLASS_URI)

/* @param mem  of the name */
static int_str avp_name(char mem[sizeof(AVP_FP) + 8], int branch)
{
	int_str name = {.s = {mem, 0}};

	name.s.len
			= snprintf(mem, sizeof(AVP_FP) + 8, AVP_FP "%d", branch & 0xffff);
	return name;
}

/* In request_route what tm says is still of another message. */
static int branch_at_hand(void)
{
	const tm_ctx_t *ctx = kam_tm.tm_ctx_get();

	return !kam_is_request_route() && ctx != NULL && ctx->branch_index > 0
			? ctx->branch_index
			: 0;
}

int kam_fp_expect(const cr_fp_t *fp)
{
	char mem[sizeof(AVP_FP) + 8];
	int_str value = {.s = {(char *)fp->hash, CR_FP_LEN}};

	if(!fp->known
			|| add_avp(AVP_FP_CLASS | AVP_NAME_STR | AVP_VAL_STR,
					   avp_name(mem, branch_at_hand()), value)
					== 0)
		return 0;
	LM_ERR("cannot keep what the answer has to be of\n");
	return -1;
}

/* In front of the script of a reply the AVPs at hand are not its transaction's.
 * @return 1 when something is expected */
static int expected(cr_fp_t *fp, struct cell *t, int branch)
{
	avp_list_t *at_hand = set_avp_list(AVP_FP_CLASS, &t->uri_avps_from);
	char mem[sizeof(AVP_FP) + 8];
	int_str value;
	const struct usr_avp *avp = search_first_avp(AVP_FP_CLASS | AVP_NAME_STR,
			avp_name(mem, branch > 0 ? branch : 0), &value, NULL);
	int found = avp != NULL && (avp->flags & AVP_VAL_STR)
			&& value.s.len == CR_FP_LEN;

	if(found) {
		fp->known = 1;
		memcpy(fp->hash, value.s.s, CR_FP_LEN);
	}
	set_avp_list(AVP_FP_CLASS, at_hand);
	return found;
}

int kam_fp_is_offered(const cr_fp_t *fp, struct sip_msg *msg)
{
	cr_fp_t offered = {0};
	int err;

	if(!kam_has_body(msg))
		return 1;
	err = kam_fp_offered(&offered, msg);
	return err == CR_OK && cr_fp_equal(fp, &offered);
}

/* Answers of a client are judged as its offers are: by what its side of the call is
 * bound to. Without a transaction only the message itself can say that. */
static int is_answer_allowed(struct sip_msg *msg)
{
	cr_fp_t fp = {0};
	int branch = -1, err;

	if(kam_tm.t_check(msg, &branch) == 1)
		return !expected(&fp, kam_tm.t_gett(), branch)
				|| kam_fp_is_offered(&fp, msg);
	if(!kam_has_body(msg) || kam_is_mapped_reply(msg))
		return 1;
	err = kam_fp_offered(&fp, msg);
	return is_media_allowed(&fp, err, msg);
}

/* ---- resume_check_media() ---------------------------------------------------- */

static int is_offer_allowed(struct sip_msg *msg)
{
	cr_fp_t fp = {0};
	int err = media_of(&fp, msg);

	return err == CR_EMISSING
			|| (kam_is_request_route() && is_media_allowed(&fp, err, msg));
}

int ki_resume_check_media(struct sip_msg *msg)
{
	static time_t said;
	int reply = msg->first_line.type == SIP_REPLY;
	char what[32] = "answer";
	time_t now;

	if(kam_config.bind_fingerprint == KAM_BIND_OFF
			|| (kam_is_read(msg)
					&& (reply ? is_answer_allowed(msg)
							  : is_offer_allowed(msg))))
		return 1;
	kam_count(KAM_FINGERPRINTS_REFUSED);
	/* Of its sender's making are as many as he likes. */
	if((now = time(NULL)) == said)
		return -1;
	said = now;
	if(!reply)
		cr_text_show(
				what, sizeof(what), kam_span(msg->first_line.u.request.method));
	LM_NOTICE("%s from %s refused: the call is bound to another certificate\n",
			what, ip_addr2a(&msg->rcv.src_ip));
	return -1;
}
