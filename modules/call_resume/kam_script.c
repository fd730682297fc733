/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The script's functions as Kamailio wants them: for its own language and for KEMI. What they
 * do is in kam_*.c, under the same names with ki_ in front.
 */
#include "kam_script.h"
#include "kam_alone.h"
#include "kam_away.h"
#include "kam_binding.h"
#include "kam_connection.h"
#include "kam_ended.h"
#include "kam_event.h"
#include "kam_fingerprint.h"
#include "kam_label.h"
#include "kam_limit.h"
#include "kam_media.h"
#include "kam_pass.h"
#include "kam_push.h"
#include "kam_resume.h"
#include "kam_revoke.h"
#include "kam_ring_wait.h"
#include "kam_ringing.h"
#include "kam_seal.h"
#include "kam_session.h"
#include "kam_steps.h"
#include "kam_trust.h"

#include "../../core/dprint.h"
#include "../../core/kemi.h"
#include "../../core/mod_fix.h"

#define NO_ARGUMENT(name)                                                      \
	static int w_##name(struct sip_msg *msg, char *p1, char *p2)               \
	{                                                                          \
		return ki_##name(msg);                                                 \
	}

#define ONE_STRING(name)                                                       \
	static int w_##name(struct sip_msg *msg, char *p1, char *p2)               \
	{                                                                          \
		str s;                                                                 \
                                                                               \
		if(get_str_fparam(&s, msg, (fparam_t *)p1) < 0) {                      \
			LM_ERR(#name "(): cannot evaluate its argument\n");                \
			return -1;                                                         \
		}                                                                      \
		return ki_##name(msg, &s);                                             \
	}

/* clang-format off */
NO_ARGUMENT(resume_auth)
NO_ARGUMENT(resume_is_sender)
NO_ARGUMENT(resume_hide_token)
NO_ARGUMENT(resume_key)
NO_ARGUMENT(resume_seal)
NO_ARGUMENT(resume_check_media)
NO_ARGUMENT(resume_check_head)
NO_ARGUMENT(resume_check_reply)
NO_ARGUMENT(resume_again)
NO_ARGUMENT(resume_push)
NO_ARGUMENT(resume_open)
NO_ARGUMENT(resume_dialog)
NO_ARGUMENT(resume_call)
NO_ARGUMENT(resume_register)
NO_ARGUMENT(resume_within_dialog)
NO_ARGUMENT(resume_away)
NO_ARGUMENT(resume_check_sdp)
NO_ARGUMENT(resume_leaving)
NO_ARGUMENT(resume_label)
NO_ARGUMENT(resume_wait)
NO_ARGUMENT(resume_alone)
NO_ARGUMENT(resume_check_source)
NO_ARGUMENT(resume_has_ice)
NO_ARGUMENT(resume_steps)
NO_ARGUMENT(resume_step)
NO_ARGUMENT(resume_mark_contact)
NO_ARGUMENT(resume_unmark_uri)
NO_ARGUMENT(resume_admit)
NO_ARGUMENT(resume_proved)
NO_ARGUMENT(resume_suits_browser)
NO_ARGUMENT(resume_ended)

ONE_STRING(resume_session_named)
ONE_STRING(resume_challenge)
ONE_STRING(resume_turn)
ONE_STRING(resume_pass)
ONE_STRING(resume_speaks_for)
/* clang-format on */

static int w_resume_issue(struct sip_msg *msg, char *sub, char *sid)
{
	str s, d;

	if(get_str_fparam(&s, msg, (fparam_t *)sub) < 0
			|| (sid != NULL && get_str_fparam(&d, msg, (fparam_t *)sid) < 0)) {
		LM_ERR("resume_issue(): cannot evaluate its arguments\n");
		return -1;
	}
	return sid != NULL ? ki_resume_issue_sid(msg, &s, &d)
					   : ki_resume_issue(msg, &s);
}

static int w_resume_session(struct sip_msg *msg, char *sub, char *sid)
{
	str s, d;

	if(get_str_fparam(&s, msg, (fparam_t *)sub) < 0
			|| get_str_fparam(&d, msg, (fparam_t *)sid) < 0) {
		LM_ERR("resume_session(): cannot evaluate its arguments\n");
		return -1;
	}
	return ki_resume_session(msg, &s, &d);
}

static int w_resume_seal_session(
		struct sip_msg *msg, char *sub, char *sid, char *kid)
{
	str s, d, k;

	if(get_str_fparam(&s, msg, (fparam_t *)sub) < 0
			|| get_str_fparam(&d, msg, (fparam_t *)sid) < 0
			|| get_str_fparam(&k, msg, (fparam_t *)kid) < 0) {
		LM_ERR("resume_seal(): cannot evaluate its arguments\n");
		return -1;
	}
	return ki_resume_seal_session(msg, &s, &d, &k);
}

static int w_resume_seal_bound(
		struct sip_msg *msg, char *sub, char *sid, char *kid, char *fp)
{
	str s, d, k, f;

	if(get_str_fparam(&s, msg, (fparam_t *)sub) < 0
			|| get_str_fparam(&d, msg, (fparam_t *)sid) < 0
			|| get_str_fparam(&k, msg, (fparam_t *)kid) < 0
			|| get_str_fparam(&f, msg, (fparam_t *)fp) < 0) {
		LM_ERR("resume_seal(): cannot evaluate its arguments\n");
		return -1;
	}
	return ki_resume_seal_bound(msg, &s, &d, &k, &f);
}

static int w_resume_revoke(
		struct sip_msg *msg, char *kind, char *value, char *ttl)
{
	str k, v;
	int ttl_s = 0;

	if(get_str_fparam(&k, msg, (fparam_t *)kind) < 0
			|| get_str_fparam(&v, msg, (fparam_t *)value) < 0
			|| (ttl != NULL
					&& get_int_fparam(&ttl_s, msg, (fparam_t *)ttl) < 0)) {
		LM_ERR("resume_revoke(): cannot evaluate its arguments\n");
		return -1;
	}
	return ki_resume_revoke_ttl(msg, &k, &v, ttl_s);
}

static int w_resume_revoke2(struct sip_msg *msg, char *kind, char *value)
{
	return w_resume_revoke(msg, kind, value, NULL);
}

static int w_resume_close_ws(
		struct sip_msg *msg, char *status, char *reason, char *con)
{
	int code, id;
	str why;

	if(get_int_fparam(&code, msg, (fparam_t *)status) < 0
			|| get_str_fparam(&why, msg, (fparam_t *)reason) < 0
			|| get_int_fparam(&id, msg, (fparam_t *)con) < 0) {
		LM_ERR("resume_close_ws(): cannot evaluate its arguments\n");
		return -1;
	}
	return ki_resume_close_ws(msg, code, &why, id);
}

static int w_resume_ring(struct sip_msg *msg, char *name, char *most)
{
	str s;
	int n;

	if(get_str_fparam(&s, msg, (fparam_t *)name) < 0
			|| get_int_fparam(&n, msg, (fparam_t *)most) < 0) {
		LM_ERR("resume_ring(): cannot evaluate its arguments\n");
		return -1;
	}
	return ki_resume_ring(msg, &s, n);
}

/* The value of a variable as it is: printed it would have to fit Kamailio's buffer for
 * that, of 8192 bytes. */
static int w_resume_read_media(struct sip_msg *msg, char *answer, char *p2)
{
	pv_value_t v;

	if(pv_get_spec_value(msg, (pv_spec_t *)answer, &v) < 0
			|| !(v.flags & PV_VAL_STR)) {
		LM_ERR("resume_read_media() needs a variable with a string\n");
		return -1;
	}
	return ki_resume_read_media(msg, &v.rs);
}

static int fixup_revoke(void **param, int param_no)
{
	return param_no == 3 ? fixup_igp_null(param, 1) : fixup_spve_null(param, 1);
}

static int fixup_close_ws(void **param, int param_no)
{
	return param_no == 2 ? fixup_spve_null(param, 1) : fixup_igp_null(param, 1);
}

/* clang-format off */
cmd_export_t kam_script_cmds[] = {
	{"resume_issue", (cmd_function)w_resume_issue, 1,
		fixup_spve_null, fixup_free_spve_null, ANY_ROUTE},
	{"resume_issue", (cmd_function)w_resume_issue, 2,
		fixup_spve_spve, fixup_free_spve_spve, ANY_ROUTE},
	{"resume_auth", (cmd_function)w_resume_auth, 0, 0, 0, REQUEST_ROUTE},
	{"resume_is_sender", (cmd_function)w_resume_is_sender, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_session", (cmd_function)w_resume_session, 2,
		fixup_spve_spve, fixup_free_spve_spve, REQUEST_ROUTE},
	{"resume_session", (cmd_function)w_resume_session_named, 1,
		fixup_spve_null, fixup_free_spve_null, REQUEST_ROUTE},
	{"resume_challenge", (cmd_function)w_resume_challenge, 1,
		fixup_spve_null, fixup_free_spve_null, REQUEST_ROUTE},
	{"resume_key", (cmd_function)w_resume_key, 0, 0, 0, REQUEST_ROUTE},
	{"resume_hide_token", (cmd_function)w_resume_hide_token, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_turn", (cmd_function)w_resume_turn, 1,
		fixup_spve_null, fixup_free_spve_null, ANY_ROUTE},
	{"resume_seal", (cmd_function)w_resume_seal, 0, 0, 0, REQUEST_ROUTE},
	{"resume_seal", (cmd_function)w_resume_seal_session, 3,
		fixup_spve_all, fixup_free_spve_all,
		REQUEST_ROUTE | BRANCH_ROUTE | FAILURE_ROUTE},
	{"resume_seal", (cmd_function)w_resume_seal_bound, 4,
		fixup_spve_all, fixup_free_spve_all,
		REQUEST_ROUTE | BRANCH_ROUTE | FAILURE_ROUTE},
	/* REQUEST_ROUTE: so that a route block of a reply_route can call it. */
	{"resume_check_media", (cmd_function)w_resume_check_media, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_check_head", (cmd_function)w_resume_check_head, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_check_reply", (cmd_function)w_resume_check_reply, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_again", (cmd_function)w_resume_again, 0, 0, 0, REQUEST_ROUTE},
	/* REQUEST_ROUTE: so that a route block of a reply_route can call it. */
	{"resume_push", (cmd_function)w_resume_push, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_open", (cmd_function)w_resume_open, 0, 0, 0, REQUEST_ROUTE},
	{"resume_dialog", (cmd_function)w_resume_dialog, 0, 0, 0, REQUEST_ROUTE},
	{"resume_check_sdp", (cmd_function)w_resume_check_sdp, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_check_source", (cmd_function)w_resume_check_source, 0, 0, 0,
		ANY_ROUTE},
	{"resume_has_ice", (cmd_function)w_resume_has_ice, 0, 0, 0, ANY_ROUTE},
	{"resume_steps", (cmd_function)w_resume_steps, 0, 0, 0, REQUEST_ROUTE},
	{"resume_step", (cmd_function)w_resume_step, 0, 0, 0, REQUEST_ROUTE},
	{"resume_suits_browser", (cmd_function)w_resume_suits_browser, 0, 0, 0,
		ANY_ROUTE},
	{"resume_read_media", (cmd_function)w_resume_read_media, 1,
		fixup_pvar_null, fixup_free_pvar_null, ANY_ROUTE},
	{"resume_mark_contact", (cmd_function)w_resume_mark_contact, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_unmark_uri", (cmd_function)w_resume_unmark_uri, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_leaving", (cmd_function)w_resume_leaving, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_label", (cmd_function)w_resume_label, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_wait", (cmd_function)w_resume_wait, 0, 0, 0, REQUEST_ROUTE},
	{"resume_alone", (cmd_function)w_resume_alone, 0, 0, 0, REQUEST_ROUTE},
	{"resume_ring", (cmd_function)w_resume_ring, 2,
		fixup_spve_igp, fixup_free_spve_igp, REQUEST_ROUTE},
	{"resume_admit", (cmd_function)w_resume_admit, 0, 0, 0, ANY_ROUTE},
	{"resume_proved", (cmd_function)w_resume_proved, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_speaks_for", (cmd_function)w_resume_speaks_for, 1,
		fixup_spve_null, fixup_free_spve_null, ANY_ROUTE},
	{"resume_ended", (cmd_function)w_resume_ended, 0, 0, 0,
		REQUEST_ROUTE | FAILURE_ROUTE},
	{"resume_call", (cmd_function)w_resume_call, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_register", (cmd_function)w_resume_register, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_within_dialog", (cmd_function)w_resume_within_dialog, 0, 0, 0,
		REQUEST_ROUTE},
	{"resume_pass", (cmd_function)w_resume_pass, 1,
		fixup_spve_null, fixup_free_spve_null, REQUEST_ROUTE},
	{"resume_away", (cmd_function)w_resume_away, 0, 0, 0,
		REQUEST_ROUTE | FAILURE_ROUTE},
	{"resume_close_ws", (cmd_function)w_resume_close_ws, 3,
		fixup_close_ws, 0, ANY_ROUTE},
	{"resume_revoke", (cmd_function)w_resume_revoke2, 2,
		fixup_revoke, 0, ANY_ROUTE},
	{"resume_revoke", (cmd_function)w_resume_revoke, 3,
		fixup_revoke, 0, ANY_ROUTE},
	{0, 0, 0, 0, 0, 0}
};

/* Up to six parameters; the rest are zeros: SR_KEMIP_NONE. */
#define STR SR_KEMIP_STR
#define INT SR_KEMIP_INT
#define NONE SR_KEMIP_NONE
#define KEMI(name, ...) \
	{str_init("call_resume"), str_init(#name), SR_KEMIP_INT, ki_##name, {__VA_ARGS__}}

sr_kemi_t kam_script_kemi[] = {
	KEMI(resume_issue, STR),
	KEMI(resume_issue_sid, STR, STR),
	KEMI(resume_auth, NONE),
	KEMI(resume_is_sender, NONE),
	KEMI(resume_session, STR, STR),
	KEMI(resume_session_named, STR),
	KEMI(resume_challenge, STR),
	KEMI(resume_hide_token, NONE),
	KEMI(resume_key, NONE),
	KEMI(resume_turn, STR),
	KEMI(resume_seal, NONE),
	KEMI(resume_seal_session, STR, STR, STR),
	KEMI(resume_seal_bound, STR, STR, STR, STR),
	KEMI(resume_check_media, NONE),
	KEMI(resume_check_head, NONE),
	KEMI(resume_check_reply, NONE),
	KEMI(resume_again, NONE),
	KEMI(resume_push, NONE),
	KEMI(resume_open, NONE),
	KEMI(resume_dialog, NONE),
	KEMI(resume_check_sdp, NONE),
	KEMI(resume_check_source, NONE),
	KEMI(resume_has_ice, NONE),
	KEMI(resume_steps, NONE),
	KEMI(resume_step, NONE),
	KEMI(resume_mark_contact, NONE),
	KEMI(resume_unmark_uri, NONE),
	KEMI(resume_leaving, NONE),
	KEMI(resume_label, NONE),
	KEMI(resume_wait, NONE),
	KEMI(resume_alone, NONE),
	KEMI(resume_ring, STR, INT),
	KEMI(resume_admit, NONE),
	KEMI(resume_proved, NONE),
	KEMI(resume_suits_browser, NONE),
	KEMI(resume_read_media, STR),
	KEMI(resume_speaks_for, STR),
	KEMI(resume_ended, NONE),
	KEMI(resume_call, NONE),
	KEMI(resume_register, NONE),
	KEMI(resume_within_dialog, NONE),
	KEMI(resume_pass, STR),
	KEMI(resume_away, NONE),
	KEMI(resume_close_ws, INT, STR, INT),
	KEMI(resume_revoke, STR, STR),
	KEMI(resume_revoke_ttl, STR, STR, INT),
	{ {0, 0}, {0, 0}, 0, NULL, { 0, 0, 0, 0, 0, 0 } }
};
/* clang-format on */
