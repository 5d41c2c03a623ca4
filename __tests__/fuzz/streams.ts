/** Arbitrary streams of a server: messages, how they are cut into frames, and frames into chunks. */
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { Deflate } from '../../lib/extensions.js';
import { frame, type Told } from '../helpers/frames.js';

/** What of permessage-deflate was agreed on. */
export interface Parameters {
  readonly serverForgets: boolean;
  readonly clientForgets: boolean;
  readonly serverBits: number;
  readonly clientBits: number;
}

/** This package's codec for them. */
export const deflateOf = (parameters: Parameters): Deflate =>
  new Deflate(
    {
      _server: { _forgets: parameters.serverForgets, _bits: parameters.serverBits },
      _client: { _forgets: parameters.clientForgets, _bits: parameters.clientBits },
    },
    {},
  );

/** One message, and how it travels. */
export interface Plan {
  readonly isText: boolean;
  readonly data: Buffer;
  /** Where its payload is cut, in thousandths of it. */
  readonly cuts: readonly number[];
  /** Pings and pongs in front of its frames. */
  readonly controls: readonly (readonly [opcode: number, payload: Buffer])[];
  readonly compressed: boolean;
  /** Whether it ends with a final block (RFC 7692 section 7.2.3.4). */
  readonly final: boolean;
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
/** Around every limit of the header, and of what the client does at once. */
const SIZES = [124, 125, 126, 127, 128, 4095, 4096, 21_000, 65_520, 65_535, 65_536, 65_537, 70_000];

/** So many bytes: of one kind, or those of a small generator, which do not compress. */
function filled(size: number, seed: number, isNoise: boolean): Buffer {
  const bytes = Buffer.alloc(size, `${seed} is repeated. `);
  if (!isNoise) return bytes;
  for (let at = 0, state = seed; at < size; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

const text: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((s) => Buffer.from(s)) },
  { weight: 2, arbitrary: fc.string({ maxLength: 300 }).map((s) => Buffer.from(s)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...SIZES), fc.constantFrom('a', 'é', '漢', '😀'), fc.nat(3))
      .map(([size, character, shift]) =>
        Buffer.from('b'.repeat(shift) + character.repeat(size / 4)),
      ),
  },
);

const binary: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 40 }).map(asBuffer) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map(asBuffer) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...SIZES), fc.nat(1000), fc.boolean())
      .map(([size, seed, isNoise]) => filled(size, seed, isNoise)),
  },
);

const control = fc.tuple(
  fc.constantFrom(0x9, 0xa),
  fc.uint8Array({ maxLength: 125, size: '-1' }).map(asBuffer),
);

/** A message, of any content, cut anyhow. */
const plan: fc.Arbitrary<Plan> = fc
  .record({
    data: fc.oneof(
      text.map((data) => ({ isText: true, data })),
      binary.map((data) => ({ isText: false, data })),
    ),
    cuts: fc.array(fc.nat(1000), { maxLength: 5 }),
    controls: fc.array(control, { maxLength: 3 }),
    compressed: fc.boolean(),
    final: fc.integer({ min: 0, max: 7 }).map((n) => n === 7),
  })
  .map(({ data, ...rest }) => ({ ...data, ...rest }));

export const plans: fc.Arbitrary<Plan[]> = fc.array(plan, { maxLength: 8 });

export const parameters: fc.Arbitrary<Parameters | undefined> = fc.option(
  fc.record({
    serverForgets: fc.boolean(),
    clientForgets: fc.boolean(),
    serverBits: fc.integer({ min: 8, max: 15 }),
    clientBits: fc.integer({ min: 8, max: 15 }),
  }),
  { nil: undefined },
);

/** Sizes of chunks, taken in turn; the last one of all is repeated. */
export const chunking: fc.Arbitrary<readonly number[]> = fc.oneof(
  { weight: 1, arbitrary: fc.constant([1_000_000]) },
  { weight: 1, arbitrary: fc.constant([1]) },
  {
    weight: 2,
    arbitrary: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }),
  },
  {
    weight: 2,
    arbitrary: fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 }),
  },
);

/** At most so many chunks: what is left comes as one. */
const MOST_CHUNKS = 3000;

/** Cuts bytes up; each chunk has memory of its own. */
export function chop(wire: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < wire.length; i++) {
    const size = i < MOST_CHUNKS ? (sizes[i % sizes.length] ?? 1) : wire.length;
    chunks.push(Buffer.from(wire.subarray(at, at + size)));
    at += size;
  }
  return chunks;
}

/**
 * A deflater by documented means alone, which has nothing in common with the client's. It looks back
 * behind a final block, too, which the window allows.
 */
function makeDeflater({ serverBits, serverForgets }: Parameters) {
  // zlib's raw deflate knows no window of 256 bytes; with 512 it looks back 250 at the most.
  const windowBits = Math.max(9, serverBits);
  let dictionary: Buffer = Buffer.alloc(0);
  return (data: Buffer, final: boolean): Buffer => {
    const deflated = deflateRawSync(data, {
      windowBits,
      finishFlush: final ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
      ...(dictionary.length > 0 && { dictionary }),
    });
    dictionary = Buffer.concat([dictionary, data]).subarray(-(2 ** windowBits));
    if (serverForgets) dictionary = Buffer.alloc(0);
    return final ? Buffer.concat([deflated, Buffer.alloc(1)]) : deflated.subarray(0, -4);
  };
}

/** Cuts a payload at the thousandths of the plan. */
export function cut(payload: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map((place) => Math.floor((place * payload.length) / 1000));
  const edges = [0, ...places.sort((a, b) => a - b), payload.length];
  return edges.slice(1).map((edge, i) => payload.subarray(edges[i], edge));
}

/** The bytes that a server sends for these messages, and what a client has to tell of them. */
export function serverStream(
  messages: readonly Plan[],
  deflate: Parameters | undefined,
): { readonly wire: Buffer; readonly told: Told[] } {
  const wire: Buffer[] = [];
  const told: Told[] = [];
  const compress = deflate && makeDeflater(deflate);
  for (const { isText, data, cuts, controls, compressed, final } of messages) {
    const extended = compress !== undefined && compressed;
    const pieces = cut(extended ? compress(data, final) : data, cuts);
    pieces.forEach((payload, i) => {
      const between = controls[i];
      if (between) {
        wire.push(frame({ opcode: between[0], payload: between[1] }));
        told.push([between[0] === 0x9 ? 'ping' : 'pong', between[1]]);
      }
      const opcode = i > 0 ? 0x0 : isText ? 0x1 : 0x2;
      const rsv = extended && i === 0 ? 0x40 : 0;
      wire.push(frame({ fin: i === pieces.length - 1, rsv, opcode, payload }));
    });
    told.push(['message', isText ? data.toString() : data, !isText]);
  }
  return { wire: Buffer.concat(wire), told };
}

/** A change of some bytes. */
export type Mutation = readonly [kind: number, at: number, value: number];

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.tuple(fc.nat(5), fc.nat(100_000), fc.nat(255)),
  { minLength: 1, maxLength: 4 },
);

/** Flips, replaces, inserts, removes, repeats, cuts off. */
export function mutate(wire: Buffer, changes: readonly Mutation[]): Buffer {
  return changes.reduce((bytes, [kind, place, value]) => {
    // The heads of small frames are where most can go wrong: every other change is near the start.
    const at = place % (place % 2 === 0 ? Math.min(bytes.length, 64) + 1 : bytes.length + 1);
    const before = bytes.subarray(0, at);
    const byte = bytes[at] ?? 0;
    const one = (changed: number): Buffer => Buffer.from([changed & 0xff]);
    switch (kind) {
      case 0:
        return Buffer.concat([before, one(byte ^ (1 << (value & 7))), bytes.subarray(at + 1)]);
      case 1:
        return Buffer.concat([before, one(value), bytes.subarray(at + 1)]);
      case 2:
        return Buffer.concat([before, one(value), bytes.subarray(at)]);
      case 3:
        return Buffer.concat([before, bytes.subarray(at + 1 + (value & 7))]);
      case 4:
        return Buffer.concat([before, bytes.subarray(at, at + value), bytes.subarray(at)]);
      default:
        return before;
    }
  }, wire);
}

/** Much out of little. */
const BOMBS = [1, 4, 16, 64].map((n) =>
  deflateRawSync(Buffer.alloc(n * 65_536), { finishFlush: constants.Z_SYNC_FLUSH }),
);

/** Two of these are more than the limit. */
const HALF = Buffer.alloc(60_000);

/** A frame of which anything may be wrong. */
interface AnyFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
  readonly mask: Buffer | undefined;
  /** Bytes of extended length; fewer than it takes are as many as it takes. */
  readonly lengthBytes: number;
  /** The length that is told; -1 for the payload's. */
  readonly length: number;
}

const usually = <T>(weight: number, usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: other });

const deflated: fc.Arbitrary<Buffer> = fc
  .tuple(fc.oneof(text, binary), fc.constantFrom(constants.Z_SYNC_FLUSH, constants.Z_FINISH))
  .map(([data, finishFlush]) => deflateRawSync(data, { finishFlush }));

const closeBody: fc.Arbitrary<Buffer> = fc
  .tuple(usually(3, fc.constantFrom(1000, 1001, 1011, 3000, 4999), fc.nat(65_535)), text)
  .map(([code, reason]) =>
    Buffer.concat([Buffer.from([code >> 8, code]), reason]).subarray(0, 125),
  );

const anyFrame: fc.Arbitrary<AnyFrame> = fc.record({
  fin: fc.boolean(),
  rsv: usually(
    12,
    fc.constantFrom(0, 0, 0x40),
    fc.nat(7).map((bits) => bits << 4),
  ),
  opcode: usually(20, fc.constantFrom(0, 0, 0, 1, 2, 2, 2, 8, 9, 0xa), fc.nat(15)),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 30 }).map(asBuffer),
    text,
    deflated,
    closeBody,
    fc.constantFrom(...BOMBS),
    fc.constant(HALF),
    // Mostly cut off within a character.
    text.map((whole) => whole.subarray(0, -1)),
  ),
  mask: usually<Buffer | undefined>(40, fc.constant(undefined), fc.constant(Buffer.from('mask'))),
  lengthBytes: usually(30, fc.constant(-1), fc.constantFrom(2, 8)),
  length: usually(
    15,
    fc.constant(-1),
    fc.constantFrom(0, 1, 126, 65_536, 99_999, 100_001, 2 ** 31, 2 ** 53, 2 ** 62, 2 ** 63),
  ),
});

/** Bytes that may be anything, and often are frames. */
export interface Garbage {
  readonly before: readonly Plan[];
  readonly bytes: Buffer | undefined;
  readonly frames: readonly AnyFrame[];
  /** Whether first frames and continuations come in an order that may be. */
  readonly inOrder: boolean;
}

export const garbage: fc.Arbitrary<Garbage> = fc.record({
  before: fc.array(plan, { maxLength: 2 }),
  bytes: fc.option(fc.uint8Array({ maxLength: 200 }).map(asBuffer), { freq: 9, nil: undefined }),
  frames: fc.array(anyFrame, { maxLength: 14 }),
  inOrder: usually(4, fc.constant(true), fc.constant(false)),
});

/** Leaves the payloads as they are, and makes the heads follow each other as they have to. */
function putInOrder(frames: readonly AnyFrame[], extended: boolean): AnyFrame[] {
  let open = false;
  return frames.map((one) => {
    if (one.opcode > 7) {
      const payload = one.payload.subarray(0, 125);
      return { ...one, payload, fin: true, rsv: one.rsv & ~0x40 };
    }
    const isFirst = !open;
    open = !one.fin;
    const opcode = isFirst ? one.opcode || 1 : 0;
    return { ...one, opcode, rsv: isFirst && extended ? one.rsv : one.rsv & ~0x40 };
  });
}

export function garbageBytes(
  { before, bytes, frames, inOrder }: Garbage,
  deflate: Parameters | undefined,
): Buffer {
  const all = inOrder ? putInOrder(frames, deflate !== undefined) : frames;
  const packed = all.map(({ lengthBytes, length, mask, ...parts }) => {
    const told = length < 0 ? parts.payload.length : length;
    const least = told < 126 ? 0 : told < 65_536 ? 2 : 8;
    return frame({
      ...parts,
      ...(mask && { mask }),
      length: BigInt(told),
      lengthBytes: Math.max(least, lengthBytes) as 0 | 2 | 8,
    });
  });
  return Buffer.concat([serverStream(before, deflate).wire, ...(bytes ? [bytes] : []), ...packed]);
}
