/** Every limit through the whole client: at it, one under, one over. */
import { AioWebSocket, HandShakeError } from 'aiowebsocket';
import { failure } from './helpers/opening.js';
import {
  client,
  eventually,
  fragments,
  listen,
  open,
  Opcode,
  ping,
  readingStops,
  text,
} from './helpers/peer.js';
import { acceptance, closeServers, RawServer, readHead } from './helpers/raw-server.js';

afterEach(closeServers);

describe('maxHeadBytes', () => {
  test.each([
    ['one under', -1, true],
    ['at it', 0, true],
    ['one over', 1, false],
  ])('a response head %s, in one piece and in many', async (_what, more, passes) => {
    for (const size of [1_000_000, 7]) {
      const server = await RawServer.listen(async (socket) => {
        const head = await readHead(socket);
        const bare = acceptance(head, { 'X-Fill': '' }).length;
        const full = acceptance(head, { 'X-Fill': 'x'.repeat(1000 + more - bare) });
        for (let at = 0; at < full.length; at += size) socket.write(full.slice(at, at + size));
      });
      const aws = client(server.url, { maxHeadBytes: 1000 });

      if (passes) {
        await aws.createConnection();
      } else {
        const error = await failure(aws, HandShakeError);
        expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_LIMIT' });
      }
    }
  });

  test('is 64 KiB by default', async () => {
    const { uri } = await listen({ fields: [`X-Fill: ${'x'.repeat(65_536)}`] });
    const fits = await listen({ fields: [`X-Fill: ${'x'.repeat(65_000)}`] });

    await client(fits.uri).createConnection();
    expect(await failure(new AioWebSocket(uri), HandShakeError)).toMatchObject({
      code: 'ERR_HANDSHAKE_LIMIT',
    });
  });
});

describe('maxHeadFields', () => {
  test.each([
    [10, 9, true],
    [10, 10, true],
    [10, 11, false],
    [undefined, 255, true],
    [undefined, 256, true],
    [undefined, 257, false],
  ])('of %p: %i fields', async (maxHeadFields, count, passes) => {
    // Three fields are there anyway.
    const { uri } = await listen({ fields: Array.from({ length: count - 3 }, () => 'X: 1') });
    const aws = client(uri, { maxHeadFields });

    if (passes) await aws.createConnection();
    else {
      expect(await failure(aws, HandShakeError)).toMatchObject({ code: 'ERR_HANDSHAKE_LIMIT' });
    }
  });
});

describe('maxPayload and maxFragments', () => {
  test.each([
    [999, undefined],
    [1000, undefined],
    [1001, 1009],
  ])('maxPayload of 1,000: %i bytes', async (length, closeCode) => {
    const { aws, converse, peer } = await open({ maxPayload: 1000 });
    const bytes = 'x'.repeat(length);

    peer.send(text(bytes), ...fragments(Opcode.text, [bytes.slice(0, 500), bytes.slice(500)]));

    if (closeCode === undefined) {
      for (let i = 0; i < 2; i++) expect(await converse.receive()).toBe(bytes);
    } else expect(await aws.closed).toMatchObject({ error: { closeCode } });
  });

  test.each([
    [9, undefined],
    [10, undefined],
    [11, 1008],
  ])('maxFragments of 10: %i frames', async (count, closeCode) => {
    const { aws, converse, peer } = await open({ maxFragments: 10 });

    peer.send(
      ...fragments(
        Opcode.text,
        Array.from({ length: count }, () => 'x'),
      ),
    );

    if (closeCode === undefined) expect(await converse.receive()).toBe('x'.repeat(count));
    else expect(await aws.closed).toMatchObject({ error: { closeCode } });
  });
});

describe('the queue', () => {
  test.each([
    [{ maxQueue: 4 }, 3, false],
    [{ maxQueue: 4 }, 4, true],
    [{ maxQueue: 4 }, 5, true],
    [{ maxQueueBytes: 40 }, 3, false],
    [{ maxQueueBytes: 40 }, 4, true],
    [{ maxQueueBytes: 40 }, 5, true],
  ])('%j and %i messages of 10 bytes', async (options, count, pauses) => {
    const pair = await open(options);
    const messages = Array.from({ length: count }, (_, i) => `message  ${i}`);
    const { converse, peer } = pair;

    peer.send(...messages.map((message) => text(message)));
    await eventually(pair, () => converse.queueSize >= Math.min(count, 4));

    expect(await readingStops(pair)).toBe(pauses);
    expect(converse.queueSize).toBe(Math.min(count, 4));
    for (const message of messages) expect(await converse.receive()).toBe(message);
    await eventually(pair, () => !pair.aws.transport!.isPaused());
  });
});

/** Stops the peer's reading, and fills the kernel's buffers. */
async function choke(pair: Awaited<ReturnType<typeof open>>): Promise<void> {
  pair.peer.socket.pause();
  while (pair.aws.bufferedAmount === 0) {
    void pair.converse.send(Buffer.alloc(100_000));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
}

describe('highWaterMark', () => {
  test.each([
    ['one under', -1, true],
    ['at it', 0, true],
    ['one over', 1, false],
  ])('with bytes that wait %s', async (_what, more, atOnce) => {
    const pair = await open({ highWaterMark: 1_000_000 });
    await choke(pair);
    // A frame of this size has a head of 14 bytes.
    const left = 1_000_000 + more - pair.aws.bufferedAmount - 14;
    let settled = false;

    const sent = pair.converse.send(Buffer.alloc(left)).then(() => {
      settled = true;
    });
    expect(pair.aws.bufferedAmount).toBe(1_000_000 + more);
    await Promise.resolve();
    await Promise.resolve();

    expect(settled).toBe(atOnce);
    pair.peer.socket.resume();
    await sent;
  });
});

test('above the high-water mark only the latest ping is answered, below it each', async () => {
  const pair = await open({ highWaterMark: 100_000 });
  const { aws, peer } = pair;
  let pings = 0;
  aws.on('ping', () => pings++);
  peer.send(...['a', 'b', 'c'].map((payload) => ping(payload)));
  await peer.until(() => peer.payloads(Opcode.pong).length === 3);
  await choke(pair);
  while (aws.bufferedAmount <= 100_000) void pair.converse.send(Buffer.alloc(50_000));

  peer.send(...['d', 'e', 'f'].map((payload) => ping(payload)));
  await eventually(pair, () => pings === 6);
  peer.socket.resume();
  await peer.until(() => peer.payloads(Opcode.pong).includes('f'));

  expect(peer.payloads(Opcode.pong)).toEqual(['a', 'b', 'c', 'f']);
});
