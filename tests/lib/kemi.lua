-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- The routes of a small gateway: as cfg/kamailio.cfg, without WebSocket.

local here = string.match(debug.getinfo(1).source, "^@(.*)/[^/]*$")
local resume = dofile(here .. "/../../cfg/resume.lua")
resume.away_timer = 1000

-- The value of a #!define, without its quotes.
local function define(name)
	return (string.gsub(KSR.pv.get("$def(" .. name .. ")"), '"', ""))
end

local function is_from_trunk()
	return KSR.pv.get("$si") == define("TRUNK_IP")
end

local function has_sdp()
	return KSR.textops.has_body_type("application/sdp") > 0
end

local FOR_PHONE = "trust-address replace-origin replace-session-connection ICE=remove RTP/AVP port-latching"
	.. " endpoint-learning-off strict-source"

resume.is_from_trunk = is_from_trunk
resume.offer = function() KSR.rtpengine.rtpengine_offer(FOR_PHONE) end
resume.answer = function()
	if has_sdp() then KSR.rtpengine.rtpengine_answer(FOR_PHONE) end
end

local function relay()
	if KSR.is_INVITE() and has_sdp() then KSR.rtpengine.rtpengine_offer(FOR_PHONE) end
	KSR.tm.t_on_reply("ksr_onreply_manage")
	if KSR.tm.t_relay() < 0 then
		resume.unreachable()
		KSR.sl.sl_reply_error()
	end
	KSR.x.exit()
end

local function transaction()
	if KSR.is_CANCEL() then
		if KSR.tm.t_check_trans() > 0 then relay() end
		KSR.x.exit()
	end
	if not KSR.is_ACK() and KSR.tmx.t_precheck_trans() > 0 then
		KSR.tm.t_check_trans()
		KSR.x.exit()
	end
	if KSR.tm.t_check_trans() == 0 then KSR.x.exit() end
end

local function within_dialog()
	if KSR.siputils.has_totag() < 0 then return end
	if KSR.rr.loose_route() < 0 then
		if not KSR.is_ACK() then KSR.sl.send_reply(481, "Call/Transaction Does Not Exist") end
		KSR.x.exit()
	end
	resume.uri()
	resume.within_dialog()
	if KSR.is_BYE() and KSR.pv.get("$avp(unproved)") ~= 1 then KSR.rtpengine.rtpengine_delete0() end
	relay()
end

-- What no route of a gateway calls, for the tests.
local function operate()
	local session = KSR.hdr.get("X-Session")
	if session ~= nil then
		if KSR.hdr.get("Authorization") ~= nil then KSR.call_resume.resume_auth() end
		local rc = KSR.call_resume.resume_session(KSR.pv.get("$fu"), session)
		KSR.sl.send_reply(rc > 0 and 299 or 499, rc .. " " .. (KSR.pv.get("$resume(sid)") or "none"))
		KSR.x.exit()
	end
	local sid = KSR.hdr.get("X-Revoke")
	if sid == nil then return end
	local done = KSR.hdr.get("X-Brief") == nil and KSR.call_resume.resume_revoke("sid", sid)
		or KSR.call_resume.resume_revoke_ttl("sid", sid, 50)
	KSR.sl.send_reply(done > 0 and 299 or 499, "Done")
	KSR.x.exit()
end

function ksr_request_route()
	if KSR.maxfwd.process_maxfwd(10) < 0 then
		KSR.sl.send_reply(483, "Too Many Hops")
		KSR.x.exit()
	end
	transaction()
	operate()
	resume.sdp()
	resume.request()
	if not is_from_trunk() then
		KSR.force_rport()
		if not KSR.is_REGISTER() and not resume.contact() then
			if not KSR.is_ACK() then KSR.sl.send_reply(400, "Bad Contact") end
			KSR.x.exit()
		end
	end
	within_dialog()
	if not is_from_trunk() then resume.authenticate() end
	resume.hide_token()
	KSR.hdr.remove("Authorization")
	KSR.hdr.remove("Route")
	if KSR.is_REGISTER() then
		resume.register()
		if KSR.registrar.save("location", 4) < 0 then KSR.sl.sl_reply_error() end
		KSR.x.exit()
	end
	if KSR.is_INVITE() then
		resume.call()
		KSR.rr.record_route()
	end
	if KSR.is_myself_ruri() and KSR.registrar.lookup("location") > 0 then
		relay()
	end
	if is_from_trunk() then
		KSR.sl.send_reply(480, "Temporarily Unavailable")
		KSR.x.exit()
	end
	KSR.pv.sets("$du", define("TRUNK_URI"))
	relay()
end

function ksr_event(name)
	resume.event(name)
	local get = function(n) return tostring(KSR.pv.get("$resume(" .. n .. ")")) end
	KSR.notice("EVENT " .. name .. " " .. get("code") .. " " .. get("sub") .. " " .. get("id") .. "\n")
	return 1
end

function ksr_onreply_manage()
	resume.sdp_of_reply()
	if has_sdp() then resume.answer() end
end

function ksr_reply_route()
	if not is_from_trunk() and KSR.pv.get("$rs") < 300 and not resume.contact() then KSR.hdr.remove("Contact") end
	return 1
end
