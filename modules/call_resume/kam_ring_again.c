/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are lost while they ring. When one registers again, the calls of its user
 * that still ring do so there too, by one more branch of their transaction; and nobody waits
 * for the answer of one that is gone. What is kept of a call is where tm has its transaction,
 * for as long as that lives.
 */
#include "kam.h"

#include "../../core/dprint.h"
#include "../../core/dset.h"
#include "../../core/hashes.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/tcp_conn.h"
#include "../../modules/registrar/api.h"

#include "core/text.h"

#define SLOTS 1024   /* a power of two */
#define CALLS_MAX 16 /* of a user, that ring again */

typedef struct call
{
	struct call *next, **at;
	unsigned index, label; /* of the transaction */
	int len;
	char user[]; /* an address of record */
} call_t;

typedef struct table
{
	gen_lock_t lock;
	call_t *first[SLOTS];
} table_t;

static table_t *table;
static registrar_api_t registrar;

/* ---- which calls ring ------------------------------------------------------------------ */

static call_t **slot_of(const str *user)
{
	return &table->first[core_hash(user, NULL, SLOTS)];
}

static int is_of(const call_t *call, const str *user)
{
	return call->len == user->len
			&& memcmp(call->user, user->s, call->len) == 0;
}

static void forget(call_t *call)
{
	lock_get(&table->lock);
	*call->at = call->next;
	if(call->next != NULL)
		call->next->at = call->at;
	lock_release(&table->lock);
	shm_free(call);
}

/* The transaction is gone. */
static void release(void *call)
{
	if(table != NULL)
		forget(call);
}

static void nothing(struct cell *t, int type, struct tmcb_params *ps)
{
	(void)t;
	(void)type;
	(void)ps;
}

/* Those of a user, oldest last. @return how many */
static int ringing(call_t *calls, const str *user)
{
	int n = 0;

	lock_get(&table->lock);
	for(const call_t *c = *slot_of(user); c != NULL && n < CALLS_MAX;
			c = c->next) {
		if(is_of(c, user))
			calls[n++] = *c;
	}
	lock_release(&table->lock);
	return n;
}

static int is_known(const struct cell *t, const str *user)
{
	call_t calls[CALLS_MAX];
	int n = ringing(calls, user);

	while(n-- > 0) {
		if(calls[n].index == t->hash_index && calls[n].label == t->label)
			return 1;
	}
	return 0;
}

void kam_ring_again_note(struct cell *t, const str *user)
{
	call_t *call, **slot;

	if(table == NULL || is_known(t, user))
		return;
	call = shm_malloc(sizeof(*call) + user->len);
	if(call == NULL) {
		SHM_MEM_ERROR;
		return;
	}
	*call = (call_t){
			.index = t->hash_index, .label = t->label, .len = user->len};
	memcpy(call->user, user->s, user->len);
	lock_get(&table->lock);
	slot = slot_of(user);
	call->next = *slot;
	call->at = slot;
	if(call->next != NULL)
		call->next->at = &call->next;
	*slot = call;
	lock_release(&table->lock);
	if(kam_tm.register_tmcb(NULL, t, TMCB_DESTROY, nothing, call, release) > 0)
		return;
	LM_ERR("cannot watch the transaction of a call\n");
	forget(call);
}

/* ---- clients that are gone -------------------------------------------------------------- */

/* To a binding, over a connection. (A trunk gets its CANCEL over a new one, if need be.) */
static int needs_connection(const struct ua_client *uac)
{
	return uac->request.buffer != NULL && uac->ruid.len > 0
			&& kam_has_connections(uac->request.dst.proto);
}

int kam_ring_again_is_gone(const struct ua_client *uac)
{
	union sockaddr_union to = uac->request.dst.to;
	struct tcp_connection *c;
	struct ip_addr ip;
	int bad;

	if(!needs_connection(uac))
		return 0;
	su2ip_addr(&ip, &to);
	c = tcpconn_get(uac->request.dst.id, &ip, su_getport(&to), NULL, 0);
	if(c == NULL)
		return 1;
	bad = c->state == S_CONN_BAD || c->state == S_CONN_EOF
			|| c->state == S_CONN_ERROR;
	tcpconn_put(c);
	return bad;
}

/* A branch that is over without an answer, as tm has it for one that never was sent. */
static void end(struct ua_client *uac)
{
	uac->last_received = 500;
	if(uac->reply == NULL)
		uac->reply = FAKED_REPLY;
}

int kam_ring_again_end_gone(struct cell *t)
{
	int open = 0;

	lock(&t->reply_mutex);
	for(int i = 0; i < t->nr_of_outgoings; i++) {
		struct ua_client *uac = &t->uac[i];

		if(uac->last_received >= 200)
			continue;
		if(kam_ring_again_is_gone(uac))
			end(uac);
		else
			open++;
	}
	unlock(&t->reply_mutex);
	return open;
}

/* ---- one more branch ---------------------------------------------------------------------- */

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

/* Whether lookup() has found it: a REGISTER may as well take a binding away. */
static int is_found(const str *contact)
{
	for(unsigned i = 0; i < nr_branches; i++) {
		const branch_t *b = get_sip_branch((int)i);

		if(b != NULL
				&& kam_is_same_contact(kam_span(*contact),
						(cr_span_t){b->uri, (size_t)b->len}))
			return 1;
	}
	return 0;
}

static void tell(const str *user, const str *call_id)
{
	char name[CR_SUB_MAX + 1], id[256];

	cr_text_show(name, sizeof(name), kam_span(*user));
	cr_text_show(id, sizeof(id), kam_span(*call_id));
	LM_INFO("%s rings again, Call-ID %s\n", name, id);
}

static void append(struct cell *t, str *user, const str *contact)
{
	str location = {kam_config.location, (int)strlen(kam_config.location)};
	str any = str_init("");

	if(t->uas.status >= 200 || (t->flags & T_CANCELED)
			|| has_branch(t, contact))
		return;
	clear_branches();
	if(registrar.lookup_to_dset(t->uas.request, &location, user) != 1
			|| !is_found(contact))
		clear_branches();
	else if(kam_tm.t_append_branches(&any) > 0)
		tell(user, &t->uas.request->callid->body);
}

void kam_ring_again(str *user, const str *contact)
{
	struct cell *was = kam_tm.t_gett(), *t;
	int branch = kam_tm.t_gett_branch();
	call_t calls[CALLS_MAX];
	int n = table != NULL ? ringing(calls, user) : 0;

	while(n-- > 0) {
		if(kam_tm.t_lookup_ident(&t, calls[n].index, calls[n].label) < 0)
			continue;
		append(t, user, contact);
		kam_tm.unref_cell(t);
		kam_tm.t_sett(was, branch);
	}
}

/* ---- start and end ---------------------------------------------------------------------------- */

int kam_ring_again_init(void)
{
	if(!kam_config.manage || find_export("bind_registrar", 0, 0) == NULL)
		return 0;
	if(registrar_load_api(&registrar) < 0)
		return -1;
	table = shm_malloc(sizeof(*table));
	if(table == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	memset(table, 0, sizeof(*table));
	return lock_init(&table->lock) == NULL ? -1 : 0;
}

void kam_ring_again_destroy(void)
{
	if(table != NULL)
		shm_free(table);
	table = NULL;
}
