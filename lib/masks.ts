/**
 * Masking of what a client sends (RFC 6455 section 5.3), and the memory it is done in.
 * @packageDocumentation
 */
import { Buffer } from './builtins.js';
import { noop } from './values.js';
import { SLAB_SIZE, SLABS, wasm, type Wasm } from './wasm.js';

/** Least bytes of a slab outside the pool: room for a few more frames. */
const SMALL_SLAB = 1024;

/** A piece of memory to pack frames into. */
export interface Slab {
  readonly _buffer: Buffer;
  /** Bytes packed in it; set when it leaves its Output. */
  _length: number;
  /** Where it is in WebAssembly's memory, or -1. */
  readonly _address: number;
  /** Gives the slab back: nothing may read or write it any more. */
  readonly _free: () => void;
}

/** A masking key, fresh for every frame (RFC 6455 section 10.3), little-endian. */
export { randomWord as maskingKey } from './random.js';

/** Masks or unmasks `length` bytes of `data` from `at`, in place, without WebAssembly. */
export function maskBytes(data: Uint8Array, at: number, length: number, key: number): void {
  const end = at + length;
  let turning = key;
  let i = at;
  const byBytes = (to: number): void => {
    for (; i < to; i++) {
      data[i]! ^= turning;
      turning = (turning >>> 8) | (turning << 24);
    }
  };
  byBytes(Math.min(end, at + (-(data.byteOffset + at) & 3)));
  const words = (end - i) >> 2;
  if (words > 0) {
    const view = new Int32Array(data.buffer, data.byteOffset + i, words);
    for (let w = 0; w < words; w++) view[w]! ^= turning;
    i += words << 2;
  }
  byBytes(end);
}

/** Masks `length` bytes of a slab from `at`, in place. */
export function maskSlab(slab: Slab, at: number, length: number, key: number): void {
  if (slab._address < 0) maskBytes(slab._buffer, at, length, key);
  else maskInMemory(slab._address + at, slab._address + at, length, key);
}

/**
 * Copies payloads, which lie one after another behind `end`, into the frames from `at` to `end`,
 * which have their headers, and masks them. For a slab in WebAssembly's memory only.
 */
export function fillSlab({ _address: address }: Slab, at: number, end: number): void {
  fillInMemory(address + at, address + end, address + end);
}

let fillInMemory: Wasm['f'];
let maskInMemory: Wasm['k'];
let pool: Slab[] | undefined;

/**
 * Takes a slab from the process's pool. When all of those wait for a slow kernel, it has memory of
 * its own, with room for at least `size` bytes.
 */
export function takeSlab(size: number): Slab {
  pool ??= makePool();
  return (
    pool.pop() ?? {
      _buffer: Buffer.allocUnsafeSlow(Math.max(size, SMALL_SLAB)),
      _length: 0,
      _address: -1,
      _free: noop,
    }
  );
}

/** How many slabs the pool has left. */
export const slabsLeft = (): number => pool?.length ?? 0;

/** Both ways of masking rely on little-endian words, as all machines have that Node runs on. */
function makePool(): Slab[] {
  const found = wasm();
  if (found) ({ k: maskInMemory, f: fillInMemory } = found);
  return Array.from({ length: SLABS }, (_, index) => {
    const address = found ? index * SLAB_SIZE : -1;
    const slab: Slab = {
      _buffer: found
        ? Buffer.from(found.m.buffer, address, SLAB_SIZE)
        : Buffer.allocUnsafeSlow(SLAB_SIZE),
      _length: 0,
      _address: address,
      _free: () => pool?.push(slab),
    };
    return slab;
  });
}
