/** Pulling messages: receive(), and the loop. */
import {
  ConnectionClosed,
  ConnectionClosedError,
  ConnectionClosedOK,
  ConnectionError,
  TimeoutError,
} from 'aiowebsocket';
import { getEventListeners } from 'node:events';
import { binary, close, continuation, open, text, queued } from './helpers/peer.js';

describe('receive()', () => {
  test('gives messages in order of arrival, to callers in order of asking', async () => {
    const { converse, peer } = await open();
    const all = Promise.all([converse.receive(), converse.receive(), converse.receive()]);

    peer.send(text('one'), text('two'));
    peer.send(text('three'));

    expect(await all).toEqual(['one', 'two', 'three']);
  });

  test('gives what came before it was asked', async () => {
    const { converse, peer } = await open();
    peer.send(text('one'), binary('two'));
    await queued({ converse }, 2);

    expect(converse.queueSize).toBe(2);
    expect(await converse.receive()).toBe('one');
    expect(converse.queueSize).toBe(1);
    expect(await converse.receive()).toEqual(Buffer.from('two'));
    expect(converse.queueSize).toBe(0);
  });

  test.each([
    [{}, 'grüße', Buffer.from('bytes')],
    [{ text: true }, 'grüße', 'bytes'],
    [{ text: false }, Buffer.from('grüße'), Buffer.from('bytes')],
  ])('with %p', async (options, ofText, ofBinary) => {
    const { converse, peer } = await open();

    peer.send(text('grüße'), binary('bytes'));

    expect(await converse.receive(options)).toEqual(ofText);
    expect(await converse.receive(options)).toEqual(ofBinary);
  });

  test('gives an empty message as an empty message', async () => {
    const { converse, peer } = await open();

    peer.send(text(''), binary(''), text('', { fin: false }), continuation(''));

    expect(await converse.receive()).toBe('');
    expect(await converse.receive()).toEqual(Buffer.alloc(0));
    expect(await converse.receive()).toBe('');
  });

  test('gives Buffers of their own, which later messages do not change', async () => {
    const { converse, peer } = await open();
    const kept: Buffer[] = [];
    for (let i = 0; i < 50; i++) {
      peer.send(binary(Buffer.alloc(1000, i)));
      kept.push(await converse.receive({ text: false }));
    }

    expect(kept.every((one, i) => one.equals(Buffer.alloc(1000, i)))).toBe(true);
  });

  test('that times out says so, and loses no message', async () => {
    const { converse, peer } = await open();

    const early = converse.receive({ timeout: 20 });
    const patient = converse.receive();

    await expect(early).rejects.toBeInstanceOf(TimeoutError);
    await expect(early).rejects.toMatchObject({ operation: 'receive', code: 'ERR_TIMEOUT' });
    await expect(early).rejects.toThrow(/20 ms/);
    peer.send(text('one'), text('two'));
    expect(await patient).toBe('one');
    expect(await converse.receive({ timeout: 10_000 })).toBe('two');
  });

  test('with a timeout takes what is queued already', async () => {
    const { converse, peer } = await open();
    peer.send(text('one'));
    await queued({ converse }, 1);

    expect(await converse.receive({ timeout: 0 })).toBe('one');
  });

  test.each([Infinity, 2 ** 31, 1e12])(
    'with a timeout of %p waits, or is refused',
    async (timeout) => {
      const { converse, peer } = await open();
      const warnings = jest.spyOn(process, 'emitWarning');

      const received = converse.receive({ timeout }).catch((error: unknown) => error);
      setTimeout(() => {
        peer.send(text('one'));
      }, 50);

      const result = await received;
      if (result !== 'one') expect(result).toBeInstanceOf(RangeError);
      expect(warnings).not.toHaveBeenCalled();
    },
  );

  test('that is aborted rejects with the reason, and loses no message', async () => {
    const { converse, peer } = await open();
    const controller = new AbortController();
    const reason = { my: 'reason' };

    const aborted = converse.receive({ signal: controller.signal });
    const patient = converse.receive();
    controller.abort(reason);

    await expect(aborted).rejects.toBe(reason);
    peer.send(text('one'));
    expect(await patient).toBe('one');
  });

  test('whose signal is aborted already takes nothing', async () => {
    const { converse, peer } = await open();
    peer.send(text('one'));
    await queued({ converse }, 1);
    const reason = new Error('no');

    await expect(converse.receive({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

    expect(await converse.receive()).toBe('one');
  });

  test('leaves nothing on its signal', async () => {
    const { converse, peer } = await open();
    const { signal } = new AbortController();

    for (let i = 0; i < 3; i++) {
      peer.send(text('one'));
      await converse.receive({ signal, timeout: 10_000 });
    }
    await expect(converse.receive({ signal, timeout: 1 })).rejects.toBeInstanceOf(TimeoutError);

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test.each([
    [{ text: 'yes' }, /^text must be a boolean, got "yes"$/],
    [{ timeout: '5' }, /^timeout must be .*, got "5"$/],
    [{ timeout: -1 }, /^timeout must be .*, got -1$/],
    [{ timeout: NaN }, /^timeout must be .*, got NaN$/],
    [{ signal: {} }, /^signal must be an AbortSignal, got an instance of Object$/],
    [{ tiemout: 5 }, /^"tiemout" is no option; known are signal, text, timeout$/],
    [null, /^options must be an object, got null$/],
    [5, /^options must be an object, got 5$/],
    ['x', /^options must be an object, got "x"$/],
  ])('refuses %p, and takes no message', async (options, message) => {
    const { converse, peer } = await open();

    const received = converse.receive(options as never);

    await expect(received).rejects.toThrow(message);
    await expect(received).rejects.toHaveProperty('code', expect.stringMatching(/^ERR_/));
    peer.send(text('one'));
    expect(await converse.receive()).toBe('one');
  });

  test('after the close drains what came before it, then rejects', async () => {
    const { aws, converse, peer } = await open();
    peer.send(text('one'), text('two'), close(1000, 'bye'));
    await aws.closed;

    expect(await converse.receive()).toBe('one');
    expect(await converse.receive()).toBe('two');
    const third = converse.receive();

    await expect(third).rejects.toBeInstanceOf(ConnectionClosedOK);
    await expect(third).rejects.toMatchObject({
      code: 'ERR_CLOSED_OK',
      closeCode: 1000,
      reason: 'bye',
    });
  });

  test('that waits is rejected by the close', async () => {
    const { converse, peer } = await open();
    const waiting = [converse.receive(), converse.receive({ timeout: 10_000 })];

    peer.send(close(4000, 'go away'));

    for (const one of waiting) {
      await expect(one).rejects.toBeInstanceOf(ConnectionClosedError);
      await expect(one).rejects.toMatchObject({ closeCode: 4000, reason: 'go away' });
    }
  });

  test('that waits gets the failure itself, a later one ConnectionClosed with it as cause', async () => {
    const { aws, converse, peer } = await open();
    const waiting = converse.receive().catch((thrown: unknown) => thrown);

    peer.socket.resetAndDestroy();

    const error = (await aws.closed).error;
    expect(error).toBeInstanceOf(ConnectionError);
    expect(await waiting).toBe(error);
    await expect(converse.receive()).rejects.toMatchObject({
      name: 'ConnectionClosedError',
      closeCode: 1006,
      cause: error,
    });
  });
});

describe('for await', () => {
  test.each([
    ['1000', close(1000)],
    ['1001', close(1001, 'going away')],
    ['an empty Close', close()],
  ])('gives every message, and ends after %s', async (_code, frame) => {
    const { converse, peer } = await open();
    peer.send(text('one'), binary('two'), frame);
    const seen: unknown[] = [];

    for await (const message of converse) seen.push(message);

    expect(seen).toEqual(['one', Buffer.from('two')]);
  });

  test.each([1002, 1003, 1008, 1011, 1012, 3000, 4999])(
    'gives every message, then throws ConnectionClosed after %i',
    async (code) => {
      const { converse, peer } = await open();
      peer.send(text('one'), close(code, 'why'));
      const seen: unknown[] = [];

      const loop = (async () => {
        for await (const message of converse) seen.push(message);
      })();

      await expect(loop).rejects.toBeInstanceOf(ConnectionClosedError);
      await expect(loop).rejects.toMatchObject({ closeCode: code, reason: 'why' });
      await expect(loop).rejects.not.toHaveProperty('cause');
      expect(seen).toEqual(['one']);
    },
  );

  test.each([
    ['while it waits', false],
    ['before it begins', true],
  ])('throws ConnectionClosed with the failure as cause (%s)', async (_when, before) => {
    const { aws, converse, peer } = await open();
    peer.send(text('one'));
    await queued({ converse }, 1);
    const fail = (): unknown => {
      peer.socket.resetAndDestroy();
      return aws.closed;
    };
    if (before) await fail();
    const seen: unknown[] = [];

    const loop = (async () => {
      for await (const message of converse) {
        seen.push(message);
        if (!before) void fail();
      }
    })();

    await expect(loop).rejects.toBeInstanceOf(ConnectionClosed);
    await expect(loop).rejects.toMatchObject({
      closeCode: 1006,
      cause: (await aws.closed).error,
    });
    expect(seen).toEqual(['one']);
  });

  test('is left by break without closing, and can be entered again', async () => {
    const { aws, converse, peer } = await open();
    peer.send(text('one'), text('two'), text('three'), close(1000));
    const seen: unknown[] = [];

    for await (const message of converse) {
      seen.push(message);
      break;
    }
    expect(await converse.receive()).toBe('two');
    for await (const message of converse) seen.push(message);

    expect(seen).toEqual(['one', 'three']);
    expect(await aws.closed).toMatchObject({ code: 1000, initiatedBy: 'remote' });
  });

  test('ends after our own close', async () => {
    const { converse, peer } = await open();
    peer.send(text('one'));
    const seen: unknown[] = [];

    for await (const message of converse) {
      seen.push(message);
      void converse.close();
    }

    expect(seen).toEqual(['one']);
  });

  test('two loops share the messages', async () => {
    const { converse, peer } = await open();
    const seen: unknown[] = [];
    const loop = async (): Promise<void> => {
      for await (const message of converse) seen.push(message);
    };
    const loops = Promise.all([loop(), loop()]);

    peer.send(text('one'), text('two'), text('three'), close(1000));
    await loops;

    expect(seen).toEqual(['one', 'two', 'three']);
  });
});

test('return() of an iterator ends a next() that waits, and takes no message', async () => {
  const { converse, peer } = await open();
  const iterator = converse[Symbol.asyncIterator]();
  const waiting = [iterator.next(), iterator.next()];

  expect(await iterator.return?.()).toEqual({ value: undefined, done: true });

  expect(await Promise.all(waiting)).toEqual([
    { value: undefined, done: true },
    { value: undefined, done: true },
  ]);
  peer.send(text('one'));
  expect(await converse.receive()).toBe('one');
});

test('a busy event loop is no false alarm: what has arrived meanwhile is given', async () => {
  const { converse, peer } = await open();
  const receiving = converse.receive({ timeout: 20 });
  peer.send(text('in time'));

  for (const end = performance.now() + 60; performance.now() < end;);

  await expect(receiving).resolves.toBe('in time');
});

test('a loop that has been left takes no message, though it is asked for more', async () => {
  const { converse, peer } = await open();
  const loop = converse[Symbol.asyncIterator]();
  await loop.return?.();
  peer.send(text('one'));
  await queued({ converse }, 1);

  expect(await loop.next()).toEqual({ value: undefined, done: true });
  expect(await converse.receive()).toBe('one');
});
