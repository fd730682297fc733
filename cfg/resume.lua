-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- resume.cfg for a Kamailio whose routes are written in Lua (module app_lua):
-- the same routes under the same names, and why they are as they are is said
-- there. The module is loaded, and its parameters are set, in kamailio.cfg.
--
--	local resume = dofile("/etc/kamailio/resume.lua")
--
-- In ksr_request_route() call resume.dialog() before anything looks at the
-- dialog; in front of loose_route(), for all but the trunk, resume.known() and with
-- bind_fingerprint resume.media(), for the trunk on UDP resume.trunk(); after it for all
-- resume.within_dialog(); resume.authenticate() where clients are authenticated,
-- resume.register() before save(), resume.caller() before record_route();
-- resume.callee() in the branch callback towards a client, resume.reply(answer) in
-- ksr_reply_route(), and with bind_fingerprint resume.answer() first in the onreply callback.
--
-- And away.cfg, without the announcement and without two clients that find each other
-- when both were away: resume.away() before a request in a dialog is relayed,
-- resume.unreachable() where t_relay() failed, resume.failed(delete) first in the failure
-- callback of every request in a dialog.

-- resume.push = true is RESUME_PUSH of resume.cfg. With bind_fingerprint resume.offer(to_browser) is to give
-- the offer to rtpengine; it needs the module textopsx.

local resume = {}

-- As AWAY_TIMER, AWAY_ENDED and AWAY_STATUS in away.cfg.
resume.away_timer = 5000
resume.away_ended = "Call Ended While Away"
local AWAY_STATUS = "404|408|410|416|477|478|480|481|482|483|484|485|502|604"

local function get(name)
	return KSR.pv.get(name)
end

local function remove(name)
	if KSR.hdr.is_present(name) > 0 then KSR.hdr.remove(name) end
end

-- Ends the script unless the sender is the owner of the address in From.
function resume.authenticate()
	if KSR.call_resume.resume_auth() < 0 then
		KSR.notice(get("$fu") .. " from " .. get("$si") .. ": token refused, " .. get("$resume(error)") .. "\n")
		KSR.call_resume.resume_challenge(get("$fd"))
		KSR.x.exit()
	end
	local sub = get("$resume(sub)")
	if sub ~= get("$fu") or (get("$rm") == "REGISTER" and sub ~= get("$tu")) then
		KSR.notice(get("$fu") .. " from " .. get("$si") .. ": the token is of another user\n")
		KSR.sl.send_reply(403, "Not your address")
		KSR.x.exit()
	end
end

-- With bind_fingerprint: a new DTLS connection with the old certificate.
local function new_dtls()
	local sdp = get("$rb")

	KSR.textops.replace_body_all("a=fingerprint:[Ss][Hh][Aa]-256 [0-9A-Fa-f:]+",
		"a=fingerprint:sha-256 00" .. string.rep(":00", 31))
	KSR.textopsx.msg_apply_changes()
	resume.offer(string.find(get("$ru"), "alias=[^;]*~[56]") ~= nil)
	KSR.textopsx.msg_apply_changes()
	KSR.textops.set_body(sdp, "application/sdp")
	KSR.textopsx.msg_apply_changes()
end

-- An INVITE with a call state becomes a re-INVITE of the old dialog.
function resume.dialog()
	local in_dialog = KSR.siputils.has_totag() > 0

	if in_dialog and get("$resume(spliced)") ~= 1 and string.find(get("$tt"), ".crm1.", 1, true) then
		if get("$rm") ~= "ACK" then KSR.sl.send_reply(481, "Call/Transaction Does Not Exist") end
		KSR.x.exit()
	end
	if get("$rm") == "BYE" and in_dialog and get("$hdr(Call-State)") == "replaced" then
		if get("$resume(in_call)") == 1 then
			KSR.sl.send_reply(200, "OK")
		else
			KSR.sl.send_reply(481, "Call/Transaction Does Not Exist")
		end
		KSR.x.exit()
	end
	if KSR.hdr.is_present("Call-State") < 0 then return end
	resume.authenticate()
	local rc = KSR.call_resume.resume_dialog()
	-- Kamailio could not take the new message: there is none to go on with.
	if rc == 0 then KSR.x.exit() end
	if rc < 0 then
		KSR.sl.send_reply(get("$resume(code)"), get("$resume(reason)"))
		KSR.x.exit()
	end
	if resume.offer and get("$resume(bound)") == 1 then new_dtls() end
	-- For the callbacks of tm, where $resume() is not.
	KSR.pv.seti("$avp(resumed)", 1)
end

-- For requests in a dialog that do not come from the trunk, in front of loose_route(). Ends the script for one
-- that is in no call of ours.
function resume.known()
	if get("$resume(known)") == 1 or get("$avp(resumed)") == 1 then return end
	if string.find(string.lower(get("$(hdr(Authorization)[*])") or ""), "bearer", 1, true)
		and KSR.call_resume.resume_auth() > 0 and get("$resume(sub)") == get("$fu") then
		-- Whose call it is nobody knows: leave its media alone where $avp(unproved) is 1.
		KSR.pv.seti("$avp(unproved)", 1)
		return
	end
	if get("$rm") ~= "ACK" then KSR.sl.send_reply(403, "Not in a call of ours") end
	KSR.x.exit()
end

-- For requests in a dialog from the trunk's address over UDP, in front of loose_route().
function resume.trunk()
	if get("$resume(in_call)") == 1 then return end
	if get("$rm") ~= "ACK" then KSR.sl.send_reply(481, "Call/Transaction Does Not Exist") end
	KSR.x.exit()
end

-- With bind_fingerprint, for requests in a dialog that do not come from the trunk, before
-- resume.within_dialog(). Ends the script for one that wants the media of somebody else's certificate.
function resume.media()
	if KSR.call_resume.resume_check_media() > 0 then return end
	if get("$rm") ~= "ACK" then KSR.sl.send_reply(403, "Call is bound to another certificate") end
	KSR.x.exit()
end

-- A re-INVITE or UPDATE of either side: a fresh state.
function resume.within_dialog()
	if get("$avp(unproved)") == 1 then
		local method = get("$rm")
		if string.find(" INVITE UPDATE PRACK ", " " .. method .. " ", 1, true) then
			KSR.sl.send_reply(403, "Not in a call of ours")
			KSR.x.exit()
		end
		if method == "ACK" and KSR.textops.has_body() > 0 then KSR.x.exit() end
	end
	KSR.call_resume.resume_seal()
	-- In a dialog a token is of no use.
	resume.hide_token()
end

-- Nobody behind us gets to see the token. (nil is what is too long.)
function resume.hide_token()
	for _, name in ipairs({ "Authorization", "Proxy-Authorization" }) do
		if string.find(string.lower(get("$(hdr(" .. name .. ")[*])") or "bearer"), "bearer", 1, true) then remove(name) end
	end
end

-- 1 when a request without a Route may be relayed to its Request-URI.
function resume.is_spliced()
	return get("$resume(spliced)") == 1
end

-- The client key, and the binding's web session.
function resume.register()
	KSR.call_resume.resume_key()
	KSR.pv.sets("$xavp(client=>sub)", get("$resume(sub)"))
	for _, name in ipairs({ "sid", "kid" }) do
		KSR.pv.sets("$xavp(client[0]=>" .. name .. ")", get("$resume(" .. name .. ")"))
	end
	-- Whose certificate such calls are bound to, see bind_fingerprint.
	local fingerprint = get("$hdr(Call-State-Fingerprint)") or ""
	if #fingerprint == 103 and string.find(fingerprint, "^[Ss][Hh][Aa]%-256 [%x:]+$") then
		KSR.pv.sets("$xavp(client[0]=>fp)", fingerprint)
	end
end

-- A new call of a client.
function resume.caller()
	if get("$resume(sub)") ~= nil then KSR.call_resume.resume_seal() end
end

-- A new call to a client.
function resume.callee()
	local binding = "$xavp(client[" .. get("$T_branch_idx") .. "]=>"
	local sid = get(binding .. "sid)")

	if sid == nil then return end
	KSR.call_resume.resume_seal_bound(get(binding .. "sub)"), sid, get(binding .. "kid)"),
		get(binding .. "fp)") or "")
end

-- With bind_fingerprint, first in the onreply callback: an answer of the wrong certificate
-- goes to nobody.
function resume.answer()
	if KSR.call_resume.resume_check_media() > 0 then return end
	KSR.textopsx.remove_body()
	remove("Content-Type")
	KSR.textopsx.msg_apply_changes()
end

-- A reply that nobody here has asked for and that proves nothing goes nowhere. The 2xx
-- of a resume during which Kamailio died does: answer() takes it to rtpengine.
function resume.reply(answer)
	if KSR.call_resume.resume_check_reply() < 0 then
		KSR.set_drop()
		KSR.x.exit()
	end
	if resume.push then KSR.call_resume.resume_push() end
	if KSR.tm.t_check_trans() > 0 or get("$rm") ~= "INVITE" or get("$rs") < 200 or get("$rs") > 299
			or KSR.textops.has_body_type("application/sdp") < 0 then
		return
	end
	resume.answer()
	if KSR.textops.has_body_type("application/sdp") > 0 then answer() end
end

-- The receiver is a client that can resume.
local function is_to_client()
	local down = KSR.rr.is_direction("downstream") > 0

	return KSR.rr.check_route_param(down and ";crs-b=" or ";crs-a=") > 0
end

-- Answers for a client that is away, and ends the script.
local function answer_away()
	if get("$rm") == "BYE" then
		KSR.call_resume.resume_ended()
		KSR.sl.send_reply(200, "OK")
	elseif get("$rm") == "INVITE" then
		KSR.sl.send_reply(491, "Request Pending")
	else
		KSR.hdr.append_to_reply("Retry-After: " .. (1 + get("$TV(un)") % 9) .. "\r\n")
		KSR.sl.send_reply(500, "Client Away")
	end
	KSR.x.exit()
end

-- A request in a dialog. A connection that is gone is not looked for: t_relay() fails,
-- and resume.unreachable() answers.
function resume.away()
	if get("$rm") == "ACK" or not is_to_client() then return end
	KSR.pv.seti("$avp(to_client)", 1)
	KSR.tm.t_set_fr(0, resume.away_timer)
end

-- t_relay() failed.
function resume.unreachable()
	if get("$avp(to_client)") == 1 and get("$rm") ~= "CANCEL" then answer_away() end
end

-- A request in a dialog failed; delete() takes the call from rtpengine.
function resume.failed(delete)
	if get("$avp(to_client)") == 1 and KSR.tm.t_is_canceled() > 0 and KSR.tm.t_check_status(AWAY_STATUS) > 0 then
		KSR.sl.send_reply(487, "Request Terminated")
		KSR.x.exit()
	end
	if get("$avp(to_client)") == 1 and (get("$rm") == "BYE" or KSR.tm.t_check_status(AWAY_STATUS) > 0) then
		answer_away()
	end
	if get("$avp(resumed)") == 1 and KSR.tm.t_check_status("481|408") > 0 then
		delete()
		KSR.sl.send_reply(481, resume.away_ended)
		KSR.x.exit()
	end
end

return resume
