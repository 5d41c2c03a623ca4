/** Feeding, pausing, reading by hand, and messages in pieces. */
import { setImmediate as turn } from 'node:timers/promises';
import { FrameError, Frames, type Extension } from 'aiowebsocket';
import { binary, close, codec, cont, feedIn, frame, note, ping, text } from './helpers/frames.js';

describe('feed', () => {
  test.each([
    ['a Uint8Array', new Uint8Array(text('Hello'))],
    ['a Buffer in a pool', Buffer.from(text('Hello'))],
  ])('takes %s', (_what, chunk) => {
    const frames = codec();
    const told = note(frames);

    expect(frames.feed(chunk)).toBe(true);

    expect(told).toEqual([['message', 'Hello', false]]);
  });

  test.each([
    ['"text"', 'text'],
    ['5', 5],
    ['null', null],
    ['undefined', undefined],
    ['an instance of Array', [129, 0]],
  ])('refuses %s, and names it', (shown, chunk) => {
    expect(() => codec().feed(chunk as never)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: `chunk must be bytes, got ${shown}`,
      }),
    );
  });

  test('an empty chunk is nothing', () => {
    const frames = codec();

    expect(frames.feed(Buffer.alloc(0))).toBe(true);
  });

  test('the chunk may be overwritten once it returns: messages and payloads are their own', () => {
    const frames = codec();
    const told = note(frames);
    const chunk = Buffer.concat([binary('abc'), ping('def'), text('ghi', false)]);

    frames.feed(chunk);
    chunk.fill(0);
    frames.feed(cont('jkl'));

    expect(told).toEqual([
      ['message', Buffer.from('abc'), true],
      ['ping', Buffer.from('def')],
      ['message', 'ghijkl', false],
    ]);
  });

  test('a message may be overwritten: later ones do not change', () => {
    const frames = codec();
    const messages: Buffer[] = [];
    frames.on('message', (data) => {
      messages.push(Buffer.from(data as Buffer));
      (data as Buffer).fill(0xff);
    });

    feedIn(
      frames,
      Buffer.concat([binary('abc'), binary('def', false), cont('ghi'), binary('j')]),
      2,
    );

    expect(messages.map(String)).toEqual(['abc', 'defghi', 'j']);
  });

  test('within a listener goes behind what is being parsed', () => {
    const frames = codec();
    const told: unknown[] = [];
    frames.on('message', (data) => {
      told.push(data);
      if (data === 'a') {
        frames.feed(text('c'));
        told.push('fed');
      }
    });

    frames.feed(Buffer.concat([text('a'), text('b')]));
    frames.feed(text('d'));

    expect(told).toEqual(['a', 'fed', 'b', 'c', 'd']);
  });

  test('deliver() is told the payload bytes of each message', () => {
    const sizes: number[] = [];
    class Measured extends Frames {
      protected override deliver(data: string | Buffer, isBinary: boolean, bytes: number): void {
        sizes.push(bytes);
        super.deliver(data, isBinary, bytes);
      }
    }
    const frames = new Measured();

    frames.feed(Buffer.concat([text('äöü'), binary('', false), ping('x'), cont('abcd'), text('')]));

    expect(sizes).toEqual([6, 4, 0]);
  });
});

describe('pause', () => {
  test('keeps what is fed, and resume tells it in order', () => {
    const frames = codec();
    const told = note(frames);
    frames.pause();

    expect(frames.feed(text('a'))).toBe(false);
    expect(frames.feed(ping('b'))).toBe(false);
    expect(told).toEqual([]);

    frames.resume();
    expect(told).toEqual([
      ['message', 'a', false],
      ['ping', Buffer.from('b')],
    ]);
    expect(frames.feed(text('c'))).toBe(true);
    expect(told).toHaveLength(3);
  });

  test('in a listener stops behind the frame that is being told', () => {
    const frames = codec();
    const told = note(frames);
    frames.on('message', () => {
      frames.pause();
    });
    const chunk = Buffer.concat([text('a'), text('b'), text('c')]);

    expect(frames.feed(chunk)).toBe(false);
    chunk.fill(0);
    expect(told.map(([, data]) => data)).toEqual(['a']);

    frames.resume();
    expect(told.map(([, data]) => data)).toEqual(['a', 'b']);
    frames.resume();
    expect(told.map(([, data]) => data)).toEqual(['a', 'b', 'c']);
  });

  test('in the middle of a frame keeps its bytes', () => {
    const frames = codec();
    const told = note(frames);
    const wire = text('Hello');

    frames.feed(wire.subarray(0, 4));
    frames.pause();
    frames.feed(wire.subarray(4, 6));
    frames.feed(wire.subarray(6));
    frames.resume();

    expect(told).toEqual([['message', 'Hello', false]]);
  });

  test('a fault behind a pause is thrown by resume, once', () => {
    const frames = codec();
    frames.pause();
    frames.feed(Buffer.from('83', 'hex'));

    expect(() => {
      frames.resume();
    }).toThrow(FrameError);
    frames.resume();
    frames.feed(Buffer.from('83', 'hex'));
  });

  test('resume within a listener goes on in order', () => {
    const frames = codec();
    const told = note(frames);
    frames.on('message', (data) => {
      frames.pause();
      if (data === 'a') frames.resume();
    });

    frames.feed(Buffer.concat([text('a'), text('b'), text('c')]));

    expect(told.map(([, data]) => data)).toEqual(['a', 'b']);
  });

  test('stop takes nothing any more', () => {
    const frames = codec();
    const told = note(frames);
    frames.pause();
    frames.feed(text('a'));

    frames.stop();
    frames.resume();
    frames.feed(text('b'));

    expect(told).toEqual([]);
  });

  test('stop in a listener drops the rest of the chunk', () => {
    const frames = codec();
    const told = note(frames);
    frames.on('message', () => {
      frames.stop();
    });

    frames.feed(Buffer.concat([text('a'), text('b'), frame({ opcode: 7 })]));

    expect(told).toEqual([['message', 'a', false]]);
  });
});

describe('a message that an extension works on in slices', () => {
  /** Gives one byte a turn, and is asked for nothing once it is closed. */
  const bytewise = (): Extension => {
    let closed = false;
    const resume: Extension['resume'] = (rest, last, output) => {
      if (closed) throw new Error('it is closed');
      output(rest.subarray(0, 1), last && rest.length === 1);
      return rest.length > 1 ? rest.subarray(1) : undefined;
    };
    return {
      rsv: 0x40,
      decode: (bytes, last, _most, output) => resume(bytes, last, output),
      resume,
      encode: (bytes) => bytes,
      close() {
        closed = true;
      },
    };
  };
  const sliced = frame({ rsv: 0x40, payload: 'slow' });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await turn();
  };

  test('holds back what is behind it, which then comes without a call of resume', async () => {
    const frames = codec({ extension: bytewise() });
    const told = note(frames);

    const chunk = Buffer.concat([sliced, text('next')]);
    expect(frames.feed(chunk)).toBe(false);
    chunk.fill(0xee);
    expect(told).toEqual([]);
    await turns();

    expect(told).toEqual([
      ['message', 'slow', false],
      ['message', 'next', false],
    ]);
    expect(frames.paused).toBe(false);
  });

  test('waits while paused, and goes on at resume, then with what is behind it', async () => {
    const frames = codec({ extension: bytewise() });
    const told = note(frames);
    frames.feed(Buffer.concat([sliced, text('next')]));

    frames.pause();
    await turns();
    expect(told).toEqual([]);
    frames.resume();
    await turns();

    expect(told).toEqual([
      ['message', 'slow', false],
      ['message', 'next', false],
    ]);
  });

  test('ends with stop: the extension is asked for no more, and no error is told', async () => {
    const frames = codec({ extension: bytewise() });
    const told: unknown[] = note(frames);
    frames.on('error', (error) => told.push(error));
    frames.feed(sliced);

    frames.stop();
    await turns();

    expect(told).toEqual([]);
  });
});

describe('read', () => {
  test('gives messages in order, those that came before and those that come', async () => {
    const frames = codec();
    frames.feed(Buffer.concat([text('a'), binary('b')]));

    await expect(frames.read()).resolves.toBe('a');
    await expect(frames.read()).resolves.toEqual(Buffer.from('b'));
    const [c, d] = [frames.read(), frames.read()];
    frames.feed(Buffer.concat([text('c'), ping(), text('d'), text('')]));
    await expect(Promise.all([c, d, frames.read()])).resolves.toEqual(['c', 'd', '']);
  });

  test('a message that a listener saw is not kept, one that a reader waits for is not shown', async () => {
    const frames = codec();
    const told = note(frames);

    frames.feed(text('a'));
    const read = frames.read();
    frames.feed(Buffer.concat([text('b'), text('c')]));

    await expect(read).resolves.toBe('b');
    expect(told.map(([, data]) => data)).toEqual(['a', 'c']);
  });

  test('pauses at maxQueue messages that nobody reads, resumes at half', async () => {
    const frames = codec({ maxQueue: 4 });
    const wire = Buffer.concat(Array.from({ length: 10 }, (_, i) => text(String(i))));

    expect(frames.feed(wire)).toBe(false);
    const read: unknown[] = [];
    for (let i = 0; i < 10; i++) read.push(await frames.read());

    expect(read).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(frames.feed(Buffer.alloc(0))).toBe(true);
  });

  test('pauses at maxQueueBytes', async () => {
    const frames = codec({ maxQueueBytes: 10 });

    expect(frames.feed(Buffer.concat([text('12345'), text('6789')]))).toBe(true);
    expect(frames.feed(text('0'))).toBe(false);
    await frames.read();
    expect(frames.feed(Buffer.alloc(0))).toBe(true);
  });

  test.each([
    ['the peer closes', close(4000, 'over'), { closeCode: 4000, reason: 'over' }],
    ['the peer breaks the protocol', frame({ opcode: 7 }), { code: 'ERR_FRAME_PROTOCOL' }],
  ])('does not wait for ever when %s', async (_what, wire, error) => {
    const frames = codec();
    frames.feed(text('a'));
    const waiting = [frames.read(), frames.read()] as const;
    try {
      frames.feed(wire);
    } catch {
      // Told to whoever feeds.
    }

    await expect(waiting[0]).resolves.toBe('a');
    const settled = await Promise.race([
      waiting[1].then(
        () => 'resolved',
        () => 'rejected',
      ),
      new Promise((resolve) => setImmediate(resolve, 'still waiting')),
    ]);
    expect(settled).toBe('rejected');
    for (const read of [waiting[1], frames.read()]) await expect(read).rejects.toMatchObject(error);
  });
});

describe('divert', () => {
  const sink = (
    frames: Frames,
    maxPayload?: number,
  ): { log: unknown[]; sink: Parameters<Frames['divert']>[0] } => {
    const log: unknown[] = [];
    const to = {
      maxPayload,
      begin: () => log.push('begin'),
      piece: (piece: string | Buffer) => log.push(piece),
      end: () => log.push('end'),
    };
    frames.divert(to);
    return { log, sink: to };
  };

  test('hands the next message on in pieces as they arrive, and only that one', () => {
    const frames = codec();
    const told = note(frames);
    const { log } = sink(frames);

    frames.feed(Buffer.concat([text('ab', false), ping('p')]));
    expect(log).toEqual(['begin', 'ab']);
    frames.feed(Buffer.concat([cont('cd'), text('next')]));

    expect(log).toEqual(['begin', 'ab', 'cd', 'end']);
    expect(told).toEqual([
      ['ping', Buffer.from('p')],
      ['message', 'next', false],
    ]);
  });

  test('takes over a message that is under way, from its beginning', () => {
    const frames = codec();
    frames.feed(binary('ab', false));

    const { log } = sink(frames);
    frames.feed(cont('cd'));

    expect(log).toEqual(['begin', Buffer.from('ab'), Buffer.from('cd'), 'end']);
  });

  test('pieces of text hold whole characters, however they are split', () => {
    const frames = codec();
    const { log } = sink(frames);

    feedIn(frames, Buffer.concat([text('aé', false), cont('€🎉')]), 1);

    expect(log).toEqual(['begin', 'a', 'é', '€', '🎉', 'end']);
  });

  test('text that is no UTF-8 fails as ever', () => {
    const frames = codec();
    sink(frames);

    expect(() => frames.feed(text(Buffer.from('61ff', 'hex'), false))).toThrow(
      expect.objectContaining({ closeCode: 1007 }),
    );
  });

  test('keeps to its own maxPayload, larger or smaller', () => {
    const large = codec({ maxPayload: 4 });
    const { log } = sink(large, 10);
    large.feed(Buffer.concat([binary('123456', false), cont('7890')]));
    expect(log).toHaveLength(4);
    expect(() => large.feed(text('12345'))).toThrow(FrameError);

    const small = codec();
    sink(small, 3);
    expect(() => small.feed(text('1234'))).toThrow(
      expect.objectContaining({
        closeCode: 1009,
        message: expect.stringMatching(/maxPayload.* 3$/),
      }),
    );
  });

  test('undivert drops what is left of the message, and the next is told again', () => {
    const frames = codec();
    const told = note(frames);
    const { log, sink: to } = sink(frames);

    frames.feed(text('ab', false));
    frames.undivert(to);
    frames.feed(Buffer.concat([cont('cd'), text('next')]));

    expect(log).toEqual(['begin', 'ab']);
    expect(told).toEqual([['message', 'next', false]]);
  });

  test('undivert before a message begins leaves all as it was', () => {
    const frames = codec();
    const told = note(frames);
    const { log, sink: to } = sink(frames);

    frames.undivert(to);
    frames.feed(text('a'));

    expect(log).toEqual([]);
    expect(told).toEqual([['message', 'a', false]]);
  });
});

test('read() behind stop() has nothing to wait for', async () => {
  const frames = new Frames();
  frames.stop();

  await expect(frames.read()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
});

test('read() gives all that came before a broken frame, also where that is met behind a full queue', async () => {
  const frames = new Frames(undefined, { maxQueue: 2 });
  frames.feed(Buffer.concat([text('1'), text('2'), text('3'), Buffer.from('8300', 'hex')]));

  const read = await Promise.allSettled(Array.from({ length: 5 }, () => frames.read()));

  expect(read.slice(0, 3)).toMatchObject([{ value: '1' }, { value: '2' }, { value: '3' }]);
  for (const { reason } of read.slice(3) as PromiseRejectedResult[]) {
    expect(reason).toBeInstanceOf(FrameError);
  }
});

test.each([
  ['a broken frame', Buffer.from('8300', 'hex'), 'ERR_FRAME_PROTOCOL'],
  ['a Close frame', close(1000), 'ERR_CLOSED_OK'],
])('a sink is told that its message ends with %s', (_what, wire, code) => {
  const frames = codec();
  const ended: unknown[] = [];
  frames.divert({
    begin: () => undefined,
    piece: () => undefined,
    end: (error) => ended.push(error),
  });
  frames.feed(text('a part', false));

  try {
    frames.feed(wire);
  } catch (error) {
    expect(error).toBeInstanceOf(FrameError);
  }

  expect(ended).toMatchObject([{ code }]);
});

test('a sink whose end() stops the frames is told once', () => {
  const frames = codec();
  let ended = 0;
  frames.divert({
    begin: () => undefined,
    piece: () => undefined,
    end(error) {
      ended++;
      frames.stop(error as Error);
    },
  });
  frames.feed(text('a part', false));

  expect(() => frames.feed(Buffer.from('8300', 'hex'))).toThrow(FrameError);

  expect(ended).toBe(1);
});

test('a sink whose begin() stops the frames gets nothing, nor does anybody else', () => {
  const frames = codec();
  const told = note(frames);
  const piece = jest.fn();
  frames.divert({
    begin() {
      frames.stop();
    },
    piece,
    end: () => undefined,
  });

  frames.feed(Buffer.concat([text('one'), text('two')]));

  expect(told).toEqual([]);
  expect(piece).not.toHaveBeenCalled();
});
