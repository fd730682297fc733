/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sealed.h"

#include "base.h"
#include "jwe.h"

#define HMAC_LEN (MAC_LEN + CR_STATE_NONCE_LEN) /* SHA-256: 32 bytes */
#define MAC_LEN CR_STATE_MAC_LEN
#define MAC_HEAD ",\"mac\":\""
#define MAC_TAIL "\"}"
#define MAC_MEMBER_LEN                                                         \
	(sizeof(MAC_HEAD) - 1 + CR_B64_LEN(MAC_LEN) + sizeof(MAC_TAIL) - 1)

/* Over the JSON up to its last member, for one web session. */
static int sign(uint8_t hmac[HMAC_LEN], const cr_env_t *env,
		const cr_key_t *master, cr_span_t sub, cr_span_t sid, cr_span_t json)
{
	uint8_t head[2 + CR_SID_MAX + 2 + CR_SUB_MAX];
	cr_writer_t w = cr_writer(head, sizeof(head));

	cr_put_be16(&w, (uint16_t)sid.len);
	cr_put_span(&w, sid);
	cr_put_be16(&w, (uint16_t)sub.len);
	cr_put_span(&w, sub);
	if(cr_writer_end(&w) != CR_OK)
		return CR_EMALFORMED;
	const cr_span_t parts[] = {cr_written(&w), json};
	return cr_hmac(env->crypto, hmac, master->state, CR_KEY_LEN, parts, 2);
}

/* Put the signature behind the JSON of len bytes, which ends with a brace.
 * @return the new length or an error */
static int add_signature(
		char *json, size_t max, size_t len, const uint8_t hmac[HMAC_LEN])
{
	char text[CR_B64_LEN(MAC_LEN)];
	cr_writer_t w = {(uint8_t *)json, len - 1, max, 0};

	cr_b64_encode(text, sizeof(text), hmac, MAC_LEN);
	cr_put_str(&w, MAC_HEAD);
	cr_put_bytes(&w, text, sizeof(text));
	cr_put_str(&w, MAC_TAIL);
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

static int check_signature(cr_span_t json, const cr_env_t *env,
		const cr_key_t *master, cr_span_t sub, cr_span_t sid)
{
	uint8_t hmac[HMAC_LEN], got[MAC_LEN];
	cr_span_t member, head = CR_SPAN(MAC_HEAD), tail = CR_SPAN(MAC_TAIL);
	int err;

	if(json.len < MAC_MEMBER_LEN)
		return CR_EFORGED;
	member = cr_span_sub(json, json.len - MAC_MEMBER_LEN, json.len);
	json = cr_span_sub(json, 0, json.len - MAC_MEMBER_LEN);
	if(!cr_span_eq(cr_span_sub(member, 0, head.len), head)
			|| !cr_span_eq(
					cr_span_sub(member, member.len - tail.len, tail.len), tail))
		return CR_EFORGED;
	member = cr_span_sub(member, head.len, CR_B64_LEN(MAC_LEN));
	if(cr_b64_decode(got, sizeof(got), member) != MAC_LEN)
		return CR_EFORGED;
	err = sign(hmac, env, master, sub, sid, json);
	if(err == CR_OK && !cr_equal_ct(got, hmac, MAC_LEN))
		err = CR_EFORGED;
	cr_wipe(hmac, sizeof(hmac)); /* a signature for a text of their choice */
	return err;
}

int cr_sealed_make(char *out, size_t out_max, const cr_env_t *env,
		const cr_key_t *master, cr_span_t sub, cr_span_t sid,
		const cr_state_t *st)
{
	char *json = env->work->json;
	uint8_t key[CR_KEY_LEN], hmac[HMAC_LEN];
	int len = cr_state_encode(json, CR_STATE_JSON_MAX, st);
	int err = len < 0 ? len : cr_client_key(key, env->crypto, master, sub, sid);

	if(err == CR_OK)
		err = sign(hmac, env, master, sub, sid,
				(cr_span_t){json, (size_t)len - 1});
	if(err == CR_OK)
		err = len = add_signature(json, CR_STATE_JSON_MAX, (size_t)len, hmac);
	if(err > 0)
		err = cr_jwe_seal(out, out_max, env->crypto, cr_span_str(master->kid),
				key, hmac + MAC_LEN, (cr_span_t){json, (size_t)len});
	cr_wipe(key, sizeof(key));
	cr_wipe(hmac, sizeof(hmac));
	cr_wipe(json, len > 0 ? (size_t)len : CR_STATE_JSON_MAX);
	return err;
}

/* The plaintext of a JWE of this session, signature checked.
 * @return its length in env->work->json, or an error */
static int open_signed(const cr_env_t *env, const cr_key_t *master,
		cr_span_t sub, cr_span_t sid, cr_span_t jwe)
{
	char *json = env->work->json;
	uint8_t key[CR_KEY_LEN];
	int err, len = cr_client_key(key, env->crypto, master, sub, sid);

	if(len == CR_OK)
		len = cr_jwe_open(json, CR_STATE_JSON_MAX, env->crypto, key, jwe);
	cr_wipe(key, sizeof(key));
	if(len < 0)
		return len == CR_EINTERNAL ? len : CR_EFORGED;
	err = check_signature(
			(cr_span_t){json, (size_t)len}, env, master, sub, sid);
	if(err != CR_OK)
		cr_wipe(json, (size_t)len);
	return err != CR_OK ? err : len;
}

int cr_sealed_open(cr_state_t *st, char mem[CR_STATE_JSON_MAX],
		const cr_env_t *env, cr_span_t sub, cr_span_t sid, cr_span_t jwe)
{
	char kid[CR_KID_MAX + 1];
	const cr_key_t *master;
	int err = cr_jwe_kid(kid, jwe), len;

	if(err != CR_OK)
		return err;
	master = cr_ring_by_kid(env->ring, cr_span_str(kid), cr_now_s(env));
	if(master == NULL)
		return CR_EFORGED;
	len = open_signed(env, master, sub, sid, jwe);
	if(len < 0)
		return len;
	err = cr_state_decode(st, mem, CR_STATE_JSON_MAX,
			(cr_span_t){env->work->json, (size_t)len});
	cr_wipe(env->work->json, (size_t)len);
	if(err != CR_OK)
		return err == CR_EINTERNAL ? err : CR_EFORGED;
	return cr_now_s(env) >= st->exp ? CR_EEXPIRED : CR_OK;
}
