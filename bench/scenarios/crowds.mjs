/** Scenarios with several busy connections in one process. */
import { performance } from 'node:perf_hooks';
import { setInterval, setTimeout } from 'node:timers';
import { messagesOf, timeAnswers } from './messages.mjs';
import { Meter, percentile } from './meter.mjs';

const MIB = 1_048_576;
/** Milliseconds between two messages of the quiet connection. */
const PAUSE = 2;
/** Milliseconds between two ticks of a timer. */
const TICK = 5;

/** @typedef {import('./messages.mjs').Setting} Setting */

/**
 * Opens connections that keep a window of messages in flight each.
 *
 * @param {Setting} setting
 * @param {() => void} onMessage
 */
async function keepBusy({ workload, open }, onMessage) {
  const { connections: count, window } = workload;
  const next = messagesOf(workload);
  const connections = await Promise.all(Array.from({ length: count }, () => open()));
  for (const connection of connections) {
    connection.listen(() => {
      onMessage();
      connection.send(next());
    });
    for (let j = 0; j < window; j++) connection.send(next());
  }
}

/**
 * How much they get done together.
 *
 * @param {Setting} setting
 */
export async function busy(setting) {
  let count = 0;
  /** @type {Meter | undefined} */
  let meter;
  /** @type {() => void} */
  let finish;
  const finished = new Promise((resolve) => (finish = () => resolve(undefined)));
  await keepBusy(setting, () => {
    if (++count % setting.workload.every === 0 && meter?.isOver(count) === true) finish();
  });
  meter = new Meter(setting.timing);
  await finished;
  return { ...meter.sample(count), memory: process.memoryUsage.rss() / MIB };
}

/**
 * How long a connection beside them waits for its answers.
 *
 * @param {Setting} setting
 */
export async function quietBesideBusy(setting) {
  const quiet = await setting.open();
  await keepBusy(setting, () => undefined);
  const { latencies } = await timeAnswers(quiet, setting, (send) => void setTimeout(send, PAUSE));
  return percentiles(latencies);
}

/**
 * How late timers are while messages pour in.
 *
 * @param {Setting} setting
 */
export async function timersBesideFirehose({ timing, open }) {
  const firehose = await open();
  const meter = new Meter(timing);
  /** @type {number[]} */
  const delays = [];
  firehose.listen(() => undefined);
  firehose.send('go');
  let last = performance.now();
  await new Promise((resolve) => {
    setInterval(() => {
      const now = performance.now();
      if (meter.measuring) delays.push(Math.max(0, now - last - TICK));
      last = now;
      if (meter.isOver(delays.length)) resolve(undefined);
    }, TICK);
  });
  return percentiles(delays);
}

/** @param {readonly number[]} milliseconds */
function percentiles(milliseconds) {
  return {
    p50: percentile(milliseconds, 0.5) * 1_000,
    p99: percentile(milliseconds, 0.99) * 1_000,
    max: Math.max(...milliseconds) * 1_000,
  };
}
