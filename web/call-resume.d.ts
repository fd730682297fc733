// SPDX-License-Identifier: MIT

/** Why a call was not resumed. */
export type ResumeFailure =
	/** the far end hung up while the page was away (the gateway said 481 or 408) */
	| 'ended'
	/** the sealed state is too old (410) */
	| 'expired'
	/** it belongs to another web session, or the token is not good (401, 403) */
	| 'refused'
	/** the gateway could not be reached for as long as `patience` says */
	| 'no-network'
	/** no microphone or camera, in use by another program, or not allowed to use them: `message` says which, `cause` is getUserMedia()'s */
	| 'no-media'
	/** the user hung up while the call was being resumed; it is ended */
	| 'canceled'
	/** the service does not accept the user name or the password (407, or 401 to a page without a token) */
	| 'password'
	/** nobody had answered it yet, and the far end has not or has refused: `status` says how */
	| 'unanswered'
	/** what was stored of it is damaged */
	| 'damaged'
	/** anything else; `status` has the gateway's answer */
	| 'failed';

export class ResumeError extends Error {
	readonly name: 'ResumeError';
	readonly reason: ResumeFailure;
	/** Status code of the final answer, where there was one. */
	readonly status?: number;
	/** false: the call is kept, and tried again when the transport is back or the page is loaded again. */
	readonly final: boolean;
}

/** What the gateway sealed about a call. */
export interface CallInfo {
	/** As in events, and as end() and retry() take it: the same in each page that has the call. */
	id: string;
	/** Call session identifier: 32 hex digits, the same for the whole life of the call, at the gateway too. */
	callSessionId: string;
	role: 'caller' | 'callee';
	/** When the call began, whatever happened since. */
	start: Date;
	/** Address of the far end, a SIP URI. */
	peer: string;
	media: { kind: string; direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive' }[];
	/** When the state expires. */
	expires: Date;
}

/** Where the calls of a user are kept: short texts by id. */
export interface Store {
	/** true: cheap enough to be written every second */
	readonly local: boolean;
	load(): Promise<[id: string, text: string][]>;
	/** What it can tell without waiting, perhaps not the newest: the page asks for its locks on these at once. */
	peek?(): [id: string, text: string][];
	save(id: string, text: string): Promise<void>;
	remove(id: string): Promise<void>;
}

export interface ResumeOptions {
	/** Gives a token of the same web session, when one is needed or the old one has expired. Without it the page has a SIP password:
	 * the library authenticates, and the web session has a name that the helper makes and keeps, in `Call-State-Session`. */
	token?: string | (() => string | Promise<string>);
	/** Default: browserStore(user). */
	store?: Store;
	/** How long to try, in milliseconds, whatever does not answer; 2 s longer at the most. Default: 30000. */
	patience?: number;
}

/** What a call in the storage, or one being resumed, is named by in events. */
export interface CallRef {
	id: string;
	/** What the page gave to remember(). */
	data?: unknown;
}

/** What a call was when it was lost, and is again when it is back; but for the screen. */
export interface CallBefore extends CallRef {
	/** When it began; not there in a record of an earlier version. */
	start?: Date;
	held: boolean;
	/** The microphone is open and off, by the library, the page's remember() or its track. */
	muted: boolean;
	/** The camera is open and off, in the same ways. */
	videoMuted: boolean;
	/** The page was sending a picture that is not a camera's, such as a screen. It is not sent any more, nor
	 * is a camera in its place: a screen is shared again by its user. */
	screen: boolean;
	/** It was ours, and nobody had answered it. */
	ringing: boolean;
}

export interface CallResumeEventMap<Session> {
	/** A call is about to be brought back. */
	resuming: CustomEvent<CallBefore>;
	/** A call of ours that nobody has answered is back, and rings on: this session hears it, and hangs up. When it is answered
	 * there is another session, and `resumed`. */
	ringing: CustomEvent<CallBefore & { session: Session }>;
	/** It is back. */
	resumed: CustomEvent<CallBefore & {
		session: Session;
		/** Milliseconds since the page was last alive, or since the media was lost in one that lives. */
		away: number;
	}>;
	/** The page cannot reach the gateway, or the media of a call that was up is gone: the call may be up all the same. Once for
	 * each call, until `connected`, `resuming` or the end of its session. */
	lost: CustomEvent<CallRef & { session: Session }>;
	/** That was all: the call has gone on meanwhile, as the session that it was. */
	connected: CustomEvent<CallRef & { session: Session }>;
	/** It is not coming back, or not now. */
	failed: CustomEvent<CallRef & { error: ResumeError }>;
	/** Another tab has the call; when that is closed, this one takes over. */
	waiting: CustomEvent<CallRef>;
	/** The storage has failed; so has options.token, or options.call when it was asked with it. */
	storeerror: CustomEvent<{ cause: unknown }>;
	tokenerror: CustomEvent<{ cause: unknown }>;
}

export class CallResume<Session> extends EventTarget {
	private constructor();
	/** SIP.js: say which session an Inviter or Invitation is, before invite() or accept(). */
	add(session: Session): void;
	/** Keep with a call what the library does not tell: held, muted and videoMuted (SIP.js), and data of your own. */
	remember(session: Session, what: { held?: boolean; muted?: boolean; videoMuted?: boolean; data?: unknown }): void;
	/** Try again, at once, to bring back a call that could not and was kept (`final` of its error was false); events tell
	 * how it goes. false: there is none of that id. */
	retry(id: string): boolean;
	/** About a call that is up; undefined when the gateway did not seal it, or gave no key. */
	info(session: Session): Promise<CallInfo | undefined>;
	/** The calls in the storage that this web session can open. */
	stored(): Promise<CallInfo[]>;
	/** End a call that has no session now: one that is coming back, or that could not and was kept. Nothing
	 * is left of it here from now on, and no event tells of it. The far end is told when the gateway can be
	 * reached within `patience`, without a microphone; else it has to find out by itself. */
	end(id: string): void;
	/** Stop watching. Calls that are up go on, and what is stored of them stays: the next CallResume of the same user has them,
	 * in this tab or another one. To be called before a page makes another one for its user. */
	stop(): void;

	addEventListener<K extends keyof CallResumeEventMap<Session>>(
		type: K, listener: (event: CallResumeEventMap<Session>[K]) => void, options?: boolean | AddEventListenerOptions): void;
	/** As of any EventTarget; but not with the name of an event that there is not. */
	addEventListener(type: keyof CallResumeEventMap<Session>, listener: EventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
	removeEventListener<K extends keyof CallResumeEventMap<Session>>(
		type: K, listener: (event: CallResumeEventMap<Session>[K]) => void, options?: boolean | EventListenerOptions): void;
	removeEventListener(type: keyof CallResumeEventMap<Session>, listener: EventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** What a JsSIP.UA has to have; JsSIP's own types fit. */
export interface JsSIPUA {
	call(target: string, options?: object): object;
	get(parameter: 'authorization_user' | 'authorization_jwt'): string | undefined;
}

/** Make the calls of a JsSIP.UA survive. Call it before ua.start(). */
export function resumeJsSIP<UA extends JsSIPUA>(ua: UA, options?: ResumeOptions & {
	/** Options for ua.call(), as the page uses them for its own calls; or what gives them, each time that a call comes back. */
	call?: Parameters<UA['call']>[1] | (() => Parameters<UA['call']>[1] | Promise<Parameters<UA['call']>[1]>);
}): CallResume<ReturnType<UA['call']>>;

/** What a SIP.js UserAgent has to have; the library's own types fit, and say what its sessions are. */
export interface SIPjsUserAgent<Session> {
	configuration: object;
	readonly _sessions?: { [id: string]: Session };
}

/** Make the calls of a SIP.js UserAgent survive. Call it before userAgent.start(). For a SessionManager see session-manager.d.ts. */
export function resumeSIPjs<Inviter, Session>(userAgent: SIPjsUserAgent<Session>, options: ResumeOptions & {
	/** The library's class. */
	Inviter: new (userAgent: any, target: any, options?: any) => Inviter & Session;
	/** Registered again when the transport is back. */
	registerer?: object;
	/** InviterOptions, as the page uses them for its own calls; or what gives them, each time that a call comes back. */
	call?: object | (() => object | Promise<object>);
}): CallResume<Session>;

/** The browser's IndexedDB, with a copy in localStorage; `user` keeps the users of one browser apart. The default is that of
 * `alice@example.org`, user name and domain; what a version that left the domain out has stored is read too. */
export function browserStore(user: string): Store;
