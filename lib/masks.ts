/**
 * Masking of what a client sends (RFC 6455 section 5.3), and the memory it is done in.
 * @packageDocumentation
 */
import { randomFillSync } from 'node:crypto';
import { MASKS_WASM } from './masks-wasm.js';

/** What is used of WebAssembly, which Node's own types leave out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

interface MaskModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  mask(at: number, length: number, key: number): void;
}

/** Bytes of one slab. */
export const SLAB_SIZE = 65_536;
const SLABS = 16;

/** A piece of memory to pack frames into. */
export interface Slab {
  readonly bytes: Buffer;
  /** Masks `length` bytes from `at`, in place. */
  mask(at: number, length: number, key: number): void;
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

/** A slab of its own memory, for when the shared ones are taken or WebAssembly is refused. */
export function plainSlab(size: number): Slab {
  const bytes = Buffer.allocUnsafeSlow(size);
  return {
    bytes,
    mask: (at, length, key) => {
      maskBytes(bytes, at, length, key);
    },
  };
}

let pool: Slab[] | undefined;

/** Takes a slab of {@link SLAB_SIZE} bytes from the process's pool; `undefined` when none is left. */
export function takeSlab(): Slab | undefined {
  pool ??= makePool();
  return pool.pop();
}

/** Gives a slab back to the pool. Nothing may read or write it any more. */
export function giveSlab(slab: Slab): void {
  pool?.push(slab);
}

function makePool(): Slab[] {
  try {
    const module = new WebAssembly.Module(Buffer.from(MASKS_WASM, 'base64'));
    const { exports } = new WebAssembly.Instance(module);
    const { memory, mask } = exports as MaskModule;
    return Array.from({ length: SLABS }, (_, index): Slab => {
      const address = index * SLAB_SIZE;
      return {
        bytes: Buffer.from(memory.buffer, address, SLAB_SIZE),
        mask: (at, length, key) => {
          mask(address + at, length, key);
        },
      };
    });
  } catch {
    // WebAssembly is refused, as by --jitless or a policy, or has no SIMD here.
    return Array.from({ length: SLABS }, () => plainSlab(SLAB_SIZE));
  }
}
