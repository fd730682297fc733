/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Answers that nobody hears: a client has called, and its connection is gone when the far
 * end answers. The far end would send its 200 for half a minute, and then hang up (RFC 3261
 * section 13.3.1.4). So the gateway writes what the client owes, as the client would have,
 * and receives it: to the script and to all modules it comes from the client. The call is
 * then one whose client is away. The state that was sealed into the answer is kept for a
 * while; who has not come for it by then is hung up for.
 *
 * That BYE has a CSeq below all that a resume can have: a far end whose client came back by
 * another node refuses it (RFC 3261 section 12.2.2).
 */
#include "kam.h"
#include "kam_connection.h"
#include "kam_early.h"
#include "kam_env.h"
#include "kam_hang_up.h"
#include "kam_hold.h"
#include "kam_media.h"
#include "kam_shared.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/receive.h"
#include "../../core/socket_info.h"
#include "../../core/timer_proc.h"
#include "../../core/mem/shm_mem.h"

#include "core/owed.h"
#include "core/wire.h"

#define SLOTS 256                   /* a power of two */
#define CALLS_MAX 1024              /* that wait for their client at a time */
#define CALLS_OF_ONE 64             /* of one caller, or one could take all */
#define BYE_CSEQ (CR_CSEQ_JUMP - 1) /* above that of the INVITE */
#define TICK_US 1000000

/* A call that was answered while its client was away. */
typedef struct call
{
	struct call *next;
	ticks_t due;
	int resumed; /* the client has it */
	struct dest_info client;
	str call_id, tag, caller, state, bye; /* in mem */
	char mem[];
} call_t;

static struct
{
	gen_lock_t lock;
	int n;
	call_t *first[SLOTS];
} * table;

/* The reply that this process sends next. */
static struct
{
	int is;
	kam_unheard_t what;
} expected;

/* And what became of it. */
static struct
{
	int len;   /* 0: not sent yet */
	int final; /* a 2xx */
	int gone;
	struct dest_info client;
	char text[BUF_SIZE];
} sent;

static int speaking; /* what this process works on it has written itself */

/* ---- as the client ----------------------------------------------------------------- */

static int make(char *out, size_t max, const cr_sip_t *reply, cr_owed_t what)
{
	char branch[24 + 1];

	if(cr_random_hex(branch, sizeof(branch) - 1) != CR_OK)
		return CR_EINTERNAL;
	what.branch = cr_span_str(branch);
	return cr_owed_request(out, max, reply, &what);
}

/* Zero-terminated, in a buffer of BUF_SIZE bytes: as if it had come from that client. */
static void receive(char *text, int len, const struct dest_info *client)
{
	union sockaddr_union from = client->to;
	receive_info_t rcv = {.src_su = from,
			.src_port = su_getport(&from),
			.dst_ip = client->send_sock->address,
			.dst_port = client->send_sock->port_no,
			.proto_reserved1 = client->id,
			.proto = client->proto,
			.bind_address = client->send_sock};

	su2ip_addr(&rcv.src_ip, &from);
	text[len] = '\0';
	speaking = 1;
	(void)receive_msg(text, (unsigned)len, &rcv);
	speaking = 0;
}

static void say(
		const cr_sip_t *reply, const struct dest_info *client, cr_owed_t what)
{
	static char text[BUF_SIZE];
	int len = make(text, sizeof(text) - 64, reply, what);

	if(len > 0)
		receive(text, len, client);
	else
		LM_ERR("a reply to a client that is gone: %s\n", cr_strerror(len));
}

static void acknowledge(const cr_sip_t *reply, int late)
{
	char sdp[1024];
	cr_owed_t what = {.method = CR_SPAN("ACK"), .cseq = reply->cseq};
	int len;

	if(late && (len = cr_owed_answer(sdp, sizeof(sdp), reply->body)) > 0)
		what.sdp = (cr_span_t){sdp, (size_t)len};
	kam_count(KAM_ANSWERS_UNHEARD);
	say(reply, &sent.client, what);
}

static cr_owed_t bye_of(const cr_sip_t *reply)
{
	return (cr_owed_t){.method = CR_SPAN("BYE"),
			.cseq = reply->cseq + BYE_CSEQ,
			.via = kam_hang_up_via()};
}

/* In a buffer of BUF_SIZE bytes. Without a socket of UDP its answer cannot be sent. */
static void receive_bye(char *text, int len, const struct dest_info *client)
{
	if(kam_hang_up_via().len == 0) {
		receive(text, len, client);
		return;
	}
	speaking = 1;
	kam_hang_up_receive(text, len);
	speaking = 0;
}

static void hang_up(const cr_sip_t *reply)
{
	static char text[BUF_SIZE];
	int len = make(text, sizeof(text) - 64, reply, bye_of(reply));

	if(len > 0)
		receive_bye(text, len, &sent.client);
	else
		LM_ERR("a reply to a client that is gone: %s\n", cr_strerror(len));
}

/* ---- calls that wait for their client ---------------------------------------------- */

static call_t **slot_of(const str *call_id)
{
	return &table->first[core_hash(call_id, NULL, SLOTS)];
}

static int is_named(const call_t *c, cr_span_t call_id, cr_span_t tag)
{
	return cr_span_eq(kam_span(c->call_id), call_id)
			&& (tag.len == 0 || cr_span_eq(kam_span(c->tag), tag));
}

static str put(char **at, cr_span_t s)
{
	str copy = {*at, (int)s.len};

	memcpy(*at, s.s, s.len);
	*at += s.len;
	return copy;
}

/* The value of the only Call-State: what has been sealed for the client. */
static cr_span_t state_in(const cr_sip_t *reply)
{
	const cr_field_t *f = cr_sip_field(reply, CR_CALL_STATE);

	return f != NULL && f->value.len <= CR_JWE_MAX ? f->value : CR_SPAN("");
}

/* Whose session it is, whatever From says: a user may write his address in many ways, or be
 * anonymous. */
static cr_span_t caller_of(const cr_sip_t *reply, const kam_unheard_t *what)
{
	static uint8_t mem[CR_BOX_PLAIN_MAX];
	const cr_env_t *env = kam_env();
	cr_addr_t from;
	cr_ref_t ref;

	if(env != NULL
			&& cr_ref_open(&ref, mem, env->crypto, env->ring, cr_now_s(env),
					   CR_PURPOSE_CALLER, reply->call_id,
					   (cr_span_t){what->ref, what->ref_len})
					== CR_OK)
		return ref.sub;
	return cr_addr_parse(&from, cr_sip_field(reply, CR_FROM)->value) == CR_OK
			? from.uri
			: CR_SPAN("");
}

static call_t *make_call(const cr_sip_t *reply, const kam_unheard_t *what)
{
	static char bye[BUF_SIZE];
	cr_span_t tag = cr_sip_tag(reply, CR_FROM);
	cr_span_t state = state_in(reply);
	cr_span_t caller = caller_of(reply, what);
	int len = make(bye, sizeof(bye) - 64, reply, bye_of(reply));
	call_t *c;
	char *at;

	if(len < 0)
		return NULL;
	c = shm_malloc(sizeof(*c) + reply->call_id.len + tag.len + caller.len
			+ state.len + (size_t)len);
	if(c == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	*c = (call_t){.client = sent.client,
			.due = get_ticks() + (ticks_t)kam_config.answer_wait};
	at = c->mem;
	c->call_id = put(&at, reply->call_id);
	c->tag = put(&at, tag);
	c->caller = put(&at, caller);
	c->state = put(&at, state);
	c->bye = put(&at, (cr_span_t){bye, (size_t)len});
	return c;
}

static int has_room(const call_t *c)
{
	int n = 0;

	for(int i = 0; i < SLOTS; i++) {
		for(const call_t *other = table->first[i]; other; other = other->next)
			n += cr_span_eq(kam_span(other->caller), kam_span(c->caller));
	}
	return table->n < CALLS_MAX && n < CALLS_OF_ONE;
}

/* @return 1 when it waits, now or already; 0: there is no room */
static int enter(call_t *c)
{
	call_t **slot = slot_of(&c->call_id), *other;
	int known = 0, room;

	lock_get(&table->lock);
	for(other = *slot; other != NULL && !known; other = other->next)
		known = is_named(other, kam_span(c->call_id), kam_span(c->tag));
	room = !known && has_room(c);
	if(room) {
		c->next = *slot;
		*slot = c;
		table->n++;
	}
	lock_release(&table->lock);
	if(!room)
		shm_free(c);
	return known || room;
}

static void keep(const cr_sip_t *reply, const kam_unheard_t *what)
{
	call_t *c = make_call(reply, what);

	if((c == NULL || !enter(c)) && sent.gone)
		hang_up(reply);
}

size_t kam_unheard_state(char *jwe, const cr_state_t *st, int more)
{
	str call_id = kam_str(st->call_id);
	size_t len = 0;

	if(table == NULL)
		return 0;
	lock_get(&table->lock);
	for(call_t *c = *slot_of(&call_id); c != NULL && len == 0; c = c->next) {
		if(!is_named(c, st->call_id, st->local_tag))
			continue;
		len = (size_t)c->state.len;
		memcpy(jwe, c->state.s, len);
		if(more)
			c->due = get_ticks() + (ticks_t)kam_config.answer_wait;
	}
	lock_release(&table->lock);
	jwe[len] = '\0';
	return len;
}

/* @return those of a slot that are to go, out of the table */
static call_t *take(call_t **at, const str *call_id)
{
	call_t *gone = NULL, *c;

	while((c = *at) != NULL) {
		if(call_id != NULL ? !is_named(c, kam_span(*call_id), CR_SPAN(""))
						   : c->due > get_ticks()) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->next = gone;
		gone = c;
		table->n--;
	}
	return gone;
}

static void release(call_t *c)
{
	while(c != NULL) {
		call_t *next = c->next;

		shm_free(c);
		c = next;
	}
}

void kam_unheard_resumed(const str *call_id)
{
	if(table == NULL || table->n == 0 || speaking)
		return;
	lock_get(&table->lock);
	for(call_t *c = *slot_of(call_id); c != NULL; c = c->next) {
		if(is_named(c, kam_span(*call_id), CR_SPAN("")))
			c->resumed = 1;
	}
	lock_release(&table->lock);
}

void kam_unheard_forget(const str *call_id)
{
	call_t *gone;

	if(table == NULL || table->n == 0)
		return;
	lock_get(&table->lock);
	gone = take(slot_of(call_id), call_id);
	lock_release(&table->lock);
	release(gone);
}

/* ---- nobody has come --------------------------------------------------------------- */

static void end_calls(call_t *calls)
{
	static char text[BUF_SIZE];

	for(call_t *c = calls; c != NULL; c = c->next) {
		/* One that is there, or on UDP, hangs up itself. */
		if(c->resumed || !kam_is_gone(&c->client))
			continue;
		LM_NOTICE("nobody has come back to a call that was answered\n");
		kam_count(KAM_ANSWERS_ABANDONED);
		memcpy(text, c->bye.s, (size_t)c->bye.len);
		receive_bye(text, c->bye.len, &c->client);
	}
	release(calls);
}

static void tick(unsigned int ticks, void *param)
{
	(void)ticks;
	(void)param;
	/* Else another process looks after them, and more often. */
	if(kam_config.unproved_max == 0)
		kam_hold_check();
	for(int i = 0; i < SLOTS && table->n > 0; i++) {
		call_t *due;

		lock_get(&table->lock);
		due = take(&table->first[i], NULL);
		lock_release(&table->lock);
		end_calls(due);
	}
}

/* ---- a reply ----------------------------------------------------------------------- */

void kam_unheard_expect(const kam_unheard_t *what)
{
	if(table == NULL)
		return;
	expected.is = 1;
	expected.what = *what;
	sent.len = 0;
}

void kam_unheard_drop(void)
{
	expected.is = 0;
	sent.len = 0;
}

/* Nobody speaks for the trunk: only over a WebSocket a client may have its address. */
static int may_speak_for(const struct dest_info *client)
{
	union sockaddr_union to = client->to;
	struct ip_addr ip;

	if(!expected.what.stray)
		return 1;
	su2ip_addr(&ip, &to);
	return kam_has_connections(client->proto)
			&& (client->proto == PROTO_WS || client->proto == PROTO_WSS
					|| !kam_media_is_trunk(&ip));
}

void kam_unheard_sent(const str *text, const struct dest_info *dst)
{
	static const char reply[] = "SIP/2.0 ";

	if(!expected.is || sent.len > 0 || dst == NULL || dst->send_sock == NULL
			|| text->len >= (int)sizeof(sent.text)
			|| text->len < (int)sizeof(reply) + 3
			|| memcmp(text->s, reply, sizeof(reply) - 1) != 0
			|| text->s[sizeof(reply) - 1] > '2' || !may_speak_for(dst))
		return;
	memcpy(sent.text, text->s, (size_t)text->len);
	sent.len = text->len;
	sent.final = text->s[sizeof(reply) - 1] == '2';
	sent.client = *dst;
	sent.gone = kam_is_gone(dst);
}

/* Most replies want nothing of the kind. (A client that is there answers an offer
 * itself.) */
static int is_owed(const kam_unheard_t *what)
{
	if(!sent.final)
		return sent.gone && what->rseq != 0;
	return sent.gone || kam_early_waits() || (what->repeated && !what->late);
}

static void answered(const cr_sip_t *reply, const kam_unheard_t *what)
{
	acknowledge(reply, what->late);
	if(!what->new_call)
		return;
	if(sent.gone && (what->canceled || what->other))
		hang_up(reply);
	else if(!what->other)
		keep(reply, what);
}

static void settle(void)
{
	static cr_sip_t reply;
	kam_unheard_t what = expected.what;

	if(sent.len == 0 || !is_owed(&what)
			|| cr_sip_parse(&reply, (cr_span_t){sent.text, (size_t)sent.len})
					!= CR_OK
			|| !cr_span_eq(reply.method, CR_SPAN("INVITE")))
		return;
	if(sent.final) {
		answered(&reply, &what);
		kam_early_settle(state_in(&reply));
	} else {
		say(&reply, &sent.client,
				(cr_owed_t){.method = CR_SPAN("PRACK"),
						.cseq = what.cseq,
						.rseq = what.rseq});
	}
}

void kam_unheard_settle(void)
{
	int is = expected.is;

	expected.is = 0;
	if(is)
		settle();
	/* Whoever waited for this answer, or the next one would be taken for it. */
	kam_early_settle(CR_SPAN(""));
	sent.len = 0;
}

/* ---- start and end ----------------------------------------------------------------- */

int kam_unheard_init(void)
{
	if(kam_config.answer_wait <= 0 || kam_config.answer_wait > 3600) {
		LM_ERR("answer_wait is from 1 to 3600\n");
		return -1;
	}
	if(!kam_config.manage)
		return 0;
	table = KAM_SHARED_LOCKED(sizeof(*table));
	if(table == NULL || (udp_listen != NULL && kam_hang_up_init() < 0))
		return -1;
	return register_sync_timers(1);
}

int kam_unheard_start(void)
{
	if(table == NULL)
		return 0;
	return fork_sync_utimer(
			PROC_TIMER, "call_resume answers", 1, tick, NULL, TICK_US);
}

void kam_unheard_destroy(void)
{
	if(table == NULL)
		return;
	for(int i = 0; i < SLOTS; i++)
		release(table->first[i]);
	shm_free(table);
	table = NULL;
}
