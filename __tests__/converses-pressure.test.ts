/** What a hostile or slow peer may cost: turns of the event loop, memory, and time per byte. */
import { once, type EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import { AioWebSocket } from 'aiowebsocket';
import { bomb, openCompressed } from './helpers/deflate.js';
import {
  binary,
  continuation,
  eventually,
  open,
  ping,
  pong,
  readingStops,
  text,
  type Pair,
} from './helpers/peer.js';
import { closeServers, RawServer } from './helpers/raw-server.js';

afterEach(closeServers);

const RSV1 = 4;
const KIB_64 = 65_536;
/** Pings that wait for their pongs: more would be given up. */
const MANY = 65_000;
/** How long a slow reader takes for each, in milliseconds. */
const SLOWLY = 60;
const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** More turns of the event loop than all slices of a message of 40 MB take. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
}

test('a read that took long is the last of its turn', async () => {
  const { aws, converse, peer } = await open();
  const paused: boolean[] = [];
  let count = 0;
  aws.on('pong', () => {
    if (count++ > 0) return;
    for (const end = performance.now() + 10; performance.now() < end;);
    process.nextTick(() => paused.push(aws.transport!.isPaused()));
  });

  peer.send(Buffer.alloc(2 * KIB_64, pong()));
  await eventually({ converse }, () => count === KIB_64);

  expect(paused).toEqual([true]);
  await eventually({ converse }, () => !aws.transport!.isPaused());
});

test('pongs that answer nothing cost no search among pings that wait', async () => {
  const { aws, converse, peer } = await open();
  for (let i = 0; i < MANY; i++) void converse.ping();
  await peer.until(() => peer.frames.length === MANY);
  let count = 0;
  aws.on('pong', () => count++);

  // Searched for one by one, they would take minutes.
  peer.send(Buffer.alloc(4 * MANY, pong('no')));
  await eventually({ converse }, () => count === MANY);
});

test('pings answered one by one, late, are all answered', async () => {
  const { converse, peer } = await open();
  const pings = Array.from({ length: MANY }, () => converse.ping());
  await peer.until(() => peer.frames.length === MANY);

  peer.send(...peer.frames.map(({ payload }) => pong(payload)));
  const latencies = await Promise.all(pings);

  expect(latencies.every((latency) => latency > 0)).toBe(true);
});

test('a pong answers the first ping of its payload, and those before it', async () => {
  const { aws, converse, peer } = await open();
  const settled: string[] = [];
  for (const [place, payload] of ['a', 'b', 'a', 'c'].entries()) {
    void converse.ping(payload).then(
      () => settled.push(`${payload}${place}`),
      () => undefined,
    );
  }
  const answered: (string[] | undefined)[] = [];
  aws.on('pong', () => setImmediate(() => answered.push([...settled])));

  for (const [place, payload] of ['a', 'x', 'a', 'b'].entries()) {
    peer.send(pong(payload));
    await eventually({ converse }, () => answered.length > place);
  }

  const all = ['a0', 'b1', 'a2'];
  expect(answered).toEqual([['a0'], ['a0'], all, all]);
});

test('what a streamed message inflates to waits in the message, not in memory', async () => {
  const { converse, peer, aws } = await openCompressed({ maxQueueBytes: 100_000 });
  const size = 40_000_000;
  const stream = converse.receiveStream({ maxPayload: size });
  const first = stream.next();
  peer.send(binary(bomb(size), { rsv: RSV1 }), text('behind it'));
  let bytes = (await first).value?.length ?? 0;
  await turns();
  // What waits is given at once, without a turn of the event loop.
  let waiting = true;
  setImmediate(() => (waiting = false));
  while (waiting) {
    const { value, done } = await stream.next();
    if (done) break;
    bytes += value?.length ?? 0;
  }
  // A slice of 1 MiB may have been under way.
  expect(bytes).toBeLessThan(4_000_000);
  for await (const piece of stream) bytes += piece.length;
  expect(bytes).toBe(size);
  expect(await converse.receive()).toBe('behind it');
  expect(aws.state).toBe(1);
});

test('while paused, a large compressed message under way is not shown', async () => {
  const { aws, converse, peer } = await openCompressed();
  const shown: number[] = [];
  aws.on('message', (message) => shown.push(message.length));
  const pinged = once(aws as unknown as EventEmitter, 'ping');
  peer.send(ping(''), binary(bomb(30_000_000), { rsv: RSV1 }), text('after'));

  await pinged;
  aws.pause();
  await turns();
  expect(shown).toEqual([]);
  aws.resume();
  await eventually({ converse }, () => shown.length === 2);
  expect(shown).toEqual([30_000_000, 5]);
});

/** Ends the connection so that it is noticed while reading is stopped: by what is sent. */
async function breakWhileFull(pair: Pair): Promise<void> {
  await eventually(pair, () => pair.aws.transport!.isPaused());
  expect(await readingStops(pair)).toBe(true);
  pair.peer.socket.resetAndDestroy();
  await eventually(pair, () => {
    void pair.converse.send('into the void');
    return pair.aws.transport!.destroyed;
  });
}

const SLOW = { maxQueueBytes: 3000, closeTimeout: 200 };

test('who goes on reading slowly gets all that came before the connection broke', async () => {
  const pair = await open(SLOW);
  pair.peer.send(...Array.from({ length: 20 }, (_, i) => binary(Buffer.alloc(1000, i))));
  await breakWhileFull(pair);

  const got: number[] = [];
  for (let i = 0; i < 20; i++) {
    got.push((await pair.converse.receive({ text: false }))[0]!);
    await pass(SLOWLY);
  }

  expect(got).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

test('and so does who reads a message piece by piece', async () => {
  const pair = await open(SLOW);
  const stream = pair.converse.receiveStream();
  const pieces = Array.from({ length: 18 }, (_, i) =>
    continuation(Buffer.alloc(1000, i), { fin: false }),
  );
  pair.peer.send(binary('begins', { fin: false }), ...pieces, continuation('ends'));
  await breakWhileFull(pair);

  let bytes = 0;
  for await (const piece of stream) {
    bytes += piece.length;
    await pass(SLOWLY);
  }
  expect(bytes).toBe(18_010);
});

test('a response head that comes in small pieces takes linear time', async () => {
  const pieces = 40_000;
  const server = await RawServer.listen(async (socket) => {
    socket.write('HTTP/1.1 101 x\r\nA: ');
    for (let i = 0; i < pieces && !socket.destroyed; i++) {
      socket.write(Buffer.alloc(64, 'a'));
      await new Promise(setImmediate);
    }
  });

  const opening = AioWebSocket.connect(server.url, { maxHeadBytes: 64 * pieces, timeout: 60_000 });

  await expect(opening).rejects.toThrow('maxHeadBytes');
}, 90_000);

test('ref() and unref() of what has ended leave no listeners', async () => {
  const { aws } = await open();
  aws.terminate();
  await aws.closed;
  const before = aws.transport!.listenerCount('connect');

  for (let i = 0; i < 12; i++) aws.unref().ref();

  expect(aws.transport!.listenerCount('connect')).toBe(before);
});
