/** A pull side that nobody uses any more. A file of its own: the warning comes once a process. */
import { AioWebSocket, type AioWebSocketOptions } from 'aiowebsocket';
import { ended, eventually, listen, open, queued, text, type Pair } from './helpers/peer.js';

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
    expect(aws.transport?.isPaused()).toBe(false);
    const next = converse.receive();
    peer.send(...texts(300, 302));
    expect(await next).toBe('m300');
    expect(await converse.receive()).toBe('m301');
  }

  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn).toHaveBeenCalledWith(expect.stringMatching(/receive\(\)/), expect.anything());
});

describe('a queue that was full before', () => {
  /** Opens by a class that has something to do between the handshake and `open`. */
  const openBy = async (afterOpen: (pair: Pick<Pair, 'converse'>) => Promise<unknown>) => {
    class Busy extends AioWebSocket {
      protected override async afterOpen(): Promise<void> {
        await afterOpen({ converse: this.manipulator });
      }
    }
    const server = await listen({ glued: Buffer.concat(texts(0, 300)) });
    const aws = ended(new Busy(server.uri, { maxQueue: 100 }));
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));
    const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
    return { aws, converse: aws.manipulator, peer, seen };
  };

  test('listeners were told of the opening stalls nothing', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const waits = await openBy((pair) => queued(pair, 100));
    await eventually(waits, () => waits.seen.length === 300);

    const pulls = await openBy(async (pair) => {
      expect(await pair.converse.receive()).toBe('m0');
      await queued(pair, 99);
    });
    await eventually(pulls, () => pulls.seen.length >= 299);

    // Who pulls to log in, and listens from then on, does what is right.
    expect(warn).not.toHaveBeenCalled();
  });

  test.each([
    ['nobody had pulled', 0],
    ['somebody had pulled', 1],
  ])('a listener came, while %s, stalls nothing', async (_what, pulled) => {
    jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const pair = await open({ maxQueue: 100 });
    pair.peer.send(...texts(0, 300));
    await queued(pair, 100);
    for (let i = 0; i < pulled; i++) await pair.converse.receive();
    let seen = 0;

    pair.aws.on('message', () => seen++);

    await eventually(pair, () => seen === 300 - pulled);
  });
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
