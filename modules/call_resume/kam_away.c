/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * While the client is away: what the far end sends in the meantime must neither wait
 * nor end the call.
 *
 *	BYE             200 at once: the call is over, whatever became of the client
 *	INVITE          491: the far end sends it again (RFC 3261 section 14.1); 500 when
 *	                it has done so for long
 *	all the others  500 with Retry-After (RFC 3261 section 21.5.1, for UPDATE RFC 3311
 *	                section 5.2); of the answers that may go to any method this one
 *	                leaves dialog and subscription alone (RFC 5057 section 5.1, RFC 6665
 *	                section 4.2.2)
 */
#include "kam_away.h"
#include "kam_abandoned.h"
#include "kam_early.h"
#include "kam_ended.h"
#include "kam_event.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_node.h"
#include "kam_pace.h"
#include "kam_pass.h"
#include "kam_pending.h"
#include "kam_route.h"
#include "kam_seal.h"
#include "kam_trust.h"

#include "../../core/dprint.h"
#include "../../core/script_cb.h"

#define FAR_END_AWAY "Far End Away"
#define RETRY_MAX 9 /* s, of a Retry-After */

/* What a transaction is, as far as its failure is concerned: some of these, which tm keeps
 * where others have a pointer. */
enum
{
	RESUMED = 1,   /* an INVITE that resumes a call */
	AGAIN = 2,     /* a new call in the place of one that both ends have lost */
	TO_CLIENT = 4, /* the receiver is a client that can resume */
	BY_CLIENT = 8, /* the sender is one */
	KNOWN = 16,    /* the sender is in this call */
};

/* The transaction whose failure has been answered here, for the callback that keeps
 * a failure_route from answering it too. By its names: where there is no failure_route it
 * stays, and another transaction may come to lie at the same address. */
static struct
{
	const struct cell *t;
	unsigned hash, label;
} answered;

static int is_answered(const struct cell *t)
{
	return t != NULL && t != T_UNDEFINED && answered.t == t
			&& answered.hash == t->hash_index && answered.label == t->label;
}

/* ---- answers ----------------------------------------------------------------------- */

static int method_of(const struct sip_msg *msg)
{
	return msg->first_line.u.request.method_value;
}

static int reply(struct sip_msg *msg, int code, const char *text)
{
	str reason = {(char *)text, (int)strlen(text)};

	return kam_sl.freply(msg, code, &reason);
}

/* A Contact under a key that we have not got says nothing about its sender. */
static void answer(struct sip_msg *msg, int resumed)
{
	int locked = kam_node_is_locked(msg);

	switch(method_of(msg)) {
		case METHOD_BYE:
			if(!locked)
				(void)ki_resume_ended(msg);
			reply(msg, 200, "OK");
			return;
		case METHOD_INVITE:
			/* A client that comes back itself is told: see resume_again(). */
			if(resumed || locked || !kam_pending_is_long(msg)) {
				reply(msg, 491, resumed ? FAR_END_AWAY : "Request Pending");
				return;
			}
			/* fall through */
		default:
			/* At random, as RFC 3311 section 5.2 wants it. */
			kam_put_retry_after(msg, RETRY_MAX);
			reply(msg, 500, "Client Away");
	}
}

int ki_resume_away(struct sip_msg *msg)
{
	if(msg->first_line.type != SIP_REQUEST || method_of(msg) == METHOD_ACK
			|| method_of(msg) == METHOD_CANCEL) {
		LM_ERR("resume_away() is for requests that have an answer\n");
		return -1;
	}
	if(kam_node_is_locked(msg))
		kam_node_report_locked();
	else if(kam_is_request_route() && !kam_has_transaction()
			&& kam_tm.t_newtran(msg) < 0)
		return -1;
	if(method_of(msg) == METHOD_BYE && kam_in_call(msg)) {
		kam_ended_note(msg);
		kam_event_over(msg);
	}
	answer(msg, kam_opened(msg)->open || kam_node_resumed(msg));
	return 1;
}

/* ---- failures ---------------------------------------------------------------------- */

/* Answers of a client that has lost its call to a request of a call that goes on, or
 * of whoever has its address now. Each would end the dialog (RFC 5057 section 5.1). */
static int is_away(int code)
{
	/* 430 is the word of a proxy in front of us (RFC 5626 section 11.5). */
	static const int codes[] = {404, 408, 410, 416, 430, 477, 478, 480, 481,
			482, 483, 484, 485, 502, 604};

	for(size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if(codes[i] == code)
			return 1;
	}
	return 0;
}

/* Whether the receiver has said that itself, and not tm in its place. */
static int is_its_word(const struct cell *t, int code)
{
	for(int i = 0; i < t->nr_of_outgoings; i++) {
		if(t->uac[i].last_received == code && t->uac[i].reply != NULL
				&& t->uac[i].reply != FAKED_REPLY)
			return 1;
	}
	return 0;
}

/* A far end that hangs up is gone, whatever becomes of its BYE. A page that does so may be
 * one whose call another page has resumed: its CSeq is too low then (RFC 3261 section
 * 12.2.2), and the call goes on. */
static int is_over(
		const struct cell *t, const struct sip_msg *req, unsigned is, int code)
{
	return method_of(req) == METHOD_BYE
			&& !((is & BY_CLIENT) && is_its_word(t, code));
}

/* @return 1 when it has been answered */
static int to_client_failed(
		struct cell *t, struct sip_msg *req, unsigned is, int code)
{
	if(was_cancelled(t) && is_away(code))
		return reply(req, 487, "Request Terminated") > 0;
	if(!is_away(code) && !is_over(t, req, is, code)) {
		if(method_of(req) == METHOD_BYE && (is & KNOWN))
			kam_ended_forget(req);
		return 0;
	}
	if(method_of(req) == METHOD_BYE && (is & KNOWN))
		kam_event_over(req);
	answer(req, (is & RESUMED) != 0);
	return 1;
}

static int failed(struct cell *t, struct sip_msg *req, unsigned is, int code)
{
	if((is & AGAIN) && !was_cancelled(t) && is_away(code)) {
		kam_event_over(req);
		return reply(req, 491, FAR_END_AWAY) > 0;
	}
	if((is & TO_CLIENT) && to_client_failed(t, req, is, code))
		return 1;
	/* It came too late: the far end has no such call any more, or is gone itself. */
	if((is & RESUMED) && (code == 481 || code == 408)) {
		kam_event_over(req);
		return reply(req, 481, KAM_ENDED_WHILE_AWAY) > 0;
	}
	return 0;
}

static void on_failure(struct cell *t, int type, struct tmcb_params *ps)
{
	unsigned is = (unsigned)(uintptr_t)*ps->param;

	(void)type;
	if(ps->req != NULL && failed(t, ps->req, is, ps->code)) {
		answered.t = t;
		answered.hash = t->hash_index;
		answered.label = t->label;
	}
}

/* In front of a failure_route of the script. @return 0: leave it out */
static int before_failure(struct sip_msg *msg, unsigned int flags, void *param)
{
	int ours = is_answered(kam_tm.t_gett());

	(void)msg;
	(void)flags;
	(void)param;
	answered.t = NULL;
	return !ours;
}

static int watch(struct sip_msg *msg, unsigned what)
{
	if(kam_tm.register_tmcb(msg, 0, TMCB_ON_FAILURE, on_failure,
			   (void *)(uintptr_t)what, NULL)
			> 0)
		return 0;
	LM_ERR("cannot watch what becomes of a request\n");
	return -1;
}

int kam_away_watch_again(struct sip_msg *msg)
{
	return watch(msg, AGAIN);
}

int ki_resume_within_dialog(struct sip_msg *msg)
{
	int resumed = kam_opened(msg)->open || kam_node_resumed(msg);
	int to_client = kam_is_to_client(msg), by_client = kam_is_by_client(msg);
	int known, ret = ki_resume_seal(msg);

	kam_abandoned_watch(msg);
	kam_node_leave(msg);
	kam_know_to_client(msg, to_client);
	/* (Anybody can write that a Route of his is a client's.) */
	if(method_of(msg) == METHOD_ACK && by_client && kam_in_call(msg))
		kam_unheard_resumed(&msg->callid->body);
	if(kam_pass_hide(msg) < 0)
		return -1;
	if((method_of(msg) & (METHOD_ACK | METHOD_CANCEL))
			|| !(resumed || to_client))
		return ret;
	known = kam_in_call(msg);
	/* Whoever answers it, and when: the client may be back before. */
	if(method_of(msg) == METHOD_BYE && to_client && known)
		kam_ended_note(msg);
	if(method_of(msg) == METHOD_BYE && known)
		kam_unheard_forget(&msg->callid->body);
	if(resumed && method_of(msg) == METHOD_INVITE && kam_ended_watch(msg) < 0)
		LM_ERR("a resume will not be told at once that its call ends\n");
	if(watch(msg,
			   (resumed ? RESUMED : 0) | (to_client ? TO_CLIENT : 0)
					   | (by_client ? BY_CLIENT : 0) | (known ? KNOWN : 0))
			< 0)
		return -1;
	return ret;
}

int kam_away_init(void)
{
	if(!kam_config.manage)
		return 0;
	return register_script_cb(before_failure, PRE_SCRIPT_CB | FAILURE_CB, NULL);
}
