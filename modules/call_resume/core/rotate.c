/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "bytes.h"
#include "private_file.h"

#define SUFFIX_MAX 99

/* ---- the text -------------------------------------------------------------- */

static void put_time(cr_writer_t *w, int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[32] = "";

	if(gmtime_r(&t, &tm) == NULL
			|| strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) != 20)
		w->bad = 1;
	cr_put_str(w, text);
}

static int put_new_key(cr_writer_t *w, const char *kid)
{
	uint8_t master[CR_KEY_LEN];
	char text[CR_B64_LEN(CR_KEY_LEN)];
	int err = cr_random(master, sizeof(master));

	if(err == CR_OK) {
		cr_b64_encode(text, sizeof(text), master, sizeof(master));
		cr_put_str(w, kid);
		cr_put_str(w, " ");
		cr_put_bytes(w, text, sizeof(text));
		cr_put_str(w, "\n");
	}
	cr_wipe(master, sizeof(master));
	cr_wipe(text, sizeof(text));
	return err;
}

/* A line with another end: kid and key stay. */
static void put_ending(cr_writer_t *w, cr_span_t line, int64_t until)
{
	cr_span_t words[CR_RING_WORDS_MAX];

	(void)cr_ring_words(words, line);
	cr_put_span(w, words[0]);
	cr_put_str(w, " ");
	cr_put_span(w, words[1]);
	cr_put_str(w, " ");
	put_time(w, until);
	cr_put_str(w, "\n");
}

/* A line of the old text, read as a ring of its own. */
static void put_old_line(cr_writer_t *w, cr_crypto_t *c, cr_span_t line,
		int64_t now, int64_t until)
{
	char why[CR_WHY_MAX];
	cr_ring_t one;
	int err = cr_ring_parse(&one, why, c, line, 0);

	if(err == CR_OK && !cr_key_usable(&one.keys[0], now))
		line.len = 0;
	else if(err == CR_OK
			&& (one.keys[0].not_after == 0 || one.keys[0].not_after > until)) {
		put_ending(w, line, until);
	} else {
		cr_put_span(w, line);
		cr_put_str(w, "\n");
	}
	if(err == CR_OK)
		cr_wipe(&one, sizeof(one));
}

static int put_ring(cr_writer_t *w, const char *kid, cr_crypto_t *c,
		cr_span_t text, int64_t now, int64_t until)
{
	cr_reader_t r = cr_reader(text.s, text.len);
	int err = put_new_key(w, kid);

	while(err == CR_OK && r.left > 0)
		put_old_line(w, c, cr_get_part(&r, '\n'), now, until);
	return err == CR_OK ? cr_writer_end(w) : err;
}

static void name_key(char kid[CR_KID_MAX + 1], int64_t now, int suffix)
{
	time_t t = (time_t)now;
	struct tm tm;
	char day[16] = "";

	if(gmtime_r(&t, &tm) != NULL)
		strftime(day, sizeof(day), "%Y%m%d", &tm);
	if(suffix == 1)
		snprintf(kid, CR_KID_MAX + 1, "k%s", day);
	else
		snprintf(kid, CR_KID_MAX + 1, "k%s.%d", day, suffix);
}

int cr_ring_rotate(char *out, size_t out_max, char kid[CR_KID_MAX + 1],
		char *why, cr_crypto_t *c, cr_span_t text, int64_t now, int64_t until)
{
	int err, len = 0;
	cr_ring_t ring;

	if(until < now)
		until = now;
	err = cr_ring_parse(&ring, why, c, text, now);
	if(err != CR_OK)
		return err;
	err = CR_EDUPLICATE;
	for(int n = 1; err == CR_EDUPLICATE && n <= SUFFIX_MAX; n++) {
		cr_writer_t w = cr_writer(out, out_max);

		name_key(kid, now, n);
		err = put_ring(&w, kid, c, text, now, until);
		len = (int)w.len;
		if(err != CR_OK) {
			cr_refuse(why, err,
					err == CR_ETOOBIG ? "the file has no room for the new key"
									  : "there are no random numbers");
			break;
		}
		err = cr_ring_parse(&ring, why, c, cr_written(&w), now);
		if(err == CR_ETOOBIG)
			cr_refuse(why, err,
					"%d keys are usable, which is as many as a ring holds;"
					" wait for one to end, or remove one",
					CR_RING_MAX);
	}
	cr_wipe(&ring, sizeof(ring));
	return err == CR_OK ? len : err;
}

/* ---- the file --------------------------------------------------------------- */

static int cannot(char *why, const char *what, const char *path)
{
	return cr_refuse(why, CR_EMISSING,
			"cannot %s %.100s: %s; user %u has to be able to write the key"
			" ring and its folder",
			what, path, strerror(errno), (unsigned)geteuid());
}

static int write_all(int fd, const char *text, size_t len)
{
	while(len > 0) {
		ssize_t n = write(fd, text, len);

		if(n < 0 && errno == EINTR)
			continue;
		if(n <= 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

/* After a crash the folder must not have the old name for the new file. */
static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;

	snprintf(folder, sizeof(folder), "%.*s",
			slash == NULL ? 1 : (int)(slash - path) + 1,
			slash == NULL ? "." : path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if(fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

/* mkstemp() makes files of mode 0600. */
static int replace(char *why, const char *path, const char *text, size_t len)
{
	char temp[PATH_MAX];
	struct stat st;
	int fd, n = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);

	if(n < 0 || (size_t)n >= sizeof(temp) || stat(path, &st) != 0)
		return cannot(why, "look at", path);
	fd = mkstemp(temp);
	if(fd < 0)
		return cannot(why, "write beside", path);
	if((st.st_uid != geteuid() && fchown(fd, st.st_uid, st.st_gid) != 0)
			|| write_all(fd, text, len) != 0 || rename(temp, path) != 0) {
		n = cannot(why, "replace", path);
		unlink(temp);
		close(fd);
		return n;
	}
	close(fd);
	sync_folder(path);
	return CR_OK;
}

int cr_ring_rotate_file(char kid[CR_KID_MAX + 1], char *why, cr_crypto_t *c,
		const char *path, int64_t now, int64_t until)
{
	char real[PATH_MAX];
	char *fresh;
	cr_span_t text;
	int err;

	/* A link stays one: what it leads to is replaced. */
	if(realpath(path, real) == NULL)
		return cannot(why, "open", path);
	err = cr_private_file_read(
			&text, why, real, "put a key into it", CR_RING_FILE_MAX);
	if(err != CR_OK)
		return err;
	err = cr_refuse(why, CR_EINTERNAL, "there is no memory");
	fresh = malloc(CR_RING_FILE_MAX);
	if(fresh != NULL)
		err = cr_ring_rotate(
				fresh, CR_RING_FILE_MAX, kid, why, c, text, now, until);
	if(err >= 0)
		err = replace(why, real, fresh, (size_t)err);
	if(fresh != NULL)
		cr_wipe(fresh, CR_RING_FILE_MAX);
	free(fresh);
	cr_private_file_free(text);
	return err;
}
