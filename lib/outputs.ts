/**
 * From messages to bytes: frames are packed and masked in a slab, and leave it once a turn.
 * @packageDocumentation
 */
import { Buffer, nextTick } from './builtins.js';
import { fillSlab, maskingKey, maskSlab, slabsLeft, takeSlab, type Slab } from './masks.js';
import type { ByteSink } from './parts.js';
import { writeUtf8 } from './utf8.js';
import { SLAB_SIZE, SLABS } from './wasm.js';

/** Bytes that are packed before a burst is written without waiting for its end. */
const BURST = 32_768;
/** Most payload bytes that are packed at a time; a multiple of 4, so that the key stays in step. */
const PIECE = SLAB_SIZE - 16;
/** Slabs that are left for others, however slow the kernel is. */
const SPARE_SLABS = SLABS / 4;
/** A string of so many UTF-16 units fits into a slab whatever its UTF-8 length turns out to be. */
const LONGEST_DIRECT_STRING = Math.floor(PIECE / 3);
/** UTF-16 units up to which texts are written together: above, the copy costs more than it saves. */
const LONGEST_JOINED_STRING = 160;
/** So many texts are written one by one when those before turned out not to be ASCII. */
const CAUTION = 1_000;

/** Looked up once: V8 does not see through the chain along which a Buffer's methods are found. */
const { set: copyInto } = Uint8Array.prototype as {
  set: (this: Uint8Array, bytes: Uint8Array, at: number) => void;
};

/** Bytes of the header of a masked frame with this payload length (RFC 6455 section 5.2). */
export function headerSize(length: number): number {
  return length < 126 ? 6 : length < 65_536 ? 8 : 14;
}

/** Writes the header of a masked frame; `key` is little-endian. Returns where the payload starts. */
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
  readonly #sink: ByteSink;
  #slab: Slab | undefined;
  /** Bytes packed and not yet handed on. */
  _pending = 0;
  #corks = 0;
  #turnUnderWay = false;
  /** Texts whose frames, from `#textsFrom` on, have no payload yet: it is written in one go. */
  #texts = '';
  #textsFrom = 0;
  #caution = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Holds frames back until {@link _uncork}: the replies to one read leave together. */
  _cork(): void {
    this.#corks++;
  }

  _uncork(): void {
    if (--this.#corks === 0) this._flush();
  }

  /** Packs one frame of text. `first` is its first byte: FIN, RSV and opcode. */
  _packText(first: number, text: string): void {
    if (text.length > LONGEST_DIRECT_STRING) {
      this._packBytes(first, Buffer.from(text));
      return;
    }
    // What leaves at once gains nothing by waiting for others.
    const waits = this.#corks > 0 || this.#turnUnderWay;
    if (waits && text.length <= LONGEST_JOINED_STRING && this.#caution === 0) {
      this.#joinText(first, text);
    } else this.#writeText(first, text);
    this.#packed();
  }

  /** Packs the header of text that is ASCII, it is hoped: Node takes long for each string it writes. */
  #joinText(first: number, text: string): void {
    const { length } = text;
    // With room for them one by one, should each unit take three bytes, and headers more than thought.
    const { length: joined } = this.#texts;
    const slab = this.#reserve(joined * 2 + (joined >> 4) + length * 4 + 24);
    if (slab._address < 0) {
      this.#writeText(first, text);
      return;
    }
    if (this.#texts === '') this.#textsFrom = this._pending;
    this.#texts += text;
    this._pending = packHeader(slab._bytes, this._pending, first, length, maskingKey()) + length;
  }

  /** Completes the frames of joined texts. */
  #writeTexts(): void {
    const texts = this.#texts;
    if (texts === '') return;
    this.#texts = '';
    const slab = this.#slab!;
    const { _bytes: bytes } = slab;
    const end = this._pending;
    const from = this.#textsFrom;
    if (writeUtf8(bytes, texts, end) === texts.length) {
      fillSlab(slab, from, end);
      return;
    }
    this.#caution = CAUTION;
    const frames = Buffer.from(bytes.subarray(from, end));
    this._pending = from;
    for (let at = 0, begin = 0; at < frames.length;) {
      const short = frames[at + 1]! & 0x7f;
      const length = short < 126 ? short : frames.readUInt16BE(at + 2);
      this.#writeText(frames[at]!, texts.slice(begin, (begin += length)));
      at += headerSize(length) + length;
    }
  }

  #writeText(first: number, text: string): void {
    this.#writeTexts();
    if (this.#caution > 0) this.#caution--;
    const slab = this.#reserve(text.length * 3 + 14);
    const { _bytes: bytes } = slab;
    const begin = this._pending;
    const guess = begin + headerSize(text.length);
    const length = writeUtf8(bytes, text, guess);
    const start = begin + headerSize(length);
    if (start !== guess) bytes.copyWithin(start, guess, guess + length);
    const key = maskingKey();
    packHeader(bytes, begin, first, length, key);
    maskSlab(slab, start, length, key);
    this._pending = start + length;
  }

  /** Packs one frame of bytes, which are copied. `first` is its first byte. */
  _packBytes(first: number, data: Buffer): void {
    this.#writeTexts();
    const { length } = data;
    if (length > PIECE) {
      this.#packLarge(first, data);
      return;
    }
    const slab = this.#reserve(length + 14);
    const key = maskingKey();
    const at = packHeader(slab._bytes, this._pending, first, length, key);
    copyInto.call(slab._bytes, data, at);
    maskSlab(slab, at, length, key);
    this._pending = at + length;
    this.#packed();
  }

  #packLarge(first: number, data: Buffer): void {
    const { length } = data;
    const key = maskingKey();
    /** Full slabs of a large message: they go out in one write. */
    const full: Slab[] = [];
    let slab = this.#reserve(PIECE + 14);
    this._pending = packHeader(slab._bytes, this._pending, first, length, key);
    for (let from = 0; ;) {
      const at = this._pending;
      const take = Math.min(length - from, PIECE);
      copyInto.call(slab._bytes, take < length ? data.subarray(from, from + take) : data, at);
      from += take;
      maskSlab(slab, at, take, key);
      this._pending = at + take;
      if (from === length) break;
      this.#putAside(full);
      slab = this.#reserve(Math.min(length - from, PIECE));
    }
    if (full.length > 0) this.#writeAll(full);
    else this.#packed();
  }

  /** Hands on all that is packed. */
  _flush(): void {
    this.#writeTexts();
    const slab = this.#takeOut();
    if (!slab) return;
    const bytes = slab._bytes.subarray(0, slab._used);
    // What waits for a slow kernel must not keep the slabs of all others.
    const lend = slabsLeft() >= SPARE_SLABS;
    let taken = true;
    try {
      if (lend) taken = this.#sink.write(bytes, slab._free);
      else this.#sink.write(Buffer.from(bytes), () => undefined);
    } finally {
      if (taken) slab._free();
    }
  }

  /** The slab that is packed goes with those that are full, where that many can be had. */
  #putAside(full: Slab[]): void {
    if (this.#sink.writev && slabsLeft() > SPARE_SLABS) full.push(this.#takeOut()!);
    else if (full.length > 0) this.#writeAll(full);
    else this._flush();
  }

  /** Hands on full slabs, and what is packed behind them. */
  #writeAll(full: Slab[]): void {
    const slabs = [...full.splice(0), this.#takeOut()!];
    const free = (): void => {
      for (const slab of slabs) slab._free();
    };
    let taken = true;
    try {
      taken = this.#sink.writev!(
        slabs.map(({ _bytes, _used }) => _bytes.subarray(0, _used)),
        free,
      );
    } finally {
      if (taken) free();
    }
  }

  #takeOut(): Slab | undefined {
    const slab = this.#slab;
    if (slab) slab._used = this._pending;
    this.#slab = undefined;
    this._pending = 0;
    return slab;
  }

  /** A slab with room for `size` bytes behind what is packed already. */
  #reserve(size: number): Slab {
    if (this.#slab && this._pending + size > this.#slab._bytes.length) this._flush();
    return (this.#slab ??= takeSlab(size));
  }

  #packed(): void {
    if (this.#corks === 0 && !this.#turnUnderWay) {
      this.#turnUnderWay = true;
      nextTick(Output.#endTurn, this);
      this._flush();
    } else if (this._pending >= BURST) this._flush();
  }

  static #endTurn(output: Output): void {
    output.#turnUnderWay = false;
    if (output.#corks === 0) output._flush();
  }
}
