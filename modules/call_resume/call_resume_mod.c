/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * call_resume: calls that survive the loss of their client. What the module
 * exports to Kamailio.
 */
#include "kam.h"
#include "kam_ended.h"
#include "kam_event.h"
#include "kam_modules.h"
#include "kam_revoke.h"
#include "kam_steps.h"
#include "core/challenge.h"
#include "core/crypto.h"

#include <pthread.h>

#include "../../core/dprint.h"
#include "../../core/kemi.h"
#include "../../core/mod_fix.h"

MODULE_VERSION

kam_config_t kam_config = {
		.token_lifetime = 43200,
		.state_lifetime = 86400,
		.map_lifetime = 86400,
		.clock_skew = 60,
		.authz_server = "",
		.scope = "",
		.turn_lifetime = 43200,
		.ref_lifetime = 7 * 86400,
		.log_damaged = 1,
		.connect_back = 1,
		.unproved_time = 30,
		.location = "location",
		.ring_wait = 3000,
};
struct tm_binds kam_tm;
struct rr_binds kam_rr;
sl_api_t kam_sl;

/* ---- script functions ------------------------------------------------------ */

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

static int w_resume_auth(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_auth(msg);
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

static int w_resume_session_named(struct sip_msg *msg, char *sub, char *p2)
{
	str s;

	if(get_str_fparam(&s, msg, (fparam_t *)sub) < 0) {
		LM_ERR("resume_session(): cannot evaluate its argument\n");
		return -1;
	}
	return ki_resume_session_named(msg, &s);
}

static int w_resume_is_sender(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_is_sender(msg);
}

static int w_resume_challenge(struct sip_msg *msg, char *realm, char *p2)
{
	str s;

	if(get_str_fparam(&s, msg, (fparam_t *)realm) < 0) {
		LM_ERR("resume_challenge(): cannot evaluate the realm\n");
		return -1;
	}
	return ki_resume_challenge(msg, &s);
}

static int w_resume_hide_token(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_hide_token(msg);
}

static int w_resume_key(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_key(msg);
}

static int w_resume_turn(struct sip_msg *msg, char *sub, char *p2)
{
	str s;

	if(get_str_fparam(&s, msg, (fparam_t *)sub) < 0) {
		LM_ERR("resume_turn(): cannot evaluate its argument\n");
		return -1;
	}
	return ki_resume_turn(msg, &s);
}

static int w_resume_seal(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_seal(msg);
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

static int w_resume_check_media(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_check_media(msg);
}

static int w_resume_check_head(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_check_head(msg);
}

static int w_resume_check_reply(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_check_reply(msg);
}

static int w_resume_again(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_again(msg);
}

static int w_resume_push(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_push(msg);
}

static int w_resume_open(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_open(msg);
}

static int w_resume_dialog(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_dialog(msg);
}

static int w_resume_call(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_call(msg);
}

static int w_resume_register(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_register(msg);
}

static int w_resume_within_dialog(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_within_dialog(msg);
}

static int w_resume_away(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_away(msg);
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

static int w_resume_check_sdp(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_check_sdp(msg);
}

static int w_resume_wait(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_wait(msg);
}

static int w_resume_alone(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_alone(msg);
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

static int w_resume_check_source(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_check_source(msg);
}

static int w_resume_has_ice(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_has_ice(msg);
}

/* The value of a variable as it is: printed it would have to fit Kamailio's buffer for
 * that, of 8192 bytes. */
static int with_answer(struct sip_msg *msg, char *variable,
		int (*f)(struct sip_msg *msg, str *answer))
{
	pv_value_t v;

	if(pv_get_spec_value(msg, (pv_spec_t *)variable, &v) < 0
			|| !(v.flags & PV_VAL_STR)) {
		LM_ERR("resume_steps(), resume_stepped() and resume_read_media() need "
			   "a variable with a string\n");
		return -1;
	}
	return f(msg, &v.rs);
}

static int w_resume_steps(struct sip_msg *msg, char *answer, char *p2)
{
	return with_answer(msg, answer, ki_resume_steps);
}

static int w_resume_stepped(struct sip_msg *msg, char *answer, char *p2)
{
	return with_answer(msg, answer, ki_resume_stepped);
}

static int w_resume_step(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_step(msg);
}

static int w_resume_mark_contact(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_mark_contact(msg);
}

static int w_resume_unmark_uri(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_unmark_uri(msg);
}

static int w_resume_admit(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_admit(msg);
}

static int w_resume_proved(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_proved(msg);
}

static int w_resume_speaks_for(struct sip_msg *msg, char *address, char *p2)
{
	str s;

	if(get_str_fparam(&s, msg, (fparam_t *)address) < 0) {
		LM_ERR("resume_speaks_for(): cannot evaluate its argument\n");
		return -1;
	}
	return ki_resume_speaks_for(msg, &s);
}

static int w_resume_suits_browser(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_suits_browser(msg);
}

static int w_resume_read_media(struct sip_msg *msg, char *answer, char *p2)
{
	return with_answer(msg, answer, ki_resume_read_media);
}

static int w_resume_ended(struct sip_msg *msg, char *p1, char *p2)
{
	return ki_resume_ended(msg);
}

static int fixup_revoke(void **param, int param_no)
{
	return param_no == 3 ? fixup_igp_null(param, 1) : fixup_spve_null(param, 1);
}

/* ---- parameters that are more than a value ------------------------------------ */

/* modparam("call_resume", "issuer", "iss=...;keys=...;aud=...") */
static int param_issuer(modparam_t type, void *val)
{
	char why[CR_WHY_MAX];

	(void)type;
	if(cr_issuers_add(&kam_config.issuers, why, cr_span_str(val)) == CR_OK)
		return 0;
	LM_ERR("%s\n", why);
	return -1;
}

/* clang-format off */
static cmd_export_t cmds[] = {
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
	{"resume_steps", (cmd_function)w_resume_steps, 1, fixup_pvar_null,
		fixup_free_pvar_null, REQUEST_ROUTE},
	{"resume_stepped", (cmd_function)w_resume_stepped, 1, fixup_pvar_null,
		fixup_free_pvar_null, REQUEST_ROUTE},
	{"resume_step", (cmd_function)w_resume_step, 0, 0, 0, REQUEST_ROUTE},
	{"resume_suits_browser", (cmd_function)w_resume_suits_browser, 0, 0, 0,
		ANY_ROUTE},
	{"resume_read_media", (cmd_function)w_resume_read_media, 1,
		fixup_pvar_null, fixup_free_pvar_null, ANY_ROUTE},
	{"resume_mark_contact", (cmd_function)w_resume_mark_contact, 0, 0, 0,
		REQUEST_ROUTE | ONREPLY_ROUTE},
	{"resume_unmark_uri", (cmd_function)w_resume_unmark_uri, 0, 0, 0,
		REQUEST_ROUTE},
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
	{"resume_away", (cmd_function)w_resume_away, 0, 0, 0,
		REQUEST_ROUTE | FAILURE_ROUTE},
	{"resume_revoke", (cmd_function)w_resume_revoke2, 2,
		fixup_revoke, 0, ANY_ROUTE},
	{"resume_revoke", (cmd_function)w_resume_revoke, 3,
		fixup_revoke, 0, ANY_ROUTE},
	{0, 0, 0, 0, 0, 0}
};

static param_export_t params[] = {
	{"key_ring", PARAM_STRING, &kam_config.key_ring},
	{"issuer", PARAM_STRING | PARAM_USE_FUNC, (void *)param_issuer},
	{"token_lifetime", PARAM_INT, &kam_config.token_lifetime},
	{"state_lifetime", PARAM_INT, &kam_config.state_lifetime},
	{"map_lifetime", PARAM_INT, &kam_config.map_lifetime},
	{"clock_skew", PARAM_INT, &kam_config.clock_skew},
	{"authz_server", PARAM_STRING, &kam_config.authz_server},
	{"scope", PARAM_STRING, &kam_config.scope},
	{"allow_insecure", PARAM_INT, &kam_config.allow_insecure},
	{"turn_secret_file", PARAM_STRING, &kam_config.turn_secret_file},
	{"turn_lifetime", PARAM_INT, &kam_config.turn_lifetime},
	{"event_callback", PARAM_STRING, &kam_config.event_callback},
	{"revoked_htable", PARAM_STRING, &kam_config.revoked_htable},
	{"bind_fingerprint", PARAM_INT, &kam_config.bind_fingerprint},
	{"reference_lifetime", PARAM_INT, &kam_config.ref_lifetime},
	{"log_damaged", PARAM_INT, &kam_config.log_damaged},
	{"connect_back", PARAM_INT, &kam_config.connect_back},
	{"unproved_max", PARAM_INT, &kam_config.unproved_max},
	{"unproved_time", PARAM_INT, &kam_config.unproved_time},
	{"proved_max", PARAM_INT, &kam_config.proved_max},
	{"manage", PARAM_INT, &kam_config.manage},
	{"push", PARAM_INT, &kam_config.push},
	{"location", PARAM_STRING, &kam_config.location},
	{"ring_wait", PARAM_INT, &kam_config.ring_wait},
	{"session_id", PARAM_INT, &kam_config.session_id},
	{"trusted_proxy", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_proxy_param},
	{"denied_media", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_media_param},
	{"trunk_address", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_trunk_param},
	{0, 0, 0}
};

static pv_export_t pvs[] = {
	{{"resume", sizeof("resume") - 1}, PVT_OTHER, kam_pv_get, 0,
		kam_pv_parse_name, 0, 0, 0},
	{{0, 0}, 0, 0, 0, 0, 0, 0, 0}
};

#define KEMI_STR SR_KEMIP_STR
#define KEMI_NONE SR_KEMIP_NONE
static sr_kemi_t kemi_exports[] = {
	{ str_init("call_resume"), str_init("resume_issue"), SR_KEMIP_INT,
		ki_resume_issue, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_issue_sid"), SR_KEMIP_INT,
		ki_resume_issue_sid, { KEMI_STR, KEMI_STR, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_auth"), SR_KEMIP_INT,
		ki_resume_auth, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_is_sender"), SR_KEMIP_INT,
		ki_resume_is_sender, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_session"), SR_KEMIP_INT,
		ki_resume_session, { KEMI_STR, KEMI_STR, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_session_named"), SR_KEMIP_INT,
		ki_resume_session_named, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_challenge"), SR_KEMIP_INT,
		ki_resume_challenge, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_hide_token"), SR_KEMIP_INT,
		ki_resume_hide_token, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE }
	},
	{ str_init("call_resume"), str_init("resume_key"), SR_KEMIP_INT,
		ki_resume_key, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_turn"), SR_KEMIP_INT,
		ki_resume_turn, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_seal"), SR_KEMIP_INT,
		ki_resume_seal, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_seal_session"), SR_KEMIP_INT,
		ki_resume_seal_session, { KEMI_STR, KEMI_STR, KEMI_STR,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_seal_bound"), SR_KEMIP_INT,
		ki_resume_seal_bound, { KEMI_STR, KEMI_STR, KEMI_STR,
			KEMI_STR, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_check_media"), SR_KEMIP_INT,
		ki_resume_check_media, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_check_head"), SR_KEMIP_INT,
		ki_resume_check_head, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_check_reply"), SR_KEMIP_INT,
		ki_resume_check_reply, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_again"), SR_KEMIP_INT,
		ki_resume_again, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_push"), SR_KEMIP_INT,
		ki_resume_push, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_open"), SR_KEMIP_INT,
		ki_resume_open, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_dialog"), SR_KEMIP_INT,
		ki_resume_dialog, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_check_sdp"), SR_KEMIP_INT,
		ki_resume_check_sdp, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_check_source"), SR_KEMIP_INT,
		ki_resume_check_source, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_has_ice"), SR_KEMIP_INT,
		ki_resume_has_ice, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_steps"), SR_KEMIP_INT,
		ki_resume_steps, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_stepped"), SR_KEMIP_INT,
		ki_resume_stepped, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_step"), SR_KEMIP_INT,
		ki_resume_step, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_mark_contact"), SR_KEMIP_INT,
		ki_resume_mark_contact, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_unmark_uri"), SR_KEMIP_INT,
		ki_resume_unmark_uri, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_wait"), SR_KEMIP_INT,
		ki_resume_wait, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_alone"), SR_KEMIP_INT,
		ki_resume_alone, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_ring"), SR_KEMIP_INT,
		ki_resume_ring, { SR_KEMIP_STR, SR_KEMIP_INT, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE }
	},
	{ str_init("call_resume"), str_init("resume_admit"), SR_KEMIP_INT,
		ki_resume_admit, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_proved"), SR_KEMIP_INT,
		ki_resume_proved, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_suits_browser"), SR_KEMIP_INT,
		ki_resume_suits_browser, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_read_media"), SR_KEMIP_INT,
		ki_resume_read_media, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_speaks_for"), SR_KEMIP_INT,
		ki_resume_speaks_for, { KEMI_STR, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_ended"), SR_KEMIP_INT,
		ki_resume_ended, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_call"), SR_KEMIP_INT,
		ki_resume_call, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_register"), SR_KEMIP_INT,
		ki_resume_register, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_within_dialog"), SR_KEMIP_INT,
		ki_resume_within_dialog, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_away"), SR_KEMIP_INT,
		ki_resume_away, { KEMI_NONE, KEMI_NONE, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_revoke"), SR_KEMIP_INT,
		ki_resume_revoke, { KEMI_STR, KEMI_STR, KEMI_NONE,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ str_init("call_resume"), str_init("resume_revoke_ttl"), SR_KEMIP_INT,
		ki_resume_revoke_ttl, { KEMI_STR, KEMI_STR, SR_KEMIP_INT,
			KEMI_NONE, KEMI_NONE, KEMI_NONE } },
	{ {0, 0}, {0, 0}, 0, NULL, { 0, 0, 0, 0, 0, 0 } }
};
/* clang-format on */

/* ---- life cycle -------------------------------------------------------------- */

static int check_challenge(void)
{
	cr_span_t server = cr_span_str(kam_config.authz_server);
	cr_span_t scope = cr_span_str(kam_config.scope);

	if(server.len > 0 && !cr_challenge_is_server(server)) {
		LM_ERR("authz_server has to be an https URI\n");
		return -1;
	}
	if(scope.len > 0 && !cr_challenge_is_scope(scope)) {
		LM_ERR("scope has to be words with one blank between two\n");
		return -1;
	}
	return 0;
}

static int check_config(void)
{
	if(kam_config.key_ring == NULL || kam_config.key_ring[0] == '\0') {
		LM_ERR("there is no default key: set modparam(\"call_resume\","
			   " \"key_ring\", \"/path/to/file\"); make such a file with"
			   " (umask 077; echo \"k1 $(openssl rand -base64 32 |"
			   " tr '+/' '-_' | tr -d =)\" > /path/to/file)\n");
		return -1;
	}
	if(kam_config.token_lifetime <= 0 || kam_config.state_lifetime <= 0
			|| kam_config.map_lifetime <= 0 || kam_config.clock_skew < 0) {
		LM_ERR("token_lifetime, state_lifetime and map_lifetime have to be"
			   " positive, clock_skew not negative\n");
		return -1;
	}
	/* Sums of them are kept in an int. */
	if(kam_config.map_lifetime > KAM_LIFETIME_MAX
			|| kam_config.state_lifetime > KAM_LIFETIME_MAX
			|| kam_config.token_lifetime > KAM_LIFETIME_MAX
			|| kam_config.clock_skew > KAM_LIFETIME_MAX) {
		LM_ERR("token_lifetime, state_lifetime, map_lifetime and clock_skew are"
			   " a year at the most\n");
		return -1;
	}
	if(kam_config.turn_lifetime <= 0
			|| kam_config.turn_lifetime > KAM_LIFETIME_MAX) {
		LM_ERR("turn_lifetime has to be positive, and a year at the most\n");
		return -1;
	}
	if(kam_config.ref_lifetime <= 0
			|| kam_config.ref_lifetime > KAM_LIFETIME_MAX) {
		LM_ERR("reference_lifetime has to be positive, and a year at the "
			   "most\n");
		return -1;
	}
	if(kam_config.bind_fingerprint < KAM_BIND_OFF
			|| kam_config.bind_fingerprint >= KAM_BIND_N) {
		LM_ERR("bind_fingerprint is 0, 1 or 2\n");
		return -1;
	}
	if(kam_config.allow_insecure)
		LM_WARN("allow_insecure is set: tokens and client keys may cross the"
				" network in the clear, where anybody can read them\n");
	return 0;
}

/* OpenSSL keeps a list of errors for each thread, and the module tls has it take its
 * memory from what processes share. What the main process has when it forks is then one
 * list for all of them, which they empty at the same time: up to Kamailio 5.8 some
 * hundred connections over TLS end it with a double free. Kamailio's own cure, from
 * 6.2 on, is the same one. */
static int keep_threads_apart(void)
{
	if(pthread_atfork(cr_crypto_before_fork, NULL, NULL) == 0)
		return 0;
	LM_ERR("no memory for what is to be done before a fork\n");
	return -1;
}

/* What processes write to stderr at the same time stays whole lines. From version 2.37 on
 * the C library writes to a stream without a buffer in pieces of 128 bytes, between which
 * another process may write: then a piece that a sender has chosen begins a line. */
static void keep_lines_whole(void)
{
	static char line[BUFSIZ];

	setvbuf(stderr, line, _IOLBF, sizeof(line));
}

static int mod_init(void)
{
	keep_lines_whole();
	if(check_config() < 0 || check_challenge() < 0)
		return -1;
	if(load_tm_api(&kam_tm) < 0 || load_rr_api(&kam_rr) < 0
			|| sl_load_api(&kam_sl) < 0) {
		LM_ERR("load the modules tm, rr and sl in front of call_resume\n");
		return -1;
	}
	if(kam_stat_init() < 0 || kam_env_init() < 0 || kam_revoke_init() < 0
			|| kam_event_init() < 0 || kam_limit_init() < 0)
		return -1;
	if(kam_modules_init() < 0 || kam_ended_init() < 0 || kam_ringing_init() < 0
			|| kam_alone_init() < 0 || kam_ring_again_init() < 0
			|| kam_ring_wait_init() < 0 || kam_binding_init() < 0)
		return -1;
	if(kam_away_init() < 0 || kam_reply_init() < 0 || keep_threads_apart() < 0
			|| kam_connect_init() < 0)
		return -1;
	kam_connection_init();
	return kam_edge_init();
}

/* htable makes its tables in its mod_init, which may come after ours. */
static int child_init(int rank)
{
	kam_edge_child(rank);
	kam_connect_child(rank);
	if(rank == PROC_MAIN)
		return kam_limit_start();
	return rank == PROC_INIT ? kam_revoke_check() : 0;
}

static void mod_destroy(void)
{
	kam_ring_again_destroy();
	kam_ringing_destroy();
	kam_alone_destroy();
	kam_ended_destroy();
	kam_env_destroy();
}

/* clang-format off */
struct module_exports exports = {
	"call_resume",   /* module name */
	DEFAULT_DLFLAGS, /* dlopen flags */
	cmds,            /* exported functions */
	params,          /* exported parameters */
	kam_rpc_cmds,    /* exported rpc functions */
	pvs,             /* exported pseudo-variables */
	0,               /* response handling function */
	mod_init,        /* module init function */
	child_init,      /* per-child init function */
	mod_destroy      /* module destroy function */
};
/* clang-format on */

int mod_register(char *path, int *dlflags, void *p1, void *p2)
{
	if(kam_modules_check_order() < 0)
		return -1;
	sr_kemi_modules_add(kemi_exports);
	return kam_edge_register();
}
