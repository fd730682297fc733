/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The private halves of the keys of the vector "issuer", and what a portal does
 * with them.
 */
#ifndef HELPER_ISSUER_H
#define HELPER_ISSUER_H

#include "helper.h"

#include "issuer.h"
#include "token.h"

#define ISS "https://portal.example.org"
#define AUD "call-gateway"

typedef enum signer
{
	SIGN_ED25519, /* "ed25519" of the vector */
	SIGN_P256,    /* "p256" */
	SIGN_NONE,    /* no signature */
	SIGN_ZERO,    /* 64 bytes of zero */
	SIGN_HMAC,    /* HS256 with key and key_len below */
} signer_t;

/* What SIGN_HMAC signs with. */
extern const void *hmac_key;
extern size_t hmac_key_len;

/** A token with that header and these claims. @return it, valid until the next
 * call */
const char *outside_make(signer_t by, const char *header, const char *claims);

/** A JWK set of both public keys, with their kids. @return it, to be freed */
char *both_keys(void);

/** Read the keys of one issuer from text, as if its file held it. */
void trust_text(cr_trust_t *trust, const char *param, const char *text);

#endif
