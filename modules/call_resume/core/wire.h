/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Everything that leaves the process, in one place: names, versions, labels,
 * lengths and byte layouts. docs/wire-formats.md explains the same with a
 * worked example.
 */
#ifndef CR_WIRE_H
#define CR_WIRE_H

/* ---- SIP header fields ------------------------------------------------- */

#define CR_HDR_STATE "Call-State"
#define CR_HDR_KEY "Call-State-Key"
#define CR_HDR_STATE_ID "Call-State-Id"
#define CR_EVENT "call-state" /* of the NOTIFY that brings a state */
#define CR_HDR_FINGERPRINT "Call-State-Fingerprint"
#define CR_HDR_SESSION "Call-State-Session"
#define CR_HDR_NODE "Call-State-Node" /* between nodes */
#define CR_HDR_FAR "Call-State-Far"   /* inside of a node */

/* Call-State = JWE *(SEMI param)
 *   ;update       towards the client: an update of the state it has
 *   ;update=JWE   from the client: the newest update it got
 *   ;tag=token    from a callee: its own tag, unknown when the state was sealed
 *   ;again        from a caller: the other end has lost its call too; a new call
 * or, in a BYE, CR_STATE_REPLACED: another session of the client goes on with it
 * or, in an OPTIONS in a dialog, CR_STATE_LEAVING: the page is being left
 * or CR_STATE_DIALLED, in an INVITE: the client has dialled, and had no state when it was
 * lost
 *   ;call-id=token ;tag=token ;cseq=digits   of that INVITE
 * or, in a NOTIFY outside of one, CR_STATE_DRAIN: connect again, to another node
 *
 * Call-State-Id = CR_SESSION_ID_LEN hex digits, in the INVITE of such a new call:
 * which one it goes on with
 */
#define CR_STATE_PARAM_UPDATE "update"
#define CR_STATE_PARAM_TAG "tag"
#define CR_STATE_PARAM_AGAIN "again"
#define CR_STATE_REPLACED "replaced"
#define CR_STATE_LEAVING "leaving"
#define CR_STATE_DIALLED "dialled"
#define CR_STATE_PARAM_CALL_ID "call-id"
#define CR_STATE_PARAM_CSEQ "cseq"
#define CR_STATE_DRAIN "drain"
#define CR_STATE_HDR_MAX 8192 /* the longest Call-State value that is read */

/* ---- key ring and key derivation --------------------------------------- */

#define CR_KEY_LEN 32  /* bytes of every master and derived key */
#define CR_KID_MAX 32  /* characters: A-Z a-z 0-9 . _ - */
#define CR_RING_MAX 16 /* keys in one ring */
#define CR_RING_FILE_MAX 65536

/* HKDF-SHA256 (RFC 5869): PRK = Extract(salt = CR_HKDF_SALT, master key);
 * each key = Expand(PRK, label 0x00 kid [0x00 context], 32). */
#define CR_HKDF_SALT "call_resume/1"
#define CR_LABEL_TOKEN "token HS256"
#define CR_LABEL_CLIENT                                                        \
	"client key" /* context: be16 len, sid, be16 len, sub  \
									  */
#define CR_LABEL_STATE "state HMAC-SHA256"
#define CR_LABEL_BOX "box A256GCM"
#define CR_LABEL_NONCE "box nonce HMAC-SHA256"
#define CR_LABEL_NODE "node HMAC-SHA256"
#define CR_LABEL_DIGEST "digest nonce"

/* ---- token: JWT (RFC 7519), JWS compact, HS256 -------------------------- */

#define CR_TOKEN_MAX 4096      /* characters */
#define CR_SUB_MAX 255         /* bytes, an address of record */
#define CR_SID_DEFAULT "phone" /* of a client that names none */
#define CR_SID_MAX 64          /* bytes: A-Z a-z 0-9 . _ - */
#define CR_JTI_LEN 22          /* base64url of 16 random bytes */

/* ---- token of an issuer: JWS with EdDSA (RFC 8037) or ES256 -------------- */

#define CR_ISS_MAX 255      /* bytes of iss and aud in the configuration */
#define CR_JOSE_KID_MAX 128 /* characters, visible ASCII */

/* ---- sealed call state: JWE (RFC 7516) compact, dir + A256GCM -----------
 *
 * Plaintext: JSON (state.h), whose last member ,"mac":"base64url"} is the
 * gateway's signature: the first CR_STATE_MAC_LEN bytes of HMAC-SHA256(state
 * key, be16 length | sid | be16 length | sub | the JSON in front of it). The
 * other CR_STATE_NONCE_LEN bytes are the nonce of the JWE.
 */

#define CR_STATE_VERSION 1
#define CR_STATE_MAC_LEN 20
#define CR_STATE_NONCE_LEN 12
#define CR_JWE_MAX 6144        /* characters */
#define CR_STATE_JSON_MAX 4096 /* bytes */
#define CR_STATE_ROUTES_MAX 12
#define CR_STATE_MEDIA_MAX 8
#define CR_SESSION_ID_LEN 32 /* hex digits, as in RFC 7989 */

/* ---- Session-ID (RFC 7989) ------------------------------------------------
 *
 * UUID of a user agent: the first 16 bytes of SHA-256(label 0x00 Call-ID 0x00 its tag),
 * names of O, with the version (8) and variant of RFC 9562 section 5.8 in them.
 */
#define CR_LABEL_SESSION_UUID "Session-ID"

/* ---- fingerprint of the client's certificate ----------------------------
 *
 * Call-State-Fingerprint = "sha-256" SP 2HEXDIG *(":" 2HEXDIG)  (RFC 8122)
 *
 * What a state is bound to are the first bytes of it: another certificate with
 * the same ones takes 2^128 attempts to find, and the Record-Route is short.
 */
#define CR_FP_LEN 16

/* ---- box: what the map and the session reference are sealed in ----------
 *
 *	0        2                14                       len-16        len
 *	+--------+----------------+------------------------+-------------+
 *	| hint   | nonce          | AES-256-GCM ciphertext | tag         |
 *	+--------+----------------+------------------------+-------------+
 *
 *	hint   the first two bytes of SHA-256(kid)
 *	nonce  the first 12 bytes of HMAC-SHA256(nonce key, AAD | plaintext): the
 *	       same content gives the same box, which the dialog tags rely on, and
 *	       a repeated nonce means repeated content
 *	AAD    one byte purpose, then each context string as be16 length | bytes
 *
 * written as base32 (RFC 4648 alphabet in lower case, no padding), because
 * some clients fold the case of URI parameters.
 */
#define CR_BOX_HINT_LEN 2
#define CR_BOX_NONCE_LEN 12
#define CR_BOX_TAG_LEN 16
#define CR_BOX_OVERHEAD (CR_BOX_HINT_LEN + CR_BOX_NONCE_LEN + CR_BOX_TAG_LEN)
#define CR_BOX_PLAIN_MAX 1200
#define CR_BOX_TEXT_MAX (((CR_BOX_PLAIN_MAX + CR_BOX_OVERHEAD) * 8 + 4) / 5)
#define CR_BOX_CONTEXT_MAX 3 /* context strings in the AAD */
#define CR_BOX_AAD_MAX 1024

typedef enum cr_purpose
{
	CR_PURPOSE_VIA = 'v',     /* map to N, on the client's Via */
	CR_PURPOSE_CONTACT = 'c', /* map to N, on the Contact that the peer gets */
	CR_PURPOSE_TAG = 't', /* map to O, in the remote tag that the client gets */
	CR_PURPOSE_CALLER = 'a', /* session reference of the calling client */
	CR_PURPOSE_CALLEE = 'b', /* session reference of the called client */
	CR_PURPOSE_LABEL = 'l',  /* label of the call at the media server */
	CR_PURPOSE_FAR = 'f',  /* the client's address, in the Contact of a node */
	CR_PURPOSE_PATH = 'p', /* proxies in front of us, in a client's Contact */
	CR_PURPOSE_ANSWERED = 'n', /* when a call was answered, in our Route */
} cr_purpose_t;

/* ---- map: the splice, in a box ------------------------------------------
 *
 *	flags      u8, CR_MAP_*
 *	offset     be32, CSeq in O minus CSeq in N, modulo 2^32
 *	exp        be32, seconds since 1970
 *	call_id    u8 length | bytes, the other dialog's
 *	tag        u8 length | bytes, the client's tag in the other dialog
 *	if flags & CR_MAP_URIS, each u8 length | bytes:
 *	           local and remote URI of N, local and remote URI of O; empty
 *	           where both dialogs have the same
 *
 * The context in the AAD is the dialog in which the map is found: its Call-ID
 * and the client's tag there; so a map opens in its own dialog only.
 */
#define CR_MAP_MARK "crm1" /* in every message that carries a map */
#define CR_MAP_PARAM ";crm1="
#define CR_MAP_TAG ".crm1."
#define CR_MAP_RESUME 0x01 /* Via of the resume INVITE itself */
#define CR_MAP_URIS 0x02

/* A parameter of our own Record-Route, towards a client whose resume the far end has not
 * seen (quiet.h): the CSeq of that in O, decimal, by which the client's ACK is known. */
#define CR_ROUTE_QUIET "crq"

/* ---- session reference: parameter of our Record-Route, in a box ----------
 *
 *	hint     2 bytes, the ring key that the session's token named; nobody asks
 *	         for it, as states are sealed with the newest
 *	start    be32, when the INVITE passed, seconds since 1970
 *	sub      u8 length | bytes
 *	sid      u8 length | bytes
 *	cseq     be32, of the client's INVITE; there only when it is not below
 *	         CR_CSEQ_HIGH, which clients seldom begin with
 *	fp       CR_FP_LEN bytes, of the client's certificate; there only when the
 *	         call is bound to it
 *
 * Context in the AAD: the Call-ID.
 */
#define CR_REF_PARAM_CALLER "crs-a"
#define CR_REF_PARAM_CALLEE "crs-b"

/* ---- when a call was answered: parameter of our Record-Route, in a box ------
 *
 *	answered be32, seconds since 1970
 *
 * Context in the AAD: the Call-ID.
 */
#define CR_ANSWERED_NAME "cra"
#define CR_ANSWERED_PARAM ";cra="

/* ---- label: of the call at the media server, in a box -----------------------
 *
 *	version  u8, 1
 *	made     be32, seconds since 1970
 *	caller   cseq be32 (0xffffffff: not known) | tag, u8 length | bytes
 *	         | URI, u8 length | bytes | target, be16 length | bytes
 *	callee   likewise
 *	routes   u8, how many; each be16 length | bytes, in the order of the called side
 *
 * Context in the AAD: the Call-ID.
 */

/* Of the BYE in the place of a client that does not come back (RFC 3326). */
#define CR_REASON_ABANDONED "SIP;cause=480;text=\"Client Gone\""

/* ---- Contact of a client behind a connection -------------------------------
 *
 * The number that Kamailio has given to the connection, decimal, as a parameter of
 * the URI, beside the alias of its module nathelper. */
#define CR_CONNECTION_NAME "crc"
#define CR_CONNECTION_PARAM ";crc="

#define CR_NODE_NAME "crn" /* likewise the number of the node that has it */
#define CR_NODE_PARAM ";crn="
#define CR_NODE_MAX 9999

/* ---- Contact and Via of a client whose first hop is a proxy, in a box ---------
 *
 * The values of the Route by which it is reached, with commas between them. No context. In our
 * Record-Route towards that client the context is the Call-ID. */
#define CR_PATH_NAME "crp"
#define CR_PATH_PARAM ";crp="

/* ---- between nodes ------------------------------------------------------------
 *
 * Call-State-Node = node *(SEMI fact) SEMI "t=" seconds SEMI "k=" hint SEMI "mac=" mac
 *
 *	node     decimal, which node has sent it
 *	fact     from, proto, ref: see node.h
 *	seconds  since 1970
 *	hint     of the key, base32
 *	mac      base32 of the first CR_NODE_MAC_LEN bytes of HMAC-SHA256(node key, the
 *	         whole message as it is sent, without SEMI "mac=" mac)
 */
#define CR_NODE_MAC_LEN 20

/* ---- the Contact that a far end is given in a cluster ------------------------------
 *
 *	sip:USER@NODE;crf1=BOX;crs-a=REF[;crm1=MAP]
 *
 * in place of the client's Contact and our Record-Route. The box:
 *
 *	rest     be16 length | bytes: the client's Contact behind its @, without the map
 *	params   be16 length | bytes: the parameters of our Record-Route, without the reference
 *
 * Context in the AAD: USER. Reference and map are sealed as they are.
 */
#define CR_FAR_NAME "crf1"
#define CR_FAR_PARAM ";crf1="

/* ---- TURN credentials ------------------------------------------------------
 *
 *	username   expiry, seconds since 1970, decimal | ":" | sub
 *	password   base64 with padding of HMAC-SHA1(secret, username)
 */
#define CR_TURN_SECRET_MIN 16 /* characters */
#define CR_TURN_SECRET_MAX 256
#define CR_TURN_SECRET_FILE_MAX 1024 /* bytes */
#define CR_TURN_USER_MAX (20 + 1 + CR_SUB_MAX)
#define CR_TURN_PASS_LEN 28 /* characters for 20 bytes */

/* ---- Request-URI of requests to a client -----------------------------------
 *
 * Its Contact with the map in it. Other SIP programs stop at MAX_URI_SIZE (1024
 * in Kamailio, and 5.6's handle_ruri_alias() does not check); the same limit
 * holds for what a state brings back as target and routes. */
#define CR_TARGET_MAX 896

/* ---- CSeq after a resume ------------------------------------------------- */

/* Requests after the last seal are covered. */
#define CR_CSEQ_JUMP 1000u
/* Where the client's own CSeq is not known. */
#define CR_CSEQ_UNKNOWN (1u << 20)
/* Below it the CSeq of a client that has resumed is taken to be, in N, when its state is
 * pushed. */
#define CR_CSEQ_LOW (1u << 18)
/* A first CSeq from which on the session reference has it. */
#define CR_CSEQ_HIGH (1u << 19)
/* One more for each 64 ms since the seal: two resumes from one state differ. */
#define CR_CSEQ_MS 64

#endif
