/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "quiet.h"

#include "base.h"
#include "sdp.h"

/* ---- what the far end would answer ------------------------------------------------- */

/* Static payload types (RFC 3551 section 6) that need no a=rtpmap. */
static const struct
{
	cr_span_t type, name;
} statics[] = {
		{CR_SPAN_INIT("0"), CR_SPAN_INIT("PCMU/8000")},
		{CR_SPAN_INIT("3"), CR_SPAN_INIT("GSM/8000")},
		{CR_SPAN_INIT("4"), CR_SPAN_INIT("G723/8000")},
		{CR_SPAN_INIT("8"), CR_SPAN_INIT("PCMA/8000")},
		{CR_SPAN_INIT("9"), CR_SPAN_INIT("G722/8000")},
		{CR_SPAN_INIT("13"), CR_SPAN_INIT("CN/8000")},
		{CR_SPAN_INIT("18"), CR_SPAN_INIT("G729/8000")},
};

/* The next word of a line; empty at its end. */
static cr_span_t next_word(cr_span_t *rest)
{
	cr_span_t word;
	size_t len = 0;

	*rest = cr_span_trim(*rest);
	while(len < rest->len && rest->s[len] != ' ')
		len++;
	word = cr_span_sub(*rest, 0, len);
	*rest = cr_span_sub(*rest, len, rest->len);
	return word;
}

static int begins(cr_span_t line, cr_span_t with)
{
	return cr_span_eq(cr_span_sub(line, 0, with.len), with);
}

/* In what the far end has said it ends a line, as an LF does; elsewhere a line may have it. */
static int has_bar(cr_span_t sdp)
{
	return sdp.len > 0 && memchr(sdp.s, '|', sdp.len) != NULL;
}

/* From the n-th m-line to the next one; empty when there are fewer. */
static cr_span_t section(cr_span_t sdp, int n)
{
	const char *from = NULL;

	while(sdp.len > 0) {
		const char *at = sdp.s;

		if(!begins(cr_far_line(&sdp), CR_SPAN("m=")))
			continue;
		if(from != NULL)
			return (cr_span_t){from, (size_t)(at - from)};
		if(n-- == 0)
			from = at;
	}
	return from != NULL ? (cr_span_t){from, (size_t)(sdp.s - from)} : sdp;
}

/* What a payload type stands for in a section: PCMA/8000. */
static cr_span_t codec_of(cr_span_t media, cr_span_t type)
{
	while(media.len > 0) {
		cr_span_t line = cr_far_line(&media);

		if(!begins(line, CR_SPAN("a=rtpmap:")))
			continue;
		line = cr_span_sub(line, 9, line.len);
		if(cr_span_eq(next_word(&line), type))
			return cr_span_trim(line);
	}
	for(size_t i = 0; i < sizeof(statics) / sizeof(statics[0]); i++) {
		if(cr_span_eq(type, statics[i].type))
			return statics[i].name;
	}
	return (cr_span_t){"", 0};
}

/* The formats of a section: its m-line behind media, port and protocol. */
static cr_span_t formats_of(cr_span_t media)
{
	cr_span_t line = cr_far_line(&media);

	for(int i = 0; i < 3; i++)
		(void)next_word(&line);
	return line;
}

/* Whether the offer has that format, with the same meaning. */
static int has_format(cr_span_t offer, cr_span_t far, cr_span_t type)
{
	cr_span_t formats = formats_of(offer), word;

	while((word = next_word(&formats)).len > 0) {
		if(cr_span_eq(word, type))
			return cr_span_eq_case(codec_of(offer, type), codec_of(far, type));
	}
	return 0;
}

static int is_speech(cr_span_t codec)
{
	return codec.len > 0
			&& !cr_span_eq_case(
					cr_span_sub(codec, 0, 15), CR_SPAN("telephone-event"))
			&& !cr_span_eq_case(cr_span_sub(codec, 0, 3), CR_SPAN("CN/"));
}

/* m=video 0 ...: switched off, or never there (RFC 3264 section 6). */
static int is_off(cr_span_t media)
{
	cr_span_t line = cr_far_line(&media);

	(void)next_word(&line);
	return cr_span_eq(next_word(&line), CR_SPAN("0"));
}

/* The m-line of the far end. What it has offered is more than what is in use: of that, what
 * the client offers as well. @return CR_OK or CR_EUNSUPPORTED */
static int put_m_line(
		cr_writer_t *w, cr_span_t far, cr_span_t offer, int is_offer)
{
	cr_span_t rest = far, line = cr_far_line(&rest), word;
	int speech = 0;

	for(int i = 0; i < 3; i++) {
		cr_put_span(w, next_word(&line));
		cr_put_str(w, i < 2 ? " " : "");
	}
	while((word = next_word(&line)).len > 0) {
		if(has_format(offer, far, word)) {
			cr_put_str(w, " ");
			cr_put_span(w, word);
			speech |= is_speech(codec_of(far, word));
		} else if(!is_offer) {
			return CR_EUNSUPPORTED;
		}
	}
	cr_put_str(w, "\r\n");
	return speech ? CR_OK : CR_EUNSUPPORTED;
}

/* An attribute of one format, which the answer does not have. */
static int is_of_other(cr_span_t line, cr_span_t far, cr_span_t offer)
{
	static const char *const names[] = {"a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"};

	for(size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cr_span_t name = cr_span_str(names[i]), rest = line, word;

		if(!begins(line, name))
			continue;
		rest = cr_span_sub(line, name.len, line.len);
		word = next_word(&rest);
		return !cr_span_eq(word, CR_SPAN("*")) && !has_format(offer, far, word);
	}
	return 0;
}

static int put_media(
		cr_writer_t *w, cr_span_t far, cr_span_t offer, int is_offer)
{
	cr_span_t rest = far, line = cr_far_line(&rest);
	int err = CR_OK;

	if(is_off(far)) {
		cr_put_span(w, line);
		cr_put_str(w, "\r\n");
		return CR_OK;
	}
	err = put_m_line(w, far, offer, is_offer);
	while(err == CR_OK && rest.len > 0) {
		line = cr_far_line(&rest);
		if(line.len == 0 || is_of_other(line, far, offer))
			continue;
		cr_put_span(w, line);
		cr_put_str(w, "\r\n");
	}
	return err;
}

/* What stands in front of the first m-line: the address in front of the time (RFC 8866
 * section 5). */
static void put_session(cr_writer_t *w, cr_span_t sdp)
{
	int timed = 0;

	cr_put_str(w, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n");
	while(sdp.len > 0) {
		cr_span_t line = cr_far_line(&sdp);

		if(begins(line, CR_SPAN("m=")))
			break;
		if(!timed && !begins(line, CR_SPAN("c="))) {
			cr_put_str(w, "t=0 0\r\n");
			timed = 1;
		}
		cr_put_span(w, line);
		cr_put_str(w, "\r\n");
	}
	if(!timed)
		cr_put_str(w, "t=0 0\r\n");
}

/* The streams of the client, and their directions, are what they were. */
static int is_same_media(const cr_state_t *st, cr_span_t offer)
{
	cr_media_t now[CR_STATE_MEDIA_MAX];
	int n = cr_sdp_media(now, offer, 0);

	if(n == 0 || n != st->n_media)
		return 0;
	for(int i = 0; i < n; i++) {
		if(!cr_span_eq(now[i].kind, st->media[i].kind)
				|| !cr_span_eq(now[i].direction, st->media[i].direction))
			return 0;
	}
	return section(st->far.sdp, n - 1).len > 0
			&& section(st->far.sdp, n).len == 0;
}

int cr_quiet_answer(char *out, const cr_state_t *st, cr_span_t offer)
{
	cr_writer_t w = cr_writer(out, CR_QUIET_SDP_MAX);

	if(!cr_far_is_good(&st->far) || has_bar(offer) || !is_same_media(st, offer))
		return CR_EUNSUPPORTED;
	put_session(&w, st->far.sdp);
	for(int i = 0; i < st->n_media; i++) {
		int err = put_media(
				&w, section(st->far.sdp, i), section(offer, i), st->far.offer);

		if(err != CR_OK)
			return err;
	}
	return cr_writer_end(&w) == CR_OK ? (int)w.len : CR_ETOOBIG;
}

#define FORMATS_MAX 128 /* payload types that there are (RFC 3551 section 3) */

static int answers_medium(cr_span_t answer, cr_span_t offer)
{
	cr_span_t line = cr_far_line(&(cr_span_t){answer.s, answer.len});
	cr_span_t asked = cr_far_line(&(cr_span_t){offer.s, offer.len});
	cr_span_t formats = formats_of(answer), word;
	int n = 0;

	if(!cr_span_eq(next_word(&line), next_word(&asked)))
		return 0;
	if(is_off(answer))
		return 1;
	while((word = next_word(&formats)).len > 0) {
		if(n++ == FORMATS_MAX || !has_format(offer, answer, word))
			return 0;
	}
	return !is_off(offer);
}

int cr_quiet_suits(cr_span_t answer, cr_span_t offer)
{
	if(has_bar(answer) || has_bar(offer))
		return 0;
	for(int i = 0; i <= CR_STATE_MEDIA_MAX; i++) {
		cr_span_t to = section(offer, i), by = section(answer, i);

		if(to.len == 0 || by.len == 0)
			return i > 0 && to.len == by.len;
		if(!answers_medium(by, to))
			return 0;
	}
	return 0;
}

int cr_quiet_has_two_clients(const cr_state_t *st)
{
	const char *other
			= st->role == CR_CALLER ? CR_REF_PARAM_CALLEE : CR_REF_PARAM_CALLER;

	for(int i = 0; i < st->n_routes; i++) {
		if(cr_param_find(st->routes[i], other, NULL, NULL))
			return 1;
	}
	return 0;
}

/* ---- the order --------------------------------------------------------------------- */

static void put_rest(
		cr_writer_t *w, const cr_far_t *far, int timer, cr_span_t sdp)
{
	if(far->update)
		cr_put_str(w, "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n");
	if(timer && far->timer.len > 0) {
		cr_put_str(w, "Require: timer\r\nSession-Expires: ");
		cr_put_span(w, far->timer);
		cr_put_str(w, "\r\n");
	}
	cr_put_str(w, "Content-Type: application/sdp\r\nContent-Length: ");
	cr_put_uint(w, sdp.len);
	cr_put_str(w, "\r\n\r\n");
	cr_put_span(w, sdp);
}

static void put_word(cr_writer_t *w, cr_span_t word)
{
	cr_put_str(w, " ");
	cr_put_span(w, word.len > 0 ? word : CR_SPAN("-"));
}

static void put_head(cr_writer_t *w, const cr_env_t *env, const cr_quiet_t *q)
{
	cr_put_str(w, CR_MAP_MARK " ");
	cr_put_str(w, env->order_mark);
	cr_put_str(w, " " CR_QUIET_ROLE);
	put_word(w, q->address);
	put_word(w, q->port);
	put_word(w, q->proto);
	put_word(w, q->socket);
	put_word(w, q->timer);
}

int cr_quiet_order(char *out, size_t out_max, const cr_env_t *env,
		const cr_quiet_t *q, const cr_far_t *far, int timer, cr_span_t sdp)
{
	char text[CR_QUIET_SDP_MAX + 256];
	cr_writer_t rest = cr_writer(text, sizeof(text));
	cr_writer_t w = cr_writer(out, out_max);
	int len;

	put_rest(&rest, far, timer, sdp);
	put_head(&w, env, q);
	cr_put_str(&w, " ");
	if(cr_writer_end(&rest) != CR_OK || cr_writer_end(&w) != CR_OK)
		return CR_ETOOBIG;
	len = cr_b64_encode(out + w.len, out_max - w.len, text, rest.len);
	return len < 0 ? len : (int)w.len + len;
}

static cr_span_t value_of(cr_span_t *rest)
{
	cr_span_t word = next_word(rest);

	return cr_span_eq(word, CR_SPAN("-")) ? cr_span_sub(word, 0, 0) : word;
}

/* @return 1 when the value is of this gateway */
static int read_order(cr_quiet_t *q, const cr_env_t *env, cr_span_t value)
{
	if(!cr_span_eq(next_word(&value), CR_SPAN(CR_MAP_MARK))
			|| !cr_span_eq(next_word(&value), cr_span_str(env->order_mark))
			|| !cr_span_eq(next_word(&value), CR_SPAN(CR_QUIET_ROLE)))
		return 0;
	q->address = value_of(&value);
	q->port = value_of(&value);
	q->proto = value_of(&value);
	q->socket = value_of(&value);
	q->timer = value_of(&value);
	q->rest = value_of(&value);
	return 1;
}

static int find_order(cr_quiet_t *q, const cr_env_t *env, const cr_sip_t *m)
{
	for(int i = 0; i < m->n_fields; i++) {
		if(m->fields[i].id == CR_CALL_STATE
				&& read_order(q, env, m->fields[i].value))
			return 1;
	}
	return 0;
}

int cr_quiet_has(const cr_env_t *env, const cr_sip_t *m)
{
	cr_quiet_t q;

	return find_order(&q, env, m);
}

int cr_quiet_find(cr_quiet_t *q, const cr_env_t *env, cr_span_t text)
{
	return cr_sip_parse(&env->work->msg, text) == CR_OK
			&& find_order(q, env, &env->work->msg);
}

/* ---- the answer -------------------------------------------------------------------- */

static void put_names(cr_writer_t *w, const cr_sip_t *m)
{
	static const cr_hdr_t names[]
			= {CR_VIA, CR_FROM, CR_TO, CR_CALL_ID, CR_CSEQ};

	cr_put_str(w, "SIP/2.0 200 OK\r\n");
	for(size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		for(int i = 0; i < m->n_fields; i++) {
			if(m->fields[i].id == names[k])
				cr_put_span(w, m->fields[i].line);
		}
	}
	cr_put_str(w, "Contact: <");
	cr_put_span(w, m->ruri);
	cr_put_str(w, ">\r\n");
}

int cr_quiet_reply(
		char *out, size_t out_max, const cr_env_t *env, cr_span_t text)
{
	const cr_sip_t *m = &env->work->msg;
	cr_writer_t w = cr_writer(out, out_max);
	cr_quiet_t q;
	int len;

	if(!cr_quiet_find(&q, env, text))
		return CR_EMISSING;
	put_names(&w, m);
	cr_put_str(&w, CR_HDR_STATE ": ");
	put_head(&w, env, &q);
	cr_put_str(&w, "\r\n");
	if(cr_writer_end(&w) != CR_OK)
		return CR_ETOOBIG;
	len = cr_b64_decode((uint8_t *)out + w.len, out_max - w.len, q.rest);
	return len < 0 ? len : (int)w.len + len;
}
