/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Opens what another implementation has sealed; for the JavaScript tests.
 *
 *	tool_open jwe    KEY TEXT                       KEY is a client key
 *	tool_open token  KEY TEXT NOW                   KEY is the master key k1
 *	tool_open issuer KEY TEXT NOW PARAM             likewise; PARAM as in the
 *	                                                module parameter "issuer"
 *	tool_open box    KEY TEXT PURPOSE CONTEXT...    likewise
 *	tool_open client KEY SUB SID                    likewise; prints its hex
 *	tool_open state  KEY TEXT SUB SID NOW           likewise; prints the JSON
 *	                                                without its signature
 *
 * KEY in hexadecimal. The plaintext goes to the standard output; a refusal is
 * one line on the standard error and the exit status 1.
 */
#include "helper.h"

#include "base.h"
#include "box.h"
#include "jwe.h"
#include "sealed.h"
#include "token.h"

static int print(const void *data, int len)
{
	if(len < 0) {
		fprintf(stderr, "%s\n", cr_strerror(len));
		return 1;
	}
	fwrite(data, 1, (size_t)len, stdout);
	return 0;
}

static int open_jwe(const uint8_t *key, char **argv)
{
	char out[CR_STATE_JSON_MAX];

	return print(out,
			cr_jwe_open(out, sizeof(out), crypto, key, cr_span_str(argv[0])));
}

static int open_token(char **argv)
{
	cr_token_t t;
	int err = cr_token_verify(&t, crypto, &ring, cr_span_str(argv[0]),
			strtoll(argv[1], NULL, 10), 0);

	if(err)
		return print(NULL, err);
	printf("%s %s %lld\n", t.sub, t.sid, (long long)t.exp);
	return 0;
}

static int open_issuer(char **argv)
{
	static cr_trust_t trust;
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.trust = &trust,
			.now_ms = strtoll(argv[1], NULL, 10) * 1000};
	char why[CR_WHY_MAX];
	cr_token_t t;
	int err = cr_issuers_add(&trust.set, why, cr_span_str(argv[2]));

	if(!err)
		err = cr_issuers_load(&trust.set, why, crypto);
	if(err) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	err = cr_token_accept(&t, &env, cr_span_str(argv[0]), 0);
	cr_trust_clear(&trust);
	if(err)
		return print(NULL, err);
	printf("%s %s %lld %s\n", t.sub, t.sid, (long long)t.exp, t.iss);
	return 0;
}

static int open_box(char **argv, int n_context)
{
	cr_span_t context[CR_BOX_CONTEXT_MAX];
	uint8_t out[CR_BOX_PLAIN_MAX];
	const cr_key_t *key;

	if(n_context > CR_BOX_CONTEXT_MAX)
		return 2;
	for(int i = 0; i < n_context; i++)
		context[i] = cr_span_str(argv[2 + i]);
	return print(out,
			cr_box_open(out, sizeof(out), &key, crypto, &ring, NOW,
					(cr_purpose_t)argv[1][0], context, (size_t)n_context,
					cr_span_str(argv[0])));
}

static int open_state(char **argv)
{
	static cr_work_t work;
	static char mem[CR_STATE_JSON_MAX];
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.work = &work,
			.order_mark = "",
			.now_ms = strtoll(argv[3], NULL, 10) * 1000};
	char out[CR_STATE_JSON_MAX];
	cr_state_t st;
	int err = cr_sealed_open(&st, mem, &env, cr_span_str(argv[1]),
			cr_span_str(argv[2]), cr_span_str(argv[0]));

	if(err)
		return print(NULL, err);
	return print(out, cr_state_encode(out, sizeof(out), &st));
}

static int show_client(char **argv)
{
	uint8_t key[CR_KEY_LEN];
	int err = cr_client_key(key, crypto, &ring.keys[0], cr_span_str(argv[0]),
			cr_span_str(argv[1]));

	if(err)
		return print(NULL, err);
	for(int i = 0; i < CR_KEY_LEN; i++)
		printf("%02x", key[i]);
	return 0;
}

static int use_master(const uint8_t *master)
{
	char line[128] = "k1 ", why[CR_WHY_MAX];
	int n = cr_b64_encode(&line[3], sizeof(line) - 3, master, CR_KEY_LEN);

	return cr_ring_parse(
			&ring, why, crypto, (cr_span_t){line, (size_t)n + 3}, NOW);
}

static int run(int argc, char **argv, const uint8_t *key)
{
	if(argc == 4 && strcmp(argv[1], "jwe") == 0)
		return open_jwe(key, &argv[3]);
	if(use_master(key))
		return 2;
	if(argc == 5 && strcmp(argv[1], "token") == 0)
		return open_token(&argv[3]);
	if(argc == 6 && strcmp(argv[1], "issuer") == 0)
		return open_issuer(&argv[3]);
	if(argc >= 5 && strcmp(argv[1], "box") == 0)
		return open_box(&argv[3], argc - 5);
	if(argc == 5 && strcmp(argv[1], "client") == 0)
		return show_client(&argv[3]);
	if(argc == 7 && strcmp(argv[1], "state") == 0)
		return open_state(&argv[3]);
	fprintf(stderr, "usage: tool_open KIND KEY TEXT [more], see the source\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint8_t key[CR_KEY_LEN];
	int status;

	if(argc < 4 || strlen(argv[2]) != 2 * CR_KEY_LEN || setup(NULL))
		return 2;
	unhex(key, sizeof(key), argv[2]);
	status = run(argc, argv, key);
	teardown(NULL);
	return status;
}
