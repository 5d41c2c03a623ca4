// The server's side of permessage-deflate (RFC 7692), on the documented one-shot calls of
// node:zlib with the last 32 KiB given back as a dictionary.
import { constants, deflateRawSync } from 'node:zlib';

import { inflate } from './inflate.js';
import { slices } from './wire.js';

const WINDOW = 32_768;
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** What was agreed for one connection. */
export interface DeflateParameters {
  /** server_no_context_takeover @default false */
  readonly serverReset?: boolean;
  /** client_no_context_takeover @default false */
  readonly clientReset?: boolean;
  /** server_max_window_bits @default 15, and the parameter is left out */
  readonly serverBits?: number;
  /** client_max_window_bits @default 15, and the parameter is left out */
  readonly clientBits?: number;
}

/** The value of Sec-WebSocket-Extensions that agrees to the parameters. */
export function extensionHeader(parameters: DeflateParameters): string {
  const { serverReset, clientReset, serverBits, clientBits } = parameters;
  let value = 'permessage-deflate';
  if (serverReset === true) value += '; server_no_context_takeover';
  if (clientReset === true) value += '; client_no_context_takeover';
  if (serverBits !== undefined) value += `; server_max_window_bits=${String(serverBits)}`;
  if (clientBits !== undefined) value += `; client_max_window_bits=${String(clientBits)}`;
  return value;
}

export interface CompressOptions {
  /** 0 gives stored blocks. @default zlib's own */
  readonly level?: number;
  /** End with a block that has BFINAL set (RFC 7692 section 7.2.3.4). @default false */
  readonly final?: boolean;
  readonly strategy?: number;
}

/** Compresses a server's messages one after the other. */
export class Compressor {
  private history: Buffer = Buffer.alloc(0);

  constructor(private readonly parameters: DeflateParameters = {}) {}

  /** The payload of one message, the tail of section 7.2.1 removed. */
  compress(message: Buffer | string, options: CompressOptions = {}): Buffer {
    const data = Buffer.from(message);
    const { serverBits = 15, serverReset = false } = this.parameters;
    const packed = deflateRawSync(data, {
      // zlib has no raw stream of 8 bits; with 9 its distances end at 250 and fit as well.
      windowBits: Math.max(9, serverBits),
      finishFlush: options.final === true ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
      ...(options.level === undefined ? {} : { level: options.level }),
      ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
      ...(this.history.length === 0 ? {} : { dictionary: this.history }),
    });
    if (!serverReset) this.remember(data, 2 ** serverBits);
    if (options.final === true) return Buffer.concat([packed, Buffer.from([0x00])]);
    return packed.subarray(0, packed.length - TAIL.length);
  }

  private remember(data: Buffer, window: number): void {
    const whole = Buffer.concat([this.history, data]);
    this.history = Buffer.from(whole.subarray(Math.max(0, whole.length - window)));
  }
}

/** Inflates a client's messages, and holds them to the window that was agreed. */
export class Decompressor {
  private history: Buffer = Buffer.alloc(0);
  /** How many messages referred to an earlier one. */
  takeovers = 0;

  constructor(private readonly parameters: DeflateParameters) {}

  /** @throws {Error} on malformed data, or data that reaches back further than agreed */
  decompress(payload: Buffer): Buffer {
    const { clientBits = 15, clientReset = false } = this.parameters;
    const { data, maxDistance } = inflate(Buffer.concat([payload, TAIL]), this.history);
    if (maxDistance > 2 ** clientBits) {
      throw new Error(
        `a distance of ${String(maxDistance)} is beyond client_max_window_bits=${String(clientBits)}`,
      );
    }
    if (maxDistance > data.length) this.takeovers++;
    if (!clientReset) {
      const whole = Buffer.concat([this.history, data]);
      this.history = Buffer.from(whole.subarray(Math.max(0, whole.length - WINDOW)));
    }
    return data;
  }
}

/** Stored blocks (RFC 1951 section 3.2.4) around `data`, then the octet that section 7.2.1 leaves. */
export function storedBlocks(data: Buffer, size: number): Buffer {
  const blocks = slices(data, size).map((piece) => {
    const head = Buffer.alloc(5);
    head.writeUInt16LE(piece.length, 1);
    head.writeUInt16LE(piece.length ^ 0xffff, 3);
    return Buffer.concat([head, piece]);
  });
  return Buffer.concat([...blocks, Buffer.from([0x00])]);
}

/** A deflate stream of about `size / 1000` octets that inflates to `size` zeros. */
export function bomb(size: number): Buffer {
  const packed = deflateRawSync(Buffer.alloc(size), { finishFlush: constants.Z_SYNC_FLUSH });
  return packed.subarray(0, packed.length - TAIL.length);
}
