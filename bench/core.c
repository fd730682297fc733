/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the operations of the core cost, next to the bare OpenSSL calls that do
 * the same cryptography. Prints "name<TAB>nanoseconds", best of many batches:
 * nothing but the machine's noise is ever added to the best.
 *
 * usage: core [MILLISECONDS for each operation [NAME]]
 *        core -n TIMES NAME     so many times, and nothing is measured
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bare.h"
#include "base.h"
#include "edge.h"
#include "jwe.h"
#include "map.h"
#include "screen.h"
#include "seal.h"
#include "sealed.h"
#include "splice.h"
#include "token.h"

#define NOW INT64_C(1750000000)
#define OUT_MAX 16384

#define SUB "sip:alice@example.org"
#define SID "Zk3fJ0pQ7xYd2mRt9sLwUA"
#define CALL_ID_O "q8fk2n6xv3b1042-17871"
#define CALL_ID_N "r7c0m4t9w1z1042-17872"
#define TAG_O "c17871x104"
#define TAG_N "n17871x104"
#define TAG_PEER "p17866x104"

#define SDP                                                                    \
	"v=0\r\n"                                                                  \
	"o=- 3948988145 1 IN IP4 192.0.2.20\r\n"                                   \
	"s=-\r\n"                                                                  \
	"c=IN IP4 192.0.2.20\r\n"                                                  \
	"t=0 0\r\n"                                                                \
	"m=audio 40000 RTP/AVP 8 0 101\r\n"                                        \
	"a=rtpmap:8 PCMA/8000\r\n"                                                 \
	"a=rtpmap:0 PCMU/8000\r\n"                                                 \
	"a=rtpmap:101 telephone-event/8000\r\n"                                    \
	"a=sendrecv\r\n"

static cr_crypto_t *crypto;
static cr_ring_t ring;
static cr_work_t work;
static cr_env_t env;
static cr_state_t state;
static uint8_t client_key[CR_KEY_LEN];
static const uint8_t nonce[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static char out[OUT_MAX];
static uint8_t mem[OUT_MAX];

/* A text that an operation reads. */
typedef struct text
{
	char s[OUT_MAX];
	int len;
} text_t;

static text_t token, json, jwe, map_text, ref_text;
static text_t answer, answer_sealed, plain, resume_invite, reinvite, reply_o,
		reply_n, bye_n, reply_sealed, forged;

static cr_span_t span(const text_t *t)
{
	return (cr_span_t){t->s, (size_t)t->len};
}

static void die(const char *what, int err)
{
	fprintf(stderr, "core: %s: %s\n", what, cr_strerror(err));
	exit(1);
}

static void check(const char *what, int err)
{
	if(err < 0)
		die(what, err);
}

/* ---- the operations: 1 when done right --------------------------------------- */

/* The same cryptography on as many bytes, without anything else. */

#define AAD_LEN (1 + 2 + sizeof(CALL_ID_O) - 1 + 2 + sizeof(TAG_O) - 1)
#define KEY_INFO_LEN (sizeof("client key") + sizeof("k1") + 4 + sizeof(SID SUB))
#define SIGN_HEAD_LEN (4 + sizeof(SID SUB) - 1)
#define JWE_HEADER_LEN                                                         \
	CR_B64_LEN(sizeof("{'alg':'dir','enc':'A256GCM','kid':'k1'}") - 1)

static size_t map_len(void)
{
	return (size_t)map_text.len * 5 / 8 - CR_BOX_OVERHEAD;
}

static size_t signed_part(const char *jwt)
{
	return (size_t)(strrchr(jwt, '.') - jwt);
}

static int bare_token(void)
{
	return bare_hmac(signed_part(token.s));
}

static int bare_client_key(void)
{
	return bare_hmac(KEY_INFO_LEN);
}

static int bare_state_seal(void)
{
	return bare_hmac(KEY_INFO_LEN)
			&& bare_hmac(SIGN_HEAD_LEN + (size_t)json.len)
			&& bare_gcm_seal(JWE_HEADER_LEN, (size_t)json.len);
}

static int bare_state_open(void)
{
	return bare_hmac(KEY_INFO_LEN)
			&& bare_gcm_open(JWE_HEADER_LEN, (size_t)json.len)
			&& bare_hmac(SIGN_HEAD_LEN + (size_t)json.len);
}

static int bare_map_seal(void)
{
	return bare_hmac(AAD_LEN + map_len()) && bare_gcm_seal(AAD_LEN, map_len());
}

static int bare_map_open(void)
{
	return bare_gcm_open(AAD_LEN, map_len());
}

static uint8_t bare_cipher[OUT_MAX], bare_tag[16];

static int gcm_seal(void)
{
	return cr_gcm_seal(crypto, bare_cipher, bare_tag, client_key, nonce,
				   CR_SPAN(""), json.s, (size_t)json.len)
			== CR_OK;
}

static int gcm_open(void)
{
	return cr_gcm_open(crypto, mem, client_key, nonce, CR_SPAN(""), bare_cipher,
				   (size_t)json.len, bare_tag)
			== CR_OK;
}

static int hmac(void)
{
	cr_span_t part = {token.s, 200};

	return cr_hmac(crypto, mem, ring.keys[0].token, CR_KEY_LEN, &part, 1)
			== CR_OK;
}

static int sha256(void)
{
	return cr_sha256(crypto, mem, json.s, 64) == CR_OK;
}

static int random_nonce(void)
{
	return cr_random(mem, 12) == CR_OK;
}

static int b64_encode(void)
{
	return cr_b64_encode(out, sizeof(out), json.s, (size_t)json.len) > 0;
}

static int b64_decode(void)
{
	cr_span_t text = {out, CR_B64_LEN((size_t)json.len)};

	return cr_b64_decode(mem, sizeof(mem), text) == json.len;
}

static int token_verify(void)
{
	static cr_token_t t;

	return cr_token_verify(&t, crypto, &ring, span(&token), NOW, 60) == CR_OK;
}

/* The tokens and keys of tests/vectors/issuer.json. */
static const char eddsa[]
		= "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkMjU1MTktMSIsInR5cCI6IkpXVCJ9.eyJ"
		  "pc3MiOiJodHRwczovL3BvcnRhbC5leGFtcGxlLm9yZyIsImF1ZCI6ImNhbGwtZ2F"
		  "0ZXdheSIsInN1YiI6InNpcDphbGljZUBleGFtcGxlLmNvbSIsInNpZCI6InMtMSI"
		  "sImlhdCI6MTc1MDAwMDAwMCwiZXhwIjoxNzUwMDAzNjAwLCJqdGkiOiJhMSJ9.BP"
		  "QnpbT31kdAUriEY6sKh2QZKCbuWbH7edJR9pzKEp9vIJZR6SkDtQcoLQV2ozFplE"
		  "c6BE44tjm5cbOH8bhkCw";
static const char es256[]
		= "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYtMSIsInR5cCI6IkpXVCJ9.eyJpc3M"
		  "iOiJodHRwczovL3BvcnRhbC5leGFtcGxlLm9yZyIsImF1ZCI6ImNhbGwtZ2F0ZXd"
		  "heSIsInN1YiI6InNpcDphbGljZUBleGFtcGxlLmNvbSIsInNpZCI6InMtMSIsIml"
		  "hdCI6MTc1MDAwMDAwMCwiZXhwIjoxNzUwMDAzNjAwLCJqdGkiOiJhMSJ9.4YZ3vl"
		  "QTFcQY6Aibp3sHg6b8FCHIK8RhCfcJAbgd0P9qQjs5yEqW3x3Rs5YuC4btVU3jbZ"
		  "KEYQN7TGUVZPco0Q";
static const char public_keys[]
		= "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
		  "\"11qYAYKxCrfVS_7TyWQHO"
		  "g7hcvPapiMlrwIaaPcHURo\",\"kid\":\"ed25519-1\"},{\"kty\":\"EC\","
		  "\"crv\":\"P-"
		  "256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
		  "\"x_FE"
		  "zRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"p256-1\"}]}";

static int bare_eddsa(void)
{
	return bare_ed25519(signed_part(eddsa));
}

static int bare_ecdsa(void)
{
	return bare_es256(signed_part(es256));
}

static int issuer_token(const char *jwt)
{
	static cr_token_t t;

	return cr_token_accept(&t, &env, cr_span_str(jwt), 60) == CR_OK;
}

static int eddsa_token(void)
{
	return issuer_token(eddsa);
}

static int es256_token(void)
{
	return issuer_token(es256);
}

static int make_client_key(void)
{
	return cr_client_key(mem, crypto, &ring.keys[0], CR_SPAN(SUB), CR_SPAN(SID))
			== CR_OK;
}

static int state_encode(void)
{
	return cr_state_encode(out, sizeof(out), &state) > 0;
}

static int state_decode(void)
{
	static cr_state_t st;

	return cr_state_decode(&st, (char *)mem, sizeof(mem), span(&json)) == CR_OK;
}

static int jwe_seal(void)
{
	return cr_jwe_seal(out, sizeof(out), crypto, CR_SPAN("k1"), client_key,
				   nonce, span(&json))
			== jwe.len;
}

static int jwe_kid(void)
{
	static char kid[CR_KID_MAX + 1];

	return cr_jwe_kid(kid, span(&jwe)) == CR_OK;
}

static int jwe_open(void)
{
	return cr_jwe_open((char *)mem, sizeof(mem), crypto, client_key, span(&jwe))
			== json.len;
}

static int sealed_make(void)
{
	return cr_sealed_make(out, sizeof(out), &env, &ring.keys[0], CR_SPAN(SUB),
				   CR_SPAN(SID), &state)
			== jwe.len;
}

static int sealed_open(void)
{
	static cr_state_t st;

	return cr_sealed_open(&st, (char *)mem, &env, CR_SPAN(SUB), CR_SPAN(SID),
				   span(&jwe))
			== CR_OK;
}

/* What cr_sealed_open() does in front of the JSON: to take that away from the whole would be the
 * small difference of two large numbers. */
static int open_signed(void)
{
	uint8_t key[CR_KEY_LEN];
	cr_span_t parts[] = {{SID SUB "....", SIGN_HEAD_LEN}, {out, 0}};
	int n;

	if(!jwe_kid()
			|| cr_client_key(
					   key, crypto, &ring.keys[0], CR_SPAN(SUB), CR_SPAN(SID))
					!= CR_OK)
		return 0;
	n = cr_jwe_open(out, sizeof(out), crypto, key, span(&jwe));
	cr_wipe(key, sizeof(key));
	parts[1].len = n > 0 ? (size_t)n : 0;
	return n == json.len
			&& cr_hmac(crypto, mem, ring.keys[0].state, CR_KEY_LEN, parts, 2)
			== CR_OK;
}

static const cr_dialog_id_t here = {CR_SPAN(CALL_ID_O), CR_SPAN(TAG_O)};

static int map_seal(void)
{
	const cr_map_t map = {.cseq_offset = 1001,
			.exp = NOW + 3600,
			.other = {CR_SPAN(CALL_ID_N), CR_SPAN(TAG_N)}};

	map_text.len = cr_map_seal(map_text.s, sizeof(map_text.s), crypto,
			&ring.keys[0], CR_PURPOSE_VIA, &here, &map);
	return map_text.len > 0;
}

static int map_open(void)
{
	const cr_key_t *key;
	cr_map_t map;

	return cr_map_open(&map, mem, &key, crypto, &ring, NOW, CR_PURPOSE_VIA,
				   &here, span(&map_text))
			== CR_OK;
}

static int ref_seal(void)
{
	cr_ref_t ref = {.start = NOW, .sub = CR_SPAN(SUB), .sid = CR_SPAN(SID)};

	memcpy(ref.hint, ring.keys[0].hint, sizeof(ref.hint));
	ref_text.len = cr_ref_seal(ref_text.s, sizeof(ref_text.s), crypto,
			&ring.keys[0], CR_PURPOSE_CALLER, CR_SPAN(CALL_ID_O), &ref);
	return ref_text.len > 0;
}

static int ref_open(void)
{
	cr_ref_t ref;

	return cr_ref_open(&ref, mem, crypto, &ring, NOW, CR_PURPOSE_CALLER,
				   CR_SPAN(CALL_ID_O), span(&ref_text))
			== CR_OK;
}

static int session_id(void)
{
	static char id[CR_SESSION_ID_LEN + 1];

	return cr_session_id(id, crypto, CR_SPAN(CALL_ID_O), CR_SPAN(TAG_O))
			== CR_OK;
}

static int sip_parse(void)
{
	return cr_sip_parse(&work.msg, span(&answer)) == CR_OK;
}

static int not_concerned(void)
{
	return !cr_screen_concerned(span(&plain));
}

static int edge(cr_edge_t (*way)(char *, size_t, const cr_env_t *, cr_span_t),
		const text_t *in, text_t *to)
{
	cr_edge_t r = way(out, sizeof(out), &env, span(in));

	if(r.verdict != CR_CHANGED || r.refused != CR_OK)
		return 0;
	if(to != NULL && to->len == 0) {
		memcpy(to->s, out, r.len);
		to->len = (int)r.len;
	}
	return 1;
}

static int edge_out_seal(void)
{
	return edge(cr_edge_out, &answer, &answer_sealed);
}

static int splice_resume(void)
{
	reinvite.len = cr_splice_resume(reinvite.s, sizeof(reinvite.s), &env,
			&state, CR_SPAN(""), span(&resume_invite));
	return reinvite.len > 0;
}

static int edge_out_reply(void)
{
	return edge(cr_edge_out, &reply_o, &reply_n);
}

/* Of a socket that nobody asks for: the message has a Route. */
static cr_edge_t in(
		char *out, size_t out_max, const cr_env_t *e, cr_span_t text)
{
	return cr_edge_in(out, out_max, e, text, CR_SPAN(""));
}

static int edge_in_request(void)
{
	return edge(in, &bye_n, NULL);
}

/* What the core does for a call that is sealed: token, reference, state. */
static int sealed_call(void)
{
	return token_verify() && ref_seal() && edge_out_seal();
}

/* And for a resume: token, state opened, re-INVITE, its answer in the dialog of the client with a
 * fresh state. */
static int whole_resume(void)
{
	return token_verify() && sealed_open() && splice_resume()
			&& edge(cr_edge_out, &reply_sealed, NULL);
}

/* And for one with a state of somebody else's making. */
static int forged_resume(void)
{
	static cr_state_t st;

	return token_verify()
			&& cr_sealed_open(&st, (char *)mem, &env, CR_SPAN(SUB),
					   CR_SPAN(SID), span(&forged))
			== CR_EFORGED;
}

/* ---- what they work on ---------------------------------------------------------- */

static void set(text_t *t, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

static void set(text_t *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	t->len = vsnprintf(t->s, sizeof(t->s), format, ap);
	va_end(ap);
	if(t->len < 0 || t->len >= (int)sizeof(t->s))
		die("a sample is too long", CR_ETOOBIG);
}

static void set_up_keys(void)
{
	static const char text[]
			= "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
			  "k2 ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\n";
	char why[CR_WHY_MAX];
	cr_token_t t = {.sub = SUB, .sid = SID};

	crypto = cr_crypto_new();
	if(crypto == NULL || !bare_setup())
		die("OpenSSL", CR_EINTERNAL);
	check("ring", cr_ring_parse(&ring, why, crypto, CR_SPAN(text), NOW));
	env = (cr_env_t){.crypto = crypto,
			.ring = &ring,
			.work = &work,
			.now_ms = NOW * 1000,
			.state_ttl_s = 86400,
			.map_ttl_s = 86400,
			.order_mark = "0123456789abcdef"};
	token.len = cr_token_issue(
			token.s, sizeof(token.s), &t, crypto, &ring, NOW, 43200);
	check("token", token.len);
	check("client key",
			cr_client_key(client_key, crypto, &ring.keys[0], CR_SPAN(SUB),
					CR_SPAN(SID)));
}

static void set_up_issuer(void)
{
	static cr_trust_t trust;
	cr_issuers_t *set = &trust.set;
	char why[CR_WHY_MAX];

	check("issuer",
			cr_issuers_add(set, why,
					CR_SPAN("iss=https://portal.example.org;keys=/k;"
							"aud=call-gateway")));
	set->n_keys = cr_jwk_parse(set->keys, CR_ISSUER_KEYS_MAX, why, crypto,
			cr_span_str(public_keys));
	check("keys", set->n_keys);
	set->list[0].n = set->n_keys;
	env.trust = &trust;
}

/* A caller's state, one more proxy in the path. */
static void set_up_state(void)
{
	static text_t own_route;

	if(!ref_seal())
		die("ref", CR_EINTERNAL);
	set(&own_route,
			"sip:192.0.2.1;lr=on;ftag=" TAG_O ";" CR_REF_PARAM_CALLER "=%.*s",
			ref_text.len, ref_text.s);
	state = (cr_state_t){
			.id = "0123456789abcdef0123456789abcdef",
			.role = CR_CALLER,
			.call_id = CR_SPAN(CALL_ID_O),
			.local_uri = CR_SPAN(SUB),
			.local_tag = CR_SPAN(TAG_O),
			.remote_uri = CR_SPAN("sip:bob@example.org"),
			.remote_tag = CR_SPAN(TAG_PEER),
			.target = CR_SPAN("sip:bob@192.0.2.20:5060"),
			.routes
			= {span(&own_route), CR_SPAN("sip:192.0.2.9;lr=on;ftag=" TAG_O)},
			.n_routes = 2,
			.cseq = 2,
			.media = {{CR_SPAN("audio"), CR_SPAN("sendrecv")}},
			.n_media = 1,
			.start = NOW - 60,
			.iat = (NOW - 60) * 1000,
			.exp = NOW + 86400,
	};
	jwe.len = cr_sealed_make(jwe.s, sizeof(jwe.s), &env, &ring.keys[0],
			CR_SPAN(SUB), CR_SPAN(SID), &state);
	check("sealed state", jwe.len);
	json.len = cr_jwe_open(
			json.s, sizeof(json.s), crypto, client_key, span(&jwe));
	check("its JSON", json.len);
}

/* A 200 to the client's INVITE as it leaves, with the order to seal. */
static void set_up_answer(void)
{
	static text_t order;

	order.len = cr_seal_order(order.s, sizeof(order.s), &env,
			&(cr_order_t){.purpose = CR_PURPOSE_CALLER,
					.ref = span(&ref_text),
					.iat_ms = env.now_ms,
					.request = NULL});
	check("order", order.len);
	set(&answer,
			"SIP/2.0 200 OK\r\n"
			"Via: SIP/2.0/UDP 192.0.2.33:40123;received=192.0.2.33;"
			"branch=z9hG4bK-17871-104-0;rport=40123\r\n"
			"From: <" SUB ">;tag=" TAG_O "\r\n"
			"To: <sip:bob@example.org>;tag=" TAG_PEER "\r\n"
			"Call-ID: " CALL_ID_O "\r\n"
			"CSeq: 1 INVITE\r\n"
			"Record-Route: <%.*s>\r\n"
			"Record-Route: <%.*s>\r\n"
			"Contact: <sip:bob@192.0.2.20:5060>\r\n"
			"Content-Type: application/sdp\r\n"
			"Content-Length: %zu\r\n"
			"Call-State: %.*s\r\n"
			"\r\n%s",
			(int)state.routes[1].len, state.routes[1].s,
			(int)state.routes[0].len, state.routes[0].s, sizeof(SDP) - 1,
			order.len, order.s, SDP);
}

/* The same of a call without states. */
static void set_up_plain(void)
{
	set(&plain,
			"%.*sRecord-Route: <sip:192.0.2.1;lr=on>\r\n"
			"Contact: <sip:bob@192.0.2.20:5060>\r\n"
			"Content-Type: application/sdp\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			(int)(strstr(answer.s, "Record-Route") - answer.s), answer.s,
			sizeof(SDP) - 1, SDP);
}

/* The first value of a field of the resumed INVITE. */
static cr_span_t field(cr_hdr_t id)
{
	static cr_sip_t m;
	cr_value_iter_t it = {0};
	cr_span_t value = {"", 0};

	check("re-INVITE", cr_sip_parse(&m, span(&reinvite)));
	if(!cr_sip_next(&m, id, &it, &value))
		die("re-INVITE", CR_EMISSING);
	return value;
}

#define S(span) (int)(span).len, (span).s

static void set_up_resume(void)
{
	static const char routes[] = "<sip:192.0.2.1;lr=on>";
	static text_t order;
	static cr_sip_t n;
	cr_span_t to;

	set(&resume_invite,
			"INVITE sip:bob@example.org SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 192.0.2.33:40125;branch=z9hG4bK-17872-104-5;"
			"rport\r\n"
			"Max-Forwards: 70\r\n"
			"From: <" SUB ">;tag=" TAG_N "\r\n"
			"To: <sip:bob@example.org>\r\n"
			"Call-ID: " CALL_ID_N "\r\n"
			"CSeq: 1 INVITE\r\n"
			"Authorization: Bearer %s\r\n"
			"Call-State: %s\r\n"
			"Contact: <sip:alice@192.0.2.33:40125>\r\n"
			"Content-Type: application/sdp\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			token.s, jwe.s, sizeof(SDP) - 1, SDP);
	if(!splice_resume())
		die("resume", reinvite.len);
	set(&reply_o,
			"SIP/2.0 200 OK\r\n"
			"Via: %.*s\r\n"
			"From: %.*s\r\n"
			"To: %.*s\r\n"
			"Call-ID: " CALL_ID_O "\r\n"
			"CSeq: %.*s\r\n"
			"Record-Route: %s\r\n"
			"Contact: <sip:bob@192.0.2.20:5060>\r\n"
			"Content-Type: application/sdp\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			S(field(CR_VIA)), S(field(CR_FROM)), S(field(CR_TO)),
			S(field(CR_CSEQ)), routes, sizeof(SDP) - 1, SDP);
	if(!edge_out_reply())
		die("reply to the resume INVITE", CR_EINTERNAL);
	check("re-INVITE", cr_sip_parse(&n, span(&reinvite)));
	order.len = cr_seal_order(order.s, sizeof(order.s), &env,
			&(cr_order_t){.purpose = CR_PURPOSE_CALLER,
					.ref = span(&ref_text),
					.iat_ms = env.now_ms,
					.request = &n});
	check("order", order.len);
	set(&reply_sealed, "%.*sCall-State: %.*s\r\n%s",
			(int)(strstr(reply_o.s, "Content-Type") - reply_o.s), reply_o.s,
			order.len, order.s, strstr(reply_o.s, "Content-Type"));
	set(&forged, "%s", jwe.s);
	forged.s[forged.len - 30] ^= 3;
	check("reply in N", cr_sip_parse(&n, span(&reply_n)));
	to = cr_sip_field(&n, CR_TO)->value;
	set(&bye_n,
			"BYE sip:bob@192.0.2.20:5060 SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 192.0.2.33:40125;branch=z9hG4bK-17872-104-9;"
			"rport\r\n"
			"Max-Forwards: 70\r\n"
			"Route: %s\r\n"
			"From: <" SUB ">;tag=" TAG_N "\r\n"
			"To: %.*s\r\n"
			"Call-ID: " CALL_ID_N "\r\n"
			"CSeq: 2 BYE\r\n"
			"Content-Length: 0\r\n\r\n",
			routes, S(to));
}

/* ---- measuring -------------------------------------------------------------------- */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#define BATCH 200

__attribute__((noinline)) static void measure(
		const char *name, int (*op)(void), double budget_ns)
{
	double best = 1e18, end = now_ns() + budget_ns;

	do {
		double start = now_ns(), used;

		for(int i = 0; i < BATCH; i++)
			if(!op())
				die(name, CR_EINTERNAL);
		used = (now_ns() - start) / BATCH;
		if(used < best)
			best = used;
	} while(now_ns() < end);
	printf("%s\t%.1f\n", name, best);
}

static const struct
{
	const char *name;
	int (*op)(void);
} ops[] = {
		{"bare HS256 token", bare_token},
		{"bare EdDSA token", bare_eddsa},
		{"bare ES256 token", bare_ecdsa},
		{"bare client key", bare_client_key},
		{"bare state seal", bare_state_seal},
		{"bare state open", bare_state_open},
		{"bare map seal", bare_map_seal},
		{"bare map open", bare_map_open},
		{"cr_gcm_seal", gcm_seal},
		{"cr_gcm_open", gcm_open},
		{"cr_hmac", hmac},
		{"cr_sha256", sha256},
		{"cr_random", random_nonce},
		{"cr_b64_encode", b64_encode},
		{"cr_b64_decode", b64_decode},
		{"cr_state_encode", state_encode},
		{"cr_state_decode", state_decode},
		{"cr_client_key", make_client_key},
		{"cr_session_id", session_id},
		{"cr_jwe_seal", jwe_seal},
		{"cr_jwe_kid", jwe_kid},
		{"cr_jwe_open", jwe_open},
		{"cr_sealed_make", sealed_make},
		{"cr_sealed_open", sealed_open},
		{"a state opened up to its JSON", open_signed},
		{"cr_token_verify", token_verify},
		{"cr_token_accept, EdDSA of an issuer", eddsa_token},
		{"cr_token_accept, ES256 of an issuer", es256_token},
		{"cr_ref_seal", ref_seal},
		{"cr_ref_open", ref_open},
		{"cr_map_seal", map_seal},
		{"cr_map_open", map_open},
		{"cr_sip_parse", sip_parse},
		{"cr_screen_concerned, a message that is not", not_concerned},
		{"cr_edge_out, 200 with an order to seal", edge_out_seal},
		{"cr_splice_resume", splice_resume},
		{"cr_edge_out, 200 to a resumed client", edge_out_reply},
		{"cr_edge_in, BYE of a resumed client", edge_in_request},
		{"the core's work for a sealed call", sealed_call},
		{"the core's work for a resume", whole_resume},
		{"the core's work for a forged state", forged_resume},
};

static void repeat(const char *name, int times)
{
	for(size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if(strcmp(name, ops[i].name) != 0)
			continue;
		while(times-- > 0)
			if(!ops[i].op())
				die(name, CR_EINTERNAL);
		return;
	}
	die(name, CR_EMISSING);
}

int main(int argc, char **argv)
{
	double budget_ns = (argc > 1 ? atof(argv[1]) : 100) * 1e6;

	set_up_keys();
	set_up_issuer();
	set_up_state();
	set_up_answer();
	set_up_plain();
	set_up_resume();
	if(!gcm_seal() || !b64_encode() || !map_seal() || !edge_out_seal())
		die("set up", CR_EINTERNAL);
	if(argc == 4 && strcmp(argv[1], "-n") == 0) {
		repeat(argv[3], atoi(argv[2]));
		return 0;
	}
	printf("state JSON\t%d\n", json.len);
	printf("sealed state\t%d\n", jwe.len);
	for(size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if(argc > 2 && strcmp(argv[2], ops[i].name) != 0)
			continue;
		measure(ops[i].name, ops[i].op, budget_ns);
	}
	cr_crypto_free(crypto);
	bare_cleanup();
	return 0;
}
