/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are back while the call that they have begun rings. Their INVITE waits for
 * the end of the first one's transaction, and hears ringing. A failure is its answer too;
 * of an answered call it gets the state, and comes once more. What is kept for that goes
 * with the transactions.
 */
#include "kam_early.h"
#include "kam_env.h"
#include "kam_event.h"
#include "kam_message.h"
#include "kam_resume.h"
#include "kam_stat.h"

#include "../../core/atomic_ops.h"
#include "../../core/data_lump_rpl.h"
#include "../../core/dprint.h"
#include "../../core/parser/parse_cseq.h"
#include "../../core/parser/parse_from.h"
#include "../../core/timer.h"
#include "../../core/mem/shm_mem.h"

#include "core/screen.h"

#define WAITING_MAX 8 /* clients that an answer is relayed to at a time */
#define MARGIN_MS 5000

/* A transaction of tm, and of one that waits whether it has been told. */
typedef struct name
{
	unsigned index, label;
	ticks_t fr; /* how long an answer to it waits for its ACK */
	atomic_t told;
	atomic_t hears; /* what the far end plays */
	atomic_t asked; /* the media server, for that */
} name_t;

/* Who waits for the answer that this process relays. */
static struct
{
	int n;
	name_t of[WAITING_MAX];
} waiting;

/* ---- transactions ------------------------------------------------------------------ */

int kam_early_is_of(struct cell *t, const cr_state_t *st)
{
	struct sip_msg *m = t->uas.request;
	unsigned cseq;

	return m != NULL && m->callid != NULL && m->cseq != NULL && m->from != NULL
			&& m->cseq->parsed != NULL && m->from->parsed != NULL
			&& m->REQ_METHOD == METHOD_INVITE
			&& cr_span_eq(kam_span(m->callid->body), st->call_id)
			&& cr_span_eq(kam_span(get_from(m)->tag_value), st->local_tag)
			&& str2int(&get_cseq(m)->number, &cseq) == 0
			&& (int64_t)cseq == st->cseq;
}

static struct cell *find_ringing(const cr_state_t *st)
{
	uint64_t n = (uint64_t)st->ringing - 1;
	struct cell *t;

	if(st->ringing <= 0 || n >> 32 >= TABLE_ENTRIES)
		return NULL;
	t = kam_find_transaction((unsigned)(n >> 32), (unsigned)(n & 0xffffffff));
	/* The number may be one of before a restart, or of another node. */
	if(t != NULL && !kam_early_is_of(t, st)) {
		kam_tm.unref_cell(t);
		t = NULL;
	}
	return t;
}

/* ---- the end of the waiting -------------------------------------------------------- */

/* What the one that waits hears of a failure: that the call has ended, and not how another
 * one of its requests has to be made, or that it should come again. */
static int code_for(int code)
{
	static const int plain[] = {404, 408, 410, 480, 484, 486, 487, 488};

	for(size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if(plain[i] == code)
			return code;
	}
	return code >= 600 ? code : 480;
}

static const char *reason_for(int code)
{
	switch(code) {
		case 486:
		case 600:
			return "Busy Here";
		case 487:
			return "Request Terminated";
		case 603:
			return "Decline";
		case 408:
			return "Request Timeout";
		default:
			return "Not Answered";
	}
}

/* A final answer to who waits, unless he has had one. */
static void answer(
		const name_t *name, int code, const char *text, cr_span_t fields)
{
	kam_answer_transaction(name->index, name->label, name->fr, code, text,
			fields, CR_SPAN(""));
}

static void tell_answered(const name_t *name, cr_span_t state)
{
	char mem[CR_JWE_MAX + 128];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	if(state.len > 0) {
		cr_put_str(&w, CR_HDR_STATE ": ");
		cr_screen_mark(&w, kam_env());
		cr_put_span(&w, state);
		cr_put_str(&w, "\r\n");
	} else {
		cr_put_str(&w, "Retry-After: 1\r\n");
	}
	if(cr_writer_end(&w) == CR_OK)
		answer(name, 500, "Call Answered", cr_written(&w));
}

static void tell_refused(const name_t *name, int code)
{
	answer(name, code_for(code), reason_for(code), CR_SPAN(""));
}

static int is_first_to_tell(name_t *name)
{
	return atomic_add(&name->told, 1) == 1;
}

/* The first INVITE's transaction has its end. */
static void on_end(struct cell *t, int type, struct tmcb_params *ps)
{
	name_t *name = *ps->param;

	(void)type;
	if(ps->code < 200)
		return;
	if(ps->code >= 300 && atomic_get(&name->asked) != 0)
		kam_event_call_over(t);
	if(!is_first_to_tell(name))
		return;
	if(ps->code >= 300) {
		tell_refused(name, ps->code);
	} else if(waiting.n < WAITING_MAX) {
		waiting.of[waiting.n++] = *name;
	}
}

int kam_early_waits(void)
{
	return waiting.n > 0;
}

void kam_early_settle(cr_span_t state)
{
	while(waiting.n > 0)
		tell_answered(&waiting.of[--waiting.n], state);
}

/* ---- hanging up -------------------------------------------------------------------- */

/* Who waits hangs up on the call that rings; who has had his answer does not (RFC 3261
 * section 9.2): another one may be waiting. */
static void on_cancel(struct cell *t, int type, struct tmcb_params *ps)
{
	const name_t *name = *ps->param;
	struct cell *first = t->uas.status < 200
			? kam_find_transaction(name->index, name->label)
			: NULL;
	struct cancel_info what;

	(void)type;
	if(first == NULL)
		return;
	if(first->uas.status < 200) {
		init_cancel_info(&what);
		kam_tm.prepare_to_cancel(first, &what.cancel_bitmap, 0);
		first->flags |= T_CANCELED;
		kam_tm.cancel_uacs(first, &what, 0);
	}
	kam_tm.unref_cell(first);
}

/* ---- waiting ----------------------------------------------------------------------- */

static void release(void *name)
{
	shm_free(name);
}

/* @return 0 or -1 */
static int watch(
		struct cell *t, int type, transaction_cb what, const struct cell *other)
{
	name_t *name = shm_malloc(sizeof(*name));

	if(name == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	*name = (name_t){.index = other->hash_index,
			.label = other->label,
			.fr = t->fr_timeout};
	if(kam_tm.register_tmcb(NULL, t, type, what, name, release) > 0)
		return 0;
	LM_ERR("cannot watch a transaction\n");
	shm_free(name);
	return -1;
}

/* SIP.js wants a Contact in it. */
static int say_ringing(struct sip_msg *msg, struct cell *t, cr_span_t target)
{
	char mem[CR_TARGET_MAX + 32];
	cr_writer_t w = cr_writer(mem, sizeof(mem));

	cr_put_str(&w, "Contact: <");
	cr_put_span(&w, target);
	cr_put_str(&w, ">\r\n");
	if(cr_writer_end(&w) == CR_OK)
		add_lump_rpl(msg, mem, (int)w.len, LUMP_RPL_HDR);
	return kam_tm.t_reply(msg, 180, "Ringing");
}

/* It stays for a little longer than the other one can. */
static int suspend(
		struct sip_msg *msg, struct cell *t, const struct cell *first)
{
	unsigned index, label;
	int ret;

	t->fr_timeout = first->fr_inv_timeout + MS_TO_TICKS(MARGIN_MS);
	ret = kam_tm.t_suspend(msg, &index, &label);
	t->flags &= ~T_ASYNC_SUSPENDED;
	return ret;
}

/* The end may have come before it was watched. */
static void look_again(struct cell *t, struct cell *first, const cr_state_t *st,
		kam_kept_t kept)
{
	const name_t name = {
			.index = t->hash_index, .label = t->label, .fr = first->fr_timeout};
	char jwe[CR_JWE_MAX + 1];
	int status = first->uas.status;

	if(status >= 300)
		tell_refused(&name, status);
	else if(status >= 200)
		tell_answered(&name, (cr_span_t){jwe, kept(jwe, st, 1)});
}

/* A page that is back once more has left the one before: one waits, or a client could have
 * as many transactions as it can send INVITEs while it rings. tm puts each callback in
 * front of the older ones. */
static void end_older(struct cell *first, const struct cell *t)
{
	int is_older = 0;

	for(volatile struct tm_callback *c = first->tmcb_hl.first; c != NULL;
			c = c->next) {
		name_t *name = c->param;

		if(c->callback != on_end)
			continue;
		if(!is_older) {
			is_older = name->index == t->hash_index && name->label == t->label;
			continue;
		}
		if(!is_first_to_tell(name))
			return;
		answer(name, 500, "Back Elsewhere", CR_SPAN(""));
	}
}

/* The call may end at the same time, and the media server have an offer behind that end: then one
 * of the two processes has it end its media once more. */
static void play(struct cell *first, name_t *name)
{
	atomic_set(&name->asked, 1);
	membar();
	if(!kam_early_media_play(first, name->index, name->label))
		atomic_set(&name->hears, 0);
	if(first->uas.status >= 300)
		kam_event_call_over(first);
}

/* The newest one waits, if any. */
static void hear(struct cell *first)
{
	for(volatile struct tm_callback *c = first->tmcb_hl.first; c != NULL;
			c = c->next) {
		name_t *name = c->param;

		if(c->callback != on_end)
			continue;
		if(atomic_get(&name->told) == 0 && atomic_add(&name->hears, 1) == 1)
			play(first, name);
		return;
	}
}

void kam_early_hear(void)
{
	struct cell *first = kam_early_media_begun();

	if(first == NULL)
		return;
	hear(first);
	kam_tm.unref_cell(first);
}

static int fail(kam_opened_t *o)
{
	o->code = 500;
	o->reason = "Server Internal Error";
	return -1;
}

/* @return 0: it waits; -1: refused */
static int wait_for(struct sip_msg *msg, kam_opened_t *o, struct cell *first,
		kam_kept_t kept)
{
	int made = kam_tm.t_newtran(msg);
	struct cell *t = kam_tm.t_gett();

	/* 0: a copy, and its transaction waits already. */
	if(made == 0)
		return 0;
	if(made < 0 || t == NULL || t == T_UNDEFINED)
		return fail(o);
	if(watch(t, TMCB_E2ECANCEL_IN, on_cancel, first) < 0
			|| say_ringing(msg, t, o->state.target) < 0
			|| suspend(msg, t, first) < 0
			|| watch(first, TMCB_RESPONSE_READY, on_end, t) < 0) {
		LM_ERR("a client that is back cannot wait for its call\n");
		return fail(o);
	}
	kam_count(KAM_CALLERS_WAITED);
	LM_INFO("a client is back while its call rings\n");
	end_older(first, t);
	look_again(t, first, &o->state, kept);
	hear(first);
	return 0;
}

/* An answer that nobody has acknowledged comes again, and then its state is known. */
static int not_yet(struct sip_msg *msg, kam_opened_t *o)
{
	static const char again[] = "Retry-After: 1\r\n";

	add_lump_rpl(msg, (char *)again, sizeof(again) - 1, LUMP_RPL_HDR);
	o->code = 500;
	o->reason = "Call Answered";
	return -2;
}

int kam_early_join(struct sip_msg *msg, kam_opened_t *o, kam_kept_t kept)
{
	struct cell *first = find_ringing(&o->state);
	int status, ret = 1;

	/* Answered a while ago, or by a Kamailio that is no more. */
	if(first == NULL)
		return 1;
	status = first->uas.status;
	if(status < 200) {
		ret = wait_for(msg, o, first, kept);
	} else if(status < 300) {
		ret = not_yet(msg, o);
	} else {
		o->code = code_for(status);
		o->reason = reason_for(status);
		ret = -2;
	}
	kam_tm.unref_cell(first);
	return ret;
}
