/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_rotate.h"
#include "kam_env.h"
#include "kam_stat.h"

#include "../../core/dprint.h"

#include "core/base.h"
#include "core/jose.h"

void kam_count_retired(cr_span_t jose)
{
	const cr_env_t *env = kam_env();
	cr_jose_t head;

	if(env == NULL || cr_jose_peek(&head, jose) != CR_OK)
		return;
	for(int i = 0; i < env->ring->n_keys; i++) {
		const cr_key_t *key = &env->ring->keys[i];

		if(strcmp(key->kid, head.kid) == 0
				&& !cr_key_usable(key, cr_now_s(env)))
			kam_count(KAM_KEYS_RETIRED);
	}
}

/* Nothing that the old key sealed is good for longer. */
static int default_seconds(void)
{
	int s = kam_config.token_lifetime + kam_config.clock_skew;

	if(s < kam_config.state_lifetime)
		s = kam_config.state_lifetime;
	return s < kam_config.map_lifetime ? kam_config.map_lifetime : s;
}

/* Digits only. To a transport "1h" is the number 0, by which all keys but the
 * new one would be over at once; so none of them gets to read it.
 * @return 1 or 0 */
static int read_seconds(int *out, cr_span_t text)
{
	int s = 0;

	for(size_t i = 0; i < text.len; i++) {
		if(text.s[i] < '0' || text.s[i] > '9' || s > KAM_LIFETIME_MAX / 10)
			return 0;
		s = s * 10 + (text.s[i] - '0');
	}
	if(text.len == 0 || s > KAM_LIFETIME_MAX)
		return 0;
	*out = s;
	return 1;
}

/* Behind those of the ring. */
static void rpc_public_keys(rpc_t *rpc, void *ctx, const cr_issuers_t *set)
{
	for(int i = 0; i < set->n; i++) {
		const cr_issuer_t *issuer = &set->list[i];

		for(int k = issuer->first; k < issuer->first + issuer->n; k++) {
			const cr_jwk_t *key = &set->keys[k];
			char text[CR_B64_LEN(32) + 1] = "";
			void *h;

			cr_b64_encode(text, sizeof(text), key->thumbprint, 32);
			if(rpc->add(ctx, "{", &h) < 0)
				return;
			rpc->struct_add(h, "sssss", "kid", key->kid, "use",
					"verifies tokens", "iss", issuer->iss, "alg",
					cr_alg_name(key->alg), "thumbprint", text);
		}
	}
}

void kam_rpc_keys(rpc_t *rpc, void *ctx)
{
	const cr_env_t *env = kam_env();
	const cr_key_t *sealing;

	if(env == NULL) {
		rpc->fault(ctx, 500, "OpenSSL does not work");
		return;
	}
	sealing = cr_ring_sealing(env->ring, cr_now_s(env));
	for(int i = 0; i < env->ring->n_keys; i++) {
		const cr_key_t *key = &env->ring->keys[i];
		const char *use = key == sealing ? "seals and opens" : "opens";
		void *h;

		if(!cr_key_usable(key, cr_now_s(env)))
			use = "retired";
		if(rpc->add(ctx, "{", &h) < 0)
			return;
		rpc->struct_add(h, "ssu", "kid", key->kid, "use", use, "not_after",
				(unsigned)key->not_after);
	}
	rpc_public_keys(rpc, ctx, &env->trust->set);
}

void kam_rpc_rotate(rpc_t *rpc, void *ctx)
{
	char why[CR_WHY_MAX], kid[CR_KID_MAX + 1];
	str given = str_init("");
	int old_s = default_seconds(), n = rpc->scan(ctx, "*.S", &given);

	/* JSON-RPC counts what it cannot read as absent, and leaves NULL. */
	if((n != 0 || given.s == NULL) && !read_seconds(&old_s, kam_span(given))) {
		rpc->fault(ctx, 400, "Say: call_resume.rotate [seconds], up to a year");
		return;
	}
	if(kam_env_rotate(kid, why, old_s) < 0) {
		LM_ERR("not rotated: %s\n", why);
		rpc->fault(ctx, 500, "Not rotated: %s", why);
		return;
	}
	kam_count(KAM_ROTATIONS);
	LM_NOTICE("key ring rotated: %s seals, older keys open for %d s\n", kid,
			old_s);
	kam_rpc_keys(rpc, ctx);
}
