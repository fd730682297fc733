// SPDX-License-Identifier: MIT
// While the page is alive: whether its gateway is there, and the media of its calls.

import { hasSession, isGone, isInHand, isUp, move } from './life.js';
import { sleep } from './shared.js';

/** How long ICE may be disconnected before its call is resumed, in milliseconds. */
const ICE_PATIENCE = 1_500;
/** How long the gateway may take to answer on a connection that may be dead, in milliseconds. */
export const PROBE = 2_000;
/** How often a call says that its page is alive, in milliseconds. */
const HEARTBEAT = 1_000;
/** After so many heartbeats without a connection another one is tried: long enough for a slow network. */
const DOWN = 10;
/** Pages that are to connect elsewhere do so within so many milliseconds, each at a moment of its own; how long they
 * may take before their user hears that they have lost the gateway; and how often one looks whether a call still keeps it. */
const SPREAD = 1_000;
const UNTOLD = 2_000;
const KEPT = 100;

/** The certificate of the media server that a description is of. */
const serverOf = (description) => /^a=fingerprint:.*/m.exec(description?.sdp)?.[0];
const hasLostMedia = (connection) => ['disconnected', 'failed'].includes(connection?.iceConnectionState);

export class Alive {
	#phone;
	#records;
	#to;
	#stopped = false;
	#beat;
	#listening = new AbortController(); // has a signal, and so is an option of addEventListener()
	#ticked = Date.now();
	#down = 0;
	#probing;
	#moved = false; // the network has changed, so the media's way has too
	#going = false; // to another node
	#between = false; // this one and that one
	#watched = new WeakSet();

	/**
	 * @param phone    of the library
	 * @param records  of the calls, by their ids
	 * @param to       what is done with it: seen() says that the page is alive, resume(record) brings a call back,
	 *                 emit(type, detail) tells the page
	 */
	constructor(phone, records, to) {
		this.#phone = phone;
		this.#records = records;
		this.#to = to;
		this.#beat = setInterval(() => this.#tick(), HEARTBEAT);
		addEventListener('pagehide', to.seen, this.#listening);
		addEventListener('pagehide', this.#leaving, this.#listening);
		addEventListener('online', this.#probe, this.#listening);
		navigator.connection?.addEventListener('change', this.#probe, this.#listening);
	}

	stop() {
		this.#stopped = true;
		clearInterval(this.#beat);
		this.#listening.abort();
	}

	#tick() {
		// A hidden page without a call gets one tick a minute.
		const slept = Date.now() - this.#ticked > (this.#records.size ? DOWN : 90) * HEARTBEAT;
		this.#ticked = Date.now();
		this.#to.seen();
		if (slept) this.#probe();
		if (this.#records.size === 0 || this.#phone.connected()) this.#down = 0;
		else if (++this.#down % DOWN === 0) this.#phone.reset();
	}

	/** Is the gateway there? A browser takes a connection of an address that it no longer has
	 * for a good one, for many minutes; then another one is made. */
	#probe = () => {
		this.#probing ??= this.#reach().finally(() => { this.#probing = undefined; });
		return this.#probing;
	};

	async #reach() {
		const there = this.#phone.connected() && await Promise.race([this.#phone.probe(), sleep(PROBE)]);
		this.#moved ||= !there && [...this.#records.values()].some(({ session }) => session);
		if (!there) this.#phone.reset();
		return there;
	}

	/** The page is left, for good or to be loaded again: nobody can tell. So the gateway hears that it is, and
	 * waits for less long. A page that the browser keeps as it is has no call. */
	#leaving = ({ persisted }) => {
		if (persisted || !this.#phone.connected()) return;
		for (const record of this.#records.values()) if (isUp(record)) this.#phone.leaving(record.session);
	};

	/** The node that this page is connected to is being emptied. Another connection leads to another one, and the media
	 * go on meanwhile; what rings, comes back or has an offer without an answer is waited for. */
	async elsewhere() {
		if (this.#going) return;
		this.#going = true;
		await sleep(SPREAD * Math.random());
		while (!this.#stopped && [...this.#records.values()].some((record) => this.#keepsHere(record))) await sleep(KEPT);
		this.#going = false;
		if (this.#stopped || !this.#phone.connected()) return;
		this.#between = true;
		this.#phone.reset();
		await sleep(UNTOLD);
		this.#between = false;
		if (!this.#stopped && !this.#phone.connected()) this.offline();
	}

	#keepsHere(record) {
		const { signalingState } = this.#phone.connection(record.session) ?? {};
		return isInHand(record) || !['stable', 'closed', undefined].includes(signalingState);
	}

	offline() {
		if (this.#between) return;
		for (const record of this.#records.values()) this.#apart(record);
	}

	/** Its page is alone; the call may be up all the same. */
	#apart(record) {
		if (move(record, 'apart')) this.#to.emit('lost', { id: record.id, data: record.data, session: record.session });
	}

	#reached(record) {
		if (move(record, 'reached')) this.#to.emit('connected', { id: record.id, data: record.data, session: record.session });
	}

	/** The transport is back. Media that has not noticed goes on, and a re-INVITE tells the far
	 * end how to reach us (RFC 3261 section 14); on another network the call is resumed. */
	online() {
		for (const record of this.#records.values()) {
			if (!record.state && !record.dialled) continue;
			if (!hasSession(record) || !record.session || this.#moved) {
				this.#to.resume(record);
				continue;
			}
			this.#phone.refresh(record.session, record);
			if (!hasLostMedia(this.#phone.connection(record.session))) this.#reached(record);
		}
		this.#moved = false;
	}

	/** Media that stays away although the gateway is there comes back by a resume; where the
	 * gateway is away too, both come back when it does: see online(). */
	watchMedia(record) {
		const { session } = record;
		const connection = this.#phone.connection(session);
		if (!connection || this.#watched.has(connection)) return;
		this.#watched.add(connection);
		const ours = () => record.session === session && !isGone(record);
		this.#watchServer(record, connection, ours);
		connection.addEventListener('iceconnectionstatechange', async () => {
			const lost = () => hasLostMedia(connection);
			if (!lost()) {
				if (connection.iceConnectionState === 'connected' && ours() && this.#phone.connected()) this.#reached(record);
				return;
			}
			record.lost = Date.now();
			await sleep(connection.iceConnectionState === 'failed' ? 0 : ICE_PATIENCE);
			const wanted = () => lost() && ours();
			if (wanted()) this.#apart(record);
			if (wanted() && await this.#probe() && wanted()) this.#to.resume(record);
		});
	}

	/** Another media server may answer an offer than the one that had the call: one of a cluster has died. It knows
	 * nothing of a connection that the offer has not begun anew (RFC 8842 section 5.5), and that stays silent. So this one takes
	 * its offer back, and does not hear of the other one: what it would still say to that is in the way of the next connection,
	 * which meets the same port there, and waits for its DTLS for good. */
	#watchServer(record, connection, ours) {
		const answer = connection.setRemoteDescription.bind(connection);
		connection.setRemoteDescription = (description) => {
			const server = serverOf(connection.currentRemoteDescription);
			if (connection.signalingState !== 'have-local-offer' || !server || serverOf(description) === server || !ours()) return answer(description);
			return connection.setLocalDescription({ type: 'rollback' }).catch(() => answer(description)).finally(() => this.#to.resume(record));
		};
	}
}
