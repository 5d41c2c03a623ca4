/**
 * A server of a test's own: it completes the opening handshake, then sends the bytes it is told to,
 * and shows each frame that the client sends.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { AioWebSocket, SocketState, type AioWebSocketOptions, type Converse } from 'aiowebsocket';
import { applyMask, close, Opcode } from '../conformance/wire.js';
import { atEnd } from './cleanup.js';

export {
  binary,
  close,
  closeBody,
  continuation,
  fragments,
  frame,
  header,
  Opcode,
  ping,
  pong,
  text,
} from '../conformance/wire.js';

/** A frame that the client sent. */
export interface ClientFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

export interface PeerOptions {
  /** Bytes that leave in the same write as the 101. */
  readonly glued?: Buffer | undefined;
  /** Ends the stream right behind them. */
  readonly fin?: boolean | undefined;
  /** Further lines of the response. */
  readonly fields?: readonly string[] | undefined;
  /**
   * Whether a Close frame is answered with the same, and the stream ended then.
   * @default true
   */
  readonly polite?: boolean | undefined;
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** One connection, seen from the server. */
export class Peer {
  readonly socket: Socket;
  /** The request, up to its blank line. */
  request = '';
  /** Every frame so far. */
  readonly frames: ClientFrame[] = [];
  /** Whether the client has ended its side. */
  ended = false;
  /** Whether nothing is left of the connection. */
  gone = false;
  /** Bytes of frames that have come so far. */
  bytes = 0;
  readonly #options: PeerOptions;
  readonly #watchers = new Set<() => void>();
  #data: Buffer = Buffer.alloc(0);
  #needed = 2;
  #open = false;
  #shown = 0;

  constructor(socket: Socket, options: PeerOptions) {
    this.socket = socket;
    this.#options = options;
    socket.on('data', (chunk) => {
      if (this.#open) this.#take(chunk);
      else this.#shake(chunk);
      this.#changed();
    });
    socket.on('end', () => {
      this.ended = true;
      if (options.polite !== false) socket.end();
      this.#changed();
    });
    socket.on('close', () => {
      this.ended = true;
      this.gone = true;
      this.#changed();
    });
    // A client that is terminated resets.
    socket.on('error', () => undefined);
  }

  /** Whether the opening handshake is over. */
  get open(): boolean {
    return this.#open;
  }

  /** Sends bytes, all in one write. */
  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** The next frame that has not been given yet. */
  next(): Promise<ClientFrame> {
    return this.until(() =>
      this.#shown < this.frames.length ? this.frames[this.#shown++] : undefined,
    );
  }

  /** Waits until `look` finds something; it looks again whenever something has come. */
  async until<T>(look: () => T | undefined | false): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined && found !== false) return found;
      if (this.gone) throw new Error('the connection is gone, and what was waited for never came');
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** The client's Close frame. */
  closeFrame(): Promise<ClientFrame> {
    return this.until(() => this.frames.find(({ opcode }) => opcode === Opcode.close));
  }

  /** Payloads of the frames so far, by opcode. */
  payloads(opcode: number): string[] {
    return this.frames
      .filter((one) => one.opcode === opcode)
      .map(({ payload }) => payload.toString());
  }

  /** Whole messages so far, their fragments joined. */
  get messages(): Buffer[] {
    const messages: Buffer[] = [];
    let pieces: Buffer[] = [];
    for (const { fin, opcode, payload } of this.frames) {
      if (opcode >= Opcode.close) continue;
      pieces.push(payload);
      if (!fin) continue;
      messages.push(Buffer.concat(pieces));
      pieces = [];
    }
    return messages;
  }

  #shake(chunk: Buffer): void {
    this.request += chunk.toString('latin1');
    if (!this.request.endsWith('\r\n\r\n')) return;
    const key = /^sec-websocket-key: *(\S+)/im.exec(this.request)?.[1] ?? '';
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${createHash('sha1').update(`${key}${GUID}`).digest('base64')}`,
      ...(this.#options.fields ?? []),
    ];
    const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
    this.#open = true;
    this.socket.write(Buffer.concat([head, this.#options.glued ?? Buffer.alloc(0)]));
    if (this.#options.fin === true) this.socket.end();
  }

  #take(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#data = this.#data.length === 0 ? chunk : Buffer.concat([this.#data, chunk]);
    while (this.#data.length >= this.#needed && this.#unpack());
  }

  #unpack(): boolean {
    const data = this.#data;
    const first = data[0] as number;
    const second = data[1] as number;
    const short = second & 0x7f;
    const masked = second >= 0x80;
    const size = (short === 126 ? 4 : short === 127 ? 10 : 2) + (masked ? 4 : 0);
    this.#needed = size;
    if (data.length < size) return false;
    const length =
      short === 126
        ? data.readUInt16BE(2)
        : short === 127
          ? Number(data.readBigUInt64BE(2))
          : short;
    this.#needed = size + length;
    if (data.length < size + length) return false;
    this.#needed = 2;
    this.#data = data.subarray(size + length);
    const body = data.subarray(size, size + length);
    const payload = masked ? applyMask(body, data.subarray(size - 4, size)) : Buffer.from(body);
    const opcode = first & 0x0f;
    this.frames.push({ fin: first >= 0x80, rsv: (first >> 4) & 7, opcode, masked, payload });
    if (opcode === Opcode.close && this.#options.polite !== false) this.#agree(payload);
    return true;
  }

  #agree(payload: Buffer): void {
    if (this.socket.writableEnded) return;
    const code = payload.length < 2 ? undefined : payload.readUInt16BE();
    this.socket.end(close(code, payload.subarray(2)));
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** A listening server, whose connections are {@link Peer}s. */
export class PeerServer {
  readonly uri: string;
  readonly peers: Peer[] = [];
  readonly #server: Server;
  #accepted = 0;

  constructor(server: Server) {
    this.#server = server;
    this.uri = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  /** The next connection, its opening handshake over. */
  async accept(): Promise<Peer> {
    while (this.peers.length <= this.#accepted) await once(this.#server, 'connection');
    const peer = this.peers[this.#accepted++] as Peer;
    await peer.until(() => peer.open);
    return peer;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const { socket } of this.peers) socket.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

/** Starts a server, which is closed after the test. */
export async function listen(options: PeerOptions = {}): Promise<PeerServer> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peers = new PeerServer(server);
  server.on('connection', (socket) => peers.peers.push(new Peer(socket, options)));
  atEnd(() => peers.close());
  return peers;
}

/** A connection that is terminated after the test, and made sure to have ended. */
export function client(uri: string, options: AioWebSocketOptions = {}): AioWebSocket {
  return ended(new AioWebSocket(uri, options));
}

/** Terminates a connection after the test, and makes sure that it has ended. */
export function ended<A extends AioWebSocket>(aws: A): A {
  atEnd(async () => {
    aws.terminate();
    await aws.closed;
  });
  return aws;
}

/** Both ends of one open connection. */
export interface Pair {
  readonly aws: AioWebSocket;
  readonly converse: Converse;
  readonly peer: Peer;
}

/** Opens a connection, which is terminated after the test. */
export async function open(
  options: AioWebSocketOptions = {},
  peerOptions: PeerOptions = {},
): Promise<Pair> {
  const server = await listen(peerOptions);
  const aws = client(server.uri, options);
  const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
  return { aws, converse: aws.manipulator, peer };
}

/** Waits until `look` is true, and no longer than the connection lives. */
export async function eventually(
  { converse }: Pick<Pair, 'converse'>,
  look: () => boolean,
): Promise<void> {
  while (!look()) {
    if (converse.state === SocketState.closed)
      throw new Error('the connection has ended meanwhile');
    await new Promise(setImmediate);
  }
}

/** Whether reading is stopped for longer than the turns that others get after a long read. */
export async function readingStops({ aws }: Pick<Pair, 'aws'>): Promise<boolean> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  return aws.transport!.isPaused();
}

/** Waits until so many messages are queued. */
export function queued(pair: Pick<Pair, 'converse'>, count: number): Promise<void> {
  return eventually(pair, () => pair.converse.queueSize >= count);
}
