/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Fingerprint and description: the input as what stands behind a=fingerprint:, and
 * as a description. One that needs a certificate needs no other one, and does
 * not do with none.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include "fingerprint.h"

#define MAX 8192

static char text[MAX + 256];

static int with(const uint8_t *data, size_t size, const char *line)
{
	cr_fp_t fp;

	memcpy(text, data, size);
	memcpy(&text[size], line, strlen(line));
	return cr_fp_of_sdp(&fp, (cr_span_t){text, size + strlen(line)});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char line[] = "\na=fingerprint:sha-256 ",
					  head[] = "\na=fingerprint:";
	char other[160];
	cr_fp_t fp = {0};
	int err = cr_fp_parse(&fp, (cr_span_t){(const char *)data, size});

	CHECK(err <= 0 && err != CR_EINTERNAL && fp.known == (err == CR_OK));
	CHECK(err != CR_OK || size == 8 + 32 * 3 - 1);
	fp.known = 0;
	err = cr_fp_of_sdp(&fp, (cr_span_t){(const char *)data, size});
	CHECK(err <= 0 && err != CR_EINTERNAL && fp.known == (err == CR_OK));
	if(err != CR_OK || size > MAX)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	CHECK(memmem(text, size, head, sizeof(head) - 1) != NULL);
	fp.hash[0] ^= 1;
	memcpy(other, line, sizeof(line));
	for(int i = 0; i < 32; i++)
		sprintf(&other[sizeof(line) - 1 + 3 * i], "%02x%s",
				i < CR_FP_LEN ? fp.hash[i] : 0, i < 31 ? ":" : "");
	/* A line feed at the end of the input makes an empty line. */
	CHECK(with(data, size, other) != CR_OK);
	CHECK(with(data, size, "\nm=audio 1 RTP/AVP 0") != CR_OK);
	return 0;
}
