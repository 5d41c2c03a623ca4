/**
 * Masking of what a client sends (RFC 6455 section 5.3), and the memory it is done in.
 * @packageDocumentation
 */
import { randomFillSync } from 'node:crypto';
import { MASKS_WASM } from './masks-wasm.js';

/** What is used of WebAssembly, which Node's own types leave out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Record<string, unknown> };
};

/** Bytes of one slab. */
export const SLAB_SIZE = 65_536;
const SLABS = 16;
/** Bytes of a slab of its own, at least: room for a few frames more. */
const SMALL_SLAB = 1024;

/** A piece of memory to pack frames into. */
export interface Slab {
  readonly bytes: Buffer;
  /** Masks `length` bytes from `at`, in place. */
  readonly mask: (at: number, length: number, key: number) => void;
  /** Gives the slab back: nothing may read or write it any more. */
  readonly free: () => void;
}

const KEYS = new Int32Array(2048);
let nextKey = KEYS.length;

/**
 * A masking key: four bytes from a strong source, little-endian, fresh for every frame
 * (RFC 6455 section 10.3).
 */
export function maskingKey(): number {
  if (nextKey === KEYS.length) {
    randomFillSync(KEYS);
    nextKey = 0;
  }
  const key = KEYS[nextKey] as number;
  // A used key must not be found again in memory, nor by a later bug.
  KEYS[nextKey++] = 0;
  return key;
}

/** Masks or unmasks `length` bytes of `data` from `at`, in place; the portable way. */
export function maskBytes(data: Uint8Array, at: number, length: number, key: number): void {
  const end = at + length;
  let turning = key;
  let i = at;
  for (; i < end && ((data.byteOffset + i) & 3) !== 0; i++) {
    data[i] = (data[i] as number) ^ (turning & 0xff);
    turning = (turning >>> 8) | (turning << 24);
  }
  const words = (end - i) >> 2;
  if (words > 0) {
    const view = new Int32Array(data.buffer, data.byteOffset + i, words);
    for (let w = 0; w < words; w++) view[w] = (view[w] as number) ^ turning;
    i += words << 2;
  }
  for (; i < end; i++) {
    data[i] = (data[i] as number) ^ (turning & 0xff);
    turning >>>= 8;
  }
}

let pool: Slab[] | undefined;

/**
 * Takes a slab from the process's pool. When every shared one waits for a slow kernel it costs
 * memory of its own, with room for at least `size` bytes.
 */
export function takeSlab(size: number): Slab {
  pool ??= makePool();
  return pool.pop() ?? makeSlab(Buffer.allocUnsafeSlow(Math.max(size, SMALL_SLAB)));
}

function makeSlab(
  bytes: Buffer,
  mask: Slab['mask'] = (at, length, key) => {
    maskBytes(bytes, at, length, key);
  },
  shared = false,
): Slab {
  const slab: Slab = {
    bytes,
    mask,
    free: () => {
      if (shared) pool?.push(slab);
    },
  };
  return slab;
}

/** Both ways of masking rely on little-endian words, as all machines have that Node runs on. */
function makePool(): Slab[] {
  let mask: Slab['mask'] | undefined;
  let memory: ArrayBuffer | undefined;
  try {
    const module = new WebAssembly.Module(Buffer.from(MASKS_WASM, 'base64'));
    const { exports: made } = new WebAssembly.Instance(module);
    ({ buffer: memory } = made['memory'] as { buffer: ArrayBuffer });
    mask = made['mask'] as Slab['mask'];
  } catch {
    // WebAssembly is refused, as by --jitless or a policy, or has no SIMD here.
  }
  return Array.from({ length: SLABS }, (_, index) => {
    if (!memory || !mask) return makeSlab(Buffer.allocUnsafeSlow(SLAB_SIZE), undefined, true);
    const maskShared = mask;
    const address = index * SLAB_SIZE;
    return makeSlab(
      Buffer.from(memory, address, SLAB_SIZE),
      (at, length, key) => {
        maskShared(address + at, length, key);
      },
      true,
    );
  });
}
