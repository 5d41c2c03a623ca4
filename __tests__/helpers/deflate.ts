/** Connections on which permessage-deflate has been agreed on, with either way to use zlib. */
import type { AioWebSocketOptions } from 'aiowebsocket';
import {
  Compressor,
  Decompressor,
  extensionHeader,
  type DeflateParameters,
} from '../conformance/deflate.js';
import { open, Opcode, type Pair, type PeerOptions } from './peer.js';

export { bomb, storedBlocks } from '../conformance/deflate.js';

/** `describe.each(ENGINES)('%s', (_name, engine) => { useEngine(engine); … })`. */
export const ENGINES = [
  ["zlib's handle", undefined],
  ['documented zlib', '1'],
] as const;

const VARIABLE = 'AIOWEBSOCKET_DOCUMENTED';

/** Has the tests of a block compress so. */
export function useEngine(engine: string | undefined): void {
  const before = process.env[VARIABLE];
  const set = (value: string | undefined): void => {
    if (value === undefined) Reflect.deleteProperty(process.env, VARIABLE);
    else process.env[VARIABLE] = value;
  };
  beforeEach(() => {
    set(engine);
  });
  afterEach(() => {
    set(before);
  });
}

export interface CompressedPair extends Pair {
  /** Compresses for the client. */
  readonly compressor: Compressor;
  /** Inflates what the client sends. */
  readonly decompressor: Decompressor;
  /** The client's messages so far, inflated where they are compressed. */
  readonly messages: () => Buffer[];
}

/** Opens a connection to a raw peer that agrees to these parameters. */
export async function openCompressed(
  options: AioWebSocketOptions = {},
  parameters: DeflateParameters = {},
  peerOptions: PeerOptions = {},
): Promise<CompressedPair> {
  const pair = await open(
    { compression: true, ...options },
    {
      ...peerOptions,
      fields: [`Sec-WebSocket-Extensions: ${extensionHeader(parameters)}`],
    },
  );
  const decompressor = new Decompressor(parameters);
  const inflated: Buffer[] = [];
  let seen = 0;
  let pieces: Buffer[] = [];
  let compressed = false;
  return {
    ...pair,
    compressor: new Compressor(parameters),
    decompressor,
    messages() {
      for (; seen < pair.peer.frames.length; seen++) {
        const { opcode, payload, fin, rsv } = pair.peer.frames[seen]!;
        if (opcode >= Opcode.close) continue;
        if (opcode > 0) compressed = rsv === 4;
        pieces.push(payload);
        if (!fin) continue;
        const whole = Buffer.concat(pieces);
        pieces = [];
        inflated.push(compressed ? decompressor.decompress(whole) : whole);
      }
      return inflated;
    },
  };
}

/** Bytes that no compressor makes smaller, the same each time. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Noise that repeats at distances within and beyond every window from 2^8 up. */
export function repeats(farthest = 36_000): Buffer {
  const parts = [120, 200, 300, 700, 1500, 3000, 6000, 12_000, 36_000].filter(
    (length) => length <= farthest,
  );
  const doubled = parts.map((length, i) => {
    const part = noise(length, i + 2);
    return Buffer.concat([part, part]);
  });
  return Buffer.concat(doubled);
}
