// SPDX-License-Identifier: MIT

export interface KeptCertificate {
	/** For RTCConfiguration.certificates, of every connection of this user. */
	certificate: RTCCertificate;
	/** As in SDP: "sha-256 AB:CD:..." */
	fingerprint: string;
	/** The header field for REGISTER and INVITE: "Call-State-Fingerprint: sha-256 AB:CD:..." */
	header: string;
}

/**
 * The certificate that this browser keeps for a user, ECDSA P-256, made when there is none, and anew 60 days
 * before it expires if no call is stored. No script can read its private key.
 * Undefined where the browser cannot keep one: then say nothing to the gateway, and its
 * calls are not bound.
 * @param user  keeps the users of one browser apart; the same as in browserStore() or with JsSIP its `authorization_user`
 * @param options.busy  true: a call needs the old one. Default: whether browserStore() has calls of that user.
 */
export function keptCertificate(user: string, options?: { busy?: boolean }): Promise<KeptCertificate | undefined>;

/** Forget it, when the user signs out: calls that are bound to it cannot come back. */
export function forgetCertificate(user: string): Promise<void>;
