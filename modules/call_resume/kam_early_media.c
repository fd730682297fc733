/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the far end of a call plays before it answers (early media), for a client that has
 * called, was lost, and is back: see core/early.h. The far end's description is kept with the
 * transaction of the INVITE, as long as that is; the script gives offer and answer to the
 * media server.
 */
#include "kam.h"
#include "kam_early.h"
#include "kam_event.h"
#include "kam_message.h"
#include "kam_proxy.h"

#include "../../core/dprint.h"
#include "../../core/receive.h"
#include "../../core/route.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/msg_translator.h"
#include "../../core/parser/parse_content.h"

#include "core/early.h"
#include "core/quiet.h"

/* What the far end has said last; in shared memory. */
typedef struct heard
{
	receive_info_t from;
	size_t tag_len, sdp_len;
	char text[]; /* both */
} heard_t;

/* Of a transaction; under its lock. */
typedef struct place
{
	heard_t *heard; /* NULL: it has not played */
} place_t;

/* Where it has begun with the reply at hand. */
static struct
{
	int is;
	unsigned index, label;
} begun;

/* ---- what the far end says --------------------------------------------------------- */

static heard_t *keep(const cr_sip_t *m, cr_span_t sdp, receive_info_t from)
{
	heard_t *h = shm_malloc(sizeof(*h) + m->to_tag.len + sdp.len);

	if(h == NULL) {
		SHM_MEM_ERROR;
		return NULL;
	}
	*h = (heard_t){.from = from, .tag_len = m->to_tag.len, .sdp_len = sdp.len};
	memcpy(h->text, m->to_tag.s, m->to_tag.len);
	memcpy(h->text + h->tag_len, sdp.s, sdp.len);
	return h;
}

static int is_same(const heard_t *h, const cr_sip_t *m, cr_span_t sdp)
{
	return h != NULL && cr_span_eq((cr_span_t){h->text, h->tag_len}, m->to_tag)
			&& cr_span_eq((cr_span_t){h->text + h->tag_len, h->sdp_len}, sdp);
}

/* A page that is called plays nothing, and its side of the media is made otherwise. */
static int is_page(struct sip_msg *msg)
{
	return msg->rcv.proto == PROTO_WS || msg->rcv.proto == PROTO_WSS
			|| kam_is_by_first_hop(msg);
}

/* Under the lock of the transaction. The media server has not rewritten the text. */
static void on_reply(struct cell *t, int type, struct tmcb_params *ps)
{
	static cr_sip_t m;
	place_t *place = *ps->param;
	cr_span_t sdp;
	heard_t *h;

	(void)type;
	if(ps->code >= 200 || ps->rpl == NULL || ps->rpl == FAKED_REPLY
			|| !kam_has_body(ps->rpl) || is_page(ps->rpl)
			|| cr_sip_parse(&m, (cr_span_t){ps->rpl->buf, ps->rpl->len})
					!= CR_OK)
		return;
	sdp = cr_early_sdp(&m);
	if(sdp.len == 0 || sdp.len > CR_EARLY_SDP_MAX || m.to_tag.len == 0
			|| is_same(place->heard, &m, sdp)
			|| (h = keep(&m, sdp, ps->rpl->rcv)) == NULL)
		return;
	if(place->heard != NULL)
		shm_free(place->heard);
	place->heard = h;
	begun.is = 1;
	begun.index = t->hash_index;
	begun.label = t->label;
}

static void release(void *param)
{
	place_t *place = param;

	if(place->heard != NULL)
		shm_free(place->heard);
	shm_free(place);
}

int kam_early_media_watch(struct sip_msg *msg)
{
	place_t *place = shm_malloc(sizeof(*place));

	if(place == NULL) {
		SHM_MEM_ERROR;
		return -1;
	}
	*place = (place_t){0};
	if(kam_tm.register_tmcb(
			   msg, 0, TMCB_RESPONSE_FWDED, on_reply, place, release)
			> 0)
		return 0;
	LM_ERR("cannot watch the replies of a transaction\n");
	shm_free(place);
	return -1;
}

struct cell *kam_early_media_begun(void)
{
	struct cell *t
			= begun.is ? kam_find_transaction(begun.index, begun.label) : NULL;

	begun.is = 0;
	return t;
}

/* @param h  receives what was heard, with CR_EARLY_SDP_MAX bytes and more for its text
 * @return 1, or 0: nothing */
static int copy(heard_t *h, size_t max, struct cell *t)
{
	const place_t *place = NULL;
	size_t len = 0;

	for(volatile struct tm_callback *c = t->tmcb_hl.first; c != NULL;
			c = c->next) {
		if(c->callback == on_reply)
			place = c->param;
	}
	if(place == NULL)
		return 0;
	lock(&t->reply_mutex);
	if(place->heard != NULL)
		len = sizeof(*h) + place->heard->tag_len + place->heard->sdp_len;
	if(len > 0 && len <= max)
		memcpy(h, place->heard, len);
	unlock(&t->reply_mutex);
	return len > 0 && len <= max;
}

/* ---- what the media server makes of it --------------------------------------------- */

/* The description in a message. */
static cr_span_t sdp_of(struct sip_msg *msg)
{
	const char *body = get_body(msg);

	return body != NULL
			? (cr_span_t){body, (size_t)(msg->buf + msg->len - body)}
			: CR_SPAN("");
}

/* Have the script see a message.
 * @param text    in a buffer of BUF_SIZE bytes, zero-terminated
 * @param flags   of the script
 * @param script  the event
 * @param out     BUF_SIZE bytes, receives the description that is in it then
 * @return its length; 0: it is what it was, or gone */
static size_t ask(char *text, int len, const receive_info_t *from, flag_t flags,
		void (*script)(struct sip_msg *), char *out)
{
	struct cell *was = kam_tm.t_gett();
	int branch = kam_tm.t_gett_branch(), type = get_route_type();
	struct sip_msg msg;
	cr_span_t sdp = {0};
	size_t before;

	if(build_sip_msg_from_buf(&msg, text, len, inc_msg_no()) < 0)
		return 0;
	msg.rcv = *from;
	msg.flags = flags;
	sdp = sdp_of(&msg);
	before = sdp.len;
	memcpy(out, sdp.s, before);
	kam_tm.t_sett(T_UNDEFINED, T_BR_UNDEFINED);
	script(&msg);
	kam_tm.t_sett(was, branch);
	/* There Kamailio lets a request be changed. */
	set_route_type(REQUEST_ROUTE);
	sdp = sip_msg_apply_changes(&msg) == 1 ? sdp_of(&msg) : CR_SPAN("");
	set_route_type(type);
	if(cr_span_eq(sdp, (cr_span_t){out, before}))
		sdp.len = 0;
	memcpy(out, sdp.s, sdp.len);
	free_sip_msg(&msg);
	return sdp.len;
}

/* @return 1 when the media server has it */
static int offer(const cr_early_t *e, const receive_info_t *from, int fresh)
{
	static char text[BUF_SIZE], made[BUF_SIZE];
	int len = cr_early_offer(text, sizeof(text) - 1, e, fresh);

	if(len < 0)
		return 0;
	text[len] = '\0';
	return ask(text, len, from, 0, kam_event_offer, made) > 0;
}

/* @param flags  of the first INVITE, as any reply to it has them
 * @return the length of what the client gets; 0: nothing */
static size_t answer(
		char *out, const cr_early_t *e, const heard_t *h, flag_t flags)
{
	static char text[BUF_SIZE];
	int len = cr_early_answer(text, sizeof(text) - 1, e,
			(cr_span_t){h->text + h->tag_len, h->sdp_len});

	if(len < 0)
		return 0;
	text[len] = '\0';
	return ask(text, len, &h->from, flags, kam_event_answer, out);
}

/* ---- and the client is told -------------------------------------------------------- */

/* The Contact of its 180 goes with it. */
static int tell(const struct cell *t, cr_span_t sdp)
{
	return kam_answer_transaction(t->hash_index, t->label, 0, 183,
			"Session Progress", CR_SPAN("Content-Type: application/sdp\r\n"),
			sdp);
}

static int play(struct cell *first, struct cell *again, const heard_t *h)
{
	static cr_sip_t ringing, back;
	static char sdp[BUF_SIZE];
	cr_early_t e
			= {.first = &ringing, .tag = {h->text, h->tag_len}, .again = &back};
	const struct sip_msg *f = first->uas.request, *a = again->uas.request;
	size_t len;

	if(first->uas.status >= 200 || again->uas.status >= 200
			|| cr_sip_parse(&ringing, (cr_span_t){f->buf, f->len}) != CR_OK
			|| cr_sip_parse(&back, (cr_span_t){a->buf, a->len}) != CR_OK
			/* Without an offer in it what the far end says is one. */
			|| cr_early_sdp(&ringing).len == 0
			|| !cr_quiet_suits((cr_span_t){h->text + h->tag_len, h->sdp_len},
					cr_early_sdp(&back)))
		return 0;
	if((cr_early_is_same_dtls(&e) && !offer(&e, &a->rcv, 1))
			|| !offer(&e, &a->rcv, 0))
		return 0;
	len = answer(sdp, &e, h, f->flags);
	return len > 0 && tell(again, (cr_span_t){sdp, len});
}

int kam_early_media_play(struct cell *first, unsigned index, unsigned label)
{
	static union
	{
		heard_t h;
		char mem[sizeof(heard_t) + 2 * CR_EARLY_SDP_MAX];
	} heard;
	struct cell *again;
	int ret;

	if(first->uas.request == NULL || !copy(&heard.h, sizeof(heard), first))
		return 0;
	again = kam_find_transaction(index, label);
	if(again == NULL)
		return 0;
	ret = again->uas.request != NULL && play(first, again, &heard.h);
	kam_tm.unref_cell(again);
	return ret;
}
