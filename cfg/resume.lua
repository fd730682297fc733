-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- resume.cfg for a Kamailio whose routes are written in Lua (module app_lua): the same
-- five under the same names, and why they are as they are is said there. The module is
-- loaded, and its parameters are set, by include_file "resume.cfg" in kamailio.cfg.
--
--	local resume = dofile("/etc/kamailio/resume.lua")
--
-- Call in ksr_request_route() resume.request() after the transaction check and before
-- anything looks at the dialog; resume.within_dialog() after loose_route();
-- resume.authenticate() where clients are authenticated; resume.register() before save();
-- resume.call() before a new INVITE is relayed. And, if you like, resume.unreachable() where
-- t_relay() failed. Without resume.cfg: modparam("call_resume", "manage", 1), and
-- resume.event(name) in the event callback.
--
-- What protects the media server and your network is here as well, as kamailio.cfg has it:
-- resume.sdp() for every request with a body, in front of resume.request(); resume.contact()
-- for requests and replies of clients, behind it; resume.uri() behind loose_route();
-- resume.sdp_of_reply() first in the onreply callback. They need nathelper and textopsx.
-- Where the message is the trunk's (resume.is_from_trunk), what it names is its own business; over UDP, where
-- anybody can have written it, that is its own address.
--
-- Not here: the announcement, and a client that has registered again over another
-- connection and still has its call.

local resume = {}

-- As AWAY_TIMER in resume.cfg, and as RESUME_STEPS: 1 for pages, 2 for every client. The steps need resume.offer, with
-- rtpengine's flag port-latching.
resume.away_timer = 5000
resume.steps = 0

-- What resume.cfg has as defines. Set those that you need:
--
--	resume.is_from_trunk()    true for what comes from the trunk: RESUME_FROM_TRUNK
--	resume.password()         asks for a password: RESUME_PASSWORD
--	resume.offer(to_browser)  gives the offer to rtpengine: RESUME_MEDIA_OFFER. Needs the
--	                          module textopsx
--	resume.answer()           gives the answer to rtpengine: RESUME_MEDIA_ANSWER. With both, a client that is
--	                          back while its call rings hears what the far end plays

local function get(name)
	return KSR.pv.get(name)
end

local function remove(name)
	if KSR.hdr.is_present(name) > 0 then KSR.hdr.remove(name) end
end

local function is_in(list, value)
	return string.find(" " .. list .. " ", " " .. value .. " ", 1, true) ~= nil
end

-- Answers, but not an ACK, and ends the script.
local function refuse(code, reason)
	if get("$rm") ~= "ACK" then KSR.sl.send_reply(code, reason) end
	KSR.x.exit()
end

local function no_dialog()
	refuse(481, "Call/Transaction Does Not Exist")
end

local function is_from_trunk()
	return resume.is_from_trunk ~= nil and resume.is_from_trunk()
end

-- The web session of a client that has a password.
local function session()
	-- (Kamailio logs an error for $au where there is a token.)
	local user = resume.password and get("$resume(sub)") == nil and get("$au")

	if not user or user ~= get("$fU") or is_from_trunk() then return end
	-- Of several credentials nobody knows which have been looked at, and resume.password() may have looked at To alone.
	if (get("$hdrc(Authorization)") or 0) + (get("$hdrc(Proxy-Authorization)") or 0) ~= 1 then return end
	if get("$rm") == "REGISTER" and get("$fu") ~= get("$tu") then return end
	if KSR.call_resume.resume_session_named("sip:" .. user .. "@" .. get("$fd")) < 0 then
		KSR.notice(get("$resume(sender)") .. ": no session, " .. get("$resume(error)") .. "\n")
		refuse(403, "Forbidden")
	end
end

-- Ends the script unless the sender is the owner of the address in From. False for one who has a
-- password and no token.
function resume.authenticate()
	if resume.password and not string.find(string.lower(get("$hdr(Authorization)") or ""), "^bearer ") then
		return false
	end
	if KSR.call_resume.resume_auth() < 0 then
		KSR.notice(get("$resume(sender)") .. ": token refused, " .. get("$resume(error)") .. "\n")
		KSR.call_resume.resume_challenge(get("$fd"))
		KSR.x.exit()
	end
	if KSR.call_resume.resume_is_sender() < 0 then
		KSR.notice(get("$resume(sender)") .. ": the token is of another user\n")
		refuse(403, "Not your address")
	end
	resume.hide_token()
	return true
end

-- True for a client that has proved who it is, false for what is no client's at all.
local function is_client()
	if is_from_trunk() then return false end
	if not resume.authenticate() then
		if not KSR.is_myself_furi() then return false end
		resume.password()
	end
	session()
	if get("$resume(sub)") == nil then refuse(403, "No Web Session") end
	return true
end

-- Whether the media server may be given the session description of this message.
local function is_sdp_good()
	local rc = KSR.call_resume.resume_check_sdp()
	if is_from_trunk() and (rc == -4 or (rc == -2 and get("$pr") ~= "udp")) then rc = 2 end
	if rc == 2 then KSR.textopsx.msg_apply_changes() end
	return rc > 0
end

-- True for a body that may be read as a session description: as DESCRIBES in kamailio.cfg.
local function describes()
	local kind = string.lower(get("$cT") or "")
	return is_in("INVITE UPDATE PRACK ACK", get("$rm")) or get("$hdrc(Content-Type)") ~= 1
		or string.find(kind, "^application%s*/%s*sdp") ~= nil or string.find(kind, "^multipart%s*/") ~= nil
end

-- For requests: ends the script for one whose body the media server may not be given.
function resume.sdp()
	if describes() and not is_sdp_good() then refuse(488, "Media Not Acceptable") end
end

-- For replies: one whose description the media server may not be given goes on without it.
function resume.sdp_of_reply()
	if KSR.textops.has_body() < 0 or is_sdp_good() then return end
	KSR.textopsx.remove_body()
	remove("Content-Type")
	KSR.textopsx.msg_apply_changes()
end

-- One SIP URI without header fields, short enough to come back: as CONTACT_IS_ONE in kamailio.cfg.
local function is_one_contact()
	local uri = get("$(ct{nameaddr.uri})") or ""
	if get("$hdrc(Contact)") ~= 1 or #get("$ct") > 2000 or #uri > 800 then return false end
	if not string.find(string.lower(uri), "^sips?:[^?]*$") then return false end
	local rest = get([==[$(ct{re.subst,/"([^"\\]|\\.)*"|<[^<>]*>//g})]==]) or ","
	return not string.find(rest, ",", 1, true)
end

-- A Contact over UDP that leads to where it came from all by itself: as CONTACT_IS_SOURCE.
local function is_contact_source()
	if get("$proto") ~= "udp" or not string.find(get("$ct"), '^[^"<>,]*<sip:[^<>,"]*>[^<>,"]*$') then return false end
	local function part(name) return tostring(get("$(ct{nameaddr.uri}{uri." .. name .. "})") or "") end
	local port = tostring(get("$sp"))
	if part("host") ~= get("$siz") then return false end
	if part("port") ~= port and not (port == "5060" and (part("port") == "" or part("port") == "0")) then return false end
	local params = string.gsub(string.lower(";" .. part("params")), "^;transport=udp%f[;%z]", ";")
	for _, name in ipairs({ ";transport", ";maddr", ";alias", ";crc", ";crn" }) do
		if string.find(params, name, 1, true) then return false end
	end
	return true
end

-- For requests of clients, but for REGISTER, and for their replies below 300: requests to the client go to where
-- this came from, over this connection and no other. False for a Contact that cannot be written into: refuse the
-- request, take it off the reply.
function resume.contact()
	if KSR.hdr.is_present("Contact") < 0 then return true end
	if not is_one_contact() then return false end
	if is_contact_source() then return true end
	if KSR.nathelper.add_contact_alias_addr(get("$siz"), tostring(get("$sp")), get("$proto")) < 0 then return false end
	KSR.call_resume.resume_mark_contact()
	return true
end

-- Behind loose_route(): what is for a client goes to where its Contact came from, whatever further Route there is. Ends
-- the script where it cannot.
function resume.uri()
	if get("$resume(to_client)") == 1 then KSR.pv.unset("$du") end
	if get("$du") == nil and KSR.nathelper.handle_ruri_alias() < 0 then refuse(400, "Bad alias") end
end

-- An offer of ours comes before that of the client; what rtpengine makes of it goes nowhere.
-- @param change   puts it into the message
local function offer_before(change, to_browser)
	local sdp = get("$rb")

	change()
	KSR.textopsx.msg_apply_changes()
	resume.offer(to_browser)
	KSR.textopsx.msg_apply_changes()
	KSR.textops.set_body(sdp, "application/sdp")
	KSR.textopsx.msg_apply_changes()
end

-- With resume.steps: what leads a far end that reads RTP sequence numbers to those of the new client.
local function heard()
	if resume.steps == 0 or (resume.steps == 1 and KSR.call_resume.resume_has_ice() < 0) then return end
	if KSR.textops.has_body_type("application/sdp") < 0 or KSR.call_resume.resume_steps() < 0 then return end
	offer_before(function() KSR.textops.set_body(get("$resume(steps)"), "application/sdp") end, false)
	KSR.call_resume.resume_step()
end

-- With bind_fingerprint: a new DTLS connection with the old certificate.
local function new_dtls()
	offer_before(function()
		KSR.textops.replace_body_all("a=fingerprint:[Ss][Hh][Aa]-256 [0-9A-Fa-f:]+",
			"a=fingerprint:sha-256 00" .. string.rep(":00", 31))
	end, string.find(get("$ru"), "alias=[^;]*~[56]") ~= nil)
end

-- An INVITE with a call state becomes a re-INVITE of the old dialog.
local function back()
	local rc = KSR.call_resume.resume_dialog()

	-- Kamailio could not take the new message: there is none to go on with.
	if rc == 0 then KSR.x.exit() end
	if rc < 0 then refuse(get("$resume(code)"), get("$resume(reason)")) end
	if resume.offer then heard() end
	if resume.offer and get("$resume(bound)") == 1 then new_dtls() end
	-- For the callbacks of tm, where $resume() is not.
	KSR.pv.seti("$avp(resumed)", 1)
end

-- Both ends are clients of ours, and both have lost the call.
local function again()
	if KSR.call_resume.resume_open() < 0 then return false end
	local callee = get("$resume(callee)")
	if callee == nil or KSR.registrar.registered_uri("location", callee) < 0
		or KSR.call_resume.resume_again() < 0 then
		return false
	end
	KSR.pv.sets("$ru", callee)
	KSR.pv.seti("$avp(again)", 1)
	return true
end

-- Requests in a dialog that prove nothing end here.
local function proved()
	if KSR.hdr.is_present("Route") < 0 then no_dialog() end
	if is_from_trunk() then
		-- Over UDP anybody can write another sender's address.
		if get("$pr") ~= "udp" then return end
		if get("$resume(in_call)") ~= 1 or get("$resume(spliced)") == 1 then no_dialog() end
		if get("$resume(known)") ~= 1 then KSR.pv.seti("$avp(revoked)", 1) end
		return
	end
	if get("$resume(known)") ~= 1 and get("$avp(resumed)") ~= 1 then
		if KSR.hdr.is_present("Authorization") < 0
			or KSR.call_resume.resume_auth() < 0 or KSR.call_resume.resume_is_sender() < 0 then
			refuse(403, "Not in a call of ours")
		end
		-- Whose call it is nobody knows: leave its media alone where $avp(unproved) is 1.
		KSR.pv.seti("$avp(unproved)", 1)
	end
	if KSR.call_resume.resume_check_media() < 0 then refuse(403, "Call is bound to another certificate") end
end

function resume.request()
	local asks = get("$resume(asks)")

	if string.len(get("$ru")) >= 900 then refuse(414, "Request-URI Too Long") end
	if asks == "stale" then no_dialog() end
	if asks == "moved" then
		if get("$resume(in_call)") ~= 1 then no_dialog() end
		refuse(200, "OK")
	end
	if asks == "leaving" then
		if KSR.call_resume.resume_leaving() < 0 then no_dialog() end
		refuse(200, "OK")
	end
	if (asks == "resume" or asks == "again") and is_client() then
		if asks == "resume" or not again() then back() end
	end
	if resume.is_from_trunk and KSR.siputils.has_totag() > 0 then proved() end
end

-- Nobody behind us gets to see the token.
function resume.hide_token()
	KSR.call_resume.resume_hide_token()
end

-- A fresh state, and the answer for a client that is away.
function resume.within_dialog()
	local method = get("$rm")

	if get("$avp(unproved)") == 1 then
		if is_in("INVITE UPDATE PRACK", method) then refuse(403, "Not in a call of ours") end
		if method == "ACK" and KSR.textops.has_body() > 0 then KSR.x.exit() end
	end
	KSR.call_resume.resume_unmark_uri()
	-- Of a session that has been revoked, with the trunk's address.
	if get("$avp(revoked)") == 1 and (get("$resume(connected)") ~= 1
		or not is_in("tcp tls ws wss", string.match(get("$du") or "", "transport=(%a+)$") or "none")) then
		refuse(403, "Not in a call of ours")
	end
	KSR.call_resume.resume_within_dialog()
	resume.hide_token()
	if method == "ACK" or get("$resume(to_client)") ~= 1 then return end
	if get("$resume(connected)") == 0 then
		KSR.call_resume.resume_away()
		KSR.x.exit()
	end
	KSR.tm.t_set_fr(0, resume.away_timer)
end

-- The client key, and the binding's web session.
function resume.register()
	session()
	if get("$resume(sub)") ~= nil then KSR.call_resume.resume_register() end
end

-- A new call, from and to whomever.
function resume.call()
	if get("$rm") ~= "INVITE" then return end
	session()
	KSR.call_resume.resume_call()
end

-- t_relay() failed.
function resume.unreachable()
	if get("$rm") == "INVITE" and KSR.siputils.has_totag() < 0 and get("$avp(again)") ~= 1
			and KSR.call_resume.resume_wait() > 0 then
		KSR.x.exit()
	end
	if get("$avp(again)") == 1 then refuse(491, "Far End Away") end
	if get("$resume(to_client)") == 1 and not is_in("ACK CANCEL", get("$rm")) then
		KSR.call_resume.resume_away()
		KSR.x.exit()
	end
end

-- What rtpengine has to keep of a call, behind the flags that it gets with the answer in a reply: RESUME_LABEL.
function resume.label()
	return KSR.call_resume.resume_label() > 0 and " label=" .. get("$resume(label)") or ""
end

-- For the event callback: what is to be done at rtpengine.
function resume.event(name)
	if name == "call-resume:over" then
		KSR.rtpengine.rtpengine_delete0()
	elseif name == "call-resume:replaced" then
		local call_id, tag = get("$resume(call_id)"), get("$resume(local_tag)")

		-- They become part of a command.
		if string.find(call_id .. tag, "[; \t\"]") then return end
		KSR.rtpengine.rtpengine_delete("call-id=" .. call_id .. " from-tag=" .. tag)
	elseif name == "call-resume:offer" and resume.offer and resume.answer then
		resume.offer(false)
	elseif name == "call-resume:answer" and resume.answer then
		resume.answer()
	end
end

return resume
