/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The web session of a request: who sent it (token), and its client key.
 */
#include "kam_session.h"
#include "kam_env.h"
#include "kam_event.h"
#include "kam_known.h"
#include "kam_message.h"
#include "kam_proxy.h"
#include "kam_revoke.h"
#include "kam_rotate.h"
#include "kam_stat.h"

#include "../../core/data_lump_rpl.h"
#include "../../core/dprint.h"
#include "../../core/parser/parse_from.h"
#include "../../core/parser/parse_to.h"

#include "core/aor.h"
#include "core/base.h"
#include "core/challenge.h"
#include "core/screen.h"
#include "core/text.h"

#define BEARER "Bearer "

/* How each verdict on a token is counted, and called by $resume(error). */
static const struct
{
	int err;
	kam_stat_t stat;
	const char *word;
} verdicts[] = {
		{CR_OK, KAM_TOKENS_ACCEPTED, "none"},
		{CR_EMISSING, KAM_TOKENS_MISSING, "missing"},
		{CR_EMALFORMED, KAM_TOKENS_MALFORMED, "malformed"},
		{CR_ETOOBIG, KAM_TOKENS_MALFORMED, "malformed"},
		{CR_EUNSUPPORTED, KAM_TOKENS_MALFORMED, "malformed"},
		{CR_EFORGED, KAM_TOKENS_FORGED, "forged"},
		{CR_EKEY, KAM_TOKENS_FORGED, "unknown-key"},
		{CR_EEXPIRED, KAM_TOKENS_EXPIRED, "expired"},
		{CR_ENOTYET, KAM_TOKENS_NOT_YET, "not-yet"},
		{CR_EISSUER, KAM_TOKENS_UNKNOWN_ISSUER, "unknown-issuer"},
		{CR_EAUDIENCE, KAM_TOKENS_WRONG_AUDIENCE, "wrong-audience"},
		{CR_ENOSID, KAM_TOKENS_MALFORMED, "no-sid"},
		{KAM_EINSECURE, KAM_TOKENS_INSECURE, "insecure"},
		{KAM_EREVOKED, KAM_TOKENS_REVOKED, "revoked"},
};

#define N_VERDICTS (sizeof(verdicts) / sizeof(verdicts[0]))

const char *kam_auth_word(int err)
{
	for(size_t i = 0; i < N_VERDICTS; i++) {
		if(verdicts[i].err == err)
			return verdicts[i].word;
	}
	return "internal";
}

static void count_verdict(int err)
{
	for(size_t i = 0; i < N_VERDICTS; i++) {
		if(verdicts[i].err == err)
			kam_count(verdicts[i].stat);
	}
}

/* Bearer credentials and client keys are secrets in the clear (RFC 6750
 * section 5.3). */
int kam_is_secure(const struct sip_msg *msg)
{
	return kam_config.allow_insecure || msg->rcv.proto == PROTO_TLS
			|| msg->rcv.proto == PROTO_WSS || kam_is_behind_proxy(msg)
			|| kam_is_by_first_hop(msg);
}

/* ---- whose address ---------------------------------------------------------- */

static int is_own(const kam_session_t *s, const str *uri)
{
	return cr_aor_is(kam_span(*uri), cr_span_str(s->token.sub));
}

/* A binding is somebody's. */
static int owns_binding(const kam_session_t *s, struct sip_msg *msg)
{
	return parse_headers(msg, HDR_TO_F, 0) == 0 && msg->to != NULL
			&& is_own(s, &get_to(msg)->uri);
}

int ki_resume_is_sender(struct sip_msg *msg)
{
	const kam_session_t *s = kam_session(msg);
	const str *from;

	if(msg->first_line.type != SIP_REQUEST || !s->authenticated
			|| parse_from_header(msg) < 0)
		return -1;
	from = &get_from(msg)->uri;
	if(msg->first_line.u.request.method_value == METHOD_REGISTER)
		return is_own(s, from) && owns_binding(s, msg) ? 1 : -1;
	return is_own(s, from) || cr_aor_is_anonymous(kam_span(*from)) ? 1 : -1;
}

/* ---- issue ---------------------------------------------------------------- */

static int issue(struct sip_msg *msg, str *sub, const str *sid)
{
	kam_session_t *s = kam_session(msg);
	const cr_env_t *env = kam_env();
	char shown[CR_SUB_MAX + 1];
	cr_token_t token = {0};
	int len = CR_EMALFORMED;

	if(env == NULL)
		return -1;
	if(cr_token_name(&token, kam_span(*sub),
			   sid != NULL ? kam_span(*sid) : CR_SPAN(""))
			== CR_OK)
		len = cr_token_issue(s->issued, sizeof(s->issued), &token, env->crypto,
				env->ring, cr_now_s(env), kam_config.token_lifetime);
	if(len < 0) {
		s->issued[0] = '\0';
		cr_text_show(shown, sizeof(shown), kam_span(*sub));
		LM_ERR("no token for [%s]: %s\n", shown, cr_strerror(len));
		return -1;
	}
	kam_count(KAM_TOKENS_ISSUED);
	return 1;
}

int ki_resume_issue(struct sip_msg *msg, str *sub)
{
	return issue(msg, sub, NULL);
}

int ki_resume_issue_sid(struct sip_msg *msg, str *sub, str *sid)
{
	return issue(msg, sub, sid);
}

/* ---- authenticate ---------------------------------------------------------- */

/* The token of the first Authorization field of the Bearer scheme. */
static cr_span_t bearer_of(struct sip_msg *msg)
{
	cr_span_t scheme = CR_SPAN(BEARER), none = {NULL, 0};
	struct hdr_field *h;

	if(parse_headers(msg, HDR_EOH_F, 0) < 0)
		return none;
	for(h = msg->headers; h != NULL; h = h->next) {
		cr_span_t body = kam_span(h->body);

		if(h->type == HDR_AUTHORIZATION_T
				&& cr_span_eq_case(cr_span_sub(body, 0, scheme.len), scheme))
			return cr_span_trim(cr_span_sub(body, scheme.len, body.len));
	}
	return none;
}

static int authenticate(struct sip_msg *msg, kam_session_t *s)
{
	const cr_env_t *env = kam_env();
	cr_span_t jwt = bearer_of(msg);

	if(env == NULL)
		return CR_EINTERNAL;
	if(jwt.len == 0)
		return CR_EMISSING;
	if(!kam_is_secure(msg))
		return KAM_EINSECURE;
	return cr_token_accept(&s->token, env, jwt, kam_config.clock_skew);
}

int ki_resume_auth(struct sip_msg *msg)
{
	kam_session_t *s = kam_session(msg);

	s->error = authenticate(msg, s);
	if(s->error == CR_OK && kam_is_revoked(&s->token))
		s->error = KAM_EREVOKED;
	s->authenticated = s->error == CR_OK;
	count_verdict(s->error);
	if(s->error == CR_EKEY)
		kam_count_retired(bearer_of(msg));
	if(s->authenticated)
		return 1;
	kam_event_unauthorized(msg, s->error == KAM_EINSECURE ? 403 : 401,
			kam_auth_word(s->error));
	return s->error - 1;
}

/* Whatever the message's token said, the script has its reasons. */
int ki_resume_session(struct sip_msg *msg, str *sub, str *sid)
{
	kam_session_t *s = kam_session(msg);
	const cr_env_t *env = kam_env();

	s->error = CR_EINTERNAL;
	if(env != NULL)
		s->error = cr_token_stand_in(&s->token, env->ring, kam_span(*sub),
				kam_span(*sid), cr_now_s(env), kam_config.token_lifetime);
	if(s->error == CR_OK && kam_is_revoked(&s->token))
		s->error = KAM_EREVOKED;
	s->authenticated = s->error == CR_OK;
	if(s->authenticated)
		return 1;
	if(s->error == KAM_EREVOKED)
		kam_count(KAM_TOKENS_REVOKED);
	return s->error - 1;
}

/* The session that a client names, when it has no token that could. */
int ki_resume_session_named(struct sip_msg *msg, str *sub)
{
	cr_span_t named;
	str sid = str_init(CR_SID_DEFAULT);

	if(kam_find_headers(msg, CR_SPAN(CR_HDR_SESSION), &named) > 0)
		sid = kam_str(named);
	return ki_resume_session(msg, sub, &sid);
}

/* ---- the token is for us ------------------------------------------------------ */

static int holds(cr_span_t s, cr_span_t word)
{
	for(size_t i = 0; i + word.len <= s.len; i++) {
		if(cr_span_eq_case(cr_span_sub(s, i, word.len), word))
			return 1;
	}
	return 0;
}

/* Every field of that name goes when one of them has a token somewhere, however that is
 * written: a sender may mean it for a reader that is less strict than ours. */
static int hide_token(struct sip_msg *msg, cr_span_t name)
{
	for(struct hdr_field *h = msg->headers; h != NULL; h = h->next) {
		if(cr_span_eq_case(kam_span(h->name), name)
				&& holds(kam_span(h->body), CR_SPAN("bearer")))
			return kam_remove_headers(msg, name);
	}
	return 0;
}

int ki_resume_hide_token(struct sip_msg *msg)
{
	return parse_headers(msg, HDR_EOH_F, 0) == 0
					&& hide_token(msg, CR_SPAN("Authorization")) == 0
					&& hide_token(msg, CR_SPAN("Proxy-Authorization")) == 0
			? 1
			: -1;
}

/* ---- challenge -------------------------------------------------------------- */

int ki_resume_challenge(struct sip_msg *msg, str *realm)
{
	char mem[CR_CHALLENGE_MAX];
	str unauthorized = str_init("Unauthorized");
	str insecure = str_init("Secure Transport Required");
	int len, err = kam_session(msg)->error;
	const char *why
			= err == CR_OK || err == CR_EMISSING ? "" : kam_auth_word(err);
	const cr_challenge_t c
			= {kam_span(*realm), cr_span_str(kam_config.authz_server),
					cr_span_str(kam_config.scope), cr_span_str(why)};

	if(err == KAM_EINSECURE)
		return kam_sl.freply(msg, 403, &insecure) < 0 ? -1 : 1;
	len = cr_challenge_write(mem, sizeof(mem), &c);
	if(len < 0) {
		LM_ERR("a realm has 1 to %d visible characters without quotes\n",
				CR_CHALLENGE_TEXT_MAX);
		return -1;
	}
	if(add_lump_rpl(msg, mem, len, LUMP_RPL_HDR) == NULL)
		return -1;
	return kam_sl.freply(msg, 401, &unauthorized) < 0 ? -1 : 1;
}

/* ---- client key -------------------------------------------------------------- */

/* Call-State-Key: kid=...;key=...;exp=...
 * @param mark  in front of the value, so that the edge knows it as ours */
static int put_key(cr_writer_t *w, cr_span_t mark, const cr_env_t *env,
		const cr_token_t *token, const cr_key_t *master)
{
	uint8_t key[CR_KEY_LEN];
	char text[CR_B64_LEN(CR_KEY_LEN)];
	int err = cr_client_key(key, env->crypto, master, cr_span_str(token->sub),
			cr_span_str(token->sid));

	if(err == CR_OK) {
		cr_b64_encode(text, sizeof(text), key, sizeof(key));
		cr_put_str(w, CR_HDR_KEY ": ");
		cr_put_span(w, mark);
		cr_put_str(w, "kid=");
		cr_put_str(w, master->kid);
		cr_put_str(w, ";key=");
		cr_put_bytes(w, text, sizeof(text));
		cr_put_str(w, ";exp=");
		cr_put_uint(w, (uint64_t)token->exp);
		cr_put_str(w, "\r\n");
	}
	cr_wipe(key, sizeof(key));
	cr_wipe(text, sizeof(text));
	return err;
}

/* One for each usable key of the ring, so that the page opens what it kept from
 * before a rotation as well as what comes after. First that which its token
 * names. */
static int put_keys(cr_writer_t *w, cr_span_t mark, const cr_env_t *env,
		const cr_token_t *token)
{
	const cr_key_t *first
			= cr_ring_by_kid(env->ring, cr_span_str(token->kid), cr_now_s(env));
	int err;

	if(first == NULL)
		first = cr_ring_sealing(env->ring, cr_now_s(env));
	if(first == NULL)
		return CR_EKEY;
	err = put_key(w, mark, env, token, first);
	for(int i = 0; err == CR_OK && i < env->ring->n_keys; i++) {
		const cr_key_t *key = &env->ring->keys[i];

		if(key != first && cr_key_usable(key, cr_now_s(env)))
			err = put_key(w, mark, env, token, key);
	}
	return err == CR_OK ? cr_writer_end(w) : err;
}

int ki_resume_key(struct sip_msg *msg)
{
	kam_session_t *s = kam_session(msg);
	const cr_env_t *env = kam_env();
	char mem[CR_RING_MAX * 200], of_mark[64];
	cr_writer_t w = cr_writer(mem, sizeof(mem));
	cr_writer_t mark = cr_writer(of_mark, sizeof(of_mark));
	int ret = -1;

	if(env == NULL || !s->authenticated) {
		LM_ERR("resume_key() needs a resume_auth() or resume_session() that "
			   "was true\n");
		return -1;
	}
	if(!kam_is_secure(msg)) {
		kam_count(KAM_KEYS_INSECURE);
		return KAM_EINSECURE - 1;
	}
	/* In HTTP there is no edge. */
	if(IS_SIP(msg))
		cr_screen_mark(&mark, env);
	if(cr_writer_end(&mark) == CR_OK
			&& put_keys(&w, cr_written(&mark), env, &s->token) == CR_OK
			&& add_lump_rpl(msg, mem, (int)w.len, LUMP_RPL_HDR) != NULL) {
		kam_count(KAM_KEYS_GIVEN);
		ret = 1;
	}
	cr_wipe(mem, sizeof(mem));
	return ret;
}

/* ---- TURN ---------------------------------------------------------------------- */

int ki_resume_turn(struct sip_msg *msg, str *sub)
{
	kam_session_t *s = kam_session(msg);
	const cr_env_t *env = kam_env();
	char shown[CR_SUB_MAX + 1];
	int err = CR_EINTERNAL;

	cr_wipe(&s->turn, sizeof(s->turn));
	s->turn_ttl = kam_config.turn_lifetime;
	if(env != NULL)
		err = cr_turn_issue(&s->turn, kam_turn_secret(), kam_span(*sub),
				cr_now_s(env) + s->turn_ttl);
	if(err == CR_OK) {
		kam_count(KAM_TURN_ISSUED);
		return 1;
	}
	if(err == CR_EMISSING)
		LM_ERR("resume_turn() needs a secret: set modparam(\"call_resume\","
			   " \"turn_secret_file\", \"/path/to/file\")\n");
	else {
		cr_text_show(shown, sizeof(shown), kam_span(*sub));
		LM_ERR("no TURN credentials for [%s]: %s\n", shown, cr_strerror(err));
	}
	return err - 1;
}
