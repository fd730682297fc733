/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The message at hand.
 */
#ifndef CR_KAM_MESSAGE_H
#define CR_KAM_MESSAGE_H

#include "kam.h"

/** 1 in request_route, where the message is the one that was received. */
int kam_is_request_route(void);

/* Which message something is known about. */
typedef struct kam_message
{
	unsigned id;
	int pid;
	const char *buf;
} kam_message_t;

/** 1 when msg is not the one that last is, or this is no request_route: what was known
 * about that one is to be forgotten. last is msg then. */
int kam_is_other_message(kam_message_t *last, const struct sip_msg *msg);

/**
 * How many header fields of that name there are, which Kamailio does not know.
 * @param value  receives that of the last one, without blanks around it
 * @return -1 when the message cannot be parsed
 */
int kam_find_headers(
		struct sip_msg *msg, cr_span_t name, cr_span_t *value) CR_MUST_CHECK;

/** Put a whole header field, its line end included, behind those that have been parsed;
 * text is copied. @return 0 or -1 */
int kam_add_header(struct sip_msg *msg, cr_span_t text);

/** Take off every header field of that name. @return 0 or -1 */
int kam_remove_headers(struct sip_msg *msg, cr_span_t name);

/** A short name for a dialog. @return 0: none that fits */
uint64_t kam_name_of(
		cr_span_t call_id, cr_span_t client_tag, cr_span_t far_tag);

/** As kam_name_of(), of the dialog that a request is in.
 * @param by_client  1: a client has sent it; 0: it goes to one */
uint64_t kam_dialog_name(struct sip_msg *request, int by_client);

/** 1 when tm has a transaction for the message at hand. */
int kam_has_transaction(void);

/** @return that transaction of tm, referenced, or NULL; the one at hand stays what it was */
struct cell *kam_find_transaction(unsigned index, unsigned label);

/**
 * Read the request of a transaction, as it came, for this process alone. That of the transaction
 * is for all of them: nothing is to be put into it.
 * @param copy  for free_sip_msg()
 * @param text  BUF_SIZE bytes, to live as long as copy
 * @return 0 or -1
 */
int kam_copy_request(struct sip_msg *copy, char *text,
		const struct sip_msg *request) CR_MUST_CHECK;

/** An answer in that transaction, unless it has had a final one.
 * @param fr      how long a final one waits for its ACK; 0: as long as any
 * @param fields  header fields, with their line ends; or nothing
 * @param body    or nothing
 * @return 1, or 0: it had none to wait for */
int kam_answer_transaction(unsigned index, unsigned label, ticks_t fr, int code,
		const char *text, cr_span_t fields, cr_span_t body);

/** The number that a transaction has in a state: [ringing], above 0. */
int64_t kam_transaction_number(const struct cell *t);

/** 1 when Kamailio can read all of the head. What stands behind a line that it cannot, the body above
 * all, it does not see, and would pass on as it came. */
int kam_is_read(struct sip_msg *msg);

/** 1 for a message with a body: after its empty line comes something. */
int kam_has_body(struct sip_msg *msg);

#endif
