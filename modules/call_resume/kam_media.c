/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a session description may send media. A media server sends to whatever
 * address it is told, from within: to services of its own machine too, and bytes that
 * the sender of the description has chosen.
 */
#include "kam.h"

#include "../../core/data_lump.h"
#include "../../core/dprint.h"
#include "../../core/mem/mem.h"
#include "../../core/parser/parse_content.h"

#include "net.h"
#include "sdp.h"

#define DENIED_MAX 32

static cr_net_t denied[DENIED_MAX];
static int n_denied;

static int add_denied(cr_span_t text)
{
	if(n_denied == DENIED_MAX) {
		LM_ERR("denied_media: more than %d networks\n", DENIED_MAX);
		return -1;
	}
	if(cr_net_parse(&denied[n_denied], text) != CR_OK) {
		LM_ERR("denied_media: [%.*s] is no network, such as 10.0.0.0/8\n",
				(int)text.len, text.s);
		return -1;
	}
	n_denied++;
	return 0;
}

int kam_media_param(modparam_t type, void *val)
{
	const char *p = (const char *)val;

	(void)type;
	for(;;) {
		cr_span_t one;

		p += strspn(p, ", \t");
		one = (cr_span_t){p, strcspn(p, ", \t")};
		if(one.len == 0)
			return 0;
		if(add_denied(one) < 0)
			return -1;
		p += one.len;
	}
}

/* Take lines out of the body, or put others for them. @return 0 or -1 */
static int apply(struct sip_msg *msg, const cr_sdp_edits_t *edits)
{
	for(int i = 0; i < edits->n; i++) {
		cr_span_t line = edits->line[i], instead = edits->instead[i];
		struct lump *l
				= del_lump(msg, (int)(line.s - msg->buf), (int)line.len, 0);
		char *copy;

		if(l == NULL)
			return -1;
		if(instead.len == 0)
			continue;
		copy = pkg_malloc(instead.len);
		if(copy == NULL) {
			PKG_MEM_ERROR;
			return -1;
		}
		memcpy(copy, instead.s, instead.len);
		if(insert_new_lump_after(l, copy, (int)instead.len, 0) == NULL) {
			pkg_free(copy);
			return -1;
		}
	}
	return 0;
}

int ki_resume_check_sdp(struct sip_msg *msg)
{
	const char *body = get_body(msg), *end = msg->buf + msg->len;
	cr_sdp_edits_t edits;

	if(body == NULL || body >= end)
		return 1;
	switch(cr_sdp_check(&edits, (cr_span_t){body, (size_t)(end - body)}, denied,
			n_denied)) {
		case CR_OK:
			if(edits.n == 0)
				return 1;
			return apply(msg, &edits) < 0 ? -1 : 2;
		case CR_EUNSUPPORTED:
			return -2;
		default:
			return -1;
	}
}

int ki_resume_has_ice(struct sip_msg *msg)
{
	const char *body = get_body(msg), *end = msg->buf + msg->len;
	cr_sdp_edits_t edits;

	return body != NULL && body < end
					&& cr_sdp_check(&edits,
							   (cr_span_t){body, (size_t)(end - body)}, NULL, 0)
							== CR_OK
					&& edits.is_ice
			? 1
			: -1;
}
