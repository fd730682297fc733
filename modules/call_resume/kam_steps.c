/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * So that a far end which reads RTP sequence numbers hears a client that has come back, see
 * core/steps.h. The media server gets an offer of ours first, in the client's place; then
 * it passes on what comes from our port, and after that gets the client's.
 */
#include "kam_steps.h"
#include "kam_media.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../core/dprint.h"
#include "../../core/parser/parse_from.h"
#include "../../core/hashes.h"
#include "../../core/timer.h"

#include "core/steps.h"

#define QUERY_MAX 65536
/* How long one is waited for at first, in microseconds, and twice as long each time that follows; and
 * how often, as those that the kernel passes on are counted later: 10 ms in all. */
#define A_MOMENT 320
#define MOMENTS 5
#define IN_A_SECOND 10 /* calls that get steps, of one process */

static struct
{
	int fd; /* -1: there are none */
	int type;
	uint32_t ssrc;
	json_int_t packets; /* that the media server had got before */
	int sent;           /* steps */
	char sdp[CR_STEPS_SDP_MAX];
	size_t sdp_len;
} steps = {.fd = -1};

static void forget(void)
{
	if(steps.fd >= 0)
		close(steps.fd);
	steps.fd = -1;
	steps.sdp_len = 0;
}

cr_span_t kam_steps_sdp(void)
{
	return (cr_span_t){steps.sdp, steps.sdp_len};
}

static json_int_t packets_of(const json_t *stream)
{
	return json_integer_value(
			json_object_get(json_object_get(stream, "stats"), "packets"));
}

/* The only medium of a leg, when it is audio. */
static const json_t *audio_of(const json_t *leg)
{
	const json_t *medias = json_object_get(leg, "medias");
	const json_t *media = json_array_get(medias, 0);
	const char *type = json_string_value(json_object_get(media, "type"));

	if(json_array_size(medias) != 1 || type == NULL
			|| strcmp(type, "audio") != 0)
		return NULL;
	return media;
}

/* Nobody else can send to a leg of SRTP, and others' numbers nobody has to hide. */
static int others_are_plain(json_t *legs, const json_t *own)
{
	const char *tag;
	json_t *leg;
	int n = 0;

	json_object_foreach(legs, tag, leg)
	{
		const char *protocol;

		if(leg == own)
			continue;
		protocol
				= json_string_value(json_object_get(audio_of(leg), "protocol"));
		if(protocol == NULL || strncmp(protocol, "RTP/AVP", 7) != 0)
			return 0;
		n++;
	}
	return n > 0;
}

/* A port of ours from which that address is reached. @return 0, or -1 */
static int open_to(const char *address, int port, cr_span_t codec)
{
	struct sockaddr_storage at = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
	socklen_t len = sizeof(at);
	char text[INET6_ADDRSTRLEN];
	int is6 = strchr(address, ':') != NULL;

	at.ss_family = is6 ? AF_INET6 : AF_INET;
	*(is6 ? &v6->sin6_port : &v4->sin_port) = htons((uint16_t)port);
	if(inet_pton(at.ss_family, address,
			   is6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr)
			!= 1)
		return -1;
	steps.fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if(steps.fd < 0
			|| connect(steps.fd, (struct sockaddr *)&at,
					   is6 ? sizeof(*v6) : sizeof(*v4))
					< 0
			|| getsockname(steps.fd, (struct sockaddr *)&at, &len) < 0
			|| inet_ntop(at.ss_family,
					   is6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr,
					   text, sizeof(text))
					== NULL)
		return -1;
	return cr_steps_sdp(steps.sdp, &steps.sdp_len, cr_span_str(text), is6,
				   ntohs(is6 ? v6->sin6_port : v4->sin_port), codec)
					== CR_OK
			? 0
			: -1;
}

/* The leg of the sender of this message in what rtpengine says of the call.
 * @return NULL or all that it says, to be released */
static json_t *find_own(const json_t **own, struct sip_msg *msg)
{
	json_t *answer = NULL, *legs;
	str from, text;

	if(parse_from_header(msg) == 0 && kam_media_query(msg, &text)
			&& text.len <= QUERY_MAX)
		answer = json_loadb(text.s, (size_t)text.len, 0, NULL);
	if(answer == NULL)
		return NULL;
	from = get_from(msg)->tag_value;
	legs = json_object_get(answer, "tags");
	for(void *i = json_object_iter(legs); i != NULL;
			i = json_object_iter_next(legs, i)) {
		if(!cr_span_eq(cr_span_str(json_object_iter_key(i)), kam_span(from)))
			continue;
		*own = json_object_iter_value(i);
		return answer;
	}
	json_decref(answer);
	return NULL;
}

static const json_t *stream_of(const json_t *own)
{
	return json_array_get(json_object_get(audio_of(own), "streams"), 0);
}

/* @return 0, or -1 when there are no steps for this call */
static int prepare(json_t *legs, const json_t *own)
{
	const json_t *stream = stream_of(own);
	const char *codec
			= json_string_value(json_object_get(audio_of(own), "codec"));
	const char *address
			= json_string_value(json_object_get(stream, "local address"));
	json_int_t port = json_integer_value(json_object_get(stream, "local port"));

	if(codec == NULL || address == NULL || port < 1 || port > 65535
			|| !others_are_plain(legs, own))
		return -1;
	steps.packets = packets_of(stream);
	steps.sent = 0;
	steps.type = cr_steps_type(cr_span_str(codec));
	if(steps.type < 0)
		return -1;
	if(open_to(address, (int)port, cr_span_str(codec)) == 0)
		return 0;
	LM_ERR("no steps to the media server at %s\n", address);
	return -1;
}

/* When very many come back at once they do so without: this process would do nothing else.
 * @return 1 while there is time */
static int has_time(void)
{
	static ticks_t since;
	static int n;

	if(get_ticks() != since)
		n = 0;
	since = get_ticks();
	return n++ < IN_A_SECOND;
}

int ki_resume_steps(struct sip_msg *msg)
{
	const json_t *own;
	json_t *answer;
	int err;

	forget();
	if(!has_time())
		return -1;
	answer = find_own(&own, msg);
	if(answer == NULL)
		return -1;
	err = prepare(json_object_get(answer, "tags"), own);
	json_decref(answer);
	/* The same in all of a call: rtpengine keeps 20 in mind. */
	steps.ssrc = get_hash1_raw(
			get_from(msg)->tag_value.s, get_from(msg)->tag_value.len);
	if(err == 0)
		return 1;
	forget();
	return -1;
}

/* @return 1 when the media server has passed on all that were sent, or does not say */
static int are_passed_on(struct sip_msg *msg)
{
	const json_t *own;
	json_t *answer = find_own(&own, msg);
	int are = answer == NULL
			|| packets_of(stream_of(own)) >= steps.packets + steps.sent;

	json_decref(answer);
	return are;
}

/* One at a time: rtpengine has several threads, and what is sent at once may overtake. */
int ki_resume_step(struct sip_msg *msg)
{
	uint8_t packet[CR_STEP_LEN];

	if(steps.fd < 0)
		return -1;
	while(steps.sent < CR_STEPS) {
		cr_step(packet, steps.sent++, steps.type, steps.ssrc);
		if(send(steps.fd, packet, sizeof(packet), 0) < 0)
			LM_DBG("step %d did not go out\n", steps.sent);
		for(int i = 0; i < MOMENTS; i++) {
			usleep(A_MOMENT << i);
			if(are_passed_on(msg))
				break;
		}
	}
	forget();
	return 1;
}
