/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A call that nobody has answered yet, and whose caller is lost: its lives, the gateway with
 * tm's transaction of the INVITE, and two phones behind a proxy that forks. README.md says
 * what is in here, what is not, and what the mutations (-DMUTATE_...) are.
 *
 *   Client 0..2  the lives of one page, each born when the one before is lost
 *   Phone 0, 1   0 rings, so that its tag is the one of the early dialog; either may answer
 */

#ifndef LIVES
#define LIVES 3
#endif
#define PHONES 2
#define NONE 7    /* no state, no phone, nobody */
#define EARLY 6   /* the state of a call that rings; others are the phone that they are of */
#define DIALLED 5 /* no state yet: the names of the INVITE */
#define IS_EARLY(st) ((st) == EARLY || (st) == DIALLED)

mtype = { RING, OK, COME, END, /* to a client: 180, 200, 500 with a state, a failure */
	ROK };                     /* and the 200 of its resume */
mtype = { ACK, CANCEL, BYE, LATE_BYE, RESUME }; /* to a phone; LATE_BYE: of the gateway */
mtype = { ANSWERED, REFUSED, RESUMED, GONE };   /* from a phone */

chan down[LIVES] = [4] of { mtype, byte };     /* what, of which phone */
chan net = [4] of { mtype, byte, byte };       /* from clients: what, who, state or phone */
chan up = [6] of { mtype, byte, byte };        /* to phones: what, which, for whom */
chan from = [6] of { mtype, byte, byte };      /* from phones: what, which, for whom */

/* ---- the ends ---------------------------------------------------------------- */

mtype = { UNBORN, WAITS, UP, DONE, LOST };
mtype client[LIVES] = UNBORN;
byte with[LIVES] = NONE;
byte stored = NONE; /* what the page's storage has of the call */
bit hung_up = 0;
bit nobody = 0;     /* comes back any more */

mtype = { RINGS, OFF_HOOK, TALKS, OVER }; /* OFF_HOOK: its 200 has no ACK yet */
mtype phone[PHONES] = RINGS;
byte owner[PHONES] = 0;
byte repeats[PHONES] = 2;
bit taken[PHONES]; /* a resume has come: a BYE with a lower CSeq is refused */

/* ---- the gateway --------------------------------------------------------------- */

mtype = { RINGING, DECIDED, FAILED, FORGOTTEN };
mtype first = RINGING; /* tm's transaction of the first INVITE */
byte answer = NONE;    /* who has answered it first */
bit canceled = 0;
byte parked = NONE;    /* the life that waits for its end */
byte kept = NONE;      /* the answer whose state is kept for its client */
bit resumed = 0;
bit gone[LIVES];       /* it knows that this connection is */

/* Names for what is asserted, so that pan prints them; always 0. */
bit no_orphan, no_call_is_lost, nobody_waits, hung_up_is_over, up_at_both;
#define ALWAYS(name, what) assert(name || (what))

inline tell(who, what, about)
{
	if
	:: client[who] == LOST
	:: else -> down[who]!what(about)
	fi
}

/* A 200 of a phone: the first one, once more, or of the other phone. */
inline gateway_answered(p)
{
	again = (answer == p);
	other = (answer != NONE && !again);
	if
	:: answer == NONE -> answer = p; first = DECIDED
	:: else
	fi;
	if
	:: gone[0] || parked != NONE || again ->
		up!ACK(p, 0);
		if
		:: gone[0] && (canceled || other) ->
#ifndef MUTATE_FORK_IS_LEFT
			up!BYE(p, 0)
#else
			skip
#endif
		:: else ->
			if
			:: !other && kept == NONE -> kept = p
			:: else
			fi
		fi
	:: else
	fi;
	if
	:: gone[0]
	:: else -> tell(0, OK, p)
	fi;
	if
	:: parked != NONE ->
		tell(parked, COME, (kept == NONE -> EARLY : kept));
		parked = NONE
	:: else
	fi
}

inline gateway_resume(who, st)
{
	if
	:: !IS_EARLY(st) -> up!RESUME(st, who)
#ifndef MUTATE_NO_STATE_KEPT
	:: st == EARLY && kept != NONE -> up!RESUME(kept, who)
#endif
#ifndef MUTATE_DIALLED_IS_OVER
	:: st == DIALLED && kept != NONE -> up!RESUME(kept, who)
#endif
	:: IS_EARLY(st) && kept == NONE && first == RINGING -> parked = who; tell(who, RING, 0)
	:: IS_EARLY(st) && kept == NONE && first == DECIDED -> tell(who, COME, EARLY)
	:: IS_EARLY(st) && kept == NONE && first == FAILED -> tell(who, END, 0)
	:: st == EARLY && kept == NONE && first == FORGOTTEN -> up!RESUME(0, who)
	/* It names no phone that could be asked. */
	:: st == DIALLED && kept == NONE && first == FORGOTTEN -> tell(who, END, 0)
#ifdef MUTATE_NO_STATE_KEPT
	:: st == EARLY && kept != NONE -> up!RESUME(0, who)
#endif
#ifdef MUTATE_DIALLED_IS_OVER
	:: st == DIALLED && kept != NONE ->
		ALWAYS(no_call_is_lost, hung_up || phone[kept] != TALKS);
		tell(who, END, 0)
#endif
	fi
}

inline gateway_failed()
{
	first = FAILED;
	tell(0, END, 0);
	if
	:: parked != NONE -> tell(parked, END, 0); parked = NONE
	:: else
	fi
}

inline gateway_cancel(who)
{
	if
	:: first == RINGING && (who == 0 || parked == who) ->
		canceled = 1;
		up!CANCEL(0, 0);
		if
		:: who != 0 -> parked = NONE; tell(who, END, 0)
		:: else
		fi
	:: else
	fi
}

active proctype Gateway()
{
	byte a, b;
	bit again, other;

end:
	do
	:: atomic { net?RESUME(a, b) -> gateway_resume(a, b); a = 0; b = 0 }
	:: atomic { net?CANCEL(a, b) -> gateway_cancel(a); a = 0; b = 0 }
	:: atomic { net?ACK(a, b) ->
		if
		:: b == kept -> resumed = 1
		:: skip
		fi;
		up!ACK(b, a); a = 0; b = 0 }
	:: atomic { net?BYE(a, b) -> up!BYE(b, a); a = 0; b = 0 }
	:: atomic { from?ANSWERED(a, b) -> gateway_answered(a); a = 0; b = 0; again = 0; other = 0 }
	:: atomic { from?REFUSED(a, b) ->
		if
		:: first == RINGING -> gateway_failed()
		:: else
		fi;
		a = 0; b = 0 }
	:: atomic { from?RESUMED(a, b) ->
		/* Or it has come by another node. */
		if
		:: a == kept -> resumed = 1
		:: skip
		fi;
		if
		:: client[b] == LOST -> up!ACK(a, b)
		:: else -> down[b]!ROK(a)
		fi;
		a = 0; b = 0 }
	:: atomic { from?GONE(a, b) ->
		ALWAYS(no_call_is_lost, hung_up || kept == NONE || phone[kept] != TALKS);
		tell(b, END, 0); a = 0; b = 0 }
	/* It hears that a connection is closed; a transaction ends some seconds after its answer. */
	:: atomic { client[0] == LOST && !gone[0] -> gone[0] = 1 }
	:: atomic { first == DECIDED && phone[0] != OFF_HOOK && phone[1] != OFF_HOOK && empty(from) -> first = FORGOTTEN }
	/* After answer_wait, which is long. */
	:: atomic { timeout && kept != NONE ->
		if
#ifndef MUTATE_NOBODY_HANGS_UP
		:: gone[0] && !resumed -> up!LATE_BYE(kept, 0)
#endif
		:: else
		fi;
		kept = NONE }
	od
}

/* ---- the phones ------------------------------------------------------------------ */

#define ALL_OVER (phone[0] == OVER && phone[1] == OVER)

inline phone_gets(what, p, who)
{
	if
	:: what == ACK && phone[p] == OFF_HOOK -> phone[p] = TALKS
	:: what == CANCEL ->
		d_step {
			if
			:: phone[0] == RINGS -> phone[0] = OVER
			:: else
			fi;
			if
			:: phone[1] == RINGS -> phone[1] = OVER
			:: else
			fi
		};
		if
		:: ALL_OVER -> from!REFUSED(0, 0)
		:: else
		fi
	:: what == BYE && (phone[p] == OFF_HOOK || phone[p] == TALKS) && owner[p] == who -> phone[p] = OVER
	:: what == LATE_BYE ->
		if
#ifndef MUTATE_BYE_ABOVE
		:: taken[p]
		:: else -> phone[p] = OVER
#else
		:: phone[p] = OVER
#endif
		fi
	:: what == RESUME && (phone[p] == OFF_HOOK || phone[p] == TALKS) ->
		owner[p] = who;
		taken[p] = 1;
		phone[p] = TALKS;
		from!RESUMED(p, who)
	:: what == RESUME && (phone[p] == OVER || phone[p] == RINGS) -> from!GONE(p, who)
	:: else
	fi
}

/* It does so for half a minute: by then the gateway knows of a connection that is closed. */
#define MORE(p) (repeats[p] > (gone[0] -> 0 : 1))

active proctype Phones()
{
	mtype what;
	byte p, who;

end:
	do
	:: atomic { phone[0] == RINGS -> phone[0] = OFF_HOOK; from!ANSWERED(0, 0) }
	:: atomic { phone[1] == RINGS -> phone[1] = OFF_HOOK; from!ANSWERED(1, 0) }
	/* Busy; or the proxy that forks ends what still rings. */
	:: atomic { phone[0] == RINGS -> phone[0] = OVER;
		if
		:: ALL_OVER -> from!REFUSED(0, 0)
		:: else
		fi }
	:: atomic { phone[1] == RINGS -> phone[1] = OVER;
		if
		:: ALL_OVER -> from!REFUSED(0, 0)
		:: else
		fi }
	/* Its 200 once more, as long as there is no ACK. */
	:: atomic { phone[0] == OFF_HOOK && MORE(0) && empty(from) && empty(up) && empty(net) ->
		repeats[0]--;
		from!ANSWERED(0, 0) }
	:: atomic { phone[1] == OFF_HOOK && MORE(1) && empty(from) && empty(up) && empty(net) ->
		repeats[1]--;
		from!ANSWERED(1, 0) }
	:: atomic { up?what(p, who) -> phone_gets(what, p, who); what = 0; p = 0; who = 0 }
	od
}

/* ---- the client -------------------------------------------------------------------- */

proctype Client(byte id)
{
	mtype what;
	byte p;

	if
	:: id == 0 ->
		/* Its INVITE goes out, and it keeps the names of that; or it is none that does. */
		atomic {
			client[0] = WAITS;
			if
			:: stored == NONE -> stored = DIALLED
			:: skip
			fi
		}
	:: else ->
end_unborn:
		atomic {
			client[id - 1] == LOST ->
			if
			:: stored == NONE || hung_up -> client[id] = DONE
			:: stored != NONE && !hung_up -> client[id] = WAITS; net!RESUME(id, stored)
			:: nobody = 1; client[id] = DONE
			fi
		}
	fi;
end:
	do
	/* Whoever is lost after the last life has resumed, or has hung up meanwhile, is one of resume.pml. */
	:: atomic { id < LIVES - 1 && client[id] == WAITS && !hung_up -> client[id] = LOST; with[id] = NONE }
	/* No CANCEL in front of a provisional answer (RFC 3261 section 9.1). */
	:: atomic { client[id] == WAITS && !hung_up && (stored == EARLY || (stored == DIALLED && id > 0)) -> hung_up = 1; net!CANCEL(id, 0) }
	:: atomic { down[id]?what(p) ->
		if
		:: client[id] == LOST
		:: client[id] == DONE && what != OK
		:: client[id] == DONE && what == OK -> net!ACK(id, p); net!BYE(id, p)
		:: client[id] == WAITS && what == RING
		:: client[id] == WAITS && what == END -> client[id] = DONE
		:: client[id] == WAITS && what == COME -> net!RESUME(id, (p == EARLY -> stored : p))
		:: client[id] == WAITS && (what == OK || what == ROK) ->
			client[id] = UP;
			with[id] = p;
			stored = p;
			net!ACK(id, p);
			if
			:: hung_up -> client[id] = DONE; with[id] = NONE; net!BYE(id, p)
			:: else
			fi
		/* The other phone's, or the same once more (RFC 3261 section 13.2.2.4). */
		:: client[id] == UP && what == OK ->
			net!ACK(id, p);
			if
			:: p != with[id] -> net!BYE(id, p)
			:: else
			fi
		:: client[id] == UP && what != OK
		fi;
		what = 0; p = 0 }
	od
}

/* The phone has rung: the first life hears it, and keeps the state. */
active proctype Rings()
{
	if
	:: atomic { client[0] == WAITS && first == RINGING -> stored = EARLY }
	:: skip /* it is lost before */
	fi
}

#define IS_IN(id, p) (client[id] == UP && with[id] == p)
#if LIVES == 2
#define TALKS_TO(p) (IS_IN(0, p) || IS_IN(1, p))
#else
#define TALKS_TO(p) (IS_IN(0, p) || IS_IN(1, p) || IS_IN(2, p))
#endif
/* Who had the call again and is lost then is one of resume.pml. */
#define AWAY(p) (nobody && taken[p] && client[owner[p]] == LOST)
#define FREE(p) ((phone[p] != TALKS && phone[p] != OFF_HOOK) || TALKS_TO(p) || AWAY(p))

init {
	byte i = 0;

	atomic {
		do
		:: i < LIVES -> run Client(i); i++
		:: else -> break
		od
	};
	/* Where nothing can happen any more, that of the timer included. */
	timeout && kept == NONE && empty(up) && empty(from) && empty(net);
	atomic {
		ALWAYS(no_orphan, FREE(0) && FREE(1));
		ALWAYS(nobody_waits, client[LIVES - 1] != WAITS && client[0] != WAITS && client[1] != WAITS);
		ALWAYS(hung_up_is_over, !hung_up || (phone[0] != TALKS && phone[1] != TALKS));
		ALWAYS(up_at_both, client[LIVES - 1] != UP || phone[with[LIVES - 1]] == TALKS)
	}
}
