/** Advisories about the opening handshake and TLS: each test is named after its source. */
import type { Socket } from 'node:net';
import {
  AioWebSocket,
  ConnectionError,
  HandShakeError,
  InvalidURI,
  TimeoutError,
  type AioWebSocketOptions,
} from 'aiowebsocket';
import { failure } from './helpers/opening.js';
import {
  acceptance,
  acceptKey,
  closeServers,
  fieldOf,
  RawServer,
  readHead,
  shakeHands,
} from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

afterEach(closeServers);

/** Opens to a server that does this, which has to fail. */
async function refused(
  serve: (socket: Socket) => unknown,
  options?: AioWebSocketOptions,
): Promise<HandShakeError> {
  const { url } = await RawServer.listen(serve);
  return failure(new AioWebSocket(url, options), HandShakeError);
}

const answer =
  (fields: Record<string, string | string[]>) =>
  (socket: Socket): Promise<string> =>
    shakeHands(socket, fields);

describe('CVE-2023-43669 tungstenite: a huge header, dripped', () => {
  const drip =
    (bytes: string) =>
    async (socket: Socket): Promise<void> => {
      await readHead(socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\n');
      while (!socket.destroyed) {
        socket.write(bytes);
        await new Promise(setImmediate);
      }
    };

  test('ends at the cap on bytes', async () => {
    const error = await refused(drip('X'), { maxHeadBytes: 3000 });
    expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_LIMIT' });
    expect(error.message).toContain('3000 bytes (maxHeadBytes)');
  });

  test('ends at the cap on fields', async () => {
    expect((await refused(drip('a: b\r\n'))).message).toContain('256 fields (maxHeadFields)');
  });

  test('ends with the time for opening', async () => {
    const { url } = await RawServer.listen(async (socket) => {
      await readHead(socket);
      const timer = setInterval(() => socket.write('X'), 10);
      socket.on('close', () => {
        clearInterval(timer);
      });
      socket.write('HTTP/1.1 101 Switching Protocols\r\nX: ');
    });
    await failure(new AioWebSocket(url, { timeout: 200 }), TimeoutError);
  });

  test('is not parsed anew with each byte', async () => {
    const before = process.cpuUsage().user;
    await refused(drip('X'.repeat(16)), { maxHeadBytes: 300_000 });
    expect(process.cpuUsage().user - before).toBeLessThan(8_000_000);
  });
});

test('CVE-2024-37890 ws: 2,000 headers are a clean error', async () => {
  const fields = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`X-${i}`, '1']));

  const error = await refused(answer(fields));

  expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_LIMIT', status: 101 });
});

test.each(['Accept', 'Protocol', 'Extensions', 'Version'].map((name) => `Sec-WebSocket-${name}`))(
  'CVE-2026-55517 Deno: bytes 0x80-0xFF in %s are an error, or no matter, and no crash',
  async (name) => {
    const serve = async (socket: Socket): Promise<void> => {
      const wrong = acceptance(await readHead(socket), { [name]: '\x80\xc3\x28\xff' });
      socket.write(wrong, 'latin1');
    };
    if (!name.endsWith('Version')) {
      await refused(serve, { protocols: ['a'], compression: true });
      return;
    }
    const { url } = await RawServer.listen(serve);
    const aws = await AioWebSocket.connect(url);
    aws.terminate();
    await aws.closed;
  },
);

test('GHSA-rfgv-xxqx-mfg5 undici: a subprotocol when none was requested fails the handshake', async () => {
  const error = await refused(answer({ 'Sec-WebSocket-Protocol': 'chat' }));
  expect(error.code).toBe('ERR_HANDSHAKE_SUBPROTOCOL');
});

test.each([
  ['GHSA-rwhr-j9rv-85f8 AHC: of another key', () => acceptKey('AAAAAAAAAAAAAAAAAAAAAA==')],
  ['websocket-client: in another case', (key: string) => acceptKey(key).toLowerCase()],
  ['websocket-client: in upper case', (key: string) => acceptKey(key).toUpperCase()],
  ['GHSA-rwhr-j9rv-85f8 AHC: empty', () => ''],
])('a wrong Sec-WebSocket-Accept fails, and nothing is sent after: %s', async (_what, make) => {
  const after: Buffer[] = [];
  const error = await refused(async (socket) => {
    const head = await readHead(socket);
    socket.on('data', (chunk: Buffer) => after.push(chunk));
    const key = fieldOf(head, 'sec-websocket-key') ?? '';
    socket.write(acceptance(head, { 'Sec-WebSocket-Accept': make(key) }));
    await new Promise((resolve) => socket.on('close', resolve).resume());
  });

  expect(error.code).toBe('ERR_HANDSHAKE_ACCEPT');
  expect(after).toEqual([]);
});

test.each(['', 'Content-Length: 1000000000000\r\n', 'Transfer-Encoding: chunked\r\n'])(
  'websocket-client: an endless body of a failed handshake is capped (%j)',
  async (field) => {
    const error = await refused(async (socket) => {
      await readHead(socket);
      socket.write(`HTTP/1.1 403 Forbidden\r\n${field}\r\n`);
      const piece = Buffer.alloc(100_000, 'x');
      while (!socket.destroyed) {
        if (field.startsWith('T')) socket.write(`${piece.length.toString(16)}\r\n`);
        socket.write(piece);
        if (field.startsWith('T')) socket.write('\r\n');
        await new Promise(setImmediate);
      }
    });

    expect(error).toMatchObject({ code: 'ERR_HANDSHAKE_STATUS', status: 403 });
    expect(error.body).toHaveLength(65_536);
  },
);

describe('linear time', () => {
  const quickly = async (fields: Record<string, string>): Promise<void> => {
    const before = process.cpuUsage().user;
    await refused(answer(fields), {
      compression: true,
      protocols: ['b'],
      maxHeadBytes: 2_000_000,
    });
    expect(process.cpuUsage().user - before).toBeLessThan(2_000_000);
  };

  test.each(['a; b="', 'permessage-deflate; server_max_window_bits="'])(
    String.raw`CVE-2020-7662: Sec-WebSocket-Extensions: %s\c\c\c…`,
    async (start) => {
      await quickly({ 'Sec-WebSocket-Extensions': start + String.raw`\c`.repeat(400_000) });
      await quickly({ 'Sec-WebSocket-Extensions': `${start}${' '.repeat(900_000)}x` });
    },
  );

  test('CVE-2021-32640 ws: Sec-WebSocket-Protocol: b, many spaces, x', async () => {
    await quickly({ 'Sec-WebSocket-Protocol': `b${' '.repeat(900_000)}x` });
  });
});

describe.each(['CVE-2026-47072 hackney', 'CVE-2026-1527 undici'])('%s', () => {
  describe.each([
    ['CR LF', 'a\r\nX-Evil: 1'],
    ['CR', 'a\rb'],
    ['LF', 'a\nb'],
    ['NUL', 'a\0b'],
  ])('%s is thrown before connecting', (_what, evil) => {
    test('in host and path', () => {
      for (const uri of [`ws://${evil}/`, `ws://localhost/${evil}`, `ws://localhost/?${evil}`]) {
        expect(() => new AioWebSocket(uri)).toThrow(InvalidURI);
      }
    });

    test.each<[string, AioWebSocketOptions]>([
      ['a header value', { headers: { 'X-A': evil } }],
      ['a header name', { headers: { [evil]: 'a' } }],
      ['a value of a list', { headers: { 'X-A': ['a', evil] } }],
      ['a line', { headers: [`X-A: ${evil}`] }],
      ['unionHeader', { unionHeader: { 'X-A': evil } }],
      ['the name of unionHeader', { unionHeader: { [evil]: 'a' } }],
      ['origin', { origin: evil }],
      ['protocols', { protocols: [evil] }],
    ])('in %s', (_where, options) => {
      expect(() => new AioWebSocket('ws://localhost/', options)).toThrow(TypeError);
    });
  });
});

describe.each(['CVE-2020-11050', 'CVE-2020-15133'])('%s', () => {
  const authority = makeCertificate('Authority', { isAuthority: true });
  const elsewhere = makeCertificate('elsewhere', { issuer: authority, names: ['example.com'] });
  const stranger = makeCertificate('localhost', { names: ['localhost', '127.0.0.1'] });

  test.each([
    ['a certificate of another host', elsewhere],
    ['a certificate that nobody trusted has signed', stranger],
  ])('%s is rejected, before a byte of the request goes out', async (_what, { cert, key }) => {
    const got: Buffer[] = [];
    const server = await RawServer.listen((socket) => socket.on('data', (data) => got.push(data)), {
      tls: { cert, key },
    });

    const aws = new AioWebSocket(`wss://127.0.0.1:${server.port}/`, {
      ssl: { ca: authority.cert },
    });

    expect(await failure(aws, ConnectionError)).toMatchObject({ code: 'ERR_TLS', phase: 'tls' });
    expect(got).toEqual([]);
  });
});
