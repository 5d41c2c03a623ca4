/** What the clients with the interface of browsers have in common. */
import { setTimeout as sleep } from 'node:timers/promises';

const HIGH_WATER_MARK = 1_048_576;

class Standard {
  /** @param {any} ws */
  constructor(ws) {
    this.ws = ws;
  }

  /** @param {string | Buffer} data */
  send(data) {
    this.ws.send(data);
  }

  /** @param {string | Buffer} data */
  sendPaced(data) {
    this.ws.send(data);
    return this.ws.bufferedAmount > HIGH_WATER_MARK ? this.#drained() : undefined;
  }

  /** There is no other way to learn that there is room again. */
  async #drained() {
    while (this.ws.bufferedAmount > HIGH_WATER_MARK) await sleep(1);
  }

  /** @param {(data: unknown) => void} handler */
  listen(handler) {
    this.ws.onmessage = (/** @type {{ data: unknown }} */ { data }) => handler(data);
  }

  terminate() {
    this.ws.close();
  }
}

/** @param {any} ws a WebSocket, or one like it */
export async function openStandard(ws) {
  ws.binaryType = 'arraybuffer';
  await new Promise((resolve, reject) => {
    ws.onopen = resolve;
    ws.onerror = reject;
  });
  return new Standard(ws);
}
