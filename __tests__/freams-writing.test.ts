/** Messages become bytes: masked, minimal, in order. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { ControlFrames, DataFrames, Frames, InvalidStateError } from 'aiowebsocket';
import { maskBytes } from 'aiowebsocket/masks';
import { ping, readFrame, readFrames, text } from './helpers/frames.js';

/** A codec and the chunks that its writer got. */
function writing(): { frames: Frames; chunks: Buffer[]; all: () => Buffer } {
  const chunks: Buffer[] = [];
  const frames = new Frames((bytes) => chunks.push(bytes));
  return { frames, chunks, all: () => Buffer.concat(chunks) };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what is packed behind a large frame keeps its order, large or not', async () => {
  const chunks: Buffer[] = [];
  const later = ['B'.repeat(200_000), 'second', 'C'.repeat(200_000), 'third'];
  const frames: Frames = new Frames((bytes) => {
    chunks.push(bytes);
    for (const one of later.splice(0, 2)) frames.write(true, DataFrames.text, one);
  });

  frames.write(true, DataFrames.binary, Buffer.alloc(200_000, 'A'));
  await nextTurn();

  const shown = readFrames(Buffer.concat(chunks)).map(
    ({ payload }) => `${payload.length}${payload.toString('latin1', 0, 6)}`,
  );
  expect(shown).toEqual(['200000AAAAAA', '200000BBBBBB', '6second', '200000CCCCCC', '5third']);
});

test.each([
  ['a ping that comes in meanwhile', 200_000],
  ['so much of it that no slab is left', 6_000_000],
])('a large frame is one piece: %s is answered behind it', async (_what, size) => {
  const chunks: Buffer[] = [];
  let busy = false;
  const frames: Frames = new Frames((bytes) => {
    chunks.push(bytes);
    if (busy) return;
    busy = true;
    frames.feed(ping('in the middle'));
    frames.write(true, DataFrames.text, 'text');
    frames.write(true, DataFrames.binary, bytes.subarray(0, 3));
  });
  frames.on('ping', (payload) => {
    frames.pong(payload);
  });

  frames.write(true, DataFrames.binary, Buffer.alloc(size, 'large'));
  await nextTurn();

  const [large, ...behind] = readFrames(Buffer.concat(chunks));
  expect(large?.payload.equals(Buffer.alloc(size, 'large'))).toBe(true);
  expect(behind.map(({ opcode, payload }) => [opcode, payload.toString('latin1', 0, 13)])).toEqual([
    [0xa, 'in the middle'],
    [0x1, 'text'],
    [0x2, chunks[0]?.toString('latin1', 0, 3)],
  ]);
});

const LENGTHS = [
  ...[0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 63, 64, 124, 125, 126, 127, 128, 1000],
  ...[32_767, 32_768, 65_534, 65_535, 65_536, 65_537, 66_543, 66_544, 66_545, 66_560],
  ...[133_088, 133_089, 200_000, 1_000_003],
];

describe.each(['write', 'packMessage'] as const)('%s', (method) => {
  const pack = async (...args: Parameters<Frames['packMessage']>): Promise<Buffer> => {
    const { frames, all } = writing();
    if (method === 'packMessage') {
      const bytes = frames.packMessage(...args);
      await nextTurn();
      expect(all()).toHaveLength(0);
      return bytes;
    }
    frames.write(...args);
    await nextTurn();
    return all();
  };

  test.each(LENGTHS)('%i bytes: masked, with the shortest length', async (length) => {
    const data = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 0xff));

    const wire = await pack(true, DataFrames.binary, data);

    const size = length < 126 ? 6 : length < 65_536 ? 8 : 14;
    expect(wire).toHaveLength(size + length);
    const [read] = readFrames(wire);
    expect(read).toMatchObject({ fin: true, rsv: 0, opcode: 2 });
    expect(read?.payload.equals(data)).toBe(true);
  });

  test.each([0, 1, 40, 41, 42, 125, 126, 22_000, 22_181, 22_182, 65_536, 66_545, 100_000])(
    'text of %i characters, of one to four bytes each',
    async (length) => {
      for (const character of ['a', 'é', '€', '🎉']) {
        const message = character.repeat(length);

        const [read] = readFrames(await pack(true, DataFrames.text, message));

        expect(read).toMatchObject({ fin: true, opcode: 1 });
        expect(read?.payload.toString() === message).toBe(true);
      }
    },
  );

  test('a lone surrogate becomes U+FFFD: text on the wire is UTF-8', async () => {
    const [read] = readFrames(await pack(true, DataFrames.text, 'a\ud800b'));

    expect(read?.payload.toString()).toBe('a\ufffdb');
  });

  test('any bytes as text, a string as binary or as a fragment', async () => {
    const frames = await Promise.all([
      pack(true, DataFrames.text, Buffer.from('a')),
      pack(true, DataFrames.binary, 'ü'),
      pack(false, DataFrames.cont, 'c'),
    ]);

    expect(frames.flatMap(readFrames)).toMatchObject([
      { fin: true, opcode: 1, payload: Buffer.from('a') },
      { fin: true, opcode: 2, payload: Buffer.from('ü') },
      { fin: false, opcode: 0, payload: Buffer.from('c') },
    ]);
  });

  test('control frames up to 125 bytes', async () => {
    for (const code of [ControlFrames.close, ControlFrames.ping, ControlFrames.pong]) {
      const [read] = readFrames(await pack(true, code, Buffer.alloc(125, 1)));
      expect(read).toMatchObject({ fin: true, opcode: code, payload: Buffer.alloc(125, 1) });
    }
    const [read] = readFrames(await pack(true, ControlFrames.ping, 'ping'));
    expect(read?.payload.toString()).toBe('ping');
  });

  test('reserved bits are set where asked for, and only these', async () => {
    const [read] = readFrames(await pack(false, DataFrames.text, 'a', 0x40));
    const [other] = readFrames(await pack(true, DataFrames.binary, Buffer.alloc(2), 0xff));

    expect(read).toMatchObject({ fin: false, rsv: 0x40, opcode: 1 });
    expect(other).toMatchObject({ fin: true, rsv: 0x70, opcode: 2 });
  });

  test.each([
    ['a ping of 126 bytes', true, 9, Buffer.alloc(126), 'RangeError', /at most 125/],
    ['a Close of 126 bytes', true, 8, Buffer.alloc(126), 'RangeError', /at most 125/],
    ['a ping in text of 126 bytes', true, 9, 'é'.repeat(63), 'RangeError', /at most 125.*126/],
    ['a fragmented ping', false, 9, '', 'RangeError', /never fragmented/],
    ['a fragmented Close', false, 8, '', 'RangeError', /never fragmented/],
    ['opcode 3', true, 3, '', 'RangeError', /opcode.*3/],
    ['opcode 7', true, 7, '', 'RangeError', /opcode.*7/],
    ['opcode 11', true, 11, '', 'RangeError', /opcode.*11/],
    ['opcode 16', true, 16, '', 'RangeError', /opcode.*16/],
    ['opcode 129', true, 129, '', 'RangeError', /opcode.*129/],
    ['opcode -1', true, -1, '', 'RangeError', /opcode.*-1/],
    ['opcode 1.5', true, 1.5, 'a', 'RangeError', /opcode.*1\.5/],
    ['opcode NaN', true, Number.NaN, '', 'RangeError', /opcode.*NaN/],
    ['no opcode', true, undefined, '', 'RangeError', /opcode.*undefined/],
    ['a number as message', true, 1, 5, 'TypeError', /message.*got 5/],
    ['null as message', true, 2, null, 'TypeError', /message.*null/],
    ['an array as message', true, 2, [1], 'TypeError', /message.*Array/],
    ['a number as ping', true, 9, 5, 'TypeError', /payload.*got 5/],
  ])('refuses %s', async (_what, fin, code, message, name, text) => {
    await expect(pack(fin, code as never, message as never)).rejects.toThrow(
      expect.objectContaining({
        name,
        code: name === 'TypeError' ? 'ERR_INVALID_ARG_TYPE' : 'ERR_OUT_OF_RANGE',
        message: expect.stringMatching(text),
      }),
    );
  });

  test('1,000 frames have 1,000 keys, and none is empty of chance', async () => {
    const frames = await Promise.all(
      Array.from({ length: 1000 }, () => pack(true, DataFrames.text, 'a')),
    );

    const keys = frames.map((bytes) => readFrame(bytes)!.frame.key);

    // Two equal ones are a matter of 1 in 8,600; three are not chance.
    expect(new Set(keys.map((key) => key.readUInt32LE())).size).toBeGreaterThan(997);
    for (let at = 0; at < 4; at++) {
      expect(new Set(keys.map((key) => key[at])).size).toBeGreaterThan(200);
    }
  });
});

describe('write', () => {
  test('the first of a turn goes out at once, the others together at its end', async () => {
    const { frames, chunks } = writing();

    frames.write(true, DataFrames.text, 'a');
    expect(chunks).toHaveLength(1);
    expect(frames.pending).toBe(0);
    for (const letter of 'bcd') frames.write(true, DataFrames.text, letter);
    expect(chunks).toHaveLength(1);
    expect(frames.pending).toBe(21);
    await nextTurn();

    expect(frames.pending).toBe(0);
    expect(chunks.map((chunk) => readFrames(chunk).map(({ payload }) => String(payload)))).toEqual([
      ['a'],
      ['b', 'c', 'd'],
    ]);
  });

  test('a lone message waits for nothing, in each turn', async () => {
    const { frames, chunks } = writing();
    for (let turn = 1; turn <= 3; turn++) {
      frames.write(true, DataFrames.text, 'a');
      expect(chunks).toHaveLength(turn);
      await nextTurn();
    }
  });

  test('flush hands on what is packed', () => {
    const { frames, chunks } = writing();
    frames.write(true, DataFrames.text, 'a');
    frames.write(true, DataFrames.text, 'b');

    frames.flush();
    frames.flush();

    expect(chunks.map((chunk) => chunk.length)).toEqual([7, 7]);
  });

  test('a long burst goes out in portions while it lasts', () => {
    const { frames, chunks } = writing();

    for (let i = 0; i < 1000; i++) frames.write(true, DataFrames.binary, Buffer.alloc(1000));

    expect(chunks.length).toBeGreaterThan(20);
    expect(frames.pending).toBeLessThan(40_000);
  });

  test('replies to one chunk leave together, at its end', () => {
    const { frames, chunks } = writing();
    frames.on('message', (data) => {
      frames.write(true, DataFrames.text, data);
      frames.pong('p');
    });

    frames.feed(Buffer.concat([text('a'), text('b'), text('c')]));

    expect(chunks).toHaveLength(1);
    expect(readFrames(chunks[0]!).map(({ opcode }) => opcode)).toEqual([1, 10, 1, 10, 1, 10]);
  });

  test('the message may be reused at once, and is not changed', async () => {
    const { frames, all } = writing();
    const data = Buffer.from('precious');
    for (let i = 0; i < 3; i++) {
      frames.write(true, DataFrames.binary, data);
      expect(data.toString()).toBe('precious');
    }
    data.fill(0);
    await nextTurn();

    expect(readFrames(all()).map(({ payload }) => String(payload))).toEqual([
      'precious',
      'precious',
      'precious',
    ]);
  });

  test('each chunk is memory of its own: later frames do not change it', async () => {
    const { frames, chunks } = writing();
    frames.write(true, DataFrames.text, 'first');
    const copy = Buffer.from(chunks[0]!);
    await nextTurn();
    for (let i = 0; i < 100; i++) frames.write(true, DataFrames.text, 'other');

    expect(chunks[0]).toEqual(copy);
  });

  test('a refused message leaves nothing on the wire', async () => {
    const { frames, all } = writing();
    expect(() => {
      frames.write(true, 3, 'a');
    }).toThrow(RangeError);
    frames.write(true, DataFrames.text, 'b');
    await nextTurn();

    expect(readFrames(all()).map(({ payload }) => String(payload))).toEqual(['b']);
  });

  test('1,000 frames of one turn have 1,000 keys', async () => {
    const { frames, all } = writing();
    for (let i = 0; i < 1000; i++) frames.write(true, DataFrames.text, '');
    await nextTurn();

    const keys = readFrames(all()).map(({ key }) => key.readUInt32LE());

    expect(keys).toHaveLength(1000);
    expect(new Set(keys).size).toBeGreaterThan(997);
  });
});

test('a stream gets bytes of its own: it keeps what it is given', async () => {
  const stream = new PassThrough();
  const frames = new Frames(stream);

  for (let i = 0; i < 20; i++) {
    frames.write(true, DataFrames.text, `message ${i}`);
    frames.flush();
  }

  stream.end();
  const all = Buffer.concat((await stream.toArray()) as Buffer[]);

  expect(readFrames(all).map(({ payload }) => String(payload))).toEqual(
    Array.from({ length: 20 }, (_, i) => `message ${i}`),
  );
});

test('a ByteSink is lent bytes: they stay until it frees them', () => {
  const lent: { bytes: Buffer; copy: Buffer; free: () => void }[] = [];
  const frames = new Frames({
    write(bytes, free) {
      lent.push({ bytes, copy: Buffer.from(bytes), free });
      return false;
    },
  });

  for (let i = 0; i < 100; i++) {
    frames.write(true, DataFrames.binary, Buffer.alloc(i + 1, i));
    frames.flush();
  }

  for (const { bytes, copy } of lent) expect(bytes).toEqual(copy);
  const all = Buffer.concat(lent.map(({ bytes }) => bytes));
  expect(readFrames(all).map(({ payload }) => payload.length)).toEqual(
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  for (const { free } of lent) free();
});

const someText = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 200 }),
  fc.constantFrom('', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(160), 'x'.repeat(161)),
);
const anyText = fc.oneof(
  { arbitrary: someText, weight: 20 },
  { arbitrary: fc.constantFrom('é', '漢字', '😀', '\ud800', 'a\u0141'), weight: 1 },
);
const anything = fc.oneof(
  { arbitrary: anyText, weight: 8 },
  { arbitrary: fc.uint8Array({ maxLength: 200 }), weight: 1 },
);

test('what is written in one turn leaves whole and in order, whatever it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { minLength: 2, maxLength: 60 }), async (messages) => {
      const { frames, all } = writing();
      for (const one of messages) frames.write(true, typeof one === 'string' ? 1 : 2, one);
      await nextTurn();

      expect(readFrames(all()).map(({ opcode, payload }) => [opcode, payload])).toEqual(
        messages.map((one) => [typeof one === 'string' ? 1 : 2, Buffer.from(one)]),
      );
    }),
  );
});

test.each(['a', 'é', '漢', '😀'])('a turn of many short texts, the last of %s', async (last) => {
  for (const size of [1, 40, 125, 126, 160]) {
    const { frames, all } = writing();
    const texts = Array.from({ length: 700 }, (_, i) =>
      (i < 500 ? 'abcdefgh' : last).repeat(size).slice(0, size),
    );
    for (const one of texts) frames.write(true, DataFrames.text, one);
    await nextTurn();

    expect(readFrames(all()).map(({ payload }) => payload.toString())).toEqual(
      texts.map((one) => Buffer.from(one).toString()),
    );
  }
});

test('without a writer each call fails, and nothing is thrown later', async () => {
  const frames = new Frames();
  const noWriter = /no writer/;

  for (let i = 0; i < 3; i++) {
    expect(() => {
      frames.write(true, DataFrames.text, 'a');
    }).toThrow(noWriter);
    expect(() => {
      frames.pong('a');
    }).toThrow(InvalidStateError);
  }
  // What would be thrown at the end of the turn fails the test.
  await nextTurn();
  expect(frames.pending).toBe(0);
});

test('a writer that fails takes with it what it was given, and nothing else', async () => {
  const written: Buffer[] = [];
  let calls = 0;
  const frames = new Frames((bytes) => {
    if (++calls === 2) throw new Error('full');
    written.push(bytes);
  });
  const texts = Array.from({ length: 1200 }, (_, i) => `${i} ${'€'.repeat(60)}`);
  let failures = 0;
  for (const one of ['first', ...texts, 'last']) {
    try {
      frames.write(true, DataFrames.text, one);
    } catch {
      failures++;
    }
  }
  await nextTurn();

  const got = readFrames(Buffer.concat(written)).map(({ payload }) => payload.toString());
  const all = ['first', ...texts, 'last'];
  const from = all.findIndex((one, i) => one !== got[i]);
  const lost = all.length - got.length;
  expect(failures).toBe(1);
  expect(got).toEqual([...all.slice(0, from), ...all.slice(from + lost)]);
  // One slab, at the most.
  expect(lost * 190).toBeLessThan(66_560);
});

test('every short text of a turn has a masking key of its own', async () => {
  const { frames, all } = writing();
  for (let i = 0; i < 100; i++) frames.write(true, DataFrames.text, 'the same');
  await nextTurn();

  const keys = Array.from({ length: 100 }, (_, i) => all().readUInt32BE(i * 14 + 2));
  expect(new Set(keys).size).toBe(100);
});

test('text is the same bytes when it is written by documented means alone', async () => {
  const texts = ['', 'a', 'é', '漢字', '😀', 'x'.repeat(200), 'ü漢'.repeat(5000), '\ud800'];
  const pack = async (codec: Frames, chunks: Buffer[]): Promise<string[]> => {
    for (const one of texts) codec.write(true, DataFrames.text, one);
    await nextTurn();
    return readFrames(Buffer.concat(chunks)).map(({ payload }) => payload.toString('hex'));
  };
  process.env['AIOWEBSOCKET_DOCUMENTED'] = '1';
  let Documented = Frames;
  jest.isolateModules(() => {
    ({ Frames: Documented } = jest.requireActual<{ Frames: typeof Frames }>('aiowebsocket'));
  });
  delete process.env['AIOWEBSOCKET_DOCUMENTED'];
  const chunks: Buffer[] = [];
  const { frames, chunks: others } = writing();

  const documented = await pack(new Documented((bytes) => chunks.push(bytes)), chunks);

  expect(Documented).not.toBe(Frames);
  expect(documented).toEqual(texts.map((one) => Buffer.from(one).toString('hex')));
  expect(await pack(frames, others)).toEqual(documented);
});

test('pong sends a pong, with and without a payload', () => {
  const { frames, all } = writing();

  frames.pong();
  frames.pong('a');
  frames.pong(Buffer.from('b'));
  frames.flush();

  expect(readFrames(all()).map(({ opcode, payload }) => `${opcode} ${String(payload)}`)).toEqual([
    '10 ',
    '10 a',
    '10 b',
  ]);
  expect(() => {
    frames.pong(Buffer.alloc(126));
  }).toThrow(RangeError);
});

test('what one codec packs, unmasked, another parses', () => {
  const told: unknown[] = [];
  const other = new Frames(() => undefined);
  other.on('message', (data) => told.push(data));
  const packed = new Frames(() => undefined).packMessage(true, DataFrames.text, 'Hello');
  const key = packed.readInt32LE(2);
  maskBytes(packed, 6, 5, key);

  other.feed(Buffer.concat([Buffer.from([packed[0]!, packed[1]! & 0x7f]), packed.subarray(6)]));

  expect(told).toEqual(['Hello']);
});

test.each([null, 5, {}, 'a', { write: 5 }])('a writer of %p is refused', (writer) => {
  expect(() => new Frames(writer as never)).toThrow(
    expect.objectContaining({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringContaining('write must be'),
    }),
  );
});
