/** The server's answer, and what RFC 6455 sections 4.1 and 4.2.2 ask of it. */
import { inspect } from 'node:util';
import {
  AioWebSocket,
  HandShake,
  HandShakeError,
  parseUri,
  type AioWebSocketOptions,
  type HandShakeResponse,
} from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { close, text } from './helpers/frames.js';
import { failure } from './helpers/opening.js';
import { acceptance, acceptKey, closeServers, RawServer, readHead } from './helpers/raw-server.js';

afterEach(closeServers);

type Fields = Parameters<typeof acceptance>[1];

/** A server that answers each request so. */
const answering = (answer: (head: string) => string | Buffer): Promise<RawServer> =>
  RawServer.listen(async (socket) => {
    socket.write(answer(await readHead(socket)));
  });

async function fails(fields: Fields, options?: AioWebSocketOptions): Promise<HandShakeError> {
  const server = await answering((head) => acceptance(head, fields));
  const error = await failure(new AioWebSocket(server.url, options), HandShakeError);
  await server.emptied();
  expect(error).toMatchObject({ phase: 'handshake', status: 101, body: undefined });
  return error;
}

async function opens(fields: Fields, options?: AioWebSocketOptions): Promise<HandShakeResponse> {
  const server = await answering((head) => acceptance(head, fields));
  const aws = await AioWebSocket.connect(server.url, options);
  aws.terminate();
  await aws.closed;
  return aws.response!;
}

describe('Upgrade and Connection', () => {
  test.each([
    ['any case', { Upgrade: 'WebSocket', Connection: 'UPGRADE' }],
    ['a list', { Connection: 'keep-alive, Upgrade' }],
    ['a list without spaces', { Connection: 'keep-alive,upgrade,x' }],
    ['a list with empty elements', { Connection: ', ,Upgrade ,' }],
    ['several fields', { Connection: ['keep-alive', 'Upgrade'] }],
    ['white space around', { Upgrade: ' \twebsocket\t ', Connection: '\t upgrade ' }],
    ['other names', { Upgrade: undefined, uPGRADE: 'websocket' }],
  ])('%s passes', async (_what, fields) => {
    await expect(opens(fields)).resolves.toMatchObject({ status: 101 });
  });

  test.each([
    ['no Upgrade', { Upgrade: undefined }, 'Upgrade'],
    ['an empty Upgrade', { Upgrade: '' }, 'Upgrade'],
    ['another Upgrade', { Upgrade: 'h2c' }, 'Upgrade'],
    ['an empty Upgrade behind it', { Upgrade: ['websocket', ''] }, 'Upgrade'],
    ['an Upgrade with an empty element', { Upgrade: 'websocket,' }, 'Upgrade'],
    ['an Upgrade that only begins so', { Upgrade: 'websocket2' }, 'Upgrade'],
    ['no Connection', { Connection: undefined }, 'Connection'],
    ['another Connection', { Connection: 'close' }, 'Connection'],
    ['a Connection that only holds the word', { Connection: 'no-upgrade' }, 'Connection'],
  ])('%s fails', async (_what, fields, name) => {
    const error = await fails(fields);

    expect(error.code).toBe('ERR_HANDSHAKE_UPGRADE');
    expect(error.message).toContain(name);
  });
});

describe('Sec-WebSocket-Accept', () => {
  const wrong = (change: (accept: string) => string | readonly string[] | undefined) =>
    answering((head) => {
      const accept = /Accept: (.*)\r/.exec(acceptance(head))![1]!;
      return acceptance(head, { 'Sec-WebSocket-Accept': change(accept) });
    });

  test.each<[string, (accept: string) => string | readonly string[] | undefined]>([
    ['none', () => undefined],
    ['an empty one', () => ''],
    ['that of another key', () => acceptKey('dGhlIHNhbXBsZSBub25jZQ==')],
    [
      'another case',
      (accept) => (accept.toLowerCase() === accept ? accept.toUpperCase() : accept.toLowerCase()),
    ],
    ['one character less', (accept) => accept.slice(0, -1)],
    ['one character more', (accept) => `${accept}=`],
    ['two', (accept) => [accept, accept]],
    ['a list', (accept) => `${accept}, ${accept}`],
    ['quotes', (accept) => `"${accept}"`],
  ])('%s fails, and nothing is sent afterwards', async (_what, change) => {
    const server = await wrong(change);

    const error = await failure(new AioWebSocket(server.url), HandShakeError);

    expect(error.code).toBe('ERR_HANDSHAKE_ACCEPT');
    expect(error.message).toContain('Sec-WebSocket-Accept');
    await server.emptied();
  });

  test('is judged against the key of a headers list', async () => {
    const server = await answering((head) =>
      acceptance(head, { 'Sec-WebSocket-Accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' }),
    );
    const headers = [
      `Host: 127.0.0.1:${server.port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
    ];

    const aws = await AioWebSocket.connect(server.url, { headers });
    aws.terminate();
    await aws.closed;

    expect(aws.response?.headers['sec-websocket-accept']).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });
});

describe('the subprotocol', () => {
  const chosen = (value: string | readonly string[]): Fields => ({
    'Sec-WebSocket-Protocol': value,
  });

  test('is what the server chose of those offered', async () => {
    await expect(opens(chosen('b'), { protocols: ['a', 'b'] })).resolves.toMatchObject({
      subprotocol: 'b',
    });
  });

  test('is known without an Origin, too', async () => {
    await expect(
      opens(chosen('b'), { origin: false, protocols: ['a', 'b'] }),
    ).resolves.toMatchObject({ subprotocol: 'b' });
    const deflate = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
    await expect(opens(deflate, { origin: false, compression: true })).resolves.toMatchObject({
      extensions: 'permessage-deflate',
    });
  });

  test('is empty when the server chose none', async () => {
    await expect(opens({}, { protocols: ['a', 'b'] })).resolves.toMatchObject({ subprotocol: '' });
  });

  test('a pasted Sec-WebSocket-Protocol is the offer', async () => {
    const unionHeader = { 'sec-websocket-protocol': 'a,b' };
    await expect(opens(chosen('b'), { unionHeader })).resolves.toMatchObject({ subprotocol: 'b' });

    const error = await fails(chosen('c'), { protocols: ['c'], unionHeader });
    expect(error.code).toBe('ERR_HANDSHAKE_SUBPROTOCOL');
  });

  test.each([
    ['one that was not offered', 'c', ['a', 'b']],
    ['one although none was offered', 'a', undefined],
    ['an offered one in another case', 'A', ['a']],
    ['both of those offered', 'a, b', ['a', 'b']],
    ['both, in two fields', ['a', 'b'], ['a', 'b']],
    ['the same twice', ['a', 'a'], ['a', 'b']],
    ['an empty one', '', ['a']],
  ])('%s fails', async (_what, value, protocols) => {
    const error = await fails(chosen(value), { protocols });

    expect(error.code).toBe('ERR_HANDSHAKE_SUBPROTOCOL');
  });

  test('what was offered is not in the error message: it may hold a token', async () => {
    const error = await fails(chosen('c'), { protocols: ['bearer.c2VjcmV0'] });

    expect(error.message).toMatch(/Sec-WebSocket-Protocol "c", not what was offered$/);
  });

  test('one without end is not all of the error message', async () => {
    const error = await fails(chosen('"'.repeat(10_000)), { protocols: ['a'] });

    expect(error.message.length).toBeLessThan(400);
    expect(error.headers?.['sec-websocket-protocol']).toHaveLength(10_000);
  });

  test('spaces by the thousand in it take linear time', async () => {
    const started = process.cpuUsage().user;

    await fails(chosen(`a${' '.repeat(30_000)}x`), { protocols: ['a'] });
    await fails({ 'Sec-WebSocket-Extensions': `a; b="${'\\c'.repeat(15_000)}` });

    expect(process.cpuUsage().user - started).toBeLessThan(2_000_000);
  });
});

test.each(['permessage-deflate', 'foo; bar', 'a, b', 'x-webkit-deflate-frame'])(
  'the extension %s, which was not offered, fails',
  async (extension) => {
    const error = await fails({ 'Sec-WebSocket-Extensions': extension });

    expect(error.code).toBe('ERR_HANDSHAKE_EXTENSIONS');
    expect(error.message).toContain(extension);
  },
);

test('no extension is no extension', async () => {
  await expect(opens({})).resolves.toMatchObject({ extensions: '' });
});

test('the response is told: status, text, fields joined and as they came', async () => {
  const response = await opens({ 'Set-Cookie': ['a=1', 'b=2'], 'X-Latin': 'caf\xe9', Server: '' });

  expect(response).toMatchObject({ status: 101, statusText: 'Switching Protocols' });
  expect(response.headers['set-cookie']).toBe('a=1, b=2');
  expect(response.headers['server']).toBe('');
  expect(response.rawHeaders).toContainEqual(['Set-Cookie', 'b=2']);
  expect(response.rawHeaders.map(([name]) => name).slice(0, 2)).toEqual(['Upgrade', 'Connection']);
});

test('bytes above ASCII in a field of the response are told as Latin-1', async () => {
  const server = await answering((head) =>
    Buffer.from(acceptance(head, { 'X-Latin': 'caf\xe9' }), 'latin1'),
  );
  const aws = await new AioWebSocket(server.url).createConnection();

  expect(aws.response?.headers['x-latin']).toBe('caf\xe9');
  aws.terminate();
  await aws.closed;
});

test.each([{ host: 'a\r\nX-Injected: 1' }, { resource: '/ HTTP/1.1\r\nX-Injected: 1' }])(
  'a remote made by hand with %j is refused: nothing is put into the request',
  (wrong) => {
    const remote = { ...parseUri('ws://a.example/'), ...wrong };

    expect(() => new HandShake(remote, new MemoryTransport())).toThrow(
      /^remote must be visible ASCII/,
    );
  },
);

test('the response shows all of itself when it is printed, and again when asked later', async () => {
  const response = await opens({ 'X-Shown': 'yes' });
  const { headers, rawHeaders } = response;

  expect(inspect(response)).toContain("'x-shown': 'yes'");
  expect(JSON.parse(JSON.stringify(response))).toMatchObject({
    status: 101,
    statusText: 'Switching Protocols',
    headers: { 'x-shown': 'yes' },
    subprotocol: '',
  });
  expect(response.headers).toBe(headers);
  expect(response.rawHeaders).toBe(rawHeaders);
});

test('a field named __proto__ or constructor is a field like any other', async () => {
  const { headers } = await opens({ constructor: 'a', ['__proto__']: 'b' });

  expect(Object.hasOwn(headers, 'constructor')).toBe(true);
  expect(Object.keys(headers)).toContain('__proto__');
  expect('toString' in headers).toBe(false);
});

describe('chopped and glued', () => {
  class Memory extends AioWebSocket {
    readonly memory = new MemoryTransport((bytes, transport) => {
      if (transport.written.length > 1) return;
      this.respond(acceptance(bytes.toString()), transport);
    });
    respond: (response: string, transport: MemoryTransport) => void = () => {};
    protected override openTransport(): MemoryTransport {
      return this.memory;
    }
  }

  test.each([1, 2, 3, 7, 50])('a response in chunks of %i bytes is read', async (size) => {
    const aws = new Memory('ws://memory/', { closeTimeout: 2000 });
    const received: unknown[] = [];
    aws.on('message', (data) => received.push(data));
    aws.respond = (response, transport) => {
      const bytes = Buffer.concat([Buffer.from(response), text('glued'), close(1000)]);
      for (let i = 0; i < bytes.length; i += size) transport.push(bytes.subarray(i, i + size));
      transport.push(null);
    };

    await aws.createConnection();
    const opened = performance.now();

    await expect(aws.closed).resolves.toMatchObject({ code: 1000, wasClean: true });
    expect(received).toEqual(['glued']);
    expect(performance.now() - opened).toBeLessThan(1500);
  });

  test('frames glued to the 101 reach listeners attached after createConnection', async () => {
    const server = await RawServer.listen(async (socket) => {
      const head = await readHead(socket);
      socket.end(Buffer.concat([Buffer.from(acceptance(head)), text('a'), text('b'), close(1000)]));
    });
    const aws = await new AioWebSocket(server.url).createConnection();
    const received: unknown[] = [];
    aws.on('message', (data) => received.push(data));

    await aws.closed;

    expect(received).toEqual(['a', 'b']);
    expect(aws.response?.head).toEqual(Buffer.concat([text('a'), text('b'), close(1000)]));
  });

  test('an end of the stream glued to the 101 is the end, and not waited for', async () => {
    const aws = new Memory('ws://memory/', { pingInterval: 300, pongTimeout: 300 });
    aws.respond = (response, transport) => {
      transport.push(Buffer.concat([Buffer.from(response), text('last')]));
      transport.push(null);
    };
    await aws.createConnection();

    await expect(aws.manipulator.receive()).resolves.toBe('last');

    await expect(aws.closed).resolves.toMatchObject({
      code: 1006,
      error: { code: 'ERR_CONNECTION_LOST' },
    });
  });

  test('half a frame glued to the 101 is completed by what follows', async () => {
    const wire = text('halves');
    const server = await RawServer.listen(async (socket) => {
      const head = await readHead(socket);
      socket.write(Buffer.concat([Buffer.from(acceptance(head)), wire.subarray(0, 4)]), () =>
        setImmediate(() => socket.write(wire.subarray(4))),
      );
    });
    const aws = await AioWebSocket.connect(server.url);

    await expect(aws.manipulator.receive()).resolves.toBe('halves');

    aws.terminate();
    await aws.closed;
  });

  test('interim responses may come first', async () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n';
    const server = await answering((head) => interim + acceptance(head));
    const aws = await AioWebSocket.connect(server.url);

    expect(aws.response?.headers['link']).toBeUndefined();

    aws.terminate();
    await aws.closed;
  });
});
