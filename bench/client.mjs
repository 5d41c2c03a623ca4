/**
 * One client in a process of its own: runs one workload, prints what it measured as JSON.
 *
 *   node bench/client.mjs --peer ours --workload w3-64-text [--url ws://127.0.0.1:PORT]
 *     [--warmup MS] [--duration MS] [--lib PATH]
 *
 * Without --url it starts a server for itself: the way to profile one client, with
 * `node --cpu-prof bench/client.mjs …`.
 */
import { parseArgs } from 'node:util';
import { listPeers } from './peers/index.mjs';
import { scenarios } from './scenarios/index.mjs';
import { startServer } from './processes.mjs';
import { workloads } from './workloads.mjs';

const { values } = parseArgs({
  options: {
    peer: { type: 'string', default: 'ours' },
    workload: { type: 'string', default: 'w1' },
    url: { type: 'string' },
    warmup: { type: 'string', default: '600' },
    duration: { type: 'string', default: '1000' },
    lib: { type: 'string' },
  },
});

const peer = listPeers(true).find(({ id }) => id === values.peer);
if (peer === undefined) throw new Error(`there is no peer ${values.peer}`);
const workload = workloads.find(({ id }) => id === values.workload);
if (workload === undefined) throw new Error(`there is no workload ${values.workload}`);

const base = values.url ?? (await ownServer(workload.tls));
/** @type {{ default: (options: import('./peers/index.mjs').OpenOptions) => Promise<any>, scenarios?: Record<string, any> }} */
const { default: open, scenarios: own } = await import(`./peers/${peer.module}.mjs`);
const run = own?.[workload.scenario] ?? scenarios[workload.scenario];
const { style } = peer;
const { lib } = values;
const options = { url: `${base}${workload.path}`, deflate: workload.deflate, style, lib };
const result = await run({
  ...{ workload, peer, lib },
  timing: { warmup: Number(values.warmup), duration: Number(values.duration) * workload.stretch },
  open: () => open(options),
});
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());

/** @param {boolean} tls */
async function ownServer(tls) {
  const { url, tlsUrl } = await startServer({ tls });
  // Its certificate was made a moment ago, too late for Node to be told to trust it.
  if (tls) process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  return tls ? tlsUrl : url;
}
