// The suite's own judges, held against those of Node.
import { isUtf8 } from 'node:buffer';
import { constants, deflateRawSync } from 'node:zlib';

import { invalid, noncharacters, truncated, valid } from './cases/utf8-vectors.js';
import { Compressor, Decompressor } from './deflate.js';
import { inflate } from './inflate.js';
import { noise, quotes } from './samples.js';
import { ClientStream, mayBeSent } from './stream.js';
import { judge } from './utf8.js';
import { keyFaults } from './verify.js';
import { binary, close, continuation, ping, text } from './wire.js';

const KEY = Buffer.from('37fa213d', 'hex');

describe('UTF-8', () => {
  test.each([...valid, ...noncharacters])('$name is valid', ({ bytes }) => {
    expect(judge(bytes).kind).toBe('valid');
    expect(isUtf8(bytes)).toBe(true);
  });

  test.each([...invalid, ...truncated])('$name is not', ({ bytes }) => {
    expect(judge(bytes).kind).not.toBe('valid');
    expect(isUtf8(bytes)).toBe(false);
  });

  test('every sequence of two octets and of three has the verdict of Node', () => {
    const wrong: string[] = [];
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        for (const bytes of [Buffer.from([first, second]), Buffer.from([first, second, 0x80])]) {
          if ((judge(bytes).kind === 'valid') !== isUtf8(bytes)) wrong.push(bytes.toString('hex'));
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('inflate', () => {
  test.each([0, 1, 6, 9])('gives back what zlib deflated at level %i', (level) => {
    for (const data of [Buffer.alloc(0), Buffer.from(quotes(50_000)), noise(40_000)]) {
      expect(inflate(deflateRawSync(data, { level }), Buffer.alloc(0)).data).toEqual(data);
    }
  });

  test('gives back data of fixed codes, and tells the longest distance', () => {
    const half = noise(3000);
    const packed = deflateRawSync(Buffer.concat([half, half]), { strategy: constants.Z_FIXED });
    const { data, maxDistance, final } = inflate(packed, Buffer.alloc(0));
    expect(data).toEqual(Buffer.concat([half, half]));
    expect([maxDistance, final]).toEqual([3000, true]);
  });
});

describe('a window', () => {
  const half = noise(3000);
  const packed = new Compressor().compress(Buffer.concat([half, half]));

  test('is kept to', () => {
    expect(new Decompressor({ clientBits: 12 }).decompress(packed)).toHaveLength(6000);
    expect(() => new Decompressor({ clientBits: 11 }).decompress(packed)).toThrow(/beyond/);
  });

  test('does not outlive its message without takeover', () => {
    const compressor = new Compressor();
    const [first, second] = [compressor.compress(half), compressor.compress(half)];
    const kept = new Decompressor({});
    expect([kept.decompress(first), kept.decompress(second)]).toEqual([half, half]);
    const reset = new Decompressor({ clientReset: true });
    reset.decompress(first);
    expect(() => reset.decompress(second)).toThrow(/too far back/);
  });
});

test.each([
  ['an unmasked frame', text('x'), /unmasked/],
  ['a reserved bit', text('x', { mask: KEY, rsv: 4 }), /RSV/],
  ['a long length', text('x', { mask: KEY, form: 16 }), /length of 1 with 16/],
  ['a long length', binary(noise(300), { mask: KEY, form: 64 }), /length of 300 with 64/],
  ['a fragmented control frame', ping('', { mask: KEY, fin: false }), /fragmented control/],
  ['a long control frame', ping(noise(126), { mask: KEY }), /over 125/],
  ['a continuation of nothing', continuation('', { mask: KEY }), /continuation of nothing/],
  ['a text that is not UTF-8', text(Buffer.from([0xff]), { mask: KEY }), /not UTF-8/],
  ['a wrong Close code', close(1005, '', { mask: KEY }), /Close code 1005/],
  [
    'a frame after the Close',
    Buffer.concat([close(1000, '', { mask: KEY }), KEY]),
    /after its Close/,
  ],
])('the server notices %s', (_, bytes, problem) => {
  for (const size of [1, 3, bytes.length]) {
    const stream = new ClientStream(undefined);
    for (let at = 0; at < bytes.length; at += size) stream.feed(bytes.subarray(at, at + size));
    expect(stream.violations.join()).toMatch(problem);
  }
});

test('masking keys that are few, or a sequence, are noticed', () => {
  const random = Array.from({ length: 100 }, (_, i) => noise(400).readUInt32LE(i * 4));
  expect(keyFaults(random)).toEqual([]);
  expect(keyFaults(random.map(() => 7))).not.toEqual([]);
  expect(keyFaults(random.map((_, i) => i))).not.toEqual([]);
  expect(keyFaults(random.map((key) => key & 0xffff))).not.toEqual([]);
});

test('the codes that may be sent', () => {
  const codes = [999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000];
  expect(codes.filter(mayBeSent)).toEqual([1000, 1003, 1007, 1014, 3000, 4999]);
});
