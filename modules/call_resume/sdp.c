/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
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

static cr_span_t next_line(cr_span_t *rest)
{
	const char *nl = memchr(rest->s, '\n', rest->len);
	size_t len = nl != NULL ? (size_t)(nl - rest->s) + 1 : rest->len;
	cr_span_t line = cr_span_trim(cr_span_sub(*rest, 0, len));

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
		cr_span_t line = next_line(&sdp), type = cr_span_sub(line, 0, 2);

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

/* ---- addresses -------------------------------------------------------------- */

static int is_addressed(cr_span_t line)
{
	static const cr_span_t begins[] = {CR_SPAN_INIT("c="),
			CR_SPAN_INIT("a=rtcp:"), CR_SPAN_INIT("a=candidate:"),
			CR_SPAN_INIT("a=remote-candidates:")};

	for(size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		if(cr_span_eq_case(cr_span_sub(line, 0, begins[i].len), begins[i]))
			return 1;
	}
	return 0;
}

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

/* Behind one of a group there is how long it lives (RFC 8866 section 5.7). */
static cr_span_t without_ttl(cr_span_t word)
{
	const char *slash = memchr(word.s, '/', word.len);

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

/* Whichever word it is: others are no addresses. */
static int line_names(cr_span_t line, const cr_net_t *nets, int n)
{
	uint8_t address[CR_ADDRESS_LEN];

	while(line.len > 0) {
		cr_span_t word = without_ttl(next_word(&line));

		if(cr_address_parse(address, word) == CR_OK && !is_unspecified(address)
				&& cr_nets_have(nets, n, address))
			return 1;
	}
	return 0;
}

int cr_sdp_names(cr_span_t sdp, const cr_net_t *nets, int n)
{
	while(sdp.len > 0) {
		cr_span_t line = next_line(&sdp);

		if(is_addressed(line) && line_names(line, nets, n))
			return 1;
	}
	return 0;
}
