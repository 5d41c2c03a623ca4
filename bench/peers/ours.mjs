/** This library: with events, with `receive()`, and with `for await`. */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Bytes that wait, from which on a sender that looks at `bufferedAmount` waits. */
const HIGH_WATER_MARK = 1_048_576;

/**
 * What to import for a build of this library.
 *
 * @param {string | undefined} lib its folder or index.js; the package itself when left out
 */
export function specifier(lib) {
  if (lib === undefined) return 'aiowebsocket';
  const path = resolve(lib);
  return pathToFileURL(statSync(path).isDirectory() ? join(path, 'index.js') : path).href;
}

/** Messages by `on('message')`; who sends looks at `bufferedAmount`. */
class Events {
  /** @param {import('aiowebsocket').AioWebSocket} aws */
  constructor(aws) {
    this.aws = aws;
    this.converse = aws.manipulator;
  }

  /** @param {string | Buffer} data */
  send(data) {
    return this.converse.send(data);
  }

  /** @param {string | Buffer} data */
  sendPaced(data) {
    const sent = this.converse.send(data);
    return this.converse.bufferedAmount > HIGH_WATER_MARK ? sent : undefined;
  }

  /** @param {(data: unknown) => void} handler */
  listen(handler) {
    this.aws.on('message', handler);
  }

  terminate() {
    this.aws.terminate();
  }
}

/** Messages by `receive()`; who sends awaits each `send()`. */
class Receive extends Events {
  /** @param {string | Buffer} data */
  sendPaced(data) {
    return this.converse.send(data);
  }

  /** @param {(data: unknown) => void} handler */
  async listen(handler) {
    for (;;) handler(await this.converse.receive());
  }

  /** @returns {AsyncIterable<string | Buffer>} */
  async *pull() {
    for (;;) yield await this.converse.receive();
  }
}

/** Messages by `for await`. */
class Iterate extends Receive {
  /** @param {(data: unknown) => void} handler */
  async listen(handler) {
    for await (const message of this.converse) handler(message);
  }

  /** @returns {AsyncIterable<string | Buffer>} */
  pull() {
    return this.converse;
  }
}

const styles = { events: Events, receive: Receive, iterate: Iterate };

/** @type {Promise<typeof import('aiowebsocket')> | undefined} */
let loading;

/** @param {import('./index.mjs').OpenOptions} options */
export default async function open({ url, deflate, style = 'events', lib }) {
  const { AioWebSocket } = await (loading ??= import(specifier(lib)));
  const aws = await AioWebSocket.connect(url, deflate ? { compression: { level: 6 } } : {});
  return new styles[/** @type {keyof typeof styles} */ (style)](aws);
}
