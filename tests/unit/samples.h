/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The values from which the frozen vectors were made.
 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "map.h"
#include "ref.h"
#include "state.h"

#define SAMPLE_SUB "sip:alice@example.com"
#define SAMPLE_SID "s-1"

#define SAMPLE_TOKEN_HEADER "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"
#define SAMPLE_TOKEN_CLAIMS                                                    \
	"{\"sub\":\"" SAMPLE_SUB "\",\"sid\":\"" SAMPLE_SID                        \
	"\",\"iat\":1750000000,\"exp\":1750003600,\"jti\":"                        \
	"\"AAAAAAAAAAAAAAAAAAAAAA\",\"kid\":\"k1\"}"

static const uint8_t sample_nonce[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

/* A full state of a caller, with every member. */
static inline cr_state_t sample_full(void)
{
	return (cr_state_t){
			.id = "0123456789abcdef0123456789abcdef",
			.role = CR_CALLER,
			.call_id = CR_SPAN("c-1@client.invalid"),
			.local_uri = CR_SPAN("sip:alice@example.com"),
			.local_tag = CR_SPAN("a-tag"),
			.remote_uri = CR_SPAN("sip:bob@example.com"),
			.remote_tag = CR_SPAN("b-tag"),
			.target = CR_SPAN("sip:bob@192.0.2.7:5060;transport=tcp"),
			.routes
			= {CR_SPAN("sip:192.0.2.1;lr"), CR_SPAN("sip:192.0.2.2;lr;x=y")},
			.n_routes = 2,
			.cseq = 4711,
			.media = {{CR_SPAN("audio"), CR_SPAN("sendrecv")},
					{CR_SPAN("video"), CR_SPAN("inactive")}},
			.n_media = 2,
			.start = 1749999000,
			.iat = INT64_C(1750000000123),
			.exp = 1750007200,
	};
}

/* The first state of a callee: no tag of its own, no CSeq, no media. */
static inline cr_state_t sample_first(void)
{
	cr_state_t st = sample_full();

	st.role = CR_CALLEE;
	st.local_tag = (cr_span_t){NULL, 0};
	st.cseq = -1;
	st.n_media = 0;
	st.n_routes = 0;
	return st;
}

/* What a re-INVITE by the far end changes. */
static inline cr_state_t sample_update(void)
{
	return (cr_state_t){
			.update = 1,
			.id = "0123456789abcdef0123456789abcdef",
			.role = CR_CALLER,
			.call_id = CR_SPAN("c-1@client.invalid"),
			.target = CR_SPAN("sip:bob@192.0.2.8:5062"),
			.cseq = -1,
			.media = {{CR_SPAN("audio"), CR_SPAN("recvonly")}},
			.n_media = 1,
			.iat = INT64_C(1750000060456),
			.exp = 1750007260,
	};
}

static const cr_dialog_id_t sample_here
		= {{"n-call@client.invalid", 21}, {"n-tag", 5}};

static inline cr_map_t sample_map(void)
{
	return (cr_map_t){
			.flags = CR_MAP_RESUME | CR_MAP_URIS,
			.cseq_offset = 5711,
			.exp = 1750007200,
			.other = {CR_SPAN("c-1@client.invalid"), CR_SPAN("a-tag")},
			.n_local = CR_SPAN("sip:alice@example.com"),
			.n_remote = CR_SPAN("sip:bob@example.com"),
			.o_local = CR_SPAN("sip:alice@example.com"),
			.o_remote = CR_SPAN("sip:bob@elsewhere.example"),
	};
}

static inline cr_ref_t sample_ref(void)
{
	return (cr_ref_t){
			.hint = {0xab, 0xcd},
			.start = 1749999000,
			.sub = CR_SPAN(SAMPLE_SUB),
			.sid = CR_SPAN(SAMPLE_SID),
	};
}

static inline cr_ref_t sample_bound_ref(void)
{
	cr_ref_t ref = sample_ref();

	ref.fp = (cr_fp_t){.known = 1,
			.hash = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
					0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}};
	return ref;
}

/* What knows its far end. */
static inline cr_state_t sample_far(void)
{
	cr_state_t st = sample_full();

	st.n_media = 1;
	st.far = (cr_far_t){.sdp = CR_SPAN("c=IN IP4 192.0.2.7|m=audio 4000 "
									   "RTP/AVP 8|a=rtpmap:8 PCMA/8000"),
			.offer = 1,
			.update = 1,
			.timer = CR_SPAN("1800;refresher=uas")};
	return st;
}

/* What is bound to the same certificate. */
static inline cr_state_t sample_bound(void)
{
	cr_state_t st = sample_full();

	st.fp = sample_bound_ref().fp;
	return st;
}

#endif
