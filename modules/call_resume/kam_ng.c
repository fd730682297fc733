/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kam_ng.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../../core/dprint.h"

#include "core/crypto.h"
#include "core/jose.h"

#define COOKIE_LEN 16 /* hex digits */
#define ANSWER_MAX 65536
#define WAIT_MS 500
#define TRIES 2

/* ---- addresses --------------------------------------------------------------------- */

/* host:port, the host of IPv6 in brackets. @return 0 or -1 */
static int resolve(kam_ng_t *server, char *text, int family)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	char *port = strrchr(text, ':');
	size_t len;

	if(port == NULL || port == text)
		return -1;
	*port++ = '\0';
	len = strlen(text);
	if(text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		text++;
	}
	if(getaddrinfo(text, port, &hints, &found) != 0)
		return -1;
	memcpy(&server->at, found->ai_addr, found->ai_addrlen);
	server->at_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int parse_one(kam_ng_t *server, const char *word)
{
	char text[256];
	int is6 = strncmp(word, "udp6:", 5) == 0;

	if(!is6 && strncmp(word, "udp:", 4) != 0)
		return -1;
	word += is6 ? 5 : 4;
	*server = (kam_ng_t){.fd = -1};
	snprintf(server->name, sizeof(server->name), "%s", word);
	if(snprintf(text, sizeof(text), "%s", word) >= (int)sizeof(text))
		return -1;
	return resolve(server, text, is6 ? AF_INET6 : AF_INET);
}

int kam_ng_parse(kam_ng_t server[KAM_NG_SERVERS_MAX], const char *text)
{
	char copy[1024], *at = NULL, *word;
	int n = 0;

	if(snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy)) {
		LM_ERR("media_server is too long\n");
		return -1;
	}
	for(word = strtok_r(copy, " ", &at); word != NULL;
			word = strtok_r(NULL, " ", &at)) {
		if(n == KAM_NG_SERVERS_MAX || parse_one(&server[n], word) < 0) {
			LM_ERR("media_server: %s is not udp:host:port, or one too many\n",
					word);
			return -1;
		}
		n++;
	}
	return n;
}

/* ---- questions --------------------------------------------------------------------- */

static int open_socket(kam_ng_t *server)
{
	int fd;

	if(server->fd >= 0)
		return 0;
	fd = socket(
			server->at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if(fd < 0)
		return -1;
	/* Answers of others do not arrive. */
	if(connect(fd, (struct sockaddr *)&server->at, server->at_len) < 0) {
		close(fd);
		return -1;
	}
	server->fd = fd;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The answer to this question: an earlier one may come late.
 * @return its text, or NULL when the time is over */
static char *wait_for(kam_ng_t *server, const char *cookie)
{
	static char answer[ANSWER_MAX];
	struct pollfd p = {.fd = server->fd, .events = POLLIN};
	int64_t until = now_ms() + WAIT_MS, left;
	ssize_t n;

	while((left = until - now_ms()) > 0) {
		if(poll(&p, 1, (int)left) <= 0)
			continue;
		n = recv(server->fd, answer, sizeof(answer) - 1, 0);
		/* Nobody listens there. */
		if(n < 0 && errno != EAGAIN && errno != EINTR)
			return NULL;
		if(n <= COOKIE_LEN || memcmp(answer, cookie, COOKIE_LEN) != 0
				|| answer[COOKIE_LEN] != ' ')
			continue;
		answer[n] = '\0';
		return answer + COOKIE_LEN + 1;
	}
	return NULL;
}

static int send_all(int fd, const char *cookie, const char *text)
{
	struct iovec parts[] = {{(void *)cookie, COOKIE_LEN}, {" ", 1},
			{(void *)text, strlen(text)}};

	return writev(fd, parts, 3) < 0 ? -1 : 0;
}

static char *exchange(kam_ng_t *server, const char *text)
{
	char cookie[COOKIE_LEN + 1], *answer = NULL;

	/* A question with the same cookie is one that is sent again. */
	if(open_socket(server) < 0 || cr_random_hex(cookie, COOKIE_LEN) != CR_OK)
		return NULL;
	for(int i = 0; i < TRIES && answer == NULL; i++) {
		if(send_all(server->fd, cookie, text) < 0)
			LM_DBG("%s: %s\n", server->name, strerror(errno));
		answer = wait_for(server, cookie);
	}
	return answer;
}

/* @param heard  receives 1 when there is an answer, whatever it is */
static json_t *ask(kam_ng_t *server, json_t *command, int *heard)
{
	char *text = command != NULL ? json_dumps(command, JSON_COMPACT) : NULL;
	char *answer = text != NULL ? exchange(server, text) : NULL;
	json_t *found = NULL;

	json_decref(command);
	free(text);
	*heard = answer != NULL || text == NULL;
	if(answer == NULL || cr_json_object(&found, cr_span_str(answer)) != CR_OK)
		return NULL;
	if(cr_span_eq(
			   cr_json_span(json_object_get(found, "result")), CR_SPAN("ok")))
		return found;
	json_decref(found);
	return NULL;
}

static void tell(kam_ng_t *server, int heard)
{
	if(!heard && !server->silent)
		LM_WARN("media server %s does not answer\n", server->name);
	server->silent = !heard;
}

json_t *kam_ng_ask(kam_ng_t *server, json_t *command)
{
	int heard;
	json_t *answer = ask(server, command, &heard);

	tell(server, heard);
	return answer;
}

json_t *kam_ng_list(kam_ng_t *server, int *most)
{
	json_t *answer;
	int heard;

	for(*most = KAM_NG_LIST_MAX;; *most /= 2) {
		answer = ask(server,
				json_pack("{sssi}", "command", "list", "limit", *most), &heard);
		if(heard || *most / 2 < KAM_NG_LIST_LEAST)
			break;
	}
	tell(server, heard);
	return answer;
}
