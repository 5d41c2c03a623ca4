/** Options: each wrong name and value is an error at the call, which names it. */
import {
  AioWebSocket,
  Converse,
  Frames,
  HandShake,
  InvalidURI,
  parseUri,
  type AioWebSocketOptions,
  type FramesOptions,
} from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { client, listen, open } from './helpers/peer.js';

const make = (options: unknown): AioWebSocket =>
  new AioWebSocket('ws://127.0.0.1:1/', options as AioWebSocketOptions);

/** Name, least and most of each option with a number. */
const NUMBERS: readonly [string, number, number][] = [
  ['timeout', 0, 2 ** 31 - 1],
  ['readTimeout', 0, 2 ** 31 - 1],
  ['pingInterval', 0, 2 ** 31 - 1],
  ['pongTimeout', 0, 2 ** 31 - 1],
  ['closeTimeout', 1, 2 ** 31 - 1],
  ['maxPayload', 1, Number.MAX_SAFE_INTEGER],
  ['maxFragments', 1, Number.MAX_SAFE_INTEGER],
  ['maxQueue', 1, Number.MAX_SAFE_INTEGER],
  ['maxQueueBytes', 1, Number.MAX_SAFE_INTEGER],
  ['highWaterMark', 1, Number.MAX_SAFE_INTEGER],
  ['maxHeadBytes', 1, Number.MAX_SAFE_INTEGER],
  ['maxHeadFields', 1, Number.MAX_SAFE_INTEGER],
];

describe.each(NUMBERS)('%s', (name, least, most) => {
  test(`takes ${least} and ${most}, and undefined for its default`, () => {
    for (const value of [least, most, undefined]) {
      expect(make({ [name]: value })).toBeInstanceOf(AioWebSocket);
    }
  });

  test.each([least - 1, most + 1, least + 0.5, Number.NaN, Infinity, -Infinity])(
    'refuses %d with a RangeError',
    (value) => {
      expect(() => make({ [name]: value })).toThrow(
        expect.objectContaining({
          name: 'RangeError',
          code: 'ERR_OUT_OF_RANGE',
          message: expect.stringMatching(
            new RegExp(`^${name} .*integer.* ${least} to ${most}, got ${value}$`),
          ),
        }),
      );
    },
  );

  test.each([
    ['"5"', '5'],
    ['null', null],
    ['true', true],
    ['5n', 5n],
    ['an instance of Object', {}],
    ['an instance of Array', [5]],
    ['an instance of Function', () => 5],
  ])('refuses %s with a TypeError', (shown, value) => {
    expect(() => make({ [name]: value })).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringMatching(new RegExp(`^${name} .*integer.*, got ${shown}$`)),
      }),
    );
  });
});

const HANDSHAKE = class extends HandShake {};

describe('the others', () => {
  test.each([
    ['headers', [5, 'text', null, true, () => ''], [{}, undefined]],
    ['unionHeader', [5, 'text', null, [], ['Origin: x']], [{}, { 'X-A': null }, undefined]],
    ['origin', [5, null, true, {}], ['http://a', '', false, undefined]],
    ['protocols', [5, 'chat', null, {}, new Set(['a'])], [[], ['a', 'b'], undefined]],
    ['ssl', ['yes', 5, null, () => ({})], [false, undefined]],
    ['lookup', ['8.8.8.8', null, {}, 5], [() => undefined, undefined]],
    ['family', [5, '4', null, 'IPv4', 46], [0, 4, 6, undefined]],
    ['localAddress', [5, null, {}, ['127.0.0.1']], ['127.0.0.1', '::1', undefined]],
    ['autoPong', [0, 'no', null, {}], [true, false, undefined]],
    ['handShake', ['HandShake', null, {}, 5], [HandShake, HANDSHAKE, undefined]],
  ])('%s takes what it should, and refuses the rest', (name, wrong, right) => {
    for (const value of wrong) {
      expect(() => make({ [name]: value })).toThrow(
        expect.objectContaining({
          ...(name === 'family' && typeof value === 'number'
            ? { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' }
            : { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }),
          message: expect.stringMatching(new RegExp(`^${name}\\b.*, got `)),
        }),
      );
    }
    for (const value of right) expect(make({ [name]: value })).toBeInstanceOf(AioWebSocket);
  });
});

test.each([5, null, {}, ['a']])(
  'ssl.servername %p is refused, before anything is opened',
  (wrong) => {
    const ssl = { servername: wrong };

    expect(() => new AioWebSocket('wss://a/', { ssl } as unknown as AioWebSocketOptions)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringMatching(/^ssl\.servername must be a string, got /),
      }),
    );
  },
);

test.each([
  ['a misspelt one', 'maxPayLoad'],
  ['that of the original', 'union_header'],
  ['that of another library', 'handshakeTimeout'],
  ['one that objects have anyway', 'toString'],
  ['a method of objects', 'hasOwnProperty'],
  ['an empty one', ''],
])('an unknown option, %s, is an error that names it', (_what, name) => {
  expect(() => make({ [name]: 5 })).toThrow(
    expect.objectContaining({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringContaining(JSON.stringify(name)),
    }),
  );
});

test('the error about an unknown option tells what there is', () => {
  expect(() => make({ maxPayLoad: 5 })).toThrow(/\bmaxPayload\b/);
});

test.each([
  ['null', null],
  ['"ws"', 'ws'],
  ['5', 5],
  ['an instance of Function', () => ({})],
  ['an instance of Array', []],
  ['an instance of Map', new Map()],
])('options must be an object: %s is refused', (shown, options) => {
  expect(() => make(options)).toThrow(
    expect.objectContaining({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringMatching(new RegExp(`^options .*got ${shown}$`)),
    }),
  );
});

test('no options, empty ones and those of a class are fine', () => {
  class Defaults {
    readonly timeout = 5;
  }
  expect(new AioWebSocket('ws://a/')).toBeInstanceOf(AioWebSocket);
  expect(make({})).toBeInstanceOf(AioWebSocket);
  expect(make(Object.create(null))).toBeInstanceOf(AioWebSocket);
  expect(make(new Defaults())).toBeInstanceOf(AioWebSocket);
  expect(make(Object.freeze({ timeout: 5 }))).toBeInstanceOf(AioWebSocket);
});

test('what an object inherits is no option', () => {
  const inherited = { timeout: -1, maxPayload: 10, unionHeader: 5, foo: 'bar' };
  class Shown extends AioWebSocket {
    get shown(): AioWebSocketOptions {
      return this.options;
    }
  }
  const options = Object.assign(Object.create(inherited), { pingInterval: 5 });

  expect(new Shown('ws://a/', options).shown).toEqual({ pingInterval: 5 });
  Object.assign(Object.prototype, { foo: 'bar' });
  try {
    expect(make({ timeout: 5 })).toBeInstanceOf(AioWebSocket);
  } finally {
    delete (Object.prototype as { foo?: unknown }).foo;
  }
});

test.each([{}, { pingInterval: 5 }])(
  'nor is what somebody has added to Object.prototype, beside %j',
  (options) => {
    const polluted = { headers: 5, protocols: [5], timeout: -1, handShake: Object, ssl: {} };
    Object.assign(Object.prototype, polluted);
    try {
      expect(make(options)).toBeInstanceOf(AioWebSocket);
    } finally {
      for (const name of Object.keys(polluted)) Reflect.deleteProperty(Object.prototype, name);
    }
  },
);

test('nor is it one of a HandShake, a Converse or Frames that are made by hand', async () => {
  const polluted = {
    unionHeader: { 'X-Polluted': 'yes' },
    autoPong: false,
    extension: { rsv: 64 },
  };
  Object.assign(Object.prototype, polluted);
  try {
    const transport = new MemoryTransport();
    const hands = new HandShake(parseUri('ws://a/'), transport);
    expect(hands.shakeHeaders()).not.toContain('X-Polluted');

    const converse = new Converse(transport);
    transport.push(Buffer.from('8900', 'hex'));
    await new Promise<void>((resolve) => {
      converse.on('ping', () => {
        setImmediate(resolve);
      });
    });
    expect(transport.bytes).toHaveLength(6);

    expect(() => new Frames().feed(Buffer.from('c100', 'hex'))).toThrow('reserved bit');
    converse.terminate();
  } finally {
    for (const name of Object.keys(polluted)) Reflect.deleteProperty(Object.prototype, name);
  }
});

test('nor is it one of compression', () => {
  const remote = parseUri('ws://a/');
  const offer = (): string =>
    /^Sec-WebSocket-Extensions: (.*)\r$/m.exec(
      new HandShake(remote, new MemoryTransport(), { compression: true }).shakeHeaders() as string,
    )![1]!;
  const expected = offer();
  const polluted = { serverMaxWindowBits: 9, clientNoContextTakeover: true };
  Object.assign(Object.prototype, polluted);
  try {
    expect(offer()).toBe(expected);
  } finally {
    for (const name of Object.keys(polluted)) Reflect.deleteProperty(Object.prototype, name);
  }
});

test('options are read once: a later change of the object changes nothing', () => {
  const options = { headers: { 'X-A': 'b' }, timeout: 5 };
  class Shown extends AioWebSocket {
    get shown(): AioWebSocketOptions {
      return this.options;
    }
  }
  const aws = new Shown('ws://a/', options);

  options.timeout = -1;

  expect(aws.shown.timeout).toBe(5);
});

test('a wrong URI is an error at the call', () => {
  for (const uri of ['http://a/', 'ws://a/#b', 'ws://a:0/', 'ws://a:65536/', 'ws:///', '']) {
    expect(() => new AioWebSocket(uri)).toThrow(InvalidURI);
  }
  expect(() => new AioWebSocket(undefined as never)).toThrow(TypeError);
});

test('connect() rejects for what the constructor throws', async () => {
  await expect(AioWebSocket.connect('http://a/')).rejects.toThrow(InvalidURI);
  await expect(AioWebSocket.connect('ws://a/', { timeout: -1 })).rejects.toThrow(RangeError);
  await expect(AioWebSocket.connect('ws://a/', { nonsense: 1 } as never)).rejects.toThrow(
    'nonsense',
  );
  await expect(AioWebSocket.connect('ws://a/', null as never)).rejects.toThrow(TypeError);
  for (const wrong of [5, 'x', []]) {
    await expect(AioWebSocket.connect('ws://a/', wrong as never)).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringMatching(/^options must be an object/),
    });
  }
  await expect(AioWebSocket.connect('ws://a/', {}, 'body' as never)).rejects.toThrow(
    /^body must be a function, got "body"/,
  );
});

test('HandShake by itself checks what it takes', () => {
  const hands = (options: object): HandShake =>
    new HandShake(parseUri('ws://a/'), new MemoryTransport(), options);

  expect(() => hands({ maxHeadBytes: 0 })).toThrow(RangeError);
  expect(() => hands({ maxHeadFields: 'many' })).toThrow(TypeError);
  expect(() => hands({ protocols: ['a b'] })).toThrow(/protocols/);
  expect(() => hands({ nonsense: 1 })).toThrow(/"nonsense" is no option/);
  expect(() => hands({ headers: 'Host: a' })).toThrow(/headers must be array or object/);
  expect(() => hands(null as never)).toThrow(/options must be an object, got null/);
  expect(hands({})).toBeInstanceOf(HandShake);
});

test('Converse by itself checks what it takes', async () => {
  const transport = new MemoryTransport();
  expect(() => new Converse(transport, { pingInterval: -1 })).toThrow(RangeError);
  expect(() => new Converse(transport, { nonsense: 1 } as never)).toThrow(/nonsense/);

  const converse = new Converse(transport, { closeTimeout: 1 });
  converse.terminate();

  await expect(converse.closed).resolves.toMatchObject({ code: 1006 });
});

test('Frames by itself checks what it takes', () => {
  const frames = (options: unknown): Frames =>
    new Frames(() => undefined, options as FramesOptions);

  expect(() => frames({ maxPaylod: 5 })).toThrow(/"maxPaylod" is no option/);
  expect(() => frames({ maxPayload: 0 })).toThrow(RangeError);
  expect(() => frames(null)).toThrow(/options must be an object, got null/);
  expect(() => frames({ extension: 5 })).toThrow(/extension must be object, got 5/);
  expect(frames({ extension: undefined })).toBeInstanceOf(Frames);
});

test.each([
  ['headers', new Headers({ cookie: 'a=b' }), 'Headers'],
  ['headers', new Map([['Cookie', 'a=b']]), 'Map'],
  ['unionHeader', new Headers({ cookie: 'a=b' }), 'Headers'],
  ['unionHeader', new Map([['Cookie', 'a=b']]), 'Map'],
  ['compression', new Map(), 'Map'],
])('%s that would not be looked into are refused: %p', (name, value, kind) => {
  expect(() => make({ [name]: value })).toThrow(
    expect.objectContaining({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringMatching(
        new RegExp(`^${name} must be .*, got an instance of ${kind}$`),
      ),
    }),
  );
});

test.each([
  ['an arrow function', () => ({})],
  ['a class of something else', class Something {}],
])('handShake must be a class like HandShake, not %s', (_what, handShake) => {
  expect(() => make({ handShake })).toThrow(/^handShake must be a HandShake class/);
});

describe('options of calls', () => {
  test.each([
    ['a signal itself', AbortSignal.abort(), /^options must be an object|is no option/],
    ['a misspelt one', { sgnal: AbortSignal.abort() }, /^"sgnal" is no option; known are signal$/],
    ['5', 5, /^options must be an object, got 5$/],
    ['null', null, /^options must be an object, got null$/],
  ])('createConnection() refuses %s, and can be called again', async (_what, wrong, message) => {
    const { uri } = await listen();
    const aws = client(uri);

    await expect(aws.createConnection(wrong as never)).rejects.toThrow(message);

    await aws.createConnection();
  });

  test('send() and receiveStream() refuse those that do not exist', async () => {
    const { converse } = await open();

    await expect(converse.send('x', { fni: false } as never)).rejects.toThrow(/"fni" is no option/);
    for (const wrong of [{ maxPaylod: 5 }, null, 5]) {
      expect(() => converse.receiveStream(wrong as never)).toThrow(TypeError);
    }
  });
});
