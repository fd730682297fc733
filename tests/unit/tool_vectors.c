/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes the vectors of every codec into a folder. They are frozen: to be run
 * for a new wire version only, never to make a test pass.
 *
 *	tool_vectors FOLDER
 */
#include "helper.h"

#include "base.h"
#include "box.h"
#include "jwe.h"
#include "samples.h"
#include "sealed.h"
#include "token.h"

static const char *folder;

static void check(int ok, const char *what)
{
	if(ok)
		return;
	fprintf(stderr, "tool_vectors: %s failed\n", what);
	exit(1);
}

static void save(const char *name, json_t *v)
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

static json_t *hex(const void *data, size_t len)
{
	char out[2 * 2048 + 1] = "";

	check(len <= 2048, "hex");
	for(size_t i = 0; i < len; i++)
		sprintf(&out[2 * i], "%02x", ((const uint8_t *)data)[i]);
	return json_string(out);
}

static json_t *span(cr_span_t s)
{
	return json_stringn(s.s ? s.s : "", s.len);
}

static void put(json_t *v, const char *name, json_t *value)
{
	check(json_object_set_new(v, name, value) == 0, name);
}

static void write_ring(void)
{
	uint8_t client[CR_KEY_LEN];
	json_t *keys = json_array();

	for(int i = 0; i < ring.n_keys; i++) {
		const cr_key_t *k = &ring.keys[i];
		json_t *v = json_object();
		uint8_t master[CR_KEY_LEN];

		for(int b = 0; b < CR_KEY_LEN; b++)
			master[b] = (uint8_t)(i * CR_KEY_LEN + b);
		put(v, "kid", json_string(k->kid));
		put(v, "master", hex(master, CR_KEY_LEN));
		put(v, "hint", hex(k->hint, CR_BOX_HINT_LEN));
		put(v, "prk", hex(k->prk, CR_KEY_LEN));
		put(v, "token", hex(k->token, CR_KEY_LEN));
		put(v, "state", hex(k->state, CR_KEY_LEN));
		put(v, "box", hex(k->box, CR_KEY_LEN));
		put(v, "nonce", hex(k->nonce, CR_KEY_LEN));
		check(!cr_client_key(client, crypto, k, CR_SPAN(SAMPLE_SUB),
					  CR_SPAN(SAMPLE_SID)),
				"client key");
		put(v, "client", hex(client, CR_KEY_LEN));
		json_array_append_new(keys, v);
	}
	save("ring",
			json_pack("{s:s,s:s,s:s,s:o}", "text", RING_TEXT, "sub", SAMPLE_SUB,
					"sid", SAMPLE_SID, "keys", keys));
}

static void write_token(void)
{
	json_t *v = json_object();

	put(v, "kid", json_string("k1"));
	put(v, "key", hex(ring.keys[0].token, CR_KEY_LEN));
	put(v, "now", json_integer(NOW));
	put(v, "header", json_string(SAMPLE_TOKEN_HEADER));
	put(v, "claims", json_string(SAMPLE_TOKEN_CLAIMS));
	put(v, "jwt",
			json_string(token_make(
					&ring.keys[0], SAMPLE_TOKEN_HEADER, SAMPLE_TOKEN_CLAIMS)));
	save("token", v);
}

static json_t *state_json(const cr_state_t *st)
{
	char out[CR_STATE_JSON_MAX];
	int n = cr_state_encode(out, sizeof(out), st);

	check(n > 0, "state");
	return json_stringn(out, (size_t)n);
}

static void write_state(void)
{
	const cr_state_t full = sample_full(), first = sample_first();
	const cr_state_t update = sample_update();
	json_t *v = json_object();

	put(v, "full", state_json(&full));
	put(v, "first", state_json(&first));
	put(v, "update", state_json(&update));
	save("state", v);
}

static void write_bound(void)
{
	const cr_state_t bound = sample_bound();
	json_t *v = json_object();

	put(v, "full", state_json(&bound));
	save("state-bound", v);
}

static void write_far(void)
{
	const cr_state_t far = sample_far();
	json_t *v = json_object();

	put(v, "full", state_json(&far));
	save("state-far", v);
}

static void write_jwe(void)
{
	const cr_state_t full = sample_full();
	json_t *v = json_object(), *plain = state_json(&full);
	uint8_t key[CR_KEY_LEN];
	char out[CR_JWE_MAX + 1];
	cr_span_t p = {json_string_value(plain), json_string_length(plain)};

	check(!cr_client_key(key, crypto, &ring.keys[0], CR_SPAN(SAMPLE_SUB),
				  CR_SPAN(SAMPLE_SID)),
			"client key");
	check(cr_jwe_seal(out, sizeof(out), crypto, CR_SPAN("k1"), key,
				  sample_nonce,
				  p) > 0,
			"jwe");
	put(v, "kid", json_string("k1"));
	put(v, "key", hex(key, CR_KEY_LEN));
	put(v, "nonce", hex(sample_nonce, sizeof(sample_nonce)));
	put(v, "plain", plain);
	put(v, "jwe", json_string(out));
	save("jwe", v);
}

/* A state as the gateway makes it, signed and sealed. */
static void write_sealed(void)
{
	static cr_work_t work;
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.work = &work,
			.order_mark = "",
			.now_ms = NOW * 1000};
	const cr_key_t *k = &ring.keys[0];
	const cr_state_t full = sample_full();
	char jwe[CR_JWE_MAX + 1], plain[CR_STATE_JSON_MAX];
	uint8_t key[CR_KEY_LEN];
	json_t *v = json_object();
	int n = cr_sealed_make(jwe, sizeof(jwe), &env, k, CR_SPAN(SAMPLE_SUB),
			CR_SPAN(SAMPLE_SID), &full);

	check(n > 0, "sealed");
	check(!cr_client_key(
				  key, crypto, k, CR_SPAN(SAMPLE_SUB), CR_SPAN(SAMPLE_SID)),
			"client key");
	n = cr_jwe_open(
			plain, sizeof(plain), crypto, key, (cr_span_t){jwe, (size_t)n});
	check(n > 0, "sealed plain");
	put(v, "kid", json_string(k->kid));
	put(v, "sub", json_string(SAMPLE_SUB));
	put(v, "sid", json_string(SAMPLE_SID));
	put(v, "now", json_integer(NOW));
	put(v, "key", hex(key, CR_KEY_LEN));
	put(v, "state_key", hex(k->state, CR_KEY_LEN));
	put(v, "state", state_json(&full));
	put(v, "plain", json_stringn(plain, (size_t)n));
	put(v, "jwe", json_string(jwe));
	save("sealed", v);
}

static void write_box(void)
{
	static const cr_span_t context[] = {{"one", 3}, {"", 0}, {"three", 5}};
	char out[CR_BOX_TEXT_MAX];
	json_t *v = json_object();
	int n = cr_box_seal(out, sizeof(out), crypto, &ring.keys[0], CR_PURPOSE_VIA,
			context, 3, CR_SPAN("in the box"));

	check(n > 0, "box");
	put(v, "kid", json_string("k1"));
	put(v, "purpose", json_string("v"));
	put(v, "context", json_pack("[s,s,s]", "one", "", "three"));
	put(v, "plain", json_string("in the box"));
	put(v, "text", json_stringn(out, (size_t)n));
	save("box", v);
}

static void write_map(void)
{
	const cr_map_t m = sample_map();
	char out[CR_BOX_TEXT_MAX];
	json_t *v = json_object();
	int n = cr_map_seal(out, sizeof(out), crypto, &ring.keys[0], CR_PURPOSE_VIA,
			&sample_here, &m);

	check(n > 0, "map");
	put(v, "kid", json_string("k1"));
	put(v, "now", json_integer(NOW));
	put(v, "purpose", json_string("v"));
	put(v, "here_call_id", span(sample_here.call_id));
	put(v, "here_tag", span(sample_here.tag));
	put(v, "flags", json_integer(m.flags));
	put(v, "cseq_offset", json_integer(m.cseq_offset));
	put(v, "exp", json_integer(m.exp));
	put(v, "call_id", span(m.other.call_id));
	put(v, "tag", span(m.other.tag));
	put(v, "n_local", span(m.n_local));
	put(v, "n_remote", span(m.n_remote));
	put(v, "o_local", span(m.o_local));
	put(v, "o_remote", span(m.o_remote));
	put(v, "text", json_stringn(out, (size_t)n));
	save("map", v);
}

static void write_ref(const char *name, cr_ref_t r)
{
	char out[CR_BOX_TEXT_MAX];
	json_t *v = json_object();
	int n = cr_ref_seal(out, sizeof(out), crypto, &ring.keys[0],
			CR_PURPOSE_CALLER, CR_SPAN("c-1@client.invalid"), &r);

	check(n > 0, "ref");
	put(v, "kid", json_string("k1"));
	put(v, "purpose", json_string("a"));
	put(v, "call_id", json_string("c-1@client.invalid"));
	put(v, "hint", hex(r.hint, CR_BOX_HINT_LEN));
	put(v, "start", json_integer(r.start));
	put(v, "sub", span(r.sub));
	put(v, "sid", span(r.sid));
	if(r.fp.known)
		put(v, "fp", hex(r.fp.hash, CR_FP_LEN));
	put(v, "text", json_stringn(out, (size_t)n));
	save(name, v);
}

static void write_answered(void)
{
	char plain[4], out[CR_BOX_TEXT_MAX];
	cr_writer_t w = cr_writer(plain, sizeof(plain));
	cr_span_t call_id = CR_SPAN("c-1@client.invalid");
	json_t *v = json_object();
	int n;

	cr_put_be32(&w, 1749999012);
	n = cr_box_seal(out, sizeof(out), crypto, &ring.keys[0],
			CR_PURPOSE_ANSWERED, &call_id, 1, cr_written(&w));
	check(n > 0, "answered");
	put(v, "kid", json_string("k1"));
	put(v, "purpose", json_string("n"));
	put(v, "call_id", span(call_id));
	put(v, "answered", json_integer(1749999012));
	put(v, "text", json_stringn(out, (size_t)n));
	save("answered", v);
}

int main(int argc, char **argv)
{
	if(argc != 2) {
		fprintf(stderr, "usage: tool_vectors FOLDER\n");
		return 2;
	}
	folder = argv[1];
	check(setup(NULL) == 0, "setup");
	write_ring();
	write_token();
	write_state();
	write_jwe();
	write_sealed();
	write_box();
	write_map();
	write_ref("ref", sample_ref());
	write_ref("ref-bound", sample_bound_ref());
	write_answered();
	write_bound();
	write_far();
	teardown(NULL);
	return 0;
}
