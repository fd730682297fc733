// SPDX-License-Identifier: GPL-2.0-or-later
// What web/README.md says of Vite's proxy; and that the certificate is signed by itself.

const { GATEWAY: gateway, PORT: port } = process.env;
const to = { target: gateway, changeOrigin: true, headers: { Origin: gateway }, secure: false };

export default {
	esbuild: { jsx: 'automatic' },
	build: { target: 'es2022' },
	server: { proxy: { '/session': to, '/ws': { ...to, ws: true } }, host: '127.0.0.1', port: Number(port), strictPort: true },
};
