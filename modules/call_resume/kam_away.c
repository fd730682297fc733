/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * While the client is away: what the far end sends in the meantime must neither wait
 * nor end the call.
 *
 *	BYE             200 at once: the call is over, whatever became of the client
 *	INVITE          491: the far end sends it again (RFC 3261 section 14.1)
 *	all the others  500 with Retry-After (RFC 3261 section 21.5.1, for UPDATE RFC 3311
 *	                section 5.2); of the answers that may go to any method this one
 *	                leaves dialog and subscription alone (RFC 5057 section 5.1, RFC 6665
 *	                section 4.2.2)
 */
#include "kam.h"
#include "kam_ended.h"
#include "kam_event.h"

#include "../../core/dprint.h"
#include "../../core/data_lump_rpl.h"
#include "../../core/script_cb.h"
#include "../../core/mem/shm_mem.h"

#define FAR_END_AWAY "Far End Away"
#define RETRY_MAX 9 /* s, of a Retry-After */

/* What a transaction is, as far as its failure is concerned; in shared memory as long
 * as it. */
typedef struct watched
{
	int resumed;   /* an INVITE that resumes a call */
	int again;     /* a new call in the place of one that both ends have lost */
	int to_client; /* the receiver is a client that can resume */
	int by_client; /* the sender is one */
	int known;     /* the sender is in this call */
} watched_t;

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

/* At random, as RFC 3311 section 5.2 wants it, so that not all come again at once. */
static void put_retry_after(struct sip_msg *msg)
{
	char mem[32];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	uint8_t n = 0;

	if(cr_random(&n, sizeof(n)) != CR_OK)
		n = 0;
	cr_put_str(&w, "Retry-After: ");
	cr_put_uint(&w, 1 + n % RETRY_MAX);
	cr_put_str(&w, "\r\n");
	if(cr_writer_end(&w) == CR_OK)
		add_lump_rpl(msg, mem, (int)w.len, LUMP_RPL_HDR);
}

static void answer(struct sip_msg *msg, int resumed)
{
	switch(method_of(msg)) {
		case METHOD_BYE:
			(void)ki_resume_ended(msg);
			reply(msg, 200, "OK");
			return;
		case METHOD_INVITE:
			/* A client that comes back itself is told: see resume_again(). */
			reply(msg, 491, resumed ? FAR_END_AWAY : "Request Pending");
			return;
		default:
			put_retry_after(msg);
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
	if(kam_is_request_route() && !kam_has_transaction()
			&& kam_tm.t_newtran(msg) < 0)
		return -1;
	if(method_of(msg) == METHOD_BYE && kam_in_call(msg)) {
		kam_ended_note(msg);
		kam_event_over(msg);
	}
	answer(msg, kam_opened(msg)->open);
	return 1;
}

/* ---- failures ------------------------------------------------------------------------ */

/* Answers of a client that has lost its call to a request of a call that goes on, or
 * of whoever has its address now. Each would end the dialog (RFC 5057 section 5.1). */
static int is_away(int code)
{
	static const int codes[] = {404, 408, 410, 416, 477, 478, 480, 481, 482,
			483, 484, 485, 502, 604};

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
static int is_over(const struct cell *t, const struct sip_msg *req,
		const watched_t *w, int code)
{
	return method_of(req) == METHOD_BYE
			&& !(w->by_client && is_its_word(t, code));
}

/* @return 1 when it has been answered */
static int to_client_failed(
		struct cell *t, struct sip_msg *req, const watched_t *w, int code)
{
	if(was_cancelled(t) && is_away(code))
		return reply(req, 487, "Request Terminated") > 0;
	if(!is_away(code) && !is_over(t, req, w, code)) {
		if(method_of(req) == METHOD_BYE && w->known)
			kam_ended_forget(req);
		return 0;
	}
	if(method_of(req) == METHOD_BYE && w->known)
		kam_event_over(req);
	answer(req, w->resumed);
	return 1;
}

static int failed(
		struct cell *t, struct sip_msg *req, const watched_t *w, int code)
{
	if(w->again && !was_cancelled(t) && is_away(code)) {
		kam_event_over(req);
		return reply(req, 491, FAR_END_AWAY) > 0;
	}
	if(w->to_client && to_client_failed(t, req, w, code))
		return 1;
	/* It came too late: the far end has no such call any more, or is gone itself. */
	if(w->resumed && (code == 481 || code == 408)) {
		kam_event_over(req);
		return reply(req, 481, "Call Ended While Away") > 0;
	}
	return 0;
}

static void on_failure(struct cell *t, int type, struct tmcb_params *ps)
{
	const watched_t *w = *ps->param;

	(void)type;
	if(ps->req != NULL && failed(t, ps->req, w, ps->code)) {
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

static void release(void *w)
{
	shm_free(w);
}

static int watch(struct sip_msg *msg, watched_t what)
{
	watched_t *w = shm_malloc(sizeof(*w));

	if(w == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	*w = what;
	if(kam_tm.register_tmcb(msg, 0, TMCB_ON_FAILURE, on_failure, w, release)
			> 0)
		return 0;
	LM_ERR("cannot watch what becomes of a request\n");
	shm_free(w);
	return -1;
}

int kam_away_watch_again(struct sip_msg *msg)
{
	return watch(msg, (watched_t){.again = 1});
}

/* Of the message that resume_within_dialog() was called for last. */
static int *to_client(struct sip_msg *msg)
{
	static kam_message_t last;
	static int is;

	if(kam_is_other_message(&last, msg))
		is = -1;
	return &is;
}

int kam_goes_to_client(struct sip_msg *msg)
{
	return *to_client(msg) >= 0 ? *to_client(msg) : kam_is_to_client(msg);
}

int ki_resume_within_dialog(struct sip_msg *msg)
{
	watched_t what = {
			.resumed = kam_opened(msg)->open,
			.to_client = kam_is_to_client(msg),
			.by_client = kam_is_by_client(msg),
	};
	int ret = ki_resume_seal(msg);

	*to_client(msg) = what.to_client;
	if((method_of(msg) & (METHOD_ACK | METHOD_CANCEL))
			|| !(what.resumed || what.to_client))
		return ret;
	what.known = kam_in_call(msg);
	/* Whoever answers it, and when: the client may be back before. */
	if(method_of(msg) == METHOD_BYE && what.to_client && what.known)
		kam_ended_note(msg);
	return watch(msg, what) < 0 ? -1 : ret;
}

int kam_away_init(void)
{
	if(!kam_config.manage)
		return 0;
	return register_script_cb(before_failure, PRE_SCRIPT_CB | FAILURE_CB, NULL);
}
