/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What cr_sip_parse() sees in messages, for the JavaScript tests: the browser's
 * reader has to see the same.
 *
 *	tool_fields < messages
 *
 * One message a line, in hexadecimal; one line of JSON for each: null where it
 * is refused, otherwise
 *
 *	{"status": 0, "method": "...", "fields": [["Via", "..."], ...],
 *	 "from": ["URI", "tag"], "to": [...], "media": [["audio", "sendrecv"], ...]}
 *
 * with every text in hexadecimal but the names of fields, which are those of
 * sip.h, and what is in media. An address that is none is null.
 */
#include "helper.h"

#include "sdp.h"
#include "sip.h"

#define MESSAGE_MAX 65536

static const char *const names[CR_HDR_N] = {
		[CR_VIA] = "via",
		[CR_FROM] = "from",
		[CR_TO] = "to",
		[CR_CALL_ID] = "call-id",
		[CR_CSEQ] = "cseq",
		[CR_CONTACT] = "contact",
		[CR_ROUTE] = "route",
		[CR_RECORD_ROUTE] = "record-route",
		[CR_RACK] = "rack",
		[CR_EVENT_HDR] = "event",
		[CR_REPLACES] = "replaces",
		[CR_JOIN] = "join",
		[CR_REFER_TO] = "refer-to",
		[CR_TARGET_DIALOG] = "target-dialog",
		[CR_AUTHORIZATION] = "authorization",
		[CR_CALL_STATE] = "call-state",
		[CR_FINGERPRINT] = "call-state-fingerprint",
		[CR_SESSION] = "call-state-session",
};

static void show_hex(cr_span_t s)
{
	putchar('"');
	for(size_t i = 0; i < s.len; i++)
		printf("%02x", (unsigned char)s.s[i]);
	putchar('"');
}

static void show_address(const char *name, const cr_field_t *field)
{
	cr_addr_t a;

	printf(", \"%s\": ", name);
	if(cr_addr_parse(&a, field->value) != CR_OK) {
		printf("null");
		return;
	}
	putchar('[');
	show_hex(a.uri);
	printf(", ");
	show_hex(cr_tag_of(field->value));
	putchar(']');
}

static void show_media(cr_span_t body)
{
	cr_media_t media[CR_STATE_MEDIA_MAX];
	int n = cr_sdp_media(media, body, 1);

	printf(", \"media\": [");
	for(int i = 0; i < n; i++) {
		printf("%s[", i > 0 ? ", " : "");
		show_hex(media[i].kind);
		printf(", \"%.*s\"]", (int)media[i].direction.len,
				media[i].direction.s);
	}
	putchar(']');
}

static void show_message(cr_span_t text)
{
	static cr_sip_t m;

	if(cr_sip_parse(&m, text) != CR_OK) {
		puts("null");
		return;
	}
	printf("{\"status\": %d, \"method\": ", m.status);
	show_hex(m.method);
	printf(", \"fields\": [");
	for(int i = 0; i < m.n_fields; i++) {
		printf("%s[\"%s\", ", i > 0 ? ", " : "", names[m.fields[i].id]);
		show_hex(m.fields[i].value);
		putchar(']');
	}
	putchar(']');
	show_address("from", cr_sip_field(&m, CR_FROM));
	show_address("to", cr_sip_field(&m, CR_TO));
	show_media(m.body);
	puts("}");
}

int main(void)
{
	static char line[2 * MESSAGE_MAX + 2];
	static uint8_t text[MESSAGE_MAX];

	while(fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		size_t len = unhex(text, sizeof(text), line);
		/* To the byte, so that a sanitizer sees who reads behind it. */
		char *copy = malloc(len + 1);

		if(copy == NULL)
			return 2;
		memcpy(copy, text, len);
		show_message((cr_span_t){copy, len});
		free(copy);
	}
	return 0;
}
