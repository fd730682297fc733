/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is kept of a call, in a file: all that another process needs to come
 * back into it.
 */

#ifndef KEPT_H
#define KEPT_H

/* docs/wire-formats.md of call_resume: a JWE; docs/limits.md: a URI, a tag. */
#define KEPT_JWE_MAX 6144
#define KEPT_NAME_MAX 255
/* A Call-State of all three parts: ";update=" and ";tag=" in between. */
#define KEPT_FIELD_MAX (2 * KEPT_JWE_MAX + KEPT_NAME_MAX + 13)

/* Strings end with 0. An empty one: there is none. */
typedef struct kept
{
	char target[KEPT_NAME_MAX + 1]; /* who the call is with, a SIP URI */
	char state[KEPT_JWE_MAX + 1];
	char update[KEPT_JWE_MAX + 1];
	/* Our tag, as long as the state is that of the INVITE that called us. */
	char tag[KEPT_NAME_MAX + 1];
} kept_t;

/**
 * The value of a Call-State that has come, a JWE or "JWE;update". A state
 * replaces all that was kept but the target, an update the older update.
 *
 * @param value, len  not terminated
 * @return 0; EBADMSG when it is neither, and kept is as it was
 */
int kept_take(kept_t *kept, const char *value, size_t len);

/**
 * The value of the Call-State that resumes the call.
 *
 * @param field  KEPT_FIELD_MAX + 1 bytes
 */
void kept_field(char *field, const kept_t *kept);

/**
 * @return 0; ENOENT: there is no call; EBADMSG: the file is none of ours, or
 *         damaged; else what open() says. kept is empty then.
 */
int kept_read(kept_t *kept, const char *file);

/**
 * Whoever kills us finds the old file or the new one, whole, on the disk.
 *
 * @return 0, or errno
 */
int kept_write(const kept_t *kept, const char *file);

/** The call is over: its file goes, and what was in memory. */
void kept_drop(kept_t *kept, const char *file);

#endif
