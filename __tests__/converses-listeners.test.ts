/** Message listeners: what they are shown when they are attached, and what stays to be pulled. */
import { once } from 'node:events';
import { AioWebSocket, type Converse } from 'aiowebsocket';
import { ended, eventually, listen, open, ping, text, type Pair, queued } from './helpers/peer.js';

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

test('what one listener has seen is not shown to those that come later', async () => {
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
  expect(second).toEqual(['three']);
});

test('what one listener has seen is not shown again when some of it has been pulled', async () => {
  const { aws, converse } = await withBacklog('aws', 'one', 'two', 'three');
  const seen: unknown[] = [];

  aws.on('message', (data) => seen.push(`aws ${String(data)}`));
  await soon();
  expect(await converse.receive()).toBe('one');
  converse.on('message', (data) => seen.push(`converse ${String(data)}`));
  await soon();

  expect(seen).toEqual(['aws one', 'aws two', 'aws three']);
});

test('all who are attached in one turn are shown what is queued', async () => {
  const { aws, converse } = await withBacklog('aws', 'one', 'two');
  const seen: unknown[] = [];

  aws.on('message', (data) => seen.push(`aws ${String(data)}`));
  converse.on('message', (data) => seen.push(`converse ${String(data)}`));
  await soon();

  expect(seen).toEqual(['converse one', 'aws one', 'converse two', 'aws two']);
});

test('what is pulled between two who are attached in one turn is shown to both', async () => {
  const { aws, converse } = await withBacklog('aws', 'one', 'two');
  const seen: unknown[] = [];

  aws.on('message', (data) => seen.push(`aws ${String(data)}`));
  const pulled = converse.receive();
  converse.on('message', (data) => seen.push(`converse ${String(data)}`));
  await soon();

  expect(await pulled).toBe('one');
  expect(seen).toEqual(['converse one', 'aws one', 'converse two', 'aws two']);
});

test('a listener that is attached in afterOpen is shown nothing before open', async () => {
  const told: unknown[] = [];
  class Busy extends AioWebSocket {
    protected override async afterOpen(): Promise<void> {
      await queued({ converse: this.manipulator }, 1);
      this.on('message', (data) => told.push(data));
      await soon();
      told.push('afterOpen is over');
    }
  }
  const server = await listen({ glued: text('one') });
  const aws = ended(new Busy(server.uri));
  aws.on('open', () => told.push('open'));

  await aws.createConnection();
  await eventually(aws, () => told.length === 3);

  expect(told).toEqual(['afterOpen is over', 'open', 'one']);
});

test('what comes while nobody listens is shown to the next who does', async () => {
  const { aws, converse, peer } = await withBacklog('aws', 'one');
  const seen: unknown[] = [];
  const listener = (data: unknown): unknown => seen.push(data);
  aws.on('message', listener);
  await soon();
  aws.off('message', listener);
  peer.send(text('two'));
  await queued({ converse }, 2);

  converse.on('message', listener);
  await soon();

  expect(seen).toEqual(['one', 'two']);
});

test('a listener that comes between two messages of one read is shown both, in order', async () => {
  const { aws, converse, peer } = await open();
  const seen: unknown[] = [];
  aws.on('ping', () => aws.on('message', (data) => seen.push(data)));

  peer.send(text('one'), ping(), text('two'));
  await queued({ converse }, 2);
  await soon();

  expect(seen).toEqual(['one', 'two']);
});

test('what is pulled while nobody listens is shown to nobody', async () => {
  const { aws, converse } = await withBacklog('aws', 'one', 'two', 'three', 'four');
  const seen: unknown[] = [];
  const listener = (data: unknown): unknown => seen.push(data);
  aws.once('message', listener);
  await soon();

  expect([await converse.receive(), await converse.receive()]).toEqual(['one', 'two']);
  aws.on('message', listener);
  await soon();

  expect(seen).toEqual(['one', 'three', 'four']);
});

const shift = (aws: AioWebSocket, how: 'once' | 'off'): Promise<unknown> =>
  new Promise((resolve) => {
    const listener = (data: unknown): void => {
      if (how === 'off') aws.off('message', listener);
      resolve(data);
    };
    aws[how === 'off' ? 'on' : 'once']('message', listener);
  });

test.each<[string, (aws: AioWebSocket, seen: unknown[]) => void]>([
  [
    'once() after once()',
    async (aws, seen) => {
      for (;;) seen.push(await shift(aws, 'once'));
    },
  ],
  [
    'on() and off() by turns',
    async (aws, seen) => {
      for (;;) seen.push(await shift(aws, 'off'));
    },
  ],
  [
    'once() after once(), with time between',
    async (aws, seen) => {
      for (;;) {
        seen.push(await shift(aws, 'once'));
        await soon();
      }
    },
  ],
  [
    'once() of Node',
    async (aws, seen) => {
      for (;;) seen.push(...((await once(aws as never, 'message')) as [unknown]).slice(0, 1));
    },
  ],
  [
    'a listener that attaches itself again',
    (aws, seen) => {
      const listener = (data: unknown): void => {
        aws.once('message', listener);
        seen.push(data);
      };
      aws.once('message', listener);
    },
  ],
  [
    'two listeners that take turns',
    (aws, seen) => {
      const one = (data: unknown): void => {
        seen.push(data);
        aws.on('message', other);
        aws.off('message', one);
      };
      const other = (data: unknown): void => {
        seen.push(data);
        aws.off('message', other);
        aws.on('message', one);
      };
      aws.on('message', one);
    },
  ],
])('a listener for each message gets one after the other: %s', async (_what, listenTo) => {
  // More than stay where nobody pulls, before, in and between reads.
  const messages = Array.from({ length: 600 }, (_, i) => String(i));
  const pair = await withBacklog('aws', ...messages.slice(0, 300));
  const { aws, peer } = pair;
  const seen: unknown[] = [];

  listenTo(aws, seen);
  await eventually(pair, () => seen.length === 300);
  for (const message of messages.slice(300, 310)) {
    peer.send(text(message));
    await eventually(pair, () => seen.length === Number(message) + 1);
  }
  peer.send(...messages.slice(310).map((message) => text(message)));
  await eventually(pair, () => seen.length >= messages.length);

  expect(seen).toEqual(messages);
});

test.each(['on', 'once'] as const)(
  'who is pulling when a listener comes, by %s(), loses nothing of what waits',
  async (method) => {
    const messages = Array.from({ length: 600 }, (_, i) => String(i));
    const { aws, converse, peer } = await withBacklog('aws', ...messages.slice(0, 300));
    const pulled: unknown[] = [];
    const listener = (): void => {
      if (method === 'once') aws.once('message', listener);
    };

    pulled.push(await converse.receive());
    aws[method]('message', listener);
    await soon();
    peer.send(...messages.slice(300).map((message) => text(message)));
    while (pulled.length < messages.length) {
      pulled.push(await converse.receive());
      if (pulled.length % 50 === 0) await soon();
    }

    expect(pulled).toEqual(messages);
  },
);

test('a full queue stops nobody who attaches a listener for each message', async () => {
  const { aws, peer } = await open({ maxQueue: 4 });
  const messages = Array.from({ length: 40 }, (_, i) => String(i));
  const seen: unknown[] = [];

  peer.send(...messages.map((message) => text(message)));
  while (seen.length < messages.length) {
    seen.push(await shift(aws, 'once'));
    await soon();
  }

  expect(seen).toEqual(messages);
});

test.each([
  ['aws', 'aws'],
  ['aws', 'converse'],
] as const)(
  'a listener of %s that attaches one of %s: that is shown what comes behind the message',
  async (which, other) => {
    const pair = await open();
    const { converse, peer } = pair;
    const seen: unknown[] = [];
    (pair[which] as unknown as Emitter).on('message', (data) => {
      if (data !== 'two') return;
      (pair[other] as unknown as Emitter).on('message', (one) => seen.push(one));
    });

    peer.send(text('one'), text('two'), text('three'), text('four'));
    await queued({ converse }, 4);
    await soon();

    expect(seen).toEqual(['three', 'four']);
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
  aws.once('message', (first) => {
    seen.push(first);
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
