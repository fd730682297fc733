/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "jose.h"

#include <stdint.h>

#include "base.h"
#include "bytes.h"
#include "text.h"

int cr_json_object(json_t **out, cr_span_t text)
{
	json_error_t why;
	json_t *root = json_loadb(text.s, text.len, JSON_REJECT_DUPLICATES, &why);

	if(!root) {
		/* jansson does not say out_of_memory in all the places where it is */
		enum json_error_code code = json_error_code(&why);

		if(code == json_error_out_of_memory || code == json_error_unknown)
			return CR_EINTERNAL;
		return CR_EMALFORMED;
	}
	if(!json_is_object(root)) {
		json_decref(root);
		return CR_EMALFORMED;
	}
	*out = root;
	return CR_OK;
}

cr_span_t cr_json_span(const json_t *value)
{
	if(!json_is_string(value))
		return (cr_span_t){NULL, 0};
	return (cr_span_t){json_string_value(value), json_string_length(value)};
}

int cr_json_copy(char *out, size_t max, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	cr_span_t s = cr_json_span(value);

	if(value && !json_is_string(value))
		return CR_EMALFORMED;
	if(s.len >= max)
		return CR_EMALFORMED;
	if(s.len > 0)
		memcpy(out, s.s, s.len);
	out[s.len] = 0;
	return CR_OK;
}

static int is_name(const char *text)
{
	return text[0] == 0 || cr_text_is_plain(cr_span_str(text), CR_JOSE_KID_MAX);
}

static int read_header(cr_jose_t *out, const json_t *root)
{
	/* Each of them changes what has to be done with the rest (RFC 7515
	 * section 4.1.11, RFC 7516 section 4.1.3, RFC 7797 section 3). */
	if(json_object_get(root, "crit") || json_object_get(root, "zip")
			|| json_object_get(root, "b64"))
		return CR_EUNSUPPORTED;
	if(cr_json_copy(out->alg, sizeof(out->alg), root, "alg")
			|| cr_json_copy(out->enc, sizeof(out->enc), root, "enc")
			|| cr_json_copy(out->typ, sizeof(out->typ), root, "typ")
			|| cr_json_copy(out->kid, sizeof(out->kid), root, "kid"))
		return CR_EMALFORMED;
	/* Who looks into a token shows these before anybody has verified it. */
	return out->alg[0] && is_name(out->alg) && is_name(out->enc)
					&& is_name(out->typ) && is_name(out->kid)
			? CR_OK
			: CR_EMALFORMED;
}

/* Headers of our own making are read without a JSON parser: nothing in them
 * varies but the kid, which has no characters that JSON would escape. */
static const struct
{
	cr_span_t head, tail;
	const char *alg, *enc, *typ;
} own_headers[] = {
		{CR_SPAN_INIT("{\"alg\":\"HS256\",\"kid\":\""),
				CR_SPAN_INIT("\",\"typ\":\"JWT\"}"), "HS256", "", "JWT"},
		{CR_SPAN_INIT("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\""),
				CR_SPAN_INIT("\"}"), "dir", "A256GCM", ""},
};

static int read_own_header(cr_jose_t *out, const char *json, size_t len)
{
	for(size_t i = 0; i < sizeof(own_headers) / sizeof(own_headers[0]); i++) {
		cr_span_t head = own_headers[i].head, tail = own_headers[i].tail;
		size_t frame = head.len + tail.len;

		if(len <= frame || len - frame > CR_KID_MAX
				|| memcmp(json, head.s, head.len) != 0
				|| memcmp(json + len - tail.len, tail.s, tail.len) != 0)
			continue;
		cr_span_t kid = {json + head.len, len - frame};
		if(!cr_text_is_id(kid, CR_KID_MAX))
			return 0;
		memset(out, 0, sizeof(*out));
		strcpy(out->alg, own_headers[i].alg);
		strcpy(out->enc, own_headers[i].enc);
		strcpy(out->typ, own_headers[i].typ);
		memcpy(out->kid, kid.s, kid.len);
		return 1;
	}
	return 0;
}

int cr_jose_header(cr_jose_t *out, cr_span_t text)
{
	uint8_t json[CR_JOSE_HEADER_MAX];
	cr_jose_t read;
	json_t *root = NULL;
	int err, len;

	if(text.len > CR_JOSE_HEADER_MAX)
		return CR_ETOOBIG;
	len = cr_b64_decode(json, sizeof(json), text);
	if(len < 0)
		return len;
	if(read_own_header(out, (const char *)json, (size_t)len))
		return CR_OK;
	err = cr_json_object(&root, (cr_span_t){(char *)json, (size_t)len});
	if(err)
		return err;
	err = read_header(&read, root);
	json_decref(root);
	if(!err)
		*out = read;
	return err;
}

int cr_jose_peek(cr_jose_t *out, cr_span_t compact)
{
	cr_reader_t r = cr_reader(compact.s, compact.len);
	cr_span_t header = cr_get_until(&r, '.');

	return r.bad ? CR_EMALFORMED : cr_jose_header(out, header);
}
