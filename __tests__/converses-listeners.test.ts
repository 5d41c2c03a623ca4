/** Message listeners: what they are shown when they are attached, and what stays to be pulled. */
import { AioWebSocket, type Converse } from 'aiowebsocket';
import { ended, listen, open, text, type Pair, queued } from './helpers/peer.js';

type Emitter = Pick<AioWebSocket & Converse, 'on' | 'once' | 'addListener' | 'off'>;

async function withBacklog(
  which: 'aws' | 'converse',
  ...messages: string[]
): Promise<Pair & { readonly emitter: Emitter }> {
  const pair = await open();
  pair.peer.send(...messages.map((message) => text(message)));
  await queued(pair, messages.length);
  return { ...pair, emitter: pair[which] as unknown as Emitter };
}

/** What waits is shown asynchronously, but soon. */
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.each(['aws', 'converse'] as const)('a message listener of %s', (which) => {
  test.each(['on', 'addListener'] as const)(
    'attached with %s is shown, in order, what is queued, and not within the call',
    async (method) => {
      const { emitter, converse, peer } = await withBacklog(which, 'one', 'two');
      const seen: unknown[] = [];

      emitter[method]('message', (data, isBinary) => seen.push([data, isBinary]));
      expect(seen).toEqual([]);
      await soon();

      expect(seen).toEqual([
        ['one', false],
        ['two', false],
      ]);
      peer.send(text('three'));
      await queued({ converse }, 3);
      expect(seen.at(-1)).toEqual(['three', false]);
      expect(seen).toHaveLength(3);
    },
  );

  test('attached with once is shown the first that is queued, and no more', async () => {
    const { emitter, converse, peer } = await withBacklog(which, 'one', 'two');
    const seen: unknown[] = [];

    emitter.once('message', (data) => seen.push(data));
    await soon();
    peer.send(text('three'));
    await queued({ converse }, 3);

    expect(seen).toEqual(['one']);
  });

  test('is shown, not given: receive() gets the same messages', async () => {
    const { emitter, converse } = await withBacklog(which, 'one', 'two');
    const seen: unknown[] = [];
    emitter.on('message', (data) => seen.push(data));
    await soon();

    expect(converse.queueSize).toBe(2);
    expect([await converse.receive(), await converse.receive()]).toEqual(['one', 'two']);
    expect(seen).toEqual(['one', 'two']);
  });

  test('sees what was queued when it came, though it is pulled in the same turn', async () => {
    const { emitter, converse } = await withBacklog(which, 'one', 'two');
    const seen: unknown[] = [];

    emitter.on('message', (data) => seen.push(data));
    const pulled = [converse.receive(), converse.receive()];
    await soon();

    expect(await Promise.all(pulled)).toEqual(['one', 'two']);
    expect(seen).toEqual(['one', 'two']);
  });

  test('that is taken off before it was shown anything sees nothing', async () => {
    const { emitter } = await withBacklog(which, 'one');
    const seen: unknown[] = [];
    const listener = (data: unknown): unknown => seen.push(data);

    emitter.on('message', listener);
    emitter.off('message', listener);
    await soon();

    expect(seen).toEqual([]);
  });

  test('that takes itself off sees no more of what is queued', async () => {
    const { emitter } = await withBacklog(which, 'one', 'two', 'three');
    const seen: unknown[] = [];
    const listener = (data: unknown): void => {
      seen.push(data);
      if (seen.length === 2) emitter.off('message', listener);
    };

    emitter.on('message', listener);
    await soon();

    expect(seen).toEqual(['one', 'two']);
  });

  test('is called with its context, or the emitter', async () => {
    const { emitter } = await withBacklog(which, 'one');
    const contexts: unknown[] = [];
    const context = { mine: true };
    const listener = function (this: unknown): void {
      contexts.push(this);
    };

    emitter.on('message', listener, context);
    emitter.on('message', listener);
    await soon();

    expect(contexts[0]).toBe(context);
    expect(contexts[1] === emitter).toBe(true);
  });
});

test('two listeners attached at different times each see every message once', async () => {
  const { aws, converse, peer } = await withBacklog('aws', 'one');
  const first: unknown[] = [];
  const second: unknown[] = [];

  aws.on('message', (data) => first.push(data));
  await soon();
  peer.send(text('two'));
  await queued({ converse }, 2);
  converse.on('message', (data) => second.push(data));
  await soon();
  peer.send(text('three'));
  await queued({ converse }, 3);

  expect(first).toEqual(['one', 'two', 'three']);
  expect(second).toEqual(['one', 'two', 'three']);
});

test('a listener attached within a listener is shown what is queued, the message under way included once', async () => {
  const { aws, converse, peer } = await open();
  const seen: unknown[] = [];
  aws.once('message', () => {
    aws.on('message', (data) => seen.push(data));
  });

  peer.send(text('one'), text('two'));
  await queued({ converse }, 2);
  await soon();

  expect(seen).toEqual(['one', 'two']);
});

test.each([
  ['aws', 'converse'],
  ['converse', 'aws'],
  ['aws', 'aws'],
] as const)(
  'a listener of %s that attaches one of %s: each is shown once, in order',
  async (which, other) => {
    const pair = await open();
    const { converse, peer } = pair;
    const seen: unknown[] = [];
    peer.send(text('one'));
    await queued(pair, 1);
    const emitter = pair[which] as unknown as Emitter;
    emitter.on('message', (data) => {
      if (data !== 'two') return;
      (pair[other] as unknown as Emitter).on('message', (one) => seen.push(one));
    });
    await soon();

    peer.send(text('two'), text('three'), text('four'));
    await queued({ converse }, 4);
    await soon();

    expect(seen).toEqual(['one', 'two', 'three', 'four']);
  },
);

test.each(['converse', 'aws'] as const)(
  'a listener that is shown what waits, and attaches one of %s: that is shown it first, too',
  async (other) => {
    const pair = await withBacklog('converse', 'one', 'two');
    const seen: unknown[] = [];
    let attached = false;
    pair.emitter.on('message', (data) => {
      if (data !== 'three' || attached) return;
      attached = true;
      pair.emitter.on('message', (again) => {
        if (again !== 'one') return;
        (pair[other] as unknown as Emitter).on('message', (one) => seen.push(one));
      });
    });

    pair.peer.send(text('three'));
    await queued(pair, 3);
    await soon();

    expect(seen).toEqual(['one', 'two', 'three']);
  },
);

test('what came while it opened is shown in order, also to who is attached by a listener', async () => {
  const server = await listen({
    glued: Buffer.concat(['one', 'two', 'three'].map((m) => text(m))),
  });
  class Slow extends AioWebSocket {
    protected override async afterOpen(): Promise<void> {
      await queued({ converse: this.manipulator }, 3);
    }
  }
  const aws = ended(new Slow(server.uri));
  const seen: unknown[] = [];
  aws.once('message', () => {
    aws.on('message', (data) => seen.push(data));
  });

  await aws.createConnection();
  await soon();

  expect(seen).toEqual(['one', 'two', 'three']);
});

test('other events are not shown again', async () => {
  const { aws } = await open();
  const opened = jest.fn();

  aws.on('open', opened);
  aws.on('state', opened);
  await soon();

  expect(opened).not.toHaveBeenCalled();
});

test('a backlog is shown also after the close', async () => {
  const { aws, converse, peer } = await withBacklog('aws', 'one', 'two');
  peer.socket.resetAndDestroy();
  await aws.closed;
  const seen: unknown[] = [];

  aws.on('message', (data) => seen.push(data));
  await soon();

  expect(seen).toEqual(['one', 'two']);
  expect(await converse.receive()).toBe('one');
});
