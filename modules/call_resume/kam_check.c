/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_check.h"
#include "kam_env.h"
#include "kam_revoke.h"

#include "../../core/cfg/cfg.h"
#include "../../core/tcp_options.h"

#include "core/map.h"
#include "core/sealed.h"

#define SUB "sip:check@invalid"
#define SID "check"
#define CALL_ID "check@invalid"

static const char *word(int err)
{
	return err == CR_OK ? "ok" : cr_strerror(err);
}

/* The file may have become worse since it was read. */
static void check_file(rpc_t *rpc, void *h, const cr_env_t *env)
{
	char why[CR_WHY_MAX] = "ok";
	cr_ring_t ring;
	int err = cr_ring_load(
			&ring, why, env->crypto, kam_config.key_ring, cr_now_s(env));

	rpc->struct_add(h, "ss", "key_ring", kam_config.key_ring, "key_ring_file",
			err == CR_OK ? "ok" : why);
	if(err == CR_OK)
		cr_wipe(&ring, sizeof(ring));
}

static int check_token(const cr_env_t *env)
{
	char text[CR_TOKEN_MAX + 1];
	cr_token_t token = {.sub = SUB, .sid = SID};
	int len = cr_token_issue(text, sizeof(text), &token, env->crypto, env->ring,
			cr_now_s(env), 60);

	if(len < 0)
		return len;
	len = cr_token_accept(
			&token, env, (cr_span_t){text, (size_t)len}, kam_config.clock_skew);
	cr_wipe(text, sizeof(text));
	return len;
}

static int check_state(const cr_env_t *env, const cr_key_t *key)
{
	static char jwe[CR_JWE_MAX + 1], mem[CR_STATE_JSON_MAX];
	cr_state_t st = {.id = "00000000000000000000000000000000",
			.call_id = CR_SPAN(CALL_ID),
			.local_uri = CR_SPAN(SUB),
			.local_tag = CR_SPAN("a"),
			.remote_uri = CR_SPAN(SUB),
			.remote_tag = CR_SPAN("b"),
			.target = CR_SPAN(SUB),
			.cseq = 1,
			.start = cr_now_s(env),
			.iat = env->now_ms,
			.exp = cr_now_s(env) + env->state_ttl_s};
	int len = cr_sealed_make(
			jwe, sizeof(jwe), env, key, CR_SPAN(SUB), CR_SPAN(SID), &st);

	if(len < 0)
		return len;
	return cr_sealed_open(&st, mem, env, CR_SPAN(SUB), CR_SPAN(SID),
			(cr_span_t){jwe, (size_t)len});
}

static int check_map(const cr_env_t *env, const cr_key_t *key)
{
	static char text[CR_BOX_TEXT_MAX];
	cr_dialog_id_t here = {.call_id = CR_SPAN(CALL_ID), .tag = CR_SPAN("a")};
	cr_map_t map = {
			.other = here, .exp = (uint32_t)(cr_now_s(env) + env->map_ttl_s)};
	int len = cr_map_seal(
			text, sizeof(text), env->crypto, key, CR_PURPOSE_TAG, &here, &map);

	if(len < 0)
		return len;
	return cr_map_open(&map, env->work->box, &key, env->crypto, env->ring,
			cr_now_s(env), CR_PURPOSE_TAG, &here,
			(cr_span_t){text, (size_t)len});
}

void kam_rpc_check(rpc_t *rpc, void *ctx)
{
	const cr_env_t *env = kam_env();
	const cr_key_t *key;
	void *h;

	if(env == NULL) {
		rpc->fault(ctx, 500, "OpenSSL does not work");
		return;
	}
	if(rpc->add(ctx, "{", &h) < 0)
		return;
	check_file(rpc, h, env);
	key = cr_ring_sealing(env->ring, cr_now_s(env));
	rpc->struct_add(h, "s", "seals_with", key != NULL ? key->kid : "");
	rpc->struct_add(h, "sss", "token", word(check_token(env)), "state",
			word(key != NULL ? check_state(env, key) : CR_EKEY), "map",
			word(key != NULL ? check_map(env, key) : CR_EKEY));
	rpc->struct_add(h, "ss", "revocation", kam_revoke_is_on() ? "on" : "off",
			"insecure", kam_config.allow_insecure ? "allowed" : "refused");
	/* What a message over a connection may be long. */
	rpc->struct_add(
			h, "d", "tcp_buffer", (int)cfg_get(tcp, tcp_cfg, rd_buf_size));
}
