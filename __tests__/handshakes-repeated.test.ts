/**
 * Handshakes with a place that has answered before, where what is the same is not judged again: all
 * that differs still is.
 */
import { once } from 'node:events';
import {
  AioWebSocket,
  HandShake,
  HandShakeError,
  parseUri,
  type AioWebSocketOptions,
  type CompressionOptions,
  type HandShakeResponse,
  type Remote,
} from 'aiowebsocket';
import type { Duplex } from 'node:stream';
import { runChild } from './helpers/child.js';
import { MemoryTransport } from './helpers/duplex.js';
import { frame, readFrames, text, type ClientFrame } from './helpers/frames.js';
import { failure } from './helpers/opening.js';
import {
  acceptance,
  acceptKey,
  closeServers,
  fieldOf,
  RawServer,
  readHead,
} from './helpers/raw-server.js';

afterEach(closeServers);

type Respond = (head: string) => string;

const usual: Respond = (head) => acceptance(head, { Server: 'the usual one' });

/** A server that has given its usual answer to two connections, and shows each request. */
async function answered(): Promise<{
  server: RawServer;
  requests: string[];
  respond: (next: Respond) => void;
}> {
  const requests: string[] = [];
  let respond = usual;
  const server = await RawServer.listen(async (socket) => {
    const head = await readHead(socket);
    requests.push(head);
    socket.write(respond(head), 'latin1');
  });
  await opens(server);
  await opens(server);
  return {
    server,
    requests,
    respond(next) {
      respond = next;
    },
  };
}

async function opens(
  server: RawServer,
  options?: AioWebSocketOptions,
  path = '',
): Promise<HandShakeResponse> {
  const aws = new AioWebSocket(server.url + path, options);
  await aws.createConnection();
  const { response } = aws;
  aws.terminate();
  await aws.closed;
  return response!;
}

test('each has a request of its own: the same, but for the key', async () => {
  const { server, requests } = await answered();
  await opens(server);

  const keys = requests.map((one) => fieldOf(one, 'Sec-WebSocket-Key')!);

  expect(new Set(keys).size).toBe(3);
  for (const key of keys) expect(Buffer.from(key, 'base64')).toHaveLength(16);
  // All of it is random: no four bytes stand in it twice, or in another one.
  expect(
    new Set(keys.flatMap((key) => Buffer.from(key, 'base64').toString('hex').match(/.{8}/g))),
  ).toHaveProperty('size', 12);
  expect(new Set(requests.map((one, i) => one.replace(keys[i]!, ''))).size).toBe(1);
});

test('each has a response of its own, which tells the same', async () => {
  const { server, requests } = await answered();

  const response = await opens(server);

  const accept = acceptKey(fieldOf(requests.at(-1)!, 'Sec-WebSocket-Key')!);
  expect(response).toMatchObject({
    status: 101,
    statusText: 'Switching Protocols',
    subprotocol: '',
    extensions: '',
  });
  expect(response.rawHeaders).toEqual([
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Accept', accept],
    ['Server', 'the usual one'],
  ]);
  expect(response.headers['sec-websocket-accept']).toBe(accept);
  expect(JSON.parse(JSON.stringify(response))).toMatchObject({ status: 101, head: {} });
});

test('the first of them, and those that follow, tell each their own Accept', async () => {
  const { server, requests } = await answered();
  const path = '/first';

  const responses: HandShakeResponse[] = [];
  for (let i = 0; i < 3; i++) responses.push(await opens(server, undefined, path));

  const keys = requests.slice(-3).map((one) => fieldOf(one, 'Sec-WebSocket-Key')!);
  expect(responses.map(({ headers }) => headers['sec-websocket-accept'])).toEqual(
    keys.map(acceptKey),
  );
});

test.each([
  ['the answer to the key again', (accept: string) => accept, undefined],
  [
    'the answer to the key before',
    (_accept: string, before: string) => before,
    'ERR_HANDSHAKE_ACCEPT',
  ],
])('where an answer holds Accept twice, and it is %s', async (_what, choose, expected) => {
  let before = '';
  let accepts = (accept: string): string[] => [accept, accept];
  const server = await RawServer.listen(async (socket) => {
    const head = await readHead(socket);
    const accept = acceptKey(fieldOf(head, 'Sec-WebSocket-Key')!);
    const [echo, field] = accepts(accept);
    socket.write(acceptance(head, { 'X-Echo': echo, 'Sec-WebSocket-Accept': field }));
    before = accept;
  });
  await opens(server);
  await opens(server);
  const last = before;
  accepts = (accept) => [accept, choose(accept, last)];

  const opening = opens(server).then(
    () => undefined,
    (error: unknown) => (error as HandShakeError).code,
  );

  expect(await opening).toBe(expected);
});

test('an answer lives no longer than the connections that got it', async () => {
  const { server } = await answered();

  const { lines, stderr } = await runChild(
    `
    const open = async () => {
      const one = await lib.AioWebSocket.connect(aws.url);
      const known = new WeakRef(one.response);
      one.terminate();
      await one.closed;
      return known;
    };
    const answers = [await open(), await open()];
    const kept = () => answers.filter((one) => one.deref()).length;
    for (let i = 0; i < 20 && kept() > 0; i++) {
      await new Promise(setImmediate);
      global.gc();
    }
    print(kept());
    `,
    server.url,
    { flags: ['--expose-gc'] },
  );

  expect(stderr).toBe('');
  expect(lines).toEqual(['0']);
});

test.each<[string, string, Respond]>([
  [
    'the answer to another key',
    'ACCEPT',
    (head) =>
      acceptance(head, {
        Server: 'the usual one',
        'Sec-WebSocket-Accept': acceptKey('AAAAAAAAAAAAAAAAAAAAAA=='),
      }),
  ],
  [
    'the key itself',
    'ACCEPT',
    (head) =>
      acceptance(head, {
        Server: 'the usual one',
        'Sec-WebSocket-Accept': fieldOf(head, 'Sec-WebSocket-Key'),
      }),
  ],
  [
    'no answer to the key',
    'ACCEPT',
    (head) => acceptance(head, { Server: 'the usual one', 'Sec-WebSocket-Accept': undefined }),
  ],
  [
    'its answer twice',
    'ACCEPT',
    (head) => usual(head).replace(/(Sec-WebSocket-Accept: \S+\r\n)/, '$1$1'),
  ],
  ['another status', 'STATUS', (head) => usual(head).replace('101 Switching Protocols', '204 OK')],
  ['no Upgrade', 'UPGRADE', (head) => usual(head).replace('Upgrade: websocket\r\n', '')],
  [
    'another Connection',
    'UPGRADE',
    (head) => usual(head).replace('Connection: Upgrade', 'Connection: close'),
  ],
  [
    'a subprotocol',
    'SUBPROTOCOL',
    (head) => usual(head).replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: a\r\n\r\n'),
  ],
  [
    'an extension',
    'EXTENSIONS',
    (head) =>
      usual(head).replace('\r\n\r\n', '\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'),
  ],
  ['a field that is none', 'RESPONSE', (head) => usual(head).replace('Server:', 'Server :')],
])('fails when the server gives %s this time', async (_what, code, respond) => {
  const opened = await answered();
  opened.respond(respond);

  const error = await failure(new AioWebSocket(opened.server.url), HandShakeError);

  expect(error.code).toBe(`ERR_HANDSHAKE_${code}`);
  opened.respond(usual);
  await opens(opened.server);
});

test.each([0, 1])('the very answer that connection %d got is none for another', async (which) => {
  const { server, requests, respond } = await answered();
  respond(() => usual(requests[which]!));

  const error = await failure(new AioWebSocket(server.url), HandShakeError);

  expect(error.code).toBe('ERR_HANDSHAKE_ACCEPT');
});

test('what stands behind an answer that is known is a frame', async () => {
  const { server, respond } = await answered();
  respond((head) => `${usual(head)}\x81\x02hi`);
  const aws = new AioWebSocket(server.url);

  await aws.createConnection();

  expect(await aws.manipulator.receive()).toBe('hi');
  aws.terminate();
});

test('an answer may differ, and come in pieces', async () => {
  const { server, respond } = await answered();
  for (const status of ['HTTP/1.1 101 Well', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Then']) {
    respond((head) => acceptance(head, {}, status));
    expect((await opens(server)).statusText).toBe(status.split(' ').at(-1));
    expect((await opens(server)).statusText).toBe(status.split(' ').at(-1));
  }
  const slow = await RawServer.listen(async (socket) => {
    const answer = usual(await readHead(socket));
    for (const part of [answer.slice(0, 20), answer.slice(20)]) {
      socket.write(part);
      await new Promise(setImmediate);
    }
  });
  await opens(slow);
  await opens(slow);
});

test('what came before the usual answer counts', async () => {
  let before = '';
  const server = await RawServer.listen(async (socket) => {
    const head = await readHead(socket);
    socket.write(before);
    // Each in a chunk of its own, so that the client takes them one by one.
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    socket.write(usual(head));
  });
  await opens(server);
  before = 'HTTP/1.1 204 No Content\r\nX: ';

  const error = await failure(new AioWebSocket(server.url), HandShakeError);

  expect(error.status).toBe(204);
});

test('limits of its own hold for an answer that others were content with', async () => {
  const { server } = await answered();

  const fields = await failure(new AioWebSocket(server.url, { maxHeadFields: 3 }), HandShakeError);
  const bytes = await failure(new AioWebSocket(server.url, { maxHeadBytes: 64 }), HandShakeError);

  expect([fields.code, bytes.code]).toEqual(Array(2).fill('ERR_HANDSHAKE_LIMIT'));
});

test('another place, or another path, is asked for what it is', async () => {
  const { server, requests } = await answered();
  const other = await answered();

  await opens(server, undefined, '/other?path');
  await opens(server);
  await opens(other.server);

  expect(requests.map((one) => one.split('\r\n')[0])).toEqual([
    'GET / HTTP/1.1',
    'GET / HTTP/1.1',
    'GET /other?path HTTP/1.1',
    'GET / HTTP/1.1',
  ]);
  expect(fieldOf(requests.at(-1)!, 'Host')).toBe(`127.0.0.1:${server.port}`);
  expect(fieldOf(other.requests.at(-1)!, 'Host')).toBe(`127.0.0.1:${other.server.port}`);
});

test('options that ask for more are heard, and so are subclasses and hooks of one handshake', async () => {
  const { server, requests, respond } = await answered();
  const asked: string[] = [];
  class Careful extends HandShake {
    protected override verifyAccept(response: HandShakeResponse): void {
      asked.push('subclass');
      super.verifyAccept(response);
    }
  }
  class Patched extends AioWebSocket {
    protected override makeHandShake(remote: Remote, transport: Duplex): HandShake {
      const hands = super.makeHandShake(remote, transport);
      return Object.assign(hands, {
        createKey: () => {
          asked.push('patched');
          return 'AAAAAAAAAAAAAAAAAAAAAA==';
        },
      });
    }
  }

  await opens(server, { origin: 'http://else.where' });
  await opens(server, { handShake: Careful });
  await opens(server, { handShake: Careful });
  await new Patched(server.url).createConnection().then((aws) => {
    aws.terminate();
  });

  expect(fieldOf(requests[2]!, 'Origin')).toBe('http://else.where');
  expect(asked).toEqual(['subclass', 'subclass', 'patched']);
  expect(fieldOf(requests.at(-1)!, 'Sec-WebSocket-Key')).toBe('AAAAAAAAAAAAAAAAAAAAAA==');
  respond((head) => usual(head).replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: a\r\n\r\n'));
  expect((await opens(server, { protocols: ['a'] })).subprotocol).toBe('a');
});

describe('with compression', () => {
  const offer = (head: string): string | undefined => fieldOf(head, 'Sec-WebSocket-Extensions');
  const agreeing =
    (parameters = ''): Respond =>
    (head) =>
      acceptance(head, { 'Sec-WebSocket-Extensions': `permessage-deflate${parameters}` });

  test('what was agreed on holds for each of them', async () => {
    // "Hello" as RFC 7692 section 7.2.3.1 has it, and again with the window of the first.
    const hello = ['f248cdc9c90700', 'f200110000'].map((hex) =>
      frame({ rsv: 0x40, payload: Buffer.from(hex, 'hex') }),
    );
    const heads: string[] = [];
    const server = await RawServer.listen(async (socket) => {
      const head = await readHead(socket);
      heads.push(head);
      socket.write(agreeing()(head));
      socket.write(Buffer.concat(hello));
    });

    for (let i = 0; i < 4; i++) {
      const aws = await AioWebSocket.connect(server.url, { compression: true });
      expect(aws.extensions).toBe('permessage-deflate');
      expect(await aws.manipulator.receive()).toBe('Hello');
      expect(await aws.manipulator.receive()).toBe('Hello');
      aws.terminate();
    }
    const keyless = heads.map((head) => head.replace(/(?<=Key: ).*/, ''));
    expect(new Set(keyless)).toEqual(new Set([keyless[0]]));
    expect(heads.map(offer)).toEqual(Array(4).fill('permessage-deflate; client_max_window_bits'));
  });

  test('another offer is another request, also where the object of options is the same', async () => {
    const { server, requests, respond } = await answered();
    const compression: CompressionOptions = {};
    respond(agreeing());

    await opens(server, { compression });
    await opens(server, { compression });
    compression.clientMaxWindowBits = 10;
    await opens(server, { compression });
    await opens(server, { compression: true });
    respond(usual);
    await opens(server);
    await opens(server, { compression: false });

    expect(requests.slice(2).map(offer)).toEqual([
      'permessage-deflate; client_max_window_bits',
      'permessage-deflate; client_max_window_bits',
      'permessage-deflate; client_max_window_bits=10',
      'permessage-deflate; client_max_window_bits',
      undefined,
      undefined,
    ]);
  });

  test('an answer that is known to others is refused by who offered nothing', async () => {
    const { server, respond } = await answered();
    respond(agreeing());
    await opens(server, { compression: true });
    await opens(server, { compression: true });

    const error = await failure(new AioWebSocket(server.url), HandShakeError);

    expect(error.code).toBe('ERR_HANDSHAKE_EXTENSIONS');
  });

  test('an answer that differs counts as it is', async () => {
    const { server, respond } = await answered();
    const compression = true;
    const told: string[] = [];
    for (const parameters of ['', '', '; server_max_window_bits=9', '; server_max_window_bits=9']) {
      respond(agreeing(parameters));
      told.push((await opens(server, { compression })).extensions);
    }
    respond(usual);
    told.push((await opens(server, { compression })).extensions);
    respond(agreeing('; server_max_window_bits=16'));
    const error = await failure(new AioWebSocket(server.url, { compression }), HandShakeError);

    expect(told).toEqual([
      'permessage-deflate',
      'permessage-deflate',
      'permessage-deflate; server_max_window_bits=9',
      'permessage-deflate; server_max_window_bits=9',
      '',
    ]);
    expect(error.code).toBe('ERR_HANDSHAKE_EXTENSIONS');
  });

  test('each compresses by its own level and threshold', async () => {
    const frames: ClientFrame[] = [];
    const server = await RawServer.listen(async (socket) => {
      socket.write(agreeing()(await readHead(socket)));
      socket.resume();
      const [bytes] = (await once(socket, 'data')) as [Buffer];
      frames.push(...readFrames(bytes));
      socket.end();
    });
    for (const threshold of [100, 0, 100]) {
      const aws = await AioWebSocket.connect(server.url, { compression: { threshold } });
      await aws.manipulator.send('short');
      await aws.closed;
    }

    expect(frames.map(({ rsv }) => rsv)).toEqual([0, 0x40, 0]);
  });
});

describe('whoever has a hand in it is heard, and decides for nobody else', () => {
  const plain: Respond = (head) =>
    acceptance(head, { Upgrade: undefined }, 'HTTP/1.1 204 No Content');

  /** Opens with a handshake that has been changed. */
  function withHands(change: (hands: HandShake) => void): typeof AioWebSocket {
    return class extends AioWebSocket {
      protected override makeHandShake(remote: Remote, transport: Duplex): HandShake {
        const hands = super.makeHandShake(remote, transport);
        change(hands);
        return hands;
      }
    };
  }

  const lenient = { verifyStatus: () => undefined, verifyUpgrade: () => undefined };

  test.each<[string, (hands: HandShake) => void]>([
    [
      'hooks that come with the response',
      (hands) => hands.on('response', () => Object.assign(hands, lenient)),
    ],
    [
      'hooks that are not seen in a loop',
      (hands) => {
        for (const [name, value] of Object.entries(lenient))
          Object.defineProperty(hands, name, { value });
      },
    ],
    [
      'hooks that come with the request',
      (hands) => hands.on('request', () => Object.assign(hands, lenient)),
    ],
    [
      'a response that is changed',
      (hands) => {
        hands.on('response', (response) => {
          (response as { status: number }).status = 101;
          (response.rawHeaders as [string, string][]).push(['Upgrade', 'websocket']);
        });
      },
    ],
  ])('%s let an answer pass once', async (_what, change) => {
    const { server, respond } = await answered();
    respond(plain);

    const aws = new (withHands(change))(server.url);
    await aws.createConnection();
    aws.terminate();

    const error = await failure(new AioWebSocket(server.url), HandShakeError);
    expect(error.code).toBe('ERR_HANDSHAKE_STATUS');
  });

  test.each([
    'verifyStatus',
    'verifyUpgrade',
    'verifyAccept',
    'selectSubprotocol',
    'selectExtensions',
  ])('a %s that is stricter refuses what was known to be good', async (hook) => {
    const { server } = await answered();
    const strict = (): never => {
      throw new HandShakeError('ERR_HANDSHAKE_STATUS', 'too strict');
    };

    for (const when of ['request', 'response'] as const) {
      const aws = new (withHands((hands) => {
        hands.on(when, () => Object.defineProperty(hands, hook, { value: strict }));
      }))(server.url);
      await failure(aws, HandShakeError);
    }
  });

  test('a hook of the class itself is asked each time, and no more once it is put back', async () => {
    const { server, requests } = await answered();
    let asked = 0;
    const own = HandShake.prototype as unknown as { requestHeaders: () => [string, string][] };
    const original = own.requestHeaders;
    const patched = jest.spyOn(own, 'requestHeaders').mockImplementation(function (
      this: HandShake,
    ) {
      return [...original.call(this as never), ['traceparent', `t${++asked}`]];
    });

    await opens(server);
    await opens(server);
    patched.mockRestore();
    await opens(server);

    expect(requests.slice(2).map((one) => fieldOf(one, 'traceparent'))).toEqual([
      't1',
      't2',
      undefined,
    ]);
  });

  test('what a listener reads or changes is not kept', async () => {
    const { server } = await answered();
    for (let i = 0; i < 2; i++) {
      const aws = new (withHands((hands) => {
        hands.on('response', (response) => {
          (response.headers as Record<string, string>)['x-mine'] = '1';
        });
      }))(server.url);
      await aws.createConnection();
      expect(aws.response!.headers).not.toHaveProperty('x-mine');
      aws.terminate();
    }
  });
});

test('a remote that is changed between two handshakes is asked for what it says then', async () => {
  const { server, requests } = await answered();
  const { connect } = await import('node:net');
  const remote = { scheme: 'ws', host: '127.0.0.1', port: server.port, resource: '/a', ssl: false };
  for (const resource of ['/a', '/b']) {
    remote.resource = resource;
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    const hands = new HandShake(remote as Remote, socket);
    await hands.shake();
    await hands.shakeResult();
    socket.destroy();
  }

  expect(requests.slice(2).map((one) => one.split(' ')[1])).toEqual(['/a', '/b']);
});

test('what came in the same read as an answer is not kept by it', async () => {
  const greeting = text('g'.repeat(60_000));
  const server = await RawServer.listen(async (socket) => {
    const head = await readHead(socket);
    socket.write(Buffer.concat([Buffer.from(usual(head)), greeting]));
  });

  const { lines, stderr } = await runChild(
    `
    const all = [];
    const heap = () => { global.gc(); global.gc(); return process.memoryUsage().heapUsed; };
    const open = async () => {
      const one = await lib.AioWebSocket.connect(aws.url);
      await one.manipulator.receive();
      all.push(one);
    };
    for (let i = 0; i < 20; i++) await open();
    const before = heap();
    for (let i = 0; i < 40; i++) await open();
    print(String((heap() - before) / 40));
    for (const one of all) one.terminate();
    `,
    server.url,
    { flags: ['--expose-gc'] },
  );

  expect(stderr).toBe('');
  expect(Number(lines[0])).toBeLessThan(20_000);
});

test('each goes by its own answer, also where another one comes in between', async () => {
  const plain: Respond = (head) => acceptance(head);
  const compressed: Respond = (head) =>
    acceptance(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
  /** A handshake whose answer is given when the test does so. */
  async function asked(uri: string): Promise<{
    response: Promise<HandShakeResponse>;
    answer: (respond: Respond) => void;
  }> {
    const transport = new MemoryTransport();
    const hands = new HandShake(parseUri(uri), transport, { compression: true });
    await hands.shake();
    return {
      response: hands.shakeResult(),
      answer: (respond) => transport.push(respond(transport.bytes.toString())),
    };
  }

  // So many microtasks later the other one has just been verified.
  for (let later = 0; later < 40; later++) {
    const uri = `ws://after-${later}.example/`;
    const before = await asked(uri);
    before.answer(plain);
    await before.response;
    const [mine, other] = [await asked(uri), await asked(uri)];
    await new Promise(setImmediate);

    other.answer(compressed);
    for (let i = 0; i < later; i++) await Promise.resolve();
    mine.answer(plain);

    expect([later, (await mine.response).extensions]).toEqual([later, '']);
    expect((await other.response).extensions).toBe('permessage-deflate');
  }
});
