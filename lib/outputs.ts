/**
 * From messages to bytes: frames are packed and masked in a slab, and leave it once a turn.
 * @packageDocumentation
 */
import { Buffer, nextTick } from './builtins.js';
import { fillSlab, maskingKey, maskSlab, slabsLeft, takeSlab, type Slab } from './masks.js';
import type { ByteSink } from './parts.js';
import { writeUtf8 } from './utf8.js';
import { SLAB_SIZE } from './wasm.js';
import { copyOf, noop } from './values.js';

/** Bytes packed from which on they are written without waiting for the end of the turn. */
const FLUSH_SIZE = 32_768;
/** Most payload bytes in one slab; a multiple of 4, so that the masking key stays in step. */
const MAX_SLAB_PAYLOAD = SLAB_SIZE - 16;
/** Of all SLABS those that stay for other connections, however slow the kernel is. */
const SPARE_SLABS = 4;
/** A string of so many UTF-16 units fits into a slab whatever its UTF-8 length turns out to be. */
const LONGEST_DIRECT_STRING = (MAX_SLAB_PAYLOAD / 3) | 0;
/** UTF-16 units up to which texts are joined: above, copying costs more than it saves. */
const LONGEST_JOINED_STRING = 160;
/** So many texts are written one by one after joined ones turned out not to be ASCII. */
const CAUTION = 1_000;

/** Looked up once: V8 does not see through the chain along which a Buffer's methods are found. */
const { set: copyInto } = Uint8Array.prototype as {
  set: (this: Uint8Array, bytes: Uint8Array, at: number) => void;
};

/** Bytes of the header of a masked frame with this payload length (RFC 6455 section 5.2). */
export function headerSize(length: number): number {
  return length < 126 ? 6 : length < 65_536 ? 8 : 14;
}

/**
 * Writes the header of a masked frame; `key` is little-endian. Returns where the payload starts.
 */
export function packHeader(
  into: Buffer,
  at: number,
  first: number,
  length: number,
  key: number,
): number {
  let next = at;
  into[next++] = first;
  if (length < 126) {
    into[next++] = 0x80 | length;
  } else if (length < 65_536) {
    into[next++] = 0x80 | 126;
    into[next++] = length >>> 8;
    into[next++] = length;
  } else {
    into[next++] = 0x80 | 127;
    next = into.writeUInt32BE(Math.floor(length / 2 ** 32), next);
    next = into.writeUInt32BE(length >>> 0, next);
  }
  into[next++] = key;
  into[next++] = key >> 8;
  into[next++] = key >> 16;
  into[next++] = key >> 24;
  return next;
}

/**
 * Packs frames and hands them to a {@link ByteSink}: the first of a turn of the event loop at once,
 * so that a lone message waits for nothing, the others together at the turn's end, and at the
 * latest every 32 KiB. A slab is held only while bytes wait in it.
 */
export class Output {
  declare readonly _byteSink: ByteSink;
  _slab: Slab | undefined;
  /** Bytes packed and not yet handed on. */
  _pending = 0;
  /** While above 0, frames are held back: the replies to one read leave together. */
  _corks = 0;
  /**
   * Whether something has been written in this turn of the event loop: the rest waits for its end.
   */
  _inTurn = false;
  /** Joined texts: their frames, from `_textsFrom` on, have headers, but no payloads yet. */
  _texts = '';
  _textsFrom = 0;
  /** Texts that are still to be written one by one. */
  _caution = 0;
  /** Frames to pack behind the large one that is under way: nothing may come between its parts. */
  _deferred: (() => void)[] | undefined;

  constructor(sink: ByteSink) {
    this._byteSink = sink;
  }
}

/** Removes one of `_corks`; with the last one, what was held back is written. */
export function uncork(o: Output): void {
  if (--o._corks === 0) flush(o);
}

/** Packs one frame of text. `first` is its first byte: FIN, RSV and opcode. */
export function packText(o: Output, first: number, text: string): void {
  if (o._deferred || text.length > LONGEST_DIRECT_STRING) {
    packBytes(o, first, Buffer.from(text));
    return;
  }
  // What leaves at once gains nothing by waiting for others.
  const waits = o._corks > 0 || o._inTurn;
  if (waits && text.length <= LONGEST_JOINED_STRING && o._caution === 0) {
    joinText(o, first, text);
  } else writeText(o, first, text);
  flushIfDue(o);
}

/**
 * Packs the header alone, as if the text were ASCII: Node takes long for each string it writes, so
 * that several are written as one.
 */
function joinText(o: Output, first: number, text: string): void {
  const { length } = text;
  // With room for all of them one by one, should each unit take three bytes and headers grow.
  const { length: joined } = o._texts;
  const slab = reserveSlab(o, joined * 2 + (joined >> 4) + length * 4 + 24);
  if (slab._address < 0) {
    writeText(o, first, text);
    return;
  }
  if (o._texts === '') o._textsFrom = o._pending;
  o._texts += text;
  o._pending = packHeader(slab._buffer, o._pending, first, length, maskingKey()) + length;
}

/**
 * Writes the payloads of joined texts into their frames; one by one where they are not all ASCII.
 */
function writeTexts(o: Output): void {
  const texts = o._texts;
  if (texts === '') return;
  o._texts = '';
  const slab = o._slab!;
  const { _buffer: buffer } = slab;
  const end = o._pending;
  const from = o._textsFrom;
  if (writeUtf8(buffer, texts, end) === texts.length) {
    fillSlab(slab, from, end);
    return;
  }
  o._caution = CAUTION;
  const frames = copyOf(buffer, from, end);
  o._pending = from;
  for (let at = 0, begin = 0; at < frames.length;) {
    const short = frames[at + 1]! & 0x7f;
    const length = short < 126 ? short : frames.readUInt16BE(at + 2);
    writeText(o, frames[at]!, texts.slice(begin, (begin += length)));
    at += headerSize(length) + length;
  }
}

function writeText(o: Output, first: number, text: string): void {
  writeTexts(o);
  if (o._caution > 0) o._caution--;
  const slab = reserveSlab(o, text.length * 3 + 14);
  const { _buffer: buffer } = slab;
  const begin = o._pending;
  const guess = begin + headerSize(text.length);
  const length = writeUtf8(buffer, text, guess);
  const start = begin + headerSize(length);
  if (start !== guess) buffer.copyWithin(start, guess, guess + length);
  const key = maskingKey();
  packHeader(buffer, begin, first, length, key);
  maskSlab(slab, start, length, key);
  o._pending = start + length;
}

/** Packs one frame of bytes, which are copied. `first` is its first byte. */
export function packBytes(o: Output, first: number, data: Buffer): void {
  if (o._deferred) {
    const own = Buffer.from(data);
    o._deferred.push(() => {
      packFrame(o, first, own);
    });
  } else packFrame(o, first, data);
}

function packFrame(o: Output, first: number, data: Buffer): void {
  writeTexts(o);
  const { length } = data;
  if (length > MAX_SLAB_PAYLOAD) {
    const isFirst = !o._deferred;
    const held = (o._deferred ??= []);
    try {
      packLarge(o, first, data);
      // Packing these may defer more.
      if (isFirst) for (const pack of held) pack();
    } finally {
      // After a throw the stream is broken, and the rest of no use.
      if (isFirst) o._deferred = undefined;
    }
    return;
  }
  const slab = reserveSlab(o, length + 14);
  const key = maskingKey();
  const at = packHeader(slab._buffer, o._pending, first, length, key);
  copyInto.call(slab._buffer, data, at);
  maskSlab(slab, at, length, key);
  o._pending = at + length;
  flushIfDue(o);
}

function packLarge(o: Output, first: number, data: Buffer): void {
  const { length } = data;
  const key = maskingKey();
  /** Full slabs of this frame, which are written together. */
  const full: Slab[] = [];
  let slab = reserveSlab(o, MAX_SLAB_PAYLOAD + 14);
  o._pending = packHeader(slab._buffer, o._pending, first, length, key);
  for (let from = 0; ;) {
    const at = o._pending;
    const size = Math.min(length - from, MAX_SLAB_PAYLOAD);
    copyInto.call(slab._buffer, size < length ? data.subarray(from, from + size) : data, at);
    from += size;
    maskSlab(slab, at, size, key);
    o._pending = at + size;
    if (from === length) break;
    setSlabAside(o, full);
    slab = reserveSlab(o, Math.min(length - from, MAX_SLAB_PAYLOAD));
  }
  if (full.length > 0) writeAll(o, full);
  else flushIfDue(o);
}

/** Writes all that is packed to the sink. */
export function flush(o: Output): void {
  writeTexts(o);
  const slab = detachSlab(o);
  if (!slab) return;
  const bytes = slab._buffer.subarray(0, slab._length);
  // A slow kernel must not keep the slabs that other connections need: it gets a copy.
  const lend = slabsLeft() >= SPARE_SLABS;
  let taken = true;
  try {
    if (lend) taken = o._byteSink.write(bytes, slab._free);
    else o._byteSink.write(Buffer.from(bytes), noop);
  } finally {
    if (taken) slab._free();
  }
}

/** Sets the full slab aside, to be written with others, while enough are left in the pool. */
function setSlabAside(o: Output, full: Slab[]): void {
  if (o._byteSink.writev && slabsLeft() > SPARE_SLABS) full.push(detachSlab(o)!);
  else if (full.length > 0) writeAll(o, full);
}

/** Writes full slabs, and what is packed behind them. */
function writeAll(o: Output, full: Slab[]): void {
  const slabs = [...full.splice(0), detachSlab(o)!];
  const free = (): void => {
    for (const slab of slabs) slab._free();
  };
  let taken = true;
  try {
    taken = o._byteSink.writev!(
      slabs.map(({ _buffer, _length }) => _buffer.subarray(0, _length)),
      free,
    );
  } finally {
    if (taken) free();
  }
}

function detachSlab(o: Output): Slab | undefined {
  const slab = o._slab;
  if (slab) slab._length = o._pending;
  o._slab = undefined;
  o._pending = 0;
  return slab;
}

/** A slab with room for `size` bytes behind what is packed already. */
function reserveSlab(o: Output, size: number): Slab {
  // Again where the sink itself has sent something meanwhile, texts that wait included.
  while (o._slab && o._pending + size > o._slab._buffer.length) {
    flush(o);
    writeTexts(o);
  }
  return (o._slab ??= takeSlab(size));
}

function flushIfDue(o: Output): void {
  if (o._corks === 0 && !o._inTurn) {
    o._inTurn = true;
    nextTick(endTurn, o);
    flush(o);
  } else if (o._pending >= FLUSH_SIZE) flush(o);
}

function endTurn(o: Output): void {
  o._inTurn = false;
  if (o._corks === 0) flush(o);
}
