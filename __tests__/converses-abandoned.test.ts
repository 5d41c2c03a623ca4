/** A pull side that nobody uses any more. A file of its own: the warning comes once a process. */
import { AioWebSocket, type AioWebSocketOptions } from 'aiowebsocket';
import {
  ended,
  eventually,
  listen,
  open,
  queued,
  readingStops,
  text,
  type Pair,
} from './helpers/peer.js';

const texts = (from: number, to: number): Buffer[] =>
  Array.from({ length: to - from }, (_, i) => text(`m${from + i}`));

test('a full queue that listeners saw and nobody pulls is dropped, with one warning, until the next pull', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const pairs = [await open({ maxQueue: 100 }), await open({ maxQueue: 100 })];
  for (const pair of pairs) {
    const { aws, converse, peer } = pair;
    let seen = 0;
    aws.on('message', () => {
      seen++;
    });
    peer.send(...texts(0, 1));
    expect(await converse.receive()).toBe('m0');

    peer.send(...texts(1, 300));
    await eventually(pair, () => seen === 300);

    expect(converse.queueSize).toBe(0);
    expect(await readingStops({ aws })).toBe(false);
    const next = converse.receive();
    peer.send(...texts(300, 302));
    expect(await next).toBe('m300');
    expect(await converse.receive()).toBe('m301');
  }

  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn).toHaveBeenCalledWith(expect.stringMatching(/receive\(\)/), expect.anything());
});

// Before the next one: each warning comes once.
test('a full queue of which something has been taken warns of nothing', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const { converse, peer } = await open({ maxQueue: 100 });
  peer.send(...texts(0, 300));
  expect(await converse.receive()).toBe('m0');

  await queued({ converse }, 100);

  expect(warn).not.toHaveBeenCalled();
});

test('a full queue of which nobody has ever taken anything: reading stops, with one warning', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  for (let i = 0; i < 2; i++) {
    const { aws, converse, peer } = await open({ maxQueue: 100 });

    peer.send(...texts(0, 300));
    await queued({ converse }, 100);

    expect(await readingStops({ aws })).toBe(true);
    for (let n = 0; n < 300; n++) expect(await converse.receive()).toBe(`m${n}`);
  }

  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn).toHaveBeenCalledWith(
    expect.stringMatching(/nobody takes the messages/),
    'AioWebSocketWarning',
  );
});

test('who pulled before a listener came, and no more since, has nothing kept that it sees', async () => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const pair = await open();
  const { aws, converse, peer } = pair;
  peer.send(...texts(0, 1));
  expect(await converse.receive()).toBe('m0');
  let seen = 0;
  aws.on('message', () => {
    seen++;
  });

  // More than is kept for a receive() right after opening.
  peer.send(...texts(1, 300));
  await eventually(pair, () => seen === 299);

  expect(converse.queueSize).toBe(0);
});

describe('a queue that was full before', () => {
  const quiet = (): unknown =>
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);

  /** Opens by a class that has something to do between the handshake and `open`. */
  const openBy = async (
    afterOpen: (pair: Pick<Pair, 'converse'>) => unknown,
    { count = 300, ...options }: AioWebSocketOptions & { count?: number } = {},
  ) => {
    class Busy extends AioWebSocket {
      protected override async afterOpen(): Promise<void> {
        await afterOpen({ converse: this.manipulator });
      }
    }
    const server = await listen({ glued: Buffer.concat(texts(0, count)) });
    const aws = ended(new Busy(server.uri, options));
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));
    return { aws, seen };
  };

  test.each([
    ['that waits', async (pair: Pick<Pair, 'converse'>) => queued(pair, 100)],
    [
      'that pulls',
      async (pair: Pick<Pair, 'converse'>) => {
        expect(await pair.converse.receive()).toBe('m0');
        await queued(pair, 99);
      },
    ],
  ])(
    'listeners were told of the opening, by an afterOpen %s, stalls nothing',
    async (_what, afterOpen) => {
      quiet();
      const { aws, seen } = await openBy(afterOpen, { maxQueue: 100, closeTimeout: 50 });
      await aws.createConnection();

      await eventually(aws, () => seen.length >= 299);
    },
    5000,
  );

  test.each(['open', 'afterOpen'])('those who pull from %s on get everything', async (since) => {
    const got: unknown[] = [];
    const pull = async ({ converse }: Pick<Pair, 'converse'>): Promise<void> => {
      for await (const message of converse) {
        if (got.push(message) === 600) break;
        await new Promise(setImmediate);
      }
    };
    const { aws } = await openBy(
      async (pair) => {
        await queued(pair, 600);
        if (since === 'afterOpen') void pull(pair);
      },
      { count: 600 },
    );
    if (since === 'open') aws.on('open', () => void pull(aws));
    await aws.createConnection();

    await eventually(aws, () => got.length === 600);
  });

  test.each([
    ['nobody had pulled', 0],
    ['somebody had pulled', 1],
  ])(
    'a listener came, while %s, stalls nothing',
    async (_what, pulled) => {
      quiet();
      const pair = await open({ maxQueue: 100, closeTimeout: 50 });
      pair.peer.send(...texts(0, 300));
      await queued(pair, 100);
      for (let i = 0; i < pulled; i++) await pair.converse.receive();
      let seen = 0;

      pair.aws.on('message', () => seen++);

      await eventually(pair, () => seen === 300 - pulled);
    },
    5000,
  );

  test('a listener came is kept for those who pull slowly', async () => {
    const pair = await open({ maxQueue: 100 });
    pair.peer.send(...texts(0, 300));
    const got: unknown[] = [];
    await queued(pair, 100);
    for (let i = 0; i < 60; i++) got.push(await pair.converse.receive());
    await queued(pair, 100);

    pair.aws.on('message', () => undefined);
    while (got.length < 300) {
      await new Promise(setImmediate);
      got.push(await pair.converse.receive());
    }

    expect(got).toEqual(Array.from({ length: 300 }, (_, i) => `m${i}`));
  });

  test('its only listener left is kept for who pulls then', async () => {
    const { aws, converse, peer } = await open({ maxQueue: 3 });
    const last = new Promise<void>((resolve) => {
      const listener = (data: unknown): void => {
        if (data !== 'm2') return;
        aws.off('message', listener);
        resolve();
      };
      aws.on('message', listener);
    });

    peer.send(...texts(0, 3));
    await last;
    await new Promise(setImmediate);
    await new Promise(setImmediate);

    expect(converse.queueSize).toBe(3);
    expect(await converse.receive()).toBe('m0');
  });

  test('beforeClose was over does not keep closeTimeout from ending the connection', async () => {
    class Waits extends AioWebSocket {
      protected override beforeClose(): Promise<void> {
        return queued({ converse: this.manipulator }, 4);
      }
    }
    const server = await listen({ polite: false });
    const aws = ended(new Waits(server.uri, { maxQueue: 4, closeTimeout: 100 }));
    const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
    aws.on('message', () => undefined);
    peer.send(...texts(0, 2));
    await queued(aws, 2);
    expect(await aws.converse.receive()).toBe('m0');

    const closing = aws.closeConnection();
    peer.send(...texts(2, 5));

    expect(await closing).toMatchObject({ code: 1006, error: { operation: 'close' } });
  }, 5000);

  test('beforeClose may wait for what stands behind it, if nobody pulls', async () => {
    quiet();
    class Waits extends AioWebSocket {
      readonly last = new Promise<void>((resolve) => {
        this.on('message', (data) => {
          if (data === 'm299') resolve();
        });
      });
      protected override beforeClose(): Promise<void> {
        return this.last;
      }
    }
    const server = await listen();
    const aws = ended(new Waits(server.uri, { maxQueue: 100 }));
    const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
    aws.once('message', () => void aws.closeConnection());

    peer.send(...texts(0, 300));

    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
  }, 5000);

  test('listeners that pause after each message are not kept waiting', async () => {
    quiet();
    const pair = await open({ maxQueue: 16 });
    let seen = 0;
    pair.aws.on('message', () => {
      seen++;
      pair.aws.pause();
      setTimeout(() => {
        pair.aws.resume();
      }, 1);
    });

    pair.peer.send(...texts(0, 60));

    await eventually(pair, () => seen === 60);
  }, 5000);
});

describe('a queue from which somebody pulls, while listeners see all', () => {
  const filled = async (options: AioWebSocketOptions) => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const pair = await open({ maxQueue: 100, ...options });
    const seen: unknown[] = [];
    pair.aws.on('message', (data) => seen.push(data));
    pair.peer.send(...texts(0, 2));
    await queued(pair, 2);
    expect(await pair.converse.receive()).toBe('m0');
    pair.peer.send(...texts(2, 300));
    return { ...pair, seen };
  };

  test('no more is waited for no longer than closeTimeout', async () => {
    const pair = await filled({ closeTimeout: 50 });

    await eventually(pair, () => pair.seen.length === 300);

    expect(pair.converse.queueSize).toBe(0);
  });

  test('no more, because the connection is paused, is kept', async () => {
    const pair = await filled({ closeTimeout: 20 });
    await queued(pair, 100);

    pair.aws.pause();
    await new Promise((resolve) => setTimeout(resolve, 100));

    expect(pair.converse.queueSize).toBe(100);
    pair.aws.resume();
    await eventually(pair, () => pair.seen.length === 300);
  });

  test('slowly is kept, however many listeners come', async () => {
    const pair = await filled({});
    await queued(pair, 100);

    for (let i = 0; i < 3; i++) {
      pair.aws.on('message', () => undefined);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    }

    expect(pair.converse.queueSize).toBe(100);
    expect(await pair.converse.receive()).toBe('m1');
  });

  test('slowly is kept', async () => {
    const pair = await filled({ closeTimeout: 60 });
    const { converse, seen } = pair;
    const got: unknown[] = [];
    await queued(pair, 100);

    while (got.length < 299) {
      got.push(await converse.receive());
      // Slower than what fills it, and never as slow as closeTimeout.
      if (got.length < 60) await new Promise((resolve) => setTimeout(resolve, 10));
    }

    expect(got).toEqual(Array.from({ length: 299 }, (_, i) => `m${i + 1}`));
    expect(seen).toHaveLength(300);
  });
});
