import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import wabt from 'wabt';
import { Frames } from 'aiowebsocket';
import { maskBytes, maskingKey } from 'aiowebsocket/masks';
import { WASM_CODE } from 'aiowebsocket/wasm-code';
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

describe('where WebAssembly is refused', () => {
  const { WebAssembly: original } = globalThis as { WebAssembly?: unknown };

  afterEach(() => {
    Object.assign(globalThis, { WebAssembly: original });
  });

  test.each([0, 1, 7, 125, 126, 65_535, 65_536, 200_000])(
    'a message of %i bytes goes out masked all the same',
    async (length) => {
      Object.assign(globalThis, { WebAssembly: undefined });
      let written = Buffer.alloc(0);
      await jest.isolateModulesAsync(async () => {
        const { Frames: OtherFrames } = await import('../lib/freams.js');
        const frames = new OtherFrames((bytes: Buffer) => {
          written = Buffer.concat([written, bytes]);
        });
        const message = Buffer.alloc(length, 'payload');

        frames.write(true, 2, message);
        frames.flush();

        const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
        const key = written.subarray(header, header + 4);
        const payload = written.subarray(header + 4);
        expect(message.equals(OtherFrames.messageMask(payload, key))).toBe(true);
      });
    },
  );
});

test('the WebAssembly module is the one that tools/wasm.wat describes', async () => {
  const source = readFileSync(join(__dirname, '..', 'tools', 'wasm.wat'), 'utf8');
  const module = (await wabt()).parseWat('wasm.wat', source, { simd: true });

  expect(Buffer.from(module.toBinary({}).buffer).toString('base64')).toBe(WASM_CODE);
});
