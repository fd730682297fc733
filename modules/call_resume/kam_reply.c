/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Replies, in front of the script. One is acted on when its question was asked here, or
 * when it proves itself: with the map on the client's Via, or the session reference in
 * its Record-Route. So it is still good to a Kamailio that died and came back while the
 * far end was thinking; it finds its way to the client by its Vias, in the client's
 * names, over a connection that is there. Only its SDP needs the script. (An offer in
 * it, when the INVITE had none, cannot be told from an answer any more.)
 */
#include "kam_reply.h"
#include "kam_connect.h"
#include "kam_early.h"
#include "kam_edge.h"
#include "kam_event.h"
#include "kam_fingerprint.h"
#include "kam_message.h"
#include "kam_push.h"
#include "kam_trust.h"

#include "../../core/data_lump.h"
#include "../../core/dprint.h"
#include "../../core/msg_translator.h"
#include "../../core/script_cb.h"
#include "../../core/parser/parse_content.h"
#include "../../core/parser/parse_cseq.h"

#include "core/sip.h"

/* Whether something is done for it, or it would be sent on. With one Via alone it is for this
 * Kamailio, and tm finds its transaction all the same. */
static int leads_on(struct sip_msg *msg)
{
	return (parse_headers(msg, HDR_VIA2_F, 0) == 0 && msg->via2 != NULL)
			|| kam_has_been_asked(msg);
}

/* 0: none that could hold an answer */
static int method_answered(struct sip_msg *msg)
{
	if(msg->REPLY_STATUS >= 300 || parse_headers(msg, HDR_CSEQ_F, 0) < 0
			|| msg->cseq == NULL)
		return 0;
	return (int)get_cseq(msg)->method_id
			& (METHOD_INVITE | METHOD_UPDATE | METHOD_PRACK);
}

static int is_answer(struct sip_msg *msg)
{
	return msg->REPLY_STATUS >= 200 && method_answered(msg) == METHOD_INVITE;
}

/* To the side that asked it is a reply without an answer; the call stays as it was. */
static int remove_answer(struct sip_msg *msg)
{
	int at;

	if(!kam_has_body(msg))
		return 0;
	at = (int)(get_body(msg) - msg->buf);
	if(del_lump(msg, at, (int)msg->len - at, 0) == NULL
			|| kam_remove_headers(msg, CR_SPAN("Content-Type")) < 0)
		return -1;
	return sip_msg_apply_changes(msg) == 1 ? 0 : -1;
}

/* @return 0: nobody shall see it */
static int may_be_seen(struct sip_msg *msg)
{
	if(!leads_on(msg))
		return 1;
	if(ki_resume_check_reply(msg) < 0)
		return 0;
	if(ki_resume_check_media(msg) < 0 && remove_answer(msg) < 0)
		return 0;
	if(kam_has_transaction()) {
		/* A client has answered: now all of its state is known. */
		if(kam_config.push && is_answer(msg))
			(void)ki_resume_push(msg);
	} else if(is_answer(msg)
			|| (method_answered(msg) != 0 && kam_has_body(msg))) {
		kam_event_answer(msg);
		if(is_answer(msg))
			kam_unheard_expect(&(kam_unheard_t){.stray = 1});
	}
	return 1;
}

/* The transaction that was found here is kept for tm, which lets go of it, but never sees
 * a reply that is dropped in front of it: here, or by a reply_route. */
static int after_reply(struct sip_msg *msg, unsigned int flags, void *param)
{
	(void)flags;
	(void)param;
	(void)kam_tm.t_unref(msg);
	kam_unheard_settle();
	kam_early_hear();
	return 1;
}

static int before_reply(struct sip_msg *msg, unsigned int flags, void *param)
{
	/* The script has answered a request itself. */
	kam_early_settle(CR_SPAN(""));
	if(may_be_seen(msg))
		return 1;
	kam_unheard_drop();
	/* Then nothing that waits for the end of the script is called. */
	(void)after_reply(msg, flags, param);
	kam_connect_off();
	kam_edge_script_over();
	return 0;
}

int kam_reply_init(void)
{
	if(register_script_cb(after_reply, POST_SCRIPT_CB | ONREPLY_CB, NULL) < 0)
		return -1;
	if(!kam_config.manage)
		return 0;
	return register_script_cb(before_reply, PRE_SCRIPT_CB | ONREPLY_CB, NULL);
}
