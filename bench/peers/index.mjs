/** Who is compared. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * What a peer is given to open a connection.
 *
 * @typedef {object} OpenOptions
 * @property {string} url
 * @property {boolean} deflate whether to offer permessage-deflate, at level 6
 * @property {string | undefined} style how it is used, where there are several ways
 * @property {string | undefined} lib a build of this library
 */

/**
 * @typedef {object} Peer
 * @property {string} id
 * @property {string} label
 * @property {string} module in this folder; of Python, the package
 * @property {boolean} [isPython]
 * @property {string} [style]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {string[]} [flags] of Node
 * @property {boolean} [isPrevious] whether it is the build of `--against`
 * @property {RegExp} [only] the workloads that it can do, or that make a difference to it
 * @property {boolean} [isQuick] whether `--quick` has it
 * @property {boolean} [extra] whether it runs only when asked for
 * @property {() => boolean} [missing]
 */

/** Workloads of messages on one connection. */
const MESSAGES = /^(w[1-5]-|w[14]$|w7|tls)/;
/** Workloads where messages are received, and may be pulled. */
const PULLED = /^(w[2357]-|w1$|w10-slow|tls-w[23])/;

/** @type {readonly Peer[]} */
const ours = [
  { id: 'ours', label: 'aiowebsocket', module: 'ours', only: /^(?!w10-slow)/, isQuick: true },
  {
    ...{ id: 'ours-receive', label: 'aiowebsocket, receive()', module: 'ours', style: 'receive' },
    only: /^(w[1-57]-|w[14]$|w10-slow|tls)/,
  },
  {
    ...{ id: 'ours-iterate', label: 'aiowebsocket, for await', module: 'ours', style: 'iterate' },
    only: PULLED,
  },
];

/** @type {readonly Peer[]} */
const previous = ours.map(({ id, label, ...peer }) => ({
  ...peer,
  id: id.replace('ours', 'ours-old'),
  label: label.replace('aiowebsocket', 'aiowebsocket (old)'),
  isPrevious: true,
}));

/** @type {readonly Peer[]} */
const others = [
  { id: 'ws', label: 'ws + bufferutil', module: 'ws', isQuick: true },
  {
    ...{ id: 'ws-buffers', label: 'ws + bufferutil, text as Buffer', module: 'ws' },
    ...{ style: 'buffers', only: MESSAGES, extra: true },
  },
  {
    ...{ id: 'ws-corked', label: 'ws + bufferutil, corked', module: 'ws', style: 'corked' },
    ...{ only: /^(w2|w4|w10-growth|tls-w[24])/, isQuick: true },
  },
  {
    ...{ id: 'ws-js', label: 'ws, no bufferutil', module: 'ws', env: { WS_NO_BUFFER_UTIL: '1' } },
    only: /^(?!w9)/,
  },
  { id: 'undici', label: 'undici', module: 'undici', only: /^(?!w7-echo|w8-deflate|w10-slow)/ },
  {
    ...{ id: 'websocket', label: 'websocket', module: 'websocket' },
    only: /^(?!w7|w8-deflate|w10-slow)/,
  },
  {
    ...{ id: 'builtin', label: 'Node.js itself', module: 'builtin' },
    only: /^(?!w7|w8-deflate|w9|w10-slow)/,
    flags: 'WebSocket' in globalThis ? [] : ['--experimental-websocket'],
    missing: () =>
      !('WebSocket' in globalThis) &&
      !process.allowedNodeEnvironmentFlags.has('--experimental-websocket'),
  },
  {
    id: 'raw',
    label: 'raw socket',
    module: 'raw',
    only: /^(w[1-6]-|w[14]$|w8(-rested)?$|w7-receive|tls)/,
  },
  ...[
    { id: 'py-websockets', label: 'websockets (Python)', module: 'websockets', only: MESSAGES },
    {
      ...{ id: 'py-aiowebsocket', label: 'aiowebsocket (Python)', module: 'aiowebsocket' },
      only: /^(w[1-5]-|w[14]$)/,
    },
  ].map((peer) => ({
    ...peer,
    isPython: true,
    missing: () => pythonWith(peer.module) === undefined,
  })),
];

/**
 * The Python that has a package: that of the environment variable PYTHON, that of the PATH, or the
 * system's.
 *
 * @param {string} name
 * @returns {string | undefined}
 */
export function pythonWith(name) {
  return [process.env['PYTHON'], 'python3', '/usr/bin/python3'].find(
    (python) => python !== undefined && spawnSync(python, ['-c', `import ${name}`]).status === 0,
  );
}

/**
 * @param {boolean} paired whether there is a build to compare ours with
 * @returns {readonly Peer[]}
 */
export function listPeers(paired) {
  return [...ours, ...(paired ? previous : []), ...others];
}

/** @returns {Record<string, string>} of the packages that take part */
export function peerVersions() {
  return Object.fromEntries(
    ['ws', 'bufferutil', 'undici', 'websocket'].map((name) => [
      name,
      /** @type {string} */ (require(`${name}/package.json`).version),
    ]),
  );
}
