/** Messages that are taken out of the buffer that sockets are read into. */
import fc from 'fast-check';
import { FrameError, Frames, type Message } from 'aiowebsocket';
import { READ_BUFFER, readBuffer, wasm } from 'aiowebsocket/wasm';

/** Unmasked frames, one behind the other, in the read buffer from `offset`; the part they take. */
function put(offset: number, opcode: number, payloads: readonly Uint8Array[]): Buffer {
  const buffer = readBuffer();
  let at = offset;
  for (const payload of payloads) {
    const { length } = payload;
    buffer[at++] = 0x80 | opcode;
    if (length < 126) buffer[at++] = length;
    else {
      buffer[at++] = 126;
      at = buffer.writeUInt16BE(length, at);
    }
    buffer.set(payload, at);
    at += length;
  }
  return buffer.subarray(offset, at);
}

function receive(bytes: Buffer): Message[] {
  const frames = new Frames();
  const messages: Message[] = [];
  frames.on('message', (message) => messages.push(message));
  frames.feed(bytes);
  return messages;
}

/** Without lone surrogates, which UTF-8 has no bytes for. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isValid(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function expectJudged(bytes: Uint8Array): void {
  // What lies behind the payload could complete a character that its end cuts off.
  readBuffer().fill(0x80);
  const chunk = put(1, 1, [bytes]);
  if (isValid(bytes)) expect(receive(chunk)).toEqual([Buffer.from(bytes).toString()]);
  else {
    expect(() => receive(chunk)).toThrow(FrameError);
    expect(() => receive(chunk)).toThrow(expect.objectContaining({ closeCode: 1007 }));
  }
}

test('the read buffer is where WebAssembly can reach it', () => {
  expect(wasm()).toBeTruthy();
  expect(readBuffer().byteOffset).toBe(READ_BUFFER);
});

const texts = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 1500 }),
  fc.string({ unit: 'binary', maxLength: 600 }),
  fc.string({ unit: fc.constantFrom('é', 'ß', '中', '文', '한', '😀', 'a', ' '), maxLength: 900 }),
);

test('texts of every kind arrive as they were sent, several in a chunk, at any offset', () => {
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 8 }), fc.nat(7), (sent, offset) => {
      const whole = sent.map(wellFormed);

      expect(
        receive(
          put(
            offset,
            1,
            whole.map((text) => Buffer.from(text)),
          ),
        ),
      ).toEqual(whole);
    }),
  );
});

test('bytes are taken for text exactly when they are UTF-8', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), expectJudged));
});

test('text with one byte changed is judged as a strict decoder does', () => {
  fc.assert(
    fc.property(texts, fc.nat(), fc.nat(255), (text, at, byte) => {
      const bytes = Buffer.from(text);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      expectJudged(bytes);
    }),
  );
});

test.each([
  'c080',
  'c1bf',
  'e08080',
  'e09fbf',
  'eda080',
  'edbfbf',
  'f0808080',
  'f08fbfbf',
  'f4908080',
  'f5808080',
  'ff',
  '80',
  'c3',
  'e4b8',
  'f09f98',
  '61e4b8',
  'e4b8ade4b8',
])('refuses %s', (hex) => {
  const bytes = Buffer.from(hex, 'hex');

  expect(isValid(bytes)).toBe(false);
  expectJudged(bytes);
  expectJudged(Buffer.concat([Buffer.alloc(40, 'a'), bytes]));
});

test.each([1, 2])('messages of opcode %i outlive the buffer they were read into', (opcode) => {
  const sent = [0, 1, 12, 13, 100, 500, 512, 513, 2000, 5000].map((length) =>
    Buffer.alloc(length, `message of ${length} `),
  );

  const messages = receive(put(3, opcode, sent));
  readBuffer().fill(0xff);

  expect(messages.map((message) => Buffer.from(message as Buffer))).toEqual(sent);
});

test('binary messages are Buffers like any other, also by documented means alone', () => {
  const documented: Message[] = [];
  process.env['AIOWEBSOCKET_DOCUMENTED'] = '1';
  jest.isolateModules(() => {
    const { Frames: Codec } = jest.requireActual<{ Frames: typeof Frames }>('aiowebsocket');
    new Codec()
      .on('message', (message: Message) => documented.push(message))
      .feed(Buffer.from('820161820162', 'hex'));
  });
  delete process.env['AIOWEBSOCKET_DOCUMENTED'];

  const usual = receive(put(0, 2, [Buffer.from('a'), Buffer.from('b')]));

  for (const messages of [usual, documented]) {
    expect(messages).toStrictEqual([Buffer.from('a'), Buffer.from('b')]);
    expect(messages.every((message) => Buffer.isBuffer(message))).toBe(true);
  }
});

test('binary messages of one chunk share no byte', () => {
  const [first, second] = receive(put(0, 2, [Buffer.from('first'), Buffer.from('second')]));

  (first as Buffer).fill(0);

  expect(String(second)).toBe('second');
});

test.each([
  ['one behind the other', 0, 3],
  ['with a little between them', 900, 20],
  ['with much between them', 8000, 25],
])('small binary messages %s keep little more alive than themselves', (_what, gap, times) => {
  const small = Buffer.alloc(100, 1);
  const frames = new Frames();
  const kept: Buffer[] = [];
  frames.on('message', (message) => {
    if (typeof message !== 'string') kept.push(message);
  });
  // Text, of which nothing is kept, and which takes no memory from Node's pool.
  const between = Buffer.from(put(0, 1, gap > 0 ? [Buffer.alloc(gap, 'x')] : []));
  const message = Buffer.from(put(0, 2, [small]));
  const chunk = Buffer.concat(
    Array.from({ length: Math.floor(65_000 / (message.length + between.length)) }, () => [
      message,
      between,
    ]).flat(),
  );

  for (let i = 0; i < 20; i++) {
    readBuffer().set(chunk);
    frames.feed(readBuffer().subarray(0, chunk.length));
  }

  const memory = new Set(kept.map(({ buffer }) => buffer));
  const alive = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(kept.every((one) => one.equals(small))).toBe(true);
  expect(alive).toBeLessThan(kept.length * small.length * times);
});

test('what a listener feeds to other frames disturbs nothing', () => {
  const inner = put(30_000, 1, [Buffer.from('inner')]);
  const outer = put(
    0,
    1,
    ['one', 'two', 'three'].map((text) => Buffer.from(text)),
  );
  const told: Message[] = [];
  const frames = new Frames();
  frames.on('message', (message) => told.push(message, ...receive(inner)));

  frames.feed(outer);

  expect(told).toEqual(['one', 'inner', 'two', 'inner', 'three', 'inner']);
});
