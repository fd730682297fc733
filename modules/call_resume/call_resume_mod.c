/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * call_resume: calls that survive the loss of their client. What the module
 * exports to Kamailio.
 */
#include "kam.h"
#include "kam_abandoned.h"
#include "kam_alone.h"
#include "kam_away.h"
#include "kam_binding.h"
#include "kam_connect.h"
#include "kam_connection.h"
#include "kam_drain.h"
#include "kam_early.h"
#include "kam_edge.h"
#include "kam_ended.h"
#include "kam_env.h"
#include "kam_event.h"
#include "kam_hold.h"
#include "kam_limit.h"
#include "kam_media.h"
#include "kam_modules.h"
#include "kam_node.h"
#include "kam_pace.h"
#include "kam_pending.h"
#include "kam_proxy.h"
#include "kam_pv.h"
#include "kam_quiet.h"
#include "kam_reader.h"
#include "kam_reply.h"
#include "kam_revoke.h"
#include "kam_ring_again.h"
#include "kam_ring_wait.h"
#include "kam_ringing.h"
#include "kam_rpc.h"
#include "kam_script.h"
#include "kam_stat.h"
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
		.answer_wait = 30,
		.leaving_after = 15,
		.media_server = "",
		.drain_time = 20,
};
struct tm_binds kam_tm;
struct rr_binds kam_rr;
sl_api_t kam_sl;

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
	{"resumes_max", PARAM_INT, &kam_config.resumes_max},
	{"answer_wait", PARAM_INT, &kam_config.answer_wait},
	{"session_id", PARAM_INT, &kam_config.session_id},
	{"quiet", PARAM_INT, &kam_config.quiet},
	{"abandoned_after", PARAM_INT, &kam_config.abandoned_after},
	{"leaving_after", PARAM_INT, &kam_config.leaving_after},
	{"media_server", PARAM_STRING, &kam_config.media_server},
	{"node", PARAM_INT, &kam_config.node},
	{"node_socket", PARAM_STRING, &kam_config.node_socket},
	{"drain_time", PARAM_INT, &kam_config.drain_time},
	{"trusted_proxy", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_proxy_param},
	{"first_hop", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_first_hop_param},
	{"denied_media", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_media_param},
	{"trunk_address", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_trunk_param},
	{"trunk_uri", PARAM_STRING | PARAM_USE_FUNC, (void *)kam_trunk_uri_param},
	{0, 0, 0}
};

static pv_export_t pvs[] = {
	{{"resume", sizeof("resume") - 1}, PVT_OTHER, kam_pv_get, 0,
		kam_pv_parse_name, 0, 0, 0},
	{{0, 0}, 0, 0, 0, 0, 0, 0, 0}
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
	if(kam_node_init() < 0 || kam_modules_init() < 0 || kam_ended_init() < 0
			|| kam_ringing_init() < 0 || kam_alone_init() < 0
			|| kam_ring_again_init() < 0 || kam_ring_wait_init() < 0
			|| kam_binding_init() < 0 || kam_pace_init() < 0
			|| kam_quiet_init() < 0 || kam_unheard_init() < 0
			|| kam_pending_init() < 0)
		return -1;
	if(kam_away_init() < 0 || kam_reply_init() < 0 || keep_threads_apart() < 0
			|| kam_connect_init() < 0 || kam_abandoned_init() < 0
			|| kam_drain_init() < 0 || kam_hold_init() < 0)
		return -1;
	return kam_connection_init() < 0 ? -1 : kam_edge_init();
}

/* htable makes its tables in its mod_init, which may come after ours. */
static int child_init(int rank)
{
	kam_edge_child(rank);
	kam_connect_child(rank);
	kam_reader_child(rank);
	if(rank == PROC_MAIN)
		return kam_limit_start() < 0 || kam_unheard_start() < 0
				? -1
				: kam_abandoned_start();
	return rank == PROC_INIT ? kam_revoke_check() : 0;
}

static void mod_destroy(void)
{
	kam_unheard_destroy();
	kam_hold_destroy();
	kam_drain_destroy();
	kam_abandoned_destroy();
	kam_ring_again_destroy();
	kam_ringing_destroy();
	kam_pace_destroy();
	kam_alone_destroy();
	kam_ended_destroy();
	kam_node_destroy();
	kam_pending_destroy();
	kam_env_destroy();
}

/* clang-format off */
struct module_exports exports = {
	"call_resume",   /* module name */
	DEFAULT_DLFLAGS, /* dlopen flags */
	kam_script_cmds, /* exported functions */
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
	sr_kemi_modules_add(kam_script_kemi);
	return kam_edge_register();
}
