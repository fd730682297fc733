/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto.h"

static int check(char *why, int fd, const char *path, size_t max,
		mode_t refused, const char *repair)
{
	struct stat st;

	if(fstat(fd, &st) != 0)
		return cr_refuse(why, CR_EMISSING, "cannot look at %.160s", path);
	if(!S_ISREG(st.st_mode))
		return cr_refuse(why, CR_EFORGED, "%.160s is not a regular file", path);
	if((st.st_mode & refused) != 0)
		return cr_refuse(why, CR_EFORGED,
				"%.160s is open to group or others (mode %04o); %s it", path,
				(unsigned)(st.st_mode & 07777), repair);
	if(st.st_size < 0 || (size_t)st.st_size > max)
		return cr_refuse(
				why, CR_ETOOBIG, "%.160s is longer than %zu bytes", path, max);
	return CR_OK;
}

/* @return the bytes read, at most max, or -1 */
static ssize_t read_all(int fd, char *out, size_t max)
{
	size_t len = 0;

	while(len < max) {
		ssize_t n = read(fd, out + len, max - len);

		if(n < 0 && errno == EINTR)
			continue;
		if(n < 0)
			return -1;
		if(n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int read_file(cr_span_t *text, char *why, const char *path,
		const char *how, size_t max, mode_t refused, const char *repair)
{
	/* Without O_NONBLOCK a FIFO in its place would hang the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *mem = NULL;
	ssize_t len;
	int err;

	if(fd < 0)
		return cr_refuse(why, CR_EMISSING, "cannot open %.100s; %s", path, how);
	err = check(why, fd, path, max, refused, repair);
	if(err)
		goto end;
	mem = malloc(max);
	len = mem ? read_all(fd, mem, max) : -1;
	if(len < 0) {
		if(mem)
			cr_wipe(mem, max);
		free(mem);
		err = cr_refuse(why, CR_EINTERNAL, "cannot read %.160s", path);
		goto end;
	}
	*text = (cr_span_t){mem, (size_t)len};
end:
	close(fd);
	return err;
}

int cr_private_file_read(cr_span_t *text, char *why, const char *path,
		const char *how, size_t max)
{
	return read_file(text, why, path, how, max, S_IRWXG | S_IRWXO, "chmod 600");
}

int cr_public_file_read(cr_span_t *text, char *why, const char *path,
		const char *how, size_t max)
{
	return read_file(
			text, why, path, how, max, S_IWGRP | S_IWOTH, "chmod go-w");
}

void cr_private_file_free(cr_span_t text)
{
	if(text.s == NULL)
		return;
	cr_wipe((char *)text.s, text.len);
	free((char *)text.s);
}
