/**
 * From messages to bytes: frames are packed and masked in a slab, and leave it once a turn.
 * @packageDocumentation
 */
import { giveSlab, maskingKey, plainSlab, SLAB_SIZE, takeSlab, type Slab } from './masks.js';
import type { ByteSink } from './parts.js';

/** Bytes that are packed before a burst is written without waiting for its end. */
const BURST = 32_768;
/** Most payload bytes that are packed at a time; a multiple of 4, so that the key stays in step. */
const PIECE = SLAB_SIZE - 16;
/** Bytes of a slab of its own, at least: room for a few frames more. */
const SMALL_SLAB = 1024;
/** A string of so many UTF-16 units fits into a slab whatever its UTF-8 length turns out to be. */
const LONGEST_DIRECT_STRING = Math.floor(PIECE / 3);

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
  return into.writeInt32LE(key, next);
}

/**
 * Packs frames and hands them to a {@link ByteSink}: the first of a turn of the event loop at once,
 * so that a lone message waits for nothing, the others together at the turn's end, and at the
 * latest every 32 KiB. A slab is held only while bytes wait in it.
 */
export class Output {
  readonly #sink: ByteSink;
  #slab: Slab | undefined;
  #shared = false;
  #end = 0;
  #corks = 0;
  #turnUnderWay = false;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Bytes packed and not yet handed on. */
  get pending(): number {
    return this.#end;
  }

  /** Holds frames back until {@link uncork}: the replies to one read leave together. */
  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    if (--this.#corks === 0) this.flush();
  }

  /** Packs one frame of text. `first` is its first byte: FIN, RSV and opcode. */
  packText(first: number, text: string): void {
    if (text.length > LONGEST_DIRECT_STRING) {
      this.packBytes(first, Buffer.from(text));
      return;
    }
    const slab = this.#reserve(text.length * 3 + 14);
    const { bytes } = slab;
    const start = this.#end;
    const guess = headerSize(text.length);
    const length = bytes.write(text, start + guess, 'utf8');
    const size = headerSize(length);
    if (size !== guess) {
      bytes.copyWithin(start + size, start + guess, start + guess + length);
    }
    const key = maskingKey();
    const payload = packHeader(bytes, start, first, length, key);
    slab.mask(payload, length, key);
    this.#end = payload + length;
    this.#packed();
  }

  /** Packs one frame of bytes, which are copied. `first` is its first byte. */
  packBytes(first: number, data: Buffer): void {
    const { length } = data;
    const key = maskingKey();
    let slab = this.#reserve(Math.min(14 + length, SLAB_SIZE));
    this.#end = packHeader(slab.bytes, this.#end, first, length, key);
    let from = 0;
    for (;;) {
      const take = Math.min(length - from, PIECE);
      data.copy(slab.bytes, this.#end, from, from + take);
      slab.mask(this.#end, take, key);
      this.#end += take;
      from += take;
      if (from === length) break;
      this.flush();
      slab = this.#reserve(Math.min(length - from, PIECE));
    }
    this.#packed();
  }

  /** Hands on all that is packed. */
  flush(): void {
    const slab = this.#slab;
    if (slab === undefined) return;
    const bytes = slab.bytes.subarray(0, this.#end);
    const shared = this.#shared;
    this.#slab = undefined;
    this.#end = 0;
    const free = (): void => {
      if (shared) giveSlab(slab);
    };
    if (this.#sink.write(bytes, free)) free();
  }

  /** A slab with room for `size` bytes behind what is packed already. */
  #reserve(size: number): Slab {
    if (this.#slab !== undefined && this.#end + size <= this.#slab.bytes.length) return this.#slab;
    this.flush();
    let slab = takeSlab();
    this.#shared = slab !== undefined;
    // Every shared slab waits for a slow kernel: this one costs memory of its own.
    slab ??= plainSlab(Math.max(size, SMALL_SLAB));
    this.#slab = slab;
    return slab;
  }

  #packed(): void {
    if (this.#corks > 0) {
      if (this.#end >= BURST) this.flush();
    } else if (!this.#turnUnderWay) {
      this.#turnUnderWay = true;
      process.nextTick(this.#endTurn);
      this.flush();
    } else if (this.#end >= BURST) {
      this.flush();
    }
  }

  readonly #endTurn = (): void => {
    this.#turnUnderWay = false;
    if (this.#corks === 0) this.flush();
  };
}
