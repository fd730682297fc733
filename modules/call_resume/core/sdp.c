/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "sdp.h"

#include "sip.h"

static const char *const directions[]
		= {"sendrecv", "sendonly", "recvonly", "inactive"};
static const char *const mirrored[]
		= {"sendrecv", "recvonly", "sendonly", "inactive"};

/* a=<direction>; NULL when the line is something else. */
static const char *line_direction(cr_span_t line, int mirror)
{
	for(size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
		if(cr_span_eq(
				   cr_span_sub(line, 2, line.len), cr_span_str(directions[i])))
			return mirror ? mirrored[i] : directions[i];
	}
	return NULL;
}

/* m=<media> <port> ... @return 1 for port zero, a rejected or ended stream */
static int read_m_line(cr_media_t *media, cr_span_t line, const char *direction)
{
	cr_span_t rest = cr_span_sub(line, 2, line.len);
	const char *blank = memchr(rest.s, ' ', rest.len);
	size_t len = blank != NULL ? (size_t)(blank - rest.s) : rest.len;
	int ended = cr_span_eq(cr_span_sub(rest, len + 1, 2), CR_SPAN("0 "));

	media->kind = cr_span_sub(rest, 0, len);
	media->direction = cr_span_str(ended ? "inactive" : direction);
	return ended;
}

cr_span_t cr_sdp_line(cr_span_t *rest)
{
	const char *nl = memchr(rest->s, '\n', rest->len);
	size_t len = nl != NULL ? (size_t)(nl - rest->s) + 1 : rest->len;
	cr_span_t line = cr_span_sub(*rest, 0, len);

	*rest = cr_span_sub(*rest, len, rest->len);
	return line;
}

int cr_sdp_media(cr_media_t *media, cr_span_t sdp, int mirror)
{
	const char *session = "sendrecv", *direction;
	int n = 0, ended = 0;

	if(!cr_span_eq(cr_span_sub(sdp, 0, 2), CR_SPAN("v=")))
		return 0;
	while(sdp.len > 0) {
		cr_span_t line = cr_span_trim(cr_sdp_line(&sdp));
		cr_span_t type = cr_span_sub(line, 0, 2);

		if(cr_span_eq(type, CR_SPAN("m="))) {
			if(n == CR_STATE_MEDIA_MAX)
				return 0;
			ended = read_m_line(&media[n++], line, session);
		} else if(cr_span_eq(type, CR_SPAN("a="))
				&& (direction = line_direction(line, mirror)) != NULL) {
			if(n == 0)
				session = direction;
			else if(!ended)
				media[n - 1].direction = cr_span_str(direction);
		}
	}
	return n;
}

/* ---- what a media server may be given ----------------------------------------- */

typedef struct check
{
	const cr_sdp_denied_t *denied;
	cr_sdp_edits_t *edits;
	int media;       /* m= lines */
	int plain;       /* some of these not of SRTP */
	int audio;       /* the last one is audio */
	int usual;       /* some of these are such as browsers have */
	int others;      /* and some may not be */
	int ufrag;       /* there is ICE */
	int denies;      /* addresses of denied networks, in candidates or not */
	int ice_only;    /* there are those in c= or a=rtcp */
	cr_span_t named; /* the c= of the last stream that has such a one */
	cr_span_t all;   /* that in front of all streams */
	int srtp;        /* the last stream is SRTP */
	int own_ufrag;   /* and has ICE, or all have it */
	int all_ufrag;
	int off;         /* it is switched off */
	int unguarded;   /* some that are not have no SRTP or no ICE */
	size_t repeated; /* formats that a stream has had already */
	int err;         /* the first error */
} check_t;

static cr_span_t next_word(cr_span_t *rest)
{
	cr_span_t word;
	size_t n = 0;

	*rest = cr_span_trim(*rest);
	while(n < rest->len && rest->s[n] != ' ' && rest->s[n] != '\t')
		n++;
	word = cr_span_sub(*rest, 0, n);
	*rest = cr_span_sub(*rest, n, rest->len);
	return word;
}

/* Word number n, from 0; empty when there are fewer. */
static cr_span_t word_at(cr_span_t line, int n)
{
	cr_span_t word = next_word(&line);

	while(n-- > 0)
		word = next_word(&line);
	return word;
}

/* Behind one of a group there is how long it lives (RFC 8866 section 5.7). */
static cr_span_t without_ttl(cr_span_t word)
{
	const char *slash = word.len > 0 ? memchr(word.s, '/', word.len) : NULL;

	return cr_span_sub(
			word, 0, slash != NULL ? (size_t)(slash - word.s) : word.len);
}

static int is_unspecified(const uint8_t *address)
{
	uint8_t any = 0;

	/* Of IPv4 the last four bytes: ::ffff:0.0.0.0. */
	for(int i = 0; i < CR_ADDRESS_LEN; i++)
		any |= (i == 10 || i == 11) ? 0 : address[i];
	return any == 0;
}

/* 0.0.0.0 as an address of IPv6: rtpengine does not know it for the unspecified one, and
 * the kernel sends what is for it to the machine itself. */
static int is_odd(const uint8_t *address, cr_span_t word)
{
	return is_unspecified(address) && address[10] != 0
			&& memchr(word.s, ':', word.len) != NULL;
}

/* @return CR_OK or CR_EMALFORMED */
static int read_address(uint8_t *address, cr_span_t word)
{
	if(cr_address_parse(address, word) != CR_OK || is_odd(address, word))
		return CR_EMALFORMED;
	return CR_OK;
}

static int begins(cr_span_t line, cr_span_t with)
{
	return cr_span_eq_case(cr_span_sub(line, 0, with.len), with);
}

/* Letters, digits and these. */
static int is_of(cr_span_t s, const char *others)
{
	for(size_t i = 0; i < s.len; i++) {
		char c = s.s[i];

		if(!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
				   || (c != '\0' && strchr(others, c) != NULL)))
			return 0;
	}
	return s.len > 0;
}

/* A browser hides the addresses of its machine behind such names. */
static int is_mdns(cr_span_t word)
{
	cr_span_t local = CR_SPAN(".local");

	return word.len > local.len && is_of(word, "-.")
			&& cr_span_eq_case(
					cr_span_sub(word, word.len - local.len, local.len), local);
}

static void edit(check_t *c, cr_span_t line, cr_span_t instead)
{
	if(c->edits->n == CR_SDP_EDITS_MAX) {
		c->err = CR_ETOOBIG;
		return;
	}
	c->edits->line[c->edits->n] = line;
	c->edits->instead[c->edits->n++] = instead;
}

static int is_own(const check_t *c, const uint8_t *address)
{
	const uint8_t *own = c->denied->own;

	return own != NULL && memcmp(own, address, CR_ADDRESS_LEN) == 0;
}

static int is_denied(check_t *c, const uint8_t *address)
{
	int is = cr_nets_have(c->denied->net, c->denied->n, address)
			&& !is_own(c, address);

	c->denies |= is;
	return is;
}

static int is_ice_only(check_t *c, const uint8_t *address)
{
	int is = cr_nets_have(c->denied->ice_only, c->denied->n_ice_only, address)
			&& !is_own(c, address);

	c->ice_only |= is;
	return is;
}

static void unname(check_t *c, cr_span_t line)
{
	edit(c, line,
			begins(line, CR_SPAN("c=")) ? CR_SPAN("c=IN IP4 0.0.0.0\r\n")
										: CR_SPAN(""));
}

/* A stream, or what is in front of all, is over. */
static void end_stream(check_t *c)
{
	int guarded = c->srtp && c->own_ufrag;

	if(c->media == 0) {
		c->all = c->named;
		c->all_ufrag = c->own_ufrag;
	} else {
		c->unguarded |= !guarded && !c->off;
		if(c->named.len > 0 && !guarded)
			unname(c, c->named);
	}
	c->named.len = 0;
	c->srtp = 0;
	c->own_ufrag = c->all_ufrag;
}

/* c= and a=rtcp: the unspecified address puts media on hold (RFC 3264 section 8.4), and
 * with ICE says that it will be found out. */
static void check_address(check_t *c, cr_span_t line, cr_span_t word)
{
	uint8_t address[CR_ADDRESS_LEN];

	if(read_address(address, without_ttl(word)) != CR_OK) {
		c->err = CR_EMALFORMED;
	} else if(!is_unspecified(address) && is_denied(c, address)) {
		unname(c, line);
	} else if(is_ice_only(c, address)) {
		/* Of several a reader takes this one or that. */
		if(!begins(line, CR_SPAN("c=")) || c->named.len > 0)
			unname(c, line);
		else
			c->named = line;
	}
}

static void check_candidate(check_t *c, cr_span_t line)
{
	cr_span_t word = word_at(line, 4);
	uint8_t address[CR_ADDRESS_LEN];

	if(read_address(address, word) != CR_OK) {
		if(!is_mdns(word))
			c->err = CR_EMALFORMED;
	} else if(is_unspecified(address) || is_denied(c, address)) {
		edit(c, line, CR_SPAN(""));
		c->denies = 1;
	}
}

/* RFC 8829 section 5.3.1: a browser rejects all other kinds. Data channels are application. */
static int is_kind_of_browser(cr_span_t kind)
{
	return cr_span_eq(kind, CR_SPAN("m=video"))
			|| cr_span_eq(kind, CR_SPAN("m=application"));
}

/* PCMU, PCMA and G722 have numbers of their own (RFC 3551 section 6). */
static int has_format_of_browser(cr_span_t line)
{
	cr_span_t word;

	/* Of a stranger too: one look at each. */
	for(int n = 0; (word = next_word(&line)).len > 0; n++) {
		if(n >= 3
				&& (cr_span_eq(word, CR_SPAN("0"))
						|| cr_span_eq(word, CR_SPAN("8"))
						|| cr_span_eq(word, CR_SPAN("9"))))
			return 1;
	}
	return 0;
}

/* a=rtpmap: what audio browsers have (RFC 7874 section 3), or have had. */
static int is_codec_of_browser(cr_span_t line)
{
	static const char *const names[]
			= {"opus/", "PCMU/", "PCMA/", "G722/", "ISAC/", "iLBC/"};
	cr_span_t codec = word_at(line, 1);

	for(size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if(begins(codec, cr_span_str(names[i])))
			return 1;
	}
	return 0;
}

#define TYPES 128 /* of payload (RFC 3550 section 5.1) */

/* @return -1 when it is none; however it is written, 08 is 8 */
static int payload_type(cr_span_t word)
{
	int n = 0;

	for(size_t i = 0; i < word.len; i++) {
		if(word.s[i] < '0' || word.s[i] > '9')
			return -1;
		n = n * 10 + (word.s[i] - '0');
		if(n >= TYPES)
			return -1;
	}
	return n;
}

/* Of RTP, wherever in the line that is said: numbers. What is known of one comes again with each
 * time that it is named. */
static void check_formats(check_t *c, cr_span_t line)
{
	uint8_t named[TYPES] = {0};
	cr_span_t rest = line, word;
	int is_rtp = 0;

	for(int n = 0; (word = next_word(&rest)).len > 0; n++) {
		int type = payload_type(word);

		if(n > 1 && type >= 0) {
			c->repeated += named[type];
			named[type] = 1;
		}
		if(n > 2 && is_rtp && type < 0)
			c->err = CR_EMALFORMED;
		for(size_t i = 0; i + 3 <= word.len; i++)
			is_rtp |= begins(cr_span_sub(word, i, 3), CR_SPAN("RTP"));
	}
}

/* Ports: one each (RFC 8866 section 5.14 has more for "m=audio 9/2"). */
static void check_media(check_t *c, cr_span_t line)
{
	cr_span_t port = word_at(line, 1), proto = word_at(line, 2);

	end_stream(c);
	if(++c->media > CR_STATE_MEDIA_MAX)
		c->err = CR_ETOOBIG;
	if(!is_of(port, ""))
		c->err = CR_EMALFORMED;
	check_formats(c, line);
	c->audio = 0;
	c->srtp = memmem(proto.s, proto.len, "RTP/SAVP", 8) != NULL;
	c->off = cr_span_eq(port, CR_SPAN("0"));
	if(c->off)
		return;
	if(!c->srtp && memmem(proto.s, proto.len, "DTLS/", 5) == NULL)
		c->plain = 1;
	c->audio = cr_span_eq(word_at(line, 0), CR_SPAN("m=audio"));
	if(c->audio ? has_format_of_browser(line)
				: is_kind_of_browser(word_at(line, 0)))
		c->usual = 1;
	else
		c->others = 1;
}

/* ice-char (RFC 8839 section 5.4): they go out in checks. */
static void check_ice(check_t *c, cr_span_t value)
{
	c->ufrag = c->own_ufrag = 1;
	if(!is_of(value, "+/"))
		c->err = CR_EMALFORMED;
}

/* a=: most are told from those that are looked for by the letter behind it. */
static void check_attribute(check_t *c, cr_span_t line, cr_span_t text)
{
	static const cr_span_t ufrag = CR_SPAN_INIT("a=ice-ufrag:"),
						   pwd = CR_SPAN_INIT("a=ice-pwd:");

	switch(text.len > 2 ? text.s[2] | 0x20 : 0) {
		case 'r':
			if(begins(text, CR_SPAN("a=rtpmap:"))) {
				if(c->audio && !c->usual && is_codec_of_browser(text))
					c->usual = 1;
			} else if(begins(text, CR_SPAN("a=rtcp:"))
					&& word_at(text, 1).len > 0) {
				check_address(c, line, word_at(text, 3));
			}
			return;
		case 'c':
			if(begins(text, CR_SPAN("a=candidate:")))
				check_candidate(c, line);
			return;
		case 'i':
			if(begins(text, ufrag))
				check_ice(c, cr_span_sub(text, ufrag.len, text.len));
			else if(begins(text, pwd))
				check_ice(c, cr_span_sub(text, pwd.len, text.len));
	}
}

static void check_line(check_t *c, cr_span_t line)
{
	cr_span_t text = cr_span_trim(line);

	if(text.len < 2 || text.s[1] != '=')
		return;
	switch(text.s[0] | 0x20) {
		case 'm':
			check_media(c, text);
			return;
		case 'c':
			check_address(c, line, word_at(text, 2));
			return;
		case 'a':
			check_attribute(c, line, text);
	}
}

int cr_sdp_check(
		cr_sdp_edits_t *edits, cr_span_t sdp, const cr_sdp_denied_t *denied)
{
	check_t c = {.denied = denied, .edits = edits};
	const size_t all = sdp.len;

	edits->n = 0;
	if(all > CR_SDP_MAX)
		return CR_ETOOBIG;
	if(sdp.len == 0 || memchr(sdp.s, '\0', sdp.len) != NULL)
		return sdp.len == 0 ? CR_OK : CR_EMALFORMED;
	while(sdp.len > 0 && c.err == CR_OK)
		check_line(&c, cr_sdp_line(&sdp));
	end_stream(&c);
	if(c.all.len > 0 && c.unguarded)
		unname(&c, c.all);
	if(c.err == CR_OK && c.repeated * all > CR_SDP_REPEATED_MAX)
		c.err = CR_ETOOBIG;
	if(c.err != CR_OK)
		return c.err;
	edits->is_foreign = c.others && !c.usual;
	edits->is_ice = c.ufrag && !c.plain && c.media > 0;
	return (c.denies || c.ice_only) && !edits->is_ice ? CR_EUNSUPPORTED : CR_OK;
}
