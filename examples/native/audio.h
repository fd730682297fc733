/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audio of a call: A-law (RFC 3551 section 4.5.14), 8000 samples a second,
 * from standard input to the far end and from the far end to standard output.
 */

#ifndef AUDIO_H
#define AUDIO_H

struct audio;

/**
 * A port for RTP, with nothing on it yet.
 *
 * @param audio  free it with mem_deref()
 * @param local  the address that the far end is told
 * @return 0, or an error of errno.h
 */
int audio_alloc(struct audio **audio, const struct sa *local);

/**
 * A session description of ours (RFC 3264).
 *
 * @param sdp    free it with mem_deref()
 * @param offer  an offer, else the answer to the one that was read
 * @return 0, or an error of errno.h
 */
int audio_describe(struct mbuf **sdp, struct audio *audio, bool offer);

/**
 * The other side's. From its answer on, or ours, audio goes there.
 *
 * @param sdp    read from its position to its end
 * @param offer  it is an offer
 * @return 0; EBADMSG: it has no A-law; else an error of errno.h
 */
int audio_read(struct audio *audio, struct mbuf *sdp, bool offer);

#endif
