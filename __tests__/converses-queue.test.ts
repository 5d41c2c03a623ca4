/** The queue of the pull side: its bounds, and what is not kept for nobody. */
import {
  binary,
  open,
  ping,
  text,
  type Pair,
  type Peer,
  eventually,
  readingStops,
  queued,
} from './helpers/peer.js';

const texts = (from: number, to: number): Buffer[] =>
  Array.from({ length: to - from }, (_, i) => text(`m${from + i}`));

/** Sends until so many messages have been seen by listeners. */
function counted(pair: Pair): { readonly reached: (count: number) => Promise<void> } {
  let seen = 0;
  pair.aws.on('message', () => {
    seen++;
  });
  return {
    reached: async (count) => {
      await eventually(pair, () => seen >= count);
    },
  };
}

/** Whether the client leaves what it is sent unread: its kernel and ours take no more. */
async function stuck({ socket }: Peer): Promise<boolean> {
  const chunk = binary(Buffer.alloc(1_000_000));
  for (let i = 0; i < 64; i++) {
    if (socket.write(chunk)) continue;
    const drained = await Promise.race([
      new Promise<boolean>((resolve) => socket.once('drain', () => resolve(true))),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
    ]);
    if (!drained) return true;
  }
  return false;
}

describe('a full queue', () => {
  test('pauses the socket so that the server feels it, and loses nothing', async () => {
    const { aws, converse, peer } = await open({ maxQueue: 4 });
    peer.send(...texts(0, 3));
    await queued({ converse }, 3);
    expect(await readingStops({ aws })).toBe(false);

    peer.send(...texts(3, 4));
    await queued({ converse }, 4);
    expect(aws.transport?.isPaused()).toBe(true);
    peer.send(...texts(4, 9));
    expect(await stuck(peer)).toBe(true);
    expect(converse.queueSize).toBe(4);

    const received: unknown[] = [];
    for (let i = 0; i < 9; i++) received.push(await converse.receive());
    expect(received).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', 'm8']);
  });

  test('is kept to its bound in the middle of a chunk', async () => {
    const { converse, peer } = await open({ maxQueue: 10 });
    let most = 0;
    const seen: unknown[] = [];

    peer.send(...texts(0, 1000));
    await queued({ converse }, 10);
    while (seen.length < 1000) {
      most = Math.max(most, converse.queueSize);
      seen.push(await converse.receive());
    }

    expect(most).toBe(10);
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => `m${i}`));
  });

  test('is read on at half', async () => {
    const { aws, converse, peer } = await open({ maxQueue: 4 });
    peer.send(...texts(0, 8));
    await queued({ converse }, 4);

    await converse.receive();
    await new Promise(setImmediate);
    expect(aws.transport?.isPaused()).toBe(true);
    expect(converse.queueSize).toBe(3);
    await converse.receive();

    await queued({ converse }, 4);
    expect(await converse.receive()).toBe('m2');
  });

  test.each([
    ['under', 999, false],
    ['at', 1000, true],
    ['over', 1001, true],
  ])('is judged by bytes too: %s maxQueueBytes', async (_how, bytes, full) => {
    const { aws, converse, peer } = await open({ maxQueueBytes: 1000 });

    peer.send(binary(Buffer.alloc(bytes - 400)), binary(Buffer.alloc(400)));
    await queued({ converse }, 2);

    expect(await readingStops({ aws })).toBe(full);
    await converse.receive();
    await converse.receive();
    peer.send(text('next'));
    expect(await converse.receive()).toBe('next');
  });

  test('counts the bytes of text, not its characters', async () => {
    const { aws, converse, peer } = await open({ maxQueueBytes: 300 });

    peer.send(text('世'.repeat(100)));
    await queued({ converse }, 1);
    await new Promise(setImmediate);

    expect(aws.transport?.isPaused()).toBe(true);
  });

  test('of one message is allowed: maxQueue 1', async () => {
    const { converse, peer } = await open({ maxQueue: 1 });

    peer.send(...texts(0, 5));
    const received: unknown[] = [];
    for (let i = 0; i < 5; i++) received.push(await converse.receive());

    expect(received).toEqual(['m0', 'm1', 'm2', 'm3', 'm4']);
  });

  test('lets a close through: what is queued stays, what comes later is counted', async () => {
    const { aws, converse, peer } = await open({ maxQueue: 2 });
    peer.send(...texts(0, 5));
    await queued({ converse }, 2);

    const info = await aws.closeConnection();

    expect(info).toMatchObject({ code: 1000, wasClean: true, discarded: 3 });
    expect(await converse.receive()).toBe('m0');
    expect(await converse.receive()).toBe('m1');
    await expect(converse.receive()).rejects.toMatchObject({ closeCode: 1000 });
  });
});

describe('with a listener and nobody who pulls', () => {
  test('a backlog of 256 messages stays for a receive()', async () => {
    const pair = await open();
    const { reached } = counted(pair);

    pair.peer.send(...texts(0, 256));
    await reached(256);

    expect(pair.converse.queueSize).toBe(256);
    expect(await pair.converse.receive()).toBe('m0');
  });

  test('past it the backlog is dropped without a word, until the next pull', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const pair = await open();
    const { converse, peer } = pair;
    const { reached } = counted(pair);

    peer.send(...texts(0, 257));
    await reached(257);
    expect(converse.queueSize).toBe(0);
    peer.send(...texts(257, 400));
    await reached(400);
    expect(converse.queueSize).toBe(0);

    const next = converse.receive();
    peer.send(...texts(400, 402));
    expect(await next).toBe('m400');
    expect(await converse.receive()).toBe('m401');
    expect(warn).not.toHaveBeenCalled();
  });

  test('the backlog is bounded by 256 KiB too', async () => {
    const pair = await open();
    const { converse, peer } = pair;
    const { reached } = counted(pair);

    peer.send(binary(Buffer.alloc(131_072)), binary(Buffer.alloc(131_072)));
    await reached(2);
    expect(converse.queueSize).toBe(2);
    peer.send(text('x'));
    await reached(3);

    expect(converse.queueSize).toBe(0);
  });

  test('what was queued before the listener came is dropped past the backlog as well', async () => {
    const pair = await open();
    const { converse, peer } = pair;
    peer.send(...texts(0, 300));
    await queued({ converse }, 300);

    const { reached } = counted(pair);
    await reached(300);
    await new Promise(setImmediate);

    expect(converse.queueSize).toBe(0);
  });

  test('far more messages than maxQueue never pause the socket', async () => {
    const pair = await open({ maxQueue: 10, maxQueueBytes: 1000 });
    const { reached } = counted(pair);

    pair.peer.send(...texts(0, 5000));
    await reached(5000);

    expect(await readingStops(pair)).toBe(false);
  });
});

describe('with a listener and someone who pulls', () => {
  test('every message is kept from the first pull on', async () => {
    const pair = await open();
    const { converse, peer } = pair;
    const { reached } = counted(pair);
    const first = converse.receive();

    peer.send(...texts(0, 1000));
    await reached(1000);

    expect(await first).toBe('m0');
    expect(converse.queueSize).toBe(999);
    for (let i = 1; i < 1000; i++) expect(await converse.receive()).toBe(`m${i}`);
  });

  test('who has pulled since it was empty, a full queue pauses the socket and nothing is lost', async () => {
    const pair = await open({ maxQueue: 100 });
    const { aws, converse, peer } = pair;
    const { reached } = counted(pair);
    const first = converse.receive();
    peer.send(...texts(0, 60));
    await reached(60);
    const received: unknown[] = [await first, await converse.receive()];

    peer.send(...texts(60, 150));
    await queued(pair, 100);
    await eventually(pair, () => aws.transport?.isPaused() === true);
    while (received.length < 150) received.push(await converse.receive());

    expect(received).toEqual(Array.from({ length: 150 }, (_, i) => `m${i}`));
    await reached(150);
  });

  test('at once whenever something comes, nothing is lost, however much comes together', async () => {
    const pair = await open({ maxQueue: 20 });
    const { converse, peer } = pair;
    counted(pair);
    const received: unknown[] = [];
    const first = converse.receive();

    peer.send(...texts(0, 200));
    received.push(await first);
    while (received.length < 200) received.push(await converse.receive({ timeout: 2000 }));

    expect(received).toEqual(Array.from({ length: 200 }, (_, i) => `m${i}`));
  });
});

test('the queue keeps pongs and pings apart from messages', async () => {
  const { converse, peer } = await open();

  peer.send(ping('p'), text('one'), ping('q'));
  await queued({ converse }, 1);

  expect(converse.queueSize).toBe(1);
});
