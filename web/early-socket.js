// SPDX-License-Identifier: MIT
// A WebSocket for JsSIP that is being opened while the library is still being loaded: TCP, TLS and HTTP are three round
// trips before the first SIP message.

/** JsSIP's interface Socket, as its WebSocketInterface; but it connects when it is made, and the library finds that done.
 * One that is lost before the library asks for it is opened anew. */
export class EarlySocket {
	#socket;

	/** @param {string} url  of the gateway: wss://sip.example.org/ws */
	constructor(url) {
		const { protocol, host } = new URL(url);
		Object.assign(this, { url, via_transport: protocol.slice(0, -1).toUpperCase(), sip_uri: `sip:${host};transport=ws` });
		this.#open();
	}

	#open() {
		const socket = new WebSocket(this.url, 'sip');
		// Of one that is no longer ours nothing is told.
		const tell = (name, ...how) => { if (this.#socket === socket) this[name]?.(...how); };
		socket.binaryType = 'arraybuffer';
		socket.onopen = () => tell('onconnect');
		socket.onmessage = ({ data }) => tell('ondata', data);
		socket.onclose = ({ wasClean, code, reason }) => tell('ondisconnect', !wasClean, code, reason);
		this.#socket = socket;
	}

	/** What the library calls for a connection; it has set onconnect, ondata and ondisconnect before. */
	connect() {
		if (this.isConnected()) queueMicrotask(() => this.onconnect());
		else if (!this.isConnecting()) this.#open();
	}

	disconnect() {
		this.#socket?.close();
		this.#socket = undefined;
	}

	isConnected() {
		return this.#socket?.readyState === WebSocket.OPEN;
	}

	isConnecting() {
		return this.#socket?.readyState === WebSocket.CONNECTING;
	}

	/** @returns {boolean} whether it was open */
	send(message) {
		const open = this.isConnected();
		if (open) this.#socket.send(message);
		return open;
	}
}
