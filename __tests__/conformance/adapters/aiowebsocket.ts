// This package's own client, through its public names alone.
import { AioWebSocket, type AioWebSocketOptions } from '../../../lib/index.js';
import type { Adapter, ClientOptions, Connection, Ended, Handlers, Opened } from '../adapter.js';

function settings(options: ClientOptions): AioWebSocketOptions {
  const { protocols, compression, maxPayload, openTimeout, closeTimeout } = options;
  return {
    pingInterval: 0,
    readTimeout: 0,
    ...(protocols === undefined ? {} : { protocols: [...protocols] }),
    ...(compression === undefined ? {} : { compression: { ...compression, threshold: 0 } }),
    ...(maxPayload === undefined ? {} : { maxPayload }),
    ...(openTimeout === undefined ? {} : { timeout: openTimeout }),
    ...(closeTimeout === undefined ? {} : { closeTimeout }),
  };
}

const ignore = (): void => undefined;

class AioConnection implements Connection {
  readonly opened: Promise<Opened>;
  readonly closed: Promise<Ended>;
  private readonly aws: AioWebSocket;

  constructor(uri: string, options: ClientOptions, handlers: Handlers) {
    const aws = new AioWebSocket(uri, settings(options));
    this.aws = aws;
    this.opened = this.open(handlers);
    this.closed = aws.closed.then(({ code, reason }) => ({ code, reason }));
  }

  private async open(handlers: Handlers): Promise<Opened> {
    await this.aws.createConnection();
    this.aws.on('message', (data) => {
      handlers.message(data);
    });
    return { protocol: this.aws.subprotocol ?? '' };
  }

  send(data: string | Buffer): void {
    this.aws.manipulator.send(data).catch(ignore);
  }

  ping(data: Buffer): void {
    this.aws.manipulator.ping(data).catch(ignore);
  }

  close(code?: number, reason?: string): void {
    this.aws.closeConnection(code, reason).catch(ignore);
  }

  terminate(): void {
    this.aws.terminate();
  }
}

export const aiowebsocket: Adapter = {
  name: 'aiowebsocket',
  compression: true,
  connect: (uri, options, handlers) => new AioConnection(uri, options, handlers),
};
