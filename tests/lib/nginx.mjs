// SPDX-License-Identifier: GPL-2.0-or-later
// nginx with the project's own cfg/nginx.conf, in a folder of its own, as any user.

import fs from 'node:fs';
import path from 'node:path';

import { ROOT } from './kamailio.mjs';
import { freePort } from './ports.mjs';
import { Proc } from './proc.mjs';
import { until } from './wait.mjs';

/**
 * cfg/nginx.conf with other values on its marked lines, those that end with "# NAME":
 * {NAME: 'value'}, where the value is what follows the directive's name, or makes that of what was there.
 */
function adapt(text, values) {
	for (const [name, value] of Object.entries(values)) {
		const line = new RegExp(`^(\\s*\\w+) (.*); # ${name}$`, 'm');
		if (!line.test(text)) throw new Error(`nginx.conf has no line marked ${name}`);
		text = text.replace(line, (_, directive, was) => `${directive} ${typeof value === 'function' ? value(was) : value};`);
	}
	return text;
}

/** Others in the place of the one server of an upstream, with its parameters. */
const servers = (all) => (was) => [all].flat().map((address) => was.replace(/^\S+/, address)).join('; server ');

export class Nginx {
	/**
	 * @param kamailio     ip:port of the portal and the WebSockets, or several
	 * @param portal       ip:port of another portal
	 * @param certificate  {cert, key}
	 * @param root         what is served, and bundle, below /bundle/
	 * @param values       for other marked lines of cfg/nginx.conf
	 */
	static async start(dir, {
		ip = '127.0.0.1', port, kamailio, portal = kamailio, certificate, root = path.join(ROOT, 'web'), bundle = path.join(ROOT, 'build/bundle'),
		values = {}, name = 'nginx',
	}) {
		const self = new Nginx();
		Object.assign(self, { ip, dir, name });
		self.port = port ?? await freePort(ip);
		self.http = await freePort(ip);
		self.accessLog = path.join(dir, `${name}.access.log`);
		const site = path.join(dir, `${name}.site.conf`);
		fs.writeFileSync(site, adapt(fs.readFileSync(path.join(ROOT, 'cfg/nginx.conf'), 'utf8'), {
			KAMAILIO: servers(kamailio),
			PORTAL: servers(portal),
			LISTEN_HTTP: `${ip}:${self.http}`,
			LISTEN_HTTPS: `${ip}:${self.port} ssl http2`,
			CERTIFICATE: certificate.cert,
			PRIVATE_KEY: certificate.key,
			ROOT: root,
			BUNDLE: `${bundle}/`,
			ACCESS_LOG: `${self.accessLog} combined`,
			...values,
		}));
		const conf = path.join(dir, `${name}.conf`);
		// What Debian's /etc/nginx/nginx.conf has around a site, but without root's folders, and with the room
		// that cfg/nginx.conf asks for.
		fs.writeFileSync(conf, [
			// Root's nginx has workers of another user, who can read in no folder of mode 700: a run's, or one that the clone is in.
			...(process.getuid() === 0 ? ['user root;'] : []),
			'daemon off;', 'worker_processes 1;', `pid ${dir}/${name}.pid;`, 'error_log stderr notice;',
			'worker_rlimit_nofile 16384;', 'events { worker_connections 8192; }',
			'http {',
			'	include /etc/nginx/mime.types;',
			'	default_type application/octet-stream;',
			'	access_log off;', // its default is a file of root's; the site has its own
			...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((t) => `	${t}_temp_path ${dir}/${name}.${t};`),
			`	include ${site};`,
			'}', '',
		].join('\n'));
		self.args = ['-p', dir, '-e', 'stderr', '-c', conf];
		await self.boot();
		return self;
	}

	/** Start it, or start it again after stop(). */
	async boot() {
		const started = () => this.proc.output().split('start worker process ').length;
		const before = this.proc ? started() : 1;
		this.proc = new Proc(this.name, this.dir, 'nginx', this.args);
		try {
			await until('nginx', () => {
				this.proc.assertAlive();
				return started() > before;
			});
		} catch (e) {
			await this.stop();
			throw e;
		}
	}

	/** Of this name the certificate is; also reachable by its address. */
	get url() {
		return this.ip === '127.0.0.1' ? `https://localhost:${this.port}` : `https://${this.ip}:${this.port}`;
	}

	stop() {
		return this.proc.stop();
	}
}
