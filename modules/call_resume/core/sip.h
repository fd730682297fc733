/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A SIP message as a list of places in its text (RFC 3261 section 7), and the
 * edits that make another message of it. Nothing is copied and nothing is
 * changed before cr_edits_apply().
 */
#ifndef CR_SIP_H
#define CR_SIP_H

#include <stdint.h>

#include "bytes.h"

/* The header fields that matter here; all others are passed over. */
typedef enum cr_hdr
{
	CR_VIA,
	CR_FROM,
	CR_TO,
	CR_CALL_ID,
	CR_CSEQ,
	CR_CONTACT,
	CR_ROUTE,
	CR_RECORD_ROUTE,
	CR_PATH, /* RFC 3327 */
	CR_RACK,
	CR_EVENT_HDR,
	CR_REPLACES,
	CR_JOIN,
	CR_REFER_TO,
	CR_TARGET_DIALOG,
	CR_AUTHORIZATION,
	CR_SESSION_ID, /* of RFC 7989 */
	CR_CALL_STATE,
	CR_FINGERPRINT,
	CR_SESSION,
	CR_STATE_OTHER, /* Call-State-Key, -Id, and whatever begins as cr_sip_is_state() says */
	CR_HDR_N, /* the number of them; also: no such field */
} cr_hdr_t;

typedef struct cr_field
{
	cr_hdr_t id;
	cr_span_t line;  /* from the name to the end of line, with folded lines */
	cr_span_t value; /* without blanks around it */
} cr_field_t;

#define CR_SIP_FIELDS_MAX 96

typedef struct cr_sip
{
	cr_span_t text; /* the whole message */
	int status;     /* of a reply; 0: a request */
	cr_span_t
			method; /* of a request from its first line, of a reply from CSeq */
	cr_span_t ruri; /* of a request */
	uint32_t cseq;
	cr_span_t cseq_digits;
	cr_span_t call_id;
	cr_span_t from_tag, to_tag; /* see cr_sip_tag() */
	cr_span_t body;
	int n_fields;
	cr_field_t fields[CR_SIP_FIELDS_MAX];
} cr_sip_t;

/* A name-addr or addr-spec with its parameters (RFC 3261 section 20.10). */
typedef struct cr_addr
{
	cr_span_t value; /* the whole of it */
	cr_span_t spec;  /* <URI> with its brackets, or the bare URI */
	cr_span_t uri;
	cr_span_t params; /* from the first semicolon behind spec; may be empty */
} cr_addr_t;

/**
 * Find the parts of a message. From, To, Call-ID, CSeq and a Via have to be
 * there, each of the first four once.
 * @param text  must live and stay as it is as long as m
 * @return CR_OK, CR_EMALFORMED, CR_EDUPLICATE or CR_ETOOBIG (over
 *         CR_SIP_FIELDS_MAX known fields); m is undefined then
 */
int cr_sip_parse(cr_sip_t *m, cr_span_t text) CR_MUST_CHECK;

/** The first field of a kind, or NULL. */
const cr_field_t *cr_sip_field(const cr_sip_t *m, cr_hdr_t id);

/**
 * Walk over the values of a kind, over all its fields and over the commas
 * inside them, in the order of the message.
 * @param it  {0} before the first call
 * @return 1 and the value, or 0 at the end
 */
typedef struct cr_value_iter
{
	int field;      /* next field to look at */
	cr_span_t rest; /* of the current one */
} cr_value_iter_t;
int cr_sip_next(
		const cr_sip_t *m, cr_hdr_t id, cr_value_iter_t *it, cr_span_t *value);

/** Take an address apart. @return CR_OK or CR_EMALFORMED */
int cr_addr_parse(cr_addr_t *a, cr_span_t value) CR_MUST_CHECK;

typedef struct cr_param
{
	cr_span_t name;
	cr_span_t value; /* empty for a parameter without one */
	cr_span_t whole; /* from the semicolon to the end of the value */
} cr_param_t;

/**
 * The parameters of a text, one after the other: see cr_param_find().
 * @param next  0 before the first call
 * @return 1 and the parameter, or 0 at the end
 */
int cr_param_next(cr_span_t text, size_t *next, cr_param_t *param);

/**
 * Find a parameter ;name=value in text that begins at a semicolon or before
 * one, with white space around both signs or without (RFC 3261 section 25.1);
 * quoted strings are skipped, names are compared without case.
 * @param value  the value, empty for a parameter without one; may be NULL
 * @param whole  from the semicolon to the end of the value; may be NULL
 * @return 1 when found
 */
int cr_param_find(
		cr_span_t text, const char *name, cr_span_t *value, cr_span_t *whole);

/** Write an address or a name as it stands in a URI or a Via: IPv6 in brackets (RFC
 * 3261 section 25.1, IPv6reference). */
void cr_put_host(cr_writer_t *w, cr_span_t host);

/**
 * Write a SIP URI with another host, port and transport; user part and the
 * other parameters stay.
 * @param host       an address of IPv6 with brackets or without
 * @param transport  in lower case; empty for UDP, which needs no parameter
 */
void cr_uri_rehome(cr_writer_t *w, cr_span_t uri, cr_span_t host, unsigned port,
		cr_span_t transport);

/** The tag of a From or To value; empty when there is none. */
cr_span_t cr_tag_of(cr_span_t value);

/** The tag of From or To, which every message has; empty when there is none.
 * @param id  CR_FROM or CR_TO */
cr_span_t cr_sip_tag(const cr_sip_t *m, cr_hdr_t id);

/** The URI of the first Contact; empty, and not NULL, when there is none that can be read. */
cr_span_t cr_sip_contact(const cr_sip_t *m);

/** 1 when a and b are equal but for the case of ASCII letters. */
int cr_span_eq_case(cr_span_t a, cr_span_t b);

/* A set of characters; zero is never in it. */
typedef struct cr_chars
{
	uint64_t bits[4];
} cr_chars_t;

/** The set of the characters of a zero-terminated string. */
static inline cr_chars_t cr_chars(const char *chars)
{
	cr_chars_t set = {{0}};

	for(; *chars != '\0'; chars++)
		set.bits[(unsigned char)*chars >> 6] |= UINT64_C(1)
				<< ((unsigned char)*chars & 63);
	return set;
}

static inline int cr_chars_have(const cr_chars_t *set, char c)
{
	return (int)(set->bits[(unsigned char)c >> 6] >> ((unsigned char)c & 63))
			& 1;
}

static inline int cr_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/** Without blanks, tabs and line ends on either side. */
static inline cr_span_t cr_span_trim(cr_span_t s)
{
	while(s.len > 0 && cr_is_blank(s.s[0])) {
		s.s++;
		s.len--;
	}
	while(s.len > 0 && cr_is_blank(s.s[s.len - 1]))
		s.len--;
	return s;
}

/* ---- edits --------------------------------------------------------------- */

#define CR_EDITS_MAX 96
#define CR_EDITS_ARENA 24576

typedef struct cr_edit
{
	size_t at;  /* offset in the text */
	size_t del; /* bytes that go */
	cr_span_t ins;
} cr_edit_t;

typedef struct cr_edits
{
	const cr_sip_t *m;
	int n;
	int bad; /* 1 when something did not fit; cr_edits_apply() then says so */
	cr_edit_t list[CR_EDITS_MAX];
	cr_writer_t arena; /* what is inserted lives here until applied */
	char mem[CR_EDITS_ARENA];
} cr_edits_t;

void cr_edits_init(cr_edits_t *e, const cr_sip_t *m);

/** Replace old, a span of the message, with the parts one after the other. */
void cr_edit_replace(
		cr_edits_t *e, cr_span_t old, const cr_span_t *parts, size_t n_parts);
#define CR_EDIT(e, old, ...)                                                   \
	cr_edit_replace((e), (old), (const cr_span_t[]){__VA_ARGS__},              \
			sizeof((const cr_span_t[]){__VA_ARGS__}) / sizeof(cr_span_t))

/**
 * Write the edited message. Edits must not overlap; those at one place come
 * out in the order in which they were made.
 * @return its length, CR_ETOOBIG, or CR_EMALFORMED when edits overlap
 */
int cr_edits_apply(char *out, size_t out_max, cr_edits_t *e) CR_MUST_CHECK;

/** Whether the name of a field, which may go on, begins with Call-State; or with Call_State, as the
 * libraries of pages read an underscore as a dash (JsSIP and SIP.js, headerize()). */
int cr_sip_is_state(cr_span_t name);

#endif
