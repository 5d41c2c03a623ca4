/** Frames by hand: those a server sends, and those a client sent. */
import { isDeepStrictEqual } from 'node:util';
import { Frames, type FramesOptions } from 'aiowebsocket';

/** What a frame is made of; what is left out is as a well-behaved server has it. */
export interface FrameParts {
  readonly fin?: boolean;
  /** RSV1 is 0x40, RSV2 0x20, RSV3 0x10. */
  readonly rsv?: number;
  readonly opcode?: number;
  readonly payload?: string | Uint8Array;
  /** A masking key, which a server must not use. */
  readonly mask?: Uint8Array;
  /** How many bytes of extended length to use, minimal or not. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** A length that is told, whatever the payload's is. */
  readonly length?: number | bigint;
}

/** One frame (RFC 6455 section 5.2). Text and whole, unless told otherwise. */
export function frame(parts: FrameParts = {}): Buffer {
  const { fin = true, rsv = 0, opcode = 0x1, mask } = parts;
  const payload = Buffer.from((parts.payload ?? '') as Uint8Array);
  const length = BigInt(parts.length ?? payload.length);
  const bytes = parts.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const head = Buffer.alloc(2 + bytes);
  head[0] = (fin ? 0x80 : 0) | rsv | opcode;
  head[1] = (mask === undefined ? 0 : 0x80) | { 0: Number(length), 2: 126, 8: 127 }[bytes];
  if (bytes === 2) head.writeUInt16BE(Number(length), 2);
  if (bytes === 8) head.writeBigUInt64BE(length, 2);
  if (mask === undefined) return Buffer.concat([head, payload]);
  return Buffer.concat([head, mask, xor(payload, mask)]);
}

export const text = (payload: string | Uint8Array, fin = true): Buffer => frame({ payload, fin });

export const binary = (payload: string | Uint8Array, fin = true): Buffer =>
  frame({ payload, fin, opcode: 0x2 });

export const cont = (payload: string | Uint8Array, fin = true): Buffer =>
  frame({ payload, fin, opcode: 0x0 });

export const ping = (payload: string | Uint8Array = ''): Buffer => frame({ payload, opcode: 0x9 });

export const pong = (payload: string | Uint8Array = ''): Buffer => frame({ payload, opcode: 0xa });

/** A Close frame; empty without a code. */
export function close(code?: number, reason: string | Uint8Array = ''): Buffer {
  if (code === undefined) return frame({ opcode: 0x8 });
  const body = Buffer.alloc(2);
  body.writeUInt16BE(code);
  return frame({ opcode: 0x8, payload: Buffer.concat([body, Buffer.from(reason as Uint8Array)]) });
}

/** A frame of a client, unmasked. */
export interface ClientFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly key: Buffer;
  readonly payload: Buffer;
}

/** One client frame and the bytes behind it; undefined when it is not whole. Strict. */
export function readFrame(
  bytes: Buffer,
): { readonly frame: ClientFrame; readonly rest: Buffer } | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  if (second < 0x80) throw new Error(`a client frame is not masked: ${bytes.toString('hex')}`);
  const short = second & 0x7f;
  const at = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < at + 4) return undefined;
  const length =
    at === 2 ? short : at === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if ((at === 4 && length < 126) || (at === 10 && length < 65_536)) {
    throw new Error(`a length is not minimal: ${bytes.subarray(0, 10).toString('hex')}`);
  }
  const end = at + 4 + length;
  if (bytes.length < end) return undefined;
  const key = Buffer.from(bytes.subarray(at, at + 4));
  return {
    frame: {
      fin: first >= 0x80,
      rsv: first & 0x70,
      opcode: first & 0x0f,
      key,
      payload: xor(bytes.subarray(at + 4, end), key),
    },
    rest: bytes.subarray(end),
  };
}

/** Client frames, all of them whole. */
export function readFrames(bytes: Buffer): ClientFrame[] {
  const frames: ClientFrame[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const read = readFrame(rest);
    if (read === undefined) throw new Error(`a cut-off frame: ${rest.toString('hex')}`);
    frames.push(read.frame);
    rest = read.rest;
  }
  return frames;
}

/** Masks byte by byte, as RFC 6455 section 5.3 writes it. */
export function xor(data: Uint8Array, key: Uint8Array): Buffer {
  return Buffer.from(data.map((byte, i) => byte ^ key[i % 4]!));
}

/** A codec whose output goes nowhere. */
export const codec = (options?: FramesOptions): Frames => new Frames(() => undefined, options);

/** Feeds bytes in pieces of one size, each in memory that is overwritten right after. */
export function feedIn(frames: Frames, wire: Uint8Array, size: number): void {
  for (let at = 0; at < wire.length; at += size) {
    const piece = Buffer.from(wire.subarray(at, at + size));
    frames.feed(piece);
    piece.fill(0xee);
  }
}

/** What a codec tells, in order. */
export type Told =
  | readonly ['message', string | Buffer, boolean]
  | readonly ['ping' | 'pong', Buffer]
  | readonly ['close', number, string];

/** Notes everything a codec tells. */
export function note(frames: Frames): Told[] {
  const told: Told[] = [];
  frames.on('message', (data, isBinary) => told.push(['message', data, isBinary]));
  frames.on('ping', (payload) => told.push(['ping', payload]));
  frames.on('pong', (payload) => told.push(['pong', payload]));
  frames.on('close', (code, reason) => told.push(['close', code, reason]));
  return told;
}

/** Compares what was told; many times faster with large buffers than `toEqual` is. */
export function expectTold(told: readonly Told[], expected: readonly Told[]): void {
  if (!isDeepStrictEqual(told, expected)) expect(told).toEqual(expected);
}
