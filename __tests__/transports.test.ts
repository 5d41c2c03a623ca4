/** Opening a byte stream, and how that fails: one typed error with its phase, and nothing left. */
import { lookup as lookupAll } from 'node:dns/promises';
import { once } from 'node:events';
import {
  createServer,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
  type AddressInfo,
  type LookupFunction,
} from 'node:net';
import { Worker } from 'node:worker_threads';
import {
  AioWebSocket,
  ConnectionError,
  SocketState,
  TimeoutError,
  type AioWebSocketOptions,
} from 'aiowebsocket';
import { failure } from './helpers/opening.js';
import { closeServers, RawServer, readHead, shakeHands } from './helpers/raw-server.js';

afterEach(closeServers);

/** A lookup that never answers. */
const silence: LookupFunction = () => undefined;

const listens = async (host: string): Promise<RawServer | undefined> => {
  try {
    return await RawServer.listen((socket) => shakeHands(socket), { host });
  } catch {
    return undefined;
  }
};

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('where it connects', () => {
  const connects = async (uri: string, options?: AioWebSocketOptions): Promise<AioWebSocket> => {
    const aws = await AioWebSocket.connect(uri, options);
    expect(aws.state).toBe(SocketState.opened);
    aws.terminate();
    return aws;
  };

  const meets = async (host: string, options: AioWebSocketOptions): Promise<void> => {
    const server = await listens(host);
    if (server === undefined) {
      expect(host).toBe('::1'); // This machine has no IPv6 loopback: nothing to connect to.
      return;
    }
    const aws = await AioWebSocket.connect(`ws://localhost:${server.port}/`, options);
    expect(aws.remoteAddress).toEqual({
      address: host,
      port: server.port,
      family: host === '::1' ? 'IPv6' : 'IPv4',
    });
    expect(aws.localAddress?.address).toBe(host);
    aws.terminate();
    await aws.closed;
  };

  test.each([
    ['127.0.0.1', '::1'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '127.0.0.1'],
    ['::1', '::1'],
  ])('a server only on %s is found by a name that is %s first', async (host, first) => {
    const addresses = [
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ];
    if (first === '::1') addresses.reverse();
    const lookup: LookupFunction = (_host, _options, callback) => {
      setImmediate(callback as (...args: unknown[]) => void, null, addresses);
    };

    await meets(host, { lookup });
  });

  test.each(['127.0.0.1', '::1'])('a server only on %s is found at localhost', async (host) => {
    const known = await lookupAll('localhost', { all: true });
    // Where localhost does not stand for that address, there is nothing to find.
    if (!known.some(({ address }) => address === host)) return;

    await meets(host, {});
  });

  test('an IPv6 address in brackets', async () => {
    const server = await listens('::1');
    if (server === undefined) return; // This machine has no IPv6 loopback.
    await connects(`ws://[::1]:${server.port}/`);
  });

  test('a name that a custom lookup finds, given the name and the family', async () => {
    const asked: unknown[] = [];
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const lookup: LookupFunction = (host, options, callback) => {
      asked.push([host, options.family]);
      if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
      else callback(null, '127.0.0.1', 4);
    };

    await connects(`ws://no-such-name.invalid:${server.port}/`, { lookup, family: 4 });

    expect(asked).toEqual([['no-such-name.invalid', 4]]);
  });

  test('a name for which a custom lookup gives one address, as it is without `all`', async () => {
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const lookup: LookupFunction = (_host, _options, callback) => {
      callback(null, '127.0.0.1', 4);
    };

    await connects(`ws://no-such-name.invalid:${server.port}/`, { lookup });
    await connects(`ws://no-such-name.invalid:${server.port}/`, { lookup, family: 4 });
    const gives: LookupFunction = (_host, _options, callback) => {
      callback(null, [{ address: '127.0.0.1', family: 4 }]);
    };
    await connects(`ws://no-such-name.invalid:${server.port}/`, { lookup: gives, family: 4 });
  });

  test('a name whose lookup answers again, and rejects besides: only the first answer counts', async () => {
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const lookup = (async (_host, _options, callback) => {
      callback(null, '127.0.0.1', 4);
      callback(null, '127.0.0.1', 4);
      callback(new Error('no'), '', 0);
      throw new Error('nor this');
    }) as LookupFunction;

    for (const family of [0, 4] as const) {
      await connects(`ws://no-such-name.invalid:${server.port}/`, {
        lookup,
        family,
      });
    }

    expect(server.connections).toBe(2);
  });

  test('from a local address', async () => {
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const aws = await AioWebSocket.connect(server.url, { localAddress: '127.0.0.1' });

    expect(aws.localAddress).toMatchObject({ address: '127.0.0.1', family: 'IPv4' });

    aws.terminate();
    await aws.closed;
  });

  test('small frames go out at once: TCP_NODELAY is on', async () => {
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const aws = await AioWebSocket.connect(server.url);
    const setNoDelay = jest.spyOn(Object.getPrototypeOf(aws.transport), 'setNoDelay');
    const other = await AioWebSocket.connect(server.url);

    const ours = setNoDelay.mock.contexts.indexOf(other.transport);
    expect(setNoDelay.mock.calls[ours]).toEqual([true]);

    aws.terminate();
    other.terminate();
    await Promise.all([aws.closed, other.closed]);
  });
});

describe('DNS', () => {
  test('a name that is not found fails in phase dns', async () => {
    const cause = Object.assign(new Error('getaddrinfo ENOTFOUND a.example'), {
      code: 'ENOTFOUND',
    });
    const lookup: LookupFunction = (_host, _options, callback) => {
      setImmediate(callback, cause, '', 0);
    };

    const error = await failure(
      new AioWebSocket('ws://a.example:81/', { lookup }),
      ConnectionError,
    );

    expect(error).toMatchObject({ code: 'ERR_DNS', phase: 'dns', cause });
    expect(error.message).toMatch(/a\.example:81.*ENOTFOUND/);
  });

  test('a name that cannot exist fails in phase dns', async () => {
    const error = await failure(new AioWebSocket('ws://no-such-name.invalid/'), ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_DNS', phase: 'dns' });
    expect(error.message).toContain('no-such-name.invalid');
  });

  test('a lookup that fails at once fails in phase dns', async () => {
    const lookup: LookupFunction = (_host, _options, callback) => {
      callback(new Error('no'), '', 0);
    };

    const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_DNS', phase: 'dns' });
  });

  test('a lookup that throws fails in phase dns', async () => {
    const cause = new Error('a bug');
    const lookup: LookupFunction = () => {
      throw cause;
    };

    const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), Error);

    expect(error).toMatchObject({ name: 'ConnectionError', code: 'ERR_DNS', phase: 'dns', cause });
  });

  test('a lookup whose promise rejects fails in phase dns', async () => {
    const cause = new Error('a bug');
    const lookup = (() => Promise.reject(cause)) as LookupFunction;

    const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_DNS', phase: 'dns', cause });
  });

  test('a lookup that gives nonsense fails, typed', async () => {
    const lookup: LookupFunction = (_host, options, callback) => {
      if (options.all === true) callback(null, [{ address: 'nonsense', family: 4 }]);
      else callback(null, 'nonsense', 4);
    };

    const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), Error);

    expect(error).toMatchObject({ name: 'ConnectionError' });
  });
});

describe('DNS, by a lookup of the user', () => {
  test('that finds nobody fails, and does not end the process', async () => {
    const lookup: LookupFunction = (_host, _options, callback) => {
      callback(null, []);
    };

    const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_DNS', phase: 'dns' });
    expect(error.message).toMatch(/no address/);
  });

  test.each([
    ['a text', 'nope', /: "nope"$/],
    ['an object', { code: 'ENOTFOUND' }, /dns/],
    ['an error of no errors', new AggregateError([]), /dns/],
    ['an error whose message is none', Object.assign(new Error(), { message: 5 }), /: 5$/],
    ['an error of what is none', new AggregateError([undefined]), /: undefined$/],
    ['an error whose errors are none', Object.assign(new Error('x'), { errors: null }), /: x$/],
    ['an object of nothing', Object.create(null), /: an instance of Object$/],
  ])('that fails with %s does not end the process', async (_what, wrong, message) => {
    const gives: LookupFunction = (_host, _options, callback) => {
      callback(wrong as never, []);
    };
    const throws: LookupFunction = () => {
      throw wrong as Error;
    };

    for (const lookup of [gives, throws]) {
      const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), ConnectionError);

      expect(error).toMatchObject({ code: 'ERR_DNS', phase: 'dns', cause: wrong });
      expect(error.message).toMatch(message);
    }
  });

  test.each([false, '', 0])(
    'that fails with %p has failed with nothing: no address',
    async (wrong) => {
      const lookup: LookupFunction = (_host, _options, callback) => {
        callback(wrong as never, []);
      };

      const error = await failure(new AioWebSocket('ws://a.example/', { lookup }), ConnectionError);

      expect(error.message).toMatch(/no address$/);
    },
  );

  test.each([0, 4] as const)(
    'that gives what is no address fails, and does not end the process: family %p',
    async (family) => {
      for (const wrong of [['127.0.0.1'], [5], [null], 5, { address: '127.0.0.1', family: 4 }]) {
        const lookup: LookupFunction = (_host, _options, callback) => {
          callback(null, wrong as never, 4);
        };
        const aws = new AioWebSocket('ws://a.example/', { lookup, family });

        expect(await failure(aws, ConnectionError)).toMatchObject({ name: 'ConnectionError' });
      }
    },
  );

  test('that throws leaves no handle behind', async () => {
    const lookup: LookupFunction = () => {
      throw new Error('a bug');
    };
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((one) => one.startsWith('TCPS')).length;
    const before = handles();

    for (let i = 0; i < 5; i++) {
      await failure(new AioWebSocket('ws://a.example/', { lookup }), ConnectionError);
    }

    // Those of tests before may still be closing.
    while (handles() > before) await new Promise(setImmediate);
    expect(handles()).toBeLessThanOrEqual(before);
  });
});

describe('TCP', () => {
  test('a refusal fails in phase tcp', async () => {
    const port = await closedPort();

    const error = await failure(new AioWebSocket(`ws://127.0.0.1:${port}/`), ConnectionError);

    expect(error).toMatchObject({
      code: 'ERR_CONNECTION_REFUSED',
      phase: 'tcp',
      cause: { code: 'ECONNREFUSED' },
    });
    expect(error.message).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED`));
  });

  test.each([
    ['at once', (answer: () => void) => answer()],
    ['later', (answer: () => void) => setImmediate(answer)],
  ])(
    'a refusal on each address, found %s, fails in phase tcp, and tells each',
    async (_when, run) => {
      const port = await closedPort();
      const lookup: LookupFunction = (_host, _options, callback) => {
        const all = [1, 2].map((n) => ({ address: `127.0.0.${n}`, family: 4 }));
        run(() => callback(null, all));
      };

      const error = await failure(
        new AioWebSocket(`ws://many.example:${port}/`, { lookup }),
        ConnectionError,
      );

      expect(error).toMatchObject({ code: 'ERR_CONNECTION_REFUSED', phase: 'tcp' });
      expect(error.message).toMatch(/127\.0\.0\.1.*127\.0\.0\.2/);
    },
  );

  test('the stack of the error shows who called', async () => {
    const port = await closedPort();
    async function whoCalls(): Promise<void> {
      await AioWebSocket.connect(`ws://127.0.0.1:${port}/`);
    }

    const error = (await whoCalls().catch((one: unknown) => one)) as ConnectionError;

    expect(error).toBeInstanceOf(ConnectionError);
    expect(error.stack).toContain('whoCalls');
  });

  test('a local address that is not ours fails in phase tcp', async () => {
    const aws = new AioWebSocket('ws://127.0.0.1:1/', { localAddress: '192.0.2.1' });

    const error = await failure(aws, ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_CONNECTION_FAILED', phase: 'tcp' });
  });

  test('a local address that is none is an error that names the option', async () => {
    const open = async (): Promise<unknown> =>
      new AioWebSocket('ws://127.0.0.1:1/', { localAddress: 'nonsense' }).createConnection();

    await expect(open()).rejects.toThrow(/localAddress.*nonsense/);
  });
});

describe('timeout', () => {
  const times = async (aws: AioWebSocket, phase: string, ms: number): Promise<void> => {
    const started = performance.now();
    const error = await failure(aws, TimeoutError);
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', operation: 'open', phase });
    expect(error.message).toContain(`${ms} ms`);
    expect(error.message).toContain('timeout');
    expect(performance.now() - started).toBeGreaterThanOrEqual(ms - 2);
  };

  test('in phase dns', async () => {
    await times(new AioWebSocket('ws://a.example/', { lookup: silence, timeout: 80 }), 'dns', 80);
  });

  const onLinux = process.platform === 'linux' ? test : test.skip;

  /** Works while 127.0.0.1 answers nothing at the port. */
  async function withoutAnswer(work: (port: number) => Promise<void>): Promise<void> {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 });
       server.on('listening', () => {
         parentPort.postMessage(server.address().port);
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
       });`,
      { eval: true },
    );
    const [port] = (await once(worker, 'message')) as [number];
    const { connect } = await import('node:net');
    // Nobody accepts: these fill the backlog.
    const fillers = Array.from({ length: 6 }, () =>
      connect(port, '127.0.0.1').on('error', () => undefined),
    );
    try {
      await work(port);
    } finally {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    }
  }

  // Only there it is known that a listener whose backlog is full answers nothing.
  onLinux('in phase tcp', async () => {
    await withoutAnswer(async (port) => {
      await times(new AioWebSocket(`ws://127.0.0.1:${port}/`, { timeout: 300 }), 'tcp', 300);
    });
  });

  onLinux(
    'of one address of several, autoSelectFamilyAttemptTimeout: the next is tried',
    async () => {
      const lookup: LookupFunction = (_host, _options, callback) => {
        const all = [1, 2].map((n) => ({ address: `127.0.0.${n}`, family: 4 }));
        callback(null, all);
      };
      const byDefault = getDefaultAutoSelectFamilyAttemptTimeout();
      setDefaultAutoSelectFamilyAttemptTimeout(60_000);
      try {
        await withoutAnswer(async (port) => {
          const server = createServer((socket) => void shakeHands(socket)).listen(
            port,
            '127.0.0.2',
          );
          await once(server, 'listening');

          try {
            const aws = await AioWebSocket.connect(`ws://several.example:${port}/`, {
              lookup,
              autoSelectFamilyAttemptTimeout: 10,
              timeout: 3000,
            });

            expect(aws.remoteAddress?.address).toBe('127.0.0.2');
            aws.terminate();
          } finally {
            server.close();
          }
          await once(server, 'close');
        });
      } finally {
        setDefaultAutoSelectFamilyAttemptTimeout(byDefault);
      }
    },
  );

  test('in phase tls', async () => {
    const server = await RawServer.listen(() => undefined);
    const uri = `wss://127.0.0.1:${server.port}/`;

    await times(new AioWebSocket(uri, { timeout: 200 }), 'tls', 200);

    await server.emptied();
  });

  test('in phase handshake, with no answer and with half of one', async () => {
    const server = await RawServer.listen(async (socket) => {
      await readHead(socket);
      if (server.connections > 1) socket.write('HTTP/1.1 101 Swi');
    });

    await times(new AioWebSocket(server.url, { timeout: 200 }), 'handshake', 200);
    await times(new AioWebSocket(server.url, { timeout: 200 }), 'handshake', 200);

    await server.emptied();
  });

  test('of 0 is no limit', async () => {
    const server = await RawServer.listen(async (socket) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await shakeHands(socket);
    });

    const aws = await AioWebSocket.connect(server.url, { timeout: 0 });

    aws.terminate();
    await aws.closed;
  });
});
