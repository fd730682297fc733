/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the other modules have to be like: which of them may be in front of this one,
 * and what their parameters say. A gateway that could not resume a call does not start.
 */
#include "kam_modules.h"
#include "kam_env.h"

#include "../../core/dprint.h"

#include "core/base.h"

/* They look at what comes in from the network and goes out to it, and have to see the
 * dialog that everybody else sees. Callbacks of the network run in the order in which
 * modules are loaded. */
static const char *const inner[] = {"dialog", "topoh", "topos", "sipcapture"};

/* What the routes of resume.cfg do with these is left out of them where they come later:
 * Kamailio has read the routes by then. */
static const char *const used[] = {"usrloc", "registrar", "rtpengine"};

#define N_USED (sizeof(used) / sizeof(used[0]))

static int was_there[N_USED];

static int is_loaded(const char *name)
{
	return find_module_by_name((char *)name) != NULL;
}

int kam_modules_check_order(void)
{
	int wrong = 0;

	for(size_t i = 0; i < N_USED; i++)
		was_there[i] = is_loaded(used[i]);

	for(size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		if(!is_loaded(inner[i]))
			continue;
		LM_ERR("%s is loaded in front of call_resume and would see both names"
			   " of a resumed dialog: move loadmodule \"%s.so\" behind"
			   " call_resume.so (include_file \"resume.cfg\")\n",
				inner[i], inner[i]);
		wrong = 1;
	}
	return wrong ? -1 : 0;
}

/* Where another module keeps a parameter; NULL when it is not loaded or has none. */
static void *param_of(const char *module, const char *name, modparam_t type)
{
	sr_module_t *m = find_module_by_name((char *)module);
	modparam_t found;

	return m == NULL ? NULL : find_param_export(m, (char *)name, type, &found);
}

/* From 6.1.4 on tm sends a 2xx that the far end repeats (RFC 3261 section
 * 13.3.1.4) on without its transaction: past the reply routes and unsealed.
 * Then a first one that was lost would take the state of its call with it. */
static void keep_reply_matching(void)
{
	int *matching = param_of("tm", "reply_matching", PARAM_INT);

	if(matching != NULL)
		*matching = 0;
}

int kam_modules_from_tag_needed(void)
{
	const int *append = param_of("rr", "append_fromtag", PARAM_INT);

	return append != NULL && *append == 0;
}

const str *kam_modules_binding_xavp(void)
{
	const str *name = param_of("usrloc", "xavp_contact", PARAM_STR);

	return name != NULL && name->s != NULL && name->len > 0 ? name : NULL;
}

/* auth takes the first half of its secret for the MAC of a nonce, and the second half for that of
 * what the nonce is bound to. All nodes have the same first half, of the key that they seal with:
 * so each knows what another one has made, and asks again for the same password. The second half
 * is our own: so we take no nonce of another node, which alone knows whether it has been used. */
#define SECRET_HALF 22 /* characters, of 6 bits each */

/* @param text  receives SECRET_HALF characters and a zero */
static int encode_half(char *text, const void *bytes, size_t len)
{
	char mem[CR_B64_LEN(CR_KEY_LEN)];
	int n = cr_b64_encode(mem, sizeof(mem), bytes, len);

	if(n < SECRET_HALF)
		return n < 0 ? n : CR_EINTERNAL;
	memcpy(text, mem, SECRET_HALF);
	text[SECRET_HALF] = '\0';
	cr_wipe(mem, sizeof(mem));
	return CR_OK;
}

static int make_secret(char *text)
{
	const cr_env_t *env = kam_env();
	const cr_key_t *key = cr_ring_sealing(env->ring, cr_now_s(env));
	uint8_t secret[CR_KEY_LEN];
	int err = CR_EKEY;

	if(key != NULL)
		err = cr_digest_secret(secret, env->crypto, key);
	if(err == CR_OK)
		err = encode_half(text, secret, sizeof(secret));
	if(err == CR_OK)
		err = cr_random(secret, sizeof(secret));
	if(err == CR_OK)
		err = encode_half(text + SECRET_HALF, secret, sizeof(secret));
	cr_wipe(secret, sizeof(secret));
	return err;
}

int kam_modules_share_nonces(void)
{
	/* auth has it for as long as it is there. */
	static char text[2 * SECRET_HALF + 1];
	char **secret = param_of("auth", "secret", PARAM_STRING);
	int err;

	if(secret == NULL || *secret != NULL)
		return 0;
	err = make_secret(text);
	if(err != CR_OK) {
		LM_ERR("no secret for the nonces of auth: %s\n", cr_strerror(err));
		return -1;
	}
	*secret = text;
	return 0;
}

static int check_used(void)
{
	int wrong = 0;

	for(size_t i = 0; i < N_USED; i++) {
		if(was_there[i] || !is_loaded(used[i]))
			continue;
		LM_ERR("%s is loaded behind resume.cfg, whose routes do without it"
			   " then: move include_file \"resume.cfg\" behind loadmodule"
			   " \"%s.so\"\n",
				used[i], used[i]);
		wrong = 1;
	}
	return wrong ? -1 : 0;
}

int kam_modules_init(void)
{
	keep_reply_matching();
	if(!kam_config.manage)
		return 0;
	if(check_used() < 0)
		return -1;
	if(is_loaded("usrloc") && kam_modules_binding_xavp() == NULL) {
		LM_ERR("bindings cannot keep the web session of their client, and calls"
			   " to it would not be sealed: set modparam(\"tm|usrloc\","
			   " \"xavp_contact\", \"client\")\n");
		return -1;
	}
	return 0;
}
