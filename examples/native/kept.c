/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept.h"

#define SUFFIX_UPDATE ";update"
#define SUFFIX_LEN (sizeof(SUFFIX_UPDATE) - 1)

static const struct
{
	const char *name;
	size_t at, size;
} FIELDS[] = {
		{"target", offsetof(kept_t, target), KEPT_NAME_MAX + 1},
		{"state", offsetof(kept_t, state), KEPT_JWE_MAX + 1},
		{"update", offsetof(kept_t, update), KEPT_JWE_MAX + 1},
		{"tag", offsetof(kept_t, tag), KEPT_NAME_MAX + 1},
};

#define FIELDS_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))
#define LINE_MAX_LEN (KEPT_JWE_MAX + 16)

/* Base64url and dots (RFC 7516 section 7.1): nothing that could end a line. */
static int is_jwe(const char *s, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							  "abcdefghijklmnopqrstuvwxyz0123456789-_.";

	if(len == 0 || len > KEPT_JWE_MAX)
		return 0;
	for(size_t i = 0; i < len; i++)
		if(s[i] == '\0' || !strchr(set, s[i]))
			return 0;
	return 1;
}

int kept_take(kept_t *kept, const char *value, size_t len)
{
	int update = len > SUFFIX_LEN
			&& !memcmp(value + len - SUFFIX_LEN, SUFFIX_UPDATE, SUFFIX_LEN);
	char *to = update ? kept->update : kept->state;

	if(update)
		len -= SUFFIX_LEN;
	if(!is_jwe(value, len))
		return EBADMSG;
	memcpy(to, value, len);
	to[len] = '\0';
	if(!update)
		kept->update[0] = kept->tag[0] = '\0';
	return 0;
}

void kept_field(char *field, const kept_t *kept)
{
	snprintf(field, KEPT_FIELD_MAX + 1, "%s%s%s%s%s", kept->state,
			kept->update[0] ? ";update=" : "", kept->update,
			kept->tag[0] ? ";tag=" : "", kept->tag);
}

/* "name value" of one line, without its end; each name once. */
static int read_line(kept_t *kept, const char *line)
{
	for(size_t i = 0; i < FIELDS_COUNT; i++) {
		size_t name = strlen(FIELDS[i].name);
		char *to = (char *)kept + FIELDS[i].at;

		if(strncmp(line, FIELDS[i].name, name) || line[name] != ' ')
			continue;
		line += name + 1;
		if(to[0] || !line[0] || strlen(line) >= FIELDS[i].size)
			return EBADMSG;
		strcpy(to, line);
		return 0;
	}
	return EBADMSG;
}

/* What is sent has to be what a message can have in it. */
static int is_whole(const kept_t *kept)
{
	return kept->target[0] && is_jwe(kept->state, strlen(kept->state))
			&& (!kept->update[0] || is_jwe(kept->update, strlen(kept->update)))
			&& !strpbrk(kept->target, " <>\"\r\t")
			&& !strpbrk(kept->tag, " ;,\r\t");
}

int kept_read(kept_t *kept, const char *file)
{
	char line[LINE_MAX_LEN];
	FILE *in = fopen(file, "r");
	int err = 0;

	memset(kept, 0, sizeof(*kept));
	if(!in)
		return errno;
	while(!err && fgets(line, sizeof(line), in)) {
		char *end = strchr(line, '\n');

		if(end)
			*end = '\0';
		err = end ? read_line(kept, line) : EBADMSG;
	}
	if(!err && (ferror(in) || !is_whole(kept)))
		err = EBADMSG;
	fclose(in);
	if(err)
		memset(kept, 0, sizeof(*kept));
	return err;
}

/* The folder too, or the name may be lost with the power. */
static int sync_folder(const char *file)
{
	char name[PATH_MAX];
	int fd, err = 0;

	snprintf(name, sizeof(name), "%s", file);
	fd = open(dirname(name), O_RDONLY | O_DIRECTORY);
	if(fd < 0)
		return errno;
	if(fsync(fd))
		err = errno;
	close(fd);
	return err;
}

/* A state resumes a call for whoever has the password too: nobody else's. One that is there
 * already may be somebody else's, or lead somewhere. */
static int write_file(const kept_t *kept, const char *file)
{
	int err = 0, fd;

	if(unlink(file) && errno != ENOENT)
		return errno;
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
	if(fd < 0)
		return errno;
	for(size_t i = 0; i < FIELDS_COUNT && !err; i++) {
		const char *value = (const char *)kept + FIELDS[i].at;

		if(value[0] && dprintf(fd, "%s %s\n", FIELDS[i].name, value) < 0)
			err = errno;
	}
	if(!err && fsync(fd))
		err = errno;
	if(close(fd) && !err)
		err = errno;
	return err;
}

int kept_write(const kept_t *kept, const char *file)
{
	char other[PATH_MAX];
	int err;

	if((size_t)snprintf(other, sizeof(other), "%s.new", file) >= sizeof(other))
		return ENAMETOOLONG;
	err = write_file(kept, other);
	if(!err && rename(other, file))
		err = errno;
	if(err) {
		unlink(other);
		return err;
	}
	return sync_folder(file);
}

void kept_drop(kept_t *kept, const char *file)
{
	memset(kept, 0, sizeof(*kept));
	unlink(file);
}
