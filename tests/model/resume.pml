/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A call that is up, its client lost, doubled and back again: client, gateway,
 * far end ("peer") and the network between them. README.md says what is in
 * here, what is not, and what the mutations (-DMUTATE_...) are.
 *
 *   Client 0..2  the lives of one web session in the order of their birth: a
 *                reload when the one before is dead, a doubled tab when not
 *   Client 3     another web session, with a stolen copy of the state
 *
 *      Client --- gateway --- up ------> Peer
 *      Client <-- down[] ---- gateway -- Peer
 *
 * The gateway has no state but rtpengine's: it acts when a message passes.
 */

#ifndef LIVES
#define LIVES 3
#endif
#define THIEF 3
#define PARTIES 4
#define NOBODY 7

#ifdef MUTATE_NO_CSEQ_JUMP
#define JUMP 1
#else
#define JUMP 6 /* for the 1000: more than all requests of a life */
#endif
#ifdef MUTATE_CLOSE_RESUMES
#define TICK 1 /* a life sends more requests than there are steps of 64 ms */
#else
#define TICK 4 /* for the time between two resumes, in steps of 64 ms */
#endif

#ifndef LOSSES
#define LOSSES 1 /* messages of which every copy is lost */
#endif
#ifndef SWAPS
#define SWAPS 1 /* messages that are overtaken by the next one */
#endif
#ifndef REFRESHES
#define REFRESHES 2 /* re-INVITEs, of whomever */
#endif
#ifndef RETRIES
#define RETRIES 1 /* of a resume that did not succeed */
#endif
#ifndef FLIGHT
#define FLIGHT 3 /* messages under way at most when somebody begins something */
#endif

mtype = { RES, INV, ACK, BYE,   /* from a client, RES: the INVITE that resumes */
	NOACK,                      /* no message: its ACK will not come */
	PINV, PBYE,                 /* from the peer */
	R_INV, R_BYE,               /* final replies to a client */
	R_PINV, R_PBYE };           /* final replies to the peer */

/* kind, which client, CSeq in O, status */
#define MSG { mtype, byte, byte, short }
chan up = [8] of MSG;
chan down[PARTIES] = [5] of MSG;

/* ---- the ends -------------------------------------------------------------- */

mtype = { UNBORN, ASKS, UP, ENDING, DOWN, DEAD, STUCK };
mtype client[PARTIES] = UNBORN;
mtype peer = UP;

byte cseq[PARTIES];      /* the last of each client, in O: N's and the offset of its maps */
byte peer_cseq = 1;      /* the highest that the peer has seen (RFC 3261 section 12.2.2) */
byte target = 0;         /* the peer's remote target: whose Contact it took last */
bit unacked[PARTIES];    /* the peer's 2xx that wait for an ACK */
byte media = 0;          /* whom rtpengine sends to */

/* What the tabs of a browser share: its storage, and in it the newest state. */
byte stored_cseq = 1;
byte stored_at = 0;

byte now = 0;            /* time matters between resumes only */
byte losses = LOSSES;
byte swaps = SWAPS;
byte refreshes = REFRESHES;
byte retries = RETRIES;
bit calm = 0;            /* from here on nobody begins anything: reactions and timers only */

/* ---- for the properties only ------------------------------------------------ */

byte order[PARTIES];     /* in which the peer took the lives in: the highest is in the call */
byte newest = 1;
bit ended = 0;           /* one that was in the call said BYE, and the other end heard it or was it */
byte ended_by = 0;       /* the newest at that time, when it was the client */

/* Names for what is asserted, so that pan prints them; always 0. */
bit no_takeover, older_tab_is_out, older_tab_ends_nothing;
bit nothing_pending, ends_agree, names_and_media_agree, bye_ends_both, not_reached, newer_one_goes_on;
#define ALWAYS(name, what) assert(name || (what))

/* ---- the network ------------------------------------------------------------ */

/* The message in hand. Nothing of it is left when a step is over. */
mtype k, k2;
byte i, i2, n, n2;
short s, s2;

inline done()
{
	k = 0; k2 = 0;
	i = 0; i2 = 0;
	n = 0; n2 = 0;
	s = 0; s2 = 0
}

/* A copy that is lost and sent again is a late one. So what remains of loss and
 * retransmission is that a message overtakes another, and that every copy is lost
 * (lost(), where it matters who gives up then). */
inline pass(ch, kind, who, num, status)
{
	assert(nfull(ch));
	if
	:: ch!kind(who, num, status)
	:: swaps > 0 && len(ch) > 0 ->
		swaps--;
		ch?k2(i2, n2, s2);
		ch!kind(who, num, status);
		ch!k2(i2, n2, s2)
	fi
}

inline lost(kind)
{
	losses > 0;
	losses--;
	printf("  lost: %e\n", kind)
}

/* Nobody begins anything while more than a few messages are under way. */
#define QUIET (len(up) + len(down[0]) + len(down[1]) + len(down[2]) + len(down[3]) < FLIGHT)
#define BEGIN (!calm && QUIET)
#ifdef KNOWN_TABS /* a search of its own: tabs are doubled, and nothing else happens */
#define END false
#else
#define END BEGIN
#endif

/* ---- the gateway ------------------------------------------------------------- */

/* A client that is away keeps nobody from hanging up: failure_route[BYE]. */
#ifdef MUTATE_BYE_500
#define AWAY_BYE 500
#else
#define AWAY_BYE 200
#endif
#ifndef AWAY_INVITE
#define AWAY_INVITE 408
#endif

#ifdef MUTATE_NO_SESSION_CHECK
#define REFUSED false
#else
/* The state opens under the key of the session that the token names, or not. */
#define REFUSED (id == THIEF)
#endif

/* An INVITE of this client: rtpengine_offer() comes before the peer's answer. */
inline gateway_invite(kind)
{
	media = id;
	if
	:: pass(up, kind, id, cseq[id], 0)
	:: lost(kind);
		media = NOBODY; /* tm's 408: failure_route[WITHIN_DIALOG] */
		down[id]!R_INV(id, 0, 408)
	fi
}

/* A resume, of a state of CSeq base that was sealed at base_at. */
inline gateway_resume()
{
	if
	:: REFUSED -> down[id]!R_INV(id, 0, 403)
	:: else ->
		if
		:: now < 2 -> now++
		:: skip
		fi;
		cseq[id] = base + JUMP + TICK * (now - base_at);
		gateway_invite(RES)
	fi
}

/* rtpengine_delete() for a BYE of client who. */
inline delete(who)
{
	ALWAYS(older_tab_ends_nothing, order[who] == newest || media != target || peer != UP);
	media = NOBODY
}

inline gateway_bye()
{
#ifdef MUTATE_DELETE_AT_BYE
	delete(id);
#endif
	if
	:: pass(up, BYE, id, cseq[id], 0)
	:: lost(BYE); down[id]!R_BYE(id, 0, 408)
	fi
}

/* The peer's answer to client i. */
inline gateway_answers(kind, status)
{
	printf("  peer answers %e %d to client %d\n", kind, status, i);
	if
	:: kind == R_INV && status == 481 -> media = NOBODY
#ifndef MUTATE_DELETE_AT_BYE
	:: kind == R_BYE && (status == 200 || status == 481) -> delete(i)
#endif
	:: else
	fi;
	if
	:: pass(down[i], kind, i, n, status)
	:: lost(kind); down[i]!kind(i, n, 408)
	fi
}

/* A client's answer to the peer; 408: it was not there to give one. */
inline gateway_returns(kind, status)
{
	s = status;
	if
	:: kind == R_PBYE && (s == 408 || s == 481) -> s = AWAY_BYE
	:: kind == R_PINV && s == 408 -> s = AWAY_INVITE
	:: else
	fi;
	if
	:: pass(up, kind, id, 0, s)
	:: lost(kind); up!kind(id, 0, (kind == R_PBYE -> AWAY_BYE : AWAY_INVITE))
	fi
}

/* ---- the client ------------------------------------------------------------- */

/* What it will not need any more: fewer states. */
inline forget()
{
	base = 0; base_at = 0; pending = 0; cseq[id] = 0
}

inline over()
{
	client[id] = DOWN;
	forget()
}

inline ask()
{
	client[id] = ASKS;
	printf("client %d resumes, state of CSeq %d\n", id, base);
	if
	:: gateway_resume()
#ifdef MUTATE_NO_TIMEOUT
	:: lost(RES)
#else
	:: lost(RES); down[id]!R_INV(id, 0, 408)
#endif
	fi
}

inline invite()
{
	refreshes--;
	pending = 1;
	cseq[id]++;
	printf("client %d: re-INVITE %d\n", id, cseq[id]);
	if
	:: gateway_invite(INV)
	:: lost(INV); down[id]!R_INV(id, 0, 408)
	fi
}

inline hang_up()
{
	client[id] = ENDING;
	pending = 0;
	cseq[id]++;
	printf("client %d: BYE %d\n", id, cseq[id]);
	if
	:: gateway_bye()
	:: lost(BYE); down[id]!R_BYE(id, 0, 408)
	fi
}

inline acknowledge()
{
	if
	:: pass(up, ACK, id, n, 0)
	:: lost(ACK); up!NOACK(id, n, 0)
	fi
}

/* It has not seen a 2xx, if there was one. */
inline gives_up()
{
	if
	:: s == 408 -> up!NOACK(id, 0, 0)
	:: else
	fi
}

/* Its ICE consent ends (RFC 7675) when rtpengine has no call, or the credentials
 * of another; a refresh of its session timer (RFC 4028) fails when the peer has
 * ended the call, or has taken a newer tab in. */
#if defined(MUTATE_NO_CLIENT_TIMERS)
#define NOTICES false
#elif defined(MUTATE_NO_SESSION_TIMERS)
#define NOTICES (media != id)
#else
#define NOTICES (media != id || peer == DOWN || target != id)
#endif

proctype Client(byte id)
{
	byte base, base_at;
	bit pending = 0; /* a re-INVITE of its own */

	if
	:: id == 0 -> client[0] = UP; cseq[0] = 1
	:: else ->
end_unborn:
		atomic {
			BEGIN && (id == THIEF || client[id - 1] != UNBORN) ->
			base = stored_cseq;
			base_at = stored_at;
			ask();
			done()
		}
	fi;
end_client:
	do
	/* The page is gone, without a word. */
	:: atomic { END && id != THIEF && (client[id] == UP || client[id] == ASKS || client[id] == ENDING) ->
		printf("client %d is lost\n", id);
		client[id] = DEAD;
		forget() }
	/* The user hangs up. */
	:: atomic { END && client[id] == UP && !pending ->
		if
		:: order[id] == newest -> ended_by = newest
		:: else
		fi;
		hang_up();
		done() }
	:: atomic { BEGIN && client[id] == UP && !pending && refreshes > 0 -> invite(); done() }
	/* The call does not work any more: an ICE restart, or the end. */
	:: atomic { QUIET && client[id] == UP && !pending && NOTICES ->
		printf("client %d notices that its call is dead\n", id);
		if
		:: refreshes > 0 -> invite()
		:: hang_up()
		fi;
		done() }

	:: atomic { down[id]?k(i, n, s) ->
		printf("client %d (%e) gets %e %d\n", id, client[id], k, s);
		if
		:: k == R_INV && s == 200 && (client[id] == ASKS || (client[id] == UP && pending)) ->
			client[id] = UP;
			pending = 0;
			if
			:: id != THIEF -> stored_cseq = n; stored_at = now
			:: else
			fi;
			acknowledge()
		:: k == R_INV && s != 200 && client[id] == ASKS ->
			gives_up();
			if
			:: (s == 491 || s == 500 || s == 408) && retries > 0 -> retries--; ask()
			:: over()
			fi
		/* RFC 3261 section 12.2.1.2. */
		:: k == R_INV && (s == 408 || s == 481) && client[id] == UP && pending ->
			gives_up();
			hang_up()
		:: k == R_INV && (s == 491 || s == 500) && client[id] == UP && pending ->
			pending = 0
		:: k == R_INV && !(client[id] == ASKS || (client[id] == UP && pending)) ->
			if
			:: s == 200 || s == 408 -> up!NOACK(id, 0, 0)
			:: else
			fi
		:: k == R_BYE ->
			if
			:: client[id] == ENDING -> over()
			:: else
			fi
		:: k == PBYE && (client[id] == UP || client[id] == ENDING) ->
			over();
			gateway_returns(R_PBYE, 200)
		:: k == PINV && client[id] == UP -> gateway_returns(R_PINV, (pending -> 491 : 200))
		/* No such dialog, or not yet. */
		:: k == PBYE && (client[id] == ASKS || client[id] == DOWN) -> gateway_returns(R_PBYE, 481)
		:: k == PINV && (client[id] == ASKS || client[id] == DOWN || client[id] == ENDING) ->
			gateway_returns(R_PINV, 481)
		/* Nobody there: tm's timer, or at once a connection that is closed. */
		:: k == PBYE && client[id] == DEAD -> gateway_returns(R_PBYE, 408)
		:: k == PINV && client[id] == DEAD -> gateway_returns(R_PINV, 408)
		fi;
		done() }
	od
}

/* ---- the peer ---------------------------------------------------------------- */

inline peer_invites()
{
	printf("peer: re-INVITE to client %d\n", target);
	refreshes--;
	pending = 1;
	if
	:: pass(down[target], PINV, target, 0, 0)
	:: lost(PINV); up!R_PINV(target, 0, AWAY_INVITE)
	fi
}

/* When the BYE does not even get to the gateway, its media stay. */
inline peer_hangs_up()
{
	printf("peer: BYE to client %d\n", target);
	peer = ENDING;
	if
	:: media = NOBODY;
		if
		:: pass(down[target], PBYE, target, 0, 0)
		:: lost(PBYE); up!R_PBYE(target, 0, AWAY_BYE)
		fi
	:: lost(PBYE); up!R_PBYE(target, 0, 408)
	fi
}

/* A request of client i in the dialog is taken: is it the right one's? */
inline takes()
{
	ALWAYS(no_takeover, i != THIEF);
	ALWAYS(older_tab_is_out, k == RES || order[i] == newest);
	peer_cseq = n
}

/* Silence for long; or a refresh of its session timer fails. */
#define SILENCE (media == NOBODY || client[media] != UP)
#if defined(MUTATE_NO_PEER_TIMERS)
#define PEER_NOTICES false
#elif defined(MUTATE_NO_SESSION_TIMERS)
#define PEER_NOTICES SILENCE
#else
#define PEER_NOTICES (SILENCE || client[target] != UP)
#endif

active proctype Peer()
{
	bit pending = 0; /* a re-INVITE of its own */

end_peer:
	do
	:: atomic { up?k(i, n, s) ->
		printf("peer (%e, has seen CSeq %d) gets %e %d of client %d, CSeq %d\n", peer, peer_cseq, k, s, i, n);
		if
		:: (k == RES || k == INV) && peer != UP -> gateway_answers(R_INV, 481)
		:: (k == RES || k == INV) && peer == UP && n <= peer_cseq -> gateway_answers(R_INV, 500)
		:: (k == RES || k == INV) && peer == UP && n > peer_cseq && pending ->
			peer_cseq = n;
			gateway_answers(R_INV, 491)
		:: (k == RES || k == INV) && peer == UP && n > peer_cseq && !pending ->
			takes();
			if
			:: k == RES -> newest++; order[i] = newest
			:: else
			fi;
			target = i;
			unacked[i] = 1;
			gateway_answers(R_INV, 200)
		:: k == BYE && peer != UP -> gateway_answers(R_BYE, 481)
		:: k == BYE && peer == UP && n <= peer_cseq -> gateway_answers(R_BYE, 500)
		:: k == BYE && peer == UP && n > peer_cseq ->
			takes();
			ended = 1;
			peer = DOWN;
			gateway_answers(R_BYE, 200)
		:: k == ACK -> unacked[i] = 0
		/* RFC 3261 section 14.2; some forget about it when a later ACK has come. */
		:: k == NOACK ->
			if
			:: peer == UP && unacked[i] ->
#ifdef KNOWN_UNACKED
				ALWAYS(newer_one_goes_on, target == i || client[target] != UP);
#endif
				peer_hangs_up()
			:: !(peer == UP && unacked[i]) || target != i
			fi;
			unacked[i] = 0
		:: k == R_PINV ->
			pending = 0;
			if
			:: peer == UP && (s == 408 || s == 481) -> peer_hangs_up()
			:: else
			fi
		:: k == R_PBYE -> peer = (s == 500 -> STUCK : DOWN)
		fi;
		done() }

	:: atomic { END && peer == UP && !pending && refreshes > 0 -> peer_invites(); done() }
	:: atomic { END && peer == UP -> ended = 1; peer_hangs_up(); done() }
	:: atomic { QUIET && peer == UP && PEER_NOTICES -> peer_hangs_up(); done() }
	od
}

/* ---- what holds --------------------------------------------------------------- */

#define UPS ((client[0] == UP) + (client[1] == UP) + (client[2] == UP) + (client[3] == UP))
#define SETTLED(id) (client[id] != ASKS && client[id] != ENDING)

/* Everything was played to its end: no message is under way, no timer runs. */
init
{
	atomic {
		order[0] = 1;
		run Client(0);
		run Client(1);
#if LIVES > 2
		run Client(2);
#endif
#ifdef WITH_THIEF
		run Client(THIEF)
#endif
	}
	calm = 1;
	atomic {
		timeout ->
		ALWAYS(bye_ends_both, !(ended || ended_by == newest) || (peer == DOWN && UPS == 0));
		ALWAYS(nothing_pending, peer != ENDING && SETTLED(0) && SETTLED(1) && SETTLED(2) && SETTLED(3));
		ALWAYS(names_and_media_agree, peer != UP
			|| (client[target] == UP && media == target && order[target] == newest));
		ALWAYS(ends_agree, (peer == UP && UPS == 1) || (peer != UP && UPS == 0));
#ifdef REACH
		ALWAYS(not_reached, !(peer == UP && client[LIVES - 1] == UP))
#endif
	}
}
