// Frames as a server writes them, right or wrong on purpose (RFC 6455 section 5.2).

export const Opcode = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

/** A message as an application sees it: a string is text, a Buffer is binary. */
export type Message = string | Buffer;

/** How the payload length is written: in the second octet, in two more, or in eight more. */
export type LengthForm = 7 | 16 | 64;

export interface FrameFields {
  readonly opcode: number;
  readonly payload?: Buffer | string;
  /** @default true */
  readonly fin?: boolean;
  /** RSV1, RSV2 and RSV3 as one number: 4, 2 and 1. @default 0 */
  readonly rsv?: number;
  /** A masking key; a server must not use one. @default none */
  readonly mask?: Buffer;
  /** @default the shortest that holds the length */
  readonly form?: LengthForm;
  /** The length written in the header. @default the payload's */
  readonly announce?: number | bigint;
}

export type FrameExtras = Omit<FrameFields, 'opcode' | 'payload'>;

export function toBytes(data: Message): Buffer {
  return typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
}

function lengthForm(length: bigint): LengthForm {
  if (length < 126n) return 7;
  return length < 65536n ? 16 : 64;
}

/** The header alone: everything before the payload, the masking key included. */
export function header(fields: FrameFields): Buffer {
  const { opcode, fin = true, rsv = 0, mask } = fields;
  const length = BigInt(fields.announce ?? toBytes(fields.payload ?? '').length);
  const form = fields.form ?? lengthForm(length);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const maskBit = mask === undefined ? 0 : 0x80;
  const head = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10);
  head[0] = first;
  if (form === 7) {
    head[1] = maskBit | Number(length);
  } else if (form === 16) {
    head[1] = maskBit | 126;
    head.writeUInt16BE(Number(length), 2);
  } else {
    head[1] = maskBit | 127;
    head.writeBigUInt64BE(length, 2);
  }
  return mask === undefined ? head : Buffer.concat([head, mask]);
}

/** XOR `data` with a four-octet key, into a new Buffer (RFC 6455 section 5.3). */
export function applyMask(data: Buffer, key: Buffer): Buffer {
  const result = Buffer.allocUnsafeSlow(data.length);
  const words = data.length >>> 2;
  const word = key.readInt32LE(0);
  const out = new Int32Array(result.buffer, 0, words);
  if (data.byteOffset % 4 === 0) {
    const source = new Int32Array(data.buffer, data.byteOffset, words);
    for (let i = 0; i < words; i++) out[i] = (source[i] ?? 0) ^ word;
  } else {
    for (let i = 0; i < words; i++) out[i] = data.readInt32LE(i * 4) ^ word;
  }
  for (let i = words * 4; i < data.length; i++) result[i] = (data[i] ?? 0) ^ (key[i & 3] ?? 0);
  return result;
}

export function frame(fields: FrameFields): Buffer {
  const payload = toBytes(fields.payload ?? '');
  const body = fields.mask === undefined ? payload : applyMask(payload, fields.mask);
  return Buffer.concat([header(fields), body]);
}

export function text(payload: Buffer | string, extras: FrameExtras = {}): Buffer {
  return frame({ ...extras, opcode: Opcode.text, payload });
}

export function binary(payload: Buffer | string, extras: FrameExtras = {}): Buffer {
  return frame({ ...extras, opcode: Opcode.binary, payload });
}

export function continuation(payload: Buffer | string, extras: FrameExtras = {}): Buffer {
  return frame({ ...extras, opcode: Opcode.continuation, payload });
}

export function ping(payload: Buffer | string = '', extras: FrameExtras = {}): Buffer {
  return frame({ ...extras, opcode: Opcode.ping, payload });
}

export function pong(payload: Buffer | string = '', extras: FrameExtras = {}): Buffer {
  return frame({ ...extras, opcode: Opcode.pong, payload });
}

export function closeBody(code?: number, reason: Buffer | string = ''): Buffer {
  if (code === undefined) return Buffer.alloc(0);
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, toBytes(reason)]);
}

export function close(
  code?: number,
  reason: Buffer | string = '',
  extras: FrameExtras = {},
): Buffer {
  return frame({ ...extras, opcode: Opcode.close, payload: closeBody(code, reason) });
}

/** A whole message in one frame, its opcode by its type. */
export function message(data: Message, extras: FrameExtras = {}): Buffer {
  return typeof data === 'string' ? text(data, extras) : binary(data, extras);
}

/** One message cut into the given pieces, one frame each; the first may carry RSV bits. */
export function fragments(opcode: number, pieces: readonly (Buffer | string)[], rsv = 0): Buffer[] {
  return pieces.map((payload, index) =>
    frame({
      opcode: index === 0 ? opcode : Opcode.continuation,
      payload,
      fin: index === pieces.length - 1,
      rsv: index === 0 ? rsv : 0,
    }),
  );
}

/** `data` in pieces of `size` octets, the last one shorter; one empty piece when there is no data. */
export function slices(data: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += size) pieces.push(data.subarray(at, at + size));
  return pieces.length === 0 ? [data] : pieces;
}

/** At most `limit` octets in hexadecimal, the middle left out. */
export function hex(data: Buffer, limit = 48): string {
  if (data.length <= limit) return data.toString('hex');
  const half = limit >>> 1;
  const left = data.subarray(0, half).toString('hex');
  const right = data.subarray(data.length - half).toString('hex');
  return `${left}…${right} (${String(data.length)} octets)`;
}
