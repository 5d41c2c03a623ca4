/** What is offered of permessage-deflate, and which answers will do (RFC 7692 section 7.1). */
import { AioWebSocket, HandShakeError, type AioWebSocketOptions } from 'aiowebsocket';
import { failure } from './helpers/opening.js';
import { client, listen, open } from './helpers/peer.js';

const NAME = 'permessage-deflate';
const FIELD = 'Sec-WebSocket-Extensions';

type Compression = Exclude<AioWebSocketOptions['compression'], undefined>;

/** The lines of the request that offer extensions. */
async function offered(options: AioWebSocketOptions): Promise<string[]> {
  const { peer } = await open(options);
  return peer.request.split('\r\n').filter((line) => /^sec-websocket-ext/i.test(line));
}

/** How an opening ends that offers with these options, and is answered so. */
async function refused(options: AioWebSocketOptions, ...answers: string[]): Promise<Error> {
  const server = await listen({ fields: answers.map((answer) => `${FIELD}: ${answer}`) });
  return failure(client(server.uri, options), HandShakeError);
}

async function accepted(options: AioWebSocketOptions, ...answers: string[]): Promise<string> {
  const { aws } = await open(options, {
    fields: answers.map((answer) => `${FIELD}: ${answer}`),
  });
  return aws.extensions;
}

describe('the offer', () => {
  test('is not made unless asked for: the request is the original one', async () => {
    expect(await offered({})).toEqual([]);
    expect(await offered({ compression: false })).toEqual([]);
    expect(await offered({ compression: undefined })).toEqual([]);
  });

  test.each<[Compression, string]>([
    [true, '; client_max_window_bits'],
    [{}, '; client_max_window_bits'],
    [{ clientMaxWindowBits: true }, '; client_max_window_bits'],
    [{ clientMaxWindowBits: false }, ''],
    [{ clientMaxWindowBits: 8 }, '; client_max_window_bits=8'],
    [{ clientMaxWindowBits: 15 }, '; client_max_window_bits=15'],
    [{ serverMaxWindowBits: 15 }, '; client_max_window_bits'],
    [{ serverMaxWindowBits: 8 }, '; server_max_window_bits=8; client_max_window_bits'],
    [{ serverNoContextTakeover: true }, '; server_no_context_takeover; client_max_window_bits'],
    [{ clientNoContextTakeover: true }, '; client_no_context_takeover; client_max_window_bits'],
    [{ serverNoContextTakeover: false, level: 9 }, '; client_max_window_bits'],
    [{ serverMaxWindowBits: undefined }, '; client_max_window_bits'],
    [
      {
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        serverMaxWindowBits: 9,
        clientMaxWindowBits: 10,
        threshold: 1,
        memLevel: 1,
      },
      '; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10',
    ],
  ])('of %j', async (compression, parameters) => {
    expect(await offered({ compression })).toEqual([`${FIELD}: ${NAME}${parameters}`]);
  });

  test('of unionHeader stands in place of that of the option, as written', async () => {
    const unionHeader = { [FIELD]: `${NAME};client_max_window_bits=9 ; server_max_window_bits=9` };

    expect(await offered({ compression: true, unionHeader })).toEqual([
      `${FIELD}: ${unionHeader[FIELD]}`,
    ]);
    expect(await offered({ unionHeader })).toHaveLength(1);
    expect(await offered({ compression: true, unionHeader: { [FIELD]: null } })).toEqual([]);
  });

  test.each([
    'x-webkit-deflate-frame',
    `${NAME}, bbf-usp-protocol`,
    `${NAME}; client_max_window_bits=7`,
    `${NAME}; client_max_window_bits=16`,
    `${NAME}; client_max_window_bits=08`,
    `${NAME}; server_max_window_bits`,
    `${NAME}; server_no_context_takeover=1`,
    `${NAME}; client_no_context_takeover; client_no_context_takeover`,
    `${NAME}; mux_max_window_bits=9`,
    `${NAME}; server_any_max_window_bits=9`,
    `${NAME}; level=9`,
    `${NAME};`,
  ])('of %p is an error at the call', (offer) => {
    expect(() => new AioWebSocket('ws://localhost', { unionHeader: { [FIELD]: offer } })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        message: expect.stringMatching(/^Sec-WebSocket-Extensions must be .*, got "/),
      }),
    );
  });
});

describe('a headers list is negotiated as written', () => {
  const list = (uri: string, offer: string): string[] => [
    'GET / HTTP/1.1',
    `Host: ${new URL(uri).host}`,
    'Upgrade: websocket',
    'Connection: keep-alive, Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `sec-websocket-extensions:${offer}`,
  ];
  const shake = async (offer: string, answer: string): Promise<AioWebSocket> => {
    const server = await listen({ fields: [`${FIELD}: ${answer}`] });
    const aws = client(server.uri, { headers: list(server.uri, offer) });
    await aws.createConnection();
    expect((await server.accept()).request).toContain(`\r\nsec-websocket-extensions:${offer}\r\n`);
    return aws;
  };

  test.each([
    [` ${NAME}; client_max_window_bits`, `${NAME}; client_max_window_bits=12`],
    [`${NAME} ;server_max_window_bits="10"`, `${NAME};server_max_window_bits=10`],
    [` ${NAME}; server_max_window_bits=8, ${NAME}`, NAME],
    [` ${NAME}; server_no_context_takeover, ${NAME}`, `${NAME}; server_no_context_takeover`],
  ])('%p answered by %p', async (offer, answer) => {
    expect((await shake(offer, answer)).extensions).toBe(answer);
  });

  test.each([
    [` ${NAME}`, `${NAME}; client_max_window_bits=12`],
    [` ${NAME}; server_max_window_bits=10`, NAME],
    [` ${NAME}; server_max_window_bits=10, ${NAME}; server_max_window_bits=9`, NAME],
  ])('%p does not fit %p', async (offer, answer) => {
    await expect(shake(offer, answer)).rejects.toMatchObject({ code: 'ERR_HANDSHAKE_EXTENSIONS' });
  });

  test('the option compression needs an offer in it', async () => {
    const { uri } = await listen();
    const headers = list(uri, ` ${NAME}`);

    expect(() => client(uri, { headers, compression: { level: 1 } })).not.toThrow();
    expect(() => client(uri, { headers: headers.slice(0, -1), compression: true })).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringContaining('compression'),
      }),
    );
  });
});

describe('an answer fails the handshake', () => {
  test.each([
    ['to no offer', false, NAME],
    ['with another extension', true, 'x-webkit-deflate-frame'],
    ['with its name in another case', true, 'Permessage-Deflate'],
    ['with the extension twice', true, `${NAME}, ${NAME}`],
    ['with another extension besides', true, `${NAME}, foo`],
    ['with an unknown parameter', true, `${NAME}; foo`],
    ['with an unknown parameter and a value', true, `${NAME}; foo=10`],
    ['with a parameter that only looks known', true, `${NAME}; server_foo_max_window_bits=10`],
    ['with a parameter of another case', true, `${NAME}; Server_No_Context_Takeover`],
    ['with an empty parameter', true, `${NAME};`],
    ['with nothing', true, ''],
    ['with empty elements alone', true, ', ,'],
    ['with a value where none belongs', true, `${NAME}; server_no_context_takeover=true`],
    ['with an empty value where none belongs', true, `${NAME}; client_no_context_takeover=`],
    ['without a value where one belongs', true, `${NAME}; server_max_window_bits`],
    ['without a value for the client', true, `${NAME}; client_max_window_bits`],
    ['with an empty value', true, `${NAME}; client_max_window_bits=`],
    ['with empty quotes', true, `${NAME}; client_max_window_bits=""`],
    ['with half a quote', true, `${NAME}; client_max_window_bits="10`],
    ...['0', '7', '16', '08', '8.0', '+9', '-9', '1e1', '0x9', '10 0', '1000', '1'.repeat(400)].map(
      (bits) =>
        [`with ${bits.slice(0, 9)} bits`, true, `${NAME}; server_max_window_bits=${bits}`] as const,
    ),
    [
      'with server bits above the offer',
      { serverMaxWindowBits: 10 },
      `${NAME}; server_max_window_bits=11`,
    ],
    ['without the server bits asked for', { serverMaxWindowBits: 10 }, NAME],
    [
      'with client bits above the offer',
      { clientMaxWindowBits: 10 },
      `${NAME}; client_max_window_bits=11`,
    ],
    [
      'with client bits not offered',
      { clientMaxWindowBits: false },
      `${NAME}; client_max_window_bits=15`,
    ],
    ['without the reset asked for', { serverNoContextTakeover: true }, NAME],
    ...['server_no_context_takeover', 'client_no_context_takeover', 'server_max_window_bits=9'].map(
      (one) => [`with ${one} twice`, true, `${NAME}; ${one}; ${one}`] as const,
    ),
    [
      'with two values for one',
      true,
      `${NAME}; server_max_window_bits=9; server_max_window_bits=10`,
    ],
  ] as [string, Compression, string][])('%s', async (_what, compression, answer) => {
    expect(await refused({ compression }, answer)).toMatchObject({
      code: 'ERR_HANDSHAKE_EXTENSIONS',
      status: 101,
    });
  });

  test('in two fields, as in one', async () => {
    expect(await refused({ compression: true }, NAME, NAME)).toMatchObject({
      code: 'ERR_HANDSHAKE_EXTENSIONS',
    });
  });
});

test('an answer is held to the offer of its own connection, whatever others agreed on before', async () => {
  const answer = `${NAME}; client_max_window_bits=10`;

  expect(await accepted({ compression: true }, answer)).toBe(answer);
  for (const compression of [{ clientMaxWindowBits: false }, false]) {
    expect(await refused({ compression }, answer)).toMatchObject({
      code: 'ERR_HANDSHAKE_EXTENSIONS',
    });
  }
});

describe('an answer is fine', () => {
  test.each([
    ['without parameters', true, NAME],
    ['that declines', true, undefined],
    [
      'with less than was offered',
      { serverMaxWindowBits: 10 },
      `${NAME}; server_max_window_bits=9`,
    ],
    ['with what was not asked for, of the server', true, `${NAME}; server_max_window_bits=8`],
    [
      'with resets that were not asked for',
      true,
      `${NAME}; server_no_context_takeover; client_no_context_takeover`,
    ],
    [
      'with client bits as offered',
      { clientMaxWindowBits: 10 },
      `${NAME}; client_max_window_bits=10`,
    ],
    ['with client bits below', { clientMaxWindowBits: 10 }, `${NAME}; client_max_window_bits=8`],
    ['with a value in quotes', true, `${NAME}; client_max_window_bits="10"`],
    ['with a quoted pair', true, String.raw`${NAME}; client_max_window_bits="1\0"`],
    ['with white space wherever it may be', true, `${NAME}\t ; client_max_window_bits =\t10 `],
  ] as [string, Compression, string | undefined][])('%s', async (_what, compression, answer) => {
    const answers = answer === undefined ? [] : [answer];

    expect(await accepted({ compression }, ...answers)).toBe((answer ?? '').trim());
  });
});

describe('a wrong option is an error at the call', () => {
  const BITS = '(boolean or 8 or .*|an integer from 8 to )15';
  test.each([
    ['yes', 'compression', 'boolean or object', '"yes"'],
    [null, 'compression', 'boolean or object', 'null'],
    [[], 'compression', 'boolean or object', 'an instance of Array'],
    [1, 'compression', 'boolean or object', '1'],
    ...['serverMaxWindowBits', 'clientMaxWindowBits'].flatMap((name) => [
      [{ [name]: 7 }, `compression.${name}`, BITS, '7'],
      [{ [name]: 16 }, `compression.${name}`, BITS, '16'],
      [{ [name]: 9.5 }, `compression.${name}`, BITS, '9.5'],
      [{ [name]: '9' }, `compression.${name}`, BITS, '"9"'],
    ]),
    [{ serverMaxWindowBits: true }, 'compression.serverMaxWindowBits', BITS, 'true'],
    [{ serverNoContextTakeover: 1 }, 'compression.serverNoContextTakeover', 'a boolean', '1'],
    [{ clientNoContextTakeover: 'no' }, 'compression.clientNoContextTakeover', 'a boolean', '"no"'],
    [{ threshold: -1 }, 'compression.threshold', 'an integer from 0 to', '-1'],
    [{ threshold: true }, 'compression.threshold', 'an integer from 0 to', 'true'],
    [{ threshold: Number.NaN }, 'compression.threshold', 'an integer from 0 to', 'NaN'],
    [{ level: -2 }, 'compression.level', 'an integer from -1 to 9', '-2'],
    [{ level: 10 }, 'compression.level', 'an integer from -1 to 9', '10'],
    [{ memLevel: 0 }, 'compression.memLevel', 'an integer from 1 to 9', '0'],
    [{ memLevel: 10 }, 'compression.memLevel', 'an integer from 1 to 9', '10'],
  ] as [unknown, string, string, string][])('%j', (compression, name, expected, got) => {
    expect(() => new AioWebSocket('ws://localhost', { compression: compression as never })).toThrow(
      expect.objectContaining({
        // A number has the right type.
        ...(/integer|8/.test(expected) && /^[-\dN]/.test(got)
          ? { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }
          : { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }),
        message: expect.stringMatching(
          new RegExp(String.raw`^${name.replace('.', '\\.')} must be ${expected}.*, got ${got}`),
        ),
      }),
    );
  });

  test.each(['windowBits', 'strategy', 'constructor', 'toString'])('an unknown one: %s', (name) => {
    expect(
      () => new AioWebSocket('ws://localhost', { compression: { [name]: 9 } as never }),
    ).toThrow(`compression.${name}" is no option`);
  });
});
