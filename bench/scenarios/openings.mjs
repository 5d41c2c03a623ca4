/** Scenarios about connections themselves: opening them, and having many. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { gc } from './memory.mjs';

/** Milliseconds for what was closed to be gone. */
const SETTLE = 200;

/** @typedef {import('./messages.mjs').Setting} Setting */
/** @typedef {import('./messages.mjs').Connection} Connection */

/**
 * Opens as many connections as told: to warm up, as often as it takes, and once measured. One stays
 * open all the while, as in a process that has others: V8 throws away what it has compiled for
 * objects of which none is left.
 *
 * @param {Setting} setting
 * @param {(open: Setting['open'], count: number) => Promise<Connection[]>} openMany
 */
async function measureOpening({ workload, open }, openMany) {
  const { connections: count, before } = workload;
  await openMany(open, 1);
  for (let opened = 0; opened < before; opened += count) {
    for (const connection of await openMany(open, count)) connection.terminate();
    await sleep(SETTLE);
  }
  gc();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await openMany(open, count);
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { rate: count / seconds, cpu: (user + system) / count };
}

/** @param {Setting} setting */
export function openSerially(setting) {
  return measureOpening(setting, async (open, count) => {
    const connections = [];
    for (let i = 0; i < count; i++) connections.push(await open());
    return connections;
  });
}

/** @param {Setting} setting */
export function openAtOnce(setting) {
  return measureOpening(setting, (open, count) =>
    Promise.all(Array.from({ length: count }, () => open())),
  );
}
