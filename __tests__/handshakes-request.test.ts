/** The request as it goes out, by default and with the original's ways to change it. */
import { AioWebSocket, HandShake, parseUri, type HandShakeOptions } from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { fieldOf } from './helpers/raw-server.js';

/** The bytes of a request. */
async function bytesOf(options?: HandShakeOptions, uri = 'ws://example.com/chat'): Promise<Buffer> {
  const transport = new MemoryTransport();
  await new HandShake(parseUri(uri), transport, options).shake();
  return transport.bytes;
}

const requestOf = async (options?: HandShakeOptions, uri?: string): Promise<string> =>
  (await bytesOf(options, uri)).toString();

/** The names of a request's fields, in order. */
const namesOf = (head: string): string[] =>
  head
    .split('\r\n')
    .slice(1, -2)
    .map((line) => line.slice(0, line.indexOf(':')));

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

const LIST = [
  'Host: example.com',
  'Connection: Upgrade',
  'Upgrade: websocket',
  `Sec-WebSocket-Key: ${KEY}`,
  'Sec-WebSocket-Version: 13',
];

describe('the default request', () => {
  test('has the fields of the original, in its order', async () => {
    const head = await requestOf();

    expect(head.replace(/Key: .*/, 'Key: …').replace(/Agent: .*/, 'Agent: …')).toBe(
      [
        'GET /chat HTTP/1.1',
        'Host: example.com',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'User-Agent: …',
        'Origin: http://example.com',
        'Sec-WebSocket-Key: …',
        'Sec-WebSocket-Version: 13',
        '',
        '',
      ].join('\r\n'),
    );
    expect(fieldOf(head, 'User-Agent')).toMatch(/^aiowebsocket\/\d+\.\d+\.\d+$/);
  });

  test('has a key of 16 bytes, and another one each time', async () => {
    const keys = await Promise.all(
      Array.from({ length: 200 }, async () => fieldOf(await requestOf(), 'Sec-WebSocket-Key')!),
    );

    for (const key of keys) expect(Buffer.from(key, 'base64')).toHaveLength(16);
    for (const key of keys) expect(Buffer.from(key, 'base64').toString('base64')).toBe(key);
    expect(new Set(keys).size).toBe(200);
  });

  test.each([
    ['ws://example.com:80/', 'example.com', 'http://example.com'],
    ['ws://example.com:8080/', 'example.com:8080', 'http://example.com:8080'],
    ['ws://example.com:443/', 'example.com:443', 'http://example.com:443'],
    ['wss://example.com/', 'example.com', 'https://example.com'],
    ['wss://example.com:443/', 'example.com', 'https://example.com'],
    ['wss://example.com:80/', 'example.com:80', 'https://example.com:80'],
    ['ws://127.0.0.1:9000/', '127.0.0.1:9000', 'http://127.0.0.1:9000'],
    ['ws://[::1]/', '[::1]', 'http://[::1]'],
    ['wss://[2001:db8::7]:8443/', '[2001:db8::7]:8443', 'https://[2001:db8::7]:8443'],
    ['ws://EXAMPLE.com/', 'example.com', 'http://example.com'],
  ])('Host and Origin for %s', async (uri, host, origin) => {
    const head = await requestOf({}, uri);

    expect(fieldOf(head, 'Host')).toBe(host);
    expect(fieldOf(head, 'Origin')).toBe(origin);
  });

  test('asks for path and query', async () => {
    expect(await requestOf({}, 'ws://a/b/../c?d=%20e')).toMatch(/^GET \/b\/\.\.\/c\?d=%20e HTTP/);
    expect(await requestOf({}, 'ws://a')).toMatch(/^GET \/ HTTP/);
    expect(await requestOf({}, 'ws://a/ü')).toMatch(/^GET \/%C3%BC HTTP/);
  });
});

describe('user and password in the URI', () => {
  test.each([
    ['ws://user:secret@example.com/', 'user:secret'],
    ['ws://user@example.com/', 'user:'],
    ['ws://%E7%94%A8:%E5%AF%86%3A@example.com/', '用:密:'],
  ])('%s become Basic authorization, and nothing else', async (uri, plain) => {
    const head = await requestOf({}, uri);

    expect(fieldOf(head, 'Authorization')).toBe(`Basic ${Buffer.from(plain).toString('base64')}`);
    expect(head.replace(/^Authorization.*$/m, '')).not.toMatch(/user|secret|用/);
  });

  test('an Authorization of the headers object goes before them', async () => {
    const head = await requestOf({ headers: { authorization: 'Bearer x' } }, 'ws://u:p@a/');

    expect(fieldOf(head, 'Authorization')).toBe('Bearer x');
    expect(head.match(/^authorization/gim)).toHaveLength(1);
  });

  test('with a headers list that lacks Authorization are an error', async () => {
    await expect(requestOf({ headers: LIST }, 'ws://u:p@example.com/')).rejects.toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringContaining('Authorization'),
      }),
    );
    const head = await requestOf(
      { headers: [...LIST, 'Authorization: Basic dTpw'] },
      'ws://u:p@example.com/',
    );
    expect(fieldOf(head, 'Authorization')).toBe('Basic dTpw');
  });
});

describe('a headers list', () => {
  test('goes out byte for byte: order, case, spacing, duplicates', async () => {
    const list = [
      'hOST:example.com',
      'X-Same:  a',
      'sec-websocket-VERSION:13',
      'X-Same: b\t',
      'Upgrade:\twebsocket',
      'X-Empty:',
      `Sec-WebSocket-Key: ${KEY}`,
      'Connection: keep-alive, Upgrade',
      'X-Colon: a:b: c',
    ];

    expect(await requestOf({ headers: list })).toBe(
      ['GET /chat HTTP/1.1', ...list, '', ''].join('\r\n'),
    );
  });

  test('may bring its own request line', async () => {
    const list = ['GET /other?x=1 HTTP/1.1', ...LIST];

    expect(await requestOf({ headers: list })).toBe([...list, '', ''].join('\r\n'));
  });

  test.each([1, 2, 3])("may end with '' %i times, as with the original", async (count) => {
    const list = [...LIST, ...Array.from({ length: count }, () => '')];

    expect(await requestOf({ headers: list })).toBe(
      ['GET /chat HTTP/1.1', ...LIST, '', ''].join('\r\n'),
    );
  });

  test('is text in UTF-8', async () => {
    const bytes = await bytesOf({ headers: [...LIST, 'X-Name: Jürgen 王'] });

    expect(bytes.includes(Buffer.from('X-Name: Jürgen 王\r\n', 'utf8'))).toBe(true);
  });

  test('is not changed, and is not looked at again', async () => {
    const list = [...LIST, ''];

    await requestOf({ headers: list });

    expect(list).toEqual([...LIST, '']);
  });

  test.each([
    ['Host', 0],
    ['Connection', 1],
    ['Upgrade', 2],
    ['Sec-WebSocket-Key', 3],
    ['Sec-WebSocket-Version', 4],
  ])('that lacks %s is an error that names it', async (name, at) => {
    const list = LIST.filter((_, i) => i !== at);

    await expect(requestOf({ headers: list })).rejects.toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining(name),
      }),
    );
    expect(() => new AioWebSocket('ws://a/', { headers: list })).toThrow(name);
  });

  test.each([
    ['Host', [...LIST, 'host: b']],
    ['Sec-WebSocket-Key', [...LIST, `sec-websocket-key: ${KEY}`]],
    ['Sec-WebSocket-Key', LIST.map((line) => line.replace(KEY, 'c2hvcnQ='))],
    ['Sec-WebSocket-Key', LIST.map((line) => line.replace(KEY, 'not base64 at all ====='))],
    ['Sec-WebSocket-Version', LIST.map((line) => line.replace('13', '8'))],
    ['Upgrade', LIST.map((line) => line.replace('websocket', 'h2c'))],
    ['Connection', LIST.map((line) => line.replace(': Upgrade', ': close'))],
    ['Sec-WebSocket-Protocol', [...LIST, 'Sec-WebSocket-Protocol: a b']],
    ['Sec-WebSocket-Protocol', [...LIST, 'Sec-WebSocket-Protocol: a, b, a']],
  ])('with a wrong or a second %s is an error that names it', (name, headers) => {
    expect(() => new AioWebSocket('ws://a/', { headers })).toThrow(
      expect.objectContaining({ message: expect.stringContaining(name) }),
    );
  });

  test.each([
    ['POST', 'POST / HTTP/1.1'],
    ['HTTP/1.0', 'GET / HTTP/1.0'],
    ['HTTP/2', 'GET / HTTP/2'],
    ['a resource that is not ASCII', 'GET /ü HTTP/1.1'],
  ])('with a request line of %s is an error that shows it', (_what, line) => {
    expect(() => new AioWebSocket('ws://a/', { headers: [line, ...LIST] })).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(line) }),
    );
  });

  test.each([
    ['CR LF', 'X-A: b\r\nX-Evil: c'],
    ['LF', 'X-A: b\nX-Evil: c'],
    ['CR', 'X-A: b\rc'],
    ['NUL', 'X-A: b\0'],
    ['DEL', 'X-A: b\x7f'],
    ['a space in the name', 'X A: b'],
    ['a space behind the name', 'X-A : b'],
    ['a space before the name', ' X-A: b'],
    ['a non-ASCII name', 'X-Ä: b'],
    ['no name', ': b'],
    ['no colon', 'X-A'],
    ['an empty line within', ''],
    ['a number', 5],
    ['null', null],
  ])('with %s is refused', (_what, line) => {
    const headers = [...LIST.slice(0, 2), line, ...LIST.slice(2)] as string[];

    expect(() => new AioWebSocket('ws://a/', { headers })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining('headers'),
      }),
    );
  });

  test.each([
    ['unionHeader', { unionHeader: { Origin: 'x' } }],
    ['origin', { origin: 'http://a' }],
    ['origin', { origin: false as const }],
    ['protocols', { protocols: ['a'] }],
  ])('beside the option %s is an error that names it', (name, options) => {
    expect(() => new AioWebSocket('ws://a/', { headers: LIST, ...options })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(new RegExp(`(?=.*\\b${name}\\b).*headers list`)),
      }),
    );
  });
});

describe('a headers object', () => {
  test('gives its fields in its order; required ones it lacks are filled in', async () => {
    const head = await requestOf({ headers: { 'X-B': 'b', 'user-agent': 'me', 'X-A': 1 } });

    expect(namesOf(head).slice(0, 3)).toEqual(['X-B', 'user-agent', 'X-A']);
    expect(namesOf(head).slice(3)).toEqual([
      'Host',
      'Connection',
      'Upgrade',
      'Sec-WebSocket-Key',
      'Sec-WebSocket-Version',
    ]);
    expect(head).toContain('\r\nX-A: 1\r\n');
  });

  test('keeps required fields that it has, in any case', async () => {
    const head = await requestOf({
      headers: { HOST: 'other', 'sec-websocket-key': KEY, upgrade: 'WebSocket' },
    });

    expect(head).toContain('\r\nHOST: other\r\n');
    expect(head).toContain(`\r\nsec-websocket-key: ${KEY}\r\n`);
    expect(namesOf(head)).toEqual([
      'HOST',
      'sec-websocket-key',
      'upgrade',
      'Connection',
      'Sec-WebSocket-Version',
    ]);
  });

  test('sends a list of values as that many fields', async () => {
    const head = await requestOf({ headers: { Cookie: ['a=1', 'b=2'] } });

    expect(head).toContain('\r\nCookie: a=1\r\nCookie: b=2\r\n');
  });

  test('that is empty still makes a whole request', async () => {
    expect(namesOf(await requestOf({ headers: {} }))).toHaveLength(5);
  });

  test.each([
    ['CR LF in a value', { 'X-A': 'b\r\nX-Evil: c' }, 'X-A'],
    ['LF in a value', { 'X-A': 'b\n' }, 'X-A'],
    ['NUL in a value', { 'X-A': '\0' }, 'X-A'],
    ['CR in one of several values', { 'X-A': ['b', 'c\r'] }, 'X-A'],
    ['CR LF in a name', { 'X-A\r\nX-Evil': 'b' }, 'X-A'],
    ['a space in a name', { 'X A': 'b' }, 'X A'],
    ['a colon in a name', { 'X:A': 'b' }, 'X:A'],
    ['an empty name', { '': 'b' }, 'name'],
    ['an undefined value', { 'X-A': undefined }, 'X-A'],
    ['an object as value', { 'X-A': {} }, 'X-A'],
    ['true as value', { 'X-A': true }, 'X-A'],
    ['null as value', { 'X-A': null }, 'X-A'],
  ])('with %s is refused by name', (what, headers, shown) => {
    for (const name of ['headers', 'unionHeader']) {
      // There it removes the field.
      if (name === 'unionHeader' && what === 'null as value') continue;
      expect(() => new AioWebSocket('ws://a/', { [name]: headers })).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          message: expect.stringMatching(new RegExp(`${name}.*${shown}`)),
        }),
      );
    }
  });
});
