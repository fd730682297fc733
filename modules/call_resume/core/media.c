/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "media.h"

#include "bytes.h"
#include "text.h"

static int has_flag(const json_t *media, const char *name)
{
	const json_t *flags = json_object_get(media, "flags"), *flag;
	size_t i;

	json_array_foreach(flags, i, flag)
	{
		if(cr_span_eq(cr_json_span(flag), cr_span_str(name)))
			return 1;
	}
	return 0;
}

/* As rtpengine has it: whether it receives from this side, and whether it sends to it. */
static const char *direction(const json_t *media)
{
	int sends = has_flag(media, "recv"), receives = has_flag(media, "send");

	if(sends)
		return receives ? "sendrecv" : "sendonly";
	return receives ? "recvonly" : "inactive";
}

static int is_rtp(cr_span_t protocol)
{
	return protocol.len >= 4 && memcmp(protocol.s, "RTP/", 4) == 0;
}

static const char *formats(cr_span_t protocol)
{
	if(is_rtp(protocol))
		return "0 3 4 8 9 18";
	return cr_span_eq(protocol, CR_SPAN("udptl")) ? "t38" : "*";
}

/* A protocol of an m-line, such as RTP/AVP (RFC 8866 section 9, proto). */
static int is_protocol(cr_span_t s)
{
	for(;;) {
		const char *slash = s.len > 0 ? memchr(s.s, '/', s.len) : NULL;
		size_t len = slash != NULL ? (size_t)(slash - s.s) : s.len;

		if(!cr_text_is_token((cr_span_t){s.s, len}))
			return 0;
		if(slash == NULL)
			return 1;
		s = (cr_span_t){slash + 1, s.len - len - 1};
	}
}

/* Where the media go; of what has been switched off there may be nothing. */
static int put_endpoint(cr_writer_t *w, const json_t *endpoint)
{
	cr_span_t family = cr_json_span(json_object_get(endpoint, "family"));
	cr_span_t address = cr_json_span(json_object_get(endpoint, "address"));
	int v6 = cr_span_eq(family, CR_SPAN("IPv6"));

	if(address.len == 0) {
		cr_put_str(w, "c=IN IP4 0.0.0.0\r\n");
		return CR_OK;
	}
	if(!cr_text_is_visible(address))
		return CR_EUNSUPPORTED;
	cr_put_str(w, v6 ? "c=IN IP6 " : "c=IN IP4 ");
	cr_put_span(w, address);
	cr_put_str(w, "\r\n");
	return CR_OK;
}

static int put_media(cr_writer_t *w, const json_t *media)
{
	const json_t *stream = json_array_get(json_object_get(media, "streams"), 0);
	const json_t *endpoint = json_object_get(stream, "endpoint");
	cr_span_t type = cr_json_span(json_object_get(media, "type"));
	cr_span_t protocol = cr_json_span(json_object_get(media, "protocol"));
	json_int_t port = json_integer_value(json_object_get(endpoint, "port"));

	if(protocol.len == 0) {
		/* rtpengine does not know it, and has no port for it. */
		protocol = CR_SPAN("RTP/AVP");
		port = 0;
	}
	if(!cr_text_is_token(type) || !is_protocol(protocol) || port < 0
			|| port > 65535)
		return CR_EUNSUPPORTED;
	if(has_flag(media, "ICE") || has_flag(media, "DTLS-SRTP")
			|| has_flag(media, "SDES"))
		return CR_EUNSUPPORTED;
	cr_put_str(w, "m=");
	cr_put_span(w, type);
	cr_put_str(w, " ");
	cr_put_uint(w, (uint64_t)port);
	cr_put_str(w, " ");
	cr_put_span(w, protocol);
	cr_put_str(w, " ");
	cr_put_str(w, formats(protocol));
	cr_put_str(w, "\r\n");
	if(put_endpoint(w, endpoint) != CR_OK)
		return CR_EUNSUPPORTED;
	cr_put_str(w, "a=");
	cr_put_str(w, direction(media));
	cr_put_str(w, "\r\n");
	return CR_OK;
}

/* Of a fork rtpengine 26 has one side, by the tag of who has spoken last, and its other tags
 * beside it. */
static int has_alias(const json_t *side, cr_span_t tag)
{
	const json_t *other;
	size_t i;

	json_array_foreach(json_object_get(side, "tag-aliases"), i, other)
	{
		const char *name = json_string_value(other);

		if(name != NULL && cr_span_eq(cr_span_str(name), tag))
			return 1;
	}
	return 0;
}

static const json_t *side(const json_t *root, cr_span_t tag)
{
	const json_t *tags = json_object_get(root, "tags"), *value;
	const char *name;

	json_object_foreach((json_t *)tags, name, value)
	{
		if(cr_span_eq(cr_span_str(name), tag) || has_alias(value, tag))
			return value;
	}
	return NULL;
}

int cr_media_is_of_others(const json_t *call, cr_span_t from, cr_span_t to)
{
	const json_t *tags = json_object_get(call, "tags"), *value;
	const char *name;

	/* No tag begins so: that side has not answered yet. */
	json_object_foreach((json_t *)tags, name, value)
	{
		if(name[0] == '<')
			return 0;
	}
	if(side(call, to) == NULL)
		return 1;
	return side(call, from) == NULL && json_object_size(tags) > 1;
}

static int describe(
		cr_writer_t *w, const json_t *root, cr_span_t from, cr_span_t to)
{
	const json_t *one = side(root, from), *media;
	size_t i;
	int err = CR_OK;

	if(one == NULL || side(root, to) == NULL)
		return CR_EMISSING;
	cr_put_str(w, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
	json_array_foreach(json_object_get(one, "medias"), i, media)
	{
		if(err == CR_OK)
			err = put_media(w, media);
	}
	if(err == CR_OK && i == 0)
		return CR_EUNSUPPORTED;
	return err == CR_OK ? cr_writer_end(w) : err;
}

int cr_media_describe(char *out, size_t out_max, const json_t *call,
		cr_span_t from, cr_span_t to)
{
	cr_writer_t w = cr_writer(out, out_max);
	int err = describe(&w, call, from, to);

	return err == CR_OK ? (int)w.len : err;
}
