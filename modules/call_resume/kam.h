/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The glue between Kamailio and the core: what its files share. They are
 * call_resume_mod.c (exports and parameters) and kam_*.c. The core, in core/, includes
 * nothing of Kamailio's.
 */
#ifndef CR_KAM_H
#define CR_KAM_H

#include "../../core/sr_module.h"
#include "../../core/parser/msg_parser.h"
#include "../../core/pvar.h"
#include "../../core/rpc.h"
#include "../../modules/rr/api.h"
#include "../../modules/sl/sl.h"
#include "../../modules/tm/tm_load.h"

#include "core/env.h"
#include "core/ref.h"
#include "core/token.h"
#include "core/turn.h"

/* ---- module parameters (call_resume_mod.c) -------------------------------- */

typedef struct kam_config
{
	char *key_ring;         /* path */
	cr_issuers_t issuers;   /* without their keys */
	int token_lifetime;     /* s */
	int state_lifetime;     /* s */
	int map_lifetime;       /* s */
	int clock_skew;         /* s */
	int allow_insecure;     /* 1: tokens and keys on any transport */
	char *authz_server;     /* of the challenge; empty: none */
	char *scope;            /* likewise */
	char *turn_secret_file; /* path; NULL: no TURN credentials */
	int turn_lifetime;      /* s */
	int unproved_max;       /* connections of one address; 0: no limit */
	int unproved_time;      /* s */
	int proved_max;         /* connections of one user; 0: no limit */
	char *revoked_htable;   /* a table of htable; unset: no revocation */
	char *event_callback;   /* KEMI function for what are event routes */
	int bind_fingerprint;   /* a kam_bind_t */
	int ref_lifetime;       /* s, of what proves a call in a request */
	int log_damaged;        /* 0: nothing is logged about a damaged message */
	int connect_back;       /* 0: no connection is opened but by a script */
	int manage;             /* 1: does by itself what a script would have to */
	int push;               /* 1: a client that answers gets its full state */
	char *location;         /* usrloc's table of bindings */
	int ring_wait;          /* ms; 0: no call waits for who is called */
	int session_id;         /* 1: Session-ID is put where there is none */
} kam_config_t;

/* Whether states are bound to the certificate of their client. */
typedef enum kam_bind
{
	KAM_BIND_OFF,
	KAM_BIND_WANTED, /* where the client asks for it */
	KAM_BIND_NEEDED, /* a state that is not bound is refused */
	KAM_BIND_N,
} kam_bind_t;

#define KAM_LIFETIME_MAX (366 * 86400) /* s */

extern kam_config_t kam_config;
extern struct tm_binds kam_tm;
extern struct rr_binds kam_rr;
extern sl_api_t kam_sl;

static inline cr_span_t kam_span(str s)
{
	return (cr_span_t){s.s, s.s != NULL && s.len > 0 ? (size_t)s.len : 0};
}

static inline str kam_str(cr_span_t s)
{
	return (str){(char *)s.s, (int)s.len};
}

/* ---- keys and clock (kam_env.c) ------------------------------------------- */

/** Read the key ring, the issuers' keys, and the TURN secret if there is one, into
 * shared memory. @return 0, or -1 and it is logged */
int kam_env_init(void);
void kam_env_destroy(void);

/**
 * Read the files again, for every process: all of them or none.
 * @param why  CR_WHY_MAX bytes, filled on failure
 * @return 0, or -1: the old keys stay in use
 */
int kam_env_reload(char *why);

/**
 * Put a new key in front of the others into the key ring file, and read it.
 * @param kid    CR_KID_MAX + 1 bytes, receives the new key's
 * @param why    CR_WHY_MAX bytes, filled on failure
 * @param old_s  for how long the other keys stay usable, seconds
 * @return 0, or -1: file and ring are as they were
 */
int kam_env_rotate(char *kid, char *why, int old_s);

/** This process' environment with the newest ring and the time; NULL, logged,
 * when OpenSSL fails. */
const cr_env_t *kam_env(void);

/** The newest TURN secret, as it was at the last kam_env(). */
const cr_turn_secret_t *kam_turn_secret(void);

/* ---- statistics (kam_stat.c) ---------------------------------------------- */

typedef enum kam_stat
{
	KAM_TOKENS_ISSUED,
	KAM_TOKENS_ACCEPTED,
	KAM_TOKENS_MISSING,
	KAM_TOKENS_MALFORMED,
	KAM_TOKENS_FORGED,
	KAM_TOKENS_EXPIRED,
	KAM_TOKENS_NOT_YET,
	KAM_TOKENS_INSECURE,
	KAM_TOKENS_UNKNOWN_ISSUER,
	KAM_TOKENS_WRONG_AUDIENCE,
	KAM_TOKENS_REVOKED,
	KAM_KEYS_GIVEN,
	KAM_KEYS_INSECURE,
	KAM_KEYS_RETIRED,
	KAM_TURN_ISSUED,
	KAM_STATES_SEALED,
	KAM_SEALS_FAILED,
	KAM_STATES_PUSHED,
	KAM_STATES_OPENED,
	KAM_STATES_MALFORMED,
	KAM_STATES_TOO_BIG,
	KAM_STATES_DUPLICATE,
	KAM_STATES_NOT_YOURS,
	KAM_STATES_EXPIRED,
	KAM_FINGERPRINTS_REFUSED,
	KAM_DIALOGS_RESUMED,
	KAM_RESUMES_REFUSED,
	KAM_RESUMES_ANSWERED,
	KAM_RESUMES_FAILED,
	KAM_RESUMES_LATE,
	KAM_AWAY_SECONDS,
	KAM_ENDED_AWAY,
	KAM_SPLICED_IN,
	KAM_SPLICED_OUT,
	KAM_MAPS_MALFORMED,
	KAM_MAPS_FORGED,
	KAM_MAPS_EXPIRED,
	KAM_MAPS_MISPLACED,
	KAM_SPLICES_FAILED,
	KAM_MESSAGES_DROPPED,
	KAM_HEADS_MALFORMED,
	KAM_REPLIES_REFUSED,
	KAM_UNPROVED_CLOSED,
	KAM_PROVED_CLOSED,
	KAM_RELOADS,
	KAM_ROTATIONS,
	KAM_REVOCATIONS,
	KAM_STAT_N,
} kam_stat_t;

int kam_stat_init(void);
void kam_count(kam_stat_t stat);
void kam_count_many(kam_stat_t stat, int n);
unsigned long kam_stat_value(kam_stat_t stat);
const char *kam_stat_name(kam_stat_t stat);

/* ---- the web session (kam_session.c) -------------------------------------- */

/* What is known about the message at hand. */
typedef struct kam_session
{
	int authenticated; /* by resume_auth() or resume_session() */
	int error;         /* else why not, cr_err_t or KAM_EINSECURE */
	cr_token_t token;
	char issued[CR_TOKEN_MAX + 1]; /* by resume_issue() */
	cr_turn_t turn;                /* by resume_turn() */
	int turn_ttl;                  /* s */
} kam_session_t;

/* Beside cr_err_t: a token or key on a transport that shows it. */
#define KAM_EINSECURE (-19)
/* A good token that has been revoked, or its session or user. */
#define KAM_EREVOKED (-20)

/** 1 in request_route, where the message is the one that was received. */
int kam_is_request_route(void);

/* Which message something is known about. */
typedef struct kam_message
{
	unsigned id;
	int pid;
	const char *buf;
} kam_message_t;

/** 1 when msg is not the one that last is, or this is no request_route: what was known
 * about that one is to be forgotten. last is msg then. */
int kam_is_other_message(kam_message_t *last, const struct sip_msg *msg);

/**
 * How many header fields of that name there are, which Kamailio does not know.
 * @param value  receives that of the last one, without blanks around it
 * @return -1 when the message cannot be parsed
 */
int kam_find_headers(
		struct sip_msg *msg, cr_span_t name, cr_span_t *value) CR_MUST_CHECK;

/** Put a whole header field, its line end included, behind those that have been parsed;
 * text is copied. @return 0 or -1 */
int kam_add_header(struct sip_msg *msg, cr_span_t text);

/** Take off every header field of that name. @return 0 or -1 */
int kam_remove_headers(struct sip_msg *msg, cr_span_t name);

/** 1 when nobody can have read the message on its way to us. */
int kam_is_secure(const struct sip_msg *msg);

/** The session of the message, never NULL; empty for a new message and outside
 * of request_route. */
kam_session_t *kam_session(struct sip_msg *msg);

/* The script's functions (README.md), for KEMI as for the native script: 1, or
 * negative as listed there; 0 ends the script. */
int ki_resume_issue(struct sip_msg *msg, str *sub);
int ki_resume_issue_sid(struct sip_msg *msg, str *sub, str *sid);
int ki_resume_auth(struct sip_msg *msg);
int ki_resume_is_sender(struct sip_msg *msg);
int ki_resume_session(struct sip_msg *msg, str *sub, str *sid);
int ki_resume_session_named(struct sip_msg *msg, str *sub);
int ki_resume_challenge(struct sip_msg *msg, str *realm);
int ki_resume_key(struct sip_msg *msg);
int ki_resume_hide_token(struct sip_msg *msg);
int ki_resume_turn(struct sip_msg *msg, str *sub);

/** A word for an error of resume_auth(). */
const char *kam_auth_word(int err);

/* ---- the call state (kam_seal.c, kam_resume.c) ----------------------------- */

/* What resume_open() or resume_dialog() made of the message's Call-State. */
typedef struct kam_opened
{
	int open;           /* state holds something */
	int known;          /* so it does, or is expired, or was refused after */
	int code;           /* status code to refuse with, 0: none */
	const char *reason; /* its reason phrase */
	cr_state_t state;
	char own_tag[256];              /* what the tag parameter said */
	char client_call_id[256];       /* of the INVITE that resumed; or empty */
	char mem[2][CR_STATE_JSON_MAX]; /* strings of the state and its update */
} kam_opened_t;

/** As kam_session(). */
kam_opened_t *kam_opened(struct sip_msg *msg);

int ki_resume_seal(struct sip_msg *msg);
int ki_resume_seal_session(struct sip_msg *msg, str *sub, str *sid, str *kid);
int ki_resume_seal_bound(
		struct sip_msg *msg, str *sub, str *sid, str *kid, str *fingerprint);

/** Open the session reference of one side, in the Route that brought the request
 * here; after loose_route(). Its strings are good until the next call of the core.
 * @return CR_OK, CR_EMISSING or an error of cr_ref_open() */
int kam_open_route_ref(
		cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose) CR_MUST_CHECK;

/** 1 when the receiver of a request in a dialog is a client that can resume; after
 * loose_route(). */
int kam_is_to_client(struct sip_msg *msg);

/** 1 when its sender is one; after loose_route(). */
int kam_is_by_client(struct sip_msg *msg);

/** 1 when a request in a dialog is of the side that began it, by the ftag that rr has
 * written into our Route (its parameter append_fromtag), or where there is none; 0 when it
 * is of the other side. */
int kam_is_from_caller(struct sip_msg *msg);

/** Have the client's route set, and a remote target where the far end names none,
 * written into the replies of a resume INVITE.
 * @return 0, or -1 and it is logged */
int kam_watch_resumed(struct sip_msg *msg);

int ki_resume_push(struct sip_msg *msg); /* kam_push.c */

int ki_resume_open(struct sip_msg *msg);
int ki_resume_dialog(struct sip_msg *msg);
int ki_resume_again(struct sip_msg *msg);

/** The address of record of the other end of the call whose state has been opened,
 * where that was a client of a gateway of this key ring; empty where it was not. Good
 * until the next call of the core. */
cr_span_t kam_opened_callee(struct sip_msg *msg);

/** What a request asks for: "resume", an INVITE that brings a state; "again", the same of
 * a caller whose other end has lost the call too; "moved", a BYE by which a session of the
 * client leaves its call to another one; "stale", in a dialog by a name of ours that does
 * not open any more; or "none". */
const char *kam_asks(struct sip_msg *msg);

/** 1 when tm has a transaction for the message at hand. */
int kam_has_transaction(void);

/* ---- clients that are called (kam_binding.c) ---------------------------------- */

/** Watches the script. @return 0, or -1 and it is logged */
int kam_binding_init(void);

int ki_resume_register(struct sip_msg *msg);
int ki_resume_call(struct sip_msg *msg);

/** 1 for a Contact and the Request-URI that lookup() makes of it: nathelper's alias, if it
 * has one, may have become the next hop by now. */
int kam_is_same_contact(cr_span_t contact, cr_span_t uri);

/* ---- clients that are lost while they ring (kam_ring_again.c) ------------------- */

/** Before the fork. @return 0, also where there is no registrar, or -1 */
int kam_ring_again_init(void);
void kam_ring_again_destroy(void);

/** A call of which a branch goes to a client of that user. */
void kam_ring_again_note(struct cell *t, const str *user);

/** End the branches of a call whose client was reached over a connection that is gone:
 * what the other ones say is all that there will be.
 * @return how many have no final answer yet */
int kam_ring_again_end_gone(struct cell *t);

/** 1 for a branch to a client whose connection is there no more. */
int kam_ring_again_is_gone(const struct ua_client *uac);

/** A client has registered: what rings at its user rings there too.
 * @param user     an address of record
 * @param contact  the URI of the client's */
void kam_ring_again(str *user, const str *contact);

/* ---- clients that are not there yet when they are called (kam_ring_wait.c) ------- */

/** Checks ring_wait. @return 0, or -1 and it is logged */
int kam_ring_wait_init(void);

/** 1 when the user that the Request-URI names had a client whose connection has just gone. */
int kam_has_left(struct sip_msg *msg);

int ki_resume_wait(struct sip_msg *msg);

/* ---- clients that are away (kam_away.c) ---------------------------------------- */

int kam_away_init(void);

/** See to it that a call in the place of one that both ends have lost is tried once more
 * when the other end is not back yet. @return 0, or -1 and it is logged */
int kam_away_watch_again(struct sip_msg *msg);

int ki_resume_within_dialog(struct sip_msg *msg);

/** As kam_is_to_client(), which need not be asked twice for a message. */
int kam_goes_to_client(struct sip_msg *msg);

int ki_resume_away(struct sip_msg *msg);

/* ---- replies, in front of the script (kam_reply.c) ------------------------------ */

int kam_reply_init(void);

/* ---- who is believed (kam_trust.c) ------------------------------------------- */

/** Open the session reference of one side: in a request as kam_open_route_ref(), in
 * a reply that of the Record-Route.
 * @return as kam_open_route_ref(), or CR_EEXPIRED: the call began longer ago than
 *         ref_lifetime */
int kam_open_ref(
		cr_ref_t *ref, struct sip_msg *msg, cr_purpose_t purpose) CR_MUST_CHECK;

/** 1 when a message proves that it is of a call of ours: it came in translated, or
 * brought back a session reference of this call, of either side. A request in
 * request_route, after loose_route(); or a reply. */
int kam_in_call(struct sip_msg *msg);

/** 1 for a reply of the far end to a client that has resumed: it brings back the map
 * that we had put on the client's Via. */
int kam_is_mapped_reply(struct sip_msg *msg);

/** 1 for a request for which kam_in_call() is 1, and whose call is of no session that
 * has been revoked; BYE, ACK and OPTIONS without a body may be of one. */
int kam_is_known(struct sip_msg *msg);

/** 1 for a reply to the request of a transaction, or a CANCEL of it, that has its Call-ID and
 * tags, as it has to (RFC 3261 sections 8.2.6.2 and 9.1). */
int kam_has_names_of(struct sip_msg *msg, const struct cell *t);

int ki_resume_check_head(struct sip_msg *msg);
int ki_resume_check_reply(struct sip_msg *msg);

/* ---- the client's certificate (kam_fingerprint.c) --------------------------- */

/** What the request names in Call-State-Fingerprint.
 * @return CR_OK, CR_EMISSING, CR_EDUPLICATE or an error of cr_fp_parse() */
int kam_fp_named(cr_fp_t *fp, struct sip_msg *msg) CR_MUST_CHECK;

/** 1 for a message with a body: after its empty line comes something. */
int kam_has_body(struct sip_msg *msg);

/** What the description that the message brings needs. @return as cr_fp_of_sdp() */
int kam_fp_offered(cr_fp_t *fp, struct sip_msg *msg) CR_MUST_CHECK;

/** The answer to this request, of this branch in a branch_route, has to be of that
 * certificate; nothing when fp is not known. @return 0, or -1 and it is logged */
int kam_fp_expect(const cr_fp_t *fp);

/** 1 when an offer in the message is of that certificate, or there is none. */
int kam_fp_is_offered(const cr_fp_t *fp, struct sip_msg *msg);

int ki_resume_check_media(struct sip_msg *msg);

/* ---- proxies in front of us (kam_proxy.c) ---------------------------------- */

/** The parameter trusted_proxy. @return 0, or -1 and it is logged */
int kam_proxy_param(modparam_t type, void *val);

/** 1 when that is the address of one. */
int kam_is_proxy(const struct ip_addr *ip);

/** 1 when a trusted proxy, which ended TLS, sent this over WebSocket or HTTP. */
int kam_is_behind_proxy(const struct sip_msg *msg);

/* ---- how many connections there may be (kam_limit.c) -------------------- */

#define KAM_UNPROVED_TIME_MAX 3600

/** Checks unproved_max and unproved_time. @return 0, or -1 and it is logged */
int kam_limit_init(void);

/** Forks the process that closes connections; by the main process. @return 0 or -1 */
int kam_limit_start(void);

int ki_resume_admit(struct sip_msg *msg);
int ki_resume_proved(struct sip_msg *msg);
int ki_resume_speaks_for(struct sip_msg *msg, str *address);

/* ---- no connection but by a script (kam_connect.c) ------------------------------ */

/** Watches the script, if connect_back says so. @return 0, or -1 and it is logged */
int kam_connect_init(void);
/** In each process, with the rank that Kamailio gives to it. */
void kam_connect_child(int rank);
/** Until the script runs next this process opens no connection. */
void kam_connect_off(void);

/* ---- where media go (kam_media.c) ------------------------------------------------ */

/** The parameter denied_media. @return 0, or -1 and it is logged */
int kam_media_param(modparam_t type, void *val);

/** The parameter trunk_address. As kam_media_param(). */
int kam_trunk_param(modparam_t type, void *val);

/** 1 for an address of denied_media that is not the trunk's. */
int kam_media_is_denied(const struct ip_addr *ip);

int ki_resume_check_sdp(struct sip_msg *msg);
int ki_resume_check_source(struct sip_msg *msg);
int ki_resume_has_ice(struct sip_msg *msg);
int ki_resume_suits_browser(struct sip_msg *msg);
int ki_resume_read_media(struct sip_msg *msg, str *answer);

typedef enum kam_side
{
	KAM_FROM,
	KAM_TO,
	KAM_SIDES,
} kam_side_t;

/** What resume_read_media() found the media of a side to be, for this message; empty when it
 * found nothing. */
cr_span_t kam_media_described(const struct sip_msg *msg, kam_side_t side);

/* ---- one call under a Call-ID at a time (kam_alone.c) ------------------------------- */

/** Before the fork. @return 0 or -1 */
int kam_alone_init(void);
void kam_alone_destroy(void);

int ki_resume_alone(struct sip_msg *msg);

/* ---- calls that nobody has answered (kam_ringing.c) ------------------------------- */

/** Before the fork. @return 0 or -1 */
int kam_ringing_init(void);
void kam_ringing_destroy(void);

int ki_resume_ring(struct sip_msg *msg, str *name, int most);

/* ---- which connection (kam_connection.c) ------------------------------------- */

/** When all modules are loaded. */
void kam_connection_init(void);
int ki_resume_mark_contact(struct sip_msg *msg);
int ki_resume_unmark_uri(struct sip_msg *msg);

/** 0 when the next hop of a request was reached over a connection that is gone. Relaying
 * would fail too, but only after the media server got an offer that never comes into
 * force. Somebody else may have its address and port by now: behind a web server all
 * pages share them. */
int kam_is_connected(struct sip_msg *msg);

/** 1 for a transport that has connections. @param proto  PROTO_UDP and so on */
int kam_has_connections(int proto);

/** The number that resume_unmark_uri() has taken off the Request-URI, or 0. */
int kam_connection(struct sip_msg *msg);

/* ---- the rest -------------------------------------------------------------- */

/** See HTTP requests before the modules that answer them (kam_edge.c): when this one is
 * loaded. @return 0, or -1 */
int kam_edge_register(void);
/** Watch the network. @return 0, or -1 and it is logged */
int kam_edge_init(void);
/** In each process, with the rank that Kamailio gives to it. */
void kam_edge_child(int rank);

/** The script is over for the message at hand, or will not run. */
void kam_edge_script_over(void);

/** Show the other modules that watch the network a message that has been made here, as
 * they would have seen it had it come from there: topoh takes its mask off it.
 * @param text  zero-terminated, in a buffer of BUF_SIZE bytes that they may change
 * @param rcv   where it would have come from */
void kam_edge_show(str *text, receive_info_t *rcv);

/** 1 when the message that this process received last came in as N and has been
 * translated. */
int kam_edge_spliced(void);

/** 1 when the message that this process received last reads without a complaint of any
 * parser and can be shown, see screen.h. @param msg  that message */
int kam_edge_plain(const struct sip_msg *msg);

/* $resume(name), as Kamailio wants it (kam_pv.c). */
int kam_pv_parse_name(pv_spec_t *sp, str *in);
int kam_pv_get(struct sip_msg *msg, pv_param_t *param, pv_value_t *res);

extern rpc_export_t kam_rpc_cmds[]; /* kam_rpc.c */
void kam_rpc_keys(rpc_t *rpc, void *ctx);

#endif
