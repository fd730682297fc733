/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client of rtpengine's ng protocol, over UDP and in JSON, for what its module for
 * Kamailio does not ask.
 */
#ifndef KAM_NG_H
#define KAM_NG_H

#include <jansson.h>
#include <sys/socket.h>

#define KAM_NG_SERVERS_MAX 16
#define KAM_NG_LIST_MAX 1000
#define KAM_NG_LIST_LEAST 250 /* of Call-IDs of 255 bytes so many fit */

typedef struct kam_ng
{
	struct sockaddr_storage at;
	socklen_t at_len;
	char name[64]; /* for the log */
	int fd;        /* of this process; -1: none yet */
	int silent;    /* has not answered: told once */
} kam_ng_t;

/**
 * Read addresses as the parameter rtpengine_sock of the module rtpengine has them:
 * udp:host:port or udp6:[address]:port, several with blanks between.
 * @return how many, or -1 and it is logged
 */
int kam_ng_parse(kam_ng_t server[KAM_NG_SERVERS_MAX], const char *text);

/**
 * Ask, and wait for the answer for half a second, twice.
 * @param command  an object; taken over, and NULL is an answer that failed
 * @return the answer when its result is ok, to be released; NULL: none
 */
json_t *kam_ng_ask(kam_ng_t *server, json_t *command);

/**
 * Ask which calls there are. The answer is one datagram, and where that is too small for
 * them there is none: then as many as fit.
 * @param most  receives how many have been asked for
 * @return as kam_ng_ask()
 */
json_t *kam_ng_list(kam_ng_t *server, int *most);

#endif
