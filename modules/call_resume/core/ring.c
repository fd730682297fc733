/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ring.h"

#include "base.h"
#include "bytes.h"
#include "private_file.h"
#include "text.h"

#define HOW_TO_MAKE                                                            \
	"make one with: openssl rand -base64 32 | tr '+/' '-_' | tr -d '='"

/* Room for a key that is too long, so that the reason can say what is wrong:
 * one with padding is the usual mistake. */
#define MASTER_ROOM (2 * CR_KEY_LEN)

typedef struct parser
{
	cr_crypto_t *c;
	char *why; /* CR_WHY_MAX bytes */
	int line;  /* counted from 1 */
} parser_t;

/* ---- deriving ------------------------------------------------------------ */

/* label 0x00 kid, the beginning of every info (wire.h). */
static void put_info(cr_writer_t *w, const char *label, const char *kid)
{
	cr_put_str(w, label);
	cr_put_u8(w, 0);
	cr_put_str(w, kid);
}

static int derive(cr_crypto_t *c, uint8_t out[CR_KEY_LEN], const cr_key_t *key,
		const char *label)
{
	char info[64];
	cr_writer_t w = cr_writer(info, sizeof(info));

	put_info(&w, label, key->kid);
	if(cr_writer_end(&w))
		return CR_EINTERNAL;
	return cr_hkdf_expand(c, out, key->prk, cr_written(&w));
}

static int derive_all(
		cr_crypto_t *c, cr_key_t *key, const uint8_t master[CR_KEY_LEN])
{
	uint8_t digest[32];
	int err = cr_sha256(c, digest, key->kid, strlen(key->kid));

	if(err)
		return err;
	memcpy(key->hint, digest, CR_BOX_HINT_LEN);
	err = cr_hkdf_extract(
			c, key->prk, CR_SPAN(CR_HKDF_SALT), master, CR_KEY_LEN);
	if(!err)
		err = derive(c, key->token, key, CR_LABEL_TOKEN);
	if(!err)
		err = derive(c, key->state, key, CR_LABEL_STATE);
	if(!err)
		err = derive(c, key->box, key, CR_LABEL_BOX);
	if(!err)
		err = derive(c, key->nonce, key, CR_LABEL_NONCE);
	if(!err)
		err = derive(c, key->node, key, CR_LABEL_NODE);
	return err;
}

int cr_digest_secret(
		uint8_t out[CR_KEY_LEN], cr_crypto_t *c, const cr_key_t *key)
{
	return derive(c, out, key, CR_LABEL_DIGEST);
}

int cr_client_key(uint8_t out[CR_KEY_LEN], cr_crypto_t *c, const cr_key_t *key,
		cr_span_t sub, cr_span_t sid)
{
	char info[sizeof(CR_LABEL_CLIENT) + CR_KID_MAX + 1 + 2 + CR_SID_MAX + 2
			+ CR_SUB_MAX];
	cr_writer_t w = cr_writer(info, sizeof(info));

	if(sub.len == 0 || sub.len > CR_SUB_MAX || sid.len == 0
			|| sid.len > CR_SID_MAX)
		return CR_EMALFORMED;
	put_info(&w, CR_LABEL_CLIENT, key->kid);
	cr_put_u8(&w, 0);
	cr_put_be16(&w, (uint16_t)sid.len);
	cr_put_span(&w, sid);
	cr_put_be16(&w, (uint16_t)sub.len);
	cr_put_span(&w, sub);
	if(cr_writer_end(&w))
		return CR_EINTERNAL;
	return cr_hkdf_expand(c, out, key->prk, cr_written(&w));
}

/* ---- one line ------------------------------------------------------------ */

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

size_t cr_ring_words(cr_span_t words[CR_RING_WORDS_MAX], cr_span_t line)
{
	size_t n = 0, i = 0;

	while(n < CR_RING_WORDS_MAX) {
		size_t from;

		while(i < line.len && is_blank(line.s[i]))
			i++;
		if(i == line.len)
			break;
		for(from = i; i < line.len && !is_blank(line.s[i]);)
			i++;
		words[n++] = (cr_span_t){&line.s[from], i - from};
	}
	return n;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_to(int year, int month, int day)
{
	static const int before[]
			= {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t y = year - (month <= 2); /* leap days of full years so far */

	return (int64_t)(year - 1970) * 365 + (y / 4 - 1969 / 4)
			- (y / 100 - 1969 / 100) + (y / 400 - 1969 / 400)
			+ before[month - 1] + day - 1;
}

static int days_in(int year, int month)
{
	if(month == 12)
		return 31;
	return (int)(days_to(year, month + 1, 1) - days_to(year, month, 1));
}

/* YYYY-MM-DDTHH:MM:SSZ, the one form of RFC 3339 that the file knows. */
static int parse_time(int64_t *out, cr_span_t s)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	int field[6] = {0};
	int n = 0;

	if(s.len != sizeof(form) - 1)
		return CR_EMALFORMED;
	for(size_t i = 0; i < s.len; i++) {
		if(form[i] != 'd') {
			if(s.s[i] != form[i])
				return CR_EMALFORMED;
			n++;
			continue;
		}
		if(s.s[i] < '0' || s.s[i] > '9')
			return CR_EMALFORMED;
		field[n] = field[n] * 10 + (s.s[i] - '0');
	}
	/* Not from 1970 on: its first second would read as "no end". */
	if(field[0] < 2000 || field[1] < 1 || field[1] > 12 || field[2] < 1
			|| field[2] > days_in(field[0], field[1]) || field[3] > 23
			|| field[4] > 59 || field[5] > 59)
		return CR_EMALFORMED;
	*out = days_to(field[0], field[1], field[2]) * 86400 + field[3] * 3600
			+ field[4] * 60 + field[5];
	return CR_OK;
}

static int parse_words(cr_key_t *key, uint8_t master[MASTER_ROOM],
		const cr_span_t *words, size_t n, const parser_t *p)
{
	int len;

	if(n < 2 || n > 3)
		return cr_refuse(p->why, CR_EMALFORMED,
				"line %d: wants a kid, a key and at most a not-after time",
				p->line);
	if(!cr_text_is_id(words[0], CR_KID_MAX))
		return cr_refuse(p->why, CR_EMALFORMED,
				"line %d: a kid has 1 to %d characters of A-Z a-z 0-9 . _ -",
				p->line, CR_KID_MAX);
	memcpy(key->kid, words[0].s, words[0].len);
	len = cr_b64_decode(master, MASTER_ROOM, words[1]);
	if(len == CR_EMALFORMED)
		return cr_refuse(p->why, CR_EMALFORMED,
				"line %d: the key is not base64url without padding; %s",
				p->line, HOW_TO_MAKE);
	if(len != CR_KEY_LEN)
		return cr_refuse(p->why, CR_EMALFORMED,
				"line %d: the key is not %d bytes long; %s", p->line,
				CR_KEY_LEN, HOW_TO_MAKE);
	if(n == 3 && parse_time(&key->not_after, words[2]))
		return cr_refuse(p->why, CR_EMALFORMED,
				"line %d: not-after is a UTC time like 2027-01-31T00:00:00Z",
				p->line);
	return CR_OK;
}

static int check_unique(
		const cr_ring_t *ring, const cr_key_t *key, const parser_t *p)
{
	for(int i = 0; i < ring->n_keys; i++) {
		const cr_key_t *other = &ring->keys[i];

		if(strcmp(other->kid, key->kid) == 0)
			return cr_refuse(p->why, CR_EDUPLICATE,
					"line %d: the kid %s stands on an earlier line, choose "
					"another",
					p->line, key->kid);
		if(memcmp(other->hint, key->hint, CR_BOX_HINT_LEN) == 0)
			return cr_refuse(p->why, CR_EDUPLICATE,
					"line %d: the kids %s and %s have the same hint, rename "
					"the newer key",
					p->line, other->kid, key->kid);
	}
	return CR_OK;
}

static int parse_line(cr_ring_t *ring, cr_span_t line, const parser_t *p)
{
	cr_span_t words[CR_RING_WORDS_MAX];
	size_t n = cr_ring_words(words, line);
	cr_key_t key = {0};
	uint8_t master[MASTER_ROOM];
	int err;

	if(n == 0 || words[0].s[0] == '#')
		return CR_OK;
	err = parse_words(&key, master, words, n, p);
	if(err)
		goto end;
	err = derive_all(p->c, &key, master);
	if(err) {
		cr_refuse(p->why, err, "line %d: OpenSSL failed", p->line);
		goto end;
	}
	err = check_unique(ring, &key, p);
	if(err)
		goto end;
	if(ring->n_keys == CR_RING_MAX) {
		err = cr_refuse(p->why, CR_ETOOBIG,
				"line %d: more than %d keys, remove retired ones", p->line,
				CR_RING_MAX);
		goto end;
	}
	ring->keys[ring->n_keys++] = key;
end:
	cr_wipe(master, sizeof(master));
	cr_wipe(&key, sizeof(key));
	return err;
}

/* ---- the file ------------------------------------------------------------ */

static int parse_lines(cr_ring_t *ring, cr_span_t text, parser_t *p)
{
	cr_reader_t r = cr_reader(text.s, text.len);
	int err = CR_OK;

	while(!err && r.left > 0) {
		p->line++;
		err = parse_line(ring, cr_get_part(&r, '\n'), p);
	}
	return err;
}

int cr_ring_parse(
		cr_ring_t *ring, char *why, cr_crypto_t *c, cr_span_t text, int64_t now)
{
	parser_t p = {c, why, 0};
	cr_ring_t made = {0};
	int err = parse_lines(&made, text, &p);

	if(!err && !cr_ring_sealing(&made, now))
		err = cr_refuse(why, CR_EMISSING,
				"no usable key (%d retired); add a line: kid, blank, key; %s",
				made.n_keys, HOW_TO_MAKE);
	if(!err)
		*ring = made;
	cr_wipe(&made, sizeof(made));
	return err;
}

int cr_ring_load(cr_ring_t *ring, char *why, cr_crypto_t *c, const char *path,
		int64_t now)
{
	cr_span_t text;
	int err = cr_private_file_read(&text, why, path,
			"one line in it, kid and key, is enough, " HOW_TO_MAKE,
			CR_RING_FILE_MAX);

	if(err)
		return err;
	err = cr_ring_parse(ring, why, c, text, now);
	cr_private_file_free(text);
	return err;
}

/* ---- finding a key ------------------------------------------------------- */

int cr_key_usable(const cr_key_t *key, int64_t now)
{
	return key->not_after == 0 || now <= key->not_after;
}

const cr_key_t *cr_ring_sealing(const cr_ring_t *ring, int64_t now)
{
	for(int i = 0; i < ring->n_keys; i++)
		if(cr_key_usable(&ring->keys[i], now))
			return &ring->keys[i];
	return NULL;
}

const cr_key_t *cr_ring_by_kid(
		const cr_ring_t *ring, cr_span_t kid, int64_t now)
{
	for(int i = 0; i < ring->n_keys; i++)
		if(cr_key_usable(&ring->keys[i], now)
				&& cr_span_eq(cr_span_str(ring->keys[i].kid), kid))
			return &ring->keys[i];
	return NULL;
}

const cr_key_t *cr_ring_by_hint(
		const cr_ring_t *ring, const uint8_t hint[CR_BOX_HINT_LEN], int64_t now)
{
	for(int i = 0; i < ring->n_keys; i++)
		if(cr_key_usable(&ring->keys[i], now)
				&& memcmp(ring->keys[i].hint, hint, CR_BOX_HINT_LEN) == 0)
			return &ring->keys[i];
	return NULL;
}
