/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Revoked sessions, users and tokens, in a table of the module htable: every
 * process sees it at once, dmq takes it to other nodes, a database over a
 * restart. An entry is KIND:VALUE with the time of the revocation, and lapses
 * by the table's own clock.
 */
#include "kam_revoke.h"
#include "kam_env.h"
#include "kam_stat.h"

#include "../../core/dprint.h"
#include "../../core/mem/mem.h"
#include "../../modules/htable/ht_api.h"
#include "../../modules/htable/api.h"

#include "core/bytes.h"
#include "core/text.h"

#define NAME_MAX_LEN (sizeof("sid:") - 1 + CR_SUB_MAX)

static htable_api_t htable;
static str table;

static const char *const kinds[] = {"sid", "sub", "jti"};

int kam_revoke_is_on(void)
{
	return table.len > 0;
}

const char *kam_revoke_how_to(void)
{
	return "Revocation is off. Load the module htable and set"
		   " modparam(\"htable\", \"htable\","
		   " \"revoked=>size=12;autoexpire=43260;\") and"
		   " modparam(\"call_resume\", \"revoked_htable\", \"revoked\")";
}

int kam_revoke_init(void)
{
	if(kam_config.revoked_htable == NULL || kam_config.revoked_htable[0] == 0)
		return 0;
	table.s = kam_config.revoked_htable;
	table.len = (int)strlen(table.s);
	if(htable_load_api(&htable) < 0) {
		LM_ERR("revoked_htable needs the module htable\n");
		return -1;
	}
	return 0;
}

int kam_revoke_check(void)
{
	str nothing = str_init("^$");

	if(!kam_revoke_is_on() || htable.count_re(&table, &nothing, 0) == 0)
		return 0;
	LM_ERR("htable has no table %s: see modparam(\"htable\", \"htable\","
		   " ...)\n",
			table.s);
	return -1;
}

/* The name of an entry, in mem. */
static int put_name(
		str *name, char mem[NAME_MAX_LEN], const char *kind, cr_span_t value)
{
	cr_writer_t w = cr_writer(mem, NAME_MAX_LEN);

	cr_put_str(&w, kind);
	cr_put_str(&w, ":");
	cr_put_span(&w, value);
	*name = kam_str(cr_written(&w));
	return cr_writer_end(&w);
}

/* The same for what somebody asks for. @return as kam_revoke() */
static int name_entry(
		str *name, char mem[NAME_MAX_LEN], cr_span_t kind, cr_span_t value)
{
	int good;

	if(!kam_revoke_is_on())
		return CR_EMISSING;
	for(size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if(!cr_span_eq(kind, cr_span_str(kinds[i])))
			continue;
		good = strcmp(kinds[i], "sub") == 0
				? cr_text_is_sub(value)
				: cr_text_is_plain(value, CR_SID_MAX);
		return good ? put_name(name, mem, kinds[i], value) : CR_EMALFORMED;
	}
	return CR_EUNSUPPORTED;
}

/* By value only: in the copy that htable gives, strings still point into the
 * entry that it was made from. The time goes into 32 bits without a sign. An
 * entry with a string is not of our making and has no time: it holds whatever
 * was issued when. */
static int64_t time_of(str *name)
{
	ht_cell_t *cell = htable.get_clone(&table, name);
	int64_t at;

	if(cell == NULL)
		return 0;
	at = cell->flags & AVP_VAL_STR ? UINT32_MAX
								   : (int64_t)(uint32_t)cell->value.n;
	pkg_free(cell);
	return at;
}

/* A later revocation does not make an earlier one end sooner. */
static int set(str *name, int64_t now, int ttl_s)
{
	int_str at = {.n = (int)(uint32_t)now}, ttl = {.n = ttl_s};
	unsigned left = 0;

	if(htable.get_expire(&table, name, &left) == 0 && left <= INT_MAX
			&& (int)left > ttl_s)
		ttl.n = (int)left;
	if(htable.set(&table, name, 0, &at, 1) < 0
			|| htable.set_expire(&table, name, 0, &ttl) < 0)
		return CR_EINTERNAL;
	if(htable.get_expire(&table, name, &left) == 0 && left == 0)
		LM_WARN("the table %s has no autoexpire: what is revoked is never"
				" forgotten, and takes memory for ever\n",
				table.s);
	return CR_OK;
}

int kam_revoke(cr_span_t kind, cr_span_t value, int ttl_s)
{
	const cr_env_t *env = kam_env();
	char mem[NAME_MAX_LEN];
	str name;
	int err = name_entry(&name, mem, kind, value);

	if(err != CR_OK)
		return err;
	if(env == NULL)
		return CR_EINTERNAL;
	if(ttl_s < 0 || ttl_s > KAM_LIFETIME_MAX)
		return CR_ETOOBIG;
	if(ttl_s == 0)
		ttl_s = kam_config.token_lifetime + kam_config.clock_skew;
	err = set(&name, cr_now_s(env), ttl_s);
	if(err != CR_OK)
		return err;
	kam_count(KAM_REVOCATIONS);
	LM_NOTICE("revoked: %.*s, for %d s\n", name.len, name.s, ttl_s);
	return CR_OK;
}

int kam_revoked_tell(
		cr_span_t kind, cr_span_t value, int64_t *at, unsigned *left)
{
	char mem[NAME_MAX_LEN];
	str name;
	int err = name_entry(&name, mem, kind, value);

	if(err != CR_OK)
		return err;
	*left = 0;
	*at = time_of(&name);
	if(*at != 0)
		htable.get_expire(&table, &name, left);
	return CR_OK;
}

static int64_t revoked_at(const char *kind, const char *value)
{
	char mem[NAME_MAX_LEN];
	str name;

	return value[0] != '\0'
					&& put_name(&name, mem, kind, cr_span_str(value)) == CR_OK
			? time_of(&name)
			: 0;
}

/* A user may sign in again: what was issued later than the revocation is good.
 * A second is as near as iat gets, and without one a token is as old as can
 * be. */
int kam_is_revoked(const cr_token_t *t)
{
	int64_t user_at;

	if(!kam_revoke_is_on())
		return 0;
	if(revoked_at("sid", t->sid) != 0 || revoked_at("jti", t->jti) != 0)
		return 1;
	user_at = revoked_at("sub", t->sub);
	return user_at != 0 && t->iat <= user_at;
}

/* ---- script -------------------------------------------------------------------- */

int ki_resume_revoke_ttl(struct sip_msg *msg, str *kind, str *value, int ttl_s)
{
	int err = kam_revoke(kam_span(*kind), kam_span(*value), ttl_s);
	char of_kind[16], shown[CR_SUB_MAX + 1];

	(void)msg;
	if(err == CR_OK)
		return 1;
	if(err == CR_EMISSING)
		LM_ERR("%s\n", kam_revoke_how_to());
	else {
		cr_text_show(of_kind, sizeof(of_kind), kam_span(*kind));
		cr_text_show(shown, sizeof(shown), kam_span(*value));
		LM_ERR("not revoked, %s [%s]: %s\n", of_kind, shown, cr_strerror(err));
	}
	return -1;
}

int ki_resume_revoke(struct sip_msg *msg, str *kind, str *value)
{
	return ki_resume_revoke_ttl(msg, kind, value, 0);
}

/* ---- RPC ------------------------------------------------------------------------ */

static void fault(rpc_t *rpc, void *ctx, int err)
{
	if(err == CR_EMISSING)
		rpc->fault(ctx, 400, "%s", kam_revoke_how_to());
	else if(err == CR_EUNSUPPORTED)
		rpc->fault(ctx, 400, "Say sid, sub or jti, and which");
	else
		rpc->fault(ctx, 400, "Not revoked: %s", cr_strerror(err));
}

static void tell(rpc_t *rpc, void *ctx, str *kind, str *value)
{
	int64_t at;
	unsigned left;
	void *h;
	int err = kam_revoked_tell(kam_span(*kind), kam_span(*value), &at, &left);

	if(err != CR_OK) {
		fault(rpc, ctx, err);
		return;
	}
	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(h, "SSsuu", "kind", kind, "value", value, "revoked",
			at != 0 ? "yes" : "no", "at", (unsigned)at, "seconds_left", left);
}

void kam_rpc_revoke(rpc_t *rpc, void *ctx)
{
	str kind = STR_NULL, value = STR_NULL;
	int ttl_s = 0, err, n = rpc->scan(ctx, ".S.S*d", &kind, &value, &ttl_s);

	/* What was not given is not left alone by every transport. */
	if(n < 2)
		err = CR_EUNSUPPORTED;
	else if(n > 2 && ttl_s <= 0) /* JSON-RPC reads text as the number 0 */
		err = CR_EMALFORMED;
	else
		err = kam_revoke(kam_span(kind), kam_span(value), n < 3 ? 0 : ttl_s);
	if(!kam_revoke_is_on())
		err = CR_EMISSING;
	if(err != CR_OK)
		fault(rpc, ctx, err);
	else
		tell(rpc, ctx, &kind, &value);
}

/* The API of htable does not list a table; its RPC does. */
static void tell_table(rpc_t *rpc, void *ctx)
{
	void *h;

	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(
			h, "Ss", "table", &table, "to_list", "htable.dump, with the table");
}

void kam_rpc_revoked(rpc_t *rpc, void *ctx)
{
	str kind = STR_NULL, value = STR_NULL;
	int n = rpc->scan(ctx, "*.S.S", &kind, &value);

	if(!kam_revoke_is_on())
		fault(rpc, ctx, CR_EMISSING);
	else if(n < 2)
		tell_table(rpc, ctx);
	else
		tell(rpc, ctx, &kind, &value);
}
