/** The Close frame: RFC 6455 section 5.5.1 and 7.4. */
import { FrameError, isCloseCode } from 'aiowebsocket';
import { close, codec, cont, feedIn, frame, note, ping, text } from './helpers/frames.js';

test('an empty Close frame is 1005', () => {
  const frames = codec();
  const told = note(frames);

  frames.feed(close());

  expect(told).toEqual([['close', 1005, '']]);
});

test.each([
  [1000, ''],
  [1001, 'gone'],
  [3000, 'späť – 再见'],
  [4999, 'x'.repeat(123)],
])('code %i and its reason are told, in any split', (code, reason) => {
  const wire = close(code, reason);
  for (const size of [1, 2, 3, 4, 5, wire.length]) {
    const frames = codec();
    const told = note(frames);

    feedIn(frames, wire, size);

    expect(told).toEqual([['close', code, reason]]);
  }
});

test('each code is taken or refused with 1002, as section 7.4 says', () => {
  for (let code = 0; code < 65_536; code++) {
    const frames = codec();
    const told = note(frames);
    let refused: unknown;
    try {
      frames.feed(close(code));
    } catch (error) {
      refused = error;
    }
    if (isCloseCode(code)) {
      if (told[0]?.[1] !== code) expect(told).toEqual([['close', code, '']]);
    } else if (!(refused instanceof FrameError) || refused.closeCode !== 1002) {
      expect(`${code} is refused with 1002`).toBe(refused);
    }
  }
});

test.each([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])(
  'the error about code %i names it',
  (code) => {
    expect(() => codec().feed(close(code, 'no'))).toThrow(`the invalid code ${code}`);
  },
);

test('a body of one byte fails with 1002', () => {
  expect(() => codec().feed(frame({ opcode: 8, payload: '\x03' }))).toThrow(
    expect.objectContaining({ code: 'ERR_FRAME_PROTOCOL', closeCode: 1002 }),
  );
});

test('a wrong code is told before a reason that is no UTF-8', () => {
  expect(() => codec().feed(close(1005, Buffer.from([0xff])))).toThrow(
    expect.objectContaining({ closeCode: 1002 }),
  );
});

test('nothing behind it is looked at, broken or not', () => {
  const frames = codec();
  const told = note(frames);

  frames.feed(Buffer.concat([text('a'), close(1000), ping('x'), Buffer.from('83ff', 'hex')]));
  frames.feed(text('b'));
  frames.feed(frame({ opcode: 7 }));
  frames.resume();

  expect(told).toEqual([
    ['message', 'a', false],
    ['close', 1000, ''],
  ]);
});

test('nothing behind it is looked at when it comes in small pieces, either', () => {
  const frames = codec();
  const told = note(frames);

  feedIn(frames, Buffer.concat([text('a', false), close(4000, 'no more'), cont('b')]), 1);

  expect(told).toEqual([['close', 4000, 'no more']]);
});
