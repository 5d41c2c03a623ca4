/** Runs every example as its reader does, and looks at what it prints and at what the server saw. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { acceptance, closeServers, RawServer, readHead } from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

const root = join(__dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'aiowebsocket-examples-'));
const children: ChildProcess[] = [];
/** The server of the examples themselves. */
let server: Example;
let url: string;

interface Example {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly complaints: string[];
  readonly ended: Promise<number | null>;
}

function start(name: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Example {
  const child = spawn(process.execPath, [join(root, 'examples', 'run.mjs'), name, ...args], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  children.push(child);
  const lines: string[] = [];
  const complaints: string[] = [];
  const gather = (into: string[]) => {
    let rest = '';
    return (chunk: string): void => {
      const parts = `${rest}${chunk}`.split('\n');
      rest = parts.pop() ?? '';
      into.push(...parts);
    };
  };
  child.stdout.setEncoding('utf8').on('data', gather(lines));
  child.stderr.setEncoding('utf8').on('data', gather(complaints));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, lines, complaints, ended };
}

/** Runs an example to its end, which has to be a good one. */
async function finish(name: string, ...args: string[]): Promise<string[]> {
  const { lines, complaints, ended } = start(name, args);
  const code = await ended;
  expect({ code, complaints }).toEqual({ code: 0, complaints: [] });
  return lines;
}

beforeAll(async () => {
  server = start('server', ['0']);
  // Builds first, if need be.
  await once(server.child.stdout!, 'data');
  url = server.lines[0]!.replace('listening on ', '');
}, 120_000);

afterAll(async () => {
  server.child.kill('SIGINT');
  expect(await server.ended).toBe(0);
  expect(server.complaints).toEqual([]);
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

afterEach(closeServers);

test('README.md names every example', () => {
  const names = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));
  const readme = readFileSync(join(root, 'examples', 'README.md'), 'utf8');

  expect(names.filter((name) => !readme.includes(`](${name})`))).toEqual([]);
});

test('without a name, the runner tells the names', async () => {
  const { complaints, ended } = start('nothing');

  expect(await ended).toBe(2);
  expect(complaints).toEqual([expect.stringMatching(/^Usage: .*collector \| .* \| ws \| wss>/)]);
});

test('ws: five pairs', async () => {
  const lines = await finish('ws', url);

  expect(lines).toHaveLength(10);
  for (const [i, line] of lines.entries()) {
    const what = i % 2 === 0 ? 'send' : 'receive';
    expect(line).toMatch(
      new RegExp(`^[-0-9]{10} [:0-9]{8}-Client ${what}: AioWebSocket - Async WebSocket Client$`),
    );
  }
});

test('wss: an answer over TLS, with the certificate it was given', async () => {
  const authority = makeCertificate('authority', { isAuthority: true });
  const { cert, key } = makeCertificate('127.0.0.1', { names: ['127.0.0.1'], issuer: authority });
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, authority.cert);
  const https = createServer({ cert, key });
  const secure = new WebSocketServer({ server: https });
  secure.on('connection', (socket) =>
    socket.on('message', (data, binary) => socket.send(data, { binary })),
  );
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  const uri = `wss://127.0.0.1:${(https.address() as AddressInfo).port}`;
  try {
    expect(await finish('wss', uri, ca)).toEqual([
      'Client receive: AioWebSocket - Async WebSocket Client',
    ]);
    const untrusting = start('wss', [uri]);
    expect(await untrusting.ended).not.toBe(0);
    expect(untrusting.complaints.join('\n')).toContain('ERR_TLS');
  } finally {
    secure.close();
    https.close();
  }
});

test('header-list: the request byte for byte', async () => {
  let head = '';
  const raw = await RawServer.listen(async (socket) => {
    head = await readHead(socket);
    socket.write(acceptance(head));
    socket.write(Buffer.from('810568656c6c6f', 'hex'));
    socket.resume().on('data', (chunk: Buffer) => {
      if ((chunk[0]! & 0x0f) === 0x8) socket.end(Buffer.from('880203e8', 'hex'));
    });
  });

  const lines = await finish('header-list', `${raw.url}/ajaxchattest`);

  expect(lines).toEqual(['Status: 101', 'Client receive: hello']);
  expect(head).toBe(
    [
      'GET /ajaxchattest HTTP/1.1',
      'Connection: Upgrade',
      `Host: 127.0.0.1:${raw.port}`,
      'Origin: http://coolaf.com',
      'Sec-WebSocket-Key: RmDgZzaqqvC4hGlWBsEmwQ==',
      'Sec-WebSocket-Version: 13',
      'Upgrade: websocket',
      '',
      '',
    ].join('\r\n'),
  );
});

test('union-header: fields replaced, removed and added', async () => {
  const own = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  let request: IncomingMessage | undefined;
  own.on('connection', (socket, got) => {
    request = got;
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  await once(own, 'listening');
  try {
    const lines = await finish(
      'union-header',
      `ws://127.0.0.1:${(own.address() as AddressInfo).port}`,
    );

    expect(lines).toEqual(['Client receive: AioWebSocket - Async WebSocket Client']);
    expect(request?.headers).toMatchObject({
      'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)',
      cookie: 'session=a1b2c3',
      'x-trace': 'one, two',
    });
    expect(request?.headers).not.toHaveProperty('origin');
  } finally {
    own.close();
  }
});

test('events: all of them, in order', async () => {
  expect(await finish('events', url)).toEqual([
    'state: connecting',
    'handshake: 101 Switching Protocols',
    'state: opened',
    `open: ${url}/`,
    'message: "text"',
    'message: <Buffer 62 79 74 65 73>',
    'pong: in time',
    'state: closing',
    'state: closed',
    'close: 1000 CLOSE_NORMAL "" true',
  ]);
});

test('events: a server that cannot be reached', async () => {
  const { lines, complaints, ended } = start('events', ['ws://127.0.0.1:1']);

  expect(await ended).toBe(1);
  expect(complaints).toEqual([expect.stringContaining('error: cannot connect to 127.0.0.1:1')]);
  expect(lines.at(-1)).toBe('close: 1006 CLOSE_ABNORMAL "" false');
});

test('for-await: ends with the feed', async () => {
  expect(await finish('for-await', `${url}/feed?count=3&interval=5`)).toEqual([
    '{"tick":1}',
    '{"tick":2}',
    '{"tick":3}',
    '3 messages, closed with 1000',
  ]);
});

test('for-await: tells when the feed breaks off', async () => {
  const raw = await RawServer.listen(async (socket) => {
    socket.write(acceptance(await readHead(socket)));
    socket.end();
  });
  const { complaints, ended } = start('for-await', [raw.url]);

  expect(await ended).toBe(1);
  expect(complaints).toEqual([expect.stringMatching(/^ERR_CLOSED: .*1006/)]);
});

test('signed-handshake: accepted with the right secret, refused with another', async () => {
  const uri = `${url}/signed?a=b`;
  expect(await finish('signed-handshake', uri)).toEqual([
    'Client receive: AioWebSocket - Async WebSocket Client',
  ]);

  const { complaints, ended } = start('signed-handshake', [uri], { API_SECRET: 'wrong' });
  expect(await ended).toBe(1);
  expect(complaints).toEqual(['refused: 401 Unauthorized']);
});

test('login: before open, or not at all', async () => {
  expect(await finish('login', `${url}/login`)).toEqual(['logged in as aladdin']);

  const { lines, complaints, ended } = start('login', [`${url}/login`, 'wrong']);
  expect(await ended).toBe(1);
  expect(complaints).toEqual(['login failed: unknown token']);
  expect(lines).toEqual([]);
});

test('collector: saves JSON lines until Ctrl-C', async () => {
  const path = join(folder, 'feed.jsonl');
  const { child, lines, complaints, ended } = start('collector', [`${url}/feed?interval=5`, path]);
  const saved = (): string[] => {
    try {
      return readFileSync(path, 'utf8').split('\n').slice(0, -1);
    } catch {
      return [];
    }
  };
  while (saved().length < 5) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGINT');
  const code = await ended;

  expect({ code, complaints }).toEqual({ code: 0, complaints: [] });
  const records = saved().map((line) => JSON.parse(line));
  expect(lines).toEqual([`${records.length} messages in ${path}`]);
  for (const [i, record] of records.entries()) {
    expect(record).toEqual({
      received: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      message: JSON.stringify({ tick: i + 1 }),
    });
  }
});

test('collector: tells why a feed ended', async () => {
  const { lines, complaints, ended } = start('collector', [`${url}/feed?interval=5&count=2`]);

  expect(await ended).toBe(1);
  expect(complaints).toEqual([expect.stringMatching(/^ConnectionClosedOK: .*1000 \("no more"\)/)]);
  expect(lines).toEqual(['2 messages in feed.jsonl']);
});
