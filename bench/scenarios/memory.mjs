/** Scenarios about memory. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const KIB = 1_024;
const MIB = 1_048_576;
/** Connections opened at a time, and those that are there before anything is measured. */
const BATCH = 100;

/** @typedef {import('./messages.mjs').Setting} Setting */

/** Collects garbage, where Node was started with --expose-gc. */
export function gc() {
  globalThis.gc?.();
}

async function settledMemory() {
  for (let i = 0; i < 4; i++) {
    gc();
    await sleep(50);
  }
  return process.memoryUsage();
}

/**
 * Garbage is collected before the rest, as without one, and not behind it: RSS is what the operating
 * system sees at that moment.
 *
 * @param {number} milliseconds
 */
async function restedMemory(milliseconds) {
  await settledMemory();
  await sleep(milliseconds);
  const rss = process.memoryUsage.rss();
  return { ...(await settledMemory()), rss };
}

/**
 * What a connection takes on which nothing happens.
 *
 * @param {Setting} setting
 */
export async function idle({ workload, open }) {
  /** @type {import('./messages.mjs').Connection[]} */
  const connections = [];
  const onMessage = () => undefined;
  const openBatch = async () => {
    const batch = await Promise.all(Array.from({ length: BATCH }, () => open()));
    for (const connection of batch) connection.listen(onMessage);
    connections.push(...batch);
  };
  await openBatch();
  const before = await settledMemory();
  for (let i = 0; i < workload.connections; i += BATCH) await openBatch();
  const { rest } = workload;
  const after = rest > 0 ? await restedMemory(rest) : await settledMemory();
  const perConnection = (/** @type {number} */ bytes) => bytes / KIB / workload.connections;
  return {
    rss: perConnection(after.rss - before.rss),
    heap: perConnection(after.heapUsed - before.heapUsed),
  };
}

/** What the slow consumer takes before it rests, and how many milliseconds. */
const MEAL = 4 * MIB;
const REST = 10;

/**
 * A stream that comes faster than it is taken.
 *
 * @param {Setting} setting
 */
export async function slowConsumer({ workload, open }) {
  const connection = await open();
  if (connection.pull === undefined) throw new Error('this peer cannot be pulled from');
  const messages = connection.pull();
  const { rss: before } = await settledMemory();
  connection.send('go');
  const startedAt = performance.now();
  let most = before;
  let bytes = 0;
  for await (const message of messages) {
    const last = bytes;
    bytes += message.length;
    if (Math.floor(bytes / MEAL) === Math.floor(last / MEAL)) continue;
    most = Math.max(most, process.memoryUsage.rss());
    if (bytes >= workload.total) break;
    await sleep(REST);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  return { rate: bytes / workload.size / seconds, growth: (most - before) / MIB };
}
