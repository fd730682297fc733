/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * resume_label(): what the media server keeps of a call, so that a client which does not come
 * back can be told from one that does, and its call be ended, by whatever node.
 */
#include "kam_label.h"
#include "kam_abandoned.h"
#include "kam_env.h"

#include "../../core/dprint.h"
#include "../../core/msg_translator.h"
#include "../../core/parser/parse_cseq.h"

#include "core/label.h"

static char label[CR_BOX_TEXT_MAX];
static size_t label_len;

static int is_answer(struct sip_msg *msg)
{
	return msg->first_line.type == SIP_REPLY
			&& msg->first_line.u.reply.statuscode >= 200
			&& msg->first_line.u.reply.statuscode < 300
			&& parse_headers(msg, HDR_CSEQ_F, 0) == 0 && msg->cseq != NULL
			&& (get_cseq(msg)->method_id & (METHOD_INVITE | METHOD_UPDATE));
}

/* What the script has made of the Contact counts. */
static int apply_changes(struct sip_msg *msg)
{
	if(msg->add_rm == NULL && msg->body_lumps == NULL)
		return 0;
	return sip_msg_apply_changes(msg) == 1 ? 0 : -1;
}

static int make(const cr_env_t *env, struct sip_msg *msg, const struct cell *t,
		const struct retr_buf *sent)
{
	static cr_sip_t reply, request, received;
	cr_label_t what;
	int err;

	err = cr_sip_parse(&reply, (cr_span_t){msg->buf, msg->len});
	if(err == CR_OK)
		err = cr_sip_parse(
				&request, (cr_span_t){sent->buffer, sent->buffer_len});
	if(err == CR_OK)
		err = cr_sip_parse(&received,
				(cr_span_t){t->uas.request->buf, t->uas.request->len});
	if(err == CR_OK)
		err = cr_label_read(&what, &reply, &request, &received);
	return err == CR_OK
			? cr_label_seal(label, sizeof(label), env, reply.call_id, &what)
			: err;
}

/* A client can write a From for it in each of its calls: told of once a second. */
static void report(int err)
{
	static time_t said;
	time_t now = time(NULL);

	if(now == said)
		return;
	said = now;
	LM_NOTICE("a call that will not be ended when its client does not come"
			  " back: %s\n",
			cr_strerror(err));
}

int ki_resume_label(struct sip_msg *msg)
{
	struct cell *t = kam_tm.t_gett();
	const cr_env_t *env = kam_env();
	int branch = kam_tm.t_gett_branch(), len;

	label_len = 0;
	if(!kam_abandoned_is_on() || env == NULL || !is_answer(msg))
		return -1;
	if(t == NULL || t == T_UNDEFINED || t->uas.request == NULL || branch < 0
			|| branch >= t->nr_of_outgoings
			|| t->uac[branch].request.buffer == NULL || apply_changes(msg) < 0)
		return -1;
	len = make(env, msg, t, &t->uac[branch].request);
	if(len > 0) {
		label_len = (size_t)len;
		return 1;
	}
	/* A re-INVITE of the far end: what there is stays good. */
	if(len != CR_EMISSING)
		report(len);
	return -1;
}

cr_span_t kam_label(void)
{
	return (cr_span_t){label, label_len};
}
