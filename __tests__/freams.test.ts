/** Bytes become messages: RFC 6455 section 5, in every split. */
import fc from 'fast-check';
import { FrameError } from 'aiowebsocket';
import {
  binary,
  close,
  codec,
  cont,
  expectTold,
  feedIn,
  frame,
  note,
  ping,
  pong,
  text,
  type Told,
} from './helpers/frames.js';

const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex');

/** What is told of bytes that are fed in pieces of one size. */
function tell(wire: Uint8Array, size = Math.max(1, wire.length)): Told[] {
  const frames = codec();
  const told = note(frames);
  feedIn(frames, wire, size);
  return told;
}

const BYTES_256 = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const BYTES_64K = Buffer.alloc(65_536, BYTES_256);

const VECTORS: readonly [string, Buffer, readonly Told[]][] = [
  ['a text frame', hex('81 05 48656c6c6f'), [['message', 'Hello', false]]],
  ['a fragmented text', hex('01 03 48656c 80 02 6c6f'), [['message', 'Hello', false]]],
  ['a ping', hex('89 05 48656c6c6f'), [['ping', Buffer.from('Hello')]]],
  ['a pong', hex('8a 05 48656c6c6f'), [['pong', Buffer.from('Hello')]]],
  [
    '256 bytes of binary',
    Buffer.concat([hex('82 7e 0100'), BYTES_256]),
    [['message', BYTES_256, true]],
  ],
  [
    '64 KiB of binary',
    Buffer.concat([hex('82 7f 0000000000010000'), BYTES_64K]),
    [['message', BYTES_64K, true]],
  ],
];

describe('the vectors of RFC 6455 section 5.7', () => {
  test.each(VECTORS)('%s, whole', (_what, wire, told) => {
    expectTold(tell(wire), told);
  });

  test.each(VECTORS)('%s, in pieces of 1 to 20 bytes', (_what, wire, told) => {
    for (let size = 1; size <= 20; size++) {
      if (wire.length / size > 20_000) continue;
      expectTold(tell(wire, size), told);
    }
  });
});

test('a stream of all kinds of frames tells the same in every split into three', () => {
  const wire = Buffer.concat([
    text('zwölf ✓'),
    ping('a'),
    text('', false),
    cont('', false),
    pong(''),
    cont('x', true),
    binary(''),
    binary(Buffer.alloc(126, 7)),
    close(1000, 'bye'),
  ]);
  const told: Told[] = [
    ['message', 'zwölf ✓', false],
    ['ping', Buffer.from('a')],
    ['pong', Buffer.alloc(0)],
    ['message', 'x', false],
    ['message', Buffer.alloc(0), true],
    ['message', Buffer.alloc(126, 7), true],
    ['close', 1000, 'bye'],
  ];

  for (let i = 0; i <= wire.length; i++) {
    for (let j = i; j <= wire.length; j++) {
      const frames = codec();
      const seen = note(frames);
      for (const piece of [wire.subarray(0, i), wire.subarray(i, j), wire.subarray(j)]) {
        frames.feed(piece);
      }
      expectTold(seen, told);
    }
  }
});

test.each([0, 1, 124, 125, 126, 127, 128, 255, 256, 65_534, 65_535, 65_536, 65_537, 100_000])(
  'a message of %i bytes comes as it was sent',
  (length) => {
    const payload = Buffer.alloc(length, BYTES_256);

    expectTold(tell(binary(payload)), [['message', payload, true]]);
    expectTold(tell(binary(payload), 4096), [['message', payload, true]]);
    expectTold(tell(text('a'.repeat(length)), 4099), [['message', 'a'.repeat(length), false]]);
  },
);

test('messages of any size, fragmented anyhow and split anyhow, come as they were sent', () => {
  const message = fc.record({
    isBinary: fc.boolean(),
    pieces: fc.array(fc.string({ unit: 'grapheme', maxLength: 90 }), {
      minLength: 1,
      maxLength: 5,
    }),
    control: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.integer({ min: 1, max: 300 }),
      (all, size) => {
        const wire = all.flatMap(({ isBinary, pieces, control }) =>
          pieces.flatMap((payload, i) => [
            frame({
              payload,
              opcode: i > 0 ? 0 : isBinary ? 2 : 1,
              fin: i === pieces.length - 1,
            }),
            ...(control ? [ping(String(i))] : []),
          ]),
        );
        const messages = all.map(({ isBinary, pieces }) => {
          const whole = pieces.join('');
          return ['message', isBinary ? Buffer.from(whole) : whole, isBinary];
        });

        const told = tell(Buffer.concat(wire), size);

        expect(told.filter(([kind]) => kind === 'message')).toEqual(messages);
      },
    ),
  );
});

describe('fragments', () => {
  test('control frames between fragments are told at once, the message when whole', () => {
    const frames = codec();
    const told = note(frames);

    frames.feed(Buffer.concat([text('a', false), ping('1'), cont('b', false), pong('2')]));
    expect(told).toEqual([
      ['ping', Buffer.from('1')],
      ['pong', Buffer.from('2')],
    ]);

    frames.feed(cont('c'));
    expect(told.slice(2)).toEqual([['message', 'abc', false]]);
  });

  test('a Close in the middle of a message is told, the message is not', () => {
    expect(tell(Buffer.concat([text('a', false), close(1001), cont('b')]))).toEqual([
      ['close', 1001, ''],
    ]);
  });

  test('the first frame tells the type; empty fragments are allowed', () => {
    const wire = [binary('', false), cont('', false), cont('x', false), cont('')];

    expect(tell(Buffer.concat(wire), 1)).toEqual([['message', Buffer.from('x'), true]]);
  });

  test('a message of empty fragments is an empty message', () => {
    expect(tell(Buffer.concat([text('', false), cont('')]))).toEqual([['message', '', false]]);
  });
});

/** Bytes, how many of them it takes to see that they are wrong, and the code for the peer. */
const BROKEN: readonly [string, Buffer, number][] = [
  ...[0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf].map((opcode): [string, Buffer, number] => [
    `reserved opcode ${opcode}`,
    frame({ opcode }),
    1,
  ]),
  ['RSV1 without an extension', frame({ rsv: 0x40, payload: 'a' }), 1],
  ['RSV2', frame({ rsv: 0x20, payload: 'a' }), 1],
  ['RSV3', frame({ rsv: 0x10, payload: 'a' }), 1],
  ['RSV1 on a continuation', Buffer.concat([text('a', false), frame({ opcode: 0, rsv: 0x40 })]), 4],
  ['RSV1 on a ping', frame({ opcode: 9, rsv: 0x40 }), 1],
  ['RSV3 on a Close', frame({ opcode: 8, rsv: 0x10 }), 1],
  ['a masked text', frame({ payload: 'Hello', mask: hex('37fa213d') }), 2],
  ['a masked ping', frame({ opcode: 9, mask: hex('00000000') }), 2],
  ['a masked, empty Close', frame({ opcode: 8, mask: hex('01020304') }), 2],
  ['a ping of 126 bytes', ping(Buffer.alloc(126)), 2],
  ['a pong of 64 KiB', pong(Buffer.alloc(65_536)), 2],
  ['a Close of 126 bytes', close(1000, 'a'.repeat(124)), 2],
  ['a ping with a long form of its length', frame({ opcode: 9, lengthBytes: 2 }), 2],
  ['a fragmented ping', frame({ opcode: 9, fin: false }), 1],
  ['a fragmented pong', frame({ opcode: 10, fin: false }), 1],
  ['a fragmented Close', frame({ opcode: 8, fin: false }), 1],
  ['a continuation of nothing', cont('a'), 1],
  ['a continuation of nothing, not final', cont('a', false), 1],
  ['a continuation behind a whole message', Buffer.concat([text('a'), cont('b')]), 4],
  ['a text within a text', Buffer.concat([text('a', false), text('b')]), 4],
  ['a binary within a text', Buffer.concat([text('a', false), ping(), binary('b', false)]), 6],
  ['5 bytes with a length of 16 bits', frame({ payload: 'Hello', lengthBytes: 2 }), 4],
  ['125 bytes with a length of 16 bits', frame({ payload: Buffer.alloc(125), lengthBytes: 2 }), 4],
  ['0 bytes with a length of 64 bits', frame({ lengthBytes: 8 }), 10],
  ['65,535 bytes with a length of 64 bits', frame({ length: 65_535, lengthBytes: 8 }), 10],
  ['a length of 2^63', frame({ length: 2n ** 63n, lengthBytes: 8 }), 10],
  ['a length of 2^64 - 1', frame({ length: 2n ** 64n - 1n, lengthBytes: 8 }), 10],
  ['garbage', Buffer.from('HTTP/1.1 400 Bad Request'), 1],
];
describe('what breaks the protocol', () => {
  test.each(BROKEN)('%s fails with 1002 at that byte', (_what, wire, bytes) => {
    const frames = codec();
    const told = note(frames);

    for (let i = 0; i < bytes - 1; i++) frames.feed(wire.subarray(i, i + 1));
    let error: unknown;
    try {
      frames.feed(wire.subarray(bytes - 1, bytes));
    } catch (thrown) {
      error = thrown;
    }

    expect(error).toBeInstanceOf(FrameError);
    expect(error).toMatchObject({ code: 'ERR_FRAME_PROTOCOL', closeCode: 1002, phase: 'open' });
    expect(told.filter(([kind]) => kind !== 'message' && kind !== 'ping')).toEqual([]);
  });

  test.each(BROKEN)('%s fails in one chunk, too, and shows its bytes', (_what, wire, bytes) => {
    const shown = wire.subarray(bytes - 1, bytes).toString('hex');

    expect(() => codec().feed(wire)).toThrow(
      expect.objectContaining({
        closeCode: 1002,
        message: expect.stringMatching(
          new RegExp(`^the server sent .*\\(bytes [0-9a-f]*${shown}`, 's'),
        ),
      }),
    );
  });

  test.each([
    [
      'a length',
      Buffer.concat([text('a'), frame({ payload: 'Hello', lengthBytes: 2 })]),
      '817e0005',
    ],
    ['text', Buffer.concat([text('valid', false), cont(hex('ff41'))]), 'ff41'],
  ])('%s is shown from its own first byte on', (_what, wire, shown) => {
    expect(() => codec().feed(wire)).toThrow(`(bytes ${shown}`);
  });

  test('what came before it in the chunk is told', () => {
    const frames = codec();
    const told = note(frames);

    expect(() => frames.feed(Buffer.concat([text('a'), ping('b'), hex('83')]))).toThrow(FrameError);

    expect(told).toEqual([
      ['message', 'a', false],
      ['ping', Buffer.from('b')],
    ]);
  });

  test('nothing is taken afterwards', () => {
    const frames = codec();
    const told = note(frames);
    expect(() => frames.feed(hex('83'))).toThrow(FrameError);

    frames.feed(text('a'));
    frames.feed(hex('83'));
    frames.resume();

    expect(told).toEqual([]);
  });

  test('whatever bytes come, the codec takes them all or throws a FrameError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 9 }), (b, size) => {
        const outcome = (pieces: number): unknown => {
          const frames = codec({ maxPayload: 1000 });
          const told = note(frames);
          try {
            feedIn(frames, b, pieces);
            return { told };
          } catch (error) {
            expect(error).toBeInstanceOf(FrameError);
            return { told, closeCode: (error as FrameError).closeCode };
          }
        };
        expect(outcome(size)).toEqual(outcome(1));
      }),
      { numRuns: 500 },
    );
  });
});
