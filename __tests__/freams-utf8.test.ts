/** Text is UTF-8, and checked as it comes: RFC 6455 section 8.1, RFC 3629. */
import fc from 'fast-check';
import { FrameError } from 'aiowebsocket';
import { close, codec, cont, feedIn, frame, note, ping, text } from './helpers/frames.js';

const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex');

/** What may follow: the table of RFC 3629 section 4. */
const SEQUENCES: readonly (readonly (readonly [number, number])[])[] = [
  [[0x00, 0x7f]],
  [
    [0xc2, 0xdf],
    [0x80, 0xbf],
  ],
  [
    [0xe0, 0xe0],
    [0xa0, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xe1, 0xec],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xed, 0xed],
    [0x80, 0x9f],
    [0x80, 0xbf],
  ],
  [
    [0xee, 0xef],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf0, 0xf0],
    [0x90, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf1, 0xf3],
    [0x80, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf4, 0xf4],
    [0x80, 0x8f],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
];

/** At which byte text stops being UTF-8; its length when only its end is missing; else -1. */
function firstWrong(bytes: Uint8Array): number {
  let open: (readonly (readonly [number, number])[])[] = [];
  for (const [at, byte] of bytes.entries()) {
    const rests = (open.length === 0 ? SEQUENCES : open).flatMap((sequence) => {
      const [least, most] = sequence[0]!;
      return byte >= least && byte <= most ? [sequence.slice(1)] : [];
    });
    if (rests.length === 0) return at;
    open = rests.filter((rest) => rest.length > 0);
  }
  return open.length > 0 ? bytes.length : -1;
}

/** At which payload byte, fed one by one, the codec fails; the length: at the message's end. */
function failsAt(payload: Uint8Array): number {
  const frames = codec();
  frames.feed(frame({ payload, fin: false }).subarray(0, payload.length < 126 ? 2 : 4));
  for (let i = 0; i < payload.length; i++) {
    try {
      frames.feed(payload.subarray(i, i + 1));
    } catch (error) {
      return expected(error, i);
    }
  }
  try {
    frames.feed(cont(''));
  } catch (error) {
    return expected(error, payload.length);
  }
  return -1;
}

function expected(error: unknown, at: number): number {
  if (error instanceof FrameError && error.code === 'ERR_FRAME_UTF8' && error.closeCode === 1007) {
    return at;
  }
  throw error;
}

const INVALID: readonly [string, string, number][] = [
  ['a lone continuation byte', '80', 0],
  ['a lone continuation byte behind text', '61 c3a4 bf', 3],
  ['a lead byte behind a lead byte', 'c3 c3', 1],
  ['ASCII behind a lead byte', 'c3 61', 1],
  ['an overlong /, two bytes', 'c0 af', 0],
  ['an overlong DEL, two bytes', 'c1 bf', 0],
  ['an overlong NUL, two bytes', 'c0 80', 0],
  ['an overlong character, three bytes', 'e0 9f bf', 1],
  ['an overlong character, four bytes', 'f0 8f bf bf', 1],
  ['the first surrogate', 'ed a0 80', 1],
  ['the last surrogate', 'ed bf bf', 1],
  ['a surrogate pair', 'ed a0 bd ed b8 80', 1],
  ['U+110000', 'f4 90 80 80', 1],
  ['a lead byte of five', 'f8 88 80 80 80', 0],
  ['a lead byte of six', 'fc 84 80 80 80 80', 0],
  ['0xf5', 'f5 80 80 80', 0],
  ['0xfe', 'fe', 0],
  ['0xff', 'ff', 0],
  ['a byte order mark of UTF-16', 'ff fe 61 00', 0],
  ['a third byte that is ASCII', 'e2 82 28', 2],
  ['a fourth byte that is ASCII', 'f0 9f 8e 28', 3],
  ['a third byte of four that is a lead', 'f0 9f c3 a4', 2],
  ['a cut-off character of two', 'c3', 1],
  ['a cut-off character of three', '61 e2 82', 3],
  ['a cut-off character of four', 'f0 9f 8e', 3],
];

describe('what is not UTF-8 fails with 1007', () => {
  test.each(INVALID)('%s, at that very byte', (_what, digits, at) => {
    expect(failsAt(hex(digits))).toBe(at);
    expect(failsAt(Buffer.concat([Buffer.from('héllo '), hex(digits)]))).toBe(7 + at);
  });

  test.each(INVALID)('%s, in one frame and one chunk', (_what, digits) => {
    const frames = codec();
    const told = note(frames);

    expect(() => frames.feed(text(hex(digits)))).toThrow(
      expect.objectContaining({
        name: 'FrameError',
        code: 'ERR_FRAME_UTF8',
        closeCode: 1007,
        message: expect.stringContaining(digits.replaceAll(' ', '').slice(0, 2)),
      }),
    );
    expect(told).toEqual([]);
  });

  test.each(INVALID)('%s, spread over fragments with pings between', (_what, digits) => {
    const pieces = [...hex(digits)].map((byte, i) =>
      Buffer.concat([
        frame({ payload: [byte] as never, opcode: i === 0 ? 1 : 0, fin: false }),
        ping(),
      ]),
    );

    expect(() => codec().feed(Buffer.concat([...pieces, cont('')]))).toThrow(FrameError);
  });

  test.each(INVALID)('%s, before the rest of a large frame has come', (_what, digits, at) => {
    const bytes = hex(digits);
    if (at === bytes.length) return;
    const head = frame({ length: 1_000_000 });

    expect(() => codec().feed(Buffer.concat([head, bytes]))).toThrow(FrameError);
  });

  test('text that was valid so far is not told', () => {
    const frames = codec();
    const told = note(frames);

    frames.feed(text('all is well', false));
    expect(() => frames.feed(cont(hex('ff')))).toThrow(FrameError);

    expect(told).toEqual([]);
  });

  test('a Close with such a reason', () => {
    expect(() => codec().feed(close(1000, hex('61 ff')))).toThrow(
      expect.objectContaining({ code: 'ERR_FRAME_UTF8', closeCode: 1007 }),
    );
  });
});

test.each([
  ['the first of one byte', '00'],
  ['the last of one byte', '7f'],
  ['the first of two bytes', 'c280'],
  ['the last of two bytes', 'dfbf'],
  ['the first of three bytes', 'e0a080'],
  ['the last before the surrogates', 'ed9fbf'],
  ['the first behind the surrogates', 'ee8080'],
  ['U+FFFD itself', 'efbfbd'],
  ['U+FFFE', 'efbfbe'],
  ['U+FFFF', 'efbfbf'],
  ['the first of four bytes', 'f0908080'],
  ['the last of four bytes', 'f48fbfbf'],
  ['a byte order mark, which is kept', 'efbbbf61'],
  ['κόσμε', 'cebae1bdb9cf83cebcceb5'],
])('%s is valid, in any split', (_what, digits) => {
  const bytes = hex(digits);
  expect(failsAt(bytes)).toBe(-1);
  for (let size = 1; size <= bytes.length + 2; size++) {
    const frames = codec();
    const told = note(frames);

    feedIn(frames, text(bytes), size);
    feedIn(
      frames,
      Buffer.concat([text(bytes.subarray(0, 1), false), cont(bytes.subarray(1))]),
      size,
    );

    expect(told.map(([, message]) => Buffer.from(message as string))).toEqual([bytes, bytes]);
  }
});

test('every pair of bytes that begins beyond ASCII is judged as RFC 3629 does, at the same byte', () => {
  for (let pair = 0x7f00; pair < 65_536; pair++) {
    const bytes = Buffer.from([pair >> 8, pair & 0xff]);
    if (failsAt(bytes) !== firstWrong(bytes)) expect(bytes.toString('hex')).toBe('judged alike');
  }
});

test('bytes at random, near the edges of UTF-8, are judged as RFC 3629 does', () => {
  const edges = [
    ...[0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf],
    ...[0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff],
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...edges), { maxLength: 12 }), (list) => {
      const bytes = Buffer.from(list);
      expect(failsAt(bytes)).toBe(firstWrong(bytes));
    }),
    { numRuns: 5000 },
  );
});

test('any text, broken off and changed at random, is judged the same in any split', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }).map((string) => Buffer.from(string)),
      fc.nat(250),
      fc.nat(255),
      fc.integer({ min: 1, max: 40 }),
      (bytes, at, byte, size) => {
        if (at < bytes.length) bytes[at] = byte;
        const valid = firstWrong(bytes) < 0;
        const frames = codec();
        const told = note(frames);
        const feed = (): void => feedIn(frames, text(bytes), size);

        if (valid) feed();
        else expect(feed).toThrow(FrameError);

        expect(told).toEqual(valid ? [['message', bytes.toString(), false]] : []);
      },
    ),
    { numRuns: 2000 },
  );
});

test('binary is not looked at', () => {
  const frames = codec();
  const told = note(frames);

  frames.feed(frame({ opcode: 2, payload: hex('ff fe c0') }));

  expect(told).toEqual([['message', hex('ff fe c0'), true]]);
});
