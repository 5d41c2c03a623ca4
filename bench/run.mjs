/** `npm run bench`: every workload with every peer, in turn. README.md tells how to use it. */
import { writeFileSync } from 'node:fs';
import { arch, cpus, platform, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from '../tools/shared.mjs';
import { readOptions, usage, UsageError } from './options.mjs';
import { listPeers, peerVersions, pythonWith } from './peers/index.mjs';
import { runClient, startServer } from './processes.mjs';
import { goalTable, pairTable, peerTable, render } from './report.mjs';
import { workloads } from './workloads.mjs';

/** Milliseconds that a client may take besides its measuring. */
const PATIENCE = 60_000;

try {
  await main(readOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\nTry --help.`);
  process.exitCode = 2;
}

/** @param {import('./options.mjs').Options} options */
async function main(options) {
  if (options.help) {
    console.log(usage);
    return;
  }
  if (options.list) {
    const names = (/** @type {readonly { id: string }[]} */ list) =>
      list.map(({ id }) => id).join(' ');
    console.log(`workloads: ${names(workloads)}\npeers: ${names(listPeers(true))}`);
    return;
  }
  if (options.lib === undefined) await ensureBuilt();
  printVersions(options);
  const peers = options.peers.filter((peer) => {
    if (peer.missing?.() === true) console.log(`${peer.label}: not installed`);
    else return true;
    return false;
  });
  const server = await startServer({ tls: options.workloads.some(({ tls }) => tls) });
  const outcomes = [];
  for (const workload of options.workloads) {
    const outcome = await measure(workload, peers, server, options);
    outcomes.push(outcome);
    print(`${workload.id}: ${workload.title}`, peerTable(outcome), options);
  }
  print('Goals', goalTable(outcomes), options);
  if (options.against !== undefined) print('Old and new', pairTable(outcomes), options);
  if (options.json !== undefined) writeJson(options.json, outcomes);
  process.exit(outcomes.some(({ failures }) => Object.keys(failures).length > 0) ? 1 : 0);
}

/**
 * Runs the peers one after the other, again and again: A B C A B C …
 *
 * @param {import('./workloads.mjs').Workload} workload
 * @param {readonly import('./peers/index.mjs').Peer[]} all
 * @param {import('./processes.mjs').Server} server
 * @param {import('./options.mjs').Options} options
 * @returns {Promise<import('./report.mjs').Outcome>}
 */
async function measure(workload, all, server, options) {
  const peers = all.filter(({ only }) => only === undefined || only.test(workload.id));
  /** @type {import('./report.mjs').Outcome} */
  const outcome = { workload, peers, samples: {}, failures: {} };
  for (let round = 0; round < options.rounds; round++) {
    for (const peer of peers) {
      progress(`${workload.id} ${round + 1}/${options.rounds} ${peer.label}`);
      const samples = (outcome.samples[peer.id] ??= []);
      // Who failed once is not waited for again.
      if (outcome.failures[peer.id] !== undefined) continue;
      try {
        samples.push(await runPeer(peer, workload, server, options));
      } catch (error) {
        outcome.failures[peer.id] = firstLine(error);
      }
    }
  }
  progress('');
  return outcome;
}

/**
 * @param {import('./peers/index.mjs').Peer} peer
 * @param {import('./workloads.mjs').Workload} workload
 * @param {import('./processes.mjs').Server} server
 * @param {import('./options.mjs').Options} options
 * @returns {Promise<Record<string, number>>}
 */
async function runPeer(peer, workload, server, options) {
  const { timing } = options;
  const url = (workload.tls ? server.tlsUrl : server.url) ?? '';
  const [command, args] =
    peer.isPython === true
      ? pythonCommand(peer, workload, url, timing)
      : nodeCommand(peer, workload, url, options);
  const output = await runClient(command, args, {
    env: { ...server.env, ...peer.env },
    timeout: PATIENCE + timing.warmup + timing.duration + workload.rest,
  });
  return JSON.parse(output);
}

/**
 * @param {import('./peers/index.mjs').Peer} peer
 * @param {import('./workloads.mjs').Workload} workload
 * @param {string} url
 * @param {import('./options.mjs').Options} options
 * @returns {[command: string, args: string[]]}
 */
function nodeCommand(peer, workload, url, { timing, lib, against }) {
  const build = peer.isPrevious === true ? against : lib;
  const args = [
    ...['--expose-gc', ...(peer.flags ?? [])],
    ...[fileURLToPath(new URL('client.mjs', import.meta.url))],
    ...['--peer', peer.id, '--workload', workload.id, '--url', url],
    ...['--warmup', `${timing.warmup}`, '--duration', `${timing.duration}`],
    ...(build === undefined ? [] : ['--lib', build]),
  ];
  return [process.execPath, args];
}

/**
 * @param {import('./peers/index.mjs').Peer} peer
 * @param {import('./workloads.mjs').Workload} workload
 * @param {string} url
 * @param {import('./scenarios/meter.mjs').Timing} timing
 * @returns {[command: string, args: string[]]}
 */
function pythonCommand({ module }, workload, url, timing) {
  const task = { ...workload, ...timing, package: module, url: url + workload.path };
  const program = fileURLToPath(new URL('peers/client.py', import.meta.url));
  return [pythonWith(module) ?? 'python3', [program, JSON.stringify(task)]];
}

/** @param {unknown} error */
function firstLine(error) {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n');
  return (lines.find((line) => line.includes('Error')) ?? lines[0] ?? '').trim();
}

/** @param {import('./options.mjs').Options} options */
function printVersions({ markdown, rounds, timing }) {
  const processors = cpus();
  const packages = Object.entries(peerVersions()).map((entry) => entry.join(' '));
  const lines = [
    `Node.js ${process.versions.node}, ${packages.join(', ')}`,
    `${platform()} ${release()} ${arch()}, ${processors.length} × ${processors[0]?.model ?? '?'}`,
    `${new Date().toISOString().slice(0, 10)}, ${rounds} rounds of ${timing.duration} ms after ${timing.warmup} ms`,
  ];
  console.log(lines.join(markdown ? '  \n' : '\n'));
}

/**
 * @param {string} title
 * @param {import('./report.mjs').Table} table
 * @param {import('./options.mjs').Options} options
 */
function print(title, table, { markdown }) {
  if (table.length < 2) return;
  console.log(
    `\n${markdown ? '### ' : ''}${title}\n${markdown ? '\n' : ''}${render(table, markdown)}`,
  );
}

/** @param {string} text what is under way, where somebody watches */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/**
 * @param {string} file
 * @param {readonly import('./report.mjs').Outcome[]} outcomes
 */
function writeJson(file, outcomes) {
  const results = outcomes.map(({ workload, samples, failures }) => ({
    workload: workload.id,
    samples,
    failures,
  }));
  const versions = { node: process.versions.node, ...peerVersions() };
  writeFileSync(file, `${JSON.stringify({ versions, results }, undefined, 2)}\n`);
}
