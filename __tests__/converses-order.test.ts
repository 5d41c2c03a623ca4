/** Messages from iterables, and the order of everything that is sent. */
import {
  AioWebSocket,
  ConnectionClosed,
  DataFrames,
  FrameError,
  Frames,
  SocketState,
  type ByteSink,
} from 'aiowebsocket';
import { once } from 'node:events';
import { close, ended, listen, open, Opcode, type Peer } from './helpers/peer.js';

/** A source whose items a test hands out one at a time, and which notes when it is ended. */
class Source implements AsyncIterableIterator<string> {
  returns = 0;
  asked = 0;
  #give: ((result: IteratorResult<string>) => void) | undefined;
  #asking: (() => void) | undefined;

  next(): Promise<IteratorResult<string>> {
    this.asked++;
    return new Promise((resolve) => {
      this.#give = resolve;
      this.#asking?.();
    });
  }

  return(): Promise<IteratorResult<string>> {
    this.returns++;
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Gives an item, or the end, once it is asked for one. */
  async give(value?: string): Promise<void> {
    while (this.#give === undefined) {
      await new Promise<void>((resolve) => {
        this.#asking = resolve;
      });
    }
    const give = this.#give;
    this.#give = undefined;
    give(value === undefined ? { done: true, value } : { done: false, value });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** What came, its fragments as one line with `|` between. */
function shape({ frames }: Peer): string[] {
  const lines: string[] = [];
  let line = '';
  for (const { fin, opcode, payload } of frames) {
    if (opcode >= Opcode.close) {
      lines.push(`(${payload.toString()})`);
      continue;
    }
    line += `${opcode === Opcode.continuation ? '|' : ''}${payload.toString()}`;
    if (!fin) continue;
    lines.push(line);
    line = '';
  }
  return lines;
}

describe('an iterable', () => {
  test.each([
    ['array of strings', () => ['a', 'b', 'c'], Opcode.text],
    [
      'array of Buffers',
      () => [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')],
      Opcode.binary,
    ],
    ['Set', () => new Set(['a', 'b', 'c']), Opcode.text],
    [
      'generator',
      () =>
        (function* () {
          yield* ['a', 'b', 'c'];
        })(),
      Opcode.text,
    ],
    [
      'asynchronous generator',
      () =>
        (async function* () {
          yield* ['a', 'b', 'c'];
        })(),
      Opcode.text,
    ],
    ['stream of a Blob', () => new Blob(['abc']).stream(), Opcode.binary],
    [
      'mixture of bytes',
      () => [new Uint8Array([0x61]), new Blob(['b']), new Uint8Array([0x63]).buffer],
      Opcode.binary,
    ],
  ])('that is an %s is sent as one message', async (_kind, make, opcode) => {
    const { converse, peer } = await open();

    await converse.send(make());
    await peer.until(() => peer.messages.length === 1);

    expect(peer.messages.map(String)).toEqual(['abc']);
    expect(peer.frames[0]?.opcode).toBe(opcode);
    expect(peer.frames.slice(1).every((one) => one.opcode === Opcode.continuation)).toBe(true);
    expect(peer.frames.at(-1)?.fin).toBe(true);
  });

  test('without an item sends nothing, and what follows is whole', async () => {
    const { converse, peer } = await open();

    await converse.send([]);
    await converse.send('next');
    await peer.until(() => peer.messages.length > 0);

    expect(peer.frames).toMatchObject([{ fin: true, opcode: Opcode.text }]);
    expect(peer.messages.map(String)).toEqual(['next']);
  });

  test('with code text sends its bytes as text, and checks them across pieces', async () => {
    const { converse, peer } = await open();
    const bytes = Buffer.from('grüße');

    await converse.send([bytes.subarray(0, 3), bytes.subarray(3)], { code: DataFrames.text });
    await peer.until(() => peer.messages.length === 1);

    expect(peer.frames[0]?.opcode).toBe(Opcode.text);
    expect(peer.messages.map(String)).toEqual(['grüße']);
  });

  test('sends each item as soon as it is there', async () => {
    const { converse, peer } = await open();
    const source = new Source();

    const sent = converse.send(source);
    await source.give('first ');
    expect(await peer.next()).toMatchObject({ fin: false, opcode: Opcode.text });
    await source.give('second');
    expect(await peer.next()).toMatchObject({ fin: false, opcode: Opcode.continuation });
    await source.give();
    await sent;

    expect(await peer.next()).toMatchObject({ fin: true, opcode: Opcode.continuation });
    expect(source.returns).toBe(0);
  });

  test('that yields something else before anything is out is refused, and harms nothing', async () => {
    const { converse, peer } = await open();

    const sent = converse.send([5] as never);

    await expect(sent).rejects.toThrow(new TypeError('an item must be a string or bytes, got 5'));
    await converse.send('next');
    expect((await peer.next()).payload.toString()).toBe('next');
  });

  test('that throws before anything is out rejects with its error, and harms nothing', async () => {
    const { converse, peer } = await open();
    const failure = new Error('no data');

    const sent = converse.send(
      (function* (): Iterable<string> {
        throw failure;
        yield 'never';
      })(),
    );

    await expect(sent).rejects.toBe(failure);
    await converse.send('next');
    expect((await peer.next()).payload.toString()).toBe('next');
  });

  test('whose Blob piece turns out not to be UTF-8 fails the connection with 1011', async () => {
    const { aws, converse, peer } = await open();

    const first = converse.send(new Blob([Buffer.of(0xff)]), { fin: false, code: DataFrames.text });
    const second = converse.send('rest', { fin: true });

    await expect(first).rejects.toMatchObject({ code: 'ERR_FRAME_SOURCE', closeCode: 1011 });
    await expect(second).rejects.toMatchObject({ code: 'ERR_FRAME_SOURCE' });
    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1011);
    expect(peer.messages).toEqual([]);
    peer.socket.end();
    expect((await aws.closed).code).toBe(1006);
  });

  test('that throws after a piece fails the connection with 1011', async () => {
    const { aws, converse, peer } = await open();
    const failure = new Error('disk is gone');
    const errors: Error[] = [];
    aws.on('error', (error) => errors.push(error));
    const receiving = converse.receive();

    const sent = converse.send(
      (async function* () {
        yield 'a piece';
        throw failure;
      })(),
    );

    await expect(sent).rejects.toBeInstanceOf(FrameError);
    const error = (await sent.catch((thrown: unknown) => thrown)) as FrameError;
    expect(error).toMatchObject({ code: 'ERR_FRAME_SOURCE', closeCode: 1011, cause: failure });
    await expect(receiving).rejects.toBe(error);
    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1011);
    expect(await aws.closed).toMatchObject({ code: 1006, initiatedBy: 'local', error });
    expect(errors).toEqual([error]);
  });

  test('that yields something else after a piece fails the connection too, and is ended', async () => {
    const { aws, converse } = await open();
    let ended = false;

    const sent = converse.send(
      (function* () {
        try {
          yield 'a piece';
          yield 5 as never;
        } finally {
          ended = true;
        }
      })(),
    );

    await expect(sent).rejects.toMatchObject({ code: 'ERR_FRAME_SOURCE' });
    expect(ended).toBe(true);
    expect((await aws.closed).error).toMatchObject({ closeCode: 1011 });
  });

  test.each([
    ['an item', [Buffer.of(0x61), Buffer.of(0xff)]],
    ['a character that its end cuts off', [Buffer.of(0x61), Buffer.of(0xc3)]],
  ])('of text that is not UTF-8, for %s, fails the connection with 1011', async (_what, items) => {
    const { aws, converse, peer } = await open();

    const sent = converse.send(items, { code: DataFrames.text });

    await expect(sent).rejects.toMatchObject({ code: 'ERR_FRAME_SOURCE', closeCode: 1011 });
    await peer.closeFrame();
    expect(peer.messages).toEqual([]);
    peer.socket.end();
    expect((await aws.closed).code).toBe(1006);
  });

  test('of text may cut characters between its items', async () => {
    const { converse, peer } = await open();

    await converse.send([Buffer.of(0xc3), Buffer.of(0xbc)], { code: DataFrames.text });
    await peer.until(() => peer.messages.length === 1);

    expect(peer.messages[0]?.toString()).toBe('ü');
  });
});

describe('a Close from the peer', () => {
  test('ends an iterable whose next item never comes: return() is called once, send() rejects', async () => {
    const { aws, converse, peer } = await open();
    const source = new Source();
    const sent = converse.send(source);
    await source.give('first');
    await peer.next();

    peer.send(close(1000, 'enough'));

    await expect(sent).rejects.toBeInstanceOf(ConnectionClosed);
    expect(source.returns).toBe(1);
    peer.socket.end();
    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
    await source.give('too late');
    await new Promise(setImmediate);
    expect(source).toMatchObject({ asked: 2, returns: 1 });
    expect(peer.messages).toEqual([]);
  });

  test.each([
    ['plain', false],
    ['compressed', true],
  ])(
    '%s: nothing follows our Close frame, though an iterable ends just then',
    async (_what, compression) => {
      const { converse, peer } = await open(
        { compression },
        {
          polite: false,
          fields: compression ? ['Sec-WebSocket-Extensions: permessage-deflate'] : [],
        },
      );
      let end: () => void = () => undefined;
      const ended = new Promise<void>((resolve) => (end = resolve));
      const sent = converse.send(
        (async function* () {
          yield 'first';
          await ended;
        })(),
      );
      await peer.next();
      peer.send(close(1000));
      await peer.closeFrame();
      end();

      await expect(sent).rejects.toBeInstanceOf(ConnectionClosed);
      peer.socket.end();
      await converse.closed;
      expect(peer.frames.map(({ opcode }) => opcode)).toEqual([1, 8]);
    },
  );

  test('rejects what waits behind it, and nothing of that is sent', async () => {
    const { converse, peer } = await open();
    const source = new Source();
    void converse.send(source);
    await source.give('first');
    await peer.next();
    const behind = converse.send('behind');
    const other = new Source();
    const never = converse.send(other);

    peer.send(close(1001));

    await expect(behind).rejects.toMatchObject({ closeCode: 1001 });
    await expect(never).rejects.toMatchObject({ closeCode: 1001 });
    expect(other.asked).toBe(0);
    await expect(converse.send('later')).rejects.toBeInstanceOf(ConnectionClosed);
    await peer.closeFrame();
    expect(shape(peer)).toEqual([expect.stringMatching(/^\(/)]);
  });

  test('ends an iterable whose return() throws', async () => {
    const { converse, peer } = await open();
    const source = new Source();
    source.return = () => {
      throw new Error('not even that');
    };
    const sent = converse.send(source);
    await source.give('first');
    await peer.next();

    peer.send(close(1000));

    await expect(sent).rejects.toBeInstanceOf(ConnectionClosed);
  });
});

describe('sends keep the order of the calls', () => {
  test('behind an iterable, whose pieces stay together', async () => {
    const { converse, peer } = await open();
    const source = new Source();

    void converse.send('before');
    void converse.send(source);
    void converse.send('after');
    void converse.send(Buffer.from('bytes after'));
    void converse.send(['last ', 'message']);
    await source.give('a');
    void converse.ping('ping');
    await source.give('b');
    await source.give();
    await peer.until(() => peer.messages.length === 5);

    const lines = shape(peer).filter((line) => line !== '(ping)');
    expect(lines).toEqual(['before', 'a|b|', 'after', 'bytes after', 'last |message|']);
    expect(peer.payloads(Opcode.ping)).toEqual(['ping']);
    const ping = peer.frames.findIndex(({ opcode }) => opcode === Opcode.ping);
    expect(ping).toBeLessThan(
      peer.frames.findIndex(({ payload }) => payload.toString() === 'after'),
    );
  });

  test('of one that an iterable makes when it is asked to begin', async () => {
    const { converse, peer } = await open();
    const outer = new Source();
    const inner = new Source();
    const begins = {
      [Symbol.asyncIterator]() {
        void converse.send(inner);
        return outer;
      },
    };

    void converse.send(begins);
    const given = inner.give('c');
    await outer.give('a');
    await outer.give();
    await given;
    await inner.give('d');
    await inner.give();
    await peer.until(() => peer.messages.length === 2);

    expect(shape(peer)).toEqual(['a|', 'c|d|']);
  });

  test('behind a Blob', async () => {
    const { converse, peer } = await open();

    void converse.send(new Blob(['blob']));
    void converse.send('text');
    void converse.send(new Blob(['other blob']));
    await converse.send('last');
    await peer.until(() => peer.messages.length === 4);

    expect(shape(peer)).toEqual(['blob', 'text', 'other blob', 'last']);
  });

  test('behind pieces: a Blob among them keeps its place', async () => {
    const { converse, peer } = await open();

    void converse.send(Buffer.from('a'), { fin: false });
    void converse.send(new Blob(['b']), { fin: false });
    void converse.send(Buffer.from('c'), { fin: true });
    await converse.send('next');
    await peer.until(() => peer.messages.length === 2);

    expect(shape(peer)).toEqual(['a|b|c', 'next']);
  });

  test('a message that is refused does not hold up the others', async () => {
    const { converse, peer } = await open();

    void converse.send(new Blob(['one']));
    const refused = converse.send(new Blob([Buffer.from([0xff])]), { code: DataFrames.text });
    const last = converse.send('two');

    await expect(refused).rejects.toThrow(/UTF-8/);
    await last;
    await peer.until(() => peer.messages.length === 2);
    expect(shape(peer)).toEqual(['one', 'two']);
  });
});

describe('close() lets what was sent before go out first', () => {
  test.each([
    ['a Blob', () => new Blob(['ab'])],
    ['an iterable', () => ['a', 'b']],
    [
      'an asynchronous iterable',
      () =>
        (async function* () {
          yield 'a';
          await new Promise(setImmediate);
          yield 'b';
        })(),
    ],
  ])('%s, whole, and what waits behind it', async (_kind, make) => {
    const { converse, peer } = await open();

    const sent = converse.send(make());
    const behind = converse.send('behind');
    const closing = converse.close(1000);

    await Promise.all([sent, behind]);
    expect(await closing).toMatchObject({ code: 1000, wasClean: true });
    expect(peer.messages.map(String)).toEqual(['ab', 'behind']);
  });

  test('many messages of one turn', async () => {
    const { converse, peer } = await open();

    for (let i = 0; i < 100; i++) void converse.send(Buffer.alloc(10_000, i));
    await converse.close(1000);

    expect(peer.messages.map(([first]) => first)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('but not for ever: an iterable that never ends is cut at closeTimeout', async () => {
    const { aws, converse, peer } = await open({ closeTimeout: 100 });
    const source = new Source();
    const sent = converse.send(source);
    await source.give('first');
    await peer.next();

    const info = await converse.close();

    expect(info.error).toMatchObject({ name: 'TimeoutError', operation: 'close' });
    await expect(sent).rejects.toBe(info.error);
    expect(source.returns).toBe(1);
    if (!peer.gone) await once(peer.socket, 'close');
    expect(aws.transport?.destroyed).toBe(true);
  });

  test('and refuses what is sent after it', async () => {
    const { converse } = await open();

    void converse.send(new Blob(['before']));
    const closing = converse.close(4001, 'mine');
    const late = converse.send('late');

    await expect(late).rejects.toMatchObject({ name: 'ConnectionClosedError', closeCode: 4001 });
    await closing;
  });
});

describe('a codec that refuses a message', () => {
  class Refusing extends Frames {
    override write(fin: boolean, code: number, message: string | Uint8Array, rsv?: number): void {
      if (message === 'bad') throw new Error('refused');
      super.write(fin, code, message, rsv);
    }
  }
  class Refuses extends AioWebSocket {
    protected override makeFrames(sink: ByteSink): Frames {
      return new Refusing(sink, this.options);
    }
  }
  const refusing = async () => {
    const server = await listen();
    const aws = ended(new Refuses(server.uri));
    const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
    return { aws, converse: aws.manipulator, peer };
  };

  test('rejects that send() alone, at once or in its turn', async () => {
    const { converse, peer } = await refusing();

    await expect(converse.send('bad')).rejects.toThrow('refused');
    const before = converse.send(new Blob(['before']));
    await expect(converse.send('bad')).rejects.toThrow('refused');
    await before;
    await converse.send('after');

    await peer.until(() => peer.frames.length === 2);
    expect(shape(peer)).toEqual(['before', 'after']);
  });

  test('fails the connection where it is a piece of a message', async () => {
    const { aws, converse, peer } = await refusing();
    await converse.send('good', { fin: false });

    await expect(converse.send('bad', { fin: true })).rejects.toBeInstanceOf(FrameError);

    expect(await aws.closed).toMatchObject({ error: { code: 'ERR_FRAME_SOURCE' } });
    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1011);
  });
});

describe('a Blob whose bytes come late', () => {
  class SlowBlob extends Blob {
    give!: () => void;
    readonly given = new Promise<void>((resolve) => (this.give = resolve));
    override async arrayBuffer(): Promise<ArrayBuffer> {
      await this.given;
      return super.arrayBuffer();
    }
  }

  test.each(['alone', 'in pieces'])('%s, is not sent behind our Close frame', async (how) => {
    const { aws, converse, peer } = await open();
    const blob = new SlowBlob(['late']);
    const sent = converse.send(how === 'alone' ? blob : [blob]);

    peer.send(close(1000));
    await peer.closeFrame();
    blob.give();

    await expect(sent).rejects.toMatchObject({ code: 'ERR_CLOSED_OK' });
    await aws.closed;
    expect(peer.frames.map(({ opcode }) => opcode)).toEqual([Opcode.close]);
  });

  test.each(['alone', 'in pieces'])('%s, ends nothing where nobody waits for it', async (how) => {
    const { aws, converse } = await open();
    const blob = new SlowBlob(['late']);
    void converse.send(how === 'alone' ? blob : [blob]);

    aws.terminate();
    await aws.closed;
    blob.give();

    // Unhandled rejections are told behind a turn, and fail the test.
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
    expect(converse.state).toBe(SocketState.closed);
  });
});
