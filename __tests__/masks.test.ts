import fc from 'fast-check';
import { Frames } from 'aiowebsocket';
import { maskBytes, maskingKey } from 'aiowebsocket/masks';
import { readFrame, xor } from './helpers/frames.js';

const KEY = Buffer.from('37fa213d', 'hex');

test('masks as RFC 6455 section 5.7 does', () => {
  const data = Buffer.from('Hello');

  const masked = Frames.messageMask(data, KEY);

  expect(masked).toBe(data);
  expect(data.toString('hex')).toBe('7f9f4d5158');
});

test('masking twice gives back what was there', () => {
  const data = Buffer.from('The quick brown fox jumps over the lazy dog');

  Frames.messageMask(Frames.messageMask(data, KEY), KEY);

  expect(data.toString()).toBe('The quick brown fox jumps over the lazy dog');
});

test.each([0, 3, 5])('refuses a key of %i bytes', (length) => {
  expect(() => Frames.messageMask(Buffer.alloc(8), Buffer.alloc(length))).toThrow(
    expect.objectContaining({ name: 'RangeError', message: `key must be 4 bytes, got ${length}` }),
  );
});

test('takes any Uint8Array, and a key in the middle of other memory', () => {
  const data = new Uint8Array([1, 2, 3, 4, 5]);

  Frames.messageMask(data, Buffer.from('ffff37fa213dffff', 'hex').subarray(2, 6));

  expect(Buffer.from(data)).toEqual(xor(Buffer.from([1, 2, 3, 4, 5]), KEY));
});

test('masks any length at any alignment, and not a byte beside it', () => {
  for (let offset = 0; offset < 9; offset++) {
    for (let length = 0; length < 80; length++) {
      const memory = Buffer.alloc(offset + length + 9, 0xaa);
      const expected = Buffer.from(memory);
      xor(memory.subarray(offset, offset + length), KEY).copy(expected, offset);

      maskBytes(memory, offset, length, KEY.readInt32LE());

      expect(memory).toEqual(expected);
    }
  }
});

test('masks like the definition, byte by byte', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      (data, key) => {
        const expected = xor(data, key);

        expect(Buffer.from(Frames.messageMask(data, key))).toEqual(expected);
      },
    ),
  );
});

test.each([0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 125, 126, 127, 128, 1000])(
  'a frame of %i bytes unmasks to what was written',
  (length) => {
    const data = Buffer.from(Array.from({ length }, (_, i) => i & 0xff));

    const frame = readFrame(new Frames(() => {}).packMessage(true, 2, data));

    expect(frame?.frame.payload).toEqual(data);
    expect(frame?.rest).toHaveLength(0);
  },
);

test('keys are unpredictable: all distinct, every bit as often set as not', () => {
  const keys = Array.from({ length: 10_000 }, maskingKey);

  // Two equal ones among 10,000 are a matter of 1 in 86; ten of them are not chance.
  expect(new Set(keys).size).toBeGreaterThan(9990);
  for (let bit = 0; bit < 32; bit++) {
    const set = keys.filter((key) => (key >>> bit) & 1).length;
    expect(Math.abs(set - 5000)).toBeLessThan(400);
  }
});

test('keys do not follow one another by any fixed difference', () => {
  const keys = Array.from({ length: 5000 }, maskingKey);
  const differences = keys.slice(1).map((key, i) => (key - keys[i]!) | 0);
  const mixed = keys.slice(1).map((key, i) => key ^ keys[i]!);

  expect(new Set(differences).size).toBeGreaterThan(4990);
  expect(new Set(mixed).size).toBeGreaterThan(4990);
});
