/** Frames (RFC 6455 section 5.2), as a server and a raw socket need them: fast, unchecked. */

const EMPTY = Buffer.alloc(0);
/** From so many bytes up a payload is unmasked by words. */
const WORDWISE = 512;

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/**
 * Packs one whole frame.
 *
 * @param {string | Buffer} payload
 * @param {{ mask?: boolean, compressed?: boolean }} [options] `compressed` sets RSV1; `mask` masks
 *   with a key of zeros, which costs nothing and is as good for measuring
 */
export function packFrame(payload, { mask = false, compressed = false } = {}) {
  const isText = typeof payload === 'string' || compressed;
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extra + (mask ? 4 : 0));
  head[0] = 0x80 | (compressed ? 0x40 : 0) | (isText ? opcodes.text : opcodes.binary);
  head[1] = (mask ? 0x80 : 0) | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) head.writeUInt16BE(length, 2);
  else if (extra === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, bytes]);
}

/**
 * One frame over and over, at least `size` bytes together.
 *
 * @param {Buffer} frame
 * @param {number} size
 */
export function repeatFrame(frame, size) {
  return Buffer.concat(Array(Math.ceil(size / frame.length)).fill(frame));
}

/**
 * Reads the frames of a client, a chunk at a time, and keeps nothing of them but a header that was
 * cut in two.
 */
export class ClientFrames {
  /** @type {Buffer} */
  #carry = EMPTY;
  /** Bytes of the payload under way that are still to come. */
  #left = 0;
  #opcode = 0;
  #length = 0;
  #headSize = 0;
  /** @type {Key} */
  #key = [0, 0, 0, 0];
  /** Where in the key the next byte of the payload is. */
  #phase = 0;
  /** Whether the client has said goodbye. */
  closed = false;

  /**
   * Turns a chunk of frames into what an echo sends, in place: unmasked, pings made pongs.
   *
   * @param {Buffer} chunk is written to
   * @returns {Buffer} a part of the chunk
   */
  echo(chunk) {
    const bytes = this.#begin(chunk);
    let read = 0;
    let write = 0;
    while (read < bytes.length) {
      if (this.#left === 0) {
        if (!this.#readHead(bytes, read)) break;
        const bare = this.#headSize - 4;
        if (write !== read) bytes.copyWithin(write, read, read + bare);
        if (this.#opcode === opcodes.ping) bytes[write] = 0x80 | opcodes.pong;
        bytes[write + 1] = (bytes[write + 1] ?? 0) & 0x7f;
        read += this.#headSize;
        write += bare;
      }
      const take = Math.min(this.#left, bytes.length - read);
      this.#unmask(bytes, read, write, take);
      this.#left -= take;
      read += take;
      write += take;
    }
    this.#carry = bytes.subarray(read);
    return bytes.subarray(0, write);
  }

  /**
   * Skips through a chunk, and tells of the end of each frame.
   *
   * @param {Buffer} chunk
   * @param {(length: number, opcode: number) => void} onFrame
   */
  skip(chunk, onFrame) {
    const bytes = this.#begin(chunk);
    let read = 0;
    while (read < bytes.length) {
      if (this.#left === 0) {
        if (!this.#readHead(bytes, read)) break;
        read += this.#headSize;
      }
      const take = Math.min(this.#left, bytes.length - read);
      this.#left -= take;
      read += take;
      if (this.#left === 0) onFrame(this.#length, this.#opcode);
    }
    this.#carry = bytes.subarray(read);
  }

  /** @param {Buffer} chunk */
  #begin(chunk) {
    return this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
  }

  /**
   * @param {Buffer} bytes
   * @param {number} at
   * @returns {boolean} whether the header is there as a whole
   */
  #readHead(bytes, at) {
    const have = bytes.length - at;
    if (have < 6) return false;
    let length = /** @type {number} */ (bytes[at + 1]) & 0x7f;
    const size = length < 126 ? 6 : length === 126 ? 8 : 14;
    if (have < size) return false;
    if (length === 126) length = bytes.readUInt16BE(at + 2);
    else if (length === 127) length = Number(bytes.readBigUInt64BE(at + 2));
    this.#opcode = /** @type {number} */ (bytes[at]) & 0x0f;
    if (this.#opcode === opcodes.close) this.closed = true;
    this.#length = this.#left = length;
    this.#headSize = size;
    this.#phase = 0;
    for (let i = 0; i < 4; i++) this.#key[i] = /** @type {number} */ (bytes[at + size - 4 + i]);
    return true;
  }

  /**
   * Moves a piece of a payload to the left, and unmasks it.
   *
   * @param {Buffer} bytes
   * @param {number} from
   * @param {number} to
   * @param {number} length
   */
  #unmask(bytes, from, to, length) {
    const [k0, k1, k2, k3] = turnKey(this.#key, this.#phase);
    this.#phase = (this.#phase + length) & 3;
    const end = length & ~3;
    if (length >= WORDWISE) {
      unmaskWords(bytes, from, end, [k0, k1, k2, k3]);
      bytes.copyWithin(to, from, from + end);
    } else {
      for (let i = 0; i < end; i += 4) {
        bytes[to + i] = /** @type {number} */ (bytes[from + i]) ^ k0;
        bytes[to + i + 1] = /** @type {number} */ (bytes[from + i + 1]) ^ k1;
        bytes[to + i + 2] = /** @type {number} */ (bytes[from + i + 2]) ^ k2;
        bytes[to + i + 3] = /** @type {number} */ (bytes[from + i + 3]) ^ k3;
      }
    }
    if (end < length) bytes[to + end] = /** @type {number} */ (bytes[from + end]) ^ k0;
    if (end + 1 < length) bytes[to + end + 1] = /** @type {number} */ (bytes[from + end + 1]) ^ k1;
    if (end + 2 < length) bytes[to + end + 2] = /** @type {number} */ (bytes[from + end + 2]) ^ k2;
  }
}

/** @typedef {[number, number, number, number]} Key */

/**
 * The key as it applies from a later byte on.
 *
 * @param {Key} key
 * @param {number} by
 * @returns {Key}
 */
function turnKey([k0, k1, k2, k3], by) {
  switch (by & 3) {
    case 1:
      return [k1, k2, k3, k0];
    case 2:
      return [k2, k3, k0, k1];
    case 3:
      return [k3, k0, k1, k2];
    default:
      return [k0, k1, k2, k3];
  }
}

/**
 * Unmasks in place.
 *
 * @param {Buffer} bytes
 * @param {number} from
 * @param {number} length a multiple of 4
 * @param {Key} key
 */
function unmaskWords(bytes, from, length, key) {
  const before = -(bytes.byteOffset + from) & 3;
  for (let i = 0; i < before; i++) {
    bytes[from + i] = /** @type {number} */ (bytes[from + i]) ^ /** @type {number} */ (key[i & 3]);
  }
  const turned = Buffer.from(turnKey(key, before)).readInt32LE();
  const count = (length - before) >> 2;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + from + before, count);
  for (let i = 0; i < count; i++) words[i] = /** @type {number} */ (words[i]) ^ turned;
  for (let i = before + count * 4; i < length; i++) {
    bytes[from + i] = /** @type {number} */ (bytes[from + i]) ^ /** @type {number} */ (key[i & 3]);
  }
}
