/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The keys live in shared memory, where a reload replaces them; each process
 * works on a copy of its own that it takes when the generation has changed, so
 * that no lock is taken per message. What OpenSSL makes of a public key belongs
 * to the process too, and is made once for each generation.
 */
#include "kam_env.h"
#include "kam_quiet.h"
#include "kam_shared.h"

#include <sys/time.h>

#include "../../core/dprint.h"
#include "../../core/locking.h"
#include "../../core/mem/shm_mem.h"
#include "../../core/pt.h"

#include "core/base.h"
#include "core/rotate.h"

typedef struct shared
{
	gen_lock_t lock;
	gen_lock_t file_lock;         /* held while files are read or replaced */
	volatile unsigned generation; /* changes with every reload */
	cr_ring_t ring;
	cr_turn_secret_t turn;
	cr_issuers_t issuers;
} shared_t;

static shared_t *shared;

static cr_work_t work;
static cr_ring_t ring;
static cr_turn_secret_t turn;
static cr_trust_t trust;
static unsigned generation;
static char order_mark[1 + CR_B64_LEN(8) + 1]; /* made before the fork */
static cr_env_t env = {.ring = &ring,
		.trust = &trust,
		.work = &work,
		.order_mark = order_mark};

static int64_t clock_ms(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

static int load_keys(cr_ring_t *out, cr_issuers_t *issuers, char *why)
{
	cr_crypto_t *c = cr_crypto_new();
	int err;

	if(c == NULL)
		return cr_refuse(why, CR_EINTERNAL, "OpenSSL does not work");
	*issuers = kam_config.issuers;
	err = cr_ring_load(out, why, c, kam_config.key_ring, clock_ms() / 1000);
	if(err == CR_OK)
		err = cr_issuers_load(issuers, why, c);
	cr_crypto_free(c);
	return err;
}

static int load_turn(cr_turn_secret_t *out, char *why)
{
	const char *path = kam_config.turn_secret_file;

	if(path == NULL || path[0] == '\0')
		return CR_OK;
	return cr_turn_secret_load(out, why, path);
}

static int reload(char *why)
{
	static cr_issuers_t fresh_issuers;
	cr_ring_t fresh_ring;
	cr_turn_secret_t fresh_turn = {0};
	int err = load_keys(&fresh_ring, &fresh_issuers, why);

	if(err == CR_OK)
		err = load_turn(&fresh_turn, why);
	if(err == CR_OK) {
		lock_get(&shared->lock);
		shared->ring = fresh_ring;
		shared->turn = fresh_turn;
		shared->issuers = fresh_issuers;
		shared->generation++;
		lock_release(&shared->lock);
	}
	cr_wipe(&fresh_ring, sizeof(fresh_ring));
	cr_wipe(&fresh_turn, sizeof(fresh_turn));
	return err == CR_OK ? 0 : -1;
}

/* What a reload has read while a rotation replaced the file must not be put in
 * the place of what the rotation has. */
int kam_env_reload(char *why)
{
	int ret;

	lock_get(&shared->file_lock);
	ret = reload(why);
	lock_release(&shared->file_lock);
	return ret;
}

/* The ring alone: a fault in another file must not leave the ring behind its
 * own. */
static int reload_ring(char *why, cr_crypto_t *c, int64_t now)
{
	cr_ring_t fresh;
	int err = cr_ring_load(&fresh, why, c, kam_config.key_ring, now);

	if(err == CR_OK) {
		lock_get(&shared->lock);
		shared->ring = fresh;
		shared->generation++;
		lock_release(&shared->lock);
	}
	cr_wipe(&fresh, sizeof(fresh));
	return err;
}

int kam_env_rotate(char *kid, char *why, int old_s)
{
	cr_crypto_t *c = cr_crypto_new();
	int64_t now = clock_ms() / 1000;
	int err;

	if(c == NULL) {
		cr_refuse(why, CR_EINTERNAL, "OpenSSL does not work");
		return -1;
	}
	lock_get(&shared->file_lock);
	err = cr_ring_rotate_file(
			kid, why, c, kam_config.key_ring, now, now + old_s);
	if(err == CR_OK)
		err = reload_ring(why, c, now);
	lock_release(&shared->file_lock);
	cr_crypto_free(c);
	return err == CR_OK ? 0 : -1;
}

static int make_order_mark(void)
{
	uint8_t bytes[8];

	if(cr_random(bytes, sizeof(bytes)) != CR_OK) {
		LM_ERR("there are no random numbers\n");
		return -1;
	}
	/* Every message that may hold it is searched for it: hardly one has this sign. */
	order_mark[0] = '^';
	cr_b64_encode(order_mark + 1, sizeof(order_mark) - 2, bytes, sizeof(bytes));
	return 0;
}

int kam_env_init(void)
{
	char why[CR_WHY_MAX];

	shared = KAM_SHARED_LOCKED(sizeof(*shared));
	if(shared == NULL)
		return -1;
	if(lock_init(&shared->file_lock) == NULL) {
		LM_ERR("cannot make a lock\n");
		return -1;
	}
	if(kam_env_reload(why) < 0) {
		LM_ERR("%s\n", why);
		return -1;
	}
	return make_order_mark();
}

void kam_env_destroy(void)
{
	cr_trust_clear(&trust);
	cr_crypto_free(env.crypto);
	env.crypto = NULL;
	cr_wipe(&ring, sizeof(ring));
	cr_wipe(&turn, sizeof(turn));
	if(shared == NULL)
		return;
	lock_destroy(&shared->lock);
	lock_destroy(&shared->file_lock);
	cr_wipe(shared, sizeof(*shared));
	shm_free(shared);
	shared = NULL;
}

static void take_keys(void)
{
	lock_get(&shared->lock);
	ring = shared->ring;
	turn = shared->turn;
	cr_trust_set(&trust, &shared->issuers);
	generation = shared->generation;
	lock_release(&shared->lock);
}

/* A script can be here before the fork (event_route[htable:mod-init]). The
 * module tls has OpenSSL take its memory from what processes share: what was
 * made then is of the process that made it, and is not freed here either. */
static void forget_others(void)
{
	static int owner;

	if(owner != process_no) {
		env.crypto = NULL;
		memset(trust.verifiers, 0, sizeof(trust.verifiers));
		owner = process_no;
	}
}

const cr_env_t *kam_env(void)
{
	forget_others();
	if(env.crypto == NULL && (env.crypto = cr_crypto_new()) == NULL) {
		LM_ERR("OpenSSL does not work\n");
		return NULL;
	}
	if(generation != shared->generation)
		take_keys();
	env.now_ms = clock_ms();
	env.state_ttl_s = kam_config.state_lifetime;
	env.map_ttl_s = kam_config.map_lifetime;
	env.session_uuids = kam_config.session_id;
	env.keeps_far = kam_config.quiet != KAM_QUIET_OFF;
	env.keeps_far_by_update = kam_config.quiet == KAM_QUIET_UPDATE;
	return &env;
}

const cr_turn_secret_t *kam_turn_secret(void)
{
	return &turn;
}
