/** What goes to a socket's handle, past its stream. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type * as Library from 'aiowebsocket';
import type { AioWebSocket } from 'aiowebsocket';
import { atEnd } from './helpers/cleanup.js';
import { eventually, listen, open, Opcode, type Pair, type Peer } from './helpers/peer.js';

/** Fits into a slab, and is sent at once. */
const SIZE = 60_000;

const message = (i: number): Buffer => Buffer.alloc(SIZE, i);

/** A connection whose first message is through: with it is learned how the handle is written to. */
async function opened(): Promise<Pair> {
  const pair = await open();
  void pair.converse.send('first');
  await pair.peer.until(() => pair.peer.frames.length === 1);
  pair.peer.frames.length = 0;
  return pair;
}

/** Sends messages to a peer that does not read, one a turn, until one has to wait. */
async function fill(aws: AioWebSocket, peer: Peer): Promise<number> {
  peer.socket.pause();
  for (let i = 0; ; i++) {
    void aws.manipulator.send(message(i));
    if (aws.bufferedAmount > 0) return i + 1;
    await new Promise(setImmediate);
  }
}

test('what the kernel does not take at once is counted, and waits unharmed', async () => {
  const pair = await opened();
  const { aws, converse, peer } = pair;

  const filled = await fill(aws, peer);
  const { writableLength } = aws.transport!;
  const waits = aws.bufferedAmount;
  // More than there is memory to lend.
  for (let i = filled; i < filled + 40; i++) {
    void converse.send(message(i));
    await new Promise(setImmediate);
  }

  expect(writableLength).toBe(0);
  expect(waits).toBeLessThan(SIZE + 9);
  expect(aws.bufferedAmount).toBeGreaterThan(40 * SIZE);
  peer.socket.resume();
  await peer.until(() => peer.frames.length === filled + 40);
  peer.frames.forEach(({ payload }, i) => {
    expect(payload.equals(message(i))).toBe(true);
  });
  await eventually(pair, () => aws.bufferedAmount === 0);
  void converse.send('and on');
  await peer.until(() => peer.payloads(Opcode.text).length === 1);
});

test.each(['waits', 'is sent'])(
  'a reset that nobody reads ends the connection when something %s',
  async (when) => {
    const { aws, peer } = await opened();
    const errors: Error[] = [];
    aws.on('error', (error) => errors.push(error));
    aws.pause();
    if (when === 'waits') await fill(aws, peer);

    peer.socket.resetAndDestroy();
    await once(peer.socket, 'close');
    // It may not have arrived yet.
    while (when === 'is sent' && errors.length === 0) {
      void aws.manipulator.send('too late');
      await new Promise(setImmediate);
    }

    const info = await aws.closed;
    expect(info).toMatchObject({ code: 1006, error: { code: 'ERR_CONNECTION_RESET' } });
    expect(errors).toEqual([info.error]);
    expect(aws.bufferedAmount).toBe(0);
  },
);

test('who replaces the write method of the socket is asked to write', async () => {
  const { aws, converse, peer } = await opened();
  const write = jest.spyOn(aws.transport!, 'write');

  for (const text of ['one', 'two']) {
    void converse.send(text);
    expect((await peer.next()).payload.toString()).toBe(text);
  }

  expect(write.mock.calls.map(([bytes]) => (bytes as Buffer).length)).toEqual([9, 9]);
});

test('sending is no silence to the time-out of the socket', async () => {
  const { aws, converse, peer } = await opened();
  const onTimeout = jest.fn();
  const socket = aws.transport as Socket;
  socket.setTimeout(600, onTimeout);

  const startedAt = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      void converse.send('tick');
      if (performance.now() - startedAt < 900) return;
      clearInterval(timer);
      resolve();
    }, 50);
  });

  expect(onTimeout).not.toHaveBeenCalled();
  await once(socket, 'timeout');
  expect(peer.frames.length).toBeGreaterThan(1);
});

test('by documented means alone, all goes through the stream', async () => {
  const server = await listen();
  process.env['AIOWEBSOCKET_DOCUMENTED'] = '1';
  atEnd(() => Reflect.deleteProperty(process.env, 'AIOWEBSOCKET_DOCUMENTED'));
  let aws!: AioWebSocket;
  jest.isolateModules(() => {
    const { AioWebSocket: Documented } = jest.requireActual<typeof Library>('aiowebsocket');
    aws = new Documented(server.uri);
  });
  atEnd(() => {
    aws.terminate();
  });
  await aws.createConnection();
  const peer = await server.accept();
  void aws.manipulator.send('first');

  const filled = await fill(aws, peer);

  expect(aws.transport!.writableLength).toBeGreaterThan(0);
  peer.socket.resume();
  await peer.until(() => peer.frames.length === filled + 1);
  peer.frames.slice(1).forEach(({ payload }, i) => {
    expect(payload.equals(message(i))).toBe(true);
  });
});
