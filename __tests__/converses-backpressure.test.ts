/** Sending to a peer that reads slowly, or not at all. */
import { slabsLeft } from 'aiowebsocket/masks';
import { SLABS } from 'aiowebsocket/wasm';
import {
  client,
  close,
  eventually,
  listen,
  open,
  Opcode,
  ping,
  type Pair,
} from './helpers/peer.js';

const MARK = 65_536;

/** More than the kernel's buffers of a connection on loopback take. */
const MUCH = Buffer.alloc(1_000_000, 'm');

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  const finish = (): void => {
    done = true;
  };
  promise.then(finish, finish);
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  return done;
}

/** Sends to a peer that does not read until the kernel takes no more, and more than the mark waits. */
async function choke({ converse, peer }: Pair): Promise<{ readonly sent: Promise<void>[] }> {
  peer.socket.pause();
  const sent: Promise<void>[] = [];
  let before = -1;
  // Once a whole message more waits than before, nothing has been taken.
  for (;;) {
    sent.push(converse.send(MUCH));
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    const now = converse.bufferedAmount;
    if (before > 0 && now - before >= MUCH.length) return { sent };
    before = now;
  }
}

test('below the high-water mark send() resolves at once, and nothing waits', async () => {
  const { aws, converse } = await open();
  const drains = jest.fn();
  aws.on('drain', drains);

  expect(await settled(converse.send('small'))).toBe(true);
  expect(await settled(converse.send(Buffer.alloc(100_000)))).toBe(true);

  expect(drains).not.toHaveBeenCalled();
});

test('bufferedAmount counts what was sent in this turn, and is 0 once it is taken', async () => {
  const { aws, converse, peer } = await open();
  expect(aws.bufferedAmount).toBe(0);

  void converse.send('lead');
  void converse.send(Buffer.alloc(1000));
  void converse.send(Buffer.alloc(1000));

  expect(aws.bufferedAmount).toBeGreaterThanOrEqual(2016);
  expect(converse.bufferedAmount).toBe(aws.bufferedAmount);
  await peer.until(() => peer.frames.length === 3);
  expect(aws.bufferedAmount).toBe(0);
});

test('drain is told where somebody waited, and not again for what the kernel takes later', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { aws, converse, peer } = pair;
  const drains = jest.fn();
  aws.on('drain', drains);
  const { sent } = await choke(pair);
  peer.socket.resume();
  await Promise.all(sent);
  await eventually(pair, () => aws.bufferedAmount === 0);

  expect(drains).toHaveBeenCalled();
  drains.mockClear();

  await converse.send('small');
  await peer.until(() => peer.messages.length === sent.length + 1);

  expect(drains).not.toHaveBeenCalled();
});

test('above it send() waits until the peer reads, then drain is emitted', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { aws, converse, peer } = pair;
  const told: string[] = [];
  aws.on('drain', () => told.push(`drain ${converse.bufferedAmount <= MARK}`));
  converse.on('drain', () => told.push('converse'));
  const { sent } = await choke(pair);
  const last = converse.send('last');

  expect(converse.bufferedAmount).toBeGreaterThan(MARK);
  expect(await settled(last)).toBe(false);
  expect(told).toEqual([]);

  peer.socket.resume();
  await Promise.all([...sent, last]);
  await peer.until(() => peer.messages.length === sent.length + 1);

  expect(told).toEqual(expect.arrayContaining(['drain true', 'converse']));
  expect(aws.bufferedAmount).toBe(0);
  expect(peer.messages.at(-1)?.toString()).toBe('last');
  expect(peer.messages.slice(0, -1).every((one) => one.equals(MUCH))).toBe(true);
});

test('a lone message that the kernel does not take at once resolves once it has', async () => {
  const { converse, peer } = await open({ highWaterMark: 1 });
  peer.socket.pause();
  let sent: Promise<void>;
  let taken: boolean;
  do {
    taken = false;
    sent = converse.send(Buffer.alloc(30_000)).then(() => {
      taken = true;
    });
    await new Promise(setImmediate);
  } while (taken);

  peer.socket.resume();

  await expect(sent).resolves.toBeUndefined();
});

test('a loop of awaited sends keeps memory bounded', async () => {
  const { converse, peer } = await open({ highWaterMark: MARK });
  const message = Buffer.alloc(50_000, 'x');
  let most = 0;

  for (let i = 0; i < 200; i++) {
    await converse.send(message);
    most = Math.max(most, converse.bufferedAmount);
  }
  await peer.until(() => peer.messages.length === 200);

  expect(most).toBeLessThanOrEqual(MARK + message.length + 100);
});

test('an iterable is asked for no more than there is room for', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { converse, peer } = pair;
  await choke(pair);
  let asked = 0;
  const sent = converse.send(
    (function* () {
      while (asked++ < 10) yield MUCH;
    })(),
  );

  expect(await settled(sent)).toBe(false);
  expect(asked).toBe(1);

  peer.socket.resume();
  await sent;
  expect(asked).toBe(11);
});

test('the end of the connection rejects every send that waits, with the same error', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { aws, converse, peer } = pair;
  const errors: Error[] = [];
  aws.on('error', (error) => errors.push(error));
  const { sent } = await choke(pair);
  const last = converse.send('last');

  peer.socket.resetAndDestroy();

  const results = await Promise.allSettled([...sent.slice(-2), last]);
  const info = await aws.closed;
  expect(errors).toEqual([info.error]);
  for (const result of results) expect(result).toEqual({ status: 'rejected', reason: info.error });
  expect(aws.bufferedAmount).toBe(0);
});

test('terminate() rejects them too', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { aws, converse } = pair;
  await choke(pair);
  const last = converse.send('last');

  aws.terminate();

  await expect(last).rejects.toMatchObject({ name: 'ConnectionClosedError', closeCode: 1006 });
  expect(await aws.closed).toMatchObject({ code: 1006, initiatedBy: 'local' });
});

test('a Close from the peer is answered behind what the kernel has, and rejects the others', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { aws, converse, peer } = pair;
  await choke(pair);
  const last = converse.send('last');

  peer.send(close(1000, 'enough'));

  await expect(last).rejects.toMatchObject({ closeCode: 1000, reason: 'enough' });
  peer.socket.resume();
  peer.socket.end();
  expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true, initiatedBy: 'remote' });
});

test('pings of a peer that does not read get one pong, to the latest, once there is room', async () => {
  const pair = await open({ highWaterMark: MARK });
  const { aws, peer } = pair;
  let seen = 0;
  const allSeen = new Promise<void>((resolve) => {
    aws.on('ping', () => {
      if (++seen === 1000) resolve();
    });
  });
  await choke(pair);
  const before = aws.bufferedAmount;

  peer.send(...Array.from({ length: 1000 }, (_, i) => ping(`${i}`)));
  await allSeen;
  expect(aws.bufferedAmount).toBeLessThanOrEqual(before);

  peer.socket.resume();
  await peer.until(() => peer.payloads(Opcode.pong).length > 0);
  await aws.closeConnection();
  expect(peer.payloads(Opcode.pong)).toEqual(['999']);
});

test('many connections with something to send in one turn all get it through', async () => {
  const server = await listen();
  const clients = Array.from({ length: 40 }, () => client(server.uri));
  await Promise.all(clients.map((aws) => aws.createConnection()));
  const peers = await Promise.all(clients.map(() => server.accept()));

  await Promise.all(
    clients.map(async (aws, i) => {
      void aws.manipulator.send(`lead of ${i}`);
      void aws.manipulator.send(`second of ${i}`);
      await aws.manipulator.send(Buffer.alloc(40_000, i));
    }),
  );
  await Promise.all(peers.map((peer) => peer.until(() => peer.messages.length === 3)));

  const numbers = peers.map(({ messages: [lead, second, bytes] }) => {
    const number = Number(/\d+/.exec(lead?.toString() ?? '')?.[0]);
    expect(second?.toString()).toBe(`second of ${number}`);
    expect(bytes?.equals(Buffer.alloc(40_000, number))).toBe(true);
    return number;
  });
  expect(new Set(numbers).size).toBe(40);
});

test('many connections with short texts to send in one turn lose none of them', async () => {
  const server = await listen();
  const clients = Array.from({ length: 40 }, () => client(server.uri));
  await Promise.all(clients.map((aws) => aws.createConnection()));
  const peers = await Promise.all(clients.map(() => server.accept()));

  for (const { manipulator } of clients) {
    for (const word of ['one', 'two', 'drei ü', 'four']) void manipulator.send(word);
  }
  await Promise.all(peers.map((peer) => peer.until(() => peer.messages.length === 4)));

  for (const peer of peers) {
    expect(peer.messages.map(String)).toEqual(['one', 'two', 'drei ü', 'four']);
  }
});

test('large messages wait for slow servers with the bytes they were sent with', async () => {
  const pairs = [await open(), await open(), await open()];
  for (const { peer } of pairs) peer.socket.pause();
  const sent: Promise<void>[] = [];
  for (let round = 0; round < 8; round++) {
    for (const [i, { converse }] of pairs.entries()) {
      sent.push(converse.send(Buffer.alloc(700_001, round * 16 + i)));
      sent.push(converse.send(`small ${round} ${i}`));
      await new Promise(setImmediate);
    }
  }

  for (const { peer } of pairs) peer.socket.resume();

  await Promise.all(sent);
  for (const [i, { peer }] of pairs.entries()) {
    await peer.until(() => peer.frames.length === 16);
    for (const [at, { payload }] of peer.frames.entries()) {
      const round = at >> 1;
      const small = Buffer.from(`small ${round} ${i}`);
      const expected = at % 2 > 0 ? small : Buffer.alloc(700_001, round * 16 + i);
      expect(payload.equals(expected)).toBe(true);
    }
  }
});

test('memory that was lent comes back, also when drain is told before that', async () => {
  const pair = await open();
  const { aws, converse, peer } = pair;
  await choke(pair);
  let told = 0;
  aws.transport!.on('drain', () => {
    if (++told < 5) void converse.send(Buffer.alloc(5_000_000, told));
  });

  peer.socket.resume();

  // Of those that others might have taken, none is missing once nothing waits.
  await eventually(pair, () => told > 0 && aws.bufferedAmount === 0 && slabsLeft() === SLABS);
});
