// A small inflater (RFC 1951) that also measures how far back the data reached: what a
// limited window allows (RFC 7692 section 7.1.2) cannot be seen through zlib's own inflater.

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
];
const LENGTH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function at(list: readonly number[] | Uint16Array | Buffer, index: number): number {
  const value = list[index];
  if (value === undefined) throw new Error('invalid deflate data');
  return value;
}

/** A canonical Huffman code: how many codes of each length, and the symbols in order. */
interface Huffman {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

function huffman(lengths: readonly number[]): Huffman {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length] = at(counts, length) + 1;
  counts[0] = 0;
  const offsets = new Uint16Array(16);
  for (let i = 1; i < 15; i++) offsets[i + 1] = at(offsets, i) + at(counts, i);
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    const offset = at(offsets, length);
    symbols[offset] = symbol;
    offsets[length] = offset + 1;
  });
  return { counts, symbols };
}

const FIXED_LENGTHS = huffman(
  Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = huffman(Array.from({ length: 30 }, () => 5));

export interface Inflated {
  readonly data: Buffer;
  /** The longest distance any copy used; 0 when there was none. */
  readonly maxDistance: number;
  /** Whether a block had its final bit set. */
  readonly final: boolean;
}

class Inflater {
  private position = 0;
  private bit = 0;
  private bitCount = 0;
  private output: Buffer;
  private size: number;
  maxDistance = 0;
  final = false;

  constructor(
    private readonly input: Buffer,
    private readonly history: Buffer,
  ) {
    this.output = Buffer.alloc(Math.max(1024, history.length + input.length * 4));
    history.copy(this.output);
    this.size = history.length;
  }

  run(): Inflated {
    while (!this.final && this.position < this.input.length) this.block();
    const data = Buffer.from(this.output.subarray(this.history.length, this.size));
    return { data, maxDistance: this.maxDistance, final: this.final };
  }

  private block(): void {
    this.final = this.bits(1) === 1;
    const type = this.bits(2);
    if (type === 0) this.stored();
    else if (type === 1) this.codes(FIXED_LENGTHS, FIXED_DISTANCES);
    else if (type === 2) this.dynamic();
    else throw new Error('invalid deflate block type');
  }

  private bits(count: number): number {
    while (this.bitCount < count) {
      this.bit |= at(this.input, this.position++) << this.bitCount;
      this.bitCount += 8;
    }
    const value = this.bit & ((1 << count) - 1);
    this.bit >>>= count;
    this.bitCount -= count;
    return value;
  }

  private put(octet: number): void {
    if (this.size === this.output.length) {
      this.output = Buffer.concat([this.output, Buffer.alloc(this.output.length)]);
    }
    this.output[this.size++] = octet;
  }

  private stored(): void {
    this.bit = 0;
    this.bitCount = 0;
    const length = at(this.input, this.position) | (at(this.input, this.position + 1) << 8);
    const check = at(this.input, this.position + 2) | (at(this.input, this.position + 3) << 8);
    if ((length ^ check) !== 0xffff) throw new Error('invalid stored block length');
    this.position += 4;
    for (let i = 0; i < length; i++) this.put(at(this.input, this.position++));
  }

  private symbol(code: Huffman): number {
    let value = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= 15; length++) {
      value |= this.bits(1);
      const count = at(code.counts, length);
      if (value - count < first) return at(code.symbols, index + (value - first));
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw new Error('invalid deflate code');
  }

  private codes(lengths: Huffman, distances: Huffman): void {
    for (;;) {
      const symbol = this.symbol(lengths);
      if (symbol === 256) return;
      if (symbol < 256) {
        this.put(symbol);
        continue;
      }
      const length = at(LENGTH_BASE, symbol - 257) + this.bits(at(LENGTH_EXTRA, symbol - 257));
      const code = this.symbol(distances);
      const distance = at(DISTANCE_BASE, code) + this.bits(at(DISTANCE_EXTRA, code));
      this.copy(length, distance);
    }
  }

  private copy(length: number, distance: number): void {
    if (distance > this.size) throw new Error(`distance ${String(distance)} is too far back`);
    this.maxDistance = Math.max(this.maxDistance, distance);
    for (let i = 0; i < length; i++) this.put(at(this.output, this.size - distance));
  }

  private dynamic(): void {
    const lengthCount = this.bits(5) + 257;
    const distanceCount = this.bits(5) + 1;
    const codeCount = this.bits(4) + 4;
    const codeLengths = Array.from({ length: 19 }, () => 0);
    for (let i = 0; i < codeCount; i++) codeLengths[at(CODE_ORDER, i)] = this.bits(3);
    const code = huffman(codeLengths);
    const lengths: number[] = [];
    while (lengths.length < lengthCount + distanceCount) this.codeLength(code, lengths);
    this.codes(huffman(lengths.slice(0, lengthCount)), huffman(lengths.slice(lengthCount)));
  }

  private codeLength(code: Huffman, lengths: number[]): void {
    const symbol = this.symbol(code);
    if (symbol < 16) {
      lengths.push(symbol);
      return;
    }
    const value = symbol === 16 ? at(lengths, lengths.length - 1) : 0;
    const times =
      symbol === 16 ? 3 + this.bits(2) : symbol === 17 ? 3 + this.bits(3) : 11 + this.bits(7);
    for (let i = 0; i < times; i++) lengths.push(value);
  }
}

/**
 * Inflate one message.
 * @param input deflate blocks; the four octets RFC 7692 section 7.2.1 removes are back in place
 * @param history what earlier messages inflated to, as far as it may be referred to
 * @throws {Error} when the data is malformed or refers to more than there is
 */
export function inflate(input: Buffer, history: Buffer): Inflated {
  return new Inflater(input, history).run();
}
