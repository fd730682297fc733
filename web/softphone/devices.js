// SPDX-License-Identifier: MIT
// Choosing devices, and what happens when one goes while it is used. Loaded after the call is there.

import { deviceMessage } from '../call-resume/errors.js';
import { canChooseOutput, choose, chosen, constraint, look, play } from './chosen.js';

const $ = (id) => document.getElementById(id);
const { mediaDevices } = navigator;
const NAMES = { audioinput: 'Microphone', audiooutput: 'Loudspeaker', videoinput: 'Camera' };
const KINDS = { audioinput: 'audio', videoinput: 'video' };

// ---- choosing -------------------------------------------------------------

/** The dialog is opened. @param phone  as of a Call */
export async function openSettings(phone) {
	$('device-error').textContent = '';
	$('volume').value = chosen('volume') ?? 100;
	$('settings').showModal();
	await fill();
	// Names are told to whom may use a microphone.
	if ((await mediaDevices.enumerateDevices()).some(({ label }) => label)) return;
	await mediaDevices.getUserMedia({ audio: true }).then((stream) => stream.getTracks().forEach((t) => t.stop()), complain);
	await fill();
}

const complain = (error) => { $('device-error').textContent = deviceMessage(error) ?? 'The device cannot be used.'; };

async function fill() {
	const all = await mediaDevices.enumerateDevices();
	for (const kind of Object.keys(NAMES)) {
		const select = $(kind);
		const devices = all.filter((one) => one.kind === kind && one.deviceId && one.deviceId !== 'default');
		const option = (value, text) => new Option(text, value, false, value === (chosen(kind) ?? ''));
		const options = [option('', 'As the system has it'), ...devices.map(({ deviceId, label }, i) => option(deviceId, label || `${NAMES[kind]} ${i + 1}`))];
		if (chosen(kind) && !devices.some(({ deviceId }) => deviceId === chosen(kind))) options.push(option(chosen(kind), 'The one chosen before (not there now)'));
		select.replaceChildren(...options);
		select.disabled = kind === 'audiooutput' && !canChooseOutput;
		if (select.disabled) select.options[0].text = 'As the system has it (this browser has no choice)';
	}
}

/** Once, when the module is loaded. */
export function listen(phone) {
	for (const kind of Object.keys(NAMES)) {
		$(kind).onchange = async ({ target: { value } }) => {
			$('device-error').textContent = '';
			await choose(kind, value || undefined);
			if (kind === 'audiooutput') for (const call of phone.live()) call.card.sound((audio) => (value ? play(audio) : audio.setSinkId('')));
			else for (const call of phone.live()) await use(call, kind).catch(complain);
		};
	}
	$('volume').oninput = ({ target: { value } }) => {
		choose('volume', Number(value));
		for (const call of phone.live()) call.card.sound(play);
	};
	mediaDevices.addEventListener('devicechange', async () => {
		await look();
		if ($('settings').open) fill();
		for (const call of phone.live()) if (call.noMicrophone) replace(call, 'audioinput', phone);
	});
}

// ---- while a call is up ---------------------------------------------------

/** A call sends what is chosen now, muted or not as before. */
async function use(call, kind) {
	const { session } = call;
	const sender = session?.connection?.getSenders().find(({ track }) => track?.kind === KINDS[kind]);
	if (!sender) return;
	const { track: old } = sender;
	await look();
	const stream = await mediaDevices.getUserMedia({ [KINDS[kind]]: constraint(kind) });
	const [track] = stream.getTracks();
	if (call.session !== session || session.isEnded()) return void track.stop();
	track.enabled = old.enabled;
	await sender.replaceTrack(track);
	old.stop();
	call.taken.push(track);
	call.pictured();
}

/** A microphone that is unplugged ends its track: take another one, and say so. */
export function follow(call, phone) {
	for (const { track } of call.session?.connection?.getSenders() ?? []) {
		if (track) track.onended = () => replace(call, `${track.kind}input`, phone);
	}
}

async function replace(call, kind, phone) {
	if (call.state !== 'up') return;
	const name = NAMES[kind].toLowerCase();
	try {
		await use(call, kind);
		const sender = call.session.connection.getSenders().find(({ track }) => track?.kind === KINDS[kind]);
		call.noMicrophone = false;
		call.set({ line: `The ${name} was unplugged. Now it is: ${sender.track.label || 'another one'}.` });
		follow(call, phone);
	} catch (e) {
		if (call.state !== 'up') return;
		if (kind === 'audioinput') call.noMicrophone = true;
		const now = kind === 'audioinput' ? 'The other side cannot hear you' : 'The other side cannot see you';
		call.set({ line: `The ${name} was unplugged. ${now}. ${deviceMessage(e) ?? ''}`.trim() });
	}
	phone.say(call.line, 'alarm');
}
