/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A phone without a browser whose call survives it: see README.md. What makes
 * it come back is in on_answered(), on_called(), on_offer(), resume() and
 * on_closed(); the rest is what every phone has.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <re/re.h>

#include "audio.h"
#include "kept.h"

enum
{
	EXPIRES_S = 300,
	/* How long it tries to come back, and the pause after the first attempt. */
	PATIENCE_MS = 30000,
	PAUSE_MS = 500,
	SECRET_MAX = 4096,
	/* Few transactions at a time. */
	BUCKETS = 16,
	/* Not back in the call, which may still be there. */
	EXIT_AGAIN = 75,
};

static struct phone
{
	/* What we were told. */
	const char *user, *file, *ca, *address, *target;
	char account[KEPT_NAME_MAX + 1];
	char password[SECRET_MAX],
			token[SECRET_MAX + 32]; /* one of them is empty */

	/* The SIP stack. */
	struct dnsc *dns;
	struct tls *tls;
	struct sip *sip;
	struct sipsess_sock *sock;
	struct sipreg *registration;
	const char *route[1];
	struct sa local;

	/* The call. */
	kept_t kept;
	struct sipsess *call;
	struct audio *audio;
	bool back; /* it is one that was resumed */
	bool ending;
	struct tmr pause;
	uint64_t give_up_ms, pause_ms;
	int status; /* what we exit with */
} phone;

/* What the network calls something is no order for the terminal that shows it. */
static void say(const char *fmt, ...)
{
	char text[1024] = "";
	va_list ap;

	va_start(ap, fmt);
	(void)re_vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for(char *c = text; *c; c++)
		if(*c < ' ' || *c > '~')
			*c = '?';
	(void)fprintf(stderr, "%s\n", text);
}

/* Stop when all that is under way has got its answer. */
static void end(int status)
{
	if(phone.ending)
		return;
	phone.ending = true;
	phone.status = status;
	tmr_cancel(&phone.pause);
	phone.call = mem_deref(phone.call); /* BYE, or CANCEL */
	phone.audio = mem_deref(phone.audio);
	phone.registration = mem_deref(phone.registration);
	phone.sock = mem_deref(phone.sock);
	sip_close(phone.sip, false);
}

static void on_sip_closed(void *arg)
{
	(void)arg;
	re_cancel();
}

/* --- what is kept --- */

static void keep(void)
{
	int err = kept_write(&phone.kept, phone.file);

	if(err)
		say("cannot keep the call in %s: %s", phone.file, strerror(err));
}

/* The state that a message of the gateway has, if it has one. */
static void take_state(const struct sip_msg *msg)
{
	const struct sip_hdr *field = sip_msg_xhdr(msg, "Call-State");

	if(field && !kept_take(&phone.kept, field->val.p, field->val.l))
		keep();
}

/* --- the call --- */

/* A re-INVITE of the far end: on hold, say. It may change what we need. */
static int on_offer(struct mbuf **answer, const struct sip_msg *msg, void *arg)
{
	bool offered = mbuf_get_left(msg->mb) > 0;
	int err = offered ? audio_read(phone.audio, msg->mb, true) : 0;

	(void)arg;
	if(!err)
		err = audio_describe(answer, phone.audio, !offered);
	if(!err)
		take_state(msg);
	return err;
}

/* The answer to our offer, in the 200, or in the ACK where we had been asked. */
static int on_answer(const struct sip_msg *msg, void *arg)
{
	(void)arg;
	return audio_read(phone.audio, msg->mb, false);
}

/* A 2xx has the state that there is from now on. */
static void on_answered(const struct sip_msg *msg, void *arg)
{
	(void)arg;
	take_state(msg);
	say(phone.back ? "back in the call" : "in a call");
}

static int on_password(
		char **user, char **password, const char *realm, void *arg)
{
	(void)realm;
	(void)arg;
	if(!phone.password[0])
		return EAUTH;
	return str_dup(user, phone.account) | str_dup(password, phone.password);
}

static bool resume_later(void);

/* What means that there is nothing to come back to; see docs/configuration.md
 * of call_resume. */
static bool is_over(uint16_t status)
{
	static const uint16_t over[]
			= {403, 404, 408, 410, 414, 481, 487, 513, 603};

	for(size_t i = 0; i < ARRAY_SIZE(over); i++)
		if(status == over[i])
			return true;
	return false;
}

static void on_closed(int err, const struct sip_msg *msg, void *arg)
{
	uint16_t status = msg ? msg->scode : 0;
	bool resuming = phone.back && (msg || err != ECONNRESET);

	(void)arg;
	phone.call = mem_deref(phone.call);
	phone.audio = mem_deref(phone.audio);
	if(resuming && !is_over(status)) {
		if(resume_later())
			return;
		say("not back yet: %u %s; start again to try again", status,
				msg ? "" : strerror(err));
		end(EXIT_AGAIN);
		return;
	}
	kept_drop(&phone.kept, phone.file);
	if(!msg)
		say("the far end has hung up");
	else
		say("over: %u %r", status, &msg->reason);
	end(msg ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* An INVITE of ours. @param fields  of the header, each with its line end */
static int invite(const char *target, const char *fields)
{
	struct mbuf *offer = NULL;
	int err = audio_alloc(&phone.audio, &phone.local);

	if(!err)
		err = audio_describe(&offer, phone.audio, true);
	if(!err)
		err = sipsess_connect(&phone.call, phone.sock, target, NULL, phone.user,
				phone.account, phone.route, 1, "application/sdp", offer,
				on_password, NULL, false, on_offer, on_answer, NULL,
				on_answered, NULL, NULL, on_closed, NULL, "%s%s", phone.token,
				fields);
	mem_deref(offer);
	return err;
}

/* The same as a new call, and one field more. */
static void resume(void *arg)
{
	static char field[KEPT_FIELD_MAX + 16];
	int err;

	(void)arg;
	strcpy(field, "Call-State: ");
	kept_field(field + strlen(field), &phone.kept);
	strcat(field, "\r\n");
	phone.back = true;
	err = invite(phone.kept.target, field);
	if(err) {
		say("cannot come back: %s", strerror(err));
		end(EXIT_FAILURE);
	}
}

/* With growing pauses, as long as there is time. */
static bool resume_later(void)
{
	uint64_t now = tmr_jiffies();

	if(phone.ending || now + phone.pause_ms > phone.give_up_ms)
		return false;
	tmr_start(&phone.pause, phone.pause_ms, resume, NULL);
	phone.pause_ms *= 2;
	return true;
}

static void call(void)
{
	int err = invite(phone.target, "");

	if(err) {
		say("cannot call %s: %s", phone.target, strerror(err));
		end(EXIT_FAILURE);
		return;
	}
	strcpy(phone.kept.target, phone.target);
	say("calling %s", phone.target);
}

/* Somebody calls: we answer. The state is in the INVITE, and our tag is ours. */
static void on_called(const struct sip_msg *msg, void *arg)
{
	struct mbuf *answer = NULL;
	int err;

	(void)arg;
	if(phone.call || phone.ending || tmr_isrunning(&phone.pause)) {
		(void)sip_treply(NULL, phone.sip, msg, 486, "Busy Here");
		return;
	}
	err = audio_alloc(&phone.audio, &phone.local);
	if(!err)
		err = on_offer(&answer, msg, NULL);
	if(!err)
		err = sipsess_accept(&phone.call, phone.sock, msg, 200, "OK",
				phone.account, "application/sdp", answer, on_password, NULL,
				false, on_offer, on_answer, on_answered, NULL, NULL, on_closed,
				NULL, NULL);
	mem_deref(answer);
	if(err) {
		phone.audio = mem_deref(phone.audio);
		kept_drop(&phone.kept, phone.file);
		(void)sip_treply(NULL, phone.sip, msg, 488, "Not Acceptable Here");
		return;
	}
	say("called by %r", &msg->from.auri);
	if(phone.kept.state[0]) {
		/* Who called is in the state: the INVITE may go to whomever. */
		strcpy(phone.kept.target, phone.user);
		/* As libre writes it. */
		re_snprintf(
				phone.kept.tag, sizeof(phone.kept.tag), "%016llx", msg->tag);
		keep();
	}
}

/* --- the phone --- */

/* We are reachable: for the first time there is something to do. */
static void on_registered(int err, const struct sip_msg *msg, void *arg)
{
	static bool done;

	(void)arg;
	if(phone.ending || (msg && msg->scode < 200))
		return;
	if(err || msg->scode >= 300) {
		if(err)
			say("cannot register: %s", strerror(err));
		else
			say("cannot register: %u %r", msg->scode, &msg->reason);
		if(!done)
			end(EXIT_FAILURE);
		return;
	}
	if(done)
		return;
	done = true;
	say("registered");
	if(phone.kept.state[0]) {
		phone.give_up_ms = tmr_jiffies() + PATIENCE_MS;
		phone.pause_ms = PAUSE_MS;
		resume(NULL);
	} else if(phone.target) {
		call();
	}
}

/* Hang up, and go. */
static void on_signal(int signal)
{
	(void)signal;
	if(phone.call)
		say("hung up");
	if(phone.call || phone.kept.state[0])
		kept_drop(&phone.kept, phone.file);
	end(EXIT_SUCCESS);
}

/* The servers of /etc/resolv.conf: for a gateway that is a name. */
static int resolver(void)
{
	struct sa servers[8];
	uint32_t n = ARRAY_SIZE(servers);

	if(dns_srv_get(NULL, 0, servers, &n))
		n = 0;
	return dnsc_alloc(&phone.dns, NULL, servers, n);
}

static int transports(void)
{
	int err = sip_transp_add(phone.sip, SIP_TRANSP_UDP, &phone.local);

	if(!err)
		err = sip_transp_add(phone.sip, SIP_TRANSP_TCP, &phone.local);
	if(!err)
		err = tls_alloc(&phone.tls, TLS_METHOD_SSLV23, NULL, NULL);
	if(!err)
		err = tls_add_ca(phone.tls, phone.ca);
	if(!err)
		err = sip_transp_add(
				phone.sip, SIP_TRANSP_TLS, &phone.local, phone.tls);
	return err;
}

static int start(void)
{
	char domain[KEPT_NAME_MAX + 1];
	int err = phone.address
			? sa_set_str(&phone.local, phone.address, 0)
			: net_default_source_addr_get(AF_INET, &phone.local);

	if(!err)
		err = resolver();
	if(!err)
		err = sip_alloc(&phone.sip, phone.dns, BUCKETS, BUCKETS, BUCKETS,
				"call_resume example", on_sip_closed, NULL);
	if(!err)
		err = transports();
	if(!err)
		err = sipsess_listen(&phone.sock, phone.sip, BUCKETS, on_called, NULL);
	if(err)
		return err;
	if(LIBRE_MAJOR < 2 && strstr(phone.route[0], "transport=tls"))
		say("this libre does not look at the gateway's certificate");
	re_snprintf(domain, sizeof(domain), "sip:%s", strchr(phone.user, '@') + 1);
	return sipreg_register(&phone.registration, phone.sip, domain, phone.user,
			NULL, phone.user, EXPIRES_S, phone.account, phone.route, 1, 0,
			on_password, NULL, false, on_registered, NULL, NULL, "%s",
			phone.token);
}

/* The first line of a file, behind what is in front. */
static int read_secret(char *secret, size_t size, const char *file)
{
	FILE *in = fopen(file, "r");
	int err = 0;

	if(!in)
		return errno;
	if(!fgets(secret, (int)size, in))
		err = EBADMSG;
	secret[strcspn(secret, "\r\n")] = '\0';
	fclose(in);
	return err;
}

static int read_token(const char *file)
{
	int n = sprintf(phone.token, "Authorization: Bearer ");
	int err = read_secret(phone.token + n, SECRET_MAX, file);

	strcat(phone.token, "\r\n");
	return err;
}

static int usage(void)
{
	(void)fprintf(stderr,
			"usage: phone -u sip:USER@DOMAIN -g GATEWAY -f FILE (-p FILE | -t "
			"FILE)\n"
			"             [-c FILE] [-l ADDRESS] [SIP-URI]\n\n"
			"  -g  sip:192.0.2.1, sip:gw.example.org;transport=tls, ...\n"
			"  -f  where the call is kept\n"
			"  -p  a file with the password        -t  a file with a token\n"
			"  -c  who has signed the gateway's certificate; %s\n"
			"  -l  the address of this machine, where it has several\n",
			phone.ca);
	return 2;
}

/* @return 0, or an exit status */
static int read_options(int argc, char **argv)
{
	const char *at;
	int c, err = 0;

	phone.ca = "/etc/ssl/certs/ca-certificates.crt";
	while((c = getopt(argc, argv, "u:g:f:p:t:c:l:")) != -1) {
		switch(c) {
			case 'u':
				phone.user = optarg;
				break;
			case 'g':
				phone.route[0] = optarg;
				break;
			case 'f':
				phone.file = optarg;
				break;
			case 'p':
				err |= read_secret(phone.password, SECRET_MAX, optarg);
				break;
			case 't':
				err |= read_token(optarg);
				break;
			case 'c':
				phone.ca = optarg;
				break;
			case 'l':
				phone.address = optarg;
				break;
			default:
				return usage();
		}
	}
	phone.target = argv[optind];
	at = phone.user ? strchr(phone.user, '@') : NULL;
	if(!at || strncmp(phone.user, "sip:", 4)
			|| strlen(phone.user) > KEPT_NAME_MAX || !phone.route[0]
			|| !phone.file || !phone.password[0] == !phone.token[0]
			|| (phone.target && strlen(phone.target) > KEPT_NAME_MAX))
		return usage();
	memcpy(phone.account, phone.user + 4, at - phone.user - 4);
	if(err)
		say("cannot read the password or token");
	return err ? EXIT_FAILURE : 0;
}

int main(int argc, char **argv)
{
	int err;

	phone.status = read_options(argc, argv);
	if(phone.status)
		return phone.status;
	(void)signal(SIGPIPE, SIG_IGN);
	err = kept_read(&phone.kept, phone.file);
	if(err && err != ENOENT) {
		say("%s: %s", phone.file, strerror(err));
		return EXIT_FAILURE;
	}
	tmr_init(&phone.pause);
	err = libre_init();
	if(!err)
		err = start();
	if(!err)
		err = re_main(on_signal);
	if(err) {
		say("phone: %s", strerror(err));
		phone.status = EXIT_FAILURE;
	}
	mem_deref(phone.tls);
	mem_deref(phone.dns);
	libre_close();
	memset(phone.password, 0, sizeof(phone.password));
	memset(phone.token, 0, sizeof(phone.token));
	return phone.status;
}
