/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are lost while they ring. When one registers again, the calls of its user
 * that still ring do so there too, by one more branch of their transaction; and nobody waits
 * for the answer of one that is gone. What is kept of a call is where tm has its transaction,
 * for as long as that lives.
 *
 * Whose script relays a call adds branches to it, and takes no lock for that: until the script
 * is over nobody else may. So who registers between lookup() and that, while the media server
 * is asked, say, finds no call; where somebody has registered since the INVITE came in, the user
 * is looked up once more then.
 *
 * Kamailio closes a connection that is to take more than its queue has room for, and many calls
 * may ring. So as many as there is room for begin to ring, and the others when the client says
 * something to these.
 */
#include "kam_ring_again.h"
#include "kam_connection.h"
#include "kam_event.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_shared.h"
#include "kam_tcp.h"

#include "../../core/dprint.h"
#include "../../core/dset.h"
#include "../../core/globals.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/parser/parse_from.h"
#include "../../modules/registrar/api.h"

#include "core/text.h"

#define SLOTS 1024  /* a power of two */
#define MADE_MAX 32 /* users of a call: as many as tm has branches */
#define SEEN_MAX 64 /* calls that are copied at a time */
#define MORE_S 32   /* how long a client may take to say something */
#define GROWS 8192  /* bytes that an INVITE may get longer by, about */

typedef struct call
{
	struct call *next, **at;
	uint64_t number;       /* in the order in which they came */
	unsigned index, label; /* of the transaction */
	int maker; /* the process whose script is not over yet; 0: it is */
	int len;
	char user[]; /* an address of record */
} call_t;

/* Oldest first. */
typedef struct slot
{
	call_t *first, **end;
	uint64_t registered_us; /* when the last user of these did */
	ticks_t more_until;     /* calls of one wait for room; 0: none */
} slot_t;

typedef struct table
{
	gen_lock_t lock;
	uint64_t last; /* number */
	slot_t slot[SLOTS];
} table_t;

/* What is done with a call has no lock, so its entry may go meanwhile. */
typedef struct seen
{
	uint64_t number;
	unsigned index, label;
	int maker;
} seen_t;

/* All calls of a user, oldest first, as many as there are: whoever begins many keeps nobody
 * else's from being found. */
typedef struct walk
{
	const str *user;
	uint64_t from, to; /* numbers; those that come later are not seen */
	int n, i;
	seen_t seen[SEEN_MAX];
} walk_t;

static table_t *table;
static registrar_api_t registrar;

typedef struct users
{
	int n;
	char user[MADE_MAX][CR_SUB_MAX + 1];
} users_t;

/* Whose calls the script at hand makes, and these. */
static users_t made;
static seen_t made_call[MADE_MAX];

/* Who has said something to a call, by the reply at hand, and may have room for more. */
static users_t heard;
static char heard_contact[MAX_URI_SIZE];
static int heard_connection;

/* ---- which calls ring -------------------------------------------------------------- */

static slot_t *slot_of(const str *user)
{
	return &table->slot[core_hash(user, NULL, SLOTS)];
}

static void registered(const str *user)
{
	slot_t *slot = slot_of(user);

	lock_get(&table->lock);
	slot->registered_us = kam_now_us();
	lock_release(&table->lock);
}

/* @return 0: there is no room for one more */
static int note(users_t *users, const str *user)
{
	if(users->n == MADE_MAX || user->len > CR_SUB_MAX)
		return 0;
	memcpy(users->user[users->n], user->s, user->len);
	users->user[users->n++][user->len] = '\0';
	return 1;
}

static int note_made(const struct cell *t, const str *user)
{
	if(!note(&made, user))
		return 0;
	made_call[made.n - 1] = (seen_t){.index = t->hash_index, .label = t->label};
	return 1;
}

static void note_more(const str *user)
{
	ticks_t until = get_ticks() + MORE_S;

	slot_of(user)->more_until = until != 0 ? until : 1;
}

/* @return 1 when calls of the user may wait for room */
static int has_more(const str *user)
{
	ticks_t until = slot_of(user)->more_until;

	return until != 0 && until > get_ticks();
}

static int is_of(const call_t *call, const str *user)
{
	return call->len == user->len
			&& memcmp(call->user, user->s, call->len) == 0;
}

static void enter(call_t *call, slot_t *slot)
{
	lock_get(&table->lock);
	call->number = ++table->last;
	call->at = slot->end;
	*slot->end = call;
	slot->end = &call->next;
	lock_release(&table->lock);
}

static void forget(call_t *call)
{
	str user = {call->user, call->len};
	slot_t *slot = slot_of(&user);

	lock_get(&table->lock);
	*call->at = call->next;
	if(call->next != NULL)
		call->next->at = call->at;
	else
		slot->end = call->at;
	lock_release(&table->lock);
	shm_free(call);
}

/* The transaction is gone. */
static void release(void *call)
{
	if(table != NULL)
		forget(call);
}

static int connection_of(const struct sip_msg *msg)
{
	return kam_has_connections(msg->rcv.proto) ? msg->rcv.proto_reserved1 : 0;
}

/* A client of the user's, maybe, has said something to it. */
static void on_reply(struct cell *t, int type, struct tmcb_params *ps)
{
	int branch = kam_tm.t_gett_branch();
	call_t *call = *ps->param;
	str user = {call->user, call->len}, contact;

	if(type != TMCB_RESPONSE_IN || table == NULL || !has_more(&user)
			|| branch < 0 || branch >= t->nr_of_outgoings)
		return;
	contact = t->uac[branch].uri;
	if(contact.len <= 0 || contact.len >= (int)sizeof(heard_contact))
		return;
	memcpy(heard_contact, contact.s, contact.len);
	heard_contact[contact.len] = '\0';
	heard_connection = connection_of(ps->rpl);
	(void)note(&heard, &user);
}

/* The script of this process is over. @return 1 when the user has registered since its INVITE
 * came in */
static int release_made(const str *user)
{
	slot_t *slot = slot_of(user);
	int is_late, pid = my_pid();

	lock_get(&table->lock);
	for(call_t *c = slot->first; c != NULL; c = c->next) {
		if(c->maker == pid && is_of(c, user))
			c->maker = 0;
	}
	is_late = slot->registered_us >= kam_received_us();
	lock_release(&table->lock);
	return is_late;
}

static void see_more(walk_t *walk)
{
	walk->n = walk->i = 0;
	lock_get(&table->lock);
	if(walk->to == 0)
		walk->to = table->last;
	for(const call_t *c = slot_of(walk->user)->first;
			c != NULL && c->number <= walk->to && walk->n < SEEN_MAX;
			c = c->next) {
		if(c->number > walk->from && is_of(c, walk->user))
			walk->seen[walk->n++]
					= (seen_t){c->number, c->index, c->label, c->maker};
	}
	lock_release(&table->lock);
	if(walk->n > 0)
		walk->from = walk->seen[walk->n - 1].number;
}

/* @return until the next one; NULL: that were all */
static const seen_t *next(walk_t *walk)
{
	if(walk->i == walk->n)
		see_more(walk);
	return walk->i < walk->n ? &walk->seen[walk->i++] : NULL;
}

static int is_known(const struct cell *t, const str *user)
{
	int is = 0;

	lock_get(&table->lock);
	for(const call_t *c = slot_of(user)->first; c != NULL && !is; c = c->next)
		is = c->index == t->hash_index && c->label == t->label
				&& is_of(c, user);
	lock_release(&table->lock);
	return is;
}

void kam_ring_again_note(struct cell *t, const str *user)
{
	/* In a failure_route, say, tm has locked it. */
	int is_making = atomic_get(&t->reply_locker_pid) != my_pid();
	call_t *call;

	if(table == NULL || is_known(t, user) || (is_making && !note_made(t, user)))
		return;
	call = shm_malloc(sizeof(*call) + user->len);
	if(call == NULL) {
		SHM_MEM_ERROR;
		return;
	}
	*call = (call_t){.index = t->hash_index,
			.label = t->label,
			.maker = is_making ? my_pid() : 0,
			.len = user->len};
	memcpy(call->user, user->s, user->len);
	enter(call, slot_of(user));
	if(kam_tm.register_tmcb(NULL, t, TMCB_DESTROY | TMCB_RESPONSE_IN, on_reply,
			   call, release)
			> 0)
		return;
	LM_ERR("cannot watch the transaction of a call\n");
	forget(call);
}

/* ---- clients that are gone --------------------------------------------------------- */

/* To a binding, over a connection. (A trunk gets its CANCEL over a new one, if need be.) */
static int needs_connection(const struct ua_client *uac)
{
	return uac->request.buffer != NULL && uac->ruid.len > 0
			&& kam_has_connections(uac->request.dst.proto);
}

int kam_ring_again_is_gone(const struct ua_client *uac)
{
	return needs_connection(uac) && kam_is_gone(&uac->request.dst);
}

/* A branch that is over without an answer, as tm has it for one that never was sent. */
static void end(struct ua_client *uac)
{
	uac->last_received = 500;
	if(uac->reply == NULL)
		uac->reply = FAKED_REPLY;
}

int kam_ring_again_end_gone(struct cell *t, int but)
{
	int open = 0;

	lock(&t->reply_mutex);
	for(int i = 0; i < t->nr_of_outgoings; i++) {
		struct ua_client *uac = &t->uac[i];

		if(i == but || uac->last_received >= 200)
			continue;
		if(kam_ring_again_is_gone(uac))
			end(uac);
		else
			open++;
	}
	unlock(&t->reply_mutex);
	return open;
}

/* ---- one that was answered otherwise ------------------------------------------------ */

static int is_of_state(struct cell *t, const cr_state_t *st)
{
	struct sip_msg *m = t->uas.request;

	return m != NULL && m->callid != NULL && m->from != NULL
			&& m->from->parsed != NULL && m->REQ_METHOD == METHOD_INVITE
			&& cr_span_eq(kam_span(m->callid->body), st->call_id)
			&& cr_span_eq(kam_span(get_from(m)->tag_value), st->remote_tag);
}

/* tm keeps the tags of all who have. */
static int has_answered(struct cell *t, cr_span_t tag)
{
	int found = 0;

	lock(&t->reply_mutex);
	for(const struct totag_elem *e = t->fwded_totags; e && !found; e = e->next)
		found = cr_span_eq(kam_span(e->tag), tag);
	unlock(&t->reply_mutex);
	return found;
}

int kam_ring_again_is_other(const str *user, const cr_state_t *st)
{
	walk_t walk = {.user = user};
	const seen_t *call;
	int other = 0;

	if(table == NULL || st->role != CR_CALLEE)
		return 0;
	while(!other && (call = next(&walk)) != NULL) {
		struct cell *t = kam_find_transaction(call->index, call->label);

		if(t == NULL)
			continue;
		other = is_of_state(t, st) && !has_answered(t, st->local_tag);
		kam_tm.unref_cell(t);
	}
	return other;
}

/* ---- one more branch --------------------------------------------------------------- */

static int is_ended(const struct ua_client *uac)
{
	return uac->last_received >= 200 && uac->reply != FAKED_REPLY;
}

/* Whether the client has the call already. A phone may come back by the same Contact over
 * another connection, and have lost the call or not: the old branch stays for its answer, and
 * tm has to take the new one for another binding. */
static int has_branch(struct cell *t, const str *contact)
{
	for(int i = 0; i < t->nr_of_outgoings; i++) {
		struct ua_client *uac = &t->uac[i];

		if(!kam_is_same_contact(kam_span(*contact), kam_span(uac->uri)))
			continue;
		if(is_ended(uac) || !kam_ring_again_is_gone(uac))
			return 1;
		if(uac->ruid.len > 1)
			uac->ruid.len--;
	}
	return 0;
}

/* Whether lookup() has found one that has not got the call: a REGISTER may as well take a
 * binding away, or keep it.
 * @param contact  that one; NULL: any */
static int is_found(struct cell *t, const str *contact)
{
	int found = 0;

	for(unsigned i = 0; i < nr_branches; i++) {
		branch_t *b = get_sip_branch((int)i);
		str uri;

		if(b == NULL)
			continue;
		uri = (str){b->uri, (int)b->len};
		if((contact == NULL
				   || kam_is_same_contact(kam_span(*contact), kam_span(uri)))
				&& !has_branch(t, &uri))
			found = 1;
	}
	return found;
}

static void tell(const str *user, const str *call_id)
{
	char name[CR_SUB_MAX + 1], id[256];

	cr_text_show(name, sizeof(name), kam_span(*user));
	cr_text_show(id, sizeof(id), kam_span(*call_id));
	LM_INFO("%s rings again, Call-ID %s\n", name, id);
}

/* The call was given up while a branch was being made. tm leaves that out of its count, so that
 * what it has would stay in memory for ever: it counts again, as one that never was sent. */
static void give_up(struct cell *t)
{
	lock(&t->reply_mutex);
	while(t->nr_of_outgoings < (int)sr_dst_max_branches
			&& t->uac[t->nr_of_outgoings].request.buffer != NULL) {
		t->uac[t->nr_of_outgoings].last_received = 408;
		membar_write();
		t->nr_of_outgoings++;
	}
	unlock(&t->reply_mutex);
	/* The media server has had its offer behind the end of the call; or that has been answered all
	 * the same. */
	if(kam_ring_again_end_gone(t, -1) == 0
			&& (t->uas.status < 200 || t->uas.status >= 300))
		kam_event_call_over(t);
}

static int is_open(const struct cell *t)
{
	return t->uas.status < 200 && !(t->flags & T_CANCELED);
}

/* @param contact  the one that has registered; NULL: whichever has not got the call
 * @return 1: it rings there */
static int append(struct cell *t, str *user, const str *contact)
{
	str location = {kam_config.location, (int)strlen(kam_config.location)};
	str any = str_init("");

	clear_branches();
	if(registrar.lookup_to_dset(t->uas.request, &location, user) != 1
			|| !is_found(t, contact)) {
		clear_branches();
		return 0;
	}
	if(kam_tm.t_append_branches(&any) > 0) {
		tell(user, &t->uas.request->callid->body);
		return 1;
	}
	if(t->flags & T_CANCELED)
		give_up(t);
	return 0;
}

/* ---- as many as there is room for ---------------------------------------------------- */

/* The client of a REGISTER or a reply. */
typedef struct client
{
	const str *contact;
	int connection; /* its number; 0: there is none */
	int is_new; /* it has nothing to answer yet: one call comes at any rate */
} client_t;

static int has_room(const client_t *client, const struct cell *t)
{
	unsigned queued = kam_tcp_queued(client->connection);

	return queued == 0
			|| queued + (unsigned)t->uas.request->len + GROWS
			<= (unsigned)cfg_get(tcp, tcp_cfg, tcpconn_wq_max);
}

/* Whether a client that is there has the call. */
static int has_call(const struct cell *t, const str *contact)
{
	for(int i = 0; i < t->nr_of_outgoings; i++) {
		const struct ua_client *uac = &t->uac[i];

		if(kam_is_same_contact(kam_span(*contact), kam_span(uac->uri))
				&& (is_ended(uac) || !kam_ring_again_is_gone(uac)))
			return 1;
	}
	return 0;
}

/* @return 0: there is no room for it yet */
static int ring(struct cell *t, str *user, client_t *client)
{
	if(!is_open(t) || has_call(t, client->contact))
		return 1;
	if(!client->is_new && !has_room(client, t))
		return 0;
	if(append(t, user, client->contact))
		client->is_new = 0;
	return 1;
}

static void ring_again(str *user, client_t *client)
{
	struct cell *was = kam_tm.t_gett(), *t;
	int branch = kam_tm.t_gett_branch(), room = 1;
	walk_t walk = {.user = user};
	const seen_t *call;

	while(room && (call = next(&walk)) != NULL) {
		if(call->maker != 0)
			continue;
		if(kam_tm.t_lookup_ident(&t, call->index, call->label) > 0) {
			room = ring(t, user, client);
			kam_tm.unref_cell(t);
		}
		kam_tm.t_sett(was, branch);
	}
	if(!room)
		note_more(user);
}

void kam_ring_again(struct sip_msg *msg, str *user, const str *contact)
{
	client_t client = {contact, connection_of(msg), 1};

	if(table == NULL)
		return;
	registered(user);
	ring_again(user, &client);
}

void kam_ring_again_heard(void)
{
	str contact = {heard_contact, (int)strlen(heard_contact)};
	client_t client = {&contact, heard_connection, 0};

	while(heard.n > 0) {
		char *user = heard.user[--heard.n];
		str s = {user, (int)strlen(user)};

		ring_again(&s, &client);
	}
}

/* ---- a call that was made meanwhile -------------------------------------------------- */

static void ring_late(str *user, const seen_t *call)
{
	struct cell *was = kam_tm.t_gett(), *t;
	int branch = kam_tm.t_gett_branch();

	if(kam_tm.t_lookup_ident(&t, call->index, call->label) > 0) {
		if(is_open(t))
			(void)append(t, user, NULL);
		kam_tm.unref_cell(t);
	}
	kam_tm.t_sett(was, branch);
}

void kam_ring_again_made(void)
{
	while(made.n > 0) {
		char *user = made.user[--made.n];
		str s = {user, (int)strlen(user)};

		if(release_made(&s))
			ring_late(&s, &made_call[made.n]);
	}
}

/* ---- start and end ----------------------------------------------------------------- */

int kam_ring_again_init(void)
{
	if(!kam_config.manage || find_export("bind_registrar", 0, 0) == NULL)
		return 0;
	if(registrar_load_api(&registrar) < 0)
		return -1;
	table = KAM_SHARED_LOCKED(sizeof(*table));
	if(table == NULL)
		return -1;
	for(size_t i = 0; i < SLOTS; i++)
		table->slot[i].end = &table->slot[i].first;
	return 0;
}

void kam_ring_again_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}
