/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Our own Route in a request in a dialog: it brings back what stood in our Record-Route when
 * the call began, the session reference of each side that is a client, and rr's ftag.
 */
#include "kam_route.h"
#include "kam_env.h"
#include "kam_message.h"

#include "../../core/forward.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_rr.h"
#include "../../core/parser/parse_uri.h"

#include "core/answered.h"
#include "core/grammar.h"
#include "core/text.h"
#include "core/wire.h"

/* Without a user part the first semicolon ends host and port, and what is behind that,
 * long references of ours, need not be read. */
static cr_span_t without_params(cr_span_t uri)
{
	const char *semi = memchr(uri.s, ';', uri.len);

	return semi != NULL && memchr(uri.s, '@', uri.len) == NULL
			? (cr_span_t){uri.s, (size_t)(semi - uri.s)}
			: uri;
}

int kam_is_own(cr_span_t uri)
{
	str text = kam_str(uri.len > 0 ? without_params(uri) : uri);
	struct sip_uri parsed;

	return parse_uri(text.s, text.len, &parsed) == 0
			&& check_self(&parsed.host, 0, 0) == 1;
}

/* What is asked of a Route, many times while a message is in hand: whether it is ours, and
 * where these of its parameters are. Known again by the message and by its text. */
typedef enum route_param
{
	CALLER_REF,
	CALLEE_REF,
	FTAG,
	PARAMS
} route_param_t;

static const char *const param_names[PARAMS]
		= {[CALLER_REF] = CR_REF_PARAM_CALLER,
				[CALLEE_REF] = CR_REF_PARAM_CALLEE,
				[FTAG] = "ftag"};

typedef struct route
{
	kam_message_t message;
	int own;
	struct
	{
		size_t at, len; /* of the value; at 0: there is none */
		int is_token;
	} params[PARAMS];
	size_t len;
	char text[CR_TARGET_MAX];
} route_t;

/* Of several of a name the first one, as elsewhere. */
static void find_params(route_t *r, cr_span_t uri)
{
	cr_param_t found;
	size_t next = 0;

	while(cr_param_next(uri, &next, &found)) {
		for(int i = 0; i < PARAMS; i++) {
			if(r->params[i].at > 0
					|| !cr_span_eq_case(
							found.name, cr_span_str(param_names[i])))
				continue;
			r->params[i].at = (size_t)(found.value.s - uri.s);
			r->params[i].len = found.value.len;
			r->params[i].is_token = cr_text_is_token(found.value);
		}
	}
}

static int is_same(const route_t *r, const struct sip_msg *msg, cr_span_t uri)
{
	return r->message.id == msg->id && r->message.pid == msg->pid
			&& r->message.buf == msg->buf
			&& cr_span_eq(uri, (cr_span_t){r->text, r->len});
}

static const route_t *read_route(const struct sip_msg *msg, cr_span_t uri)
{
	static route_t r;

	if(uri.len > 0 && is_same(&r, msg, uri))
		return &r;
	r.message = (kam_message_t){msg->id, msg->pid, msg->buf};
	r.own = kam_is_own(uri);
	memset(r.params, 0, sizeof(r.params));
	/* What is too long to be known again is read each time. */
	r.len = uri.len <= sizeof(r.text) ? uri.len : 0;
	memcpy(r.text, uri.s, r.len);
	if(r.own)
		find_params(&r, uri);
	return &r;
}

/* @return the first Route, or NULL */
static const route_t *first_route(struct sip_msg *msg, cr_span_t *uri)
{
	if(parse_headers(msg, HDR_ROUTE_F, 0) < 0 || msg->route == NULL
			|| parse_rr(msg->route) < 0)
		return NULL;
	*uri = kam_span(((rr_t *)msg->route->parsed)->nameaddr.uri);
	return read_route(msg, *uri);
}

int kam_own_route(struct sip_msg *msg, cr_span_t *uri)
{
	const route_t *r = first_route(msg, uri);

	return r != NULL && r->own;
}

/* A parameter of our Route. rr takes an apostrophe for a quotation mark, and a tag in
 * front of what is looked for may have one (RFC 3261 section 25.1, token).
 * @param is_token  whether it is one
 * @return 1 when there is one */
static int route_param(struct sip_msg *msg, route_param_t which,
		cr_span_t *value, int *is_token)
{
	str wanted = {(char *)param_names[which], (int)strlen(param_names[which])};
	str found = STR_NULL;
	cr_span_t uri;
	const route_t *r = first_route(msg, &uri);

	if(r != NULL && r->own) {
		*value = cr_span_sub(uri, r->params[which].at, r->params[which].len);
		*is_token = r->params[which].is_token;
		return r->params[which].at > 0;
	}
	if(kam_rr.get_route_param(msg, &wanted, &found) != 0)
		return 0;
	*value = kam_span(found);
	*is_token = cr_text_is_token(*value);
	return 1;
}

int kam_route_ref(struct sip_msg *msg, cr_purpose_t purpose, cr_span_t *ref)
{
	int is_token = 0;

	/* It goes into a header field: nothing that could end one. */
	return route_param(msg,
				   purpose == CR_PURPOSE_CALLER ? CALLER_REF : CALLEE_REF, ref,
				   &is_token)
			&& is_token;
}

int kam_is_from_caller(struct sip_msg *msg)
{
	cr_span_t tag;
	int is_token;

	if(!route_param(msg, FTAG, &tag, &is_token) || tag.len == 0
			|| parse_from_header(msg) != 0)
		return 1;
	return cr_span_eq(tag, kam_span(get_from(msg)->tag_value));
}

int kam_open_route_ref(cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose)
{
	const cr_env_t *env = kam_env();
	cr_span_t text;

	if(env == NULL || parse_headers(msg, HDR_CALLID_F | HDR_ROUTE_F, 0) < 0
			|| msg->callid == NULL || !kam_route_ref(msg, purpose, &text))
		return CR_EMISSING;
	return cr_ref_open(ref, env->work->box, env->crypto, env->ring,
			cr_now_s(env), purpose, kam_span(msg->callid->body), text);
}

long kam_begun(struct sip_msg *msg)
{
	cr_ref_t ref;

	if(kam_open_route_ref(&ref, msg, CR_PURPOSE_CALLER) != CR_OK
			&& kam_open_route_ref(&ref, msg, CR_PURPOSE_CALLEE) != CR_OK)
		return 0;
	return (long)ref.start;
}

long kam_answered(struct sip_msg *msg)
{
	const cr_env_t *env = kam_env();
	cr_span_t route;

	if(env == NULL || parse_headers(msg, HDR_CALLID_F | HDR_ROUTE_F, 0) < 0
			|| msg->callid == NULL || !kam_own_route(msg, &route))
		return 0;
	return (long)cr_answered_of(env, kam_span(msg->callid->body), route);
}

/* ---- which side ------------------------------------------------------------------ */

cr_purpose_t kam_sender(struct sip_msg *msg)
{
	return kam_is_from_caller(msg) ? CR_PURPOSE_CALLER : CR_PURPOSE_CALLEE;
}

cr_purpose_t kam_other_side(cr_purpose_t side)
{
	return side == CR_PURPOSE_CALLER ? CR_PURPOSE_CALLEE : CR_PURPOSE_CALLER;
}

int kam_is_by_client(struct sip_msg *msg)
{
	cr_span_t ref;

	return kam_route_ref(msg, kam_sender(msg), &ref);
}

int kam_is_to_client(struct sip_msg *msg)
{
	cr_span_t ref;

	return kam_route_ref(msg, kam_other_side(kam_sender(msg)), &ref);
}
