/** Resets, ends of the stream, and changes of mind, in each phase of opening. */
import { setImmediate as turn } from 'node:timers/promises';
import type { LookupFunction, Socket } from 'node:net';
import {
  AioWebSocket,
  AioWebSocketError,
  ConnectionError,
  InvalidStateError,
  SocketState,
  type AioWebSocketOptions,
} from 'aiowebsocket';
import { failure, givenUp, observe, rejection } from './helpers/opening.js';
import { acceptance, closeServers, RawServer, readHead, shakeHands } from './helpers/raw-server.js';

afterEach(closeServers);

const silence: LookupFunction = () => undefined;

async function ends(
  onConnection: (socket: Socket) => unknown,
  scheme = 'ws',
): Promise<ConnectionError> {
  const server = await RawServer.listen(onConnection);
  const aws = new AioWebSocket(`${scheme}://127.0.0.1:${server.port}/`);
  const error = await failure(aws, ConnectionError);
  await server.emptied();
  return error;
}

describe('a reset', () => {
  test('in phase tls', async () => {
    const error = await ends((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    }, 'wss');

    expect(error).toMatchObject({
      code: 'ERR_CONNECTION_RESET',
      phase: 'tls',
      cause: { code: 'ECONNRESET' },
    });
  });

  test('in phase handshake, before a byte of the answer', async () => {
    const error = await ends(async (socket) => {
      await readHead(socket);
      socket.resetAndDestroy();
    });

    expect(error).toMatchObject({
      code: 'ERR_CONNECTION_RESET',
      phase: 'handshake',
      cause: { code: 'ECONNRESET' },
    });
  });

  test('in phase handshake, in the middle of the answer', async () => {
    const error = await ends(async (socket) => {
      await readHead(socket);
      await new Promise((resolve) => socket.write('HTTP/1.1 101 Switching', resolve));
      socket.resetAndDestroy();
    });

    // Some kernels tell a reset behind data that was read as an end of the stream.
    expect(error).toMatchObject({
      code: expect.stringMatching(/^ERR_CONNECTION_(RESET|LOST)$/) as string,
      phase: 'handshake',
    });
  });
});

describe('an end of the stream', () => {
  test('in phase tls', async () => {
    const error = await ends((socket) => {
      socket.once('data', () => socket.end());
    }, 'wss');

    expect(error).toMatchObject({ code: 'ERR_CONNECTION_RESET', phase: 'tls' });
  });

  test.each([
    ['before a byte of the answer', '', /before|without/],
    ['in the status line', 'HTTP/1.1 1', /within|middle/],
    ['in the fields', 'HTTP/1.1 101 x\r\nUpgrade: web', /within|middle/],
    ['before the blank line', 'HTTP/1.1 101 x\r\nUpgrade: websocket\r\n', /within|middle/],
  ])('in phase handshake, %s', async (_when, answer, message) => {
    const error = await ends(async (socket) => {
      await readHead(socket);
      socket.end(answer);
    });

    expect(error).toMatchObject({ code: 'ERR_CONNECTION_LOST', phase: 'handshake' });
    expect(error.message).toMatch(message);
  });

  test('as soon as it is connected', async () => {
    const error = await ends((socket) => socket.end());

    expect(error.phase).toBe('handshake');
  });
});

/** Attempts that hang in each phase; `reached` resolves once they do. */
const HANGING: readonly [string, () => Promise<Hanging>][] = [
  [
    'dns',
    async () => {
      const lookup = jest.fn(silence);
      return {
        aws: new AioWebSocket('ws://a.example/', { lookup }),
        reached: async () => {
          while (lookup.mock.calls.length === 0) await turn();
        },
      };
    },
  ],
  ['tls', () => hanging('wss')],
  ['handshake', () => hanging('ws')],
];

interface Hanging {
  readonly aws: AioWebSocket;
  reached: () => Promise<void>;
  readonly server?: RawServer;
}

async function hanging(scheme: string): Promise<Hanging> {
  let heard: () => void;
  const reached = new Promise<void>((resolve) => (heard = resolve));
  const server = await RawServer.listen((socket) => {
    socket.on('data', () => heard());
  });
  const aws = new AioWebSocket(`${scheme}://127.0.0.1:${server.port}/`);
  return { aws, server, reached: () => reached };
}

describe('an abort signal', () => {
  test.each(HANGING)('in phase %s rejects with its reason, and is no error', async (_, make) => {
    const { aws, reached, server } = await make();
    const reason = new Error('changed my mind');

    const error = await givenUp(aws, async (controller) => {
      await reached();
      controller.abort(reason);
    });

    expect(error).toBe(reason);
    await server?.emptied();
  });

  test('already aborted: nothing is connected to', async () => {
    const lookup = jest.fn(silence);
    const aws = new AioWebSocket('ws://a.example/', { lookup });
    const seen = observe(aws);
    const signal = AbortSignal.abort('no');

    await expect(rejection(aws.createConnection({ signal }))).resolves.toBe('no');

    expect(lookup).not.toHaveBeenCalled();
    expect(seen.events).toEqual(['close']);
    expect(aws.state).toBe(SocketState.closed);
    await expect(aws.closed).resolves.toMatchObject({ code: 1006, initiatedBy: 'local' });
  });

  test('without a reason rejects with an AbortError', async () => {
    const aws = new AioWebSocket('ws://a.example/', { lookup: silence });

    const error = await givenUp(aws, (controller) => {
      controller.abort();
    });

    expect(error).toMatchObject({ name: 'AbortError' });
  });

  test('of connect() aborts it, too', async () => {
    const controller = new AbortController();
    const opening = rejection(
      AioWebSocket.connect('ws://a.example/', { lookup: silence, signal: controller.signal }),
    );
    controller.abort('enough');

    await expect(opening).resolves.toBe('enough');
  });

  test('that aborts after opening does nothing, and keeps no listener', async () => {
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const controller = new AbortController();
    const off = jest.spyOn(controller.signal, 'removeEventListener');
    const on = jest.spyOn(controller.signal, 'addEventListener');
    const aws = await AioWebSocket.connect(server.url, { signal: controller.signal });

    controller.abort();
    await turn();

    expect(aws.state).toBe(SocketState.opened);
    expect(off).toHaveBeenCalledTimes(on.mock.calls.length);
    aws.terminate();
    await aws.closed;
  });

  test.each([null, 'abort', {}, new AbortController()])('%p is none', async (signal) => {
    const aws = new AioWebSocket('ws://a.example/', { lookup: silence });

    await expect(aws.createConnection({ signal: signal as never })).rejects.toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining('signal') }),
    );

    expect(aws.state).toBe(SocketState.zero);
    aws.terminate();
    await aws.closed;
  });
});

describe.each([
  ['closeConnection', (aws: AioWebSocket) => aws.closeConnection()],
  ['terminate', (aws: AioWebSocket) => aws.terminate()],
] as const)('%s()', (name, call) => {
  test.each(HANGING)('in phase %s ends the attempt', async (_, make) => {
    const { aws, reached, server } = await make();

    const error = await givenUp(aws, async () => {
      await reached();
      void call(aws);
    });

    expect(error).toBeInstanceOf(InvalidStateError);
    expect((error as Error).message).toContain(name);
    await server?.emptied();
  });

  test('before connecting ends it for good', async () => {
    const aws = new AioWebSocket('ws://a.example/');
    const seen = observe(aws);

    await call(aws);

    await expect(aws.closed).resolves.toMatchObject({ code: 1006, wasClean: false });
    expect(seen.events).toEqual(['close']);
    expect(seen.states).toEqual([SocketState.closed]);
    await expect(aws.createConnection()).rejects.toThrow(InvalidStateError);
    expect(seen.events).toEqual(['close']);
  });
});

test('a second createConnection() is an InvalidStateError, whatever the state', async () => {
  const server = await RawServer.listen((socket) => shakeHands(socket));
  const aws = new AioWebSocket(server.url);
  const seen = observe(aws);
  const first = aws.createConnection();

  await expect(aws.createConnection()).rejects.toThrow(InvalidStateError);
  await expect(first).resolves.toBe(aws);
  await expect(aws.createConnection()).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
  expect(aws.state).toBe(SocketState.opened);
  aws.terminate();
  await aws.closed;
  await expect(aws.createConnection()).rejects.toThrow(InvalidStateError);

  expect(seen.events).toEqual(['open', 'close']);
});

test('closing twice while connecting gives the same promise', async () => {
  const aws = new AioWebSocket('ws://a.example/', { lookup: silence });
  const opening = rejection(aws.createConnection());

  const [first, second] = [aws.closeConnection(), aws.closeConnection(1001)];

  expect(first).toBe(second);
  await expect(first).resolves.toBe(await second);
  await opening;
});

test('a transport that opens after the attempt has ended is destroyed', async () => {
  class Late extends AioWebSocket {
    protected override async openTransport(
      ...args: Parameters<AioWebSocket['openTransport']>
    ): Promise<Awaited<ReturnType<AioWebSocket['openTransport']>>> {
      const [remote] = args;
      const transport = await super.openTransport(remote, new AbortController().signal);
      this.terminate();
      late.push(transport);
      return transport;
    }
  }
  const late: { readonly destroyed: boolean }[] = [];
  const server = await RawServer.listen(async (socket) => {
    socket.resume();
  });

  await givenUp(new Late(server.url), () => undefined);
  await server.emptied();

  expect(late.map(({ destroyed }) => destroyed)).toEqual([true]);
});

describe('an openTransport() that calls ours', () => {
  type Opening = AioWebSocket['openTransport'];

  test('with its signal: an abort ends what has begun', async () => {
    class Own extends AioWebSocket {
      protected override openTransport(...args: Parameters<Opening>): ReturnType<Opening> {
        return super.openTransport(...args);
      }
    }
    let heard!: () => void;
    const reached = new Promise<void>((resolve) => (heard = resolve));
    const server = await RawServer.listen((socket) => socket.on('data', () => heard()));

    const error = await givenUp(new Own(`wss://127.0.0.1:${server.port}/`), async (controller) => {
      await reached;
      controller.abort('enough');
    });

    expect(error).toBe('enough');
    await server.emptied();
  });

  test('with a signal of its own: an abort after opening does nothing', async () => {
    const own = new AbortController();
    class Own extends AioWebSocket {
      protected override openTransport(...[remote]: Parameters<Opening>): ReturnType<Opening> {
        return super.openTransport(remote, own.signal);
      }
    }
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const aws = await new Own(server.url).createConnection();

    own.abort();
    await turn();

    expect(aws.transport?.destroyed).toBe(false);
    aws.terminate();
    await aws.closed;
  });

  test('with a signal that has been aborted: nothing is connected', async () => {
    class Own extends AioWebSocket {
      protected override openTransport(...[remote]: Parameters<Opening>): ReturnType<Opening> {
        return super.openTransport(remote, AbortSignal.abort(new RangeError('too late')));
      }
    }
    const server = await RawServer.listen((socket) => shakeHands(socket));

    await failure(new Own(server.url), RangeError);

    expect(server.connections).toBe(0);
  });

  test('with a signal of its own: an attempt that fails leaves no listener on it', async () => {
    const own = new AbortController();
    const on = jest.spyOn(own.signal, 'addEventListener');
    const off = jest.spyOn(own.signal, 'removeEventListener');
    class Own extends AioWebSocket {
      protected override openTransport(...[remote]: Parameters<Opening>): ReturnType<Opening> {
        return super.openTransport(remote, own.signal);
      }
    }
    const server = await RawServer.listen(() => undefined);
    const { url } = server;
    await server.close();

    await failure(new Own(url), ConnectionError);

    expect(on).toHaveBeenCalledTimes(1);
    expect(off).toHaveBeenCalledWith(...on.mock.calls[0]!);
  });

  test('without its signal: what goes on after the end disturbs nobody, and is destroyed', async () => {
    class Deaf extends AioWebSocket {
      protected override openTransport(...[remote]: Parameters<Opening>): ReturnType<Opening> {
        return super.openTransport(remote, new AbortController().signal);
      }
    }
    let connected!: () => void;
    const reached = new Promise<void>((resolve) => (connected = resolve));
    const server = await RawServer.listen((socket) => {
      socket.resume();
      connected();
    });
    let found!: () => void;
    const lookup = jest.fn((...[, , done]: Parameters<LookupFunction>) => {
      found = () => {
        done(null, [{ address: '127.0.0.1', family: 4 }]);
      };
    });

    await givenUp(new Deaf(`ws://a.example:${server.port}/`, { lookup }), async (controller) => {
      while (lookup.mock.calls.length === 0) await turn();
      controller.abort();
    });
    found();
    await reached;

    await server.emptied();
  });

  test('and has more upon it, as TLS through a proxy: an abort leaves what is below alone', async () => {
    const destroyed: boolean[] = [];
    class Tunnelling extends AioWebSocket {
      protected override async openTransport(
        ...args: Parameters<Opening>
      ): Promise<Awaited<ReturnType<Opening>>> {
        const socket = await super.openTransport(...args);
        this.terminate();
        // Node crashes where a socket is destroyed below TLS that has just been established.
        destroyed.push(socket.destroyed);
        return socket;
      }
    }
    const server = await RawServer.listen((socket) => socket.resume());

    await givenUp(new Tunnelling(server.url), () => undefined);

    expect(destroyed).toEqual([false]);
    await server.emptied();
  });

  test.each([
    ['answers nothing', ''],
    ['refuses, with a body that does not end', 'HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nno'],
  ])('beside the one it has given, where the server %s', async (_what, answer) => {
    let rival: ReturnType<Opening> | undefined;
    class Racing extends AioWebSocket {
      protected override async openTransport(
        ...args: Parameters<Opening>
      ): Promise<Awaited<ReturnType<Opening>>> {
        const first = await super.openTransport(...args);
        rival = turn().then(() => super.openTransport(...args));
        return first;
      }
    }
    const server = await RawServer.listen((socket) => {
      if (server.connections === 1) socket.write(answer);
      socket.resume();
    });
    const begun = performance.now();

    const error = await failure(new Racing(server.url, { timeout: 200 }), AioWebSocketError);

    expect(error).toMatchObject({ phase: 'handshake' });
    // Not after the two seconds that a body is waited for.
    expect(performance.now() - begun).toBeLessThan(1500);
    (await rival)?.destroy();
    await server.emptied();
  });

  test('when another one has opened: it gets a socket of its own', async () => {
    let rival: ReturnType<Opening> | undefined;
    class Racing extends AioWebSocket {
      protected override openTransport(...args: Parameters<Opening>): ReturnType<Opening> {
        const first = super.openTransport(...args);
        rival = this.closed.then(turn).then(() => super.openTransport(...args));
        return first;
      }
    }
    const server = await RawServer.listen((socket) =>
      server.connections > 1 ? socket.resume() : shakeHands(socket),
    );
    const aws = await new Racing(server.url).createConnection();
    aws.terminate();

    const socket = await rival;

    expect(socket?.destroyed).toBe(false);
    socket?.destroy();
    await server.emptied();
  });

  test('again, when the attempt has failed: that fails as the first one did', async () => {
    let again: ReturnType<Opening> | undefined;
    class Stubborn extends AioWebSocket {
      protected override openTransport(...args: Parameters<Opening>): ReturnType<Opening> {
        again = this.closed.then(turn).then(() => super.openTransport(...args));
        return super.openTransport(...args);
      }
    }
    const server = await RawServer.listen(() => undefined);
    const { url } = server;
    await server.close();

    const error = await failure(new Stubborn(url), ConnectionError);

    expect(await rejection(again as Promise<unknown>)).toMatchObject({
      code: error.code,
      phase: 'tcp',
      message: error.message,
    });
  });
});

test('errors that nobody listens to and promises that reject are all there is: no uncaught ones', async () => {
  const server = await RawServer.listen(async (socket) => {
    socket.end(acceptance(await readHead(socket), { Upgrade: 'no' }));
  });
  const options: AioWebSocketOptions[] = [{}, { timeout: 1 }];

  for (const one of options) {
    await rejection(AioWebSocket.connect(server.url, one));
  }
  // Unhandled rejections are told behind a turn, and fail the test.
  await turn();
  await turn();

  await server.emptied();
});
