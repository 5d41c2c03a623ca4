/**
 * Messages that a chunk holds whole: they are copied out of it, small ones several at a time in a
 * window.
 * @packageDocumentation
 */
import { Buffer, documented, NOTHING, versions } from './builtins.js';
import { decodeUtf8 } from './utf8.js';
import { copyOf } from './values.js';
import { readBuffer, READ_BUFFER, UTF16, wasm, type Wasm } from './wasm.js';

/** Least bytes copied at a time: what a small message that is kept may keep alive with it. */
const WINDOW = 1024;
/**
 * A window of bytes is a WINDOW for each message in the one before and one more, up to 8 of them.
 */
const MAX_WINDOWS = 8;
/** Bytes above which one is copied by itself: a WINDOW for fewer than four does not pay. */
const MAX_WINDOWED = 256;
/** From here on Node decodes UTF-8 faster than we do. */
const FAST_NODE = 24;

let native: Wasm | false = false;
/** Where the chunk in use is in WebAssembly's memory; -1 where it is not in it. */
let address = -1;
/** The window of text, and where in the chunk it begins and ends. */
let text = '';
let textFrom = 0;
let textEnd = 0;
/** The window of bytes, what to add to an offset in the chunk for one in it, and where it ends. */
let memory = NOTHING.buffer;
let memoryShift = 0;
let bytesEnd = 0;
/** Messages taken from the latest window of bytes so far. */
let bytesUsers = 0;
let utf16: Buffer | undefined;
const DECODES_HERE = parseInt(versions.node) < FAST_NODE;

/**
 * A Buffer on memory, not copied. Buffer's species, the class that `subarray` makes Buffers with,
 * takes half of `subarray`'s time when it is called directly.
 */
const Species = (Buffer as unknown as Record<symbol, unknown>)[Symbol.species] as
  (new (memory: ArrayBufferLike, at: number, length: number) => Buffer) | undefined;
const view: (memory: ArrayBufferLike, at: number, length: number) => Buffer =
  Species && Species.prototype === Buffer.prototype && !documented()
    ? (...where) => new Species(...where)
    : (...where) => Buffer.from(...where);

/**
 * Says which chunk is in use from now on, or that none is: the windows of the one before are void.
 */
export function useChunk(chunk = NOTHING): void {
  textEnd = bytesEnd = 0;
  text = '';
  memory = NOTHING.buffer;
  address = chunk.buffer === readBuffer().buffer ? chunk.byteOffset : -1;
  native = address >= READ_BUFFER && wasm();
}

/**
 * Decodes whole UTF-8 text in the chunk that is in use.
 * @returns undefined where it is not valid
 */
export function textFromChunk(chunk: Buffer, from: number, to: number): string | undefined {
  if (!native) return decodeUtf8(chunk, from, to);
  if (native.a(address + from, address + to) === 0) {
    return DECODES_HERE
      ? decode(native, address + from, address + to)
      : decodeUtf8(chunk, from, to);
  }
  if (to - from > MAX_WINDOWED) return chunk.toString('latin1', from, to);
  if (to > textEnd) {
    textFrom = from;
    textEnd = Math.min(from + WINDOW, chunk.length);
    text = chunk.toString('latin1', from, textEnd);
  }
  return text.slice(from - textFrom, to - textFrom);
}

function decode({ d: toUtf16, m: memory }: Wasm, from: number, to: number): string | undefined {
  utf16 ??= Buffer.from(memory.buffer, UTF16);
  const end = toUtf16(from, to, UTF16);
  return end > 0 ? utf16.toString('utf16le', 0, end - UTF16) : undefined;
}

/** Copies bytes out of the chunk that is in use. */
export function bytesFromChunk(chunk: Buffer, from: number, to: number): Buffer {
  if (to - from > MAX_WINDOWED) return copyOf(chunk, from, to);
  if (to > bytesEnd) {
    const size = Math.min(++bytesUsers, MAX_WINDOWS) * WINDOW;
    bytesUsers = 0;
    bytesEnd = Math.min(from + size, chunk.length);
    const bytes = copyOf(chunk, from, bytesEnd);
    memory = bytes.buffer;
    memoryShift = bytes.byteOffset - from;
  }
  bytesUsers++;
  return view(memory, from + memoryShift, to - from);
}
