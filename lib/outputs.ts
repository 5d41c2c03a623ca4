/**
 * From messages to bytes: frames are packed and masked in a slab, and leave it once a turn.
 * @packageDocumentation
 */
import { maskingKey, SLAB_SIZE, takeSlab, type Slab } from './masks.js';
import type { ByteSink } from './parts.js';

/** Bytes that are packed before a burst is written without waiting for its end. */
const BURST = 32_768;
/** Most payload bytes that are packed at a time; a multiple of 4, so that the key stays in step. */
const PIECE = SLAB_SIZE - 16;
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
export interface Output {
  /** Bytes packed and not yet handed on. */
  pending: () => number;
  /** Holds frames back until {@link uncork}: the replies to one read leave together. */
  cork: () => void;
  uncork: () => void;
  /** Packs one frame of text. `first` is its first byte: FIN, RSV and opcode. */
  packText: (first: number, text: string) => void;
  /** Packs one frame of bytes, which are copied. `first` is its first byte. */
  packBytes: (first: number, data: Buffer) => void;
  /** Hands on all that is packed. */
  flush: () => void;
}

/** Makes the part of a codec that packs. */
export function makeOutput(sink: ByteSink): Output {
  let slab: Slab | undefined;
  let end = 0;
  let corks = 0;
  let turnUnderWay = false;

  const endTurn = (): void => {
    turnUnderWay = false;
    if (corks === 0) flush();
  };
  return {
    pending: () => end,
    cork() {
      corks++;
    },
    uncork() {
      if (--corks === 0) flush();
    },
    packText(first, text) {
      if (text.length > LONGEST_DIRECT_STRING) packBytes(first, Buffer.from(text));
      else packString(first, text);
    },
    packBytes,
    flush,
  };

  function packString(first: number, text: string): void {
    const { bytes, mask } = reserve(text.length * 3 + 14);
    const guess = end + headerSize(text.length);
    const length = bytes.write(text, guess);
    const start = end + headerSize(length);
    if (start !== guess) bytes.copyWithin(start, guess, guess + length);
    const key = maskingKey();
    packHeader(bytes, end, first, length, key);
    mask(start, length, key);
    end = start + length;
    packed();
  }

  function packBytes(first: number, data: Buffer): void {
    const { length } = data;
    const key = maskingKey();
    let { bytes, mask } = reserve(Math.min(length, PIECE) + 14);
    end = packHeader(bytes, end, first, length, key);
    for (let from = 0; ;) {
      const take = Math.min(length - from, PIECE);
      data.copy(bytes, end, from, (from += take));
      mask(end, take, key);
      end += take;
      if (from === length) break;
      flush();
      ({ bytes, mask } = reserve(Math.min(length - from, PIECE)));
    }
    packed();
  }

  function flush(): void {
    if (!slab) return;
    const used = slab;
    const bytes = used.bytes.subarray(0, end);
    slab = undefined;
    end = 0;
    let taken = true;
    try {
      taken = sink.write(bytes, used.free);
    } finally {
      if (taken) used.free();
    }
  }

  /** A slab with room for `size` bytes behind what is packed already. */
  function reserve(size: number): Slab {
    if (slab && end + size > slab.bytes.length) flush();
    return (slab ??= takeSlab(size));
  }

  function packed(): void {
    if (corks === 0 && !turnUnderWay) {
      turnUnderWay = true;
      process.nextTick(endTurn);
      flush();
    } else if (end >= BURST) flush();
  }
}
