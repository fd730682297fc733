/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "issuer.h"

#include "bytes.h"
#include "private_file.h"
#include "text.h"

/* ---- the parameter --------------------------------------------------------- */

static int take(
		char *out, size_t max, cr_span_t value, cr_span_t name, char *why)
{
	if(out[0])
		return cr_refuse(why, CR_EDUPLICATE, "issuer: %.*s= stands twice",
				(int)name.len, name.s);
	if(!cr_text_is_plain(value, max))
		return cr_refuse(why, CR_EMALFORMED,
				"issuer: %.*s= wants 1 to %zu visible characters without "
				"quotes",
				(int)name.len, name.s, max);
	memcpy(out, value.s, value.len);
	return CR_OK;
}

static int read_item(cr_issuer_t *issuer, char *why, cr_span_t item)
{
	const char *eq = item.len > 0 ? memchr(item.s, '=', item.len) : NULL;
	cr_span_t name = {item.s, eq ? (size_t)(eq - item.s) : item.len};
	cr_span_t value = {eq ? eq + 1 : NULL, eq ? item.len - name.len - 1 : 0};

	if(eq && cr_span_eq(name, CR_SPAN("iss")))
		return take(issuer->iss, CR_ISS_MAX, value, name, why);
	if(eq && cr_span_eq(name, CR_SPAN("aud")))
		return take(issuer->aud, CR_ISS_MAX, value, name, why);
	if(eq && cr_span_eq(name, CR_SPAN("keys")))
		return take(issuer->path, CR_ISSUER_PATH_MAX, value, name, why);
	return cr_refuse(why, CR_EMALFORMED,
			"issuer: knows iss=, keys= and aud=, not [%.*s]",
			(int)(name.len < 40 ? name.len : 40), name.s);
}

static int read_items(cr_issuer_t *issuer, char *why, cr_span_t text)
{
	cr_reader_t r = cr_reader(text.s, text.len);
	int err = CR_OK;

	while(!err && r.left > 0)
		err = read_item(issuer, why, cr_get_part(&r, ';'));
	return err;
}

int cr_issuers_add(cr_issuers_t *set, char *why, cr_span_t text)
{
	cr_issuer_t issuer = {0};
	int err = read_items(&issuer, why, text);

	if(err)
		return err;
	/* A key without a name for its owner could speak for anybody. */
	if(!issuer.iss[0] || !issuer.path[0])
		return cr_refuse(why, CR_EMISSING,
				"issuer: wants \"iss=NAME;keys=FILE\", and ;aud=NAME if the "
				"tokens have one");
	if(cr_issuers_find(set, cr_span_str(issuer.iss)))
		return cr_refuse(why, CR_EDUPLICATE,
				"issuer: %.160s is there already; several keys go into one "
				"JWK set",
				issuer.iss);
	if(set->n == CR_ISSUER_MAX)
		return cr_refuse(
				why, CR_ETOOBIG, "issuer: more than %d of them", CR_ISSUER_MAX);
	set->list[set->n++] = issuer;
	return CR_OK;
}

/* ---- the keys ----------------------------------------------------------------- */

static int load_one(
		cr_issuers_t *set, cr_issuer_t *issuer, char *why, cr_crypto_t *c)
{
	char reason[CR_WHY_MAX];
	cr_span_t text;
	int n = cr_public_file_read(&text, why, issuer->path,
			"the public key of the issuer belongs there", CR_ISSUER_FILE_MAX);

	if(n != CR_OK)
		return n;
	n = cr_jwk_parse(&set->keys[set->n_keys], CR_ISSUER_KEYS_MAX - set->n_keys,
			reason, c, text);
	/* It may be a private key that somebody put there by mistake. */
	cr_private_file_free(text);
	if(n < 0)
		return cr_refuse(why, n, "%.80s: %.170s", issuer->path, reason);
	issuer->first = set->n_keys;
	issuer->n = n;
	set->n_keys += n;
	return CR_OK;
}

int cr_issuers_load(cr_issuers_t *set, char *why, cr_crypto_t *c)
{
	int err = CR_OK;

	set->n_keys = 0;
	for(int i = 0; !err && i < set->n; i++)
		err = load_one(set, &set->list[i], why, c);
	return err;
}

const cr_issuer_t *cr_issuers_find(const cr_issuers_t *set, cr_span_t iss)
{
	for(int i = 0; i < set->n; i++)
		if(cr_span_eq(cr_span_str(set->list[i].iss), iss))
			return &set->list[i];
	return NULL;
}

const cr_jwk_t *cr_issuers_key(
		const cr_issuers_t *set, const cr_issuer_t *issuer, cr_span_t kid)
{
	for(int i = issuer->first; i < issuer->first + issuer->n; i++) {
		const cr_jwk_t *key = &set->keys[i];

		if(key->kid[0] == 0 || cr_span_eq(cr_span_str(key->kid), kid))
			return key;
	}
	return NULL;
}

/* ---- a process' own ------------------------------------------------------------- */

void cr_trust_clear(cr_trust_t *trust)
{
	for(int i = 0; i < CR_ISSUER_KEYS_MAX; i++) {
		cr_verifier_free(trust->verifiers[i]);
		trust->verifiers[i] = NULL;
	}
}

void cr_trust_set(cr_trust_t *trust, const cr_issuers_t *set)
{
	cr_trust_clear(trust);
	trust->set = *set;
}

int cr_trust_check(cr_trust_t *trust, const cr_jwk_t *key, cr_span_t text,
		const uint8_t signature[CR_SIGNATURE_LEN])
{
	cr_verifier_t **v = &trust->verifiers[key - trust->set.keys];

	if(!*v)
		*v = cr_verifier_new(key->alg, key->point);
	return *v ? cr_verifier_check(*v, text, signature) : CR_EINTERNAL;
}
