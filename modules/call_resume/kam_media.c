/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a session description may send media. A media server sends to whatever
 * address it is told, from within: to services of its own machine too, and bytes that
 * the sender of the description has chosen.
 */
#include "kam.h"

#include "../../core/dprint.h"
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

int ki_resume_check_addresses(struct sip_msg *msg)
{
	const char *body, *end = msg->buf + msg->len;

	if(n_denied == 0)
		return 1;
	body = get_body(msg);
	if(body == NULL || body >= end)
		return 1;
	return cr_sdp_names(
				   (cr_span_t){body, (size_t)(end - body)}, denied, n_denied)
			? -1
			: 1;
}
