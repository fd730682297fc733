/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "session_uuid.h"

#define UUID_LEN 32 /* hex digits */

/* The requests of a session that an INVITE begins. */
static int is_of_call(cr_span_t method)
{
	static const cr_span_t methods[] = {CR_SPAN_INIT("INVITE"),
			CR_SPAN_INIT("ACK"), CR_SPAN_INIT("BYE"), CR_SPAN_INIT("CANCEL"),
			CR_SPAN_INIT("PRACK"), CR_SPAN_INIT("UPDATE"), CR_SPAN_INIT("INFO"),
			CR_SPAN_INIT("REFER")};

	for(size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if(cr_span_eq(method, methods[i]))
			return 1;
	}
	return 0;
}

/* A user agent in a dialog is the tag that it has there; all zeros before it has one
 * (RFC 7989 section 5). A UUID made of a SHA-256 is one of version 8 (RFC 9562 section
 * 5.8). @return 0 when it cannot be made */
static int make_uuid(char uuid[UUID_LEN], const cr_env_t *env,
		cr_span_t call_id, cr_span_t tag)
{
	static const char hex[] = "0123456789abcdef";
	char text[1024];
	uint8_t hash[32];
	cr_writer_t w = cr_writer(text, sizeof(text));

	memset(uuid, '0', UUID_LEN);
	if(tag.len == 0)
		return 1;
	cr_put_str(&w, CR_LABEL_SESSION_UUID);
	cr_put_u8(&w, 0);
	cr_put_span(&w, call_id);
	cr_put_u8(&w, 0);
	cr_put_span(&w, tag);
	if(cr_writer_end(&w) != CR_OK
			|| cr_sha256(env->crypto, hash, text, w.len) != CR_OK)
		return 0;
	hash[6] = (uint8_t)(0x80 | (hash[6] & 0x0f));
	hash[8] = (uint8_t)(0x80 | (hash[8] & 0x3f));
	for(int i = 0; i < UUID_LEN; i++)
		uuid[i] = hex[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
	return 1;
}

void cr_session_uuid_put(cr_edits_t *e, const cr_env_t *env, const cr_sip_t *m)
{
	cr_span_t from = cr_sip_tag(m, CR_FROM);
	cr_span_t to = cr_sip_tag(m, CR_TO);
	cr_span_t line = cr_sip_field(m, CR_CALL_ID)->line;
	char local[UUID_LEN], remote[UUID_LEN];

	/* A 100 is of the next hop, not of a user agent. */
	if(!is_of_call(m->method) || m->status == 100
			|| cr_sip_field(m, CR_SESSION_ID) != NULL || line.len < 2
			|| line.s[line.len - 2] != '\r')
		return;
	if(!make_uuid(local, env, m->call_id, m->status == 0 ? from : to)
			|| !make_uuid(remote, env, m->call_id, m->status == 0 ? to : from))
		return;
	/* In front of the line end: the next line may be one that is taken off. */
	CR_EDIT(e, cr_span_sub(line, line.len - 2, 0), CR_SPAN("\r\nSession-ID: "),
			(cr_span_t){local, UUID_LEN}, CR_SPAN(";remote="),
			(cr_span_t){remote, UUID_LEN});
}
