/** `ws`; `corked` holds its writes back by hand, once a turn of the event loop. */
import WebSocket, { createWebSocketStream } from 'ws';

const HIGH_WATER_MARK = 1_048_576;
const deflateOptions = { threshold: 0, zlibDeflateOptions: { level: 6 } };

/** As its documentation has it. */
class Plain {
  /** @param {WebSocket} ws */
  constructor(ws) {
    this.ws = ws;
  }

  /**
   * @param {string | Buffer} data
   * @param {() => void} [done]
   */
  send(data, done) {
    this.ws.send(data, done);
  }

  /**
   * @param {string | Buffer} data
   * @returns {Promise<void> | undefined}
   */
  sendPaced(data) {
    if (this.ws.bufferedAmount > HIGH_WATER_MARK) {
      return new Promise((done) => this.send(data, done));
    }
    this.send(data);
    return undefined;
  }

  /** @param {(data: unknown) => void} handler */
  listen(handler) {
    // The other clients give text as a string; with ws one asks for it.
    this.ws.on('message', (data, isBinary) => handler(isBinary ? data : data.toString()));
  }

  pull() {
    return createWebSocketStream(this.ws, { readableObjectMode: true });
  }

  terminate() {
    this.ws.terminate();
  }
}

/** Text is left as the Buffer that it comes in. */
class Buffers extends Plain {
  /** @param {(data: unknown) => void} handler */
  listen(handler) {
    this.ws.on('message', handler);
  }
}

class Corked extends Plain {
  #corked = false;
  /** @type {import('node:net').Socket} */
  #socket;

  /** @param {WebSocket} ws */
  constructor(ws) {
    super(ws);
    ({ _socket: this.#socket } = /** @type {any} */ (ws));
  }

  /**
   * @param {string | Buffer} data
   * @param {() => void} [done]
   */
  send(data, done) {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(this.#uncork);
    }
    this.ws.send(data, done);
  }

  #uncork = () => {
    this.#corked = false;
    this.#socket.uncork();
  };
}

const styles = { plain: Plain, buffers: Buffers, corked: Corked };

/** @param {import('./index.mjs').OpenOptions} options */
export default async function open({ url, deflate, style = 'plain' }) {
  const ws = new WebSocket(url, { perMessageDeflate: deflate ? deflateOptions : false });
  await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject));
  return new styles[/** @type {keyof typeof styles} */ (style)](ws);
}
