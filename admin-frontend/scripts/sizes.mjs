/**
 * What a page pays for the connection, beside others: `npm run sizes`.
 *
 * Each is bundled in the same way by Vite, minified, React left out, and gzipped. The others are fetched from the
 * registry into a directory of their own, in the versions below.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'vite';

const FRONT = fileURLToPath(new URL('..', import.meta.url));
const OTHERS = { 'react-use-websocket': '4.13.0', partysocket: '1.3.0' };
const PEERS = /^(react|react-dom)($|\/)/;

/** Name, then what an app writes to have it. */
const MEASURED = [
  ['core (RealtimeClient)', `export { RealtimeClient } from '${FRONT}src/realtime/client.ts';`],
  ['hook (useWebSocket)', `export { useWebSocket } from '${FRONT}src/hooks/useWebSocket.ts';`],
  ['core with notifications, tabs, polling', `export * from '${FRONT}src/realtime/index.ts';`],
  [`react-use-websocket ${OTHERS['react-use-websocket']}`, `export { default } from 'react-use-websocket';`],
  [`partysocket ${OTHERS.partysocket} (core)`, `export { WebSocket } from 'partysocket';`],
  [`partysocket ${OTHERS.partysocket} (hook)`, `export { useWebSocket } from 'partysocket/react';`],
];

async function main() {
  const root = mkdtempSync(join(tmpdir(), 'sizes-'));
  try {
    writeFileSync(join(root, 'package.json'), '{"private":true,"type":"module"}');
    const wanted = Object.entries(OTHERS).map(([name, version]) => `${name}@${version}`);
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent', '--legacy-peer-deps', ...wanted], {
      cwd: root,
    });
    for (const [name, code] of MEASURED) {
      const [minified, gzipped] = await sizeOf(root, code);
      console.log(`${name.padEnd(40)} ${kilobytes(minified)} minified ${kilobytes(gzipped)} gzip`);
    }
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function sizeOf(root, code) {
  const entry = join(root, 'entry.js');
  writeFileSync(entry, code);
  const { output } = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      rolldownOptions: { input: entry, external: PEERS, preserveEntrySignatures: 'strict' },
    },
  });
  const text = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('\n');
  return [Buffer.byteLength(text), gzipSync(text, { level: 9 }).length];
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`.padStart(8);
}

await main();
