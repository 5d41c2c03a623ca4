/**
 * What WebAssembly does for us, and the memory it does it in.
 * @packageDocumentation
 */
import { Buffer } from './builtins.js';
import { WASM_CODE } from './wasm-code.js';

/** What is used of WebAssembly, which Node's own types leave out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

/** Bytes of one slab, and of the read buffer: a message of 64 KiB fits, with its header. */
export const SLAB_SIZE = 66_560;
/** Slabs for what is sent; they come first in the memory, the read buffer behind them. */
export const SLABS = 16;
/** Where the read buffer is. */
export const READ_BUFFER = SLABS * SLAB_SIZE;
/** Where UTF-16 is put that is made of what the read buffer holds. */
export const UTF16 = READ_BUFFER + SLAB_SIZE;

/** Functions on addresses in {@link memory}. */
export interface Wasm {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Masks what is at `from`, and puts it to `at`, which may be the same; the key is little-endian. */
  readonly mask: (at: number, from: number, length: number, key: number) => void;
  /** Puts payloads at `from` into the frames from `at` to `end`, which have their headers; masked. */
  readonly fill: (at: number, end: number, from: number) => void;
  /** 1 where there is nothing but ASCII from `at` to `end`. */
  readonly ascii: (at: number, end: number) => number;
  /** Turns UTF-8 into UTF-16 at `out`. Gives where that ends; 0 where it is not valid. */
  readonly decode: (at: number, end: number, out: number) => number;
}

let loaded: Wasm | false | undefined;

/** Loaded on first use; `false` where WebAssembly is refused or has no SIMD. */
export function wasm(): Wasm | false {
  if (loaded === undefined) {
    try {
      const module = new WebAssembly.Module(Buffer.from(WASM_CODE, 'base64'));
      loaded = new WebAssembly.Instance(module).exports as Wasm;
    } catch {
      // As with --jitless, or by a policy.
      loaded = false;
    }
  }
  return loaded;
}

let buffer: Buffer | undefined;

/** One buffer serves every socket: it is read and left again within one callback. */
export function readBuffer(): Buffer {
  const found = wasm();
  return (buffer ??= found
    ? Buffer.from(found.memory.buffer, READ_BUFFER, SLAB_SIZE)
    : Buffer.alloc(SLAB_SIZE));
}
