/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes the samples of this folder with the core of that version, the one in
 * node.tar.xz. It is built against that core and no other.
 *
 *	make FOLDER
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base.h"
#include "map.h"
#include "ref.h"
#include "sealed.h"
#include "token.h"
#include "turn.h"

#define NOW INT64_C(1764000000) /* 2025-11-24T16:00:00Z */
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Of its keys the first seals here, the second did, the third is retired. */
#define RING                                                                   \
	"# three keys\n"                                                           \
	"k2 ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\n"                         \
	"k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 2027-01-31T00:00:00Z\n"    \
	"k-0.old_ QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8 "                    \
	"2025-01-31T00:00:00Z\n"

#define TURN_SECRET "0123456789-secret-of-coturn"
#define ALICE "sip:alice@example.com"
#define BOB "sip:b\xc3\xb6rje@example.org"
#define URI_255                                                                \
	"sip:01234567890123456789012345678901234567890123456789012345678901234"    \
	"567890123456789012345678901234567890123456789012345678901234567890123"    \
	"456789012345678901234567890123456789012345678901234567890123456789012"    \
	"34567890123456789012345678901234567890@a.example"

static cr_crypto_t *crypto;
static cr_ring_t ring;

static void check(int ok, const char *what)
{
	if(ok)
		return;
	fprintf(stderr, "make: %s failed\n", what);
	exit(1);
}

static void save(const char *folder, const char *name, json_t *v)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.json", folder, name);
	file = fopen(path, "w");
	check(file && v && json_dumpf(v, file, JSON_INDENT(2)) == 0
					&& fputc('\n', file) == '\n' && fclose(file) == 0,
			path);
	json_decref(v);
}

static json_t *hex(const uint8_t *data, size_t len)
{
	char out[2 * 64 + 1] = "";

	check(len <= 64, "hex");
	for(size_t i = 0; i < len; i++)
		sprintf(&out[2 * i], "%02x", data[i]);
	return json_string(out);
}

static json_t *span(cr_span_t s)
{
	return json_stringn(s.s ? s.s : "", s.len);
}

static const cr_key_t *key_named(const char *kid)
{
	for(int i = 0; i < ring.n_keys; i++)
		if(strcmp(ring.keys[i].kid, kid) == 0)
			return &ring.keys[i];
	check(0, kid);
	return NULL;
}

static json_t *client_key(const char *kid, const char *sub, const char *sid)
{
	uint8_t key[CR_KEY_LEN];

	check(cr_client_key(key, crypto, key_named(kid), cr_span_str(sub),
				  cr_span_str(sid))
					== CR_OK,
			"client key");
	return hex(key, sizeof(key));
}

/* ---- tokens ------------------------------------------------------------------ */

/* As cr_token_issue() writes them, but for the randomness of sid and jti. */
static json_t *token(const char *kid, const char *sub, const char *sid,
		const char *of, int64_t exp)
{
	char text[CR_TOKEN_MAX + 1], header[128], claims[1024];
	uint8_t mac[32];
	int n;
	cr_span_t part;

	snprintf(header, sizeof(header),
			"{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
	snprintf(claims, sizeof(claims),
			"{\"sub\":\"%s\",\"sid\":\"%s\",\"iat\":%lld,\"exp\":%lld,"
			"\"jti\":\"Zm9v-mFyYmF6cXV4Zm9v_g\",\"kid\":\"%s\"}",
			sub, sid, (long long)NOW - 60, (long long)exp, of);
	n = cr_b64_encode(text, sizeof(text), header, strlen(header));
	text[n++] = '.';
	n += cr_b64_encode(
			&text[n], sizeof(text) - (size_t)n, claims, strlen(claims));
	part = (cr_span_t){text, (size_t)n};
	check(cr_hmac(crypto, mac, key_named(kid)->token, CR_KEY_LEN, &part, 1)
					== CR_OK,
			"token");
	text[n++] = '.';
	n += cr_b64_encode(&text[n], sizeof(text) - (size_t)n, mac, sizeof(mac));
	text[n] = 0;
	return json_pack("{s:s,s:s,s:s,s:I,s:s,s:o}", "sub", sub, "sid", sid, "kid",
			of, "exp", (json_int_t)exp, "jwt", text, "client_key",
			client_key(of, sub, sid));
}

static json_t *tokens(void)
{
	json_t *list = json_array();

	json_array_append_new(list, token("k2", ALICE, "s-1", "k2", NOW + 3600));
	json_array_append_new(list, token("k1", ALICE, "s-1", "k1", NOW + 1));
	/* Renewed after a rotation: another key signs, the client key stays. */
	json_array_append_new(list, token("k2", ALICE, "s-1", "k1", NOW + 86400));
	json_array_append_new(
			list, token("k2", BOB, "_.-AZaz09", "k2", NOW + 3600));
	json_array_append_new(list,
			token("k2", URI_255,
					"0123456789abcdef0123456789abcdef"
					"0123456789ABCDEF0123456789ABCDEF",
					"k2", NOW + 3600));
	return list;
}

/* ---- states ------------------------------------------------------------------ */

/* A caller's, with every member but fp. */
static cr_state_t full(void)
{
	return (cr_state_t){
			.id = "00112233445566778899aabbccddeeff",
			.role = CR_CALLER,
			.call_id = CR_SPAN("8f3a-77@[2001:db8::1]"),
			.local_uri = CR_SPAN(ALICE),
			.local_tag = CR_SPAN("a.tag-1"),
			.remote_uri = CR_SPAN("tel:+15550100"),
			.remote_tag = CR_SPAN("b~tag!2"),
			.target = CR_SPAN("sip:gw@192.0.2.7:5061;transport=tls"),
			.routes = {CR_SPAN("sip:192.0.2.1;lr;crs-a=abcd"),
					CR_SPAN("sips:[2001:db8::2]:5061;lr=on")},
			.n_routes = 2,
			.cseq = 4711,
			.media = {{CR_SPAN("audio"), CR_SPAN("sendrecv")},
					{CR_SPAN("video"), CR_SPAN("inactive")},
					{CR_SPAN("application"), CR_SPAN("recvonly")}},
			.n_media = 3,
			.start = NOW - 600,
			.iat = NOW * 1000 + 123,
			.exp = NOW + 86400,
	};
}

/* A callee's first: it has no tag yet, its CSeq and its media are not known. */
static cr_state_t first(void)
{
	cr_state_t st = full();

	st.role = CR_CALLEE;
	st.local_tag = (cr_span_t){NULL, 0};
	st.cseq = -1;
	st.n_routes = st.n_media = 0;
	return st;
}

static cr_state_t update(void)
{
	return (cr_state_t){
			.update = 1,
			.id = "00112233445566778899aabbccddeeff",
			.role = CR_CALLER,
			.call_id = CR_SPAN("8f3a-77@[2001:db8::1]"),
			.target = CR_SPAN("sip:gw@192.0.2.8"),
			.cseq = -1,
			.media = {{CR_SPAN("audio"), CR_SPAN("sendonly")}},
			.n_media = 1,
			.iat = NOW * 1000 + 60456,
			.exp = NOW + 86460,
	};
}

static cr_state_t bound(cr_state_t st)
{
	st.fp = (cr_fp_t){.known = 1, .hash = {0xf0, 0xf1, [CR_FP_LEN - 1] = 0x0f}};
	return st;
}

/* Characters that JSON writes in another way, and UTF-8. */
static cr_state_t odd(void)
{
	cr_state_t st = full();

	st.call_id = CR_SPAN("quote\"back\\slash/(a)");
	st.remote_uri = CR_SPAN(BOB);
	st.cseq = INT32_MAX;
	return st;
}

static cr_state_t longest(void)
{
	cr_state_t st = full();

	st.n_routes = CR_STATE_ROUTES_MAX;
	for(int i = 0; i < st.n_routes; i++)
		st.routes[i] = CR_SPAN("sip:proxy.example.net:5060;transport=tcp;lr");
	st.n_media = CR_STATE_MEDIA_MAX;
	for(int i = 0; i < st.n_media; i++)
		st.media[i] = (cr_media_t){CR_SPAN("text"), CR_SPAN("sendonly")};
	return st;
}

static json_t *state(const char *name, const char *kid, const char *sub,
		const char *sid, cr_state_t st)
{
	static cr_work_t work;
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.work = &work,
			.order_mark = "",
			.now_ms = NOW * 1000};
	char jwe[CR_JWE_MAX + 1], json[CR_STATE_JSON_MAX];
	int n = cr_state_encode(json, sizeof(json), &st);

	check(n > 0, name);
	check(cr_sealed_make(jwe, sizeof(jwe), &env, key_named(kid),
				  cr_span_str(sub), cr_span_str(sid), &st)
					> 0,
			name);
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:s}", "name", name, "kid", kid,
			"sub", sub, "sid", sid, "client_key", client_key(kid, sub, sid),
			"state", json_loadb(json, (size_t)n, 0, NULL), "jwe", jwe);
}

static json_t *states(void)
{
	json_t *list = json_array();

	json_array_append_new(list, state("caller", "k2", ALICE, "s-1", full()));
	json_array_append_new(
			list, state("caller, key before", "k1", ALICE, "s-1", full()));
	json_array_append_new(
			list, state("caller, bound", "k2", ALICE, "s-1", bound(full())));
	json_array_append_new(
			list, state("callee, first", "k2", BOB, "S_2.x", first()));
	json_array_append_new(list,
			state("callee, first, bound", "k2", BOB, "S_2.x", bound(first())));
	json_array_append_new(list, state("update", "k2", ALICE, "s-1", update()));
	json_array_append_new(list,
			state("odd characters", "k2", URI_255,
					"0123456789abcdef0123456789abcdef"
					"0123456789ABCDEF0123456789ABCDEF",
					odd()));
	json_array_append_new(
			list, state("longest lists", "k1", ALICE, "s-2", longest()));
	return list;
}

/* ---- maps -------------------------------------------------------------------- */

static json_t *map(cr_purpose_t purpose, const char *kid,
		const cr_dialog_id_t *here, const cr_map_t *m)
{
	char text[CR_BOX_TEXT_MAX], letter[2] = {(char)purpose, 0};
	int n = cr_map_seal(
			text, sizeof(text), crypto, key_named(kid), purpose, here, m);

	check(n > 0, "map");
	return json_pack(
			"{s:s,s:s,s:o,s:o,s:i,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
			"purpose", letter, "kid", kid, "here_call_id", span(here->call_id),
			"here_tag", span(here->tag), "flags", (int)m->flags, "cseq_offset",
			(json_int_t)m->cseq_offset, "exp", (json_int_t)m->exp, "call_id",
			span(m->other.call_id), "tag", span(m->other.tag), "n_local",
			span(m->n_local), "n_remote", span(m->n_remote), "o_local",
			span(m->o_local), "o_remote", span(m->o_remote), "text",
			json_stringn(text, (size_t)n));
}

static json_t *maps(void)
{
	static const char *const kids[] = {"k2", "k1"};
	static const cr_purpose_t purposes[]
			= {CR_PURPOSE_VIA, CR_PURPOSE_CONTACT, CR_PURPOSE_TAG};
	static const cr_dialog_id_t n = {{"n-9@client.invalid", 18}, {"n.tag", 5}};
	static const cr_dialog_id_t o
			= {{"8f3a-77@[2001:db8::1]", 21}, {"a.tag-1", 7}};
	cr_map_t m = {.exp = (uint32_t)NOW + 86400, .other = o};
	json_t *list = json_array();

	for(size_t k = 0; k < COUNT(kids); k++)
		for(size_t p = 0; p < COUNT(purposes); p++) {
			int to_o = purposes[p] == CR_PURPOSE_TAG;

			m.other = to_o ? o : n;
			m.flags = purposes[p] == CR_PURPOSE_VIA ? CR_MAP_RESUME : 0;
			m.cseq_offset = to_o ? 5711 : UINT32_MAX - 5710;
			m.n_local = m.n_remote = m.o_local = m.o_remote
					= (cr_span_t){NULL, 0};
			json_array_append_new(
					list, map(purposes[p], kids[k], to_o ? &n : &o, &m));
			m.flags |= CR_MAP_URIS;
			m.n_local = CR_SPAN(ALICE);
			m.n_remote = CR_SPAN("sip:+15550100@example.com");
			m.o_remote = CR_SPAN("tel:+15550100");
			json_array_append_new(
					list, map(purposes[p], kids[k], to_o ? &n : &o, &m));
		}
	return list;
}

/* ---- session references ------------------------------------------------------ */

static json_t *reference(
		cr_purpose_t purpose, const char *kid, const cr_ref_t *r)
{
	static const cr_span_t call_id = {"8f3a-77@[2001:db8::1]", 21};
	char text[CR_BOX_TEXT_MAX], letter[2] = {(char)purpose, 0};
	int n = cr_ref_seal(
			text, sizeof(text), crypto, key_named(kid), purpose, call_id, r);

	check(n > 0, "reference");
	return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:o}", "purpose",
			letter, "kid", kid, "call_id", span(call_id), "hint",
			hex(r->hint, sizeof(r->hint)), "start", (json_int_t)r->start,
			"cseq", (json_int_t)r->cseq, "sub", span(r->sub), "sid",
			span(r->sid), "fp",
			r->fp.known ? hex(r->fp.hash, sizeof(r->fp.hash)) : json_null(),
			"text", json_stringn(text, (size_t)n));
}

static json_t *references(void)
{
	static const cr_purpose_t purposes[]
			= {CR_PURPOSE_CALLER, CR_PURPOSE_CALLEE};
	json_t *list = json_array();

	for(size_t p = 0; p < COUNT(purposes); p++)
		for(int what = 0; what < 4; what++) {
			cr_ref_t r = {.hint = {0xab, 0xcd},
					.start = (uint32_t)NOW - 600,
					.cseq = what & 1 ? CR_CSEQ_HIGH + 17 : 0,
					.sub = p == 0 ? CR_SPAN(ALICE) : CR_SPAN(BOB),
					.sid = CR_SPAN("s-1")};

			if(what & 2)
				r.fp = bound(full()).fp;
			json_array_append_new(
					list, reference(purposes[p], p == 0 ? "k2" : "k1", &r));
		}
	return list;
}

/* ---- TURN credentials -------------------------------------------------------- */

static json_t *turn(void)
{
	char why[CR_WHY_MAX];
	cr_turn_secret_t secret;
	cr_turn_t t;

	check(cr_turn_secret_parse(&secret, why, CR_SPAN(TURN_SECRET)) == CR_OK,
			"turn secret");
	check(cr_turn_issue(&t, &secret, CR_SPAN(ALICE), NOW + 600) == CR_OK,
			"turn");
	return json_pack("[{s:s,s:s,s:I,s:s,s:s}]", "secret", TURN_SECRET, "sub",
			ALICE, "exp", (json_int_t)(NOW + 600), "user", t.user, "pass",
			t.pass);
}

int main(int argc, char **argv)
{
	char why[CR_WHY_MAX];

	check(argc == 2, "usage: make FOLDER; it");
	crypto = cr_crypto_new();
	check(crypto
					&& cr_ring_parse(&ring, why, crypto, CR_SPAN(RING), NOW)
							== CR_OK,
			"ring");
	save(argv[1], "ring",
			json_pack("{s:s,s:I}", "text", RING, "now", (json_int_t)NOW));
	save(argv[1], "tokens", tokens());
	save(argv[1], "states", states());
	save(argv[1], "maps", maps());
	save(argv[1], "references", references());
	save(argv[1], "turn", turn());
	cr_crypto_free(crypto);
	return 0;
}
