/** What subclasses change: the request, the verdict, the transport. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { Duplex, Readable, Writable } from 'node:stream';
import {
  AioWebSocket,
  ConnectionError,
  Converse,
  Frames,
  HandShake,
  HandShakeError,
  parseUri,
  TimeoutError,
  type ByteSink,
  type CloseInfo,
  type ConverseParts,
  type HandShakeResponse,
  type HeaderList,
  type Remote,
} from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { close, readFrame, text } from './helpers/frames.js';
import { failure } from './helpers/opening.js';
import {
  acceptance,
  closeServers,
  fieldOf,
  RawServer,
  readHead,
  shakeHands,
} from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

afterEach(closeServers);

const sign = (resource: string): string =>
  createHmac('sha256', 'secret').update(resource).digest('hex');

/** A server that opens, keeps each request, and takes no Close for an answer. */
async function opening(): Promise<{ server: RawServer; requests: string[] }> {
  const requests: string[] = [];
  const server = await RawServer.listen(async (socket) => {
    requests.push(await shakeHands(socket));
  });
  return { server, requests };
}

async function opens<A extends AioWebSocket>(aws: A): Promise<A> {
  await aws.createConnection();
  aws.terminate();
  await aws.closed;
  return aws;
}

describe('a HandShake that signs each request', () => {
  class Signed extends HandShake {
    protected override requestHeaders(): HeaderList {
      return [...super.requestHeaders(), ['X-Signature', sign(this.remote.resource)]];
    }
  }

  test('extends requestHeaders', async () => {
    const { server, requests } = await opening();

    await opens(new AioWebSocket(`${server.url}/feed?a=1`, { handShake: Signed }));

    expect(fieldOf(requests[0]!, 'X-Signature')).toBe(sign('/feed?a=1'));
    expect(requests[0]!.endsWith('\r\n\r\n')).toBe(true);
  });

  test('with a token that it has to wait for, in shakeHeaders', async () => {
    class Async extends Signed {
      override async shakeHeaders(): Promise<string> {
        const token = await new Promise<string>((resolve) => setImmediate(resolve, 'a token'));
        const head = await super.shakeHeaders();
        return head.replace(/\r\n\r\n$/, `\r\nAuthorization: Bearer ${token}\r\n\r\n`);
      }
    }
    const { server, requests } = await opening();

    await opens(new AioWebSocket(server.url, { handShake: Async }));

    expect(fieldOf(requests[0]!, 'Authorization')).toBe('Bearer a token');
    expect(fieldOf(requests[0]!, 'X-Signature')).toBe(sign('/'));
  });

  test('fails the opening with what it throws, and sends nothing', async () => {
    const thrown = new Error('no token today');
    class Failing extends HandShake {
      override shakeHeaders(): Promise<string> {
        return Promise.reject(thrown);
      }
    }
    const bytes: Buffer[] = [];
    const server = await RawServer.listen((socket) => {
      socket.on('data', (chunk) => bytes.push(chunk));
    });

    const error = await failure(new AioWebSocket(server.url, { handShake: Failing }), Error);

    expect(error).toBe(thrown);
    await server.emptied();
    expect(bytes).toEqual([]);
  });

  test.each([
    ['without its blank line', (head: string) => head.slice(0, -2), /blank line/],
    ['without a key', (head: string) => head.replace(/Sec-WebSocket-Key.*\r\n/, ''), /Key/],
    [
      'with CR LF in a field',
      (head: string) => head.replace('Upgrade: w', 'X: \n\r\nUpgrade: w'),
      /line/,
    ],
  ])('composes a head %s: an error, and nothing is sent', async (_what, change, message) => {
    class Wrong extends HandShake {
      override async shakeHeaders(): Promise<string> {
        return change(await super.shakeHeaders());
      }
    }
    const bytes: Buffer[] = [];
    const server = await RawServer.listen((socket) => {
      socket.on('data', (chunk) => bytes.push(chunk));
    });

    const error = await failure(new AioWebSocket(server.url, { handShake: Wrong }), Error);

    expect(error.name).toBe('TypeError');
    expect(error.message).toMatch(message);
    await server.emptied();
    expect(bytes).toEqual([]);
  });
});

describe('other hooks of HandShake', () => {
  test('requestLine and createKey', async () => {
    class Other extends HandShake {
      protected override requestLine(): string {
        return 'GET http://proxied.example/ HTTP/1.1';
      }
      protected override createKey(): string {
        return 'AAAAAAAAAAAAAAAAAAAAAA==';
      }
    }
    const { server, requests } = await opening();

    await opens(new AioWebSocket(server.url, { handShake: Other }));

    expect(requests[0]).toMatch(/^GET http:\/\/proxied\.example\/ HTTP\/1\.1\r\n/);
    expect(fieldOf(requests[0]!, 'Sec-WebSocket-Key')).toBe('AAAAAAAAAAAAAAAAAAAAAA==');
  });

  test('verifyStatus replaced: 200 will do', async () => {
    class Lenient extends HandShake {
      protected override verifyStatus({ status }: HandShakeResponse): void {
        if (status !== 200) throw new Error(`not 200 but ${status}`);
      }
    }
    const server = await RawServer.listen(async (socket) => {
      socket.write(acceptance(await readHead(socket), {}, 'HTTP/1.1 200 OK'));
    });

    const aws = await opens(new AioWebSocket(server.url, { handShake: Lenient }));

    expect(aws.response?.status).toBe(200);
  });

  test('verifyStatus replaced: what it throws is the failure', async () => {
    class Strict extends HandShake {
      protected override verifyStatus(response: HandShakeResponse): void {
        throw new HandShakeError('ERR_HANDSHAKE_STATUS', 'never', response);
      }
    }
    const { server } = await opening();

    const error = await failure(
      new AioWebSocket(server.url, { handShake: Strict }),
      HandShakeError,
    );

    expect(error).toMatchObject({ message: 'never', status: 101 });
  });

  test('verifyStatus replaced: an error of its own is passed on as it is', async () => {
    class Strict extends HandShake {
      protected override verifyStatus(): void {
        throw new RangeError('never');
      }
    }
    const { server } = await opening();

    const error = await failure(new AioWebSocket(server.url, { handShake: Strict }), RangeError);

    expect(error.message).toBe('never');
    expect(error).not.toHaveProperty('body');
  });

  test('verifyUpgrade, verifyAccept, selectSubprotocol, selectExtensions: each alone', async () => {
    class Trusting extends HandShake {
      protected override verifyUpgrade(): void {}
      protected override verifyAccept(): void {}
      protected override selectSubprotocol(response: HandShakeResponse): string {
        return response.headers['sec-websocket-protocol'] ?? 'none';
      }
      protected override selectExtensions(): string {
        return 'mine';
      }
    }
    const server = await RawServer.listen(async (socket) => {
      await readHead(socket);
      socket.write('HTTP/1.1 101 Yes\r\nSec-WebSocket-Protocol: x\r\n\r\n');
    });

    const aws = await opens(new AioWebSocket(server.url, { handShake: Trusting }));

    expect([aws.subprotocol, aws.extensions]).toEqual(['x', 'mine']);
  });

  test.each(['verifyStatus', 'verifyUpgrade', 'verifyAccept'])(
    '%s may take its time, and its refusal counts',
    async (step) => {
      class Patient extends HandShake {}
      Object.assign(Patient.prototype, {
        async [step](response: HandShakeResponse) {
          await new Promise(setImmediate);
          throw new HandShakeError('ERR_HANDSHAKE_STATUS', 'revoked', response);
        },
      });
      const { server } = await opening();

      const error = await failure(
        new AioWebSocket(server.url, { handShake: Patient, timeout: 5000 }),
        HandShakeError,
      );

      expect(error.message).toBe('revoked');
    },
  );

  test('selectSubprotocol and selectExtensions are waited for as well', async () => {
    class Patient extends HandShake {}
    Object.assign(Patient.prototype, {
      selectSubprotocol: () => Promise.resolve('chosen'),
      selectExtensions: () => Promise.resolve('mine'),
    });
    const { server } = await opening();

    const aws = await opens(new AioWebSocket(server.url, { handShake: Patient }));

    expect([aws.subprotocol, aws.extensions]).toEqual(['chosen', 'mine']);
  });

  test('request and response are told, and a throwing listener stops nothing', async () => {
    const told: string[] = [];
    class Told extends HandShake {
      constructor(...args: ConstructorParameters<typeof HandShake>) {
        super(...args);
        this.on('request', (head) => told.push(head.slice(0, 14)));
        this.on('response', ({ status }) => told.push(String(status)));
      }
    }
    const { server } = await opening();
    const aws = new AioWebSocket(server.url, { handShake: Told });
    aws.on('handshake', ({ statusText }) => told.push(statusText));

    await opens(aws);

    expect(told).toEqual(['GET / HTTP/1.1', '101', 'Switching Protocols']);
    expect(aws.hands).toBeInstanceOf(Told);
  });
});

describe('a transport of its own', () => {
  class Memory extends AioWebSocket {
    readonly got: unknown[] = [];
    protected override openTransport(remote: Remote, signal: AbortSignal): Duplex {
      this.got.push(remote.host, signal.aborted);
      let shaken = false;
      let bytes = Buffer.alloc(0);
      return new MemoryTransport((chunk, transport) => {
        if (!shaken) {
          shaken = true;
          transport.push(acceptance(chunk.toString()));
          return;
        }
        bytes = Buffer.concat([bytes, chunk]);
        const read = readFrame(bytes);
        if (read === undefined) return;
        bytes = Buffer.from(read.rest);
        if (read.frame.opcode === 8) {
          transport.push(close(1000));
          transport.push(null);
        } else transport.push(text(`echo ${String(read.frame.payload)}`));
      });
    }
  }

  test('is a Duplex, which it speaks on like on a socket', async () => {
    const aws = new Memory('ws://anything/');

    await aws.createConnection();
    await aws.manipulator.send('a');
    await expect(aws.manipulator.receive()).resolves.toBe('echo a');
    await aws.manipulator.send('b'.repeat(70_000));
    await expect(aws.manipulator.receive()).resolves.toHaveLength(70_005);
    const info = await aws.closeConnection();

    expect(info).toMatchObject({ code: 1000, wasClean: true, initiatedBy: 'local' });
    expect(aws.transport).toBeInstanceOf(MemoryTransport);
    expect(aws.transport?.destroyed).toBe(true);
    expect(aws.got).toEqual(['anything', false]);
    expect([aws.remoteAddress, aws.localAddress]).toEqual([undefined, undefined]);
  });

  test('may take its time', async () => {
    const { server } = await opening();
    class Slow extends AioWebSocket {
      protected override openTransport(remote: Remote): Promise<Duplex> {
        return new Promise((resolve) => {
          const socket = connectSocket(remote.port, remote.host, () => {
            resolve(socket);
          });
        });
      }
    }

    const aws = await new Slow(server.url).createConnection();

    expect(aws.remoteAddress).toMatchObject({ address: '127.0.0.1', port: server.port });
    aws.terminate();
    await aws.closed;
  });

  test('may have been read and paused before', async () => {
    const server = await RawServer.listen(async (socket) => {
      await shakeHands(socket);
      socket.write(text('hello'));
    });
    class Paused extends AioWebSocket {
      protected override async openTransport({ port, host }: Remote): Promise<Duplex> {
        const socket = connectSocket(port, host);
        await once(socket, 'connect');
        return socket.resume().pause();
      }
    }

    const aws = await new Paused(server.url).createConnection();

    expect(await aws.manipulator.receive()).toBe('hello');
    aws.terminate();
    await aws.closed;
  });

  test('that cannot be opened fails the opening with its error', async () => {
    const thrown = new Error('no tunnel');
    class Failing extends AioWebSocket {
      protected override openTransport(): Duplex {
        throw thrown;
      }
    }

    await expect(failure(new Failing('ws://a/'), Error)).resolves.toBe(thrown);
  });
});

test('a transport in object mode may give any view of bytes', async () => {
  const { server } = await opening();
  class Views extends AioWebSocket {
    protected override async openTransport(remote: Remote): Promise<Duplex> {
      const socket = connectSocket(remote.port, remote.host);
      await once(socket, 'connect');
      const views = async function* (): AsyncGenerator<Uint8Array> {
        for await (const chunk of socket) yield new Uint8Array(chunk as Buffer);
      };
      return Duplex.from({ readable: Readable.from(views()), writable: socket });
    }
  }

  const { response } = await opens(new Views(server.url));

  expect(response?.status).toBe(101);
});

describe('a transport of its own that fails', () => {
  const opens = (openTransport: () => Duplex | Promise<Duplex>): AioWebSocket =>
    new (class extends AioWebSocket {
      protected override openTransport(): Duplex | Promise<Duplex> {
        return openTransport();
      }
    })('ws://a/', { timeout: 50 });

  test('before it is connected ends in a ConnectionError with its error', async () => {
    const aws = opens(() => connectSocket('/nowhere/service.sock'));

    const error = await failure(aws, ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_CONNECTION_FAILED', phase: 'handshake' });
    expect(error.message).toContain('connect ENOENT /nowhere/service.sock');
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('before it is given back does as well', async () => {
    const cause = new Error('no longer there');
    const aws = opens(async () => {
      const broken = new MemoryTransport(() => undefined);
      const closed = new Promise((resolve) => broken.once('close', resolve));
      broken.on('error', () => undefined).destroy(cause);
      await closed;
      return broken;
    });

    const error = await failure(aws, ConnectionError);

    expect(error).toMatchObject({ code: 'ERR_CONNECTION_RESET', cause });
  });

  test.each([
    ['ECONNREFUSED', 'ERR_CONNECTION_REFUSED'],
    ['ECONNRESET', 'ERR_CONNECTION_RESET'],
    ['EPIPE', 'ERR_CONNECTION_RESET'],
    ['ETIMEDOUT', 'ERR_CONNECTION_FAILED'],
    ['ERR_STREAM_DESTROYED', 'ERR_CONNECTION_RESET'],
    ['EAI_AGAIN', 'ERR_CONNECTION_RESET'],
    ['ABORT_ERR', 'ERR_CONNECTION_RESET'],
    ['HPE_INVALID_CONSTANT', 'ERR_CONNECTION_RESET'],
    ['CERT_HAS_EXPIRED', 'ERR_TLS'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ERR_TLS'],
    ['EPROTO', 'ERR_TLS'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_TLS'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'ERR_TLS'],
  ])('with %s is told as %s, before the answer and after it', async (code, told) => {
    const cause = Object.assign(new Error('no more'), { code });
    const aws = opens(() => {
      const transport = new MemoryTransport(() => transport.destroy(cause));
      return transport;
    });
    expect(await failure(aws, ConnectionError)).toMatchObject({ code: told, cause });

    const server = await RawServer.listen((socket) => shakeHands(socket));
    const open = await AioWebSocket.connect(server.url);
    open.transport?.destroy(cause);

    expect((await open.closed).error).toMatchObject({ code: told, cause });
  });

  test.each([
    ['gone', 'ERR_CONNECTION_RESET', 'broke without a Close frame: "gone"'],
    [{ message: 5 }, 'ERR_CONNECTION_RESET', 'broke without a Close frame: 5'],
    [undefined, 'ERR_CONNECTION_LOST', 'ended without a Close frame'],
  ])('with %p, which is no Error, is told as %s', async (cause, code, what) => {
    const server = await RawServer.listen((socket) => shakeHands(socket));
    const aws = await AioWebSocket.connect(server.url);

    aws.transport?.destroy(cause as never);

    const { error } = await aws.closed;
    expect(error).toMatchObject({ code, message: `the connection ${what}` });
    expect(error?.cause).toBe(cause);
  });

  test.each([
    ['closeConnection()', (aws: AioWebSocket) => void aws.closeConnection()],
    ['terminate()', (aws: AioWebSocket) => aws.terminate()],
    ['the signal', (_aws: AioWebSocket, controller: AbortController) => controller.abort()],
  ])('once %s has ended its `afterOpen` is no failure', async (_by, end) => {
    const controller = new AbortController();
    class Waiting extends AioWebSocket {
      protected override openTransport(): Duplex {
        return new MemoryTransport((chunk, transport) => {
          if (transport.written.length === 1) transport.push(acceptance(chunk.toString()));
        });
      }

      protected override afterOpen(): Promise<void> {
        setImmediate(end, this, controller);
        return new Promise(() => undefined);
      }
    }
    const aws = new Waiting('ws://a/');
    const told: unknown[] = [];
    aws.on('error', (error) => told.push(error)).on('close', (code) => told.push(code));

    await expect(aws.createConnection({ signal: controller.signal })).rejects.toThrow();

    expect(told).toEqual([1006]);
    expect(await aws.closed).toMatchObject({ initiatedBy: 'local' });
  });

  test('as its signal aborts rejects with the reason', async () => {
    const reason = new Error('changed my mind');
    let given: unknown;
    class Impatient extends AioWebSocket {
      protected override async openTransport(remote: Remote): Promise<Duplex> {
        const controller = new AbortController();
        const opening = Promise.resolve(super.openTransport(remote, controller.signal));
        controller.abort(reason);
        given = await opening.catch((error: unknown) => error);
        throw given as Error;
      }
    }
    const server = await RawServer.listen((socket) => shakeHands(socket));

    await expect(new Impatient(server.url).createConnection()).rejects.toBe(reason);

    expect(given).toBe(reason);
  });

  test('to come in time is told of as what it is: a transport, no name', async () => {
    const aws = opens(() => new Promise(() => undefined));

    await expect(failure(aws, TimeoutError)).resolves.toMatchObject({ phase: 'tcp' });
  });
});

describe("a Converse of one's own", () => {
  test('may send from makeConverse on, with options of its own', async () => {
    const { server } = await opening();
    class Greeting extends AioWebSocket {
      greeted: Promise<void> | undefined;
      protected override makeConverse(transport: Duplex, parts: ConverseParts): Converse {
        const converse = new Converse(transport, { ...this.options, highWaterMark: 1 }, parts);
        this.greeted = converse.send('much');
        return converse;
      }
    }

    const aws = await new Greeting(server.url).createConnection();
    await aws.greeted;

    expect(() => new Converse(aws.transport!, { nonsense: 1 } as never)).toThrow(/nonsense/);
    aws.terminate();
    await aws.closed;
  });

  test('goes by its own options, not by those of the connection', async () => {
    const { server } = await opening();
    class Hasty extends AioWebSocket {
      protected override makeConverse(transport: Duplex, parts: ConverseParts): Converse {
        return new Converse(transport, { ...this.options, closeTimeout: 50 }, parts);
      }
    }
    const aws = await new Hasty(server.url, { closeTimeout: 60_000 }).createConnection();

    const { error } = await aws.closeConnection();

    expect(error).toBeInstanceOf(TimeoutError);
    expect(error?.message).toMatch(/50 ms \(closeTimeout\)/);
  });

  test('is asked when the connection is to be closed', async () => {
    const { server } = await opening();
    const calls: string[] = [];
    class Noting extends Converse {
      override close(code?: number, reason?: string): Promise<CloseInfo> {
        calls.push(`close ${String(code)}`);
        return super.close(code, reason);
      }
      override terminate(): void {
        calls.push('terminate');
        super.terminate();
      }
    }
    class Own extends AioWebSocket {
      protected override makeConverse(transport: Duplex, parts: ConverseParts): Converse {
        return new Noting(transport, this.options, parts);
      }
    }
    const aws = await new Own(server.url).createConnection();

    const closed = aws.closeConnection(1001);
    aws.terminate();
    await closed;

    expect(calls).toEqual(['close 1001', 'terminate']);
  });

  test('by itself is given what came behind a handshake made by hand', async () => {
    const transport = new MemoryTransport();
    const converse = new Converse(transport, {}, { head: text('glued') });

    await expect(converse.receive()).resolves.toBe('glued');

    converse.terminate();
    await converse.closed;
  });
});

test.each([
  ['a resource', { resource: '/a b' }],
  ['a resource', { resource: '/ HTTP/1.1\r\nX-Evil: 1' }],
  ['a host', { host: 'a\r\nX-Evil: 1' }],
])('%s that makeHandShake made up is checked before it goes out', async (_what, change) => {
  const { server, requests } = await opening();
  class Made extends AioWebSocket {
    protected override makeHandShake(remote: Remote, transport: Duplex): HandShake {
      return super.makeHandShake({ ...remote, ...change }, transport);
    }
  }

  await expect(new Made(server.url).createConnection()).rejects.toThrow(TypeError);

  expect(requests).toEqual([]);
});

describe('what comes right behind the answer', () => {
  const COUNT = 100;
  const message = (i: number): string => `${i} `.padEnd(8000, 'x');
  const pouring = (): Promise<RawServer> =>
    RawServer.listen(async (socket) => {
      socket.write(acceptance(await readHead(socket)));
      for (let i = 0; i < COUNT; i++) socket.write(text(message(i)));
    });

  /** Waits, with the answer in hand, until so much has come that a stream wants no more. */
  class Slow extends HandShake {
    override async shakeResult(): Promise<HandShakeResponse> {
      const response = await super.shakeResult();
      while (this.transport.readableLength < this.transport.readableHighWaterMark) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      return response;
    }
  }

  /** Looks at the bytes that come as those of a stream. */
  class Looking extends HandShake {
    seen = 0;

    override shakeResult(): Promise<HandShakeResponse> {
      this.transport.on('data', (chunk: Buffer) => (this.seen += chunk.length));
      return super.shakeResult();
    }
  }

  test.each([
    ['by itself', HandShake],
    ['by one that takes its time', Slow],
    ['by one that reads its transport as a stream', Looking],
  ])('is read, whole and in order: %s', async (_how, handShake) => {
    const server = await pouring();
    const aws = await AioWebSocket.connect(server.url, { handShake });

    for (let i = 0; i < COUNT; i++) {
      expect(await aws.manipulator.receive({ timeout: 10_000 })).toBe(message(i));
    }

    if (aws.hands instanceof Looking) expect(aws.hands.seen).toBeGreaterThan(100);
    aws.terminate();
    await aws.closed;
  });

  describe.each(['ws', 'wss'])('over %s, and then the end', (scheme) => {
    const { cert, key } = makeCertificate('localhost', { names: ['127.0.0.1'] });
    const isTls = scheme === 'wss';
    const options = isTls ? { ssl: { ca: cert } } : {};

    /** Holds the answer until nothing is left of the connection. */
    class Late extends HandShake {
      override async shakeResult(): Promise<HandShakeResponse> {
        const response = await super.shakeResult();
        if (!this.transport.destroyed) await once(this.transport, 'close');
        return response;
      }
    }

    test.each([
      ['a Close frame', 'at once', HandShake, [close(1000)], { code: 1000, wasClean: true }],
      ['a Close frame', 'late', Late, [close(1000)], { code: 1000, wasClean: true }],
      [
        'no Close frame',
        'at once',
        HandShake,
        [],
        { code: 1006, error: expect.any(ConnectionError) as Error },
      ],
      [
        'no Close frame',
        'late',
        Late,
        [],
        { code: 1006, error: expect.any(ConnectionError) as Error },
      ],
    ])('is not lost: with %s, read %s', async (_with, _when, handShake, last, info) => {
      const server = await RawServer.listen(
        async (socket) => {
          const head = acceptance(await readHead(socket));
          socket.end(Buffer.concat([Buffer.from(head), text('hello'), ...last]));
        },
        isTls ? { tls: { cert, key } } : {},
      );
      const uri = `${scheme}://127.0.0.1:${server.port}/`;
      const aws = await AioWebSocket.connect(uri, { ...options, handShake });

      expect(await aws.manipulator.receive()).toBe('hello');
      expect(await aws.closed).toMatchObject(info);
    });
  });
});

test('who sends no key is answered by nobody: an empty Accept is refused', async () => {
  class Keyless extends HandShake {
    override shake(): Promise<void> {
      this.transport.write('GET / HTTP/1.1\r\n\r\n');
      return Promise.resolve();
    }
  }
  const transport = new Duplex({
    read: () => undefined,
    write(_chunk, _encoding, done) {
      this.push(
        'HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept:\r\n\r\n',
      );
      done();
    },
  });
  const hands = new Keyless(parseUri('ws://a/'), transport);
  await hands.shake();

  await expect(hands.shakeResult()).rejects.toMatchObject({ code: 'ERR_HANDSHAKE_ACCEPT' });
});

test('no name of a subclass meets one of ours, however short', async () => {
  const { server } = await opening();
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('');
  const names = [...letters, ...letters.flatMap((one) => letters.map((other) => one + other))];
  const fields = Object.fromEntries(names.map((name) => [name, 'mine']));
  class Named extends HandShake {
    constructor(...args: ConstructorParameters<typeof HandShake>) {
      super(...args);
      Object.assign(this, fields);
    }
  }
  class NamedFrames extends Frames {
    constructor(...args: ConstructorParameters<typeof Frames>) {
      super(...args);
      Object.assign(this, fields);
    }
  }
  class NamedToo extends AioWebSocket {
    constructor(uri: string) {
      super(uri, { handShake: Named });
      Object.assign(this, fields);
    }
    protected override makeFrames(sink: ByteSink): Frames {
      return new NamedFrames(sink);
    }
    protected override makeConverse(transport: Duplex, parts: ConverseParts): Converse {
      return Object.assign(super.makeConverse(transport, parts), fields);
    }
  }
  const aws = await new NamedToo(server.url).createConnection();

  expect(aws.extensions).toBe('');
  await aws.manipulator.send('hello');
  aws.terminate();
  expect(await aws.closed).toMatchObject({ code: 1006, initiatedBy: 'local' });
});

describe('a part that is not what it should be fails the opening, and leaves nothing', () => {
  const wrong = (hook: string, value: unknown): typeof AioWebSocket => {
    class Wrong extends AioWebSocket {}
    Object.assign(Wrong.prototype, { [hook]: () => value });
    return Wrong;
  };

  test.each([
    ['openTransport', undefined, /openTransport\(\) must be an object with read, got undefined/],
    ['openTransport', { readable: true }, /openTransport\(\) must be .* got an instance of O/],
    ['openTransport', new Writable(), /openTransport\(\) must be .* got an instance of Writable/],
    ['makeHandShake', undefined, /makeHandShake\(\) must be an object with shake, got undefined/],
    ['makeHandShake', Promise.resolve(), /makeHandShake\(\) must .* got an instance of Promise/],
    ['makeFrames', undefined, /makeFrames\(\) must be an object with feed, got undefined/],
    ['makeFrames', Promise.resolve(), /makeFrames\(\) must be .* got an instance of Promise/],
    ['makeConverse', undefined, /makeConverse\(\) must be a Converse made with parts, got und/],
    ['makeConverse', Promise.resolve(), /makeConverse\(\) must be .* got an instance of Promise/],
  ])('%s gives %p', async (hook, value, message) => {
    const server = await RawServer.listen((socket) => shakeHands(socket).catch(() => undefined));
    const Wrong = wrong(hook, value);

    const error = await failure(new Wrong(server.url), TypeError);

    expect(error.message).toMatch(message);
    await server.emptied();
  });

  test('openTransport gives a stream that cannot be read: it is destroyed', async () => {
    const writable = new Writable();
    const Wrong = wrong('openTransport', writable);

    await failure(new Wrong('ws://anything/'), TypeError);

    expect(writable.destroyed).toBe(true);
  });

  test('makeConverse forgets the parts', async () => {
    class Forgetful extends AioWebSocket {
      protected override makeConverse(transport: Duplex): Converse {
        return new Converse(transport, this.options);
      }
    }
    const server = await RawServer.listen((socket) => shakeHands(socket).catch(() => undefined));

    const error = await failure(new Forgetful(server.url), TypeError);

    expect(error.message).toMatch(/makeConverse\(\) must be a Converse made with parts, got an in/);
    await server.emptied();
  });

  test('makeConverse gives another than the one that it made with the parts', async () => {
    class Confused extends AioWebSocket {
      protected override makeConverse(transport: Duplex, parts: ConverseParts): Converse {
        super.makeConverse(transport, parts);
        return new Converse(new MemoryTransport(), this.options);
      }
    }
    const server = await RawServer.listen((socket) => shakeHands(socket).catch(() => undefined));

    const error = await failure(new Confused(server.url), TypeError);

    expect(error.message).toMatch(/makeConverse\(\) must be a Converse made with parts, got an in/);
    await server.emptied();
  });

  test.each([
    ['shakeHeaders', undefined, /the request must be .* got "undefined"/],
    ['requestHeaders', undefined, /requestHeaders\(\) must be an object with map, got undefined/],
    ['requestHeaders', Promise.resolve([]), /requestHeaders\(\) must be .* of Promise/],
  ])('%s gives %p', async (hook, value, message) => {
    class Wrong extends HandShake {}
    Object.assign(Wrong.prototype, { [hook]: () => value });
    const server = await RawServer.listen(() => undefined);

    const error = await failure(new AioWebSocket(server.url, { handShake: Wrong }), TypeError);

    expect(error.message).toMatch(message);
    await server.emptied();
  });

  test('shakeResult forgets to return what it got', async () => {
    class Forgetful extends HandShake {
      override async shakeResult(): Promise<HandShakeResponse> {
        await super.shakeResult();
        return undefined as never;
      }
    }
    const { server } = await opening();

    const error = await failure(new AioWebSocket(server.url, { handShake: Forgetful }), TypeError);

    expect(error.message).toMatch(/shakeResult\(\) must be an object with status, got und/);
    await server.emptied();
  });
});

test('a transport that does not tell its end is waited for no longer than closeTimeout', async () => {
  class Quiet extends AioWebSocket {
    protected override openTransport(): Duplex {
      let shaken = false;
      return new Duplex({
        emitClose: false,
        read: () => undefined,
        write(chunk: Buffer, _encoding, done) {
          if (!shaken) this.push(acceptance(chunk.toString()));
          else if (chunk[0] === 0x88) this.push(Buffer.concat([close(1000)]));
          shaken = true;
          done();
        },
      });
    }
  }
  const aws = await new Quiet('ws://anything/', { closeTimeout: 50 }).createConnection();

  expect(await aws.closeConnection()).toMatchObject({ code: 1000 });

  const other = await new Quiet('ws://anything/', { closeTimeout: 50 }).createConnection();
  other.terminate();
  expect(await other.closed).toMatchObject({ code: 1006 });
});

test('a transport that only tells of an error, behind the Close of the server, is destroyed', async () => {
  class Failing extends AioWebSocket {
    protected override openTransport(): Duplex {
      const transport = new Duplex({
        autoDestroy: false,
        read: () => undefined,
        write(chunk: Buffer, _encoding, done) {
          if (chunk[0] === 0x88) {
            transport.push(Buffer.concat([close(1000)]));
            setImmediate(() => transport.emit('error', new Error('reset')));
          } else transport.push(acceptance(chunk.toString()));
          done();
        },
      });
      return transport;
    }
  }
  const aws = await new Failing('ws://anything/', { closeTimeout: 60_000 }).createConnection();

  expect(await aws.closeConnection()).toMatchObject({ code: 1000, wasClean: true });
  expect(aws.transport?.destroyed).toBe(true);
});

describe('a line break in what a subclass composes is not sent as two lines', () => {
  class Fields extends HandShake {
    protected override requestHeaders(): HeaderList {
      return [...super.requestHeaders(), ['X-Name', 'guest\r\nX-Admin: yes']];
    }
  }
  class Exact extends HandShake {
    protected override requestHeaders(): HeaderList {
      return [...super.requestHeaders(), ['X-Name', '', 'X-Name: guest\nX-Admin: yes']];
    }
  }
  class Line extends HandShake {
    protected override requestLine(): string {
      return 'GET / HTTP/1.1\r\nX-Admin: yes';
    }
  }

  test.each([
    ['requestHeaders(), by its value', Fields, /no control characters, got "X-Name"/],
    ['requestHeaders(), by its line', Exact, /no control characters, got "X-Name"/],
    ['requestLine()', Line, /^the request must be "GET <resource> HTTP\/1\.1"/],
  ])('from %s', async (_where, handShake, message) => {
    const { server, requests } = await opening();

    const error = await failure(new AioWebSocket(server.url, { handShake }), TypeError);

    expect(error.message).toMatch(message);
    expect(requests).toEqual([]);
  });
});
