/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Anybody who connects ends a Kamailio of before 6.1.4, and writes into its memory, before any
 * script has seen him: by a message that begins like one of MSRP, and by HTTP in chunks.
 * docs/upstream.md has both. The core has no hook there; but it reads by read() of the C
 * library, and by the hook of the module tls. Between these and its reader this sees to it that
 * what is read is never MSRP, and that a connection ends where chunks would begin.
 */
#include "kam_reader.h"

#if VERSIONVAL < 6001004
#define GUARDS
#endif

#ifdef GUARDS
#include <sys/socket.h>
#include <unistd.h>

#include "../../core/dprint.h"
#include "../../core/events.h"
#include "../../core/globals.h"
#include "../../core/tcp_conn.h"
#include "../../core/tcp_options.h"
#include "../../core/tls_hooks.h"
#include "../../core/mem/mem.h"
#include "../../core/mem/shm.h"

#include "core/reader.h"
#include "core/redirect.h"

/* ---- what a connection may be given ------------------------------------------------ */

/* Whatever comes now is not of MSRP, if it has not been a message before.
 * @return 1: chunks would begin */
static int is_over(struct tcp_req *r)
{
	r->flags |= F_TCP_REQ_MSRP_NO;
	return (r->flags & F_TCP_REQ_BCHUNKED) != 0;
}

/* @param fresh  where what has arrived begins, behind what is read
 * @return how many bytes of it there may be */
static size_t allowed(const struct tcp_req *r, const char *fresh, size_t len)
{
	const char *start = fresh;
	size_t at, n, to_go = 0;

	if(r->state == H_BODY && r->bytes_to_go > 0)
		to_go = (size_t)r->bytes_to_go;
	else if(r->state != H_SKIP_EMPTY && r->start >= r->buf && r->start < fresh)
		start = r->start;
	at = (size_t)(fresh - start);
	n = cr_reader_end_of((cr_span_t){start, at + len}, at, to_go) - at;
	/* A message of STUN has no empty line at its end: a byte at a time, then. */
	if(to_go == 0 && sr_event_enabled(SREV_STUN_IN)
			&& memchr(start, '\0', at + n) != NULL)
		n = cr_reader_end_of((cr_span_t){start, at + len}, at, 1) - at;
	return n;
}

/* ---- TCP --------------------------------------------------------------------------- */

/* The connection that is read into this, if it is one: its buffer is behind it, and it is read
 * up to its end. */
static struct tcp_connection *connection_of(int fd, const char *buf, size_t n)
{
	const size_t size = (size_t)cfg_get(tcp, tcp_cfg, rd_buf_size) - 1;
	const char *pool = shm_core_get_pool();
	struct tcp_connection *c;

	if(pool == NULL || buf < pool || n > size
			|| (size_t)(buf - pool) >= shm_mem_size
			|| (size_t)(buf - pool) + n < size + sizeof(*c))
		return NULL;
	c = (struct tcp_connection *)(uintptr_t)(buf + n - size - sizeof(*c));
	if((uintptr_t)c % _Alignof(struct tcp_connection) != 0)
		return NULL;
	return c->fd == fd && c->req.pos == buf && c->req.b_size == size
					&& c->req.buf == (char *)(c + 1)
			? c
			: NULL;
}

/* When a sender has closed his side, one read is the last for Kamailio, unless it fills the buffer.
 * So one that leaves something behind says that it does. What it says is added to the position
 * afterwards: what is not there is taken off that before. */
static ssize_t as_if_full(struct tcp_req *r, size_t n, size_t len)
{
	r->pos -= n - len;
	return (ssize_t)n;
}

static ssize_t guarded_read(int fd, void *buf, size_t n)
{
	struct tcp_connection *c = connection_of(fd, buf, n);
	ssize_t len, got;
	size_t some;

	if(c == NULL || c->type != PROTO_TCP)
		return read(fd, buf, n);
	if(is_over(&c->req))
		return 0; /* as if he had closed it */
	len = recv(fd, buf, n, MSG_PEEK | MSG_DONTWAIT);
	/* What had an error has no other one, and what comes from now on has not been seen. */
	if(len <= 0)
		return len;
	some = allowed(&c->req, buf, (size_t)len);
	got = read(fd, buf, some);
	return got > 0 && some < (size_t)len ? as_if_full(&c->req, n, (size_t)got)
										 : got;
}

/* ---- TLS ---------------------------------------------------------------------------- */

static int (*tls_read_all)(struct tcp_connection *c, rd_conn_flags_t *flags);

/* What has been decrypted and is not given yet: Kamailio asks for it at once. */
static struct
{
	int id; /* of its connection */
	size_t len;
	char *s;   /* NULL: nothing */
	int again; /* there is more behind it */
	int ends;  /* or nothing any more */
} rest;

static void end(struct tcp_connection *c, rd_conn_flags_t *flags)
{
	c->state = S_CONN_EOF;
	*flags |= RD_CONN_EOF;
}

static void forget_rest(void)
{
	if(rest.s != NULL)
		pkg_free(rest.s);
	rest.s = NULL;
}

/* @return how many bytes, or -1 */
static int give_rest(struct tcp_connection *c, rd_conn_flags_t *flags)
{
	struct tcp_req *r = &c->req;
	int len = (int)rest.len;

	*flags &= ~RD_CONN_REPEAT_READ;
	*flags |= rest.again;
	if(rest.ends)
		end(c, flags);
	if(rest.len > r->b_size - (size_t)(r->pos - r->buf))
		len = -1;
	else
		memcpy(r->pos, rest.s, rest.len);
	if(len > 0)
		r->pos += len;
	forget_rest();
	return len;
}

/* Of what has been read last the bytes behind the first n. @return n, or -1 */
static int keep_rest(struct tcp_connection *c, rd_conn_flags_t *flags,
		const char *fresh, size_t n)
{
	forget_rest();
	rest.len = (size_t)(c->req.pos - fresh) - n;
	rest.id = c->id;
	rest.again = *flags & RD_CONN_REPEAT_READ;
	rest.ends = c->state == S_CONN_EOF;
	rest.s = pkg_malloc(rest.len);
	if(rest.s == NULL) {
		PKG_MEM_ERROR;
		return -1;
	}
	memcpy(rest.s, fresh + n, rest.len);
	c->req.pos -= rest.len;
	*flags |= RD_CONN_REPEAT_READ;
	if(rest.ends) { /* not yet */
		c->state = S_CONN_OK;
		*flags &= ~RD_CONN_EOF;
	}
	return (int)n;
}

static int guarded_tls_read(struct tcp_connection *c, rd_conn_flags_t *flags)
{
	struct tcp_req *r = &c->req;
	int len, is_tls = c->type == PROTO_TLS;
	size_t n;

	if(is_tls && is_over(r)) {
		end(c, flags);
		return 0;
	}
	len = rest.s != NULL && rest.id == c->id ? give_rest(c, flags)
											 : tls_read_all(c, flags);
	if(len <= 0 || !is_tls)
		return len;
	n = allowed(r, r->pos - len, (size_t)len);
	return n < (size_t)len ? keep_rest(c, flags, r->pos - len, n) : len;
}
#endif

/* The module msrp wants such messages. */
void kam_reader_child(int rank)
{
#ifdef GUARDS
	if(rank <= 0 || sr_event_enabled(SREV_TCP_MSRP_FRAME))
		return;
	if(cr_redirect("read", (void (*)(void))guarded_read) != CR_OK)
		LM_WARN("on this machine strangers on TCP are not kept from what ends"
				" Kamailio, see docs/upstream.md\n");
	if(tls_hook.read != NULL) {
		tls_read_all = tls_hook.read;
		tls_hook.read = guarded_tls_read;
	}
#else
	(void)rank;
#endif
}
