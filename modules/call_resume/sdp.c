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
