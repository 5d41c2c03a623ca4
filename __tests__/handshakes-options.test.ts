/** What changes the request beside `headers`: unionHeader, origin, protocols. */
import { AioWebSocket, HandShake, parseUri, type HandShakeOptions } from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { fieldOf } from './helpers/raw-server.js';

async function linesOf(options: HandShakeOptions, uri = 'ws://example.com/'): Promise<string[]> {
  const transport = new MemoryTransport();
  await new HandShake(parseUri(uri), transport, options).shake();
  return transport.bytes
    .toString()
    .replace(/^(Sec-WebSocket-Key|User-Agent): .*$/gm, '$1')
    .split('\r\n')
    .slice(1, -2);
}

const DEFAULT = [
  'Host: example.com',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'User-Agent',
  'Origin: http://example.com',
  'Sec-WebSocket-Key',
  'Sec-WebSocket-Version: 13',
];

/** The default with some lines replaced; `null` leaves one out. */
const replaced = (changes: Readonly<Record<number, string | null>>, ...more: string[]): string[] =>
  [...DEFAULT.map((line, i) => (i in changes ? changes[i]! : line)), ...more].filter(
    (line) => line !== null,
  );

describe('unionHeader', () => {
  test('replaces in place, whatever the case, and appends', async () => {
    const unionHeader = { ORIGIN: 'https://o', 'X-New': 'n', 'user-agent': 'me', 'X-Two': 2 };

    expect(await linesOf({ unionHeader })).toEqual(
      replaced({ 3: 'user-agent: me', 4: 'ORIGIN: https://o' }, 'X-New: n', 'X-Two: 2'),
    );
  });

  test('null removes, and removing what is not there is nothing', async () => {
    expect(
      await linesOf({ unionHeader: { origin: null, 'User-Agent': null, 'X-No': null } }),
    ).toEqual(replaced({ 3: null, 4: null }));
  });

  test('a list of values stands in place of one', async () => {
    expect(await linesOf({ unionHeader: { Origin: ['a', 'b'] } })).toEqual(
      replaced({ 4: 'Origin: a' }).toSpliced(5, 0, 'Origin: b'),
    );
  });

  test('changes a headers object, and all fields of one name', async () => {
    const lines = await linesOf({
      headers: { 'X-A': ['1', '2'], 'X-B': '3' },
      unionHeader: { 'x-a': 'new', 'X-B': null },
    });

    expect(lines.filter((line) => line.toLowerCase().startsWith('x-'))).toEqual(['x-a: new']);
  });

  test('goes last: over origin, protocols, and user and password', async () => {
    const lines = await linesOf(
      {
        origin: 'http://a',
        protocols: ['a'],
        unionHeader: { Origin: 'http://b', 'Sec-WebSocket-Protocol': 'b', Authorization: null },
      },
      'ws://u:p@example.com/',
    );

    expect(lines).toEqual(replaced({ 4: 'Origin: http://b' }, 'Sec-WebSocket-Protocol: b'));
  });

  test('changes Host', async () => {
    expect(await linesOf({ unionHeader: { host: 'other:81' } })).toEqual(
      replaced({ 0: 'host: other:81' }),
    );
  });

  test.each(['Host', 'Connection', 'Upgrade', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version'])(
    'that removes %s, which RFC 6455 needs, is an error that names it',
    (name) => {
      expect(() => new AioWebSocket('ws://a/', { unionHeader: { [name]: null } })).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(name) }),
      );
    },
  );

  test('text goes out as UTF-8', async () => {
    expect(await linesOf({ unionHeader: { 'X-Name': 'Ünï 王' } })).toContain('X-Name: Ünï 王');
  });
});

describe('origin', () => {
  test('false sends none', async () => {
    expect(await linesOf({ origin: false })).toEqual(replaced({ 4: null }));
  });

  test('a string is sent in its place', async () => {
    expect(await linesOf({ origin: 'https://app.example' })).toEqual(
      replaced({ 4: 'Origin: https://app.example' }),
    );
  });

  test('undefined is the default', async () => {
    expect(await linesOf({ origin: undefined })).toEqual(DEFAULT);
  });

  test('stands in the headers object where that has it', async () => {
    const lines = await linesOf({ headers: { origin: 'x', 'X-A': 'a' }, origin: 'y' });

    expect(lines.slice(0, 2)).toEqual(['Origin: y', 'X-A: a']);
  });

  test('false drops that of the headers object, too', async () => {
    const lines = await linesOf({ headers: { Origin: 'x' }, origin: false });

    expect(lines.join()).not.toMatch(/origin/i);
  });

  test('with CR LF is refused by name', () => {
    expect(() => new AioWebSocket('ws://a/', { origin: 'http://a\r\nX: y' })).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(/origin/i) }),
    );
  });
});

describe('protocols', () => {
  test('are offered in order', async () => {
    expect(await linesOf({ protocols: ['chat.v2', 'chat'] })).toEqual(
      replaced({}, 'Sec-WebSocket-Protocol: chat.v2, chat'),
    );
  });

  test('none are no field', async () => {
    expect(await linesOf({ protocols: [] })).toEqual(DEFAULT);
  });

  test.each([
    ['an empty one', ['']],
    ['a space', ['a b']],
    ['a comma', ['a,b']],
    ['CR LF', ['a\r\nX: y']],
    ['quotes', ['"a"']],
    ['non-ASCII', ['ä']],
    ['a number', [5]],
    ['null', [null]],
    ['the same twice', ['a', 'b', 'a']],
  ])('with %s are refused by name', (_what, protocols) => {
    expect(() => new AioWebSocket('ws://a/', { protocols: protocols as string[] })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^protocols\b/) }),
    );
  });

  test.each(['chat', {}, 5, null])('%p is no list', (protocols) => {
    expect(() => new AioWebSocket('ws://a/', { protocols: protocols as never })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(/^protocols\b/),
      }),
    );
  });
});

test('the same options make a request for each connection, each with its own key', async () => {
  const options = { headers: { 'X-A': 'b' } };
  const transport = new MemoryTransport();
  await new HandShake(parseUri('ws://a/'), transport, options).shake();
  await new HandShake(parseUri('ws://a/'), transport, options).shake();
  const [first, second] = transport.written.map((bytes) =>
    fieldOf(bytes.toString(), 'sec-websocket-key'),
  );

  expect(first).not.toBe(second);
});

test.each([undefined, null, 5, {}])('a transport of %p is refused', (transport) => {
  expect(() => new HandShake(parseUri('ws://a/'), transport as never)).toThrow(
    /^transport must be an object with write, got /,
  );
});

const LIST = [
  'Host: example.com',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];
const EXTENSION = 'x-webkit-deflate-frame; no_context_takeover';

test.each([
  ['unionHeader', { unionHeader: { 'Sec-WebSocket-Extensions': EXTENSION } }],
  ['a headers object', { headers: { 'sec-websocket-extensions': EXTENSION } }],
  ['a headers list', { headers: [...LIST, `Sec-WebSocket-Extensions: ${EXTENSION}`] }],
])(
  'an extension offered in %s that is not spoken is an error before connecting',
  (_way, options) => {
    expect(() => new AioWebSocket('ws://a/', options)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(/sec-websocket-extensions/i),
      }),
    );
  },
);

describe('what may be secret', () => {
  const secret = 'SECRET';
  test.each<[string, object, RegExp]>([
    ['the whole request as one text', { headers: `GET / HTTP/1.1\r\nCookie: ${secret}` }, /String/],
    ['a line without a colon', { headers: [`Authorization Bearer ${secret}`] }, /"Authorization"/],
    ['a line that breaks', { headers: [`Cookie: ${secret}\r\nX: y`] }, /"Cookie"/],
    ['a value that breaks', { headers: { Cookie: `${secret}\n` } }, /"\\n"/],
    ['fields to add as one text', { unionHeader: `Cookie: ${secret}` }, /String/],
    ['a protocol that is no token', { protocols: [`bearer ${secret}`] }, /got " "/],
    ['protocols as one text', { protocols: secret }, /String/],
    ['a protocol twice', { protocols: [secret, secret] }, /protocols must be distinct/],
    ['a line with another sign', { headers: [`Cookie=${secret}`] }, /"Cookie"/],
    ['a line with a tab', { headers: [`Authorization\t${secret}`] }, /"Authorization"/],
    [
      'a query of a request that is no GET',
      { headers: [`POST /?token=${secret} HTTP/1.1`, 'Host: example.com'] },
      /"POST \/"/,
    ],
  ])('is not in the message of the error: %s', (_what, options, shown) => {
    let message = '';
    try {
      new AioWebSocket('ws://example.com/', options);
    } catch (error) {
      ({ message } = error as TypeError);
    }

    expect(message).toMatch(shown);
    expect(message).not.toContain(secret);
  });
});
