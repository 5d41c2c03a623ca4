/** What can be sent, and what arrives. */
import { runInNewContext } from 'node:vm';
import { DataFrames, InvalidStateError } from 'aiowebsocket';
import { openCompressed } from './helpers/deflate.js';
import { open, Opcode, text, type Peer } from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';
import { client } from './helpers/peer.js';

const bytes = [0x00, 0x01, 0x7f, 0x80, 0xc3, 0x28, 0xff, 0x10];

/** `length` bytes of a larger memory, so that offsets matter. */
function inLargerMemory(): ArrayBuffer {
  const memory = new ArrayBuffer(24);
  const view = new Uint8Array(memory);
  view.fill(0xee);
  view.set(bytes, 8);
  return memory;
}

function sharedBytes(): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(8);
  new Uint8Array(shared).set(bytes);
  return shared;
}

/** What kind of frames came, as `opcode:payload` with a `+` where FIN is missing. */
function shape({ frames }: Peer): string[] {
  return frames.map(
    ({ fin, opcode, payload }) => `${opcode}:${payload.toString()}${fin ? '' : '+'}`,
  );
}

describe('a whole message', () => {
  test.each(['', 'hello', 'grüße, 世界 👋', 'x'.repeat(125), 'y'.repeat(126), 'ü'.repeat(70_000)])(
    'of text goes out as one text frame (%#)',
    async (message) => {
      const { converse, peer } = await open();

      await converse.send(message);
      const frame = await peer.next();

      expect(frame).toMatchObject({ fin: true, rsv: 0, opcode: Opcode.text, masked: true });
      expect(frame.payload.equals(Buffer.from(message))).toBe(true);
    },
  );

  test.each([
    ['Buffer', () => Buffer.from(bytes)],
    ['Buffer slice', () => Buffer.from([9, ...bytes, 9]).subarray(1, 9)],
    ['Uint8Array', () => new Uint8Array(inLargerMemory(), 8, 8)],
    ['Uint8ClampedArray', () => new Uint8ClampedArray(inLargerMemory(), 8, 8)],
    ['Int8Array', () => new Int8Array(inLargerMemory(), 8, 8)],
    ['Uint16Array', () => new Uint16Array(inLargerMemory(), 8, 4)],
    ['Int16Array', () => new Int16Array(inLargerMemory(), 8, 4)],
    ['Uint32Array', () => new Uint32Array(inLargerMemory(), 8, 2)],
    ['Int32Array', () => new Int32Array(inLargerMemory(), 8, 2)],
    ['Float32Array', () => new Float32Array(inLargerMemory(), 8, 2)],
    ['Float64Array', () => new Float64Array(inLargerMemory(), 8, 1)],
    ['BigInt64Array', () => new BigInt64Array(inLargerMemory(), 8, 1)],
    ['BigUint64Array', () => new BigUint64Array(inLargerMemory(), 8, 1)],
    ['DataView', () => new DataView(inLargerMemory(), 8, 8)],
    ['ArrayBuffer', () => inLargerMemory().slice(8, 16)],
    ['SharedArrayBuffer', () => sharedBytes()],
    [
      'ArrayBuffer of another realm',
      () => runInNewContext(`Uint8Array.of(${bytes.join()}).buffer`) as ArrayBuffer,
    ],
    ['view of a SharedArrayBuffer', () => new Uint8Array(sharedBytes())],
    ['Blob', () => new Blob([Buffer.from(bytes)])],
  ])('of a %s goes out as one binary frame with exactly its bytes', async (_kind, make) => {
    const { converse, peer } = await open();

    await converse.send(make());

    expect(await peer.next()).toMatchObject({
      fin: true,
      opcode: Opcode.binary,
      payload: Buffer.from(bytes),
    });
  });

  test.each([
    ['Buffer', () => Buffer.alloc(0)],
    ['ArrayBuffer', () => new ArrayBuffer(0)],
    ['Blob', () => new Blob([])],
  ])('that is an empty %s is an empty binary message', async (_kind, make) => {
    const { converse, peer } = await open();

    await converse.send(make());

    expect(await peer.next()).toMatchObject({ fin: true, opcode: Opcode.binary });
    expect(peer.frames[0]?.payload).toHaveLength(0);
  });

  test('of some megabytes arrives whole', async () => {
    const { uri } = await wsServer();
    const aws = await client(uri).createConnection();
    const big = Buffer.alloc(5_000_003, 'abcdefg');

    void aws.manipulator.send(big);

    expect((await aws.manipulator.receive({ text: false })).equals(big)).toBe(true);
  });

  test('goes out at once, though the process is busy right after', async () => {
    const { converse, peer } = await open();
    const write = jest.spyOn(converse.transport, 'write');

    void converse.send('at once');

    expect(write).toHaveBeenCalledTimes(1);
    expect((await peer.next()).payload.toString()).toBe('at once');
  });

  test('and the others of one turn share a few writes, in order', async () => {
    const { converse, peer } = await open();
    const write = jest.spyOn(converse.transport, 'write');
    const messages = Array.from({ length: 500 }, (_, i) => `message ${i}`);

    for (const message of messages) void converse.send(message);
    await peer.until(() => peer.frames.length === 500);

    expect(peer.payloads(Opcode.text)).toEqual(messages);
    expect(write.mock.calls.length).toBeLessThan(5);
  });

  test('is masked with a key of its own', async () => {
    const { converse, peer } = await open();
    const wire: Buffer[] = [];
    peer.socket.on('data', (chunk) => wire.push(chunk));

    for (let i = 0; i < 3; i++) await converse.send(Buffer.alloc(4));
    await peer.until(() => peer.frames.length === 3);

    const all = Buffer.concat(wire);
    const keys = [all.subarray(2, 6), all.subarray(12, 16), all.subarray(22, 26)];
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(3);
  });
});

describe('anything else is refused with what it is', () => {
  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [5, '5'],
    [5n, '5n'],
    [true, 'true'],
    [{}, 'an instance of Object'],
    [new Date(0), 'an instance of Date'],
    [Object.create(null), 'an instance of Object'],
    [() => 'text', 'an instance of Function'],
    [Symbol('odd'), 'Symbol(odd)'],
    [Promise.resolve('text'), 'an instance of Promise'],

    [new String('text'), 'an instance of String'],
  ])('%p', async (data, got) => {
    const { converse, peer } = await open();

    const sent = converse.send(data as never);

    await expect(sent).rejects.toThrow(TypeError);
    await expect(sent).rejects.toThrow(
      `data must be a string, bytes, a Blob or an (async) iterable of these, got ${got}`,
    );
    await expect(sent).rejects.toHaveProperty('code', 'ERR_INVALID_ARG_TYPE');
    await converse.send('next');
    expect((await peer.next()).payload.toString()).toBe('next');
  });

  test.each([
    [{ fin: 1 }, TypeError, /^fin must be a boolean, got 1$/],
    [{ code: 9 }, RangeError, /^code must be one of DataFrames, got 9$/],
    [{ code: 'text' }, TypeError, /^code must be one of DataFrames, got "text"$/],
    ['fin', TypeError, /^options must be an object, got "fin"$/],
  ])('options %p', async (options, type, message) => {
    const { converse } = await open();

    const sent = converse.send('text', options as never);

    await expect(sent).rejects.toThrow(type);
    await expect(sent).rejects.toThrow(message);
  });
});

describe('the memory of a message may be used again', () => {
  test('as soon as send() has returned', async () => {
    const { converse, peer } = await open();
    const data = Buffer.alloc(200_000, 'a');

    const sent = converse.send(data);
    data.fill('b');
    await sent;

    expect((await peer.next()).payload.equals(Buffer.alloc(200_000, 'a'))).toBe(true);
  });

  test.each([
    ['Buffer', Buffer.alloc(8, 'a')],
    ['Uint16Array', Uint16Array.from(Buffer.from('aaaa'), (byte) => byte * 257)],
    ['ArrayBuffer', Uint8Array.from(Buffer.from('aaaaaaaa')).buffer],
  ])('even while it waits for its turn (%s)', async (_kind, data) => {
    const { converse, peer } = await open();

    void converse.send(new Blob(['first']));
    const sent = converse.send(data);
    new Uint8Array(ArrayBuffer.isView(data) ? data.buffer : data).fill(0x62);
    await sent;
    await peer.until(() => peer.messages.length === 2);

    expect(peer.messages.map(String)).toEqual(['first', 'aaaaaaaa']);
  });

  test('also when it is one piece of a message', async () => {
    const { converse, peer } = await open();
    const data = Buffer.from('aaaa');

    void converse.send(new Blob(['first']));
    void converse.send(data, { fin: false });
    data.fill('b');
    await converse.send(data, { fin: true });
    await peer.until(() => peer.messages.length === 2);

    expect(peer.messages.map(String)).toEqual(['first', 'aaaabbbb']);
  });
});

describe('code', () => {
  test('sends bytes as text, as the original always did', async () => {
    const { converse, peer } = await open();

    await converse.send(Buffer.from('grüße'), { code: DataFrames.text });
    await converse.send(Uint8Array.from(Buffer.from('世界')), { code: DataFrames.text });
    await converse.send(new Blob(['👋']), { code: DataFrames.text });
    await peer.until(() => peer.frames.length === 3);

    expect(shape(peer)).toEqual(['1:grüße', '1:世界', '1:👋']);
  });

  test('sends a string as binary', async () => {
    const { converse, peer } = await open();

    await converse.send('grüße', { code: DataFrames.binary });
    await peer.next();

    expect(shape(peer)).toEqual(['2:grüße']);
  });

  test.each([
    ['Buffer', Buffer.from([0x61, 0xff])],
    ['Blob', new Blob([Buffer.from([0x61, 0xff])])],
    ['cut-off character', Buffer.from('ü').subarray(0, 1)],
  ])('refuses to send a %s as text that is not UTF-8', async (_kind, data) => {
    const { converse, peer } = await open();

    const sent = converse.send(data, { code: DataFrames.text });

    await expect(sent).rejects.toThrow(TypeError);
    await expect(sent).rejects.toThrow(/must be valid UTF-8/);
    await converse.send('next');
    expect((await peer.next()).payload.toString()).toBe('next');
  });
});

describe('fin', () => {
  test('false sends a piece, and the next call goes on with it', async () => {
    const { converse, peer } = await open();

    await converse.send('one ', { fin: false });
    await converse.send('two ', { fin: false });
    await converse.send('three', { fin: true });
    await converse.send('next');
    await peer.until(() => peer.frames.length === 4);

    expect(shape(peer)).toEqual(['1:one +', '0:two +', '0:three', '1:next']);
  });

  test('true alone is a whole message', async () => {
    const { converse, peer } = await open();

    await converse.send('one', { fin: true });
    await peer.next();

    expect(shape(peer)).toEqual(['1:one']);
  });

  test.each([
    ['text', DataFrames.text, (words: string) => Buffer.from(words), 1],
    ['binary', DataFrames.binary, (words: string) => words, 2],
  ])(
    'goes on with a message of %s, its code given again each time',
    async (_what, code, of, opcode) => {
      const { converse, peer } = await open();

      await converse.send(of('one '), { fin: false, code });
      await converse.send(of('two '), { fin: false, code });
      await converse.send(of('three'), { fin: true, code });
      await converse.send('next');
      await peer.until(() => peer.frames.length === 4);

      expect(shape(peer)).toEqual([`${opcode}:one +`, '0:two +', '0:three', '1:next']);
    },
  );

  test('refuses the code of another kind than the message has, and the message can still end', async () => {
    const { converse, peer } = await open();
    await converse.send('one ', { fin: false });

    const sent = converse.send('two', { fin: true, code: DataFrames.binary });
    await expect(sent).rejects.toThrow(/^code must be the message's, got 2$/);
    await converse.send('three', { fin: true });
    await peer.until(() => peer.frames.length === 2);

    expect(shape(peer)).toEqual(['1:one +', '0:three']);
  });

  test('code cont ends a message too', async () => {
    const { converse, peer } = await open();

    await converse.send(Buffer.from('a'), { fin: false });
    await converse.send(Buffer.from('b'), { code: DataFrames.cont });
    await peer.until(() => peer.frames.length === 2);

    expect(shape(peer)).toEqual(['2:a+', '0:b']);
  });

  test('code cont with nothing to continue is refused', async () => {
    const { converse } = await open();

    const sent = converse.send('b', { code: DataFrames.cont });

    await expect(sent).rejects.toThrow(InvalidStateError);
  });

  test('a piece goes out before the message is whole', async () => {
    const { converse, peer } = await open();

    await converse.send('one ', { fin: false });

    expect((await peer.next()).payload.toString()).toBe('one ');
  });

  test('other messages wait until the one in pieces is whole; control frames pass', async () => {
    const { aws, converse, peer } = await open();
    const done: string[] = [];

    await converse.send('one ', { fin: false });
    const other = converse.send('other').then(() => done.push('other'));
    const bytesToo = converse.send(Buffer.from('bytes')).then(() => done.push('bytes'));
    void converse.ping('p');
    await converse.pong('q');
    await peer.until(() => peer.frames.length === 3);
    done.push('pieces');
    await converse.send('two', { fin: true });
    await Promise.all([other, bytesToo]);
    await peer.until(() => peer.frames.length === 6);

    expect(shape(peer)).toEqual(['1:one +', '9:p', '10:q', '0:two', '1:other', '2:bytes']);
    expect(done).toEqual(['pieces', 'other', 'bytes']);
    expect(aws.bufferedAmount).toBe(0);
  });

  test('messages that wait until the one in pieces is whole are rejected where the connection ends first', async () => {
    const { aws, converse, peer } = await open();

    await converse.send('one ', { fin: false });
    const others = [converse.send('other'), converse.send(Buffer.from('bytes'))];
    peer.socket.resetAndDestroy();

    const { error } = await aws.closed;
    expect(error).toBeInstanceOf(Error);
    for (const other of others) await expect(other).rejects.toBe(error);
  });

  test('characters may be cut between pieces of text', async () => {
    const { converse, peer } = await open();
    const [a, b] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)];

    await converse.send(a, { fin: false, code: DataFrames.text });
    await converse.send(b, { fin: true });
    await peer.until(() => peer.messages.length === 1);

    expect(peer.messages[0]?.toString()).toBe('ü');
  });

  test('a last piece that leaves a character cut is refused, and the message can still end', async () => {
    const { converse, peer } = await open();

    await converse.send('ü ', { fin: false });
    await expect(converse.send(Buffer.from([0xc3]), { fin: true })).rejects.toThrow(/UTF-8/);
    await converse.send('end', { fin: true });
    await peer.until(() => peer.messages.length === 1);

    expect(peer.messages[0]?.toString()).toBe('ü end');
  });

  test('characters may be cut also where another message is sent meanwhile', async () => {
    const { converse, peer } = await open();
    const [a, b] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)];

    await converse.send(a, { fin: false, code: DataFrames.text });
    const other = converse.send('other');
    await converse.send(b, { fin: true });
    await other;
    await peer.until(() => peer.messages.length === 2);

    expect(peer.messages.map(String)).toEqual(['ü', 'other']);
  });

  test('a string behind a cut character is refused, and the message can still end', async () => {
    const { converse, peer } = await open();
    const [a, b] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)];

    await converse.send(a, { fin: false, code: DataFrames.text });
    await expect(converse.send('abc', { fin: false })).rejects.toThrow(/UTF-8/);
    await converse.send(b, { fin: true });
    await peer.until(() => peer.messages.length === 1);

    expect(peer.messages[0]?.toString()).toBe('ü');
  });

  test('a first piece that is refused begins no message', async () => {
    const { converse, peer } = await open();

    const sent = converse.send(Buffer.from([0xff]), { fin: false, code: DataFrames.text });
    await expect(sent).rejects.toThrow(/UTF-8/);
    await converse.send('whole');

    expect(await peer.next()).toMatchObject({ fin: true, opcode: Opcode.text });
  });

  test('with an iterable, which is a whole message, is refused', async () => {
    const { converse } = await open();

    await expect(converse.send(['a', 'b'], { fin: false })).rejects.toThrow(TypeError);
    await expect(converse.send(['a'], { code: DataFrames.cont })).rejects.toThrow(TypeError);
  });
});

describe('what waits to be sent when terminate() is called rejects, and never leaves', () => {
  test.each([
    ['an iterable', () => endless()],
    ['a Blob', () => new Blob(['a Blob'])],
  ])('behind %s', async (_what, first) => {
    const { aws, converse, peer } = await open();
    const sends: Promise<unknown>[] = [];
    // Within a callback of the socket, where everything else has its turn before it closes.
    aws.on('message', () => {
      sends.push(converse.send(first()), converse.send('behind'), converse.send(Buffer.alloc(9)));
      queueMicrotask(() => {
        aws.terminate();
      });
    });

    peer.send(text('go'));
    await aws.closed;
    const settled = await Promise.allSettled(sends);

    for (const one of settled) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'ERR_CLOSED' } });
    }
    await peer.until(() => peer.ended);
    expect(peer.messages).toEqual([]);
  });

  test('in a large message that is being compressed, and behind it', async () => {
    const { aws, converse, peer } = await openCompressed();
    const sends: Promise<unknown>[] = [];
    aws.on('message', () => {
      sends.push(converse.send(Buffer.alloc(300_000)), converse.send('behind'));
      aws.terminate();
    });

    peer.send(text('go'));
    await aws.closed;
    const settled = await Promise.allSettled(sends);

    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await peer.until(() => peer.ended);
    expect(peer.frames).toEqual([]);
  });

  async function* endless(): AsyncGenerator<string> {
    for (;;) {
      await new Promise(setImmediate);
      yield 'a piece';
    }
  }
});

describe('a Blob as a piece of a text', () => {
  const character = Buffer.from('é');
  const asText = { fin: false, code: DataFrames.text } as const;

  test('goes out where it holds whole characters', async () => {
    const { converse, peer } = await open();

    await converse.send(character, asText);
    await converse.send(new Blob([character]), { fin: false });
    await converse.send('', { fin: true });

    await peer.until(() => peer.messages.length === 1);
    expect(peer.messages[0]!.toString()).toBe('éé');
  });

  test('is refused in the middle of a character, and the message can go on', async () => {
    const { converse, peer } = await open();
    void converse.send(character.subarray(0, 1), asText);

    await expect(converse.send(new Blob([character.subarray(1)]), { fin: false })).rejects.toThrow(
      'UTF-8',
    );
    await converse.send(character.subarray(1), { fin: true });

    await peer.until(() => peer.messages.length === 1);
    expect(peer.messages[0]!.toString()).toBe('é');
  });

  test('fails the connection where it is none, and does not go out', async () => {
    const { aws, converse, peer } = await open();
    void converse.send('a', { fin: false });

    await expect(converse.send(new Blob([Buffer.of(0xff)]), { fin: true })).rejects.toMatchObject({
      code: 'ERR_FRAME_SOURCE',
    });

    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1011);
    expect(peer.payloads(Opcode.continuation)).toEqual([]);
    expect(await aws.closed).toMatchObject({ code: 1006 });
  });
});

test('an iterable that has been returned is not asked for more', async () => {
  const { aws, converse } = await open();
  const asked: string[] = [];
  const items = {
    [Symbol.iterator]: () => ({
      next() {
        asked.push('next');
        return { value: 'x', done: asked.length > 1000 };
      },
      return() {
        asked.push('return');
        return { value: undefined, done: true };
      },
    }),
  };
  const sent = converse.send(items as Iterable<string>);
  // It waits for its turn now.
  await Promise.race([sent, new Promise(setImmediate)]);

  aws.terminate();

  await expect(sent).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  await aws.closed;
  await new Promise(setImmediate);
  expect(asked.at(-1)).toBe('return');
  expect(asked.length).toBeLessThan(1000);
});

test('an iterable whose items are all at hand leaves others their turn', async () => {
  const { converse, peer } = await open();
  let asked = 0;
  let askedByNextTurn = Infinity;
  setImmediate(() => {
    askedByNextTurn = asked;
  });
  const items = (function* () {
    while (asked++ < 5000) yield 'a line\n';
  })();

  await converse.send(items);

  expect(askedByNextTurn).toBeLessThan(1000);
  await peer.until(() => peer.messages.length === 1);
  expect(peer.messages[0]).toHaveLength(35_000);
});
