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
	return random_id(t->jti);
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
	char text[CR_B64_LEN(1024)];
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
	char header[64 + CR_KID_MAX], claims[1024];
	cr_writer_t h = cr_writer(header, sizeof(header));
	cr_writer_t p = cr_writer(claims, sizeof(claims));
	cr_writer_t w = cr_writer(
			out, out_max > CR_TOKEN_MAX + 1 ? CR_TOKEN_MAX + 1 : out_max);
	cr_token_t filled = *token;
	int err;

	if(!key)
		return CR_EKEY;
	err = fill_in(&filled, ring, key, now, ttl_s);
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

/* ---- verify -------------------------------------------------------------- */

typedef struct parts
{
	cr_span_t header;
	cr_span_t claims;
	cr_span_t mac;
	cr_span_t signed_part; /* header, dot, claims */
} parts_t;

static int split(parts_t *out, cr_span_t jwt)
{
	cr_reader_t r = cr_reader(jwt.s, jwt.len);

	if(jwt.len > CR_TOKEN_MAX)
		return CR_ETOOBIG;
	out->header = cr_get_until(&r, '.');
	out->claims = cr_get_until(&r, '.');
	out->mac = cr_get_bytes(&r, r.left);
	if(cr_reader_end(&r))
		return CR_EMALFORMED;
	out->signed_part = (cr_span_t){
			jwt.s, out->header.len + CR_SPAN(".").len + out->claims.len};
	return CR_OK;
}

/* The key decides which algorithm may be used, not the message: all keys of
 * the ring are HS256 keys (RFC 8725 section 3.1). */
static int find_key(const cr_key_t **key, cr_span_t header,
		const cr_ring_t *ring, int64_t now)
{
	cr_jose_t head;
	int err = cr_jose_header(&head, header);

	if(err)
		return err;
	if(strcmp(head.alg, "HS256") != 0)
		return CR_EUNSUPPORTED;
	if(head.typ[0] && strcmp(head.typ, "JWT") != 0)
		return CR_EUNSUPPORTED;
	*key = cr_ring_by_kid(ring, cr_span_str(head.kid), now);
	return *key ? CR_OK : CR_EKEY;
}

static int check_mac(cr_crypto_t *c, const cr_key_t *key, const parts_t *parts)
{
	uint8_t want[MAC_LEN], got[MAC_LEN];
	int err;

	/* Here is also where a dot too many is found. */
	if(cr_b64_decode(got, sizeof(got), parts->mac) != MAC_LEN)
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

static int read_claims(cr_token_t *t, const json_t *claims)
{
	if(cr_json_copy(t->sub, sizeof(t->sub), claims, "sub")
			|| cr_json_copy(t->sid, sizeof(t->sid), claims, "sid")
			|| cr_json_copy(t->jti, sizeof(t->jti), claims, "jti")
			|| cr_json_copy(t->kid, sizeof(t->kid), claims, "kid"))
		return CR_EMALFORMED;
	if(!cr_text_is_sub(cr_span_str(t->sub))
			|| !cr_text_is_id(cr_span_str(t->sid), CR_SID_MAX))
		return CR_EMALFORMED;
	if(t->jti[0] && !cr_text_is_plain(cr_span_str(t->jti), CR_SID_MAX))
		return CR_EMALFORMED;
	if(t->kid[0] && !cr_text_is_id(cr_span_str(t->kid), CR_KID_MAX))
		return CR_EMALFORMED;
	if(!json_object_get(claims, "exp") || read_time(&t->exp, claims, "exp")
			|| read_time(&t->nbf, claims, "nbf")
			|| read_time(&t->iat, claims, "iat"))
		return CR_EMALFORMED;
	return CR_OK;
}

static int decode_claims(cr_token_t *t, cr_span_t text)
{
	uint8_t json[CR_TOKEN_MAX];
	json_t *root = NULL;
	int err, len = cr_b64_decode(json, sizeof(json), text);

	if(len < 0)
		return len;
	err = cr_json_object(&root, (cr_span_t){(char *)json, (size_t)len});
	if(!err)
		err = read_claims(t, root);
	json_decref(root);
	cr_wipe(json, (size_t)len);
	return err;
}

int cr_token_verify(cr_token_t *out, cr_crypto_t *c, const cr_ring_t *ring,
		cr_span_t jwt, int64_t now, int64_t skew_s)
{
	parts_t parts;
	const cr_key_t *key;
	cr_token_t t;
	int err = split(&parts, jwt);

	if(!err)
		err = find_key(&key, parts.header, ring, now);
	if(!err)
		err = check_mac(c, key, &parts);
	if(!err)
		err = decode_claims(&t, parts.claims);
	if(err)
		return err;
	/* RFC 7519 sections 4.1.4 and 4.1.5. */
	if(now - skew_s >= t.exp)
		return CR_EEXPIRED;
	if(now + skew_s < t.nbf)
		return CR_ENOTYET;
	*out = t;
	return CR_OK;
}
