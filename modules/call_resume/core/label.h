/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The label: what a media server keeps of a call for us, sealed. With it any node can hang
 * up in the place of a client that does not come back, and keeps nothing itself.
 */
#ifndef CR_LABEL_H
#define CR_LABEL_H

#include "env.h"
#include "ref.h"

typedef enum cr_side
{
	CR_SIDE_CALLER,
	CR_SIDE_CALLEE,
	CR_SIDES,
} cr_side_t;

typedef struct cr_party
{
	cr_span_t uri, tag;
	cr_span_t target; /* its Contact */
	int64_t cseq;     /* the last of its own that is known, -1: none */
} cr_party_t;

typedef struct cr_label
{
	int64_t made_s; /* seconds since 1970 */
	cr_party_t party[CR_SIDES];
	int n_routes; /* the route set of the called side (RFC 3261 section 12.1.1) */
	cr_span_t routes[CR_STATE_ROUTES_MAX];
} cr_label_t;

/**
 * What the answer to an INVITE or UPDATE says of its dialog.
 * @param reply     the 2xx; its Contact as the other side shall see it
 * @param sent      the request as it went to who has answered, likewise
 * @param received  the request as it came
 * @return CR_OK, the label then points into the three messages; CR_EMISSING: the
 *         request is one within a dialog that is not of a client, and names no route
 *         set; CR_EMALFORMED, CR_ETOOBIG
 */
int cr_label_read(cr_label_t *label, const cr_sip_t *reply,
		const cr_sip_t *sent, const cr_sip_t *received) CR_MUST_CHECK;

/**
 * Seal, with the time of now.
 * @param out  CR_BOX_TEXT_MAX bytes, receives lower-case base32
 * @return the number of characters; CR_EKEY, CR_ETOOBIG or CR_EINTERNAL
 */
int cr_label_seal(char *out, size_t out_max, const cr_env_t *env,
		cr_span_t call_id, const cr_label_t *label) CR_MUST_CHECK;

/**
 * Open.
 * @param mem  CR_BOX_PLAIN_MAX bytes, holds the strings of label
 * @return CR_OK, an error of cr_box_open(), or CR_EMALFORMED
 */
int cr_label_open(cr_label_t *label, uint8_t mem[CR_BOX_PLAIN_MAX],
		const cr_env_t *env, cr_span_t call_id, cr_span_t text) CR_MUST_CHECK;

/**
 * The session reference of a side, when that is a client.
 * @param gateway  receives the route that it stands in: how the client reaches us
 * @param mem  CR_BOX_PLAIN_MAX bytes, holds the strings of ref
 * @return CR_OK, CR_EMISSING, or an error of cr_ref_open()
 */
int cr_label_client(cr_ref_t *ref, uint8_t mem[CR_BOX_PLAIN_MAX],
		cr_span_t *gateway, const cr_env_t *env, const cr_label_t *label,
		cr_span_t call_id, cr_side_t side) CR_MUST_CHECK;

/** Where a BYE comes from, and what tells it from another one. */
typedef struct cr_sender
{
	cr_span_t host; /* an address */
	unsigned port;
	cr_span_t branch; /* behind the magic cookie (RFC 3261 section 8.1.1.7) */
} cr_sender_t;

/**
 * The BYE of a client, as it would send it itself, with a Reason (RFC 3326). Its CSeq is above
 * all that the client has used, as after a resume.
 * @param ref  of that side
 * @return its length, or CR_ETOOBIG
 */
int cr_label_bye(char *out, size_t out_max, const cr_env_t *env,
		const cr_label_t *label, cr_span_t call_id, cr_side_t side,
		const cr_ref_t *ref, const cr_sender_t *from) CR_MUST_CHECK;

#endif
