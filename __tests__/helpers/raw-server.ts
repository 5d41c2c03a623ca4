/** Servers on raw sockets, which do what they are told and nothing else. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

/** What a server does with each connection. */
export type OnConnection = (socket: Socket) => unknown;

export interface RawServerOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Speaks TLS with these. */
  readonly tls?: TlsOptions;
}

const running = new Set<RawServer>();

/** A server that listens, and is ended by {@link closeServers}. */
export class RawServer {
  /** How many connections there have been. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #failures: unknown[] = [];

  private constructor(onConnection: OnConnection, tls: TlsOptions | undefined) {
    this.#server = tls === undefined ? createServer() : createTlsServer(tls);
    this.#server.on('connection', (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', () => undefined);
    this.#server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      if (tls !== undefined) socket.on('error', () => undefined);
      socket.setNoDelay(true);
      void this.#serve(onConnection, socket);
    });
  }

  static async listen(
    onConnection: OnConnection,
    { host = '127.0.0.1', tls }: RawServerOptions = {},
  ): Promise<RawServer> {
    const server = new RawServer(onConnection, tls);
    running.add(server);
    server.#server.listen(0, host);
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `ws://127.0.0.1:port`. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Resolves once every connection so far is gone. */
  async emptied(): Promise<void> {
    // Not `once` of node:events, which fails with a reset.
    await Promise.all(
      [...this.#sockets].map(
        (socket) => new Promise((resolve) => socket.resume().once('close', resolve)),
      ),
    );
  }

  /** Ends everything; fails with what the server's own code threw. */
  async close(): Promise<void> {
    running.delete(this);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  async #serve(onConnection: OnConnection, socket: Socket): Promise<void> {
    try {
      await onConnection(socket);
    } catch (error) {
      this.#failures.push(error);
      socket.destroy();
    }
  }
}

/** Ends all servers of a test: `afterEach(closeServers)`. */
export async function closeServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.close()));
}

/** Reads a request head, blank line included, as UTF-8; what follows stays to be read. */
export function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const stop = (): void => {
      socket.off('data', onData).off('close', onClose);
    };
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const at = bytes.indexOf('\r\n\r\n');
      if (at < 0) return;
      stop();
      socket.pause();
      if (bytes.length > at + 4) socket.unshift(bytes.subarray(at + 4));
      resolve(bytes.toString('utf8', 0, at + 4));
    };
    const onClose = (): void => {
      stop();
      reject(new Error(`the connection ended in the request head: ${bytes.toString()}`));
    };
    socket.on('data', onData).on('close', onClose);
  });
}

/** Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2). */
export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** The value of a request's field, any case; its first line. */
export function fieldOf(head: string, name: string): string | undefined {
  const line = head
    .split('\r\n')
    .find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line?.slice(name.length + 1).trim();
}

/** The response that accepts a request; a field given as undefined is left out. */
export function acceptance(
  head: string,
  fields: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  status = 'HTTP/1.1 101 Switching Protocols',
): string {
  const all = {
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Accept': acceptKey(fieldOf(head, 'sec-websocket-key') ?? ''),
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : (value ?? [])).map((one) => `${name}: ${one}`),
  );
  return [status, ...lines, '', ''].join('\r\n');
}

/** Speaks a server's side of the opening handshake. Gives the request head. */
export async function shakeHands(
  socket: Socket,
  fields?: Readonly<Record<string, string | readonly string[] | undefined>>,
): Promise<string> {
  const head = await readHead(socket);
  socket.write(acceptance(head, fields));
  return head;
}
