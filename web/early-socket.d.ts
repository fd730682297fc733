// SPDX-License-Identifier: MIT

/** JsSIP's interface Socket, for `sockets` of its UA. It connects when it is made. */
export class EarlySocket {
	/** @param url of the gateway: `wss://sip.example.org/ws` */
	constructor(url: string);
	url: string;
	via_transport: string;
	sip_uri: string;
	connect(): void;
	disconnect(): void;
	send(message: string | ArrayBufferLike | Blob | ArrayBufferView): boolean;
	isConnected(): boolean;
	isConnecting(): boolean;
	onconnect(): void;
	ondisconnect(error: boolean, code?: number, reason?: string): void;
	ondata<T>(data: T): void;
}
