# SPDX-License-Identifier: GPL-2.0-or-later
#
# A gateway between clients with passwords and a trunk.

import sys
import KSR

FLAGS = "replace-origin replace-session-connection"


def define(name):
    return KSR.pv.get("$def(%s)" % name).replace('"', "")


def password():
    realm = KSR.pv.get("$fd")
    if KSR.auth_db.auth_check(realm, "subscriber", 1) < 0:
        KSR.auth.auth_challenge(realm, 1)
        sys.exit()
    if not KSR.is_REGISTER():
        KSR.auth.consume_credentials()


def relay():
    if KSR.is_INVITE():
        KSR.rtpengine.rtpengine_manage(FLAGS)
    if KSR.is_BYE():
        KSR.rtpengine.rtpengine_delete0()
    if KSR.siputils.has_totag() > 0 and not KSR.isdsturiset():
        KSR.nathelper.handle_ruri_alias()
    KSR.tm.t_on_reply("ksr_onreply")
    if KSR.tm.t_relay() < 0:
        KSR.sl.sl_reply_error()
    sys.exit()


def within_dialog():
    if KSR.rr.loose_route() > 0:
        relay()
    if not KSR.is_ACK():
        KSR.sl.send_reply(404, "Not here")
    sys.exit()


# ----- what Kamailio calls -----

def mod_init():
    return Gateway()


class Gateway:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.send_reply(483, "Too Many Hops")
            return 1
        KSR.force_rport()
        if KSR.is_REGISTER():
            KSR.nathelper.fix_nated_register()
        else:
            KSR.nathelper.set_contact_alias()
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                relay()
            return 1
        if not KSR.is_ACK() and KSR.tmx.t_precheck_trans() > 0:
            KSR.tm.t_check_trans()
            return 1
        if KSR.tm.t_check_trans() == 0:
            return 1

        if KSR.siputils.has_totag() > 0:
            within_dialog()

        # only new ones
        if KSR.is_REGISTER() or KSR.is_myself_furi():
            password()
        KSR.hdr.remove("Route")
        if KSR.is_REGISTER():
            if KSR.registrar.save("location", 4) < 0:
                KSR.sl.sl_reply_error()
            return 1
        if KSR.is_INVITE():
            KSR.rr.record_route()
        if KSR.is_myself_ruri() and KSR.registrar.lookup("location") > 0:
            relay()
        if not KSR.is_myself_furi():
            KSR.sl.send_reply(404, "Not Found")
            return 1
        KSR.pv.sets("$du", define("TRUNK"))
        relay()
        return 1

    def ksr_onreply(self, msg):
        KSR.nathelper.set_contact_alias()
        if KSR.textops.has_body_type("application/sdp") > 0:
            KSR.rtpengine.rtpengine_manage(FLAGS)
        return 1
