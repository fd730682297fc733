/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Token: the input once as it is, and as the header and the claims of well signed
 * tokens, one of ours and one of an issuer, since no mutation ever finds a MAC.
 * The claims begin behind the first line feed.
 */
#include "fuzz.h"

#include <openssl/evp.h>

#include "base.h"
#include "bytes.h"
#include "text.h"
#include "token.h"

static char jwt[3 * 8192 + 64];

static size_t put(size_t n, const void *data, size_t len)
{
	int more = cr_b64_encode(&jwt[n], sizeof(jwt) - n, data, len);

	CHECK(more >= 0);
	return n + (size_t)more;
}

static cr_trust_t
		trust; /* one issuer, "portal", with the public key of portal */
static EVP_PKEY *portal;

static void setup_portal(void)
{
	static const uint8_t secret[32] = {1};
	cr_issuers_t *set = &trust.set;
	size_t len = CR_ED25519_LEN;
	char why[CR_WHY_MAX];

	if(portal)
		return;
	portal = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, 32);
	CHECK(portal);
	CHECK(!cr_issuers_add(set, why, CR_SPAN("iss=portal;keys=/k;aud=us")));
	set->keys[0].alg = CR_ALG_EDDSA;
	CHECK(EVP_PKEY_get_raw_public_key(portal, set->keys[0].point, &len));
	set->list[0].n = set->n_keys = 1;
}

static size_t put_parts(cr_span_t header, cr_span_t claims)
{
	size_t n = put(0, header.s, header.len);

	jwt[n++] = '.';
	return put(n, claims.s, claims.len);
}

static size_t sign(cr_span_t header, cr_span_t claims)
{
	uint8_t mac[32];
	cr_span_t part = {jwt, put_parts(header, claims)};
	size_t n = part.len;

	CHECK(!cr_hmac(crypto, mac, ring.keys[0].token, 32, &part, 1));
	jwt[n++] = '.';
	return put(n, mac, sizeof(mac));
}

static size_t sign_outside(cr_span_t header, cr_span_t claims)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t signature[CR_SIGNATURE_LEN];
	size_t len = sizeof(signature), n = put_parts(header, claims);

	CHECK(md && EVP_DigestSignInit(md, NULL, NULL, NULL, portal)
			&& EVP_DigestSign(md, signature, &len, (const uint8_t *)jwt, n));
	EVP_MD_CTX_free(md);
	jwt[n++] = '.';
	return put(n, signature, sizeof(signature));
}

static void check(const cr_token_t *t)
{
	CHECK(cr_text_is_sub(cr_span_str(t->sub)));
	CHECK(cr_text_is_id(cr_span_str(t->sid), CR_SID_MAX));
	CHECK(t->exp > NOW - 5);
}

static void verify(cr_span_t text)
{
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.trust = &trust,
			.now_ms = NOW * 1000};
	cr_token_t t;
	int own = cr_token_verify(&t, crypto, &ring, text, NOW, 5), err;

	CHECK(own <= 0 && own != CR_EINTERNAL);
	if(!own)
		check(&t);
	err = cr_token_accept(&t, &env, text, 5);
	CHECK(err <= 0 && err != CR_EINTERNAL);
	/* What is ours is ours, and nothing else is accepted as ours. */
	CHECK((own == CR_OK) == (err == CR_OK && t.iss[0] == 0));
	if(!err) {
		check(&t);
		CHECK(!t.iss[0] || strcmp(t.iss, "portal") == 0);
	}
}

/* Who may be named in a token at all gets one that is good. */
static void issue(cr_span_t sub, cr_span_t sid)
{
	static char own[CR_TOKEN_MAX + 1];
	cr_token_t t = {.exp = 0}, back;
	int n, err = cr_token_name(&t, sub, sid);

	CHECK(err == CR_OK || err == CR_EMALFORMED);
	n = err == CR_OK
			? cr_token_issue(own, sizeof(own), &t, crypto, &ring, NOW, 60)
			: err;
	CHECK(n > 0 || n == CR_EMALFORMED || n == CR_ETOOBIG);
	err = cr_token_stand_in(&back, &ring, sub, sid, NOW, 60);
	CHECK(err == CR_OK || err == CR_EMALFORMED);
	if(n < 0)
		return;
	CHECK(cr_token_verify(&back, crypto, &ring, cr_span_str(own), NOW, 0)
			== CR_OK);
	CHECK(cr_span_eq(cr_span_str(back.sub), sub));
	CHECK(sid.len == 0 || cr_span_eq(cr_span_str(back.sid), sid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cr_reader_t r = cr_reader(data, size);
	cr_span_t header, claims;

	setup();
	setup_portal();
	verify((cr_span_t){(const char *)data, size});
	header = cr_get_until(&r, '\n');
	if(r.bad || size > 8192)
		return 0;
	claims = cr_get_bytes(&r, r.left);
	issue(header, claims);
	verify((cr_span_t){jwt, sign(header, claims)});
	verify((cr_span_t){jwt, sign_outside(header, claims)});
	return 0;
}
