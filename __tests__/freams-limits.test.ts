/** Limits are kept before memory is spent. */
import { FrameError, Frames } from 'aiowebsocket';
import { binary, codec, cont, feedIn, frame, note, ping, text } from './helpers/frames.js';

const tooBig = expect.objectContaining({ code: 'ERR_FRAME_TOO_BIG', closeCode: 1009 });
const tooMany = expect.objectContaining({ code: 'ERR_FRAME_TOO_MANY_FRAGMENTS', closeCode: 1008 });
const wrong = expect.objectContaining({ code: 'ERR_FRAME_PROTOCOL', closeCode: 1002 });

describe('maxPayload', () => {
  test.each([1, 2, 125, 126, 1000, 65_535, 65_536])(
    'of %i: as many bytes pass, one fewer passes, one more fails with 1009',
    (maxPayload) => {
      for (const length of [maxPayload - 1, maxPayload]) {
        const frames = codec({ maxPayload });
        const told = note(frames);
        frames.feed(text('a'.repeat(length)));
        expect(told).toHaveLength(1);
      }

      expect(() => codec({ maxPayload }).feed(text('a'.repeat(maxPayload + 1)))).toThrow(tooBig);
    },
  );

  test('fails at the head, before a byte of the payload has come, and names the limit', () => {
    const head = frame({ length: 1001, payload: '' });

    expect(() => codec({ maxPayload: 1000 }).feed(head)).toThrow(/1001 bytes.*maxPayload.*1000/);
  });

  test('counts all fragments of a message together', () => {
    const message = [binary('aaaa', false), cont('bbb', false), cont('cc', false)];
    const frames = codec({ maxPayload: 10 });
    const told = note(frames);

    frames.feed(Buffer.concat([...message, cont('d')]));
    expect(told).toEqual([['message', Buffer.from('aaaabbbccd'), true]]);

    frames.feed(Buffer.concat(message));
    expect(() => frames.feed(frame({ opcode: 0, length: 2, payload: '' }))).toThrow(tooBig);
  });

  test('starts anew with each message, and does not count control frames', () => {
    const frames = codec({ maxPayload: 4 });
    const told = note(frames);

    for (let i = 0; i < 5; i++) {
      frames.feed(Buffer.concat([text('ab', false), ping('a'.repeat(125)), cont('cd')]));
    }

    expect(told.filter(([kind]) => kind === 'message')).toHaveLength(5);
  });

  test('is 64 MiB by default', () => {
    const most = 67_108_864;

    expect(codec().feed(frame({ length: most }))).toBe(true);
    expect(() => codec().feed(frame({ length: most + 1 }))).toThrow(tooBig);
  });

  test.each([
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 32n + 5n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 62n,
    2n ** 63n - 1n,
  ])('a length of %i fails with 1009, also behind a small fragment', (length) => {
    expect(() => codec().feed(frame({ length }))).toThrow(tooBig);
    const behind = Buffer.concat([text('a', false), frame({ opcode: 0, length })]);
    expect(() => codec().feed(behind)).toThrow(tooBig);
    expect(() => {
      feedIn(codec(), behind, 1);
    }).toThrow(tooBig);
  });

  test.each([2n ** 63n, 2n ** 63n + 5n, 2n ** 64n - 1n])(
    'a length of %i, whose first bit must be 0, fails with 1002',
    (length) => {
      expect(() => codec().feed(frame({ length }))).toThrow(wrong);
      expect(() => {
        feedIn(codec(), frame({ length }), 3);
      }).toThrow(wrong);
    },
  );

  test('as high as it goes, a length of 2^53 - 1 is exact, and 2^53 is refused', () => {
    const maxPayload = Number.MAX_SAFE_INTEGER;

    expect(codec({ maxPayload }).feed(frame({ length: 2n ** 53n - 1n }))).toBe(true);
    expect(() => codec({ maxPayload }).feed(frame({ length: 2n ** 53n }))).toThrow(tooBig);
  });
});

describe('maxFragments', () => {
  test.each([1, 2, 10])('of %i: as many frames pass, one more fails with 1008', (maxFragments) => {
    const message = (count: number): Buffer =>
      Buffer.concat(
        Array.from({ length: count }, (_, i) =>
          frame({ opcode: i === 0 ? 1 : 0, fin: i === count - 1, payload: 'a' }),
        ),
      );
    const frames = codec({ maxFragments });
    const told = note(frames);

    frames.feed(message(maxFragments));
    frames.feed(message(maxFragments));
    expect(told).toHaveLength(2);
    expect(() => frames.feed(message(maxFragments + 1))).toThrow(tooMany);
  });

  test('names the limit', () => {
    expect(() =>
      codec({ maxFragments: 1 }).feed(Buffer.concat([text('a', false), cont('b')])),
    ).toThrow('a message of more than 1 fragments (maxFragments)');
  });

  test('empty fragments count, control frames do not', () => {
    const frames = codec({ maxFragments: 3 });
    const told = note(frames);

    frames.feed(Buffer.concat([text('', false), ping(), ping(), cont('', false), ping(), ping()]));
    frames.feed(cont('', false));
    expect(told).toHaveLength(4);
    expect(() => frames.feed(cont(''))).toThrow(tooMany);
  });

  test('is 131,072 by default: a flood of empty fragments ends there', () => {
    const frames = codec();
    const flood = Buffer.concat(Array.from({ length: 131_071 }, () => cont('', false)));
    frames.feed(text('', false));

    frames.feed(flood);

    expect(() => frames.feed(cont('', false))).toThrow(tooMany);
  });
});

describe('memory', () => {
  const arrayBuffers = (): number => process.memoryUsage().arrayBuffers;

  test('follows the bytes that came, not those that a frame announces', () => {
    const all = Array.from({ length: 20 }, () => codec());
    const before = arrayBuffers();

    for (const frames of all) frames.feed(frame({ length: 60_000_000, payload: 'a' }));

    expect(arrayBuffers() - before).toBeLessThan(20 * 1_200_000);
  });

  test('tiny fragments cost their bytes and little more', () => {
    const frames = codec();
    frames.feed(binary('', false));
    const piece = Buffer.concat(Array.from({ length: 1000 }, () => cont('abcd', false)));
    const before = arrayBuffers();

    for (let i = 0; i < 100; i++) frames.feed(piece);

    expect(arrayBuffers() - before).toBeLessThan(8_000_000);
  });

  test('a frame dripped byte by byte takes linear time', () => {
    const payload = Buffer.alloc(300_000, 'a');
    const started = process.cpuUsage().user;
    const frames = codec();
    const told = note(frames);

    feedIn(frames, text(payload), 1);

    expect(told).toHaveLength(1);
    expect(process.cpuUsage().user - started).toBeLessThan(5_000_000);
  });

  test('a message in many fragments does not keep more than it shows', () => {
    const frames = codec();
    const told = note(frames);
    const pieces = Array.from({ length: 33 }, (_, i) =>
      frame({ opcode: i === 0 ? 2 : 0, fin: i === 32, payload: Buffer.alloc(32_768) }),
    );

    frames.feed(Buffer.concat(pieces));

    const message = told[0]?.[1] as Buffer;
    expect(message).toHaveLength(33 * 32_768);
    expect(message.buffer.byteLength).toBeLessThan(1.5 * message.length);
  });
});

describe('the options', () => {
  test.each(['maxPayload', 'maxFragments', 'maxQueue', 'maxQueueBytes'])(
    '%s must be a positive integer',
    (name) => {
      for (const value of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 53]) {
        expect(() => codec({ [name]: value })).toThrow(
          expect.objectContaining({
            name: 'RangeError',
            code: 'ERR_OUT_OF_RANGE',
            message: expect.stringMatching(
              new RegExp(`^${name} must be an integer .*from 1 .*, got ${value}$`),
            ),
          }),
        );
      }
      for (const value of ['1', null, 5n, {}, true]) {
        expect(() => codec({ [name]: value as never })).toThrow(
          expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }),
        );
      }
      expect(codec({ [name]: 1 })).toBeInstanceOf(Frames);
      expect(codec({ [name]: Number.MAX_SAFE_INTEGER })).toBeInstanceOf(Frames);
      expect(codec({ [name]: undefined })).toBeInstanceOf(Frames);
    },
  );

  test('a limit that is reached ends the codec as any fault does', () => {
    const frames = codec({ maxPayload: 1 });
    const told = note(frames);
    expect(() => frames.feed(text('ab'))).toThrow(FrameError);

    frames.feed(text('a'));

    expect(told).toEqual([]);
  });
});
