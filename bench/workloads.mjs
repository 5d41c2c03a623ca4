/**
 * What is measured: each workload is a scenario (scenarios/) with its messages, and the server's
 * path that goes with it.
 */

/**
 * @typedef {object} Workload
 * @property {string} id
 * @property {string} title
 * @property {string} scenario which of scenarios/ runs it
 * @property {string} path of the server
 * @property {string} unit what is counted
 * @property {import('./payloads.mjs').Kind | 'json'} kind of the messages that the client sends
 * @property {number} size of them, in bytes
 * @property {number} window messages in flight
 * @property {number} every how many messages the clock is looked at
 * @property {number} connections
 * @property {number} before connections that are opened before any is measured
 * @property {number} rest milliseconds for which nothing is done before memory is looked at
 * @property {number} total bytes of all messages, where that is what ends it
 * @property {boolean} tls
 * @property {boolean} deflate whether the client offers permessage-deflate
 * @property {number} stretch how many times longer than others it is measured
 * @property {readonly string[]} figures that are shown
 * @property {readonly string[]} compared those of them that are compared, the one that counts first
 * @property {boolean} quick whether it is part of `--quick`
 */

/** @type {Omit<Workload, 'id' | 'title' | 'scenario' | 'path'>} */
const defaults = {
  unit: 'msg',
  kind: 'text',
  size: 64,
  window: 1,
  every: 256,
  connections: 1,
  before: 1_000,
  rest: 0,
  total: 0,
  stretch: 1,
  tls: false,
  deflate: false,
  figures: ['rate', 'cpu'],
  compared: ['cpu', 'rate'],
  quick: false,
};

/**
 * @param {string} id
 * @param {string} title
 * @param {Partial<Workload> & Pick<Workload, 'scenario' | 'path'>} rest
 * @returns {Workload}
 */
const workload = (id, title, rest) => ({ ...defaults, id, title, ...rest });

/**
 * @param {string} id
 * @param {'text' | 'binary'} kind
 * @param {number} size
 * @param {Partial<Workload>} [rest]
 */
const pipelined = (id, kind, size, rest) =>
  workload(id, `pipelined, window of 1,000: ${size} B ${kind}`, {
    ...{ scenario: 'pipeline', path: '/echo', kind, size, window: 1_000 },
    ...rest,
  });

/**
 * @param {string} id
 * @param {import('./payloads.mjs').Kind} kind
 * @param {number} size
 * @param {Partial<Workload>} [rest]
 */
const received = (id, kind, size, rest) =>
  workload(id, `receive only: ${size} B ${kind}`, {
    ...{ scenario: 'receive', path: `/source?kind=${kind}&size=${size}`, kind, size },
    ...rest,
  });

/**
 * @param {string} id
 * @param {Partial<Workload>} [rest]
 */
const sent = (id, rest) =>
  workload(id, 'send only, with backpressure: 64 B text', {
    ...{ scenario: 'send', path: '/sink' },
    ...rest,
  });

/**
 * @param {string} id
 * @param {string} title
 * @param {number} size
 * @param {Partial<Workload>} [rest]
 */
const echoed = (id, title, size, rest) =>
  workload(id, `echo, one in flight: ${title} binary`, {
    ...{ scenario: 'pipeline', path: '/echo', kind: 'binary', size, every: 1 },
    ...rest,
  });

/**
 * @param {number} connections
 */
const grown = (connections) =>
  workload(`w10-growth-${connections}`, `busy connections, 10 in flight each: ${connections}`, {
    ...{ scenario: 'busy', path: '/echo', connections, window: 10 },
    figures: ['rate', 'cpu', 'memory'],
  });

/**
 * @param {string} id
 * @param {string} title
 * @param {Partial<Workload> & Pick<Workload, 'scenario'>} rest
 */
const opened = (id, title, rest) =>
  workload(id, title, { ...{ path: '/echo', unit: 'connection', connections: 1_000 }, ...rest });

/**
 * @param {string} id
 * @param {string} title
 * @param {Partial<Workload> & Pick<Workload, 'path'>} rest
 */
const idle = (id, title, rest) =>
  opened(id, title, {
    ...{ scenario: 'idle', connections: 5_000, figures: ['rss', 'heap'] },
    ...{ compared: ['rss', 'heap'] },
    ...rest,
  });

/** As long as a keepalive ping every 30 s and V8's own clock, which gives memory back, need. */
const rest = 40_000;
const json = /** @type {const} */ ({ kind: 'json', size: 1_024, deflate: true });
const tls = { tls: true };

/** @type {readonly Workload[]} */
export const workloads = [
  workload('w1', 'ping-pong: one 64 B text in flight', {
    ...{ scenario: 'ping-pong', path: '/echo', every: 1, quick: true },
    ...{ figures: ['rate', 'cpu', 'p50', 'p99'], compared: ['cpu', 'rate', 'p99'] },
  }),
  pipelined('w2-64-text', 'text', 64, { quick: true }),
  pipelined('w2-64-binary', 'binary', 64),
  pipelined('w2-125-text', 'text', 125),
  pipelined('w2-125-binary', 'binary', 125),
  received('w3-64-text', 'text', 64, { quick: true }),
  received('w3-512-text', 'text', 512),
  received('w3-1024-text', 'text', 1_024),
  received('w3-512-cjk', 'cjk', 512),
  received('w3-64-binary', 'binary', 64),
  sent('w4', { quick: true }),
  echoed('w5-64k', '64 KiB', 65_536, { quick: true }),
  echoed('w5-1m', '1 MiB', 1_048_576),
  echoed('w5-16m', '16 MiB', 16_777_216),
  opened('w6-serial', 'opening 1,000 connections, one by one', { scenario: 'open-serially' }),
  opened('w6-parallel', 'opening 1,000 connections at once', {
    ...{ scenario: 'open-at-once', quick: true },
  }),
  opened('w6-warm', 'opening 1,000 connections at once, after 10,000', {
    ...{ scenario: 'open-at-once', before: 10_000 },
  }),
  opened('w6-warm-serial', 'opening 1,000 connections, one by one, after 10,000', {
    ...{ scenario: 'open-serially', before: 10_000 },
  }),
  received('w7-receive', 'text', 1_024, {
    ...{ title: 'permessage-deflate with context, 1 KiB JSON: receive only', path: '/json-source' },
    ...{ ...json, every: 64, quick: true },
  }),
  pipelined('w7-echo', 'text', 1_024, {
    title: 'permessage-deflate with context, level 6, 1 KiB JSON: echo, window of 100',
    ...{ path: '/json-echo', window: 100, every: 16, ...json, quick: true },
  }),
  idle('w8', '5,000 idle connections', { path: '/echo' }),
  idle('w8-deflate', '5,000 idle connections, compression negotiated', {
    ...{ path: '/json-echo', deflate: true },
  }),
  idle('w8-rested', '5,000 connections that have been idle for 40 s', { path: '/echo', rest }),
  idle('w8-deflate-rested', '5,000 connections with compression, idle for 40 s', {
    ...{ path: '/json-idle', deflate: true, rest },
  }),
  workload('w9', 'footprint', {
    ...{ scenario: 'footprint', path: '/', unit: 'package' },
    figures: ['importTime', 'bundle', 'installed'],
    compared: ['importTime', 'bundle', 'installed'],
  }),
  ...[1, 10, 100, 1_000].map(grown),
  workload('w10-slow', '1 GiB of 64 KiB messages into a slow consumer', {
    ...{ scenario: 'slow-consumer', path: '/source?kind=binary&size=65536', kind: 'binary' },
    ...{ size: 65_536, total: 1_073_741_824 },
    ...{ figures: ['rate', 'growth'], compared: ['growth'] },
  }),
  pipelined('tls-w2', 'text', 64, { ...tls, title: 'TLS, pipelined: 64 B text' }),
  received('tls-w3', 'text', 64, { ...tls, title: 'TLS, receive only: 64 B text' }),
  sent('tls-w4', { ...tls, title: 'TLS, send only, with backpressure: 64 B text' }),
  workload('latency-quiet', 'a quiet connection beside 10 busy ones, 100 in flight each', {
    ...{ scenario: 'quiet-beside-busy', path: '/echo', connections: 10, window: 100, stretch: 3 },
    ...{ figures: ['p50', 'p99', 'max'], compared: ['p99', 'p50'] },
  }),
  workload('fairness', 'how late a timer of 5 ms is while 64 B text pours in', {
    ...{ scenario: 'timers-beside-firehose', path: '/source?kind=text&size=64', stretch: 3 },
    ...{ figures: ['p50', 'p99', 'max'], compared: ['p99', 'max'] },
  }),
];
