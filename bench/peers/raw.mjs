/**
 * The limit: a socket that moves the same bytes, and does nothing for it. What it sends was packed
 * before; what it gets is counted by its length.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { connect as connectTls } from 'node:tls';
import { packFrame, repeatFrame } from '../frames.mjs';
import { messagesOf } from '../scenarios/messages.mjs';
import { Meter, percentile } from '../scenarios/meter.mjs';
import { deflatedLoop } from '../streams.mjs';

const READ_SIZE = 65_536;
const BLOCK = 65_536;
/** What comes is not looked at: one buffer does for all. */
const buffer = Buffer.allocUnsafeSlow(READ_SIZE);
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/**
 * @typedef {object} RawConnection
 * @property {import('node:net').Socket} socket
 * @property {(onBytes: (count: number) => void) => void} listen
 * @property {() => void} terminate
 */

/**
 * @param {import('./index.mjs').OpenOptions} options
 * @returns {Promise<RawConnection>}
 */
export default async function open({ url, deflate }) {
  const { protocol, hostname: host, port, pathname, search } = new URL(url);
  /** @type {(count: number) => void} */
  let onBytes = () => undefined;
  const onread = {
    buffer,
    callback: (/** @type {number} */ count) => {
      onBytes(count);
      return true;
    },
  };
  const isTls = protocol === 'wss:';
  const settings = { host, port: Number(port), onread };
  // The types of tls.connect() lack onread.
  const socket = isTls ? connectTls(/** @type {object} */ (settings)) : connect(settings);
  socket.setNoDelay(true);
  const opened = new Promise((resolve) => (onBytes = resolve));
  await once(socket, isTls ? 'secureConnect' : 'connect');
  socket.write(
    `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: Upgrade\r\n` +
      `Upgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n` +
      `${deflate ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''}\r\n`,
  );
  await opened;
  return {
    socket,
    listen: (listener) => (onBytes = listener),
    terminate: () => socket.destroy(),
  };
}

/**
 * @typedef {object} RawSetting
 * @property {import('../workloads.mjs').Workload} workload
 * @property {import('../scenarios/meter.mjs').Timing} timing
 * @property {() => Promise<RawConnection>} open
 */

/**
 * What the client sends, and how long what comes back for it is.
 *
 * @param {import('../workloads.mjs').Workload} workload
 */
function framesOf(workload) {
  const payload = messagesOf(workload)();
  return { frame: packFrame(payload, { mask: true }), size: packFrame(payload).length };
}

/** @param {RawSetting} setting */
async function pingPong({ workload, timing, open }) {
  const { socket, listen } = await open();
  const { frame, size } = framesOf(workload);
  const meter = new Meter(timing);
  /** @type {number[]} */
  const latencies = [];
  let got = 0;
  let count = 0;
  let sentAt = 0;
  await new Promise((resolve) => {
    const ping = () => {
      sentAt = performance.now();
      socket.write(frame);
    };
    listen((bytes) => {
      got += bytes;
      if (got < size) return;
      got = 0;
      if (meter.measuring) latencies.push(performance.now() - sentAt);
      if (meter.isOver(++count)) resolve(undefined);
      else ping();
    });
    ping();
  });
  return {
    ...meter.sample(count),
    p50: percentile(latencies, 0.5) * 1_000,
    p99: percentile(latencies, 0.99) * 1_000,
  };
}

/** @param {RawSetting} setting */
async function pipeline({ workload, timing, open }) {
  const { window } = workload;
  const { socket, listen } = await open();
  const { frame, size } = framesOf(workload);
  const frames = repeatFrame(frame, window * frame.length);
  const meter = new Meter(timing);
  let got = 0;
  let count = 0;
  await new Promise((resolve) => {
    listen((bytes) => {
      got += bytes;
      const whole = Math.floor(got / size);
      if (whole === 0) return;
      got -= whole * size;
      count += whole;
      if (meter.isOver(count)) resolve(undefined);
      socket.write(frames.subarray(0, whole * frame.length));
    });
    socket.write(frames);
  });
  return meter.sample(count);
}

/** @param {RawSetting} setting */
async function receive({ workload, timing, open }) {
  const { socket, listen } = await open();
  const size = averageSize(workload);
  const meter = new Meter(timing);
  let got = 0;
  await new Promise((resolve) => {
    listen((bytes) => {
      got += bytes;
      if (meter.isOver(got / size)) resolve(undefined);
    });
    socket.write(packFrame('go', { mask: true }));
  });
  return meter.sample(got / size);
}

/** @param {import('../workloads.mjs').Workload} workload */
function averageSize(workload) {
  if (workload.kind !== 'json') return framesOf(workload).size;
  const { bytes, ends } = deflatedLoop();
  return bytes.length / ends.length;
}

/** @param {RawSetting} setting */
async function send({ workload, timing, open }) {
  const { socket, listen } = await open();
  const { frame } = framesOf(workload);
  const block = repeatFrame(frame, BLOCK);
  const meter = new Meter(timing);
  const confirmed = new Promise((resolve) => listen(resolve));
  let count = 0;
  do {
    if (!socket.write(block)) await once(socket, 'drain');
    count += block.length / frame.length;
  } while (!meter.isOver(count));
  socket.write(packFrame('done', { mask: true }));
  await confirmed;
  return meter.sample(count);
}

/** Its own ways through the scenarios. */
export const scenarios = { 'ping-pong': pingPong, pipeline, receive, send };
