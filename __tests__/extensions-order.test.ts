/** Large compressed messages: in order with all others, and without keeping others waiting. */
import { AioWebSocket, ConnectionClosed, DataFrames, type Frames } from 'aiowebsocket';
import { Compressor } from './conformance/deflate.js';
import { ENGINES, noise, openCompressed, useEngine } from './helpers/deflate.js';
import {
  binary,
  client,
  close,
  ended,
  eventually,
  listen,
  Opcode,
  ping,
  readingStops,
  text,
} from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

const RSV1 = { rsv: 4 } as const;
/** Above what is compressed at a time. */
const LARGE = Buffer.alloc(1_000_000, 'a large message, large enough to be worked on in turns; ');
/** Above what is inflated at a time. */
const HUGE = Buffer.alloc(9_000_000, LARGE);

/** Counts the turns of the event loop from now on. */
function countTurns(): () => number {
  let turns = 0;
  let counting = true;
  const turn = (): void => {
    turns++;
    if (counting) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    counting = false;
    return turns;
  };
}

describe.each(ENGINES)('with %s', (_name, engine) => {
  useEngine(engine);

  test('messages and the promises of send() keep the order of the calls', async () => {
    const { uri } = await wsServer(undefined, { perMessageDeflate: { threshold: 0 } });
    const aws = await client(uri, {
      compression: true,
      highWaterMark: 16_777_216,
    }).createConnection();
    const { converse } = aws;
    const settled: number[] = [];
    const pieces = (function* () {
      yield LARGE;
      yield 'small';
    })();
    const sends = [
      () => converse.send('small'),
      () => converse.send(LARGE),
      () => converse.send('small'),
      () => converse.send(noise(400_000)),
      () => converse.send('plain', { compress: false }),
      () => converse.send(LARGE, { compress: false }),
      () => converse.send(LARGE, { fin: false }),
      () => converse.send('inserted'),
      () => converse.send(LARGE, { code: DataFrames.cont, fin: true }),
      () => converse.send(pieces),
      () => converse.send(new Blob([LARGE])),
      () => converse.send(LARGE.toString()),
      () => converse.send(''),
    ];

    const promises = sends.map((send, i) => send().then(() => settled.push(i)));
    const expected = [
      'small',
      LARGE,
      'small',
      noise(400_000),
      'plain',
      LARGE,
      Buffer.concat([LARGE, LARGE]),
      'inserted',
      Buffer.concat([LARGE, Buffer.from('small')]),
      LARGE,
      LARGE,
      '',
    ];
    for (const message of expected) {
      const got = await converse.receive();
      expect(Buffer.from(message).equals(Buffer.from(got))).toBe(true);
    }
    await Promise.all(promises);

    // The last piece belongs in front of the message that waited for it.
    expect(settled).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 7, 9, 10, 11, 12]);
  });

  test('a Close goes out behind large messages, a ping in front of them', async () => {
    const pair = await openCompressed();

    const sent = pair.converse.send(LARGE);
    void pair.converse.send('last');
    void pair.converse.ping('p');
    const closing = pair.aws.closeConnection(1000, 'done');
    await sent;

    expect(await closing).toMatchObject({ code: 1000, wasClean: true });
    expect(pair.peer.frames.map(({ opcode }) => opcode)).toEqual([
      Opcode.ping,
      Opcode.binary,
      Opcode.text,
      Opcode.close,
    ]);
    expect(pair.messages()[0]!.equals(LARGE)).toBe(true);
  });

  test('compressing a large message lets others have their turns', async () => {
    const { converse } = await openCompressed();
    const turns = countTurns();

    await converse.send(Buffer.concat([LARGE, LARGE, LARGE]));

    expect(turns()).toBeGreaterThanOrEqual(10);
  });

  test.each([
    ['terminate()', (pair: Awaited<ReturnType<typeof openCompressed>>) => pair.aws.terminate()],
    ['a Close of the peer', (pair) => pair.peer.send(close(1001))],
    ['a reset', (pair) => pair.peer.socket.resetAndDestroy()],
  ] as [string, (pair: Awaited<ReturnType<typeof openCompressed>>) => unknown][])(
    'while a large message is being compressed, %s rejects it and those behind',
    async (_what, end) => {
      const pair = await openCompressed();

      const sent = [pair.converse.send(HUGE), pair.converse.send('behind')];
      end(pair);

      for (const one of await Promise.allSettled(sent)) {
        expect(one.status).toBe('rejected');
      }
      await pair.aws.closed;
      await expect(pair.converse.send('late')).rejects.toThrow(ConnectionClosed);
      expect(pair.peer.frames.filter(({ opcode }) => opcode < Opcode.close)).toEqual([]);
    },
  );

  test('what comes behind a large message comes behind it, in one write', async () => {
    const { aws, converse, peer, compressor } = await openCompressed();
    const told: unknown[] = [];
    aws.on('message', (data) => told.push(data.length));
    aws.on('ping', (payload) => told.push(payload.toString()));

    peer.send(
      text(compressor.compress('first'), RSV1),
      binary(compressor.compress(HUGE), RSV1),
      ping('p'),
      text(compressor.compress('second'), RSV1),
      binary(compressor.compress(HUGE), RSV1),
      text('plain'),
      close(1000, 'bye'),
    );

    expect(await aws.closed).toMatchObject({ code: 1000, reason: 'bye', wasClean: true });
    expect(told).toEqual([5, HUGE.length, 'p', 6, HUGE.length, 5]);
    expect(converse.queueSize).toBeLessThanOrEqual(256);
  });

  test('what comes behind a large message after our Close is still read, to the end', async () => {
    const { aws, peer, compressor } = await openCompressed({}, {}, { polite: false });
    const closing = aws.closeConnection();
    await peer.closeFrame();

    peer.send(
      binary(compressor.compress(HUGE), RSV1),
      text(compressor.compress('late'), RSV1),
      close(1000, 'at last'),
    );
    peer.socket.end();

    expect(await closing).toMatchObject({
      code: 1000,
      reason: 'at last',
      wasClean: true,
      discarded: 2,
    });
  });

  test('closing while a large message is being inflated waits for what is behind it', async () => {
    const { aws, peer, compressor } = await openCompressed({ maxPayload: 2 ** 28 });
    const sent = binary(compressor.compress(Buffer.concat([HUGE, HUGE, HUGE])), RSV1);
    aws.on('ping', () => void aws.closeConnection());

    peer.send(ping(), sent, text('late'));

    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true, discarded: 2 });
  });

  test('pause() in a listener stops behind the message that is shown', async () => {
    const pair = await openCompressed();
    const { aws, peer, compressor } = pair;
    const seen: unknown[] = [];
    aws.on('message', (data) => {
      seen.push(data);
      aws.pause();
    });

    peer.send(text(compressor.compress('one'), RSV1), text(compressor.compress('two'), RSV1));
    await eventually(pair, () => seen.length > 0);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(seen).toEqual(['one']);

    aws.resume();
    await eventually(pair, () => seen.length === 2);
  });

  test('terminate() and pause() in the middle of a burst of large messages', async () => {
    const pair = await openCompressed();
    const { aws, converse, peer, compressor } = pair;
    peer.send(...[1, 2, 3].map(() => binary(compressor.compress(HUGE), RSV1)));

    await eventually(pair, () => converse.queueSize > 0);
    converse.pause();
    converse.resume();
    aws.terminate();

    expect(await aws.closed).toMatchObject({ code: 1006, wasClean: false });
    expect((await converse.receive()).length).toBe(HUGE.length);
  });
});

describe("zlib's handle", () => {
  test('inflating a large message lets others have their turns', async () => {
    const { converse, peer, compressor } = await openCompressed();
    const packed = binary(compressor.compress(HUGE), RSV1);
    const received = converse.receive();
    const turns = countTurns();

    peer.send(packed);
    await received;

    expect(turns()).toBeGreaterThanOrEqual(8);
  });

  test.each([
    ['that each inflate to much', 60, (all: Compressor) => all.compress(LARGE)],
    ['that each end in a last block', 6000, () => Buffer.from('0300', 'hex')],
  ])('many small messages %s let others have their turns', async (_what, count, compress) => {
    const { aws, peer, compressor } = await openCompressed();
    const packed = Array.from({ length: count }, () => binary(compress(compressor), RSV1));
    let received = 0;
    const all = new Promise<void>((resolve) => {
      aws.on('message', () => {
        if (++received === count) resolve();
      });
    });
    const turns = countTurns();

    peer.send(Buffer.concat(packed));
    await all;

    expect(turns()).toBeGreaterThanOrEqual(7);
  });

  test('a message of many last blocks does, too, where no window is kept', async () => {
    const { converse, peer } = await openCompressed({}, { serverReset: true });
    const blocks = Buffer.alloc(60_000, Buffer.from('0300', 'hex'));
    const received = converse.receive();
    const turns = countTurns();

    peer.send(text(Buffer.concat([blocks, Buffer.alloc(1)]), RSV1));

    expect(await received).toBe('');
    expect(turns()).toBeGreaterThanOrEqual(20);
  });

  test('a fault in the middle of a large message fails the connection, and is thrown nowhere', async () => {
    const { aws, converse, peer, compressor } = await openCompressed();
    const errors: unknown[] = [];
    aws.on('error', (error) => errors.push(error));
    const good = compressor.compress(HUGE);

    peer.send(binary(Buffer.concat([good, Buffer.alloc(8, 0xff)]), RSV1), text('late'));

    expect(await aws.closed).toMatchObject({ code: 1006, error: { closeCode: 1007 } });
    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1007);
    expect(errors).toHaveLength(1);
    await expect(converse.receive()).rejects.toMatchObject({ closeCode: 1006, cause: errors[0] });
  });
});

test('nothing more is read while a large message is being inflated', async () => {
  const pair = await openCompressed();
  const { aws, converse, peer, compressor } = pair;

  const received = converse.receive();

  peer.send(binary(compressor.compress(Buffer.alloc(40_000_000)), RSV1));
  await Promise.race([received, eventually(pair, () => aws.transport!.isPaused())]);

  expect(await readingStops(pair)).toBe(true);
  expect(await received).toHaveLength(40_000_000);
  await eventually(pair, () => !aws.transport!.isPaused());
});

describe.each(ENGINES)(
  'a sink that ends the connection within a large message: %s',
  (_name, engine) => {
    useEngine(engine);

    test.each([
      [
        'terminate()',
        (pair: { aws: AioWebSocket }) => {
          pair.aws.terminate();
        },
      ],
      [
        'stop()',
        ({ frames }: { frames: Frames }) => {
          frames.stop();
        },
      ],
    ])('by %s gets nothing more, and the process lives on', async (_how, end) => {
      const compressor = new Compressor({});
      const server = await listen({
        fields: ['Sec-WebSocket-Extensions: permessage-deflate'],
      });
      let frames!: Frames;
      class Diverting extends AioWebSocket {
        protected override makeFrames(...parts: Parameters<AioWebSocket['makeFrames']>): Frames {
          return (frames = super.makeFrames(...parts));
        }
      }
      const aws = ended(new Diverting(server.uri, { compression: true }));
      const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
      const messages: unknown[] = [];
      aws.on('message', (data) => messages.push(data));
      const got: number[] = [];
      const first = new Promise<void>((resolve) => {
        frames.divert({
          begin: () => undefined,
          piece(piece) {
            got.push(piece.length);
            end({ aws, frames });
            resolve();
          },
          end: () => undefined,
        });
      });

      peer.send(binary(compressor.compress(Buffer.alloc(600_000, 'abc')), RSV1), text('late'));
      await first;
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);

      expect(got).toHaveLength(1);
      expect(messages).toEqual([]);
    });
  },
);
