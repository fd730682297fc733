/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A message that is translated from one dialog of a splice to the other: the map that says
 * how, and the names that are put. What a splice is, and where maps travel: splice.h.
 *
 * What goes wrong once the map is open is kept in the job: nothing is to be made of its edits
 * then.
 */
#ifndef CR_TRANSLATE_H
#define CR_TRANSLATE_H

#include "env.h"
#include "map.h"

typedef struct cr_job
{
	const cr_env_t *env;
	const cr_sip_t *m;
	cr_edits_t *e;
	const cr_key_t *key; /* of the map that was found; seals the others too */
	cr_map_t map;
	int err;     /* the first error */
	int refused; /* it is about a map of the message: why that was refused */
	int spliced; /* names of the dialog have been put */
	char text[CR_BOX_TEXT_MAX];
} cr_job_t;

/** Take a message apart, with no edits yet.
 * @return as cr_sip_parse() */
int cr_translate_begin(
		cr_job_t *j, const cr_env_t *env, cr_span_t text) CR_MUST_CHECK;

/** Open a map that was found in the dialog here.
 * @return as cr_map_open() */
int cr_translate_open(cr_job_t *j, cr_purpose_t purpose, cr_dialog_id_t here,
		cr_span_t text) CR_MUST_CHECK;

/** Note an error; the first one counts. */
void cr_translate_fail(cr_job_t *j, int err);

/** Seal the map that leads from the dialog here to the dialog other, with all
 * else as in the map of the job. The text lives until the next call. */
cr_span_t cr_translate_seal(cr_job_t *j, cr_purpose_t purpose, unsigned flags,
		cr_dialog_id_t here, cr_dialog_id_t other);

/** Put a map on every Contact, or on the topmost Via. */
void cr_translate_contacts(cr_job_t *j, cr_span_t map);
void cr_translate_via(cr_job_t *j, cr_span_t map);

/**
 * Name the dialog to translate to: Call-ID, From and To.
 * @param client  which of the two is the client: CR_FROM or CR_TO
 */
void cr_translate_to_n(
		cr_job_t *j, cr_hdr_t client, cr_dialog_id_t n, cr_span_t remote_tag);
void cr_translate_to_o(
		cr_job_t *j, cr_hdr_t client, cr_dialog_id_t o, cr_span_t remote_tag);

void cr_translate_cseq(cr_job_t *j, uint32_t cseq);

/** RAck = response-num LWS CSeq-num LWS Method (RFC 3262 section 7.2): the
 * second number is the CSeq of the client's INVITE. */
void cr_translate_rack(cr_job_t *j);

/** Event: refer;id=N (RFC 3515 section 2.4.6): N is the CSeq of the client's REFER, in the
 * NOTIFY of the far end, and in the client's own SUBSCRIBE.
 * @param method  of the requests that it is done in; in others, nothing */
void cr_translate_event_id(cr_job_t *j, const char *method, uint32_t offset);

#endif
