/** Dead links are found, and living ones are left alone. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import {
  Converse,
  SocketState,
  TimeoutError,
  type AioWebSocket,
  type AioWebSocketOptions,
} from 'aiowebsocket';
import { useEngine } from './helpers/deflate.js';
import { client, open, Opcode, ping, pong, text, type Pair } from './helpers/peer.js';
import { removePrograms, runProgram } from './helpers/program.js';
import { closeServers, RawServer, shakeHands } from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

afterEach(closeServers);
afterAll(removePrograms);

const off: AioWebSocketOptions = { pingInterval: 0, pongTimeout: 0, readTimeout: 0 };

const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Keeps the event loop busy. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Answers each ping, as long as the connection lives. */
function answering({ peer }: Pick<Pair, 'peer'>): void {
  let answered = 0;
  peer.socket.on('data', () => {
    const pings = peer.frames.filter(({ opcode }) => opcode === Opcode.ping);
    for (; answered < pings.length; answered++) peer.send(pong(pings[answered]?.payload));
  });
}

describe('a server that answers nothing', () => {
  test('is pinged after pingInterval, and given up after pongTimeout', async () => {
    const { aws, converse, peer } = await open({ ...off, pingInterval: 50, pongTimeout: 100 });
    const told: unknown[] = [];
    aws.on('error', (error) => told.push(error));
    aws.on('close', (code) => told.push(code));
    const pending = converse.receive().catch((error: unknown) => error);
    const begun = performance.now();

    const info = await aws.closed;

    expect(performance.now() - begun).toBeGreaterThanOrEqual(140);
    expect(info.error).toBeInstanceOf(TimeoutError);
    expect(info.error).toMatchObject({ operation: 'pong', phase: 'open', code: 'ERR_TIMEOUT' });
    expect(info.error?.message).toMatch(/100 ms \(pongTimeout\)/);
    expect(info).toMatchObject({ code: 1006, wasClean: false, initiatedBy: 'local' });
    expect(told).toEqual([info.error, 1006]);
    expect(await pending).toBe(info.error);
    expect(peer.payloads(Opcode.ping)).toHaveLength(1);
  });

  test.each([
    ['pongTimeout', { pingInterval: 150, pongTimeout: 100 }],
    ['readTimeout', { readTimeout: 250 }],
  ])('is given up by %s, however often reading is paused for a moment', async (_by, options) => {
    const { aws } = await open({ ...off, ...options });
    const pausing = setInterval(() => {
      aws.pause();
      setTimeout(() => {
        if (aws.state === SocketState.opened) aws.resume();
      }, 2);
    }, 20);

    const { error } = await aws.closed;
    clearInterval(pausing);

    expect(error).toBeInstanceOf(TimeoutError);
  });

  test('is given up although reading is paused and resumed twice in each of its turns', async () => {
    const { aws } = await open({ ...off, readTimeout: 250 });
    const pausing = setInterval(() => {
      for (let i = 0; i < 2 && aws.state === SocketState.opened; i++) {
        aws.pause();
        aws.resume();
      }
    }, 20);

    const { error } = await aws.closed;
    clearInterval(pausing);

    expect(error).toBeInstanceOf(TimeoutError);
  });

  test('is given up also where reading was paused, and resumed at once', async () => {
    // Each has a timer of its own, which it leaves, and most probably comes back to.
    const pairs = await Promise.all(
      [400, 500, 600, 700].map((readTimeout) => open({ ...off, readTimeout })),
    );
    // They are being read.
    await new Promise(setImmediate);
    for (const { aws } of pairs) {
      aws.pause();
      aws.resume();
    }

    const ends = await Promise.all(pairs.map(({ aws }) => aws.closed));

    for (const { error } of ends) expect(error).toMatchObject({ operation: 'read' });
  });

  test('is given up after readTimeout when pings are off', async () => {
    const { aws, peer } = await open({ ...off, readTimeout: 100 });

    const { error } = await aws.closed;

    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ operation: 'read', phase: 'open' });
    expect(error?.message).toMatch(/100 ms \(readTimeout\)/);
    expect(peer.frames).toEqual([]);
  });

  test('is given up after readTimeout when pongTimeout is off', async () => {
    const { aws, peer } = await open({ ...off, pingInterval: 40, readTimeout: 150 });

    expect((await aws.closed).error).toMatchObject({ operation: 'read' });
    expect(peer.payloads(Opcode.ping).length).toBeGreaterThanOrEqual(1);
  });

  test('is given up also in the middle of its message', async () => {
    const { aws, peer } = await open({ ...off, pingInterval: 50, pongTimeout: 50 });
    peer.send(text('a whole message').subarray(0, 5));

    expect((await aws.closed).error).toMatchObject({ operation: 'pong' });
  });

  test('but sends is left alone: it has not been silent', async () => {
    const { aws, peer } = await open({ pingInterval: 200, pongTimeout: 200, readTimeout: 400 });
    const sending = setInterval(() => {
      peer.send(text('news'));
    }, 20);

    await pass(800);
    clearInterval(sending);

    expect(aws.state).toBe(1);
    expect(peer.payloads(Opcode.ping)).toEqual([]);
  });
});

test('a server that only pongs stays', async () => {
  const pair = await open({ pingInterval: 40, pongTimeout: 1000, readTimeout: 2000 });
  const { aws, peer } = pair;
  const latencies: unknown[] = [];
  aws.on('pong', (_payload, latency) => latencies.push(latency));
  answering(pair);

  await peer.until(() => peer.payloads(Opcode.ping).length >= 5);

  expect(aws.state).toBe(1);
  // Not as text: bytes that are not UTF-8 would all look the same.
  const payloads = peer.frames.map(({ payload }) => payload.toString('hex'));
  expect(new Set(payloads).size).toBe(payloads.length);
  expect(latencies.every((latency) => typeof latency === 'number')).toBe(true);
});

test('the next ping comes pingInterval after a pong, however long pongTimeout is', async () => {
  const pair = await open({ ...off, pingInterval: 100, pongTimeout: 15_000 });
  answering(pair);
  const begun = performance.now();

  await pair.peer.until(() => pair.peer.payloads(Opcode.ping).length === 3);

  expect(performance.now() - begun).toBeGreaterThanOrEqual(290);
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test.each([
  ['a ping', ping('p')],
  ['an unsolicited pong', pong('q')],
  ['half a frame', text('hello').subarray(0, 3)],
])('%s in answer to a ping is life as well', async (_what, bytes) => {
  const { aws, peer } = await open({ ...off, pingInterval: 100, pongTimeout: 300 });
  await peer.until(() => peer.payloads(Opcode.ping).length === 1);

  peer.send(bytes);
  await peer.until(() => peer.payloads(Opcode.ping).length === 2);

  expect(aws.state).toBe(1);
});

test('pings that silence asked for are not collected: a pong that comes late answers nothing', async () => {
  const { aws, peer } = await open({ ...off, pingInterval: 30, pongTimeout: 5000 });
  const latencies: unknown[] = [];
  aws.on('pong', (_payload, latency) => latencies.push(latency));
  const pings = (count: number) => peer.until(() => peer.payloads(Opcode.ping).length >= count);
  const payload = (index: number): Buffer =>
    peer.frames.filter(({ opcode }) => opcode === Opcode.ping)[index]!.payload;

  await pings(1);
  peer.send(text('news, but no pong'));
  await pings(2);
  peer.send(pong(payload(0)), pong(payload(1)), text('end'));
  await aws.converse.receive();
  await aws.converse.receive();

  expect(latencies).toEqual([undefined, expect.any(Number)]);
});

describe.each(['ws', 'wss'])('over %s', (scheme) => {
  const certificate = makeCertificate('server', { names: ['127.0.0.1'] });
  const served = async (
    options: AioWebSocketOptions,
    serve: (socket: Socket) => unknown,
  ): Promise<AioWebSocket> => {
    const secure = scheme === 'wss';
    const server = await RawServer.listen(
      async (socket) => {
        await shakeHands(socket);
        await serve(socket);
      },
      secure ? { tls: certificate } : {},
    );
    const aws = client(`${scheme}://127.0.0.1:${server.port}/`, {
      ...(secure && { ssl: { ca: certificate.cert } }),
      ...options,
    });
    return aws.createConnection();
  };

  test('a dead link is found pongTimeout after the ping, not a pingInterval later', async () => {
    const aws = await served({ ...off, pingInterval: 1500, pongTimeout: 200 }, (socket) =>
      socket.resume(),
    );
    const begun = performance.now();

    const { error } = await aws.closed;

    expect(error).toMatchObject({ operation: 'pong' });
    expect(performance.now() - begun).toBeLessThan(2900);
  });

  test('a dead link is found however often something is sent, in whichever turn', async () => {
    const aws = await served({ ...off, pingInterval: 100, pongTimeout: 100 }, (socket) =>
      socket.pause(),
    );
    const sending = (async () => {
      while (aws.state === SocketState.opened) {
        await aws.converse.send('x').catch(() => undefined);
        await turn();
        block(5);
      }
    })();

    expect((await aws.closed).error).toMatchObject({ operation: 'pong' });
    await sending;
  });

  test('a slow server that takes what we send is left alone, though it says nothing', async () => {
    const aws = await served({ ...off, readTimeout: 400 }, async (socket) => {
      socket.pause();
      while (!socket.destroyed) {
        await pass(50);
        if (!socket.read(500_000)) socket.read();
      }
      socket.resume();
    });
    const begun = performance.now();
    const sent = aws.converse.send(Buffer.alloc(30_000_000));

    await Promise.race([pass(1500), aws.closed]);

    expect(aws.state).toBe(1);
    expect(performance.now() - begun).toBeGreaterThan(1000);
    aws.terminate();
    await expect(sent).rejects.toThrow();
  });
});

describe('a server whose packets vanish', () => {
  test('is given up after pongTimeout', async () => {
    const { aws, peer } = await open({ ...off, pingInterval: 50, pongTimeout: 100 });
    peer.socket.pause();

    expect((await aws.closed).error).toMatchObject({ operation: 'pong' });
  });

  test('is given up also with much unsent: readTimeout counts', async () => {
    const { aws, converse, peer } = await open({
      ...off,
      pingInterval: 50,
      pongTimeout: 100,
      readTimeout: 400,
    });
    peer.socket.pause();
    const sent = Promise.allSettled(
      Array.from({ length: 30 }, () => converse.send(Buffer.alloc(1_000_000))),
    );

    const { error } = await aws.closed;

    expect(error).toMatchObject({ name: 'TimeoutError', operation: 'read' });
    expect((await sent).at(-1)).toEqual({ status: 'rejected', reason: error });
  });

  test('is given up later when much was sent before the ping, which may still be under way', async () => {
    const { aws, converse, peer } = await open({ ...off, pingInterval: 50, pongTimeout: 100 });
    peer.socket.pause();
    const begun = performance.now();
    // 64 bytes are reckoned a millisecond.
    await converse.send(Buffer.alloc(48_000));

    expect((await aws.closed).error).toMatchObject({ operation: 'pong' });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(890);
  });

  test('is given up as soon as ever when the server was heard after all that was sent', async () => {
    const { aws, converse, peer } = await open({ ...off, pingInterval: 150, pongTimeout: 100 });
    const pings = (): number => peer.payloads(Opcode.ping).length;
    answering({ peer });
    await converse.send(Buffer.alloc(1_000_000));
    await peer.until(() => pings() > 1);
    peer.socket.pause();
    const begun = performance.now();

    expect((await aws.closed).error).toMatchObject({ operation: 'pong' });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test('closing it is bounded by closeTimeout, not by its silence', async () => {
    const { aws, peer } = await open({
      ...off,
      pingInterval: 20,
      pongTimeout: 40,
      readTimeout: 60,
      closeTimeout: 300,
    });
    peer.socket.pause();

    const info = await aws.closeConnection();

    expect(info.error).toMatchObject({ operation: 'close' });
  });
});

describe('0 turns off', () => {
  test('pings', async () => {
    const { aws, peer } = await open({ ...off, pongTimeout: 20 });

    await pass(200);

    expect(peer.frames).toEqual([]);
    expect(aws.state).toBe(1);
  });

  test('the limit for a pong', async () => {
    const { aws, peer } = await open({ ...off, pingInterval: 20 });
    await peer.until(() => peer.payloads(Opcode.ping).length === 1);

    await pass(200);

    expect(aws.state).toBe(1);
  });

  test('the limit for silence', async () => {
    const pair = await open({ ...off, pingInterval: 20, pongTimeout: 1000 });
    answering(pair);

    await pair.peer.until(() => pair.peer.payloads(Opcode.ping).length === 3);

    expect(pair.aws.state).toBe(1);
  });
});

describe('no false alarm', () => {
  const short: AioWebSocketOptions = { pingInterval: 50, pongTimeout: 150, readTimeout: 250 };

  test('while the user has paused, and the clock starts anew when reading goes on', async () => {
    const pair = await open(short);
    const { aws, peer } = pair;
    answering(pair);
    aws.pause();

    await pass(600);
    expect(aws.state).toBe(1);
    expect(peer.payloads(Opcode.ping)).toEqual([]);
    aws.resume();
    await peer.until(() => peer.payloads(Opcode.ping).length === 2);

    expect(aws.state).toBe(1);
  });

  test('while the user has paused, though a ping is out', async () => {
    const { aws, peer } = await open({ ...off, pingInterval: 50, pongTimeout: 700 });
    await peer.until(() => peer.payloads(Opcode.ping).length === 1);

    aws.pause();
    await pass(800);
    aws.resume();
    await pass(100);

    expect(aws.state).toBe(1);
    expect((await aws.closed).error).toMatchObject({ operation: 'pong' });
  });

  test('while a slow consumer has let the queue fill', async () => {
    const pair = await open({ ...short, maxQueue: 2 });
    const { aws, converse, peer } = pair;
    answering(pair);
    peer.send(text('one'), text('two'), text('three'));

    await pass(600);

    expect(aws.state).toBe(1);
    expect([await converse.receive(), await converse.receive(), await converse.receive()]).toEqual([
      'one',
      'two',
      'three',
    ]);
    await peer.until(() => peer.payloads(Opcode.ping).length >= 1);
  });

  test('when our own event loop was busy while the pong came', async () => {
    // Written before, so that it is in the kernel while this process is busy.
    const { aws, peer } = await open({ ...short, readTimeout: 0 });
    await peer.until(() => peer.payloads(Opcode.ping).length === 1);

    peer.send(pong(peer.frames[0]?.payload));
    block(400);
    await pass(20);

    expect(aws.state).toBe(1);
  });

  test('when our own event loop was busy for longer than pongTimeout, and the pong comes after it', async () => {
    const { aws, peer } = await open({ pingInterval: 50, pongTimeout: 500, readTimeout: 0 });
    await peer.until(() => peer.payloads(Opcode.ping).length === 1);

    block(600);
    await pass(20);
    const answered = new Promise((resolve) => aws.once('pong', resolve));
    peer.send(pong(peer.frames[0]?.payload));
    await Promise.race([answered, aws.closed]);

    expect(aws.state).toBe(SocketState.opened);
  });

  test.each([
    ['a listener was', () => undefined],
    ['a listener was, and then paused reading', (aws: AioWebSocket) => aws.pause()],
  ])('when %s so busy that no ping could go out', async (_who, then) => {
    const pair = await open({ pingInterval: 50, pongTimeout: 5000, readTimeout: 250 });
    answering(pair);
    const { aws, peer } = pair;

    peer.send(text('news'));
    await new Promise<void>((resolve) => {
      aws.once('message', () => {
        block(400);
        then(aws);
        setImmediate(() => {
          if (aws.state === SocketState.opened) aws.resume();
          setTimeout(resolve, 100);
        });
      });
    });

    expect(aws.state).toBe(SocketState.opened);
  });

  test('when our own event loop was so busy that no ping could go out', async () => {
    const pair = await open({ pingInterval: 50, pongTimeout: 5000, readTimeout: 250 });
    answering(pair);

    for (let i = 0; i < 3; i++) {
      block(400);
      await pass(20);
    }

    expect(pair.aws.state).toBe(1);
  });

  test('while the system still holds what was sent before the ping', async () => {
    const { aws, converse, peer } = await open({ ...off, pingInterval: 50, pongTimeout: 100 });
    answering({ peer });
    peer.socket.pause();
    await converse.send(Buffer.alloc(64_000));

    await pass(500);
    peer.socket.resume();
    await peer.until(() => peer.payloads(Opcode.ping).length > 2);

    expect(aws.state).toBe(SocketState.opened);
  });

  test('while a slow server takes what we send, and says nothing', async () => {
    const { aws, converse, peer } = await open({ ...off, pingInterval: 100, readTimeout: 2000 });
    peer.socket.on('data', () => peer.socket.pause());
    const reading = setInterval(() => peer.socket.resume(), 10);

    const sent = Array.from({ length: 14 }, () => converse.send(Buffer.alloc(1_000_000)));
    await Promise.race([aws.closed, peer.until(() => peer.messages.length === sent.length)]);
    clearInterval(reading);

    expect(aws.state).toBe(1);
    await Promise.all(sent);
  }, 60_000);
});

test('bytes that begin to wait are no silence: readTimeout begins anew', async () => {
  // It takes what is written, and never says that it is done with it.
  const stream = new Duplex({ read: () => undefined, write: () => undefined });
  const converse = new Converse(stream, { readTimeout: 1000, pingInterval: 0 });
  await pass(600);
  const begun = performance.now();

  await converse.send('news');
  const { error } = await converse.closed;

  expect(error).toMatchObject({ operation: 'read' });
  expect(performance.now() - begun).toBeGreaterThan(900);
});

test('nothing goes on after the end: no ping, no alarm', async () => {
  const pair = await open({ pingInterval: 30, pongTimeout: 30, readTimeout: 60 });
  const errors = jest.fn();
  pair.aws.on('error', errors);
  await pair.aws.closeConnection();

  await pass(150);

  expect(errors).not.toHaveBeenCalled();
  expect(pair.peer.payloads(Opcode.ping)).toEqual([]);
});

describe('connections that are looked at together', () => {
  test('are judged each by itself: one is silent, one is not, one is gone', async () => {
    const options = { ...off, readTimeout: 200 };
    const [silent, lively, gone] = await Promise.all([open(options), open(options), open(options)]);
    const sending = setInterval(() => {
      lively.peer.send(text('news'));
    }, 20);
    gone.aws.terminate();

    const { error } = await silent.aws.closed;
    await pass(200);
    clearInterval(sending);

    expect(error).toMatchObject({ operation: 'read' });
    expect(lively.aws.state).toBe(1);
    expect((await gone.aws.closed).error).toBeUndefined();
    expect((await lively.aws.closed).error).toMatchObject({ operation: 'read' });
  });

  test('are judged also when others have left: of many, every other one is gone', async () => {
    const options = { ...off, readTimeout: 500 };
    const pairs = await Promise.all(Array.from({ length: 20 }, () => open(options)));
    // They are being read.
    for (const { peer } of pairs) peer.send(text('news'));
    await Promise.all(pairs.map(({ converse }) => converse.receive()));
    const silent = pairs.filter(({ aws }, i) => {
      if (i % 2 > 0) aws.terminate();
      return i % 2 === 0;
    });

    const ends = await Promise.all(silent.map(({ aws }) => aws.closed));

    for (const { error } of ends) expect(error).toMatchObject({ operation: 'read' });
  });

  test('and what a listener of one does to another counts: it is paused, and left alone', async () => {
    const options = { ...off, readTimeout: 200 };
    const pairs = await Promise.all([open(options), open(options), open(options)]);
    const failed = await new Promise<AioWebSocket>((resolve) => {
      for (const { aws } of pairs) {
        aws.on('error', () => {
          for (const other of pairs) if (other.aws !== aws) other.aws.pause();
          resolve(aws);
        });
      }
    });

    await pass(300);

    for (const { aws } of pairs) expect(aws.state).toBe(aws === failed ? 3 : 1);
  });

  test('are told in no context of AsyncLocalStorage rather than in that of another', async () => {
    const storage = new AsyncLocalStorage<string>();
    const errors = await Promise.all(
      ['one', 'another', 'a third'].map((name) =>
        storage.run(name, async () => {
          const { aws } = await open({ ...off, readTimeout: 100 });
          return new Promise((resolve) => {
            aws.on('error', () => {
              resolve(storage.getStore());
            });
          });
        }),
      ),
    );

    expect(errors).toEqual([undefined, undefined, undefined]);
  });

  test('and one whose stream throws fails, and takes nobody with it', async () => {
    const program = await runProgram(`
      const { Duplex } = require('node:stream');
      const { Converse } = aiowebsocket;
      const open = (write) =>
        new Converse(new Duplex({ read() {}, write }), {
          ...{ pingInterval: 640, pongTimeout: 64, readTimeout: 0 },
        });
      open(() => { throw new Error('thrown'); }).on('error', (error) => console.log(error.message));
      const silent = [open((chunk, encoding, done) => done()), open((chunk, encoding, done) => done())];
      Promise.all(silent.map(({ closed }) => closed)).then((all) => {
        for (const { error } of all) console.log(error.message);
        process.exit();
      });
      setTimeout(() => undefined, 20_000);
    `);

    expect(program).toMatchObject({ code: 0, stderr: '' });
    expect(program.stdout.trim().split('\n')).toEqual([
      'thrown',
      ...Array<string>(2).fill('nothing came for 64 ms (pongTimeout)'),
    ]);
  });

  test('may wait for as long as a timer can, which rings at once beyond, with a warning', async () => {
    const program = await runProgram(`
      const { Duplex } = require('node:stream');
      const { Converse } = aiowebsocket;
      let written = 0;
      const stream = new Duplex({ read() {}, write(chunk, encoding, done) { written++; done(); } });
      const converse = new Converse(stream, { ...${JSON.stringify(off)}, pingInterval: 2147483647 });
      setTimeout(() => {
        console.log(converse.state, written);
        converse.terminate();
      }, 20);
    `);

    expect(program).toMatchObject({ code: 0, stderr: '', stdout: '1 0\n' });
  });
});

test('a keepalive ping that cannot be written fails the connection', async () => {
  const { aws } = await open({ ...off, pingInterval: 50 });
  const cause = new Error('no more');
  aws.transport!.write = () => {
    throw cause;
  };

  expect(await aws.closed).toMatchObject({ code: 1006, error: cause });
});

describe('with AIOWEBSOCKET_DOCUMENTED=1', () => {
  useEngine('1');

  test('nothing is asked of the handle of a socket', async () => {
    const pair = await open({ ...off, pingInterval: 30 });
    const handle = (pair.aws.transport as unknown as { _handle: object })._handle;
    const read = jest.fn(() => 0);
    Object.defineProperty(handle, 'writeQueueSize', { get: read });

    await pair.peer.until(() => pair.peer.payloads(Opcode.ping).length === 1);

    expect(read).not.toHaveBeenCalled();
  });
});
