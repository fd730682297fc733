/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What has been found out about the message at hand, for those who come to it later.
 */
#include "kam_known.h"
#include "kam_env.h"
#include "kam_message.h"
#include "kam_resume.h"
#include "kam_route.h"
#include "kam_session.h"
#include "kam_shared.h"

#include "core/screen.h"

/* ---- by the edge --------------------------------------------------------------------- */

static int spliced;
static int plain = -1; /* not looked at yet */
static uint64_t received_us;

void kam_know_received(void)
{
	spliced = 0;
	plain = -1;
	received_us = kam_now_us();
}

uint64_t kam_received_us(void)
{
	return received_us;
}

void kam_know_spliced(int is)
{
	spliced = is;
}

int kam_is_spliced(void)
{
	return spliced;
}

static int is_plain(cr_span_t text)
{
	const cr_env_t *env = kam_env();

	return env != NULL && cr_sip_parse(&env->work->msg, text) == CR_OK
			&& cr_screen_reads(&env->work->msg)
			&& cr_screen_shows(&env->work->msg);
}

int kam_is_plain(cr_span_t text)
{
	if(plain < 0)
		plain = is_plain(text);
	return plain;
}

/* ---- by the routes ------------------------------------------------------------------- */

kam_session_t *kam_session(struct sip_msg *msg)
{
	static kam_session_t session;
	static kam_message_t last;

	if(kam_is_other_message(&last, msg))
		memset(&session, 0, sizeof(session));
	return &session;
}

kam_opened_t *kam_opened(struct sip_msg *msg)
{
	static kam_opened_t opened;
	static kam_message_t last;

	if(kam_is_other_message(&last, msg)) {
		opened.open = opened.known = opened.dialled = opened.code = 0;
		opened.client_call_id[0] = '\0';
		opened.reason = "";
	}
	return &opened;
}

static int *to_client(struct sip_msg *msg)
{
	static kam_message_t last;
	static int is;

	if(kam_is_other_message(&last, msg))
		is = -1;
	return &is;
}

void kam_know_to_client(struct sip_msg *msg, int is)
{
	*to_client(msg) = is;
}

int kam_goes_to_client(struct sip_msg *msg)
{
	return *to_client(msg) >= 0 ? *to_client(msg) : kam_is_to_client(msg);
}

/* ---- by who made it ------------------------------------------------------------------ */

static int abandoned;

void kam_know_abandoned(int is)
{
	abandoned = is;
}

int kam_is_abandoned(void)
{
	return abandoned;
}
