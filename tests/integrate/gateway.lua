-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- A gateway between clients with passwords and a trunk.

local FLAGS = "replace-origin replace-session-connection"

local function define(name)
	return (string.gsub(KSR.pv.get("$def(" .. name .. ")"), '"', ""))
end

local function password()
	local realm = KSR.pv.get("$fd")
	if KSR.auth_db.auth_check(realm, "subscriber", 1) < 0 then
		KSR.auth.auth_challenge(realm, 1)
		KSR.x.exit()
	end
	if not KSR.is_REGISTER() then KSR.auth.consume_credentials() end
end

local function relay()
	if KSR.is_INVITE() then KSR.rtpengine.rtpengine_manage(FLAGS) end
	if KSR.is_BYE() then KSR.rtpengine.rtpengine_delete0() end
	if KSR.siputils.has_totag() > 0 and not KSR.isdsturiset() then KSR.nathelper.handle_ruri_alias() end
	KSR.tm.t_on_reply("ksr_onreply")
	if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end
	KSR.x.exit()
end

local function within_dialog()
	if KSR.rr.loose_route() > 0 then
		relay()
	end
	if not KSR.is_ACK() then KSR.sl.send_reply(404, "Not here") end
	KSR.x.exit()
end

function ksr_request_route()
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.send_reply(483, "Too Many Hops")
		KSR.x.exit()
	end
	KSR.force_rport()
	if KSR.is_REGISTER() then
		KSR.nathelper.fix_nated_register()
	else
		KSR.nathelper.set_contact_alias()
	end
	if KSR.is_CANCEL() then
		if KSR.tm.t_check_trans() > 0 then relay() end
		return 1
	end
	if not KSR.is_ACK() and KSR.tmx.t_precheck_trans() > 0 then
		KSR.tm.t_check_trans()
		return 1
	end
	if KSR.tm.t_check_trans() == 0 then return 1 end

	if KSR.siputils.has_totag() > 0 then within_dialog() end

	-- only new ones
	if KSR.is_REGISTER() or KSR.is_myself_furi() then
		password()
	end
	KSR.hdr.remove("Route")
	if KSR.is_REGISTER() then
		if KSR.registrar.save("location", 4) < 0 then KSR.sl.sl_reply_error() end
		return 1
	end
	if KSR.is_INVITE() then
		KSR.rr.record_route()
	end
	if KSR.is_myself_ruri() and KSR.registrar.lookup("location") > 0 then relay() end
	if not KSR.is_myself_furi() then
		KSR.sl.send_reply(404, "Not Found")
		return 1
	end
	KSR.pv.sets("$du", define("TRUNK"))
	relay()
end

function ksr_onreply()
	KSR.nathelper.set_contact_alias()
	if KSR.textops.has_body_type("application/sdp") > 0 then KSR.rtpengine.rtpengine_manage(FLAGS) end
	return 1
end
