// The raw server of one case: a listening socket, one connection, and what came in on it.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';

import type { DeflateParameters } from './deflate.js';
import { parseRequest, type Request, requestFaults } from './http.js';
import { ClientStream } from './stream.js';
import { hex } from './wire.js';

const HEAD_LIMIT = 65_536;

export class Peer {
  readonly stream: ClientStream;
  readonly problems: string[] = [];
  request: Request | undefined;
  /** The client ended its side, or the whole connection. */
  gone = false;
  /** Octets that came after the request, before a 101 was sent. */
  early = 0;
  /** Whether what comes in is frames. */
  switched = false;
  /** What was written last. */
  last: Buffer = Buffer.alloc(0);
  port = 0;

  private readonly server: Server;
  private socket: Socket | undefined;
  private head = '';
  private written = 0;

  constructor(
    deflate: DeflateParameters | undefined,
    private readonly changed: () => void,
  ) {
    this.stream = new ClientStream(deflate);
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.take(socket);
    });
  }

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  get uri(): string {
    return `ws://127.0.0.1:${String(this.port)}/`;
  }

  get connected(): boolean {
    return this.socket !== undefined;
  }

  private take(socket: Socket): void {
    if (this.socket !== undefined) {
      this.problems.push('client opened a second connection');
      socket.destroy();
      return;
    }
    this.socket = socket;
    const leave = (): void => {
      this.gone = true;
      this.changed();
    };
    socket.on('data', (chunk) => {
      this.read(chunk);
      this.changed();
    });
    socket.on('end', leave).on('close', leave).on('error', leave);
    this.changed();
  }

  private read(chunk: Buffer): void {
    if (this.switched) {
      this.stream.feed(chunk);
    } else if (this.request === undefined) {
      this.readHead(chunk);
    } else {
      if (this.early === 0) this.problems.push(`client sent ${hex(chunk)} before the response`);
      this.early += chunk.length;
    }
  }

  private readHead(chunk: Buffer): void {
    this.head += chunk.toString('latin1');
    const end = this.head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.head.length > HEAD_LIMIT) this.socket?.destroy();
      return;
    }
    const rest = this.head.length - end - 4;
    const head = this.head.slice(0, end);
    if (rest > 0) this.problems.push(`client sent ${String(rest)} octets after its request`);
    this.request = parseRequest(head);
    this.problems.push(...requestFaults(this.request, head, this.port));
  }

  /**
   * Write; with `chop`, in pieces, a turn of the event loop after each.
   * @param stop whether a Close of the client ends it
   */
  async write(bytes: Buffer, chop?: number, stop = false): Promise<void> {
    this.last = bytes;
    const size = chop ?? bytes.length;
    for (let at = 0; at < bytes.length && !this.gone; at += size) {
      if (stop && this.stream.close !== undefined) return;
      this.put(bytes.subarray(at, at + size));
      if (chop !== undefined) await turn();
    }
  }

  private put(bytes: Buffer): void {
    this.socket?.write(bytes, () => {
      this.written += bytes.length;
    });
  }

  /**
   * Write the same octets until the client goes.
   * @param limit how many octets may be taken from us
   * @param ms how long it may take
   * @returns how many octets were taken
   */
  async flood(bytes: Buffer, limit: number, ms: number): Promise<number> {
    const before = this.written;
    const deadline = performance.now() + ms;
    this.last = bytes;
    while (!this.gone && this.written - before <= limit && performance.now() < deadline) {
      if ((this.socket?.writableLength ?? 0) < 262_144) this.put(bytes);
      await turn();
    }
    return this.written - before;
  }

  end(): void {
    this.socket?.end();
  }

  reset(): void {
    this.socket?.resetAndDestroy();
  }

  /** Let go of every socket. */
  async destroy(): Promise<void> {
    this.socket?.destroy();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }
}
