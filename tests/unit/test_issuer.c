/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parameter, the files that it names, and which key a token is checked with.
 */
#include "helper_issuer.h"

#include <sys/stat.h>
#include <unistd.h>

static char why[CR_WHY_MAX];
static char folder[] = "/tmp/call_resume.XXXXXX";

static int add(cr_issuers_t *set, const char *text)
{
	memset(why, 0, sizeof(why));
	return cr_issuers_add(set, why, cr_span_str(text));
}

static void refuse(const char *text, int want, const char *phrase)
{
	static cr_issuers_t set, before;

	memset(&set, 0, sizeof(set));
	assert_int_equal(add(&set, "iss=there;keys=/k"), CR_OK);
	before = set;
	assert_int_equal(add(&set, text), want);
	assert_memory_equal(&set, &before, sizeof(set));
	if(!strstr(why, phrase))
		fail_msg("\"%s\" does not say \"%s\"", why, phrase);
}

static void parameters(void **state)
{
	static cr_issuers_t set;

	(void)state;
	assert_int_equal(add(&set, "iss=https://a?b=c;keys=/a b"), CR_EMALFORMED);
	assert_int_equal(add(&set, "iss=https://a?b=c;keys=/a"), CR_OK);
	assert_int_equal(add(&set, "keys=/b;aud=us;iss=b;"), CR_OK);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.list[0].iss, "https://a?b=c");
	assert_string_equal(set.list[0].aud, "");
	assert_string_equal(set.list[1].path, "/b");
	assert_string_equal(set.list[1].aud, "us");
	assert_ptr_equal(cr_issuers_find(&set, CR_SPAN("b")), &set.list[1]);
	assert_null(cr_issuers_find(&set, CR_SPAN("B")));
	assert_null(cr_issuers_find(&set, CR_SPAN("")));
	assert_null(cr_issuers_find(&set, (cr_span_t){NULL, 0}));
}

static void refused_parameters(void **state)
{
	char text[400] = "keys=/k;iss=";

	(void)state;
	refuse("", CR_EMISSING, "iss=NAME;keys=FILE");
	refuse("iss=a", CR_EMISSING, "iss=NAME;keys=FILE");
	refuse("keys=/k;aud=us", CR_EMISSING, "iss=NAME;keys=FILE");
	refuse("iss=;keys=/k", CR_EMALFORMED, "iss= wants");
	refuse("iss=a;keys=/k;iss=b", CR_EDUPLICATE, "iss= stands twice");
	refuse("iss=a;keys=/k; aud=us", CR_EMALFORMED, "not [ aud]");
	refuse("iss=a;keys=/k;url=x", CR_EMALFORMED, "not [url]");
	refuse("iss=a;;keys=/k", CR_EMALFORMED, "not []");
	refuse("iss", CR_EMALFORMED, "not [iss]");
	refuse("iss=a\"b;keys=/k", CR_EMALFORMED, "without quotes");
	refuse("iss=there;keys=/other", CR_EDUPLICATE, "JWK set");
	memset(&text[strlen(text)], 'x', CR_ISS_MAX + 1);
	refuse(text, CR_EMALFORMED, "255 visible");
}

static void too_many_issuers(void **state)
{
	static cr_issuers_t set;
	char text[64];

	(void)state;
	for(int i = 0; i < CR_ISSUER_MAX; i++) {
		snprintf(text, sizeof(text), "iss=%d;keys=/k", i);
		assert_int_equal(add(&set, text), CR_OK);
	}
	assert_int_equal(add(&set, "iss=more;keys=/k"), CR_ETOOBIG);
	assert_int_equal(set.n, CR_ISSUER_MAX);
}

/* ---- files ---------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

static void add_file(cr_issuers_t *set, const char *iss, const char *name)
{
	char text[256];

	snprintf(text, sizeof(text), "iss=%s;keys=%s", iss, path_of(name));
	assert_int_equal(add(set, text), CR_OK);
}

static void files(void **state)
{
	static cr_issuers_t set;
	json_t *v = vector_load("issuer");
	char *keys = both_keys();

	(void)state;
	write_file("a.pem", vector_str(json_object_get(v, "p256"), "pem"), 0644);
	write_file("b.json", keys, 0600);
	add_file(&set, "a", "a.pem");
	add_file(&set, "b", "b.json");
	/* Again, as a reload does. */
	for(int i = 0; i < 2; i++) {
		const cr_issuer_t *a = &set.list[0], *b = &set.list[1];

		assert_int_equal(cr_issuers_load(&set, why, crypto), CR_OK);
		assert_int_equal(set.n_keys, 3);
		assert_int_equal(a->n, 1);
		assert_int_equal(b->first, 1);
		assert_int_equal(b->n, 2);
		assert_ptr_equal(cr_issuers_key(&set, a, CR_SPAN("any")), &set.keys[0]);
		assert_ptr_equal(cr_issuers_key(&set, a, CR_SPAN("")), &set.keys[0]);
		assert_ptr_equal(
				cr_issuers_key(&set, b, CR_SPAN("p256-1")), &set.keys[2]);
		assert_null(cr_issuers_key(&set, b, CR_SPAN("")));
		assert_null(cr_issuers_key(&set, b, CR_SPAN("p256")));
	}
	free(keys);
	json_decref(v);
}

static void refuse_file(const char *name, int want, const char *phrase)
{
	static cr_issuers_t set;

	memset(&set, 0, sizeof(set));
	add_file(&set, "a", name);
	assert_int_equal(cr_issuers_load(&set, why, crypto), want);
	if(!strstr(why, phrase) || !strstr(why, path_of(name)))
		fail_msg(
				"\"%s\" does not say \"%s\" of %s", why, phrase, path_of(name));
}

static void refused_files(void **state)
{
	json_t *v = vector_load("issuer");
	const char *pem = vector_str(json_object_get(v, "p256"), "pem");
	static char big[CR_ISSUER_FILE_MAX + 2];

	(void)state;
	refuse_file("nowhere", CR_EMISSING, "cannot open");
	write_file("g.pem", pem, 0664);
	refuse_file("g.pem", CR_EFORGED, "(mode 0664); chmod go-w it");
	write_file("o.pem", pem, 0646);
	refuse_file("o.pem", CR_EFORGED, "chmod go-w it");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	refuse_file("fifo", CR_EFORGED, "not a regular file");
	memset(big, ' ', sizeof(big) - 1);
	write_file("big", big, 0600);
	refuse_file("big", CR_ETOOBIG, "longer than 65536 bytes");
	write_file("empty", "", 0600);
	refuse_file("empty", CR_EMALFORMED, "neither a PEM public key");
	write_file("private", "{\"kty\":\"OKP\",\"d\":\"AA\"}", 0600);
	refuse_file("private", CR_EUNSUPPORTED, "private or secret key");
	json_decref(v);
}

/* A reload may put another key where one was: what OpenSSL made of that must
 * not stay. */
static void replaced_keys(void **state)
{
	json_t *v = vector_load("issuer");
	const json_t *ed = json_object_get(v, "ed25519");
	const json_t *ec = json_object_get(v, "p256");
	static cr_trust_t trust, other;
	const cr_env_t env = {.crypto = crypto,
			.ring = &ring,
			.trust = &trust,
			.now_ms = NOW * 1000};
	cr_token_t t;

	(void)state;
	trust_text(&trust, "iss=" ISS ";keys=/k;aud=" AUD, vector_str(ed, "pem"));
	trust_text(&other, "iss=" ISS ";keys=/k;aud=" AUD, vector_str(ec, "pem"));
#define ACCEPT(key)                                                            \
	cr_token_accept(&t, &env, cr_span_str(vector_str(key, "jwt")), 0)
	assert_int_equal(ACCEPT(ed), CR_OK);
	assert_int_equal(ACCEPT(ed), CR_OK);
	assert_int_equal(ACCEPT(ec), CR_EUNSUPPORTED);
	cr_trust_set(&trust, &other.set);
	assert_int_equal(ACCEPT(ec), CR_OK);
	assert_int_equal(ACCEPT(ed), CR_EUNSUPPORTED);
	cr_trust_clear(&trust);
	json_decref(v);
}

static int setup_folder(void **state)
{
	return mkdtemp(folder) ? setup(state) : -1;
}

static int teardown_folder(void **state)
{
	static const char *const names[] = {"a.pem", "b.json", "g.pem", "o.pem",
			"fifo", "big", "empty", "private", NULL};

	for(int i = 0; names[i]; i++)
		unlink(path_of(names[i]));
	rmdir(folder);
	return teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(parameters),
			cmocka_unit_test(refused_parameters),
			cmocka_unit_test(too_many_issuers),
			cmocka_unit_test(files),
			cmocka_unit_test(refused_files),
			cmocka_unit_test(replaced_keys),
	};

	return cmocka_run_group_tests(tests, setup_folder, teardown_folder);
}
