/** `websocket`, by its own interface, which is the faster of its two. */
import { once } from 'node:events';
import websocket from 'websocket';

const MAX_SIZE = 67_108_864;

class Connection {
  /** @param {any} connection it comes without types */
  constructor(connection) {
    this.connection = connection;
  }

  /** @param {string | Buffer} data */
  send(data) {
    this.connection.send(data);
  }

  /** @param {string | Buffer} data */
  sendPaced(data) {
    this.connection.send(data);
    return this.connection.outputBufferFull ? once(this.connection, 'drain') : undefined;
  }

  /** @param {(data: unknown) => void} handler */
  listen(handler) {
    this.connection.on('message', (/** @type {any} */ message) =>
      handler(message.type === 'utf8' ? message.utf8Data : message.binaryData),
    );
  }

  terminate() {
    this.connection.drop();
  }
}

/** @param {import('./index.mjs').OpenOptions} options */
export default async function open({ url }) {
  const client = new websocket.client({
    maxReceivedFrameSize: MAX_SIZE,
    maxReceivedMessageSize: MAX_SIZE,
  });
  const opened = new Promise((resolve, reject) => {
    client.on('connect', resolve);
    client.on('connectFailed', reject);
  });
  client.connect(url);
  return new Connection(await opened);
}
