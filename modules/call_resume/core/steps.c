/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "steps.h"

#include "bytes.h"

/* Each is less than 32768 ahead of the one before, and the first one of the last: so one of
 * them is ahead of whatever came before, and then all that follow are. From the last one on
 * all of 1 to 32767 are ahead. */
static const uint16_t numbers[CR_STEPS] = {21845, 43690, 65535};

/* What a sample of silence is. */
static const struct
{
	cr_span_t name;
	int type;
	uint8_t silence;
} laws[] = {
		{CR_SPAN_INIT("PCMU/8000"), 0, 0xff},
		{CR_SPAN_INIT("PCMA/8000"), 8, 0xd5},
};

#define LAWS (sizeof(laws) / sizeof(laws[0]))

int cr_steps_type(cr_span_t codec)
{
	for(size_t i = 0; i < LAWS; i++) {
		if(cr_span_eq(laws[i].name, codec))
			return laws[i].type;
	}
	return -1;
}

void cr_step(uint8_t *out, int n, int type, uint32_t ssrc)
{
	cr_writer_t w = cr_writer(out, 12);

	cr_put_u8(&w, 0x80); /* version 2 */
	cr_put_u8(&w, (uint8_t)type);
	cr_put_be16(&w, numbers[n]);
	cr_put_be32(&w, (uint32_t)n * 160);
	cr_put_be32(&w, ssrc);
	memset(out + 12, laws[type == laws[0].type ? 0 : 1].silence,
			CR_STEP_LEN - 12);
}

int cr_steps_sdp(char *out, size_t *len, cr_span_t address, int is6, int port,
		cr_span_t rtpmap)
{
	char made[CR_STEPS_SDP_MAX];
	cr_writer_t w = cr_writer(made, sizeof(made));
	const char *net = is6 ? " IN IP6 " : " IN IP4 ";

	cr_put_str(&w, "v=0\r\no=- 1 1");
	cr_put_str(&w, net);
	cr_put_span(&w, address);
	cr_put_str(&w, "\r\ns=-\r\nc=");
	cr_put_str(&w, net + 1);
	cr_put_span(&w, address);
	cr_put_str(&w, "\r\nt=0 0\r\nm=audio ");
	cr_put_uint(&w, (uint64_t)port);
	cr_put_str(&w, " RTP/AVP ");
	cr_put_uint(&w, (uint64_t)cr_steps_type(rtpmap));
	cr_put_str(&w, "\r\na=rtpmap:");
	cr_put_uint(&w, (uint64_t)cr_steps_type(rtpmap));
	cr_put_str(&w, " ");
	cr_put_span(&w, rtpmap);
	cr_put_str(&w, "\r\na=sendrecv\r\n");
	if(cr_writer_end(&w) != CR_OK)
		return CR_ETOOBIG;
	memcpy(out, made, w.len);
	*len = w.len;
	return CR_OK;
}
