# SPDX-License-Identifier: GPL-2.0-or-later
#
# resume.cfg for a Kamailio whose routes are written in Python (module app_python3): the same
# five under the same names, and why they are as they are is said there. The module is
# loaded, and its parameters are set, by include_file "resume.cfg" in kamailio.cfg. With this
# file beside the routes:
#
#     from resume import Resume
#     resume = Resume(KSR)
#
# Call in ksr_request_route() resume.request() after the transaction check and before
# anything looks at the dialog; resume.within_dialog() after loose_route();
# resume.authenticate() where clients are authenticated; resume.register() before save();
# resume.call() before a new INVITE is relayed. And, if you like, resume.unreachable() where
# t_relay() failed.
#
# Not here: bind_fingerprint, early media after a reload, the announcement, a client that has
# registered again over another connection and still has its call, and what resume.lua has beside
# the five to keep clients from the media server and the network inside (sdp(), contact(), uri()).

import sys

IN_DIALOG_MEDIA = ("INVITE", "UPDATE", "PRACK")
OVER_A_CONNECTION = tuple("transport=" + t for t in ("tcp", "tls", "ws", "wss"))


class Resume:
    """What resume.cfg has as defines:

    password()       asks for a password, and ends the script for who has none: RESUME_PASSWORD
    is_from_trunk()  true for what comes from the trunk: RESUME_FROM_TRUNK
    away_timer       ms, as AWAY_TIMER
    offer()          gives the offer to rtpengine, towards the trunk: RESUME_MEDIA_OFFER
    steps            as RESUME_STEPS: 1 for pages, 2 for every client. Needs offer(), with
                     rtpengine's flag port-latching, and the module textopsx
    """

    def __init__(self, ksr, password=None, is_from_trunk=None, away_timer=5000, offer=None, steps=0):
        self.ksr = ksr
        self.password = password
        self.is_from_trunk = is_from_trunk
        self.away_timer = away_timer
        self.offer = offer
        self.steps = steps

    def get(self, name):
        try:
            return self.ksr.pv.get(name)
        except UnicodeDecodeError:
            pass
        self.refuse(400, "Bad Request")  # Python cannot read it.

    def text(self, name):
        value = self.get(name)
        return "" if value is None else str(value)

    def refuse(self, code, reason):
        """Answers, but not an ACK, and ends the script."""
        if not self.ksr.is_ACK():
            self.ksr.sl.send_reply(code, reason)
        sys.exit()

    def no_dialog(self):
        self.refuse(481, "Call/Transaction Does Not Exist")

    def comes_from_trunk(self):
        return self.is_from_trunk is not None and self.is_from_trunk()

    def session(self):
        """The web session of a client that has a password."""
        if self.password is None or self.get("$resume(sub)") is not None:
            return
        user = self.get("$au")
        if user is None or user != self.get("$fU") or self.comes_from_trunk():
            return
        # Of several credentials nobody knows which have been looked at, and password() may have
        # looked at To alone.
        if int(self.get("$hdrc(Authorization)") or 0) + int(self.get("$hdrc(Proxy-Authorization)") or 0) != 1:
            return
        if self.get("$rm") == "REGISTER" and self.get("$fu") != self.get("$tu"):
            return
        if self.ksr.call_resume.resume_session_named("sip:%s@%s" % (user, self.text("$fd"))) < 0:
            self.ksr.notice("%s: no session, %s\n" % (self.text("$resume(sender)"), self.text("$resume(error)")))
            self.refuse(403, "Forbidden")

    def authenticate(self):
        """Ends the script unless the sender is the owner of the address in From. False for one
        who has a password and no token."""
        if self.password is not None and not self.text("$hdr(Authorization)").lower().startswith("bearer "):
            return False
        if self.ksr.call_resume.resume_auth() < 0:
            self.ksr.notice("%s: token refused, %s\n" % (self.text("$resume(sender)"), self.text("$resume(error)")))
            self.ksr.call_resume.resume_challenge(self.text("$fd"))
            sys.exit()
        if self.ksr.call_resume.resume_is_sender() < 0:
            self.ksr.notice("%s: the token is of another user\n" % self.text("$resume(sender)"))
            self.refuse(403, "Not your address")
        self.ksr.call_resume.resume_hide_token()
        return True

    def is_client(self):
        """True for a client that has proved who it is, False for what is no client's at all."""
        if self.comes_from_trunk():
            return False
        if not self.authenticate():
            if not self.ksr.is_myself_furi():
                return False
            self.password()
        self.session()
        if self.get("$resume(sub)") is None:
            self.refuse(403, "No Web Session")
        return True

    def set_body(self, sdp):
        self.ksr.textops.set_body(sdp, "application/sdp")
        self.ksr.textopsx.msg_apply_changes()

    def heard(self):
        """With steps: what leads a far end that reads RTP sequence numbers to those of the new
        client. An offer of ours comes before that of the client; what rtpengine makes of it goes
        nowhere."""
        if self.steps == 0 or self.offer is None:
            return
        if self.steps == 1 and self.ksr.call_resume.resume_has_ice() < 0:
            return
        if self.ksr.textops.has_body_type("application/sdp") < 0 or self.ksr.call_resume.resume_steps() < 0:
            return
        sdp = self.text("$rb")
        self.set_body(self.text("$resume(steps)"))
        self.offer()
        self.ksr.call_resume.resume_step()
        self.ksr.textopsx.msg_apply_changes()
        self.set_body(sdp)

    def back(self):
        """An INVITE with a call state becomes a re-INVITE of the old dialog."""
        rc = self.ksr.call_resume.resume_dialog()
        if rc == 0:  # Kamailio could not take the new message: there is none to go on with.
            sys.exit()
        if rc < 0:
            self.refuse(int(self.get("$resume(code)")), self.text("$resume(reason)"))
        self.heard()
        self.ksr.pv.seti("$avp(resumed)", 1)

    def again(self):
        """Both ends are clients of ours, and both have lost the call."""
        if self.ksr.call_resume.resume_open() < 0:
            return False
        callee = self.get("$resume(callee)")
        if callee is None or self.ksr.registrar.registered_uri("location", callee) < 0:
            return False
        if self.ksr.call_resume.resume_again() < 0:
            return False
        self.ksr.pv.sets("$ru", callee)
        self.ksr.pv.seti("$avp(again)", 1)
        return True

    def proved(self):
        """Requests in a dialog that prove nothing end here."""
        if self.ksr.hdr.is_present("Route") < 0:
            self.no_dialog()
        if self.comes_from_trunk():
            # Over UDP anybody can write another sender's address.
            if self.get("$pr") != "udp":
                return
            if self.get("$resume(in_call)") != 1 or self.get("$resume(spliced)") == 1:
                self.no_dialog()
            if self.get("$resume(known)") != 1:
                self.ksr.pv.seti("$avp(revoked)", 1)
            return
        if self.get("$resume(known)") == 1 or self.get("$avp(resumed)") == 1:
            return
        if (self.ksr.hdr.is_present("Authorization") < 0
                or self.ksr.call_resume.resume_auth() < 0 or self.ksr.call_resume.resume_is_sender() < 0):
            self.refuse(403, "Not in a call of ours")
        # Whose call it is nobody knows: leave its media alone where $avp(unproved) is 1.
        self.ksr.pv.seti("$avp(unproved)", 1)

    def request(self):
        asks = self.get("$resume(asks)")
        if int(self.get("$(ru{s.len})") or 0) >= 900:
            self.refuse(414, "Request-URI Too Long")
        if asks == "stale":
            self.no_dialog()
        if asks == "moved":
            if self.get("$resume(in_call)") != 1:
                self.no_dialog()
            self.refuse(200, "OK")
        if asks == "leaving":
            if self.ksr.call_resume.resume_leaving() < 0:
                self.no_dialog()
            self.refuse(200, "OK")
        if asks in ("resume", "again") and self.is_client():
            if asks == "resume" or not self.again():
                self.back()
        if self.is_from_trunk is not None and self.ksr.siputils.has_totag() > 0:
            self.proved()

    def within_dialog(self):
        """A fresh state, and the answer for a client that is away."""
        method = self.get("$rm")
        if self.get("$avp(unproved)") == 1:
            if method in IN_DIALOG_MEDIA:
                self.refuse(403, "Not in a call of ours")
            if method == "ACK" and self.ksr.textops.has_body() > 0:
                sys.exit()
        self.ksr.call_resume.resume_unmark_uri()
        # Of a session that has been revoked, with the trunk's address.
        if self.get("$avp(revoked)") == 1 and (
                self.get("$resume(connected)") != 1 or not self.text("$du").endswith(OVER_A_CONNECTION)):
            self.refuse(403, "Not in a call of ours")
        self.ksr.call_resume.resume_within_dialog()
        self.ksr.call_resume.resume_hide_token()
        if method == "ACK" or self.get("$resume(to_client)") != 1:
            return
        if self.get("$resume(connected)") == 0:
            self.ksr.call_resume.resume_away()
            sys.exit()
        self.ksr.tm.t_set_fr(0, self.away_timer)

    def register(self):
        """The client key, and the binding's web session."""
        self.session()
        if self.get("$resume(sub)") is not None:
            self.ksr.call_resume.resume_register()

    def call(self):
        """A new call, from and to whomever."""
        if self.get("$rm") != "INVITE":
            return
        self.session()
        self.ksr.call_resume.resume_call()

    def label(self):
        """What rtpengine has to keep of a call, behind the flags that it gets with the answer in a reply."""
        return " label=" + self.text("$resume(label)") if self.ksr.call_resume.resume_label() > 0 else ""

    def unreachable(self):
        """t_relay() failed."""
        if (self.get("$rm") == "INVITE" and self.ksr.siputils.has_totag() < 0
                and self.get("$avp(again)") != 1 and self.ksr.call_resume.resume_wait() > 0):
            sys.exit()
        if self.get("$avp(again)") == 1:
            self.refuse(491, "Far End Away")
        if self.get("$resume(to_client)") == 1 and self.get("$rm") not in ("ACK", "CANCEL"):
            self.ksr.call_resume.resume_away()
            sys.exit()
