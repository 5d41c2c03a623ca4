/**
 * Messages that a chunk holds whole: each is copied out of it once, small ones several at a time.
 * @packageDocumentation
 */
import { Buffer, documented, NOTHING, versions } from './builtins.js';
import { decodeUtf8 } from './utf8.js';
import { copyOf } from './values.js';
import { readBuffer, READ_BUFFER, UTF16, wasm, type Wasm } from './wasm.js';

/** The least that is copied at a time: a small message may keep alive the window that it is in. */
const WINDOW = 1024;
/** Windows of bytes grow with the messages that were in the one before, up to 8 KiB. */
const MOST = 8;
/** Bytes above which a message is copied by itself: a window of fewer than four does not pay. */
const SMALL = WINDOW / 4;
/** From here on Node decodes UTF-8 faster than we do. */
const FAST_NODE = 24;

let native: Wasm | false = false;
/** Where the chunk that is being parsed is in WebAssembly's memory; -1 where it is not. */
let address = -1;
/** The windows that messages are taken from, as text and as bytes, and where in the chunk they end. */
let text = '';
let textFrom = 0;
let textEnd = 0;
let memory = NOTHING.buffer;
/** What to add to an offset in the chunk. */
let memoryShift = 0;
let bytesEnd = 0;
/** Messages that have been taken from the latest window of bytes. */
let bytesUsers = 0;
let utf16: Buffer | undefined;
const decodes = parseInt(versions.node) < FAST_NODE;

/**
 * Views memory as a Buffer. The class that `subarray` makes Buffers of, which is Buffer's species,
 * does it in half of `subarray`'s time.
 */
const Species = (Buffer as unknown as Record<symbol, unknown>)[Symbol.species] as
  (new (memory: ArrayBufferLike, at: number, length: number) => Buffer) | undefined;
const view: (memory: ArrayBufferLike, at: number, length: number) => Buffer =
  Species && Species.prototype === Buffer.prototype && !documented()
    ? (...where) => new Species(...where)
    : (...where) => Buffer.from(...where);

/** A chunk is about to be parsed, or has been: nothing of another one may be taken for it. */
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
export function textOf(chunk: Buffer, from: number, to: number): string | undefined {
  if (!native) return decodeUtf8(chunk, from, to);
  if (native.ascii(address + from, address + to) === 0) {
    return decodes ? decode(native, address + from, address + to) : decodeUtf8(chunk, from, to);
  }
  if (to - from > SMALL) return chunk.toString('latin1', from, to);
  if (to > textEnd) {
    textFrom = from;
    textEnd = Math.min(from + WINDOW, chunk.length);
    text = chunk.toString('latin1', from, textEnd);
  }
  return text.slice(from - textFrom, to - textFrom);
}

function decode({ decode: toUtf16, memory }: Wasm, from: number, to: number): string | undefined {
  utf16 ??= Buffer.from(memory.buffer, UTF16);
  const end = toUtf16(from, to, UTF16);
  return end > 0 ? utf16.toString('utf16le', 0, end - UTF16) : undefined;
}

/** Copies bytes out of the chunk that is in use. */
export function bytesAt(chunk: Buffer, from: number, to: number): Buffer {
  if (to - from > SMALL) return copyOf(chunk, from, to);
  if (to > bytesEnd) {
    const size = Math.min(++bytesUsers, MOST) * WINDOW;
    bytesUsers = 0;
    bytesEnd = Math.min(from + size, chunk.length);
    const bytes = copyOf(chunk, from, bytesEnd);
    memory = bytes.buffer;
    memoryShift = bytes.byteOffset - from;
  }
  bytesUsers++;
  return view(memory, from + memoryShift, to - from);
}
