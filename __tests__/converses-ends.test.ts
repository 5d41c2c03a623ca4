/** The stream ends while what came before it still waits: for the user, or for its turn. */
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import {
  AioWebSocket,
  ConnectionClosed,
  ConnectionClosedError,
  Converse,
  Frames,
  type AioWebSocketOptions,
  type ByteSink,
  type Remote,
} from 'aiowebsocket';
import { Compressor } from './conformance/deflate.js';
import {
  close,
  ended,
  eventually,
  fragments,
  frame,
  open,
  Opcode,
  queued,
  text,
} from './helpers/peer.js';
import { MemoryTransport } from './helpers/duplex.js';
import { readFrames } from './helpers/frames.js';
import { closeServers, RawServer, shakeHands } from './helpers/raw-server.js';
import { makeCertificate } from './helpers/tls.js';

afterEach(closeServers);

/** Reads its stream as any other, not as one that it has made. */
class Foreign extends AioWebSocket {
  protected override openTransport({ host, port }: Remote): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host, () => {
        resolve(socket);
      }).once('error', reject);
    });
  }
}

const certificate = makeCertificate('server', { names: ['127.0.0.1'] });

/** Connects to a server that sends these bytes and ends the stream, all at once. */
async function burst(
  kind: string,
  bytes: Buffer,
  options: AioWebSocketOptions = {},
  fields: Record<string, string> = {},
): Promise<AioWebSocket> {
  const server = await RawServer.listen(
    async (socket) => {
      await shakeHands(socket, fields);
      socket.once('data', () => {
        socket.end(bytes);
      });
      socket.resume();
    },
    kind === 'wss' ? { tls: certificate } : {},
  );
  const scheme = kind === 'wss' ? 'wss' : 'ws';
  const Client = kind === 'foreign' ? Foreign : AioWebSocket;
  return ended(
    new Client(`${scheme}://127.0.0.1:${server.port}/`, {
      ...(kind === 'wss' && { ssl: { ca: certificate.cert } }),
      ...options,
    }),
  ).createConnection();
}

/** Long enough for the end to arrive while reading is paused. */
const arrival = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

const numbered = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => text(String(i))));

describe.each(['ws', 'wss', 'foreign'])('%s: data, Close and the end in one burst', (kind) => {
  test('are all told after resume(), when the connection was paused meanwhile', async () => {
    const aws = await burst(kind, Buffer.concat([numbered(3), close(1000, 'done')]));
    const told: unknown[] = [];
    aws.on('message', (data) => told.push(data));
    aws.on('close', (code) => told.push(code));
    aws.on('error', (error) => told.push(error));
    aws.pause();
    await aws.converse.send('go');
    await arrival();
    expect(told).toEqual([]);

    aws.resume();

    expect(await aws.closed).toMatchObject({ code: 1000, reason: 'done' });
    expect(told).toEqual(['0', '1', '2', 1000]);
  });

  test('can all be pulled, however small the queue is', async () => {
    const aws = await burst(kind, Buffer.concat([numbered(1000), close(1000)]), { maxQueue: 100 });
    await aws.converse.send('go');
    await queued(aws, 100);
    await arrival();
    const got: unknown[] = [];

    for await (const message of aws.converse) got.push(message);

    expect(got).toEqual(Array.from({ length: 1000 }, (_, i) => String(i)));
    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
  });

  test('wait for a large compressed message that is inflated in slices', async () => {
    const large = 'large '.repeat(500_000);
    const compressor = new Compressor({});
    const payload = compressor.compress(Buffer.from(large));
    const bytes = frame({ opcode: Opcode.text, rsv: 4, payload });
    const aws = await burst(
      kind,
      Buffer.concat([bytes, text('last'), close(1001)]),
      { compression: true },
      { 'Sec-WebSocket-Extensions': 'permessage-deflate' },
    );
    const told: unknown[] = [];
    aws.on('message', (data) => told.push(data.length));
    await aws.converse.send('go');

    expect(await aws.closed).toMatchObject({ code: 1001 });
    expect(told).toEqual([large.length, 4]);
  });

  test('terminate() does not wait for them', async () => {
    const aws = await burst(kind, numbered(1000), { maxQueue: 100 });
    await aws.converse.send('go');
    await queued(aws, 100);
    await arrival();

    aws.terminate();

    expect(await aws.closed).toMatchObject({ code: 1006 });
  });

  test('the protocol broken in what waited ends it as ever', async () => {
    const aws = await burst(kind, Buffer.concat([numbered(3), frame({ opcode: 3 })]));
    aws.pause();
    await aws.converse.send('go');
    await arrival();

    aws.resume();

    const { code, error } = await aws.closed;
    expect(code).toBe(1006);
    expect(error).toMatchObject({ code: 'ERR_FRAME_PROTOCOL' });
  });
});

test('a stream that is destroyed at once is read to its end, where nobody pulls', async () => {
  const stream = new Duplex({
    read: () => undefined,
    write(_chunk, _encoding, done) {
      done();
    },
  });
  stream.on('error', () => undefined);
  const converse = new Converse(stream, { maxQueue: 16 });
  let seen = 0;
  converse.on('message', () => seen++);
  await new Promise(setImmediate);

  stream.push(Buffer.concat([numbered(60), close(1000)]));
  stream.push(null);
  process.nextTick(() => {
    process.nextTick(() => stream.destroy());
  });

  expect(await converse.closed).toMatchObject({ code: 1000, wasClean: true });
  expect(seen).toBe(60);
}, 5000);

test('close() behind a message that never ends waits for no reader once the stream is gone', async () => {
  const stream = new MemoryTransport();
  const converse = new Converse(stream, { maxQueue: 2, closeTimeout: 60_000 });
  await new Promise(setImmediate);
  const sent = converse.send(
    (async function* () {
      yield 'a piece';
      await new Promise(() => undefined);
    })(),
  );
  const closing = converse.close();

  stream.push(numbered(5));
  stream.destroy();

  await expect(sent).rejects.toBeInstanceOf(ConnectionClosed);
  expect(await closing).toMatchObject({ code: 1006, wasClean: false, initiatedBy: 'local' });
}, 5000);

test('a stream that ends without a Close frame is gone, though it could still be written to', async () => {
  const stream = new MemoryTransport();
  const converse = new Converse(stream);
  await new Promise(setImmediate);

  stream.push(null);

  expect(await converse.closed).toMatchObject({
    code: 1006,
    error: { code: 'ERR_CONNECTION_LOST' },
  });
  expect(stream.destroyed).toBe(true);
}, 5000);

test('a reset loses nothing that had been read before', async () => {
  const { aws, converse, peer } = await open({ maxQueue: 100 });
  peer.send(numbered(1000), close(1000));
  await queued({ converse }, 100);
  // The handle tells at once that the peer is gone, the pause notwithstanding.
  aws.transport?.destroy(new Error('gone'));
  const got: unknown[] = [];

  for await (const message of converse) got.push(message);

  expect(got).toHaveLength(1000);
  expect(await aws.closed).toMatchObject({ code: 1000 });
});

test('without a Close frame the loss is told once all that came has been pulled', async () => {
  const { aws, converse, peer } = await open({ maxQueue: 100 });
  peer.send(numbered(1000));
  await queued({ converse }, 100);
  aws.transport?.destroy(new Error('gone'));
  let got = 0;

  const loop = (async () => {
    for await (const message of converse) if (message) got++;
  })();

  await expect(loop).rejects.toBeInstanceOf(ConnectionClosedError);
  expect(got).toBe(1000);
  expect(await aws.closed).toMatchObject({ code: 1006, error: { code: 'ERR_CONNECTION_RESET' } });
});

describe('while the end waits for the user', () => {
  /** A connection whose queue is full, with more behind it, when its stream is destroyed. */
  const stuck = async (options: AioWebSocketOptions = {}) => {
    const pair = await open({ maxQueue: 16, ...options });
    pair.peer.socket.pause();
    pair.peer.send(numbered(100), close(1000));
    await queued(pair, 16);
    return pair;
  };

  test('senders learn of it at once: a loop that sends is not left waiting for itself', async () => {
    const { aws, converse } = await stuck({ highWaterMark: 1 });
    const loop = (async () => {
      for await (const message of converse)
        await converse.send(message.toString().repeat(5_000_000));
    })();
    const ping = converse.ping();
    await new Promise(setImmediate);

    aws.transport?.destroy(new Error('the tunnel broke'));

    await expect(loop).rejects.toBeInstanceOf(ConnectionClosedError);
    await expect(ping).rejects.toBeInstanceOf(ConnectionClosedError);
    await expect(converse.send('later')).rejects.toBeInstanceOf(ConnectionClosedError);
    for await (const message of converse) expect(message).toBeDefined();
    expect(await aws.closed).toMatchObject({ code: 1000 });
  });

  test('an iterable that is being sent ends with it, and what has come is still given', async () => {
    const { aws, converse } = await stuck();
    let goOn = (): void => undefined;
    const gone = new Promise<void>((resolve) => (goOn = resolve));
    const source = async function* () {
      yield 'first';
      await gone;
      throw new Error('it is of no use any more');
    };
    const sent = expect(converse.send(source())).rejects.toBeInstanceOf(ConnectionClosedError);
    await new Promise(setImmediate);

    aws.transport?.destroy(new Error('the tunnel broke'));
    await sent;
    goOn();
    await new Promise(setImmediate);
    let got = 0;
    for await (const message of converse) if (message !== '') got++;

    expect(got).toBe(100);
    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true, initiatedBy: 'remote' });
  });

  test('an iterable that is being sent goes out as a message that lacks its end', async () => {
    const written: Buffer[] = [];
    const stream = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        written.push(chunk);
        done();
      },
    });
    const converse = new Converse(stream, { maxQueue: 1 });
    let goOn = (): void => undefined;
    const gone = new Promise<void>((resolve) => (goOn = resolve));
    const sent = converse.send(
      (async function* () {
        yield 'first';
        await gone;
      })(),
    );
    stream.push(numbered(3));
    stream.push(null);
    await expect(sent).rejects.toBeInstanceOf(ConnectionClosedError);

    goOn();
    await new Promise(setImmediate);

    const frames = written.flatMap((chunk) => readFrames(chunk));
    expect(frames.map(({ fin, payload }) => [fin, String(payload)])).toEqual([[false, 'first']]);
    converse.terminate();
    await converse.closed;
  });

  test('one who does not pull is waited for no longer than closeTimeout', async () => {
    const { aws, converse } = await stuck({ closeTimeout: 100 });
    const told: unknown[] = [];
    aws.on('error', ({ message }) => told.push(message));
    aws.on('close', (code) => told.push(code));
    aws.transport?.destroy(new Error('gone'));

    expect(await aws.closed).toMatchObject({ code: 1006 });

    expect(told).toEqual(['the connection broke without a Close frame: gone', 1006]);
    expect(converse.queueSize).toBe(16);
  });

  test('one who leaves a stream unread is waited for no longer, though somebody listens', async () => {
    const { aws, converse, peer } = await open({ closeTimeout: 100, maxQueueBytes: 1000 });
    aws.on('message', () => undefined);
    const stream = converse.receiveStream();
    peer.send(...fragments(Opcode.binary, Array<Buffer>(10).fill(Buffer.alloc(500))));
    expect((await stream.next()).value).toHaveLength(500);
    aws.transport?.destroy(new Error('gone'));

    expect(await aws.closed).toMatchObject({ code: 1006 });
  }, 5000);

  test('listeners get everything all the same, where one who has pulled does so no more', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { aws, converse, peer } = await open({ maxQueue: 16, closeTimeout: 50 });
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));
    peer.send(numbered(2));
    await queued({ converse }, 2);
    await converse.receive();
    peer.send(numbered(98), close(1000));
    await queued({ converse }, 16);

    aws.transport?.destroy(new Error('gone'));

    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
    expect(seen).toHaveLength(100);
    warn.mockRestore();
  });

  test('one who pulls slowly gets everything', async () => {
    const { aws, converse } = await stuck({ closeTimeout: 100 });
    aws.transport?.destroy(new Error('gone'));
    let got = 0;

    for await (const message of converse) {
      if (message !== '') got++;
      if (got < 10) await new Promise((resolve) => setTimeout(resolve, 40));
    }

    expect(got).toBe(100);
    expect(await aws.closed).toMatchObject({ code: 1000 });
  });

  test('one who has paused gets everything, too', async () => {
    const { aws, peer } = await open({ closeTimeout: 50 });
    const told: unknown[] = [];
    aws.on('message', (data) => {
      told.push(data);
      if (data === '0') aws.pause();
    });
    peer.send(numbered(3), close(1000));
    await eventually(aws, () => told.length === 1);
    aws.transport?.destroy(new Error('gone'));
    await arrival();
    await arrival();
    await arrival();
    expect(told).toEqual(['0']);

    aws.resume();

    expect(await aws.closed).toMatchObject({ code: 1000 });
    expect(told).toEqual(['0', '1', '2']);
  });

  test('a codec that pauses by itself is waited for as well', async () => {
    class Slow extends Frames {
      protected override deliver(...args: Parameters<Frames['deliver']>): void {
        super.deliver(...args);
        this.pause();
        setTimeout(() => {
          this.resume();
        }, 10);
      }
    }
    class Client extends AioWebSocket {
      protected override makeFrames(sink: ByteSink): Frames {
        return new Slow(sink);
      }
    }
    const server = await RawServer.listen(async (socket) => {
      await shakeHands(socket);
      socket.end(numbered(3));
    });
    const aws = ended(new Client(server.url));
    const told: unknown[] = [];
    aws.on('message', (data) => told.push(data));

    await aws.createConnection();

    expect(await aws.closed).toMatchObject({ code: 1006, error: { code: 'ERR_CONNECTION_LOST' } });
    expect(told).toEqual(['0', '1', '2']);
  });
});

test('all that waited to be sent or answered ends with one and the same error', async () => {
  const { aws, converse } = await open();
  const source = async function* (): AsyncGenerator<string> {
    yield 'first';
    await aws.closed;
  };
  const waiting = [
    converse.ping(),
    converse.ping(),
    converse.send(source()),
    converse.send('x'),
  ].map((one) => one.catch((error: unknown) => error));
  await new Promise(setImmediate);

  aws.terminate();
  const errors = await Promise.all(waiting);

  expect(errors[0]).toBeInstanceOf(ConnectionClosedError);
  expect(new Set(errors).size).toBe(1);
});

test('what is sent behind an end of our own side goes nowhere, and breaks nothing', async () => {
  const { aws, converse, peer } = await open();
  aws.transport?.end();

  await converse.send('too late');

  expect((await aws.closed).error).toMatchObject({ code: 'ERR_CONNECTION_LOST' });
  expect(peer.messages).toEqual([]);
});
