/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "token.h"

#include "base.h"
#include "bytes.h"
#include "jose.h"
#include "text.h"

/* The end of the year 9999: far off, and sums of such times do not overflow. */
#define TIME_MAX INT64_C(253402300799)

#define OWN_CLAIMS_MAX 1024
#define MAC_LEN 32
#define RANDOM_ID_LEN 16

/* ---- issue --------------------------------------------------------------- */

/* 128 random bits, so that nobody guesses a web session. */
static int random_id(char out[CR_SID_MAX + 1])
{
	uint8_t bytes[RANDOM_ID_LEN];
	int len, err = cr_random(bytes, sizeof(bytes));

	if(err)
		return err;
	len = cr_b64_encode(out, CR_SID_MAX, bytes, sizeof(bytes));
	if(len < 0)
		return len;
	out[len] = 0;
	return CR_OK;
}

/* A session keeps the key that its client key comes from as long as it can. */
static void choose_kid(
		cr_token_t *t, const cr_ring_t *ring, const cr_key_t *key, int64_t now)
{
	const char *end = memchr(t->kid, 0, sizeof(t->kid));
	cr_span_t kid = {t->kid, end ? (size_t)(end - t->kid) : 0};

	if(kid.len == 0 || !cr_ring_by_kid(ring, kid, now))
		memcpy(t->kid, key->kid, sizeof(t->kid));
}

static int fill_in(cr_token_t *t, const cr_ring_t *ring, const cr_key_t *key,
		int64_t now, int64_t ttl_s)
{
	int err;

	if(!cr_text_is_sub(cr_span_str(t->sub)))
		return CR_EMALFORMED;
	if(now < 0 || now > TIME_MAX || ttl_s <= 0 || ttl_s > TIME_MAX - now)
		return CR_EMALFORMED;
	if(t->sid[0] == 0) {
		err = random_id(t->sid);
		if(err)
			return err;
	}
	if(!cr_text_is_id(cr_span_str(t->sid), CR_SID_MAX))
		return CR_EMALFORMED;
	t->iat = now;
	t->nbf = 0;
	t->exp = now + ttl_s;
	choose_kid(t, ring, key, now);
	return CR_OK;
}

/* None of the strings needs an escape: fill_in() has refused quotes,
 * backslashes and control characters. */
static void put_claims(cr_writer_t *w, const cr_token_t *t)
{
	cr_put_str(w, "{\"sub\":\"");
	cr_put_str(w, t->sub);
	cr_put_str(w, "\",\"sid\":\"");
	cr_put_str(w, t->sid);
	cr_put_str(w, "\",\"iat\":");
	cr_put_uint(w, (uint64_t)t->iat);
	cr_put_str(w, ",\"exp\":");
	cr_put_uint(w, (uint64_t)t->exp);
	cr_put_str(w, ",\"jti\":\"");
	cr_put_str(w, t->jti);
	cr_put_str(w, "\",\"kid\":\"");
	cr_put_str(w, t->kid);
	cr_put_str(w, "\"}");
}

static void put_header(cr_writer_t *w, const char *kid)
{
	cr_put_str(w, "{\"alg\":\"HS256\",\"kid\":\"");
	cr_put_str(w, kid);
	cr_put_str(w, "\",\"typ\":\"JWT\"}");
}

/* Append as base64url what json holds. */
static void put_b64(cr_writer_t *w, const cr_writer_t *json)
{
	char text[CR_B64_LEN(OWN_CLAIMS_MAX)];
	int n = cr_b64_encode(text, sizeof(text), json->p, json->len);

	if(json->bad || n < 0)
		w->bad = 1;
	else
		cr_put_bytes(w, text, (size_t)n);
}

static int sign(cr_writer_t *w, cr_crypto_t *c, const cr_key_t *key)
{
	uint8_t mac[MAC_LEN];
	const cr_span_t signed_part = cr_written(w);
	cr_writer_t bytes = {mac, sizeof(mac), sizeof(mac), 0};
	int err = cr_hmac(c, mac, key->token, CR_KEY_LEN, &signed_part, 1);

	if(err)
		return err;
	cr_put_str(w, ".");
	put_b64(w, &bytes);
	cr_put_u8(w, 0);
	return cr_writer_end(w);
}

int cr_token_issue(char *out, size_t out_max, cr_token_t *token, cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, int64_t ttl_s)
{
	const cr_key_t *key = cr_ring_sealing(ring, now);
	char header[64 + CR_KID_MAX], claims[OWN_CLAIMS_MAX];
	cr_writer_t h = cr_writer(header, sizeof(header));
	cr_writer_t p = cr_writer(claims, sizeof(claims));
	cr_writer_t w = cr_writer(
			out, out_max > CR_TOKEN_MAX + 1 ? CR_TOKEN_MAX + 1 : out_max);
	cr_token_t filled = *token;
	int err;

	if(!key)
		return CR_EKEY;
	err = fill_in(&filled, ring, key, now, ttl_s);
	if(!err)
		err = random_id(filled.jti);
	if(err)
		return err;
	put_header(&h, key->kid);
	put_claims(&p, &filled);
	put_b64(&w, &h);
	cr_put_str(&w, ".");
	put_b64(&w, &p);
	err = cr_writer_end(&w);
	if(!err)
		err = sign(&w, c, key);
	if(err)
		return err;
	*token = filled;
	return (int)w.len - 1;
}

/* A zero inside would end the text there, and name somebody else. */
static int copy(char *out, size_t max, cr_span_t text)
{
	if(text.len > max || (text.len > 0 && memchr(text.s, 0, text.len)))
		return CR_EMALFORMED;
	if(text.len > 0)
		memcpy(out, text.s, text.len);
	out[text.len] = 0;
	return CR_OK;
}

int cr_token_name(cr_token_t *token, cr_span_t sub, cr_span_t sid)
{
	return copy(token->sub, CR_SUB_MAX, sub)
					|| copy(token->sid, CR_SID_MAX, sid)
			? CR_EMALFORMED
			: CR_OK;
}

int cr_token_stand_in(cr_token_t *out, const cr_ring_t *ring, cr_span_t sub,
		cr_span_t sid, int64_t now, int64_t ttl_s)
{
	const cr_key_t *key = cr_ring_sealing(ring, now);
	cr_token_t t = {0};

	if(!key)
		return CR_EKEY;
	if(sid.len == 0 || cr_token_name(&t, sub, sid)
			|| fill_in(&t, ring, key, now, ttl_s))
		return CR_EMALFORMED;
	*out = t;
	return CR_OK;
}

/* ---- verify -------------------------------------------------------------- */

typedef struct parts
{
	cr_span_t header;
	cr_span_t claims;
	cr_span_t signature;
	cr_span_t signed_part; /* header, dot, claims */
} parts_t;

static int split(parts_t *out, cr_span_t jwt)
{
	cr_reader_t r = cr_reader(jwt.s, jwt.len);

	if(jwt.len > CR_TOKEN_MAX)
		return CR_ETOOBIG;
	out->header = cr_get_until(&r, '.');
	out->claims = cr_get_until(&r, '.');
	out->signature = cr_get_bytes(&r, r.left);
	if(cr_reader_end(&r))
		return CR_EMALFORMED;
	out->signed_part = (cr_span_t){
			jwt.s, out->header.len + CR_SPAN(".").len + out->claims.len};
	return CR_OK;
}

/* The key decides which algorithm may be used, not the message: all keys of
 * the ring are HS256 keys (RFC 8725 section 3.1). */
static int find_key(const cr_key_t **key, const cr_jose_t *head,
		const cr_ring_t *ring, int64_t now)
{
	if(strcmp(head->alg, "HS256") != 0)
		return CR_EUNSUPPORTED;
	if(head->typ[0] && strcmp(head->typ, "JWT") != 0)
		return CR_EUNSUPPORTED;
	*key = cr_ring_by_kid(ring, cr_span_str(head->kid), now);
	return *key ? CR_OK : CR_EKEY;
}

static int check_mac(cr_crypto_t *c, const cr_key_t *key, const parts_t *parts)
{
	uint8_t want[MAC_LEN], got[MAC_LEN];
	int err;

	/* Here is also where a dot too many is found. */
	if(cr_b64_decode(got, sizeof(got), parts->signature) != MAC_LEN)
		return CR_EMALFORMED;
	err = cr_hmac(c, want, key->token, CR_KEY_LEN, &parts->signed_part, 1);
	if(!err && !cr_equal_ct(want, got, MAC_LEN))
		err = CR_EFORGED;
	/* It would be the signature of a message that somebody else made. */
	cr_wipe(want, sizeof(want));
	return err;
}

/* A NumericDate (RFC 7519 section 2): may have a fraction, which is cut off. */
static int read_time(int64_t *out, const json_t *claims, const char *name)
{
	const json_t *value = json_object_get(claims, name);
	double seconds;

	*out = 0;
	if(!value)
		return CR_OK;
	if(!json_is_number(value))
		return CR_EMALFORMED;
	seconds = json_number_value(value);
	if(!(seconds >= 0 && seconds <= (double)TIME_MAX))
		return CR_EMALFORMED;
	*out = (int64_t)seconds;
	return CR_OK;
}

static int read_names(cr_token_t *t, const json_t *claims)
{
	if(cr_json_copy(t->sub, sizeof(t->sub), claims, "sub")
			|| cr_json_copy(t->sid, sizeof(t->sid), claims, "sid")
			|| cr_json_copy(t->jti, sizeof(t->jti), claims, "jti"))
		return CR_EMALFORMED;
	/* What other systems' tokens lack first of all. */
	if(!json_object_get(claims, "sid"))
		return CR_ENOSID;
	if(!cr_text_is_sub(cr_span_str(t->sub))
			|| !cr_text_is_id(cr_span_str(t->sid), CR_SID_MAX))
		return CR_EMALFORMED;
	if(t->jti[0] && !cr_text_is_plain(cr_span_str(t->jti), CR_SID_MAX))
		return CR_EMALFORMED;
	t->kid[0] = t->iss[0] = 0;
	return CR_OK;
}

static int read_claims(cr_token_t *t, const json_t *claims)
{
	int err = read_names(t, claims);

	if(err)
		return err;
	if(!json_object_get(claims, "exp") || read_time(&t->exp, claims, "exp")
			|| read_time(&t->nbf, claims, "nbf")
			|| read_time(&t->iat, claims, "iat"))
		return CR_EMALFORMED;
	return CR_OK;
}

/* @param out  to be given to json_decref() */
static int parse_claims(json_t **out, cr_span_t text)
{
	uint8_t json[CR_TOKEN_MAX];
	int err, len = cr_b64_decode(json, sizeof(json), text);

	if(len < 0)
		return len;
	err = cr_json_object(out, (cr_span_t){(char *)json, (size_t)len});
	cr_wipe(json, (size_t)len);
	return err;
}

/* RFC 7519 sections 4.1.4 to 4.1.6. */
static int check_times(const cr_token_t *t, int64_t now, int64_t skew_s)
{
	if(now - skew_s >= t->exp)
		return CR_EEXPIRED;
	return now + skew_s < t->nbf || now + skew_s < t->iat ? CR_ENOTYET : CR_OK;
}

/* ---- ours ------------------------------------------------------------------ */

static int read_kid(cr_token_t *t, const json_t *claims)
{
	if(cr_json_copy(t->kid, sizeof(t->kid), claims, "kid"))
		return CR_EMALFORMED;
	if(t->kid[0] && !cr_text_is_id(cr_span_str(t->kid), CR_KID_MAX))
		return CR_EMALFORMED;
	return CR_OK;
}

/* What stands behind this name, up to its end. */
static cr_span_t member(cr_reader_t *r, cr_span_t name, char end)
{
	if(!cr_span_eq(cr_get_bytes(r, name.len), name))
		r->bad = 1;
	return cr_get_until(r, end);
}

static int64_t number(cr_reader_t *r, cr_span_t name)
{
	cr_span_t digits = member(r, name, ',');
	int64_t n = 0;

	for(size_t i = 0; i < digits.len && i < 12; i++)
		n = n * 10 + (digits.s[i] - '0');
	return n;
}

/* Claims of our own making are read without a JSON parser: they are what put_claims()
 * makes of what has been read. @return 1, or 0 and they are for the parser */
static int read_own_claims(cr_token_t *t, cr_span_t json)
{
	char same[OWN_CLAIMS_MAX];
	cr_writer_t w = cr_writer(same, sizeof(same));
	cr_reader_t r = cr_reader(json.s, json.len);

	if(copy(t->sub, CR_SUB_MAX, member(&r, CR_SPAN("{\"sub\":\""), '"'))
			|| copy(t->sid, CR_SID_MAX,
					member(&r, CR_SPAN(",\"sid\":\""), '"')))
		return 0;
	t->iat = number(&r, CR_SPAN(",\"iat\":"));
	t->exp = number(&r, CR_SPAN("\"exp\":"));
	if(copy(t->jti, CR_SID_MAX, member(&r, CR_SPAN("\"jti\":\""), '"'))
			|| copy(t->kid, CR_KID_MAX,
					member(&r, CR_SPAN(",\"kid\":\""), '"')))
		return 0;
	t->nbf = 0;
	t->iss[0] = 0;
	put_claims(&w, t);
	return !r.bad && cr_writer_end(&w) == CR_OK
			&& cr_span_eq(cr_written(&w), json) && t->exp <= TIME_MAX
			&& t->iat <= TIME_MAX && cr_text_is_sub(cr_span_str(t->sub))
			&& cr_text_is_id(cr_span_str(t->sid), CR_SID_MAX)
			&& cr_text_is_plain(cr_span_str(t->jti), CR_SID_MAX)
			&& cr_text_is_id(cr_span_str(t->kid), CR_KID_MAX);
}

static int read_any_claims(cr_token_t *t, cr_span_t text)
{
	json_t *claims = NULL;
	int err = parse_claims(&claims, text);

	if(!err)
		err = read_claims(t, claims);
	if(!err)
		err = read_kid(t, claims);
	json_decref(claims);
	return err;
}

static int verify_own(cr_token_t *t, cr_crypto_t *c, const cr_ring_t *ring,
		const cr_jose_t *head, const parts_t *parts, int64_t now)
{
	char json[OWN_CLAIMS_MAX];
	const cr_key_t *key;
	int len, err = find_key(&key, head, ring, now);

	if(!err)
		err = check_mac(c, key, parts);
	if(err)
		return err;
	len = parts->claims.len <= CR_B64_LEN(sizeof(json))
			? cr_b64_decode((uint8_t *)json, sizeof(json), parts->claims)
			: CR_ETOOBIG;
	if(len >= 0 && read_own_claims(t, (cr_span_t){json, (size_t)len}))
		return CR_OK;
	return read_any_claims(t, parts->claims);
}

/* ---- of an issuer ------------------------------------------------------------ */

/* RFC 9068 section 2.1 has a type of its own for access tokens. A type is a
 * media type, which has no case (RFC 7515 section 4.1.9). */
static int is_jwt(const char *typ)
{
	cr_span_t t = cr_span_str(typ);

	return t.len == 0 || cr_span_eq_case(t, CR_SPAN("JWT"))
			|| cr_span_eq_case(t, CR_SPAN("at+jwt"))
			|| cr_span_eq_case(t, CR_SPAN("application/at+jwt"));
}

/* Which key the token has to be signed with, and that its header asks for no
 * algorithm but the one of that key. */
static int find_public_key(const cr_jwk_t **key, const cr_issuer_t **issuer,
		const cr_issuers_t *set, const cr_jose_t *head, const json_t *claims)
{
	*issuer = cr_issuers_find(
			set, cr_json_span(json_object_get(claims, "iss")));
	if(!*issuer)
		return CR_EISSUER;
	*key = cr_issuers_key(set, *issuer, cr_span_str(head->kid));
	if(!*key)
		return CR_EKEY;
	return cr_alg_is((*key)->alg, cr_span_str(head->alg)) ? CR_OK
														  : CR_EUNSUPPORTED;
}

static int check_signature(
		cr_trust_t *trust, const cr_jwk_t *key, const parts_t *parts)
{
	uint8_t signature[CR_SIGNATURE_LEN];

	if(cr_b64_decode(signature, sizeof(signature), parts->signature)
			!= CR_SIGNATURE_LEN)
		return CR_EMALFORMED;
	return cr_trust_check(trust, key, parts->signed_part, signature);
}

/* RFC 7519 section 4.1.3: who is not named in aud must refuse it. One without
 * aud is for everybody, unless we want to be named. */
static int check_audience(const cr_issuer_t *issuer, const json_t *claims)
{
	const json_t *aud = json_object_get(claims, "aud");
	cr_span_t us = cr_span_str(issuer->aud);

	if(us.len == 0)
		return aud ? CR_EAUDIENCE : CR_OK;
	if(cr_span_eq(cr_json_span(aud), us))
		return CR_OK;
	for(size_t i = 0; i < json_array_size(aud); i++)
		if(cr_span_eq(cr_json_span(json_array_get(aud, i)), us))
			return CR_OK;
	return CR_EAUDIENCE;
}

static int verify_claims(cr_token_t *t, cr_trust_t *trust,
		const cr_jose_t *head, const parts_t *parts, const json_t *claims)
{
	const cr_issuer_t *issuer;
	const cr_jwk_t *key;
	int err = find_public_key(&key, &issuer, &trust->set, head, claims);

	if(!err)
		err = check_signature(trust, key, parts);
	if(!err)
		err = check_audience(issuer, claims);
	if(!err)
		err = read_claims(t, claims);
	if(!err)
		memcpy(t->iss, issuer->iss, sizeof(t->iss));
	return err;
}

static int verify_outside(cr_token_t *t, const cr_env_t *env,
		const cr_jose_t *head, const parts_t *parts)
{
	const cr_key_t *sealing = cr_ring_sealing(env->ring, cr_now_s(env));
	json_t *claims = NULL;
	int err;

	if(!is_jwt(head->typ))
		return CR_EUNSUPPORTED;
	if(!sealing)
		return CR_EKEY;
	err = parse_claims(&claims, parts->claims);
	if(!err)
		err = verify_claims(t, env->trust, head, parts, claims);
	json_decref(claims);
	/* A portal does not know the keys of our ring. */
	memcpy(t->kid, sealing->kid, sizeof(t->kid));
	return err;
}

/* The two families of algorithms have no key in common, so that a token that
 * lies about its alg meets a key that cannot have signed it. */
static int is_public_key_alg(const char *alg)
{
	cr_span_t name = cr_span_str(alg);

	return cr_alg_is(CR_ALG_EDDSA, name) || cr_alg_is(CR_ALG_ES256, name);
}

int cr_token_accept(
		cr_token_t *out, const cr_env_t *env, cr_span_t jwt, int64_t skew_s)
{
	int64_t now = cr_now_s(env);
	parts_t parts;
	cr_jose_t head;
	cr_token_t t;
	int err = split(&parts, jwt);

	if(!err)
		err = cr_jose_header(&head, parts.header);
	if(err)
		return err;
	if(env->trust && env->trust->set.n > 0 && is_public_key_alg(head.alg))
		err = verify_outside(&t, env, &head, &parts);
	else
		err = verify_own(&t, env->crypto, env->ring, &head, &parts, now);
	if(!err)
		err = check_times(&t, now, skew_s);
	if(!err)
		*out = t;
	return err;
}

int cr_token_verify(cr_token_t *out, cr_crypto_t *c, const cr_ring_t *ring,
		cr_span_t jwt, int64_t now, int64_t skew_s)
{
	const cr_env_t alone = {.crypto = c, .ring = ring, .now_ms = now * 1000};

	return cr_token_accept(out, &alone, jwt, skew_s);
}
