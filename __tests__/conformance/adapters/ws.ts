// The npm package `ws`, so that the suite itself is checked by a client nobody here wrote.
import { type ClientOptions as WsOptions, type PerMessageDeflateOptions, WebSocket } from 'ws';

import type { Adapter, ClientOptions, Connection, Ended, Handlers, Opened } from '../adapter.js';

/** `closeTimeout` is newer than the package's types. */
interface Settings extends WsOptions {
  closeTimeout?: number;
}

function settings(options: ClientOptions): Settings {
  const { compression, maxPayload, openTimeout, closeTimeout } = options;
  // The package's types know no `clientMaxWindowBits: false`; the package does.
  const offer = { ...compression, threshold: 0 } as PerMessageDeflateOptions;
  return {
    perMessageDeflate: compression === undefined ? false : offer,
    maxFragments: 131_072,
    ...(maxPayload === undefined ? {} : { maxPayload }),
    ...(openTimeout === undefined ? {} : { handshakeTimeout: openTimeout }),
    ...(closeTimeout === undefined ? {} : { closeTimeout }),
  };
}

class WsConnection implements Connection {
  readonly opened: Promise<Opened>;
  readonly closed: Promise<Ended>;
  private readonly socket: WebSocket;

  constructor(uri: string, options: ClientOptions, handlers: Handlers) {
    const socket = new WebSocket(uri, [...(options.protocols ?? [])], settings(options));
    this.socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('open', () => {
        resolve({ protocol: socket.protocol });
      });
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
      });
    });
    socket.on('message', (data, isBinary) => {
      const bytes = data as Buffer;
      handlers.message(isBinary ? bytes : bytes.toString('utf8'));
    });
  }

  private run(action: () => void): void {
    if (this.socket.readyState === WebSocket.OPEN) action();
  }

  send(data: string | Buffer): void {
    this.run(() => {
      this.socket.send(data, () => undefined);
    });
  }

  ping(data: Buffer): void {
    this.run(() => {
      this.socket.ping(data, undefined, () => undefined);
    });
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason);
  }

  terminate(): void {
    this.socket.terminate();
  }
}

export const ws: Adapter = {
  name: 'ws',
  compression: true,
  connect: (uri, options, handlers) => new WsConnection(uri, options, handlers),
};
