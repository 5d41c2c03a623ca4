/** receiveStream(): one message, piece by piece. */
import type { Socket } from 'node:net';
import { ConnectionClosed, FrameError } from 'aiowebsocket';
import {
  binary,
  close,
  continuation,
  eventually,
  header,
  open,
  Opcode,
  ping,
  text,
  type Pair,
  queued,
} from './helpers/peer.js';

type Stream = ReturnType<Pair['converse']['receiveStream']>;

async function pieces(stream: Stream): Promise<(string | Buffer)[]> {
  const all: (string | Buffer)[] = [];
  for await (const piece of stream) all.push(piece);
  return all;
}

const whole = (all: readonly (string | Buffer)[]): string =>
  all.map((piece) => piece.toString('latin1')).join('');

test('gives the first piece before the message ends, across frames and within one', async () => {
  const { converse, peer } = await open();
  const stream = converse.receiveStream();

  peer.send(binary('first', { fin: false }));
  expect(await stream.next()).toEqual({ value: Buffer.from('first'), done: false });

  peer.send(header({ opcode: Opcode.continuation, announce: 1000 }), Buffer.from('second'));
  expect(await stream.next()).toEqual({ value: Buffer.from('second'), done: false });

  peer.send(Buffer.alloc(994, 'x'));
  expect(whole(await pieces(stream))).toBe('x'.repeat(994));
});

test('gives text as strings that never cut a character', async () => {
  const { converse, peer } = await open();
  const message = 'aü世👋'.repeat(20);
  const bytes = Buffer.from(message);
  const stream = converse.receiveStream();
  const reading = pieces(stream);

  for (let at = 0; at < bytes.length; at += 3) {
    const last = at + 3 >= bytes.length;
    const piece = bytes.subarray(at, at + 3);
    peer.send(at === 0 ? text(piece, { fin: last }) : continuation(piece, { fin: last }));
    await new Promise(setImmediate);
  }
  const all = await reading;

  expect(all.length).toBeGreaterThan(1);
  expect(all.join('')).toBe(message);
  for (const piece of all) {
    expect(typeof piece).toBe('string');
    expect(piece).not.toMatch(/\ufffd|^[\udc00-\udfff]|[\ud800-\udbff]$/);
  }
});

test('gives no piece of an empty message that came before it was asked for', async () => {
  const { converse, peer } = await open();
  peer.send(text(''), text('next'));
  await queued({ converse }, 2);

  expect(await pieces(converse.receiveStream())).toEqual([]);
  expect(await converse.receive()).toBe('next');
});

test('ends at once for an empty message, and the next message is the next', async () => {
  const { converse, peer } = await open();
  peer.send(text(''), text('next'));

  expect(await pieces(converse.receiveStream())).toEqual([]);
  expect(await converse.receive()).toBe('next');
});

test.each<[string, (pair: Pair) => Promise<unknown>]>([
  [
    'a receive() that times out',
    ({ converse }) => converse.receive({ timeout: 10 }).catch(() => undefined),
  ],
  ['a stream that is left', ({ converse }) => converse.receiveStream().return()],
])('gives the first piece before the message ends also behind %s', async (_what, give) => {
  const pair = await open();
  const { converse, peer } = pair;
  const before = give(pair);
  const stream = converse.receiveStream();
  await before;

  peer.send(binary('first', { fin: false }));

  expect(await stream.next()).toEqual({ value: Buffer.from('first'), done: false });
});

test('gives a message that was queued already', async () => {
  const { converse, peer } = await open();
  peer.send(text('one'), binary('two'));
  await queued({ converse }, 2);

  const first = converse.receiveStream();
  expect(await pieces(first)).toEqual(['one']);
  expect(await pieces(converse.receiveStream())).toEqual([Buffer.from('two')]);
});

test('takes its turn between calls of receive()', async () => {
  const { converse, peer } = await open();
  const one = converse.receive();
  const stream = converse.receiveStream();
  const three = converse.receive();

  peer.send(text('one'), text('two'), text('three'));

  expect(await one).toBe('one');
  expect(await three).toBe('three');
  expect(await pieces(stream)).toEqual(['two']);
});

test('takes over a message that has begun to arrive', async () => {
  const { converse, peer } = await open();
  peer.send(text('begun ', { fin: false }), ping('p'));
  await peer.until(() => peer.payloads(Opcode.pong).length === 1);

  const stream = converse.receiveStream();

  expect(await stream.next()).toEqual({ value: 'begun ', done: false });
  peer.send(continuation('ended'));
  expect(await pieces(stream)).toEqual(['ended']);
});

test('is not shown to message listeners, other messages are', async () => {
  const { aws, converse, peer } = await open();
  const seen: unknown[] = [];
  aws.on('message', (data) => seen.push(data));
  const stream = converse.receiveStream();

  peer.send(text('streamed', { fin: false }));
  await stream.next();
  peer.send(continuation(' on'), text('shown'));
  await pieces(stream);
  expect(await converse.receive()).toBe('shown');

  expect(seen).toEqual(['shown']);
});

test('control frames between its pieces are dealt with', async () => {
  const { aws, converse, peer } = await open();
  const pings: string[] = [];
  aws.on('ping', (payload) => pings.push(payload.toString()));
  const stream = converse.receiveStream();

  peer.send(text('a', { fin: false }), ping('p'), continuation('b'));

  expect((await pieces(stream)).join('')).toBe('ab');
  expect(pings).toEqual(['p']);
});

test('while its pieces are not read, the server cannot send on; a huge message arrives whole', async () => {
  const { converse, peer } = await open({ maxQueueBytes: 100_000 });
  const chunk = Buffer.alloc(1_000_000, 'c');
  const count = 30;
  const stream = converse.receiveStream();
  let written = 0;
  peer.socket.on('drain', () => undefined);
  peer.socket.write(header({ opcode: Opcode.binary, announce: chunk.length * count }));
  for (let i = 0; i < count; i++) {
    peer.socket.write(chunk, () => {
      written++;
    });
  }

  const first = await stream.next();
  let before = -1;
  while (written !== before) {
    before = written;
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  }
  expect(written).toBeLessThan(count);

  let bytes = first.value?.length ?? 0;
  for await (const piece of stream) {
    expect(piece.length).toBeLessThanOrEqual(200_000);
    bytes += piece.length;
  }
  expect(bytes).toBe(chunk.length * count);
  peer.send(text('next'));
  expect(await converse.receive()).toBe('next');
});

test('small pieces fill the memory no more than large ones: each counts what it takes besides', async () => {
  const pair = await open({ maxQueueBytes: 65_536 });
  const { aws, converse, peer } = pair;
  const stream = converse.receiveStream();
  const size = 4_000;

  // Each octet in a frame of its own: all of them are far fewer than maxQueueBytes.
  peer.send(text('', { fin: false }));
  peer.send(...Array.from({ length: size }, () => continuation('x', { fin: false })));
  peer.send(continuation(''), ping('behind'));
  await eventually(pair, () => aws.transport?.isPaused() === true);
  expect(peer.payloads(Opcode.pong)).toEqual([]);

  expect(whole(await pieces(stream))).toHaveLength(size);
  await peer.until(() => peer.payloads(Opcode.pong).length === 1);
});

describe('left early', () => {
  test('by break, the rest is dropped and the next message is intact', async () => {
    const { converse, peer } = await open();
    const stream = converse.receiveStream();
    peer.send(binary('a', { fin: false }));
    for await (const piece of stream) {
      expect(piece).toEqual(Buffer.from('a'));
      break;
    }

    peer.send(continuation('b', { fin: false }), continuation('c'), text('next'));

    expect(await converse.receive()).toBe('next');
    expect(await stream.next()).toEqual({ value: undefined, done: true });
  });

  test('with the queue full, reading goes on', async () => {
    const { converse, peer } = await open({ maxQueueBytes: 1000 });
    const stream = converse.receiveStream();
    peer.send(binary(Buffer.alloc(500_000), { fin: false }));
    await stream.next();
    await stream.return();

    peer.send(continuation(Buffer.alloc(500_000)), text('next'));

    expect(await converse.receive()).toBe('next');
  });

  test('before its message begins, the message goes to the next who asks', async () => {
    const { converse, peer } = await open();
    const stream = converse.receiveStream();
    await stream.return();

    peer.send(text('one'));

    expect(await converse.receive()).toBe('one');
  });

  test('while a piece is waited for, that ends', async () => {
    const { converse } = await open();
    const stream = converse.receiveStream();
    const waiting = stream.next();

    await stream.return();

    expect(await waiting).toEqual({ value: undefined, done: true });
  });
});

describe('the end of the connection', () => {
  test('gives the pieces that came, then throws', async () => {
    const { aws, converse, peer } = await open();
    const stream = converse.receiveStream();
    peer.send(text('a piece', { fin: false }), ping('p'));
    await peer.until(() => peer.payloads(Opcode.pong).length === 1);
    peer.socket.resetAndDestroy();
    const { error } = await aws.closed;

    expect(await stream.next()).toEqual({ value: 'a piece', done: false });
    await expect(stream.next()).rejects.toBe(error);
  });

  test('a Close in the middle of a message rejects with ConnectionClosed', async () => {
    const { converse, peer } = await open();
    const stream = converse.receiveStream();
    peer.send(text('a piece', { fin: false }), close(1000));

    expect(await stream.next()).toEqual({ value: 'a piece', done: false });
    await expect(stream.next()).rejects.toBeInstanceOf(ConnectionClosed);
  });

  test('before a message begins rejects too', async () => {
    const { converse, peer } = await open();
    const waiting = pieces(converse.receiveStream());

    peer.send(close(1000));

    await expect(waiting).rejects.toMatchObject({ closeCode: 1000 });
  });

  test('does not lose a streamed message that is whole', async () => {
    const { aws, converse, peer } = await open();
    const stream = converse.receiveStream();
    peer.send(text('one ', { fin: false }), continuation('two'), close(1000));
    await aws.closed;

    expect((await pieces(stream)).join('')).toBe('one two');
  });
});

describe('maxPayload', () => {
  test('of the stream may be above that of the connection', async () => {
    const { converse, peer } = await open({ maxPayload: 1000 });
    const reading = pieces(converse.receiveStream({ maxPayload: 100_000 }));

    peer.send(binary(Buffer.alloc(50_000), { fin: false }), continuation(Buffer.alloc(50_000)));

    expect(Buffer.concat((await reading) as Buffer[])).toHaveLength(100_000);
  });

  test('of the stream is kept: one byte more fails the connection with 1009', async () => {
    const { aws, converse, peer } = await open();
    const reading = pieces(converse.receiveStream({ maxPayload: 1000 }));
    const failed = expect(reading).rejects.toBeInstanceOf(FrameError);

    peer.send(binary(Buffer.alloc(500), { fin: false }), continuation(Buffer.alloc(501)));

    await failed;
    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1009);
    expect((await aws.closed).error).toMatchObject({ code: 'ERR_FRAME_TOO_BIG' });
  });

  test('of the stream is kept for a message that was queued already, and harms nothing else', async () => {
    const { converse, peer } = await open();
    peer.send(text('ünö'), text('next'));
    await queued({ converse }, 2);

    await expect(pieces(converse.receiveStream({ maxPayload: 4 }))).rejects.toMatchObject({
      code: 'ERR_FRAME_TOO_BIG',
    });

    expect(await pieces(converse.receiveStream({ maxPayload: 4 }))).toEqual(['next']);
  });

  test('of the stream holds for its message only', async () => {
    const { converse, peer } = await open();
    const reading = pieces(converse.receiveStream({ maxPayload: 10 }));

    peer.send(text('short'), text('longer than ten bytes'));

    expect(await reading).toEqual(['short']);
    expect(await converse.receive()).toBe('longer than ten bytes');
  });

  test.each([0, -1, 1.5, NaN, '10'])('%p is refused at the call', async (maxPayload) => {
    const { converse } = await open();

    expect(() => converse.receiveStream({ maxPayload: maxPayload as never })).toThrow(
      /^maxPayload must be an integer from 1/,
    );
  });

  test('invalid text in a stream fails at the byte, with 1007', async () => {
    const { aws, converse, peer } = await open();
    const stream = converse.receiveStream();
    peer.send(text('good', { fin: false }));
    expect(await stream.next()).toMatchObject({ value: 'good' });
    const failed = expect(stream.next()).rejects.toMatchObject({ code: 'ERR_FRAME_UTF8' });

    peer.send(continuation(Buffer.from([0xff]), { fin: false }));

    await failed;
    expect((await aws.closed).error).toMatchObject({ closeCode: 1007 });
  });
});

test('a limit that is asked for within the message fails it with 1009', async () => {
  const pair = await open();
  const { aws, converse, peer } = pair;
  const bytes = Buffer.alloc(1_000_000);
  peer.send(header({ opcode: Opcode.binary, announce: bytes.length }), bytes.subarray(0, 500_000));
  await eventually(pair, () => (aws.transport as Socket).bytesRead > 500_000);
  const stream = converse.receiveStream({ maxPayload: 1000 });
  const read = pieces(stream);

  peer.send(bytes.subarray(500_000));

  await expect(read).rejects.toMatchObject({ code: 'ERR_FRAME_TOO_BIG', closeCode: 1009 });
  expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(1009);
});

test('closing drops what is left of a message that nobody reads, and keeps no more of it', async () => {
  const pair = await open({ maxQueueBytes: 1_000_000 });
  const { aws, converse, peer } = pair;
  const stream = converse.receiveStream({ maxPayload: 1e9 });
  const bytes = Buffer.alloc(24_000_000, 'x');
  peer.send(header({ opcode: Opcode.binary, announce: bytes.length }), bytes);
  await eventually(pair, () => aws.transport!.isPaused());

  const info = await aws.closeConnection();

  expect(info).toMatchObject({ code: 1000, wasClean: true });
  const got: (string | Buffer)[] = [];
  const read = (async () => {
    for await (const piece of stream) got.push(piece);
  })();
  await expect(read).rejects.toBeInstanceOf(ConnectionClosed);
  expect(Buffer.byteLength(whole(got))).toBeLessThan(2_000_000);
});
