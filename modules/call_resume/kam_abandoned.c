/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls whose client does not come back. The media server knows which side of a call has
 * been silent for how long, and keeps for us how to end it (kam_label.c). One process of this
 * Kamailio asks it now and then, and where a client has been silent for too long, and is not
 * connected, hangs up in its place (kam_hang_up.c).
 */
#include "kam_abandoned.h"
#include "kam_ended.h"
#include "kam_env.h"
#include "kam_event.h"
#include "kam_hang_up.h"
#include "kam_ng.h"
#include "kam_route.h"
#include "kam_shared.h"
#include "kam_there.h"

#include "../../core/dprint.h"
#include "../../core/locking.h"
#include "../../core/timer.h"
#include "../../core/timer_proc.h"
#include "../../core/mem/shm_mem.h"

#include "core/legs.h"
#include "core/seal.h"
#include "core/text.h"

#define EVERY_MAX 10 /* s, between two questions */
/* In a cluster all nodes see that a client is silent, and one hangs up: each waits so many seconds
 * longer for every one in front of it. By then the BYE of that one has been answered, or has had
 * its time (RFC 3261 section 17.1.2.2: 32 s). */
#define HOLD_S 40
static kam_ng_t server[KAM_NG_SERVERS_MAX];
static cr_clock_t clocks[KAM_NG_SERVERS_MAX];
static int n_servers;
static ticks_t started; /* the looks */

int kam_abandoned_is_on(void)
{
	return kam_config.abandoned_after > 0;
}

/* ---- which calls ------------------------------------------------------------------- */

#define COPY(field, text) cr_text_show(field, sizeof(field), text)

static void fill(kam_gone_t *g, const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref)
{
	const cr_party_t *own = &label->party[side];
	const cr_party_t *far = &label->party[!side];

	memset(g, 0, sizeof(*g));
	COPY(g->e.sub, ref->sub);
	COPY(g->e.sid, ref->sid);
	COPY(g->e.call_id, call_id);
	COPY(g->e.local_uri, own->uri);
	COPY(g->e.local_tag, own->tag);
	COPY(g->e.remote_uri, far->uri);
	COPY(g->far_tag, far->tag);
	g->e.start = ref->start;
	g->e.role = side == CR_SIDE_CALLER ? "caller" : "callee";
	if(cr_session_id(
			   g->e.id, env->crypto, call_id, label->party[CR_SIDE_CALLER].tag)
			!= CR_OK)
		g->e.id[0] = '\0';
}

/* A page that is coming back registers before it sends its INVITE: that is either told
 * that its call has ended, or seen here. */
static void end(const cr_env_t *env, const cr_label_t *label, cr_span_t call_id,
		cr_side_t side, const cr_ref_t *ref, int64_t silent_s)
{
	cr_span_t tag = label->party[side].tag;
	cr_span_t far_tag = label->party[!side].tag;
	kam_gone_t g;

	if(kam_ended_is_call(call_id, tag, far_tag)
			|| kam_is_there(ref->sub, ref->sid))
		return;
	kam_ended_note_call(call_id, tag, far_tag);
	if(kam_is_there(ref->sub, ref->sid)) {
		kam_ended_forget_call(call_id, tag, far_tag);
		return;
	}
	fill(&g, env, label, call_id, side, ref);
	g.silent_s = g.e.away = (int)silent_s;
	kam_hang_up(env, label, call_id, side, ref, &g);
}

/* After a start the clients have had no time to come back. */
static int is_early(void)
{
	return get_ticks() - started < (ticks_t)kam_config.abandoned_after;
}

/* Whether a client has been silent for too long. What it has said about leaving was said since
 * the start. */
static int is_gone(const cr_label_t *label, cr_span_t call_id, cr_side_t side,
		const cr_ref_t *ref, int64_t silent_s)
{
	int64_t longer_s = silent_s - kam_config.abandoned_after;

	if(longer_s >= 0 && !is_early()
			&& longer_s >= HOLD_S * kam_nodes_in_front(ref->sub, ref->sid))
		return 1;
	return silent_s >= kam_config.leaving_after
			&& kam_ended_is_leaving(
					call_id, label->party[side].tag, label->party[!side].tag);
}

/* What is done about a client of a call.
 * @param silent_s  for how long it has been silent */
typedef void found_f(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		int64_t silent_s, void *param);

static void end_silent(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		int64_t silent_s, void *param)
{
	(void)param;
	if(is_gone(label, call_id, side, ref, silent_s))
		end(env, label, call_id, side, ref, silent_s);
}

static void look_at_side(const cr_env_t *env, const json_t *answer,
		const cr_label_t *label, cr_span_t call_id, cr_side_t side, int64_t now,
		found_f *found, void *param)
{
	static uint8_t mem[CR_BOX_PLAIN_MAX];
	cr_span_t gateway;
	int64_t last;
	cr_ref_t ref;

	if(cr_legs_last(&last, answer, label->party[side].tag) == CR_OK
			&& cr_label_client(&ref, mem, &gateway, env, label, call_id, side)
					== CR_OK
			/* Where calls have another address it is for the nodes that have it. */
			&& kam_is_own(gateway))
		found(env, label, call_id, side, &ref, now > last ? now - last : 0,
				param);
}

/* @param now  by the clock of the media server; 0: nothing is done
 * @return the newest time that it tells; 0: it has no such call */
static int64_t look_at_call(kam_ng_t *at, const char *call_id, int64_t now,
		found_f *found, void *param)
{
	static uint8_t mem[CR_BOX_PLAIN_MAX];
	json_t *answer = kam_ng_ask(
			at, json_pack("{ssss}", "command", "query", "call-id", call_id));
	const cr_env_t *env = kam_env();
	cr_label_t label;
	int64_t newest;

	if(answer == NULL)
		return 0;
	newest = cr_legs_newest(answer);
	if(env != NULL && now > 0
			&& cr_legs_label(&label, mem, env, answer, cr_span_str(call_id))
					== CR_OK) {
		for(int side = 0; side < CR_SIDES; side++)
			look_at_side(env, answer, &label, cr_span_str(call_id),
					(cr_side_t)side, now, found, param);
	}
	json_decref(answer);
	return newest;
}

/* @return the newest time of all calls */
static int64_t look_at_calls(kam_ng_t *at, const json_t *calls, int64_t now,
		found_f *found, void *param)
{
	int64_t newest = 0, one;
	const json_t *call;
	size_t i;

	json_array_foreach(calls, i, call)
	{
		if(json_string_value(call) == NULL)
			continue;
		one = look_at_call(at, json_string_value(call), now, found, param);
		newest = one > newest ? one : newest;
	}
	return newest;
}

/* ---- by hand ----------------------------------------------------------------------- */

#define ASKED_MAX 16

/* Calls that somebody has asked to end, for the process that looks: the one that was asked may
 * be in the middle of a message. */
static struct
{
	gen_lock_t lock;
	int n;
	char call_id[ASKED_MAX][KAM_EVENT_TEXT_MAX + 1];
} * asked;

static int take_asked(char call_id[KAM_EVENT_TEXT_MAX + 1])
{
	int taken;

	lock_get(&asked->lock);
	taken = asked->n > 0;
	if(taken)
		memcpy(call_id, asked->call_id[--asked->n], KAM_EVENT_TEXT_MAX + 1);
	lock_release(&asked->lock);
	return taken;
}

static void end_any(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		int64_t silent_s, void *param)
{
	(void)param;
	end(env, label, call_id, side, ref, silent_s);
}

static void end_asked(void)
{
	char call_id[KAM_EVENT_TEXT_MAX + 1];

	while(take_asked(call_id)) {
		for(int i = 0; i < n_servers; i++) {
			int64_t newest = look_at_call(&server[i], call_id, 0, NULL, NULL);

			if(newest > 0)
				(void)look_at_call(&server[i], call_id, newest, end_any, NULL);
		}
	}
}

typedef struct told
{
	rpc_t *rpc;
	void *ctx;
	int least_s; /* silent for so long */
	int n;
	int there; /* of these, how many have a client that is connected */
} told_t;

static void tell(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		int64_t silent_s, void *param)
{
	told_t *t = param;
	int there = kam_is_there(ref->sub, ref->sid);
	kam_gone_t g;
	void *h;

	if(silent_s < t->least_s)
		return;
	t->n++;
	t->there += there;
	if(t->rpc == NULL || t->rpc->add(t->ctx, "{", &h) < 0)
		return;
	fill(&g, env, label, call_id, side, ref);
	t->rpc->struct_add(h, "sssssdd", "call_id", g.e.call_id, "id", g.e.id,
			"sub", g.e.sub, "sid", g.e.sid, "role", g.e.role, "silent",
			(int)silent_s, "connected", there);
}

static void count_here(const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side, const cr_ref_t *ref,
		int64_t silent_s, void *param)
{
	int *n = param;

	(void)env;
	(void)label;
	(void)call_id;
	(void)side;
	(void)silent_s;
	*n += kam_is_here(ref->sub, ref->sid);
}

int kam_calls_here(void)
{
	int n = 0, most;

	if(!kam_abandoned_is_on())
		return -1;
	for(int i = 0; i < n_servers; i++) {
		json_t *answer = kam_ng_list(&server[i], &most);

		if(answer == NULL)
			return -1;
		(void)look_at_calls(&server[i], json_object_get(answer, "calls"), 1,
				count_here, &n);
		json_decref(answer);
	}
	return n;
}

void kam_rpc_abandoned(rpc_t *rpc, void *ctx)
{
	told_t t = {rpc, ctx, 0, 0, 0};

	if(!kam_abandoned_is_on()) {
		rpc->fault(ctx, 400, "abandoned_after is 0");
		return;
	}
	if(rpc->scan(ctx, "*d", &t.least_s) < 1)
		t.least_s = 0;
	for(int i = 0; i < n_servers; i++) {
		int most;
		json_t *answer = kam_ng_list(&server[i], &most);
		const json_t *calls = json_object_get(answer, "calls");
		int64_t newest = look_at_calls(&server[i], calls, 0, NULL, NULL);

		(void)look_at_calls(&server[i], calls, newest, tell, &t);
		json_decref(answer);
	}
}

static int ask(const str *call_id)
{
	int good;

	lock_get(&asked->lock);
	good = asked->n < ASKED_MAX;
	if(good)
		snprintf(asked->call_id[asked->n++], KAM_EVENT_TEXT_MAX + 1, "%.*s",
				call_id->len, call_id->s);
	lock_release(&asked->lock);
	return good;
}

void kam_rpc_end(rpc_t *rpc, void *ctx)
{
	told_t t = {0};
	char text[KAM_EVENT_TEXT_MAX + 1];
	str call_id;

	if(!kam_abandoned_is_on() || rpc->scan(ctx, "S", &call_id) < 1
			|| call_id.len > KAM_EVENT_TEXT_MAX) {
		rpc->fault(ctx, 400,
				kam_abandoned_is_on() ? "Say: call_resume.end Call-ID"
									  : "abandoned_after is 0");
		return;
	}
	snprintf(text, sizeof(text), "%.*s", call_id.len, call_id.s);
	for(int i = 0; i < n_servers; i++)
		(void)look_at_call(&server[i], text, 1, tell, &t);
	if(t.n == 0)
		rpc->fault(ctx, 404, "No call of a client with this Call-ID");
	else if(t.there == t.n)
		rpc->fault(ctx, 409, "Its client is connected");
	else if(!ask(&call_id))
		rpc->fault(ctx, 503, "Too many at once");
	else
		rpc->add(ctx, "s", "Its end is on its way");
}

/* ---- when -------------------------------------------------------------------------- */

static void tell_too_many(const kam_ng_t *at, int most)
{
	static int told;

	if(!told)
		LM_WARN("media server %s has more than %d calls: only so many are"
				" looked at\n",
				at->name, most);
	told = 1;
}

static void look_at(kam_ng_t *at, cr_clock_t *clock)
{
	int64_t start = get_ticks(), now = cr_clock_now(clock, start);
	int most;
	json_t *answer = kam_ng_list(at, &most);
	const json_t *calls = json_object_get(answer, "calls");

	if(json_array_size(calls) == (size_t)most)
		tell_too_many(at, most);
	cr_clock_look(
			clock, look_at_calls(at, calls, now, end_silent, NULL), start);
	json_decref(answer);
}

static int every_s(void)
{
	const int after = kam_config.abandoned_after;
	int every = kam_config.leaving_after < after ? kam_config.leaving_after
												 : after;

	every /= 3;
	if(every < 1)
		return 1;
	return every > EVERY_MAX ? EVERY_MAX : every;
}

static void look(unsigned int ticks, void *param)
{
	static ticks_t next;

	(void)ticks;
	(void)param;
	end_asked();
	if(started == 0)
		started = get_ticks();
	if(get_ticks() < next)
		return;
	next = get_ticks() + (ticks_t)every_s();
	for(int i = 0; i < n_servers; i++)
		look_at(&server[i], &clocks[i]);
}

/* ---- start ------------------------------------------------------------------------- */

int kam_abandoned_init(void)
{
	if(kam_config.abandoned_after == 0)
		return 0;
	if(kam_config.abandoned_after < 0
			|| kam_config.abandoned_after > KAM_LIFETIME_MAX) {
		LM_ERR("abandoned_after is not negative, and a year at the most\n");
		return -1;
	}
	if(kam_config.leaving_after < 1) {
		LM_ERR("leaving_after has to be positive\n");
		return -1;
	}
	n_servers = kam_ng_parse(server, kam_config.media_server);
	if(n_servers < 0)
		return -1;
	if(n_servers == 0) {
		LM_ERR("abandoned_after needs media_server: what rtpengine_sock of the"
			   " module rtpengine says\n");
		return -1;
	}
	if(kam_hang_up_init() < 0)
		return -1;
	asked = KAM_SHARED_LOCKED(sizeof(*asked));
	return asked == NULL ? -1 : register_sync_timers(1);
}

void kam_abandoned_destroy(void)
{
	if(asked != NULL)
		shm_free(asked);
	asked = NULL;
}

int kam_abandoned_start(void)
{
	if(!kam_abandoned_is_on())
		return 0;
	/* With a socket to the process that has the connections. */
	return fork_sync_timer(
			PROC_TIMER, "call_resume abandoned", 1, look, NULL, every_s());
}
