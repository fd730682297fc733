/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * call_resume.* for kamcmd and JSON-RPC
 */
#include "kam_rpc.h"
#include "kam_abandoned.h"
#include "kam_check.h"
#include "kam_drain.h"
#include "kam_env.h"
#include "kam_node.h"
#include "kam_revoke.h"
#include "kam_rotate.h"
#include "kam_stat.h"

#include "../../core/dprint.h"

#include "core/base.h"
#include "core/jose.h"
#include "core/jwe.h"
#include "core/sealed.h"
#include "core/version.h"

static void rpc_stats(rpc_t *rpc, void *ctx)
{
	void *h;

	if(rpc->add(ctx, "{", &h) < 0)
		return;
	for(int i = 0; i < KAM_STAT_N; i++)
		rpc->struct_add(h, "u", kam_stat_name(i), (unsigned)kam_stat_value(i));
}

static void rpc_version(rpc_t *rpc, void *ctx)
{
	rpc->add(ctx, "s", CR_VERSION);
}

static void rpc_reload(rpc_t *rpc, void *ctx)
{
	char why[CR_WHY_MAX];

	if(kam_env_reload(why) < 0) {
		LM_ERR("the old keys stay: %s\n", why);
		rpc->fault(ctx, 500, "The old keys stay: %s", why);
		return;
	}
	kam_count(KAM_RELOADS);
	LM_NOTICE("key ring read again\n");
	kam_rpc_keys(rpc, ctx);
}

static void rpc_issue(rpc_t *rpc, void *ctx)
{
	const cr_env_t *env = kam_env();
	char text[CR_TOKEN_MAX + 1];
	cr_token_t token = {0};
	str sub = STR_NULL, sid = STR_NULL;
	int ttl_s = kam_config.token_lifetime, len = CR_EMALFORMED;
	int n = rpc->scan(ctx, ".S*.Sd", &sub, &sid, &ttl_s);
	void *h;

	if(n < 1) {
		rpc->fault(ctx, 400, "Say: call_resume.issue sub [sid [seconds]]");
		return;
	}
	/* What was not given is not left alone by every transport. */
	if(n < 2 || (sid.len == 1 && sid.s[0] == '.'))
		sid.len = 0;
	if(n < 3)
		ttl_s = kam_config.token_lifetime;
	if(env != NULL
			&& cr_token_name(&token, kam_span(sub), kam_span(sid)) == CR_OK)
		len = cr_token_issue(text, sizeof(text), &token, env->crypto, env->ring,
				cr_now_s(env), ttl_s);
	if(len < 0) {
		rpc->fault(ctx, 400, "No token: %s", cr_strerror(len));
		return;
	}
	kam_count(KAM_TOKENS_ISSUED);
	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(h, "sssu", "token", text, "sub", token.sub, "sid",
			token.sid, "exp", (unsigned)token.exp);
}

/* ---- inspect ---------------------------------------------------------------- */

/* What says a header, before anybody has verified it. */
static void add_header(rpc_t *rpc, void *h, cr_span_t text)
{
	cr_jose_t head;

	if(cr_jose_peek(&head, text) == CR_OK)
		rpc->struct_add(h, "ss", "kid", head.kid, "alg", head.alg);
}

#define SKEW_FOREVER INT64_C(100000000000)

static void inspect_token(
		rpc_t *rpc, void *ctx, const cr_env_t *env, cr_span_t text)
{
	cr_token_t token;
	int err = cr_token_accept(&token, env, text, kam_config.clock_skew);
	/* One whose time is wrong is genuine: what it says may be told. */
	int genuine = err == CR_OK
			|| ((err == CR_EEXPIRED || err == CR_ENOTYET)
					&& cr_token_accept(&token, env, text, SKEW_FOREVER)
							== CR_OK);
	void *h;

	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(h, "s", "kind", "token");
	add_header(rpc, h, text);
	if(err == CR_OK && kam_is_revoked(&token))
		rpc->struct_add(h, "s", "verdict", "revoked");
	else
		rpc->struct_add(h, "s", "verdict",
				err == CR_OK ? "accepted" : cr_strerror(err));
	if(genuine)
		rpc->struct_add(h, "ssssuuu", "iss", token.iss, "sub", token.sub, "sid",
				token.sid, "jti", token.jti, "iat", (unsigned)token.iat, "nbf",
				(unsigned)token.nbf, "exp", (unsigned)token.exp);
}

static void add_text(rpc_t *rpc, void *h, const char *name, cr_span_t value)
{
	str s = kam_str(value);

	rpc->struct_add(h, "S", name, &s);
}

static void add_state(rpc_t *rpc, void *h, const cr_state_t *st)
{
	rpc->struct_add(h, "sss", "form", st->update ? "update" : "full", "id",
			st->id, "role", st->role == CR_CALLER ? "caller" : "callee");
	add_text(rpc, h, "call_id", st->call_id);
	add_text(rpc, h, "target", st->target);
	if(!st->update) {
		add_text(rpc, h, "local_uri", st->local_uri);
		add_text(rpc, h, "remote_uri", st->remote_uri);
		rpc->struct_add(h, "ddd", "cseq", (int)st->cseq, "routes", st->n_routes,
				"bound", st->fp.known);
	}
	rpc->struct_add(h, "uu", "sealed", (unsigned)(st->iat / 1000), "exp",
			(unsigned)st->exp);
}

static void inspect_state(rpc_t *rpc, void *ctx, const cr_env_t *env,
		cr_span_t text, str *sub, str *sid)
{
	static char mem[CR_STATE_JSON_MAX];
	char kid[CR_KID_MAX + 1] = "";
	cr_state_t st;
	int err = cr_jwe_kid(kid, text);
	int known = cr_ring_by_kid(env->ring, cr_span_str(kid), cr_now_s(env))
			!= NULL;
	const char *verdict = "well-formed; give sub and sid to open it";
	void *h;

	if(err == CR_OK && !known)
		err = CR_EKEY;
	else if(err == CR_OK && sid->len > 0)
		err = cr_sealed_open(
				&st, mem, env, kam_span(*sub), kam_span(*sid), text);
	else if(err == CR_OK)
		err = CR_EMISSING;
	if(err != CR_EMISSING)
		verdict = err == CR_OK ? "opens" : cr_strerror(err);
	if(rpc->add(ctx, "{", &h) < 0)
		return;
	rpc->struct_add(h, "sss", "kind", "state", "kid", kid, "verdict", verdict);
	if(err == CR_OK || err == CR_EEXPIRED)
		add_state(rpc, h, &st);
}

static void rpc_inspect(rpc_t *rpc, void *ctx)
{
	const cr_env_t *env = kam_env();
	str text = STR_NULL, sub = STR_NULL, sid = STR_NULL;
	cr_span_t span;
	int dots = 0, n = rpc->scan(ctx, "S*.S.S", &text, &sub, &sid);

	if(env == NULL || n < 1) {
		rpc->fault(ctx, 400,
				"Say: call_resume.inspect token-or-state"
				" [sub sid]");
		return;
	}
	if(n < 3)
		sid.len = 0;
	span = kam_span(text);
	const char *semi = memchr(span.s, ';', span.len);
	if(semi != NULL)
		span.len = (size_t)(semi - span.s);
	for(size_t i = 0; i < span.len; i++)
		dots += span.s[i] == '.';
	if(dots == 2)
		inspect_token(rpc, ctx, env, span);
	else
		inspect_state(rpc, ctx, env, span, &sub, &sid);
}

static const char *doc_version[] = {
		"The version of the module, of the packages and of the page's helper.",
		NULL};
static const char *doc_stats[]
		= {"The counters of the module since the start.", 0};
static const char *doc_keys[]
		= {"The keys of the ring and of the issuers by their"
		   " names, and what each is good for; never a"
		   " key.",
				0};
static const char *doc_reload[]
		= {"Read the key ring, the issuers' keys and the TURN secret again,"
		   " for all processes.",
				0};
static const char *doc_issue[]
		= {"Issue a token: sub [sid [seconds]]; sid . for a new session.", 0};
static const char *doc_check[] = {
		"Try everything: read the key ring file, issue and verify a token, seal"
		" and open a state and a map.",
		0};
static const char *doc_rotate[]
		= {"Make a new key that seals from now on; the others go on opening for"
		   " [seconds].",
				0};
static const char *doc_revoke[] = {"Revoke a web session, a user's tokens so "
								   "far, or one token: sid|sub|jti"
								   " value [seconds].",
		0};
static const char *doc_revoked[] = {
		"Whether something is revoked: sid|sub|jti value; without them, which"
		" table of htable has it.",
		0};
static const char *doc_nodes[]
		= {"The nodes of the cluster that this one has heard of.", 0};
static const char *doc_drain[] = {
		"Have the clients of this node go to others, and say how many are left:"
		" [off|status].",
		0};
static const char *doc_inspect[]
		= {"What a token or a Call-State says and whether it would be accepted:"
		   " text [sub sid].",
				0};

static const char *doc_abandoned[] = {
		"Clients in calls, and for how long they have been silent: [seconds].",
		0};
static const char *doc_end[]
		= {"End the call of a client that is not connected: Call-ID.", 0};

rpc_export_t kam_rpc_cmds[] = {
		{"call_resume.stats", rpc_stats, doc_stats, 0},
		{"call_resume.version", rpc_version, doc_version, 0},
		{"call_resume.keys", kam_rpc_keys, doc_keys, RET_ARRAY},
		{"call_resume.reload", rpc_reload, doc_reload, RET_ARRAY},
		{"call_resume.check", kam_rpc_check, doc_check, 0},
		{"call_resume.rotate", kam_rpc_rotate, doc_rotate, RET_ARRAY},
		{"call_resume.revoke", kam_rpc_revoke, doc_revoke, 0},
		{"call_resume.revoked", kam_rpc_revoked, doc_revoked, 0},
		{"call_resume.abandoned", kam_rpc_abandoned, doc_abandoned, RET_ARRAY},
		{"call_resume.end", kam_rpc_end, doc_end, 0},
		{"call_resume.issue", rpc_issue, doc_issue, 0},
		{"call_resume.nodes", kam_rpc_nodes, doc_nodes, RET_ARRAY},
		{"call_resume.drain", kam_rpc_drain, doc_drain, 0},
		{"call_resume.inspect", rpc_inspect, doc_inspect, 0},
		{0, 0, 0, 0},
};
