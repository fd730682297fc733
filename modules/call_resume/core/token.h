/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The authorization credentials: a JSON Web Token (RFC 7519). Ours is signed
 * with HS256 (RFC 7515) by a key of the ring; that of an issuer (issuer.h) with
 * EdDSA (RFC 8037) or ES256 by a key of which we have the public half.
 *
 * Header   {"alg":"HS256","kid":"...","typ":"JWT"}; the algorithm follows from
 *          the key that kid names, a token that says another one is refused,
 *          and so is one with "crit".
 * Claims   sub, sid, iat, exp, jti, and kid: the key of the ring from which the
 *          client key is derived (another name for a later token of the same
 *          web session would change the client key).
 *
 * That of an issuer has iss, which says whose keys may have signed it, perhaps
 * aud, and no say in which key of the ring its client key comes from.
 */
#ifndef CR_TOKEN_H
#define CR_TOKEN_H

#include "env.h"

typedef struct cr_token
{
	char sub[CR_SUB_MAX + 1]; /* zero-terminated, see cr_text_is_sub() */
	char sid[CR_SID_MAX + 1];
	char jti[CR_SID_MAX + 1]; /* empty when absent */
	char kid[CR_KID_MAX + 1]; /* key of the client key; empty when absent */
	char iss[CR_ISS_MAX + 1]; /* who issued it; empty: we did */
	int64_t iat;              /* seconds since 1970, 0 when absent */
	int64_t nbf;              /* 0 when absent */
	int64_t exp;
} cr_token_t;

/**
 * Write sub and sid into a token that is to be issued; sid may be empty.
 * @return CR_OK, or CR_EMALFORMED (over CR_SUB_MAX or CR_SID_MAX, or a zero byte
 *         in it): token is then no use
 */
int cr_token_name(
		cr_token_t *token, cr_span_t sub, cr_span_t sid) CR_MUST_CHECK;

/**
 * Issue a token with the sealing key of the ring.
 * @param out    receives the token, zero-terminated, at most CR_TOKEN_MAX + 1
 * @param token  sub and sid to be set; iat, exp and jti are filled in; an empty
 *               sid is replaced by a new random one; a kid that is not that of
 *               a usable key is replaced by the sealing key's. To renew, give
 *               the token as it was verified. Changed on success only.
 * @param ttl_s  lifetime in seconds, over 0
 * @return the length of the token, CR_EMALFORMED (sub, sid or ttl_s), CR_EKEY
 *         (no usable key), CR_ETOOBIG or CR_EINTERNAL
 */
int cr_token_issue(char *out, size_t out_max, cr_token_t *token, cr_crypto_t *c,
		const cr_ring_t *ring, int64_t now, int64_t ttl_s) CR_MUST_CHECK;

/**
 * What a token of that session would say, for a client that has proved in
 * another way who it is.
 * @param out  written on success only; without jti
 * @return CR_OK, CR_EMALFORMED (sub, sid or ttl_s), CR_EKEY (no usable key)
 */
int cr_token_stand_in(cr_token_t *out, const cr_ring_t *ring, cr_span_t sub,
		cr_span_t sid, int64_t now, int64_t ttl_s) CR_MUST_CHECK;

/**
 * Verify a token of ours. The signature is checked before the claims are looked
 * at.
 * @param out     written on success only
 * @param skew_s  seconds by which clocks may differ, 0 or more
 * @return CR_OK, CR_EMALFORMED, CR_ETOOBIG, CR_EUNSUPPORTED (alg, crit),
 *         CR_EKEY (kid unknown or retired), CR_EFORGED, CR_ENOSID, CR_EEXPIRED,
 *         CR_ENOTYET, CR_EINTERNAL
 */
int cr_token_verify(cr_token_t *out, cr_crypto_t *c, const cr_ring_t *ring,
		cr_span_t jwt, int64_t now, int64_t skew_s) CR_MUST_CHECK;

/**
 * Verify a token of ours or of one of env->trust's issuers. HS256 is tried with
 * keys of the ring alone, EdDSA and ES256 with issuers' keys of just that kind
 * alone. Of an issuer's token only iss is looked at before the signature.
 * @param out  as for cr_token_verify(); kid of an issuer's token is the sealing
 *             key's
 * @return as cr_token_verify(), and CR_EISSUER (iss unknown or missing),
 *         CR_EAUDIENCE (aud is not the configured one; there is one, and none
 *         is configured)
 */
int cr_token_accept(cr_token_t *out, const cr_env_t *env, cr_span_t jwt,
		int64_t skew_s) CR_MUST_CHECK;

#endif
