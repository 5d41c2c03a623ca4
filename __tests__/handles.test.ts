/** What goes to a socket's handle, past its stream. */
import { createHook } from 'node:async_hooks';
import { once, type EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import type * as Library from 'aiowebsocket';
import {
  SocketState,
  type AioWebSocket,
  type AioWebSocketOptions,
  type Converse,
} from 'aiowebsocket';
import { slabsLeft } from 'aiowebsocket/masks';
import { SLABS } from 'aiowebsocket/wasm';
import { atEnd } from './helpers/cleanup.js';
import {
  client,
  close,
  eventually,
  listen,
  open,
  Opcode,
  ping,
  text,
  type Pair,
  type Peer,
} from './helpers/peer.js';
import { closeServers, RawServer, shakeHands } from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

afterEach(closeServers);

interface Request {
  handle?: Handle;
  oncomplete: (status: number) => void;
  getAsyncId: () => number;
}

interface Handle {
  writeBuffer: (request: Request, bytes: Buffer) => number;
}

/** From Node 26 on a socket makes no request for what it writes at once: the stream is as fast. */
const requests = parseInt(process.versions.node) < 26;
const testWithRequests = requests ? test : test.skip;

/** Fits into a slab, and is sent at once. */
const SIZE = 60_000;

const message = (i: number): Buffer => Buffer.alloc(SIZE, i);

/** A connection whose first message is through: with it is learned how the handle is written to. */
async function opened(options: AioWebSocketOptions = {}): Promise<Pair> {
  const pair = await open(options);
  void pair.converse.send('first');
  await pair.peer.until(() => pair.peer.frames.length === 1);
  pair.peer.frames.length = 0;
  return pair;
}

/** One of a library that is loaded anew. */
function fresh(uri: string): AioWebSocket {
  let aws!: AioWebSocket;
  jest.isolateModules(() => {
    const library = jest.requireActual<typeof Library>('aiowebsocket');
    aws = new library.AioWebSocket(uri);
  });
  atEnd(() => {
    aws.terminate();
  });
  return aws;
}

/** Sends messages to a peer that does not read, one a turn, until one has to wait. */
async function fill(aws: AioWebSocket, peer: Peer): Promise<number> {
  peer.socket.pause();
  for (let i = 0; ; i++) {
    void aws.manipulator.send(message(i));
    if (aws.bufferedAmount > 0) return i + 1;
    if (aws.state !== SocketState.opened) throw new Error('the connection has ended meanwhile');
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

  expect(writableLength === 0).toBe(requests);
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
    while (when === 'is sent' && aws.state === SocketState.opened) {
      void aws.manipulator.send('too late');
      await new Promise(setImmediate);
    }

    const info = await aws.closed;
    expect(info).toMatchObject({ code: 1006, error: { code: 'ERR_CONNECTION_RESET' } });
    expect(errors).toEqual([info.error]);
    expect(aws.bufferedAmount).toBe(0);
  },
);

test.each(
  ['reset', 'closed'].flatMap((how) =>
    [10, 65_000, 1_048_576, 4_194_304].map((size) => [how, size] as const),
  ),
)(
  'what a server says before its connection is %s reaches a client that is sending %i bytes',
  async (how, size) => {
    const { aws, converse, peer } = await opened();
    const errors: Error[] = [];
    aws.on('error', (error) => errors.push(error));
    const received = converse.receive();

    // All of it is there before the client can have read any.
    peer.send(text('last words'), close(1008, 'policy'));
    if (how === 'reset') peer.socket.resetAndDestroy();
    else peer.socket.destroy();
    const sent = [Buffer.alloc(size), message(1), 'more'].map((data) => converse.send(data));

    expect(await received).toBe('last words');
    expect(await aws.closed).toMatchObject({ code: 1008, reason: 'policy', initiatedBy: 'remote' });
    expect(errors).toEqual([]);
    await Promise.allSettled(sent);
    expect(aws.bufferedAmount).toBe(0);
  },
);

test.each([10, 1_048_576])('so it does over TLS, where %i bytes are sent', async (size) => {
  const certificate = makeCertificate('server', { names: ['127.0.0.1'] });
  const server = await RawServer.listen(
    async (socket) => {
      await shakeHands(socket);
      socket.resume();
      await once(socket, 'data');
      socket.pause();
      const words = Buffer.concat([text('last words'), close(1008, 'policy')]);
      socket.write(words, () => socket.destroy());
    },
    { tls: certificate },
  );
  const aws = client(server.url.replace('ws', 'wss'), { ssl: { ca: certificate.cert } });
  await aws.createConnection();
  void aws.manipulator.send('first');
  while (aws.state === SocketState.opened) {
    void aws.manipulator.send(Buffer.alloc(size));
    await new Promise(setImmediate);
  }

  expect(await aws.manipulator.receive()).toBe('last words');
  expect(await aws.closed).toMatchObject({ code: 1008, reason: 'policy' });
});

test('a server that goes without a word is told of by an error, not by silence, when something is sent', async () => {
  const { aws, converse, peer } = await opened();
  peer.socket.resetAndDestroy();

  void converse.send('into the void');

  expect(await aws.closed).toMatchObject({
    code: 1006,
    error: { name: 'ConnectionError', phase: 'open' },
  });
});

test('those who wait for room are told when the kernel takes all at once', async () => {
  const { aws, converse } = await opened({ highWaterMark: 10 });
  const drained = once(aws as unknown as EventTarget & EventEmitter, 'drain');

  await Promise.all([converse.send('x'.repeat(100)), converse.send('y'.repeat(100))]);

  await drained;
  expect(aws.bufferedAmount).toBe(0);
});

test('a pong that had to wait for room is sent once there is some', async () => {
  const { aws, converse, peer } = await opened({ highWaterMark: 10 });
  aws.on('message', () => void converse.send('more than there is room for'));

  peer.send(text('now'), ping('still there?'));

  await peer.until(() => peer.payloads(Opcode.pong).length > 0);
  expect(peer.payloads(Opcode.pong)).toEqual(['still there?']);
});

testWithRequests(
  'memory is lent until the callback, also where the kernel has taken all before',
  async () => {
    const { aws, converse, peer } = await opened();
    const { _handle: handle } = aws.transport as unknown as { _handle: Handle };
    const { writeBuffer } = handle;
    // As by libuv where the kernel takes nothing at first, and all of it right after: told late.
    const late: (() => void)[] = [];
    handle.writeBuffer = (request, bytes) => {
      // Those of the stream know their handle.
      if (request.handle) return writeBuffer.call(handle, request, bytes);
      request.getAsyncId = () => 1;
      late.push(() => {
        request.oncomplete(0);
      });
      return writeBuffer.call(handle, new (request.constructor as new () => Request)(), bytes);
    };

    for (let i = 0; i < 3; i++) {
      void converse.send(message(i));
      await new Promise(setImmediate);
    }
    const before = [late.length, slabsLeft(), aws.bufferedAmount];
    late.shift()!();
    const after = [late.length, slabsLeft(), aws.bufferedAmount];
    void converse.send(message(3));
    await new Promise(setImmediate);

    expect(before).toEqual([1, SLABS - 1, SIZE + 8]);
    expect(after).toEqual([0, SLABS, 0]);
    expect(late).toHaveLength(1);
    late.shift()!();
    await peer.until(() => peer.frames.length === 4);
    peer.frames.forEach(({ payload }, i) => {
      expect(payload.equals(message(i))).toBe(true);
    });
  },
);

test('who sends when told of a request by async_hooks gets one of their own', async () => {
  const { aws, peer } = await opened();
  const other = await opened();
  let asked = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'WRITEWRAP' && asked++ === 0) void other.converse.send(message(77));
    },
  });

  hook.enable();
  const filled = await fill(aws, peer);
  hook.disable();
  void other.converse.send(message(78));

  await other.peer.until(() => other.peer.frames.length === 2);
  expect(other.peer.frames.map(({ payload }) => payload[0])).toEqual([77, 78]);
  expect(other.aws.bufferedAmount).toBe(0);
  peer.socket.resume();
  await peer.until(() => peer.frames.length === filled);
  expect(asked).toBeGreaterThan(0);
});

test('who replaces the write method of the socket is asked to write, and may do it later', async () => {
  const { aws, converse, peer } = await opened();
  const transport = aws.transport!;
  const write = transport.write.bind(transport);
  const sizes: number[] = [];
  transport.write = ((bytes: Buffer, done: () => void) => {
    sizes.push(bytes.length);
    setImmediate(() => write(bytes, done));
    return true;
  }) as typeof write;

  for (let i = 0; i < 3; i++) {
    void converse.send(message(i));
    await Promise.resolve();
  }

  await peer.until(() => peer.frames.length === 3);
  peer.frames.forEach(({ payload }, i) => {
    expect(payload.equals(message(i))).toBe(true);
  });
  expect(sizes).toEqual(expect.arrayContaining([SIZE + 8]));
});

test.each(['before', 'after'])(
  'so is who replaces that of all sockets, %s it is loaded',
  async (when) => {
    const server = await listen();
    const sizes: number[] = [];
    const { write } = Socket.prototype;
    const replace = (): void => {
      Socket.prototype.write = function (this: Socket, ...args: unknown[]) {
        if (Buffer.isBuffer(args[0])) sizes.push(args[0].length);
        return Reflect.apply(write, this, args) as boolean;
      };
      atEnd(() => Reflect.deleteProperty(Socket.prototype, 'write'));
    };

    if (when === 'before') replace();
    const aws = fresh(server.uri);
    await aws.createConnection();
    const peer = await server.accept();
    for (let i = 0; i < 2; i++) {
      void aws.manipulator.send('seen');
      await peer.until(() => peer.frames.length === i + 1);
      if (when === 'after') replace();
    }

    expect(sizes.filter((size) => size === 2 + 4 + 4).length).toBe(when === 'after' ? 1 : 2);
  },
);

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

test.each<[string, (aws: AioWebSocket) => void]>([
  [
    'by documented means alone',
    () => {
      process.env['AIOWEBSOCKET_DOCUMENTED'] = '1';
      atEnd(() => Reflect.deleteProperty(process.env, 'AIOWEBSOCKET_DOCUMENTED'));
    },
  ],
  [
    'where requests are not what they were',
    (aws) => {
      const { _handle: handle } = aws.transport as unknown as { _handle: Handle };
      const shared = Object.getPrototypeOf(Object.getPrototypeOf(handle)) as Handle;
      const { writeBuffer } = shared;
      shared.writeBuffer = function (request, bytes) {
        Object.defineProperty(Object(request), 'getAsyncId', { value: undefined });
        return writeBuffer.call(this, request, bytes);
      };
      atEnd(() => {
        shared.writeBuffer = writeBuffer;
      });
    },
  ],
])('%s, all goes through the stream', async (_how, prepare) => {
  const server = await listen();
  const aws = fresh(server.uri);
  await aws.createConnection();
  const peer = await server.accept();
  prepare(aws);
  void aws.manipulator.send('first');

  const filled = await fill(aws, peer);

  expect(aws.transport!.writableLength).toBeGreaterThan(0);
  peer.socket.resume();
  await peer.until(() => peer.frames.length === filled + 1);
  peer.frames.slice(1).forEach(({ payload }, i) => {
    expect(payload.equals(message(i))).toBe(true);
  });
});

/** Both ends of a connection whose socket has a `write` of its own: it calls `first`, then writes. */
async function writing(
  first: (manipulator: Converse) => void,
): Promise<{ manipulator: Converse; peer: Peer }> {
  const server = await listen();
  const aws = fresh(server.uri);
  await aws.createConnection();
  const peer = await server.accept();
  const { transport, manipulator } = aws;
  const write = transport!.write.bind(transport) as (...given: unknown[]) => boolean;
  transport!.write = (...given: unknown[]): boolean => {
    first(manipulator);
    return write(...given);
  };
  return { manipulator, peer };
}

test('a write of its own that sends something itself loses nothing', async () => {
  let armed = false;
  const { manipulator, peer } = await writing((converse) => {
    if (!armed) return;
    armed = false;
    void converse.ping('h'.repeat(120));
  });
  const sizes = [4, 30_000, 66_540];
  void manipulator.send(Buffer.alloc(sizes[0]!));
  void manipulator.send(Buffer.alloc(sizes[1]!));
  armed = true;

  await manipulator.send(Buffer.alloc(sizes[2]!));

  await peer.until(() => peer.messages.length === 3);
  expect(peer.messages.map(({ length }) => length)).toEqual(sizes);
  expect(peer.frames.some(({ opcode }) => opcode === Opcode.ping)).toBe(true);
});

test('a write of its own that sends a text itself mixes up nothing', async () => {
  let writes = 0;
  const { manipulator, peer } = await writing((converse) => {
    // The second of them makes room for the last message.
    if (++writes === 2) void converse.send('within');
  });
  void manipulator.send('lead');
  void manipulator.send('x'.repeat(30_000));

  await manipulator.send(Buffer.alloc(65_500, 'b'));

  await peer.until(() => peer.messages.length === 4);
  expect(peer.messages.map(String)).toEqual([
    'lead',
    'x'.repeat(30_000),
    'within',
    'b'.repeat(65_500),
  ]);
});
