/**
 * The server that the command talks to when it is given none. It is there for this command: a
 * server for more than that is not what this package is about.
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { ControlFrames, StatusCodes } from '../index.js';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const FIN = 0x80;
const MASKED = 0x80;
/** Most payload bytes of a frame. */
const LARGEST = 16_777_216;

/** Sends every message back, frame by frame. */
export class EchoServer {
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor() {
    this.#server = createServer((_request, response) => {
      response.writeHead(426, { Upgrade: 'websocket', Connection: 'Upgrade' }).end();
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
      socket.write(accept(request.headers['sec-websocket-key'] ?? ''));
      echo(socket, head);
    });
  }

  /** Starts one on a port of the system's choice, for this machine alone. */
  static async listen(): Promise<EchoServer> {
    const server = new EchoServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `ws://127.0.0.1:${port}`;
  }

  /** Ends it, with every connection that is left. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

/** The response that opens the connection (RFC 6455 section 4.2.2). */
function accept(key: string): string {
  const answer = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${answer}`,
    '',
    '',
  ].join('\r\n');
}

function echo(socket: Duplex, head: Buffer): void {
  let bytes = head;
  const onData = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    for (;;) {
      const frame = readFrame(bytes);
      if (frame === undefined) return;
      bytes = bytes.subarray(frame.size);
      const { fin, opcode, payload } = frame;
      if (opcode === ControlFrames.ping) socket.write(packFrame(fin, ControlFrames.pong, payload));
      else if (opcode !== ControlFrames.pong) socket.write(packFrame(fin, opcode, payload));
      if (opcode === ControlFrames.close) {
        // The last frame of a connection; what still comes is read and dropped.
        socket.off('data', onData).resume().end();
        return;
      }
    }
  };
  socket.on('data', onData);
  onData(Buffer.alloc(0));
}

interface ClientFrame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  /** Bytes of the whole frame. */
  readonly size: number;
}

/** The first frame (RFC 6455 section 5.2), once all of it is there. */
function readFrame(bytes: Buffer): ClientFrame | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  if (second < MASKED) return refuse(StatusCodes.protocolError);
  const short = second & 0x7f;
  const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
  const start = 2 + extended + 4;
  if (bytes.length < start) return undefined;
  const length = extended === 0 ? short : readLength(bytes.subarray(2, 2 + extended));
  if (length > LARGEST) return refuse(StatusCodes.messageTooBig);
  const size = start + length;
  if (bytes.length < size) return undefined;
  const payload = unmask(bytes.subarray(start - 4, size));
  return { fin: first >= FIN, opcode: first & 0x0f, payload, size };
}

function readLength(bytes: Buffer): number {
  return bytes.length === 2 ? bytes.readUInt16BE() : Number(bytes.readBigUInt64BE());
}

/** @param bytes the masking key, and what it masks (RFC 6455 section 5.3) */
function unmask(bytes: Buffer): Buffer {
  const payload = Buffer.from(bytes.subarray(4));
  for (let i = 0; i < payload.length; i++) payload[i] = payload[i]! ^ bytes[i % 4]!;
  return payload;
}

/** Ends it with a client that this server has no patience for, as if that had closed so. */
function refuse(code: StatusCodes): ClientFrame {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return { fin: true, opcode: ControlFrames.close, payload, size: 0 };
}

/** A server's frame: not masked. */
function packFrame(fin: boolean, opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? FIN : 0) | opcode;
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}
