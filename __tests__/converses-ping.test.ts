/** Pings and pongs of the user and of the peer. */
import { ConnectionClosed, Converse, SocketState } from 'aiowebsocket';
import { MemoryTransport } from './helpers/duplex.js';
import { readFrames } from './helpers/frames.js';
import { close, eventually, open, Opcode, ping, pong, text } from './helpers/peer.js';
import { client } from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

describe('ping()', () => {
  test('resolves with the latency in milliseconds, as the pong event tells it', async () => {
    const { aws, converse, peer } = await open();
    const pongs: unknown[] = [];
    aws.on('pong', (payload, latency) => pongs.push([payload.toString(), latency]));
    const pinged = converse.ping('p');

    expect(await peer.next()).toMatchObject({ fin: true, opcode: Opcode.ping, masked: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    peer.send(pong('p'));
    const latency = await pinged;

    expect(latency).toBeGreaterThanOrEqual(25);
    expect(latency).toBeLessThan(10_000);
    expect(pongs).toEqual([['p', expect.closeTo(latency, 0)]]);
  });

  test('works with a real server', async () => {
    const { uri } = await wsServer();
    const aws = await client(uri).createConnection();

    expect(await aws.manipulator.ping()).toBeGreaterThan(0);
  });

  test('does not wait for ever where a server answers none: 65,536 later pings end it', async () => {
    const { aws, converse, peer } = await open();
    const MOST = 65_536;
    let ended = 0;
    const end = (): number => ++ended;
    const first = converse.ping('first');
    const second = converse.ping('second');
    for (let i = 0; i < MOST - 1; i++) void converse.ping('later').then(end, end);

    await expect(first).rejects.toMatchObject({
      name: 'TimeoutError',
      operation: 'pong',
      message: expect.stringContaining(String(MOST)),
    });
    await peer.until(() => peer.frames.length === MOST + 1);
    expect(ended).toBe(0);
    peer.send(pong('second'));
    expect(await second).toBeGreaterThanOrEqual(0);
    expect(aws.state).toBe(SocketState.opened);
  });

  test('without data differs from any other, and is not empty', async () => {
    const { converse, peer } = await open();

    for (let i = 0; i < 20; i++) void converse.ping();
    await peer.until(() => peer.frames.length === 20);

    const payloads = peer.frames.map(({ payload }) => payload.toString('hex'));
    expect(new Set(payloads).size).toBe(20);
    expect(payloads).not.toContain('');
  });

  test('is answered by the pong of a later one, too', async () => {
    const { converse, peer } = await open();
    const order: string[] = [];
    const pinged = ['a', 'b', 'c'].map((data) => converse.ping(data).then(() => order.push(data)));
    await peer.until(() => peer.frames.length === 3);

    peer.send(pong('b'));
    await Promise.all(pinged.slice(0, 2));
    expect(order).toEqual(['a', 'b']);
    peer.send(pong('c'));
    await pinged[2];

    expect(order).toEqual(['a', 'b', 'c']);
  });

  test('is not answered by the pong of another, nor twice by its own', async () => {
    const { aws, converse, peer } = await open();
    const latencies: unknown[] = [];
    aws.on('pong', (_payload, latency) => latencies.push(typeof latency));
    const pinged = converse.ping('a');

    peer.send(pong('x'), pong(''), pong('a'), pong('a'), text('done'));
    await pinged;
    await converse.receive();

    expect(latencies).toEqual(['undefined', 'undefined', 'number', 'undefined']);
  });

  test.each([
    ['string', 'grüße'],
    ['Buffer', Buffer.from('grüße')],
    ['Uint8Array', Uint8Array.from(Buffer.from('grüße'))],
    ['DataView', new DataView(Uint8Array.from(Buffer.from('grüße')).buffer)],
    ['ArrayBuffer', Uint8Array.from(Buffer.from('grüße')).buffer],
  ])('takes a %s', async (_kind, data) => {
    const { converse, peer } = await open();

    void converse.ping(data);
    void converse.pong(data);
    await peer.until(() => peer.frames.length === 2);

    expect(peer.frames.map(({ payload }) => payload.toString())).toEqual(['grüße', 'grüße']);
  });

  test('copies its data', async () => {
    const { converse, peer } = await open();
    const data = Buffer.from('aaaa');
    const pinged = converse.ping(data);
    data.fill('b');

    peer.send(pong('aaaa'));

    expect(await pinged).toBeGreaterThanOrEqual(0);
    expect((await peer.next()).payload.toString()).toBe('aaaa');
  });

  test('rejects when the connection ends first, with the same error as all others', async () => {
    const { aws, converse, peer } = await open();
    const pinged = Promise.allSettled([converse.ping(), converse.ping()]);

    peer.socket.resetAndDestroy();

    const { error } = await aws.closed;
    expect(await pinged).toEqual([
      { status: 'rejected', reason: error },
      { status: 'rejected', reason: error },
    ]);
  });

  test('rejects with ConnectionClosed when the peer closes, and after that', async () => {
    const { aws, converse, peer } = await open();
    const pinged = expect(converse.ping()).rejects.toMatchObject({ closeCode: 1001 });

    peer.send(close(1001));
    await pinged;
    await aws.closed;

    await expect(converse.ping()).rejects.toBeInstanceOf(ConnectionClosed);
    await expect(converse.pong()).rejects.toBeInstanceOf(ConnectionClosed);
  });
});

describe.each(['ping', 'pong'] as const)('%s()', (method) => {
  test.each([5, null, {}, [1], true, () => 'data'])('refuses %p', async (data) => {
    const { converse } = await open();

    const sent = converse[method](data as never);

    await expect(sent).rejects.toThrow(TypeError);
    await expect(sent).rejects.toThrow(/^data must be a string or bytes, got /);
  });

  test('takes 125 bytes, and refuses 126, counted in UTF-8', async () => {
    const { converse, peer } = await open();

    void converse[method](Buffer.alloc(125));
    for (const data of [Buffer.alloc(126), 'ü'.repeat(63)]) {
      const sent = converse[method](data);
      await expect(sent).rejects.toThrow(RangeError);
      await expect(sent).rejects.toThrow(/^data must be at most 125 bytes, got 126/);
    }

    expect((await peer.next()).payload).toHaveLength(125);
    expect(peer.frames).toHaveLength(1);
  });
});

describe('a ping of the peer', () => {
  test.each([0, 1, 125])('of %i bytes is answered with the same', async (size) => {
    const { aws, peer } = await open();
    const payload = Buffer.alloc(size, 'p');
    const seen: Buffer[] = [];
    aws.on('ping', (data) => seen.push(data));

    peer.send(ping(payload));

    expect(await peer.next()).toMatchObject({ fin: true, opcode: Opcode.pong, payload });
    expect(seen).toEqual([payload]);
  });

  test('is answered each, in order, while the peer reads', async () => {
    const { peer } = await open();

    peer.send(...Array.from({ length: 100 }, (_, i) => ping(`${i}`)));
    await peer.until(() => peer.frames.length === 100);

    expect(peer.payloads(Opcode.pong)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });

  test('is not answered with autoPong off, unless by hand', async () => {
    const { aws, converse, peer } = await open({ autoPong: false });
    const seen: string[] = [];
    aws.on('ping', (payload) => seen.push(payload.toString()));

    peer.send(ping('p'), text('done'));
    await converse.receive();
    expect(seen).toEqual(['p']);
    await converse.pong('by hand');

    expect((await peer.next()).payload.toString()).toBe('by hand');
  });

  test('gives a payload of its own', async () => {
    const pair = await open();
    const { aws, peer } = pair;
    const seen: Buffer[] = [];
    aws.on('ping', (payload) => seen.push(payload));

    for (const payload of ['aaaa', 'bbbb', 'cccc']) {
      peer.send(ping(payload), text(payload.repeat(1000)));
      await pair.converse.receive();
    }

    expect(seen.map(String)).toEqual(['aaaa', 'bbbb', 'cccc']);
  });

  test('behind our Close is not answered', async () => {
    const { aws, peer } = await open({}, { polite: false });
    const closing = aws.closeConnection();
    await peer.closeFrame();

    peer.send(ping('late'), close(1000));
    peer.socket.end();
    await closing;
    await peer.until(() => peer.ended);

    expect(peer.payloads(Opcode.pong)).toEqual([]);
  });
});

test('an unsolicited pong is told without a latency, and no answer', async () => {
  const pair = await open();
  const { aws, converse, peer } = pair;
  const seen: unknown[] = [];
  aws.on('pong', (...args) => seen.push(args));
  converse.on('pong', (...args) => seen.push(args));

  peer.send(pong('unasked'));
  await eventually(pair, () => seen.length === 2);

  const expected = [Buffer.from('unasked'), undefined];
  expect(seen).toEqual([expected, expected]);
  expect(peer.frames).toEqual([]);
});

test('resolves on a stream that answers within the call that writes', async () => {
  const transport = new MemoryTransport((bytes) => {
    const [first] = readFrames(bytes);
    if (first?.opcode === Opcode.ping) transport.push(pong(first.payload));
  });
  const converse = new Converse(transport);
  const told: unknown[] = [];
  converse.on('pong', (payload, latency) => told.push([payload.toString(), typeof latency]));
  // From then on it reads what comes, as it comes.
  await new Promise(setImmediate);
  await new Promise(setImmediate);

  expect(await converse.ping('at once')).toBeGreaterThanOrEqual(0);

  expect(told).toEqual([['at once', 'number']]);
  converse.terminate();
});
