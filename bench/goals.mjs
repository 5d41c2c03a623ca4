/** What this library is to reach: floors that it must not miss, targets where its limits are seen. */

/**
 * @typedef {object} Goal
 * @property {string} figure
 * @property {string} [peer] who is to reach it; our events when left out
 * @property {string} [over] who is to be beaten, by a ratio where more is better; when left out,
 *   floor and target are absolute
 * @property {number} floor
 * @property {number} [target]
 */

/**
 * @param {number} floor
 * @param {number} [target]
 * @param {string} [over]
 * @returns {Goal}
 */
const cpu = (floor, target, over = 'ws') => ({
  figure: 'cpu',
  over,
  floor,
  ...(target !== undefined && { target }),
});

/** @type {Goal} */
const rate = { figure: 'rate', over: 'ws', floor: 1 };

/**
 * What pulls messages gets at least half of what events do.
 *
 * @type {readonly Goal[]}
 */
const pulled = ['ours-receive', 'ours-iterate'].map((peer) => ({
  ...{ figure: 'cpu', peer, over: 'ours', floor: 0.5 },
}));

const pipelined = [cpu(12, 22), cpu(3, undefined, 'ws-corked'), rate, ...pulled];

/**
 * Absolute, in KiB.
 *
 * @type {readonly Goal[]}
 */
const idle = [
  { figure: 'rss', floor: 8.5, target: 7 },
  { figure: 'heap', floor: 3.2, target: 2.6 },
];

/**
 * By workload; the first of each is the one that counts most.
 *
 * @type {Record<string, readonly Goal[]>}
 */
export const goals = {
  w1: [cpu(1.1, 1.25), { figure: 'p99', over: 'ws', floor: 1 }, rate],
  'w2-64-text': pipelined,
  'w2-64-binary': pipelined,
  'w2-125-text': pipelined,
  'w2-125-binary': pipelined,
  'w3-64-text': [cpu(3.5, 6), rate, ...pulled],
  'w3-512-text': [cpu(2, 2.7), rate, ...pulled],
  'w3-1024-text': [cpu(1.5, 2.2), rate, ...pulled],
  'w3-512-cjk': [cpu(3, 4.2), rate, ...pulled],
  'w3-64-binary': [cpu(1.6, 2), rate, ...pulled],
  w4: [cpu(25, 50), cpu(5, undefined, 'ws-corked'), rate],
  'w5-64k': [cpu(1.15, 1.4), cpu(2.5, undefined, 'ws-js'), rate],
  'w5-1m': [cpu(1, 1.2), cpu(2.5, undefined, 'ws-js'), rate],
  'w5-16m': [cpu(1.2, 1.4), cpu(2.5, undefined, 'ws-js'), rate],
  'w6-serial': [cpu(1.8, 2.2), rate],
  'w6-parallel': [cpu(2, 2.8), rate],
  'w7-receive': [cpu(8, 20), rate],
  'w7-echo': [cpu(4, 8), rate],
  w8: idle,
  'w8-deflate': idle,
  'w8-rested': idle,
  'w8-deflate-rested': idle,
  w9: [
    { figure: 'importTime', over: 'ws', floor: 2, target: 2.5 },
    { figure: 'bundle', floor: 30, target: 25 },
    { figure: 'installed', over: 'ws', floor: 1, target: 2 },
  ],
  'tls-w2': [cpu(3, 4.4), rate],
  'tls-w3': [cpu(2, 2.9), rate],
  'tls-w4': [cpu(4, 6), rate],
  'w10-slow': [{ figure: 'growth', peer: 'ours-receive', floor: 64 }],
  'latency-quiet': [{ figure: 'p99', over: 'ws', floor: 0.5 }],
  fairness: [{ figure: 'p99', over: 'ws', floor: 0.5 }],
};
