/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <re/re.h>

#include "audio.h"

enum
{
	PCMA = 8, /* payload type */
	RATE = 8000,
	PACKET_MS = 20,
	PACKET_BYTES = RATE * PACKET_MS / 1000,
	SILENCE = 0xd5, /* as A-law */
	/* A process that was stopped does not make up for all of it. */
	BEHIND_MAX = 10,
	PORT_MIN = 16384,
	PORT_MAX = 32767,
};

struct audio
{
	struct rtp_sock *rtp;
	struct sdp_session *sdp;
	struct sdp_media *media;
	struct tmr tmr;
	uint64_t next_ms; /* when the next packet is due */
	uint32_t timestamp;
};

/* Whether reading or writing a packet does not block: pipes, files, devices. */
static bool is_ready(int fd, short what)
{
	struct pollfd p = {.fd = fd, .events = what};

	return poll(&p, 1, 0) == 1 && (p.revents & what);
}

static void on_rtp(const struct sa *from, const struct rtp_header *header,
		struct mbuf *payload, void *arg)
{
	struct audio *audio = arg;

	(void)from;
	if(header->pt != PCMA || !(sdp_media_dir(audio->media) & SDP_RECVONLY))
		return;
	/* To a terminal it would be orders. */
	if(isatty(STDOUT_FILENO))
		return;
	if(is_ready(STDOUT_FILENO, POLLOUT)
			&& write(STDOUT_FILENO, mbuf_buf(payload), mbuf_get_left(payload))
					< 0)
		return; /* nobody is listening */
}

/* 20 ms of what there is, filled up with silence. */
static void send_packet(struct audio *audio)
{
	uint8_t data[RTP_HEADER_SIZE + PACKET_BYTES];
	struct mbuf mb = {data, sizeof(data), RTP_HEADER_SIZE, sizeof(data)};
	ssize_t got = 0;

	if(!isatty(STDIN_FILENO) && is_ready(STDIN_FILENO, POLLIN))
		got = read(STDIN_FILENO, data + RTP_HEADER_SIZE, PACKET_BYTES);
	if(got < 0)
		got = 0;
	memset(data + RTP_HEADER_SIZE + got, SILENCE, PACKET_BYTES - got);
	audio->timestamp += PACKET_BYTES;
	if(sdp_media_rport(audio->media)
			&& (sdp_media_dir(audio->media) & SDP_SENDONLY))
		(void)rtp_send(audio->rtp, sdp_media_raddr(audio->media), false, false,
				PCMA, audio->timestamp, &mb);
}

/* Every packet that is due: timers are late. */
static void on_timer(void *arg)
{
	struct audio *audio = arg;
	uint64_t now = tmr_jiffies();

	if(now > audio->next_ms + BEHIND_MAX * PACKET_MS)
		audio->next_ms = now;
	for(; audio->next_ms <= now; audio->next_ms += PACKET_MS)
		send_packet(audio);
	tmr_start(&audio->tmr, audio->next_ms - now, on_timer, audio);
}

static void destroy(void *arg)
{
	struct audio *audio = arg;

	tmr_cancel(&audio->tmr);
	mem_deref(audio->sdp);
	mem_deref(audio->rtp);
}

int audio_alloc(struct audio **audiop, const struct sa *local)
{
	struct audio *audio = mem_zalloc(sizeof(*audio), destroy);
	int err;

	if(!audio)
		return ENOMEM;
	tmr_init(&audio->tmr);
	err = rtp_listen(&audio->rtp, IPPROTO_UDP, local, PORT_MIN, PORT_MAX, true,
			on_rtp, NULL, audio);
	if(!err)
		err = sdp_session_alloc(&audio->sdp, local);
	if(!err)
		err = sdp_media_add(&audio->media, audio->sdp, sdp_media_audio,
				sa_port(rtp_local(audio->rtp)), sdp_proto_rtpavp);
	if(!err)
		err = sdp_format_add(NULL, audio->media, false, "8", "PCMA", RATE, 1,
				NULL, NULL, NULL, false, NULL);
	if(err) {
		mem_deref(audio);
		return err;
	}
	*audiop = audio;
	return 0;
}

/* Both descriptions are there. */
static void begin(struct audio *audio)
{
	if(tmr_isrunning(&audio->tmr))
		return;
	audio->next_ms = tmr_jiffies();
	tmr_start(&audio->tmr, 0, on_timer, audio);
}

int audio_describe(struct mbuf **sdp, struct audio *audio, bool offer)
{
	int err = sdp_encode(sdp, audio->sdp, offer);

	if(!err && !offer)
		begin(audio);
	return err;
}

int audio_read(struct audio *audio, struct mbuf *sdp, bool offer)
{
	int err = sdp_decode(audio->sdp, sdp, offer);

	if(err)
		return err;
	if(!sdp_media_rformat(audio->media, NULL))
		return EBADMSG;
	if(!offer)
		begin(audio);
	return 0;
}
