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
/** Address of the read buffer in WebAssembly's memory. */
export const READ_BUFFER = SLABS * SLAB_SIZE;
/** Address of the UTF-16 that is decoded from the read buffer. */
export const UTF16 = READ_BUFFER + SLAB_SIZE;

/** What the module exports: functions on addresses in its memory. */
export interface Wasm {
  /** The memory. */
  readonly m: { readonly buffer: ArrayBuffer };
  /**
   * Masks: copies bytes from `from` to `at`, which may be the same; `key` is little-endian.
   */
  readonly k: (at: number, from: number, length: number, key: number) => void;
  /**
   * Fills: copies payloads from `from` into the frames from `at` to `end`, which have headers, and
   * masks them.
   */
  readonly f: (at: number, end: number, from: number) => void;
  /** Whether all bytes from `at` to `end` are ASCII: 1, else 0. */
  readonly a: (at: number, end: number) => number;
  /** Decodes UTF-8 to UTF-16 at `out`. Returns where that ends; 0 where the UTF-8 is not valid. */
  readonly d: (at: number, end: number, out: number) => number;
}

let instance: Wasm | false | undefined;

/** Loaded on first use; `false` where WebAssembly is refused or has no SIMD. */
export function wasm(): Wasm | false {
  if (instance === undefined) {
    try {
      const module = new WebAssembly.Module(Buffer.from(WASM_CODE, 'base64'));
      instance = new WebAssembly.Instance(module).exports as Wasm;
    } catch {
      // Such as with --jitless.
      instance = false;
    }
  }
  return instance;
}

let buffer: Buffer | undefined;

/** One buffer for all sockets: what is read into it is parsed within the callback. */
export function readBuffer(): Buffer {
  const found = wasm();
  return (buffer ??= found
    ? Buffer.from(found.m.buffer, READ_BUFFER, SLAB_SIZE)
    : Buffer.alloc(SLAB_SIZE));
}
