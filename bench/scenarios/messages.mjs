/** Scenarios on one connection, for every peer with messages. */
import { performance } from 'node:perf_hooks';
import { makeJsonMessages, makePayload } from '../payloads.mjs';
import { Meter, percentile } from './meter.mjs';

/**
 * A connection as the scenarios see it; each peer makes its own.
 *
 * @typedef {object} Connection
 * @property {(data: string | Buffer) => unknown} send lets go of a message, whatever waits already
 * @property {(data: string | Buffer) => Promise<unknown> | undefined} sendPaced sends a message
 *   and, where the peer is full, gives what to wait for before the next one
 * @property {(onMessage: (data: unknown) => void) => unknown} listen
 * @property {() => AsyncIterable<string | Buffer>} [pull] messages, no faster than they are taken
 * @property {() => void} terminate
 */

/**
 * What a scenario is run with.
 *
 * @typedef {object} Setting
 * @property {import('../workloads.mjs').Workload} workload
 * @property {import('./meter.mjs').Timing} timing
 * @property {() => Promise<Connection>} open
 * @property {import('../peers/index.mjs').Peer} peer
 * @property {string} [lib] the build of this library to measure
 */

/** Tells a sink that this was all. */
const DONE = 'done';

/**
 * The messages that the client sends, in turn.
 *
 * @param {import('../workloads.mjs').Workload} workload
 * @returns {() => string | Buffer}
 */
export function messagesOf({ kind, size }) {
  if (kind !== 'json') {
    const payload = makePayload(kind, size);
    return () => payload;
  }
  const messages = makeJsonMessages();
  let next = 0;
  return () => {
    next = (next + 1) % messages.length;
    return /** @type {string} */ (messages[next]);
  };
}

/**
 * Sends one message after another, each once the last one is back.
 *
 * @param {Connection} connection
 * @param {Pick<Setting, 'workload' | 'timing'>} setting
 * @param {(send: () => void) => void} [whenBack] lets the next one go
 */
export async function timeAnswers(connection, { workload, timing }, whenBack = (send) => send()) {
  const payload = messagesOf(workload)();
  const meter = new Meter(timing);
  /** @type {number[]} */
  const latencies = [];
  let count = 0;
  let sentAt = 0;
  await new Promise((resolve) => {
    const send = () => {
      sentAt = performance.now();
      connection.send(payload);
    };
    connection.listen(() => {
      if (meter.measuring) latencies.push(performance.now() - sentAt);
      if (meter.isOver(++count)) resolve(undefined);
      else whenBack(send);
    });
    send();
  });
  return { meter, count, latencies };
}

/**
 * One message in flight, timed.
 *
 * @param {Setting} setting
 */
export async function pingPong(setting) {
  const { meter, count, latencies } = await timeAnswers(await setting.open(), setting);
  return {
    ...meter.sample(count),
    p50: percentile(latencies, 0.5) * 1_000,
    p99: percentile(latencies, 0.99) * 1_000,
  };
}

/**
 * A window of messages in flight; each that comes back sends the next.
 *
 * @param {Setting} setting
 */
export async function pipeline({ workload, timing, open }) {
  const { window, every } = workload;
  const connection = await open();
  const next = messagesOf(workload);
  const meter = new Meter(timing);
  let count = 0;
  await new Promise((resolve) => {
    connection.listen(() => {
      if (++count % every === 0 && meter.isOver(count)) resolve(undefined);
      connection.send(next());
    });
    for (let i = 0; i < window; i++) connection.send(next());
  });
  return meter.sample(count);
}

/**
 * Messages as fast as they come.
 *
 * @param {Setting} setting
 */
export async function receive({ workload, timing, open }) {
  const { every } = workload;
  const connection = await open();
  const meter = new Meter(timing);
  let count = 0;
  await new Promise((resolve) => {
    connection.listen(() => {
      if (++count % every === 0 && meter.isOver(count)) resolve(undefined);
    });
    connection.send('go');
  });
  return meter.sample(count);
}

/**
 * Messages as fast as they go, until the server has told that it has them all.
 *
 * @param {Setting} setting
 */
export async function send({ workload, timing, open }) {
  const { every } = workload;
  const connection = await open();
  const payload = messagesOf(workload)();
  const meter = new Meter(timing);
  const confirmed = new Promise((resolve) => connection.listen(resolve));
  let count = 0;
  do {
    const full = connection.sendPaced(payload);
    if (full !== undefined) await full;
  } while (++count % every !== 0 || !meter.isOver(count));
  connection.send(DONE);
  const got = Number(await confirmed);
  if (got !== count) throw new Error(`the server got ${got} of ${count} messages`);
  return meter.sample(count);
}
