// SPDX-License-Identifier: GPL-2.0-or-later
//
// One call that survives its gateway, told as a timeline.
//
// Two nodes, each Kamailio and rtpengine with an address of their own, and a far end that knows nothing of it. alice
// calls over the WebSocket of node 1. Node 1 is killed, for good. What alice has is her token and her sealed call
// state; with these she gets the call back at node 2, and the far end hangs up there.

import { Cluster, nodeIp } from '../tests/lib/cluster.mjs';
import { until } from '../tests/lib/wait.mjs';

let zero = performance.now();
const say = (text, at = performance.now()) => console.log(`${(at - zero).toFixed(0).padStart(6)} ms  ${text}`);
const ms = (t) => `${Math.round(t)} ms`;
const contact = (uri) => uri.replace(/;.*/, ';...');

async function play(cluster) {
	const far = await cluster.far();
	const one = await cluster.client('alice', 1);
	say(`alice registers at node 1 (${nodeIp(1)}), over its WebSocket`);
	const call = await cluster.call(one, far);
	say('she calls bob, and both hear each other');
	say(`bob was told the Contact ${contact(call.theirs.target)} and no Record-Route`);

	await cluster.kill(1);
	const killed = performance.now();
	say('node 1 is killed, Kamailio and rtpengine (SIGKILL), and stays dead');
	await until("alice's WebSocket to be gone", () => one.sockets.size === 0);
	say('the WebSocket of alice is gone');
	cluster.lose(one);

	const two = await cluster.client('alice', 2);
	say(`she registers at node 2 (${nodeIp(2)}) with the same token`);
	const resumed = performance.now();
	const dialog = await two.call({ state: call.state });
	if (dialog.final.status !== 200) throw new Error(`the resume got ${dialog.final.start}`);
	say('and resumes: an ordinary call with one more header, Call-State', resumed);
	await cluster.talk(two, dialog.final.body);
	say('first audio packet is back at alice', two.audio.first);
	say(`bob was told the Contact ${contact(call.theirs.target)}`);

	const back = { ...call, client: two, dialog, state: dialog.state };
	await cluster.converse(back);
	say('INFO, UPDATE, re-INVITE and REFER pass, both ways');
	await cluster.hangUp(back);
	say('bob hangs up, alice hears of it, and the media server has given its ports back');
	const gap = far.audio.gaps.find((g) => g.to > killed);
	return { back: two.audio.first - killed, gap: gap ? gap.to - gap.from : 0 };
}

let cluster;
try {
	cluster = await Cluster.start('demo-cluster', { nodes: 2 });
	say('two nodes are up: Kamailio and rtpengine each, with one key ring and an address of their own');
	zero = performance.now();
	const { back, gap } = await play(cluster);
	console.log('\nkamcmd call_resume.nodes, at node 2\n%s\n', (await cluster.node(2).kamailio.kamcmd('call_resume.nodes')).trim());
	await cluster.stop();
	console.log(`The call survived its gateway: audio was back ${ms(back)} after the kill; bob heard nothing for ${ms(gap)}.`);
} catch (e) {
	console.error(`\nThe call did not survive: ${e.message}\nlogs: ${cluster?.dir ?? ''}`);
	await cluster?.stop();
	process.exit(1);
}
