/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every way in which the core can say no.
 */
#ifndef CR_ERR_H
#define CR_ERR_H

/** What the core returns: CR_OK or one of the negative codes. */
typedef enum cr_err
{
	CR_OK = 0,
	CR_EMISSING = -1,   /* there is no such thing in the input */
	CR_EMALFORMED = -2, /* the input does not follow its format */
	CR_ETOOBIG = -3,    /* the input, or what is made of it, is over a limit */
	CR_EFORGED = -4,    /* it does not verify or open with the key it names */
	CR_EEXPIRED = -5,   /* genuine, but its time is over */
	CR_ENOTYET = -6,    /* genuine, but its time has not come */
	CR_EKEY = -7, /* it names a key that we do not have or that is retired */
	CR_EUNSUPPORTED
	= -8, /* well-formed, but of a version or algorithm we refuse */
	CR_EDUPLICATE = -9,  /* stands more than once where one is allowed */
	CR_EINTERNAL = -10,  /* OpenSSL, the random source or memory failed */
	CR_EISSUER = -11,    /* a token of somebody that we do not trust */
	CR_EAUDIENCE = -12,  /* a token for somebody else */
	CR_ENOSID = -13,     /* a token that names no web session */
	CR_EMISPLACED = -14, /* made of something of ours, and not of this place */
} cr_err_t;

#define CR_MUST_CHECK __attribute__((warn_unused_result))

/** A short English phrase for an error, for logs; never NULL. */
const char *cr_strerror(int err);

#define CR_WHY_MAX 256 /* bytes for a reason, its zero included */

/** Write a reason at why, cut off to CR_WHY_MAX. @return err */
int cr_refuse(char *why, int err, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

#endif
