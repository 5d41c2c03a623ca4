/** The command behind `npm start`: in process, and as the program that it is. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { AioWebSocket, Frames, InvalidURI } from 'aiowebsocket';
import { WebSocketServer, type WebSocket } from 'ws';
import { parseArguments, UsageError } from '../lib/cli/arguments.js';
import { EchoServer } from '../lib/cli/echo-server.js';
import { printable, printableMessage, timestamp } from '../lib/cli/printable.js';
import { EXIT, run } from '../lib/cli/run.js';
import { binary, close, frame, pong, readFrames, text } from './helpers/frames.js';
import { closeServers, RawServer } from './helpers/raw-server.js';

const MESSAGE = 'AioWebSocket - Async WebSocket Client';
const root = join(__dirname, '..');

const servers: WebSocketServer[] = [];
const children: ChildProcess[] = [];
const echoServers: EchoServer[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
  await Promise.all(echoServers.splice(0).map((server) => server.close()));
  await closeServers();
});

/** The close codes that the server of {@link serve} gets from its first connection. */
let closes: Promise<number[]>;

/** A `ws` server; `onConnection` says what it does. */
async function serve(
  onConnection: (socket: WebSocket, request: IncomingMessage) => void,
): Promise<string> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  servers.push(server);
  server.on('connection', onConnection);
  closes = once(server, 'connection').then(async ([socket]) => {
    const [code] = await once(socket as WebSocket, 'close');
    return [code as number];
  });
  await once(server, 'listening');
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const echo = (socket: WebSocket): void => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
};

interface Outcome {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

/** Runs the command in this process. */
async function runHere(args: string[], signal = new AbortController().signal): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    signal,
  });
  return { code, out, err };
}

/** What it prints for a message and its answer, the times taken out. */
const pair = (sent: string, received = sent): string[] => [
  `-Client send: ${sent}`,
  `-Client receive: ${received}`,
];

/** The lines without their times, which have to be there. */
function untimed(lines: readonly string[]): string[] {
  return lines.map((line) => {
    expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d-/);
    return line.slice('2019-03-05 18:46:23'.length);
  });
}

describe('in process', () => {
  test('without a URI it talks to a server of its own, five times', async () => {
    const { code, out, err } = await runHere([]);

    expect(untimed(out)).toEqual(Array.from({ length: 5 }, () => pair(MESSAGE)).flat());
    expect(err).toEqual([]);
    expect(code).toBe(EXIT.ok);
  });

  test('with a URI it talks to that server, and closes with 1000', async () => {
    const requests: IncomingMessage[] = [];
    const uri = await serve((socket, request) => {
      requests.push(request);
      echo(socket);
    });
    const args = ['--message', 'hé', '--count=2', '--header', 'X-A: 1', '--header', 'x-a:2'];

    const { code, out } = await runHere([...args, '--header', 'User-Agent: me', `${uri}/path?q`]);

    expect(untimed(out)).toEqual([...pair('hé'), ...pair('hé')]);
    expect(code).toBe(EXIT.ok);
    expect(await closes).toEqual([1000]);
    expect(requests.map(({ url }) => url)).toEqual(['/path?q']);
    expect(requests[0]?.headersDistinct['x-a']).toEqual(['1', '2']);
    expect(requests[0]?.headers['user-agent']).toBe('me');
  });

  test('prints a greeting, and more than one answer, as they come', async () => {
    const uri = await serve((socket) => {
      socket.send('welcome');
      socket.on('message', () => {
        socket.send('one');
        socket.send('two');
      });
    });

    const { code, out } = await runHere(['--count', '2', uri]);

    expect(out.length).toBeGreaterThanOrEqual(4);
    expect(untimed(out).slice(0, 2)).toEqual(pair(MESSAGE, 'welcome'));
    expect(code).toBe(EXIT.ok);
  });

  test('gives up on a server that does not answer', async () => {
    const uri = await serve(() => undefined);

    expect(await runHere(['--timeout', '50', uri])).toMatchObject({
      code: EXIT.failed,
      out: [expect.stringContaining('-Client send: ')],
      err: ['aiowebsocket: no message came within 50 ms'],
    });
  });

  test('tells when the server closes instead of answering', async () => {
    const uri = await serve((socket) => {
      socket.on('message', () => socket.close(4001, 'no \u001b[31mmore'));
    });

    const { code, err } = await runHere([uri]);

    expect(code).toBe(EXIT.failed);
    expect(err).toEqual([expect.stringMatching(/^aiowebsocket: .*4001.*no \\+u001b\[31mmore/)]);
  });

  test.each([
    ['nobody listens', ['ws://127.0.0.1:1'], EXIT.failed, /cannot connect to 127\.0\.0\.1:1/],
    ['a URI of HTTP', ['http://127.0.0.1'], EXIT.failed, /ws:\/\/ .*"http:\/\/127\.0\.0\.1"/],
    ['no URI at all', ['localhost'], EXIT.failed, /ws:\/\/ .*"localhost"/],
    ['an unknown option', ['--loud'], EXIT.usage, /Unknown option '--loud'; see --help/],
    ['an option without its value', ['--message'], EXIT.usage, /'--message <value>'/],
    ['a value like an option', ['--message', '--count'], EXIT.usage, /ambiguous.*--message=-XYZ/],
    ['two URIs', ['ws://a', 'ws://b'], EXIT.usage, /one URI is enough, got "ws:\/\/b" as well/],
    ['a header without a colon', ['--header', 'a b'], EXIT.usage, /--header must be 'Name: value'/],
    ['a header without a name', ['--header', ': b'], EXIT.usage, /--header must be 'Name: value'/],
    [
      'a header with a line end',
      ['--header', 'A: b\r\nC: d'],
      EXIT.failed,
      /unionHeader.*control characters/,
    ],
    ['a count of nothing', ['--count', '0'], EXIT.usage, /--count must be a whole number from 1/],
    ['a count that is none', ['--count', '1e3'], EXIT.usage, /--count must .* got "1e3"/],
    ['too long a time', ['--timeout', '9999999999'], EXIT.usage, /--timeout must .* to 2147483647/],
  ])('one line for %s', async (_what, args, expected, line) => {
    const { code, out, err } = await runHere(args);

    expect(err).toEqual([expect.stringMatching(line)]);
    expect(err[0]).toMatch(/^aiowebsocket: \P{Cc}+$/u);
    expect(out).toEqual([]);
    expect(code).toBe(expected);
  });

  test('one line for a refusal by the server', async () => {
    const server = await RawServer.listen((socket) => {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    });

    expect(await runHere([server.url])).toEqual({
      code: EXIT.failed,
      out: [],
      err: ['aiowebsocket: the server answered with HTTP 403 Forbidden, not 101'],
    });
  });

  test('hides the password of a URI that cannot be', async () => {
    const { err } = await runHere(['ws://me:secret@host:99999/']);

    expect(err).toHaveLength(1);
    expect(err[0]).not.toContain('secret');
  });

  test('help tells every option', async () => {
    const { code, out } = await runHere(['--help', '--count', '3']);

    for (const option of ['--message', '--count', '--header', '--timeout', '--help']) {
      expect(out.join()).toContain(option);
    }
    expect(code).toBe(EXIT.ok);
  });

  test('what the server sends cannot command the terminal', async () => {
    const uri = await serve((socket) => {
      socket.on('message', () => socket.send('\u001b]0;owned\u0007\u001b[2J\r\nnext\u009b31m'));
    });

    const { out } = await runHere(['--count', '1', uri]);

    expect(untimed(out)[1]).toBe(
      String.raw`-Client receive: \x1b]0;owned\x07\x1b[2J\r\nnext\x9b31m`,
    );
  });

  test('an interrupt closes the connection', async () => {
    const controller = new AbortController();
    const uri = await serve((socket) => socket.on('message', () => controller.abort()));

    const { code, err } = await runHere([uri], controller.signal);

    expect({ code, err }).toEqual({ code: EXIT.interrupted, err: [] });
    expect(await closes).toEqual([1000]);
  });

  test('an interrupt ends an attempt to connect', async () => {
    const controller = new AbortController();
    const server = await RawServer.listen(() => controller.abort());

    const { code, err } = await runHere([server.url], controller.signal);

    expect({ code, err }).toEqual({ code: EXIT.interrupted, err: [] });
  });

  test('what is thrown and is no error is told as well', async () => {
    jest.spyOn(AioWebSocket, 'connect').mockRejectedValue('a string');

    expect((await runHere(['ws://127.0.0.1:1'])).err).toEqual(['aiowebsocket: a string']);
  });
});

describe('arguments', () => {
  test('have defaults', () => {
    expect(parseArguments([])).toEqual({
      uri: undefined,
      headers: {},
      message: MESSAGE,
      count: 5,
      timeout: 10_000,
    });
  });

  test('keep all values of a header, by the name that came first', () => {
    const args = ['X-A: 1', '__proto__: p', 'x-a:  2 ', 'B:', 'X-A: a: b'];

    const job = parseArguments(args.flatMap((line) => ['--header', line]));

    expect(Object.entries((job as { headers: object }).headers)).toEqual([
      ['X-A', ['1', '2', 'a: b']],
      ['__proto__', ['p']],
      ['B', ['']],
    ]);
  });

  test('are wrong in two ways', () => {
    expect(() => parseArguments(['--loud'])).toThrow(UsageError);
    expect(() => parseArguments(['ftp://x'])).toThrow(InvalidURI);
  });
});

describe('what is printed', () => {
  test.each([
    ['plain', 'AioWebSocket – 彭公公 🎉 👩‍👩‍👧', 'AioWebSocket – 彭公公 🎉 👩‍👩‍👧'],
    ['control characters', '\0\t\n\r\u007f\u0085', String.raw`\x00\t\n\r\x7f\x85`],
    ['line separators', 'a\u2028b\u2029', String.raw`a\u2028b\u2029`],
    ['turned direction', '\u202eevil\u2066', String.raw`\u202eevil\u2066`],
    ['half a character', 'a\ud800b', String.raw`a\ud800b`],
  ])('%s', (_what, raw, shown) => {
    expect(printable(raw)).toBe(shown);
  });

  test('binary in hexadecimal, the first 64 bytes of it', () => {
    expect(printableMessage('a\u0000')).toBe(String.raw`a\x00`);
    expect(printableMessage(Buffer.from([1, 0xff]))).toBe('<2 bytes: 01ff>');
    expect(printableMessage(Buffer.alloc(65))).toBe(`<65 bytes: ${'00'.repeat(64)}…>`);
  });

  test('the time as the original has it', () => {
    expect(timestamp(new Date(2019, 2, 5, 8, 6, 3))).toBe('2019-03-05 08:06:03');
  });
});

describe('the echo server', () => {
  async function listen(): Promise<EchoServer> {
    const server = await EchoServer.listen();
    echoServers.push(server);
    return server;
  }

  /** Opens a connection by hand, writes frames, and gives what comes back until the end. */
  async function exchange(...writes: Uint8Array[]): Promise<Buffer> {
    const server = await listen();
    const socket: Socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    for (const bytes of writes) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.write(bytes);
    }
    await once(socket, 'close');
    const all = Buffer.concat(chunks);
    expect(all.toString('latin1')).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    return all.subarray(all.indexOf('\r\n\r\n') + 4);
  }

  const mask = Buffer.from('37fa213d', 'hex');

  test.each([0, 1, 125, 126, 65_535, 65_536, 200_000])('echoes %i bytes', async (length) => {
    const server = await listen();
    const sent = Buffer.alloc(length, 'ä');

    const received = await AioWebSocket.connect(server.url, async ({ manipulator }) => {
      await manipulator.send(sent);
      return manipulator.receive();
    });

    expect(sent.equals(received as Buffer)).toBe(true);
  });

  test('echoes text, fragments and pings, however they are cut', async () => {
    const wire = Buffer.concat([
      frame({ payload: 'Hel', fin: false, mask }),
      frame({ opcode: 0x9, payload: 'ping', mask }),
      frame({ opcode: 0x0, payload: 'lo', mask }),
      frame({ opcode: 0xa, mask }),
      frame({ opcode: 0x2, payload: 'bytes', mask }),
      frame({ opcode: 0x8, payload: Buffer.from([0x03, 0xe8]), mask }),
    ]);
    const expected = Buffer.concat([
      text('Hel', false),
      pong('ping'),
      frame({ opcode: 0x0, payload: 'lo' }),
      binary('bytes'),
      close(1000),
    ]);

    expect(await exchange(wire)).toEqual(expected);
    expect(await exchange(...Array.from(wire, (byte) => Buffer.from([byte])))).toEqual(expected);
  });

  test.each([
    ['bytes that are not masked', text('hi'), close(1002)],
    ['a frame beyond measure', frame({ length: 2 ** 40, mask }), close(1009)],
  ])('refuses %s', async (_what, wire, expected) => {
    expect(await exchange(wire)).toEqual(expected);
  });

  test('tells a browser that it speaks WebSocket only', async () => {
    const server = await listen();

    const response = await fetch(server.url.replace('ws', 'http'));
    await response.text();

    expect(response.status).toBe(426);
  });

  test('ends with the connections that are left, and survives a reset', async () => {
    const server = await EchoServer.listen();
    const left = await AioWebSocket.connect(server.url);
    const reset = await AioWebSocket.connect(server.url);
    (reset.transport as Socket).resetAndDestroy();
    await reset.closed;

    await server.close();

    expect((await left.closed).code).toBe(1006);
  });

  test('its answers to a client of our own are as Frames packs them', async () => {
    const wire = new Frames(() => undefined).packMessage(true, 0x1, 'masked');

    expect(readFrames(wire)[0]?.payload.toString()).toBe('masked');
    expect(await exchange(wire, frame({ opcode: 0x8, mask }))).toEqual(
      Buffer.concat([text('masked'), close()]),
    );
  });
});

describe('as a program', () => {
  beforeAll(async () => {
    const [code] = await once(
      spawn(process.execPath, [join(root, 'tools', 'build.mjs'), '--quiet'], { stdio: 'inherit' }),
      'close',
    );
    expect(code).toBe(0);
  }, 120_000);

  function start(...args: string[]): ChildProcess & { outcome: Promise<Outcome> } {
    const child = spawn(process.execPath, [join(root, 'dist/esm/cli/main.js'), ...args]);
    children.push(child);
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
    const lines = (all: string): string[] => (all === '' ? [] : all.replace(/\n$/, '').split('\n'));
    const outcome = once(child, 'close').then(([code]) => ({
      code: code as number,
      out: lines(out),
      err: lines(err),
    }));
    return Object.assign(child, { outcome });
  }

  test('prints five pairs, and exits with 0', async () => {
    const { code, out, err } = await start().outcome;

    expect(untimed(out)).toEqual(Array.from({ length: 5 }, () => pair(MESSAGE)).flat());
    expect(err).toEqual([]);
    expect(code).toBe(0);
  });

  test('one line and no stack trace for a server that cannot be reached', async () => {
    const { code, out, err } = await start('ws://127.0.0.1:1').outcome;

    expect(err).toEqual([expect.stringMatching(/^aiowebsocket: cannot connect to 127\.0\.0\.1:1/)]);
    expect(out).toEqual([]);
    expect(code).toBe(1);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('closes on %s', async (signal) => {
    const uri = await serve((socket) => socket.on('message', () => child.kill(signal)));
    const child = start(uri);

    const { code, err } = await child.outcome;

    expect({ code, err }).toEqual({ code: 130, err: [] });
    expect(await closes).toEqual([1000]);
  });

  test('ends quietly when nobody reads what it prints', async () => {
    const child = start('--count', '1000000');
    await once(child.stdout!, 'data');
    child.stdout!.destroy();

    const { code, err } = await child.outcome;

    expect({ code, err }).toEqual({ code: 130, err: [] });
  });

  test('is its own main function, wired to the process', async () => {
    const { argv } = process;
    const logged = jest.spyOn(console, 'log').mockImplementation();
    const complained = jest.spyOn(console, 'error').mockImplementation();
    const before = ['SIGINT', 'SIGTERM'].map((name) => process.listeners(name as 'SIGINT'));
    const main = async (...args: string[]): Promise<void> => {
      process.argv = [process.execPath, 'main.js', ...args];
      await jest.isolateModulesAsync(async () => {
        await import('../lib/cli/main.js');
      });
      await new Promise(setImmediate);
    };
    try {
      await main('--help');
      expect(logged).toHaveBeenCalledWith(expect.stringContaining('Usage:'));
      expect(process.exitCode).toBe(0);
      await main('--loud');
      expect(complained).toHaveBeenCalledWith(expect.stringContaining('--loud'));
      expect(process.exitCode).toBe(2);
    } finally {
      process.argv = argv;
      process.exitCode = undefined;
      process.stdout.removeAllListeners('error');
      for (const [i, name] of (['SIGINT', 'SIGTERM'] as const).entries()) {
        for (const listener of process.listeners(name)) {
          if (!before[i]!.includes(listener)) process.off(name, listener);
        }
      }
    }
  });
});
