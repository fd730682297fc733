// SPDX-License-Identifier: GPL-2.0-or-later
// The torture messages of RFC 4475, rebuilt from what each of them is about: the
// section, and a message with that fault or oddity. Latin1 texts.

const fields = (o) => Object.entries(o).filter(([, v]) => v !== null).flatMap(([k, v]) => [].concat(v).map((x) => `${k}: ${x}`));

function message(start, o = {}, body = '') {
	const all = {
		Via: 'SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bKtorture', 'Max-Forwards': '70',
		To: 'sip:j.user@example.com', From: 'sip:caller@example.net;tag=141334', 'Call-ID': 'torture.0ha0isnda977644900765@10.0.0.1',
		CSeq: `8 ${start.split(' ')[0]}`, 'Content-Length': String(body.length), ...o,
	};
	return `${[start, ...fields(all)].join('\r\n')}\r\n\r\n${body}`;
}
const request = (method, o, body, uri = 'sip:user@example.com') => message(`${method} ${uri} SIP/2.0`, { CSeq: `8 ${method}`, ...o }, body);
const SDP = 'v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\na=rtpmap:31 LPC\r\n';
const sdp = { 'Content-Type': 'application/sdp' };
const binary = String.fromCharCode(...Array.from({ length: 160 }, (_, i) => (i * 37 + 48) & 255));

export const TORTURE = [
	['3.1.1.1 a short tortuous INVITE', ['INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0', 'TO :',
		' sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n', 'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>', '  ;',
		'  tag = 98asjd8', 'MaX-fOrWaRdS: 0068', 'Call-ID: wsinv.ndaksdj@192.0.2.1', 'Content-Length   : 150', 'cseq: 0009', '  INVITE',
		'Via  : SIP  /   2.0', ' /UDP', '    192.0.2.2;branch=390skdjuw', 's :', 'NewFangledHeader:   newfangled value', ' continued newfangled value',
		'UnknownHeaderWithUnusualValue: ;;,,;;,;', 'Content-Type: application/sdp', 'Route:', ' <sip:services.example.com;lr;unknownwith=value;unknown-no-value>',
		'v:  SIP  / 2.0  / TCP     spindle.example.com   ;', '  branch  =   z9hG4bK9ikj8  ,', ' SIP  /    2.0   / UDP  192.168.255.111   ; branch=',
		' z9hG4bK30239', 'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =', '      newvalue ;', '  secondparam ; q = 0.33', '', SDP].join('\r\n')],
	['3.1.1.2 a wide range of valid characters', message('!interesting-Method0123456789_*+`.%indeed\'~ sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn\'t-it)@example.com SIP/2.0', {
		To: '"BEL:\x07 NUL:\x00 DEL:\x7f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.com>',
		From: 'token1~` token2\'+_ token3*%!.- <sip:mundane@example.com>;fromParam\'\'~+*_!.-%="\xd1\x80\xd0\xb0\xd0\xb1\xd0\xbe\xd1\x82\xd0\xb0\xd1\x8e\xd1\x89\xd0\xb8\xd0\xb9";tag=_token~1\'+`*%!-.',
		CSeq: '139122385 !interesting-Method0123456789_*+`.%indeed\'~', 'extensionHeader-!.%*+_`\'~': '\xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb',
	})],
	['3.1.1.3 escaped percent signs', request('INVITE', { To: '<sip:sip%3Auser%40example.com;fullname=%22>', Contact: '<sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>' }, '', 'sip:sip%3Auser%40example.com@company.com;other-param=summit')],
	['3.1.1.4 escaped nulls', request('REGISTER', { To: 'sip:null-%00-null@example.com', Contact: ['<sip:%00@host5.example.com>', '<sip:%00%00@host5.example.com>'] }, '', 'sip:example.com')],
	['3.1.1.5 a percent in a method', message('RE%47IST%45R sip:registrar.example.com SIP/2.0', { CSeq: '234234 RE%47IST%45R', Contact: '<sip:alias1@host1.example.com>' })],
	['3.1.1.6 no LWS between name and <', request('OPTIONS', { From: 'caller<sip:caller@example.com>;tag=323', Contact: 'x<sip:y@192.0.2.1>' })],
	['3.1.1.7 extremely long values', request('INVITE', { To: `"I have a user name of ${'extreme'.repeat(30)} proportion"<sip:user@example.com:6000;unknownparam1=very${'long'.repeat(20)}value;longparam${'name'.repeat(60)}=shortvalue;very${'long'.repeat(30)}ParameterNameWithNoValue>`, From: `sip:amazinglylongcallername${'a'.repeat(100)}@example.net;tag=12${'982'.repeat(50)}424;unknownheaderparam${'name'.repeat(20)}=unknown${'value'.repeat(20)}`, 'Call-ID': `longreq.one${'really'.repeat(30)}longcallid`, [`Unknown${'-Long'.repeat(60)}-Name`]: `unknown${'-long'.repeat(60)}-value; unknown${'-long'.repeat(40)}=x`, Via: ['SIP/2.0/UDP 127.0.0.1:PORT', ...Array.from({ length: 33 }, (_, i) => `SIP/2.0/UDP sip${i}.example.com;branch=z9hG4bK${i}${'verylong'.repeat(4)}`)] })],
	['3.1.1.8 extra octets after the body', request('REGISTER', {}, '', 'sip:example.com') + request('INVITE', sdp, SDP)],
	['3.1.1.9 a semicolon in the user part', request('OPTIONS', { To: 'sip:user@example.com' }, '', 'sip:user;par=u%40example.net@example.com')],
	['3.1.1.10 varied transports', request('OPTIONS', { Via: ['SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bKkdjuw', 'SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf', 'SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj', 'SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en', 'SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee'] })],
	['3.1.1.11 multipart MIME', request('MESSAGE', { 'Content-Type': 'multipart/mixed;boundary=7a9cbec02ceef655' }, `--7a9cbec02ceef655\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nHello\r\n--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n\r\n${binary}\r\n--7a9cbec02ceef655--`)],
	['3.1.1.12 unusual reason phrase', message('SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe \xd1\x81\xd1\x82\xd0\xbe', { CSeq: '35 INVITE', Contact: '<sip:user@host198.example.com>' })],
	['3.1.1.13 empty reason phrase', message('SIP/2.0 100 ', { CSeq: '35 INVITE' })],
	['3.1.2.1 extraneous separators', request('INVITE', { Contact: '"Joe" <sip:joe@example.org>;;;;', Via: 'SIP/2.0/UDP 127.0.0.1:PORT;;,;,,' })],
	['3.1.2.2 Content-Length too large', request('INVITE', { ...sdp, 'Content-Length': '9999' }, SDP)],
	['3.1.2.3 negative Content-Length', request('INVITE', { ...sdp, 'Content-Length': '-999' }, SDP)],
	['3.1.2.4 scalars over their range', request('REGISTER', { CSeq: '36893488147419103232 REGISTER', 'Max-Forwards': '300', Expires: '10000000000000000000000000000000000000', Contact: '<sip:user@host129.example.com>;expires=280297596632815' })],
	['3.1.2.5 scalars over their range in a response', message('SIP/2.0 503 Service Unavailable', { CSeq: '9292394834772304023312 OPTIONS', 'Retry-After': '949302838503028349304023988', Warning: '1812 overture "In Progress"' })],
	['3.1.2.6 unterminated quote', request('INVITE', { To: '"Mr. J. User <sip:j.user@example.com>' })],
	['3.1.2.7 <> around the Request-URI', request('INVITE', {}, '', '<sip:user@example.com>')],
	['3.1.2.8 LWS in the Request-URI', request('INVITE', {}, '', 'sip:user@example.com; lr')],
	['3.1.2.9 two SP in the start line', message('INVITE  sip:user@example.com  SIP/2.0', { CSeq: '8 INVITE' })],
	['3.1.2.10 SP at its end', message('INVITE sip:user@example.com SIP/2.0  ', { CSeq: '8 INVITE' })],
	['3.1.2.11 escaped headers in the Request-URI', request('INVITE', {}, '', 'sip:user@example.com?Route=%3Csip:example.com%3E')],
	['3.1.2.12 invalid time zone', request('INVITE', { Date: 'Fri, 01 Jan 2010 16:00:00 EST' })],
	['3.1.2.13 name-addr URI not in <>', request('REGISTER', { Contact: 'sip:user@example.com?Route=%3Csip:sip.example.com%3E' })],
	['3.1.2.14 spaces in an addr-spec', request('OPTIONS', { To: '"Watson, Thomas" < sip:t.watson@example.org >' })],
	['3.1.2.15 characters that are no token', request('OPTIONS', { To: 'Bell, Alexander <sip:a.g.bell@example.com>;tag=43' })],
	['3.1.2.16 unknown protocol version', message('OPTIONS sip:t.watson@example.org SIP/7.0', { Via: 'SIP/7.0/UDP 127.0.0.1:PORT;branch=z9hG4bKkdjuw' })],
	['3.1.2.17 start line and CSeq differ', request('OPTIONS', { CSeq: '8 INVITE' })],
	['3.1.2.18 unknown method, CSeq differs', message('NEWMETHOD sip:user@example.com SIP/2.0', { CSeq: '8 INVITE' })],
	['3.1.2.19 response code of four digits', message('SIP/2.0 4294967301 better not break the receiver', { CSeq: '2 INVITE' })],
	['3.2.1 missing transaction identifier', request('OPTIONS', { Via: 'SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bK' })],
	['3.3.1 missing required fields', message('INVITE sip:user@example.com SIP/2.0', { To: null, From: null, CSeq: '193942 INVITE', 'Call-ID': null })],
	['3.3.2 Request-URI of an unknown scheme', request('OPTIONS', {}, '', 'nobodyKnowsThisScheme:totallyopaquecontent')],
	['3.3.3 of a known, but unusual scheme', request('OPTIONS', {}, '', 'soap.beep://192.0.2.103:3002')],
	['3.3.4 unknown schemes in fields', request('REGISTER', { To: 'isbn:2983792873', From: '<http://www.example.com>;tag=3234233', Contact: '<name:John_Smith>' })],
	['3.3.5 Proxy-Require and Require', request('OPTIONS', { Require: 'nothingSupportsThis, nothingSupportsThisEither', 'Proxy-Require': 'noProxiesSupportThis, norDoAnyProxiesSupportThis' })],
	['3.3.6 unknown Content-Type', request('INVITE', { 'Content-Type': 'application/unknownformat' }, '<audio>\r\n <pcmu port="443"/>\r\n</audio>\r\n')],
	['3.3.7 unknown authorization scheme', request('REGISTER', { Authorization: 'NoOneKnowsThisScheme opaque-data=here' })],
	['3.3.8 single fields more than once', request('INVITE', { Contact: ['<sip:a@192.0.2.1>', '<sip:b@192.0.2.2>'], CSeq: ['5 INVITE', '59 INVITE'], 'Call-ID': ['multi01.98asdh@192.0.2.1', 'multi01.98asdh@192.0.2.2'], From: ['<sip:caller@example.com>;tag=3413415', '<sip:caller@example.net>;tag=2923420123'], To: ['sip:user@example.com', 'sip:other@example.net'], 'Content-Length': ['2', '1024'], ...sdp }, SDP)],
	['3.3.9 several Content-Length', request('OPTIONS', { 'Content-Length': ['13', '5'] }, 'There\'s no way to know how many octets are supposed to be here.')],
	['3.3.10 200 with a broadcast Via', message('SIP/2.0 200 OK', { Via: ['SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923', 'SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23'], CSeq: '35 INVITE' })],
	['3.3.11 Max-Forwards of zero', request('OPTIONS', { 'Max-Forwards': '0' })],
	['3.3.12 REGISTER with a Contact parameter', request('REGISTER', { Contact: 'sip:+19725552222@gw1.example.net;unknownparam' })],
	['3.3.13 with a URL parameter', request('REGISTER', { Contact: '<sip:+19725552222@gw1.example.net;unknownparam>' })],
	['3.3.14 with a URL escaped header', request('REGISTER', { Contact: '<sip:user@example.com?Route=%3Csip:sip.example.com%3E>' })],
	['3.3.15 Accept that allows nothing', request('INVITE', { Accept: 'text/nobodyKnowsThis', ...sdp }, SDP)],
	['3.4.1 INVITE of RFC 2543', request('INVITE', { Via: 'SIP/2.0/UDP 127.0.0.1:PORT', From: '<sip:iuser@example.com>', 'Max-Forwards': null, 'Content-Length': null, ...sdp }, SDP)],
];
