/** Closing: our own call, and peers that go along with it or do not. */
import {
  ConnectionClosed,
  ConnectionClosedOK,
  ConnectionError,
  SocketState,
  TimeoutError,
  type CloseInfo,
} from 'aiowebsocket';
import { client, close, open, Opcode, ping, text, type Pair } from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

/** Every `error` and `close`, in order. */
function endings({ aws }: Pick<Pair, 'aws'>): unknown[] {
  const told: unknown[] = [];
  aws.on('error', (error) => told.push(error));
  aws.on('close', (code, reason, info) => {
    expect(info).toMatchObject({ code, reason });
    told.push(code);
  });
  return told;
}

describe('what a Close frame may carry', () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])(
    'code %i goes out',
    async (code) => {
      const { aws, peer } = await open();

      const info = await aws.closeConnection(code, 'why');

      const { payload } = await peer.closeFrame();
      expect(payload.readUInt16BE()).toBe(code);
      expect(payload.toString('utf8', 2)).toBe('why');
      expect(info).toMatchObject({ code, reason: 'why', wasClean: true, initiatedBy: 'local' });
    },
  );

  test.each([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1, 1000.5, NaN, 65_536])(
    'code %p is refused with a RangeError, and the connection stays',
    async (code) => {
      const { aws, converse, peer } = await open();

      for (const closing of [aws.closeConnection(code), converse.close(code)]) {
        await expect(closing).rejects.toThrow(RangeError);
        await expect(closing).rejects.toThrow(`got ${code}`);
        await expect(closing).rejects.toHaveProperty('code', 'ERR_OUT_OF_RANGE');
      }

      expect(aws.state).toBe(SocketState.opened);
      await converse.send('still here');
      expect((await peer.next()).opcode).toBe(Opcode.text);
    },
  );

  test.each([
    ['1000', '', /^code must be 1000-1003, 1007-1014 or 3000-4999, got "1000"$/],
    [null, '', /^code must be 1000-1003, 1007-1014 or 3000-4999, got null$/],
    [1000, 5, /^reason must be a string, got 5$/],
    [1000, null, /^reason must be a string, got null$/],
    [1000, new Float32Array(2), /^reason must be a string, got an instance of Float32Array$/],
    [1000, Buffer.from('why'), /^reason must be a string, got an instance of Buffer$/],
  ])('%p with reason %p is refused with a TypeError', async (code, reason, message) => {
    const { aws, converse } = await open();

    for (const closing of [
      aws.closeConnection(code as never, reason as never),
      converse.close(code as never, reason as never),
    ]) {
      await expect(closing).rejects.toThrow(TypeError);
      await expect(closing).rejects.toThrow(message);
    }

    expect(aws.state).toBe(SocketState.opened);
  });

  test('a reason of 123 bytes goes out, one of 124 is refused, counted in UTF-8', async () => {
    const { aws, peer } = await open();

    for (const reason of ['x'.repeat(124), 'ü'.repeat(62)]) {
      const refused = aws.closeConnection(1000, reason);
      await expect(refused).rejects.toThrow(RangeError);
      await expect(refused).rejects.toThrow(/^reason must be at most 123 bytes, got 124/);
    }
    const longest = `${'ü'.repeat(61)}x`;
    await aws.closeConnection(1000, longest);

    expect((await peer.closeFrame()).payload.toString('utf8', 2)).toBe(longest);
  });
});

describe('with a server that answers', () => {
  test('it goes opened, closing, closed, and leaves nothing', async () => {
    const { uri } = await wsServer();
    const aws = await client(uri).createConnection();
    const states: SocketState[] = [];
    aws.on('state', (state) => states.push(state));

    const closing = aws.closeConnection(4000, 'mine');
    expect(aws.state).toBe(SocketState.closing);
    const info = await closing;

    expect(info).toEqual({
      code: 4000,
      reason: 'mine',
      wasClean: true,
      initiatedBy: 'local',
      discarded: 0,
    });
    expect(states).toEqual([SocketState.closing, SocketState.closed]);
    expect(aws.transport?.destroyed).toBe(true);
    expect(aws.transport?.listenerCount('data')).toBe(0);
  });

  test('without arguments it is 1000 without a reason', async () => {
    const { converse, peer } = await open();

    await converse.close();

    expect((await peer.closeFrame()).payload).toEqual(Buffer.from([0x03, 0xe8]));
  });

  test('the second call, any later one, and closed give the same', async () => {
    const { aws, converse, peer } = await open();

    const infos = await Promise.all([
      aws.closeConnection(4001, 'first'),
      aws.closeConnection(4002, 'second'),
      converse.close(4003),
      aws.closed,
      converse.closed,
    ]);
    infos.push(await aws.closeConnection(), await converse.close());

    expect(new Set(infos).size).toBe(1);
    expect(infos[0]).toMatchObject({ code: 4001, reason: 'first' });
    await peer.until(() => peer.ended);
    expect(peer.frames).toHaveLength(1);
  });

  test('the client waits for the FIN of the server before its own', async () => {
    const { aws, peer } = await open({}, { polite: false });
    const closing = aws.closeConnection();
    await peer.closeFrame();
    peer.send(close(1000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(peer.ended).toBe(false);
    expect(aws.state).toBe(SocketState.closing);

    peer.socket.end();

    expect(await closing).toMatchObject({ code: 1000, wasClean: true });
    await peer.until(() => peer.ended);
  });

  test('its code is what counts, not ours', async () => {
    const { aws, peer } = await open({}, { polite: false });
    const closing = aws.closeConnection(1000, 'ours');
    await peer.closeFrame();

    peer.send(close(4005, 'theirs'));
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 4005, reason: 'theirs', initiatedBy: 'local' });
  });

  test('messages behind our Close are dropped and counted', async () => {
    const pair = await open({}, { polite: false });
    const { aws, converse, peer } = pair;
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));
    const closing = aws.closeConnection();
    await peer.closeFrame();

    peer.send(text('late'), ping('p'), text('later'), close(1000));
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 1000, discarded: 2, wasClean: true });
    expect(seen).toEqual([]);
    await expect(converse.receive()).rejects.toBeInstanceOf(ConnectionClosed);
  });

  test.each(['before', 'after'])(
    'messages behind our Close go to no stream either, asked for %s it',
    async (when) => {
      const { aws, converse, peer } = await open({}, { polite: false });
      const read = async (): Promise<void> => {
        for await (const piece of converse.receiveStream()) expect(piece).toBeUndefined();
      };
      const refused = (): Promise<void> => expect(read()).rejects.toBeInstanceOf(ConnectionClosed);
      const asked = when === 'before' ? refused() : undefined;
      const closing = aws.closeConnection();
      await peer.closeFrame();
      const late = when === 'after' ? refused() : undefined;

      peer.send(text('late'), text('later'), close(1000));
      peer.socket.end();

      expect(await closing).toMatchObject({ code: 1000, discarded: 2, wasClean: true });
      await (asked ?? late);
    },
  );

  test('what crosses with our Close came before it was read, and is kept', async () => {
    const { aws, converse, peer } = await open();
    peer.send(text('early'));
    while (converse.queueSize < 1) await new Promise(setImmediate);

    await aws.closeConnection();

    expect(await converse.receive()).toBe('early');
  });

  test('both sides closing at once is clean', async () => {
    const { aws, peer } = await open({}, { polite: false });
    const closing = aws.closeConnection(1000);
    peer.send(close(1001, 'theirs'));
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 1001, wasClean: true, initiatedBy: 'local' });
    await peer.until(() => peer.ended);
    expect(peer.payloads(Opcode.close)).toHaveLength(1);
  });
});

describe('with a server that does not go along', () => {
  test('one that never answers: 1006 and TimeoutError after closeTimeout', async () => {
    const pair = await open({ closeTimeout: 100 }, { polite: false });
    const told = endings(pair);
    const begun = performance.now();

    const info = await pair.aws.closeConnection(1000, 'ours');

    expect(performance.now() - begun).toBeGreaterThanOrEqual(95);
    expect(info.error).toBeInstanceOf(TimeoutError);
    expect(info.error).toMatchObject({ operation: 'close', phase: 'closing', code: 'ERR_TIMEOUT' });
    expect(info.error?.message).toMatch(/100 ms \(closeTimeout\)/);
    expect(info).toMatchObject({ code: 1006, reason: '', wasClean: false, initiatedBy: 'local' });
    expect(told).toEqual([info.error, 1006]);
    await expect(pair.converse.receive()).rejects.toMatchObject({ closeCode: 1006, reason: '' });
    await pair.peer.until(() => pair.peer.ended);
  });

  test('one that answers and never ends: its code is kept, after closeTimeout, no error', async () => {
    const pair = await open({ closeTimeout: 100 }, { polite: false });
    const { aws, peer } = pair;
    const told = endings(pair);
    const closing = aws.closeConnection();
    await peer.closeFrame();
    peer.send(close(1000, 'theirs'));

    const info = await closing;

    expect(info).toEqual({
      code: 1000,
      reason: 'theirs',
      wasClean: true,
      initiatedBy: 'local',
      discarded: 0,
    });
    expect(told).toEqual([1000]);
    await peer.until(() => peer.ended);
  });

  test('one that ends without a Close: 1006 and ConnectionError', async () => {
    const pair = await open({}, { polite: false });
    const { aws, peer } = pair;
    const told = endings(pair);
    const closing = aws.closeConnection();
    await peer.closeFrame();
    peer.socket.end();

    const info = await closing;

    expect(info.error).toBeInstanceOf(ConnectionError);
    expect(info.error).toMatchObject({ code: 'ERR_CONNECTION_LOST', phase: 'closing' });
    expect(info).toMatchObject({ code: 1006, wasClean: false, initiatedBy: 'local' });
    expect(told).toEqual([info.error, 1006]);
  });

  test('one that resets: 1006 and ConnectionError', async () => {
    const pair = await open({}, { polite: false });
    const { aws, peer } = pair;
    const told = endings(pair);
    const closing = aws.closeConnection();
    await peer.closeFrame();
    peer.socket.resetAndDestroy();

    const info = await closing;

    expect(info.error).toMatchObject({ code: 'ERR_CONNECTION_RESET', phase: 'closing' });
    expect(info).toMatchObject({ code: 1006, wasClean: false, initiatedBy: 'local' });
    expect(told).toEqual([info.error, 1006]);
  });

  test('one that answers and resets: its code is kept, no error', async () => {
    const pair = await open({}, { polite: false });
    const { aws, converse, peer } = pair;
    const told = endings(pair);
    const closing = aws.closeConnection();
    const pulling = converse.receive();
    await peer.closeFrame();
    peer.send(close(1000));
    // Its answer has been read.
    await expect(pulling).rejects.toBeInstanceOf(ConnectionClosedOK);
    peer.socket.resetAndDestroy();

    expect(await closing).toMatchObject({ code: 1000, wasClean: true });
    expect(told).toEqual([1000]);
  });

  test('one that answers and waits for us to end TCP: two seconds are enough', async () => {
    const { aws, peer } = await open({ closeTimeout: 60_000 }, { polite: false });
    const closing = aws.closeConnection();
    await peer.closeFrame();
    const begun = performance.now();
    peer.send(close(1000));

    expect(await closing).toMatchObject({ code: 1000, wasClean: true });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1900);
  });

  test('one that breaks the protocol and does not end TCP: two seconds are enough', async () => {
    const { aws, peer } = await open({ closeTimeout: 60_000 }, { polite: false });
    const begun = performance.now();
    peer.send(Buffer.from([0xf1, 0]));

    expect(await aws.closed).toMatchObject({ code: 1006, error: { closeCode: 1002 } });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1900);
    expect(await peer.closeFrame()).toMatchObject({ opcode: Opcode.close });
  });

  test('one that breaks the protocol meanwhile fails in phase closing', async () => {
    const { aws, peer } = await open({}, { polite: false });
    const closing = aws.closeConnection();
    await peer.closeFrame();
    peer.send(Buffer.from([0xf1, 0]));

    const { code, error } = await closing;

    expect(code).toBe(1006);
    expect(error).toMatchObject({ name: 'FrameError', phase: 'closing' });
  });

  test('one that reads nothing: closeTimeout runs from the call, however much is unsent', async () => {
    const { aws, converse, peer } = await open({ closeTimeout: 150 }, { polite: false });
    peer.socket.pause();
    for (let i = 0; i < 30; i++) void converse.send(Buffer.alloc(1_000_000));

    const info: CloseInfo = await aws.closeConnection();

    expect(info.error).toMatchObject({ name: 'TimeoutError', operation: 'close' });
    expect(aws.bufferedAmount).toBe(0);
  });

  test('one that sends without end: closeTimeout ends it', async () => {
    const { aws, peer } = await open({ closeTimeout: 150 }, { polite: false });
    const flood = setInterval(() => {
      if (!peer.gone) peer.send(text('x'));
    }, 5);

    const info = await aws.closeConnection();
    clearInterval(flood);

    expect(info).toMatchObject({ code: 1006, error: { operation: 'close' } });
    expect(info.discarded).toBeGreaterThan(0);
  });
});

describe('terminate()', () => {
  test('ends at once: 1006, no error, no Close frame', async () => {
    const pair = await open({}, { polite: false });
    const { aws, converse, peer } = pair;
    const told = endings(pair);
    const receiving = expect(converse.receive()).rejects.toMatchObject({ closeCode: 1006 });

    aws.terminate();
    const info = await aws.closed;

    expect(info).toEqual({
      code: 1006,
      reason: '',
      wasClean: false,
      initiatedBy: 'local',
      discarded: 0,
    });
    expect(told).toEqual([1006]);
    await receiving;
    await peer.until(() => peer.ended);
    expect(peer.frames).toEqual([]);
  });

  test('cuts a closing handshake short: that is no end by agreement', async () => {
    const { aws, converse } = await open({}, { polite: false });
    const loop = (async () => {
      for await (const message of converse) expect(message).toBeUndefined();
    })();
    const closing = aws.closeConnection(1000, 'bye');

    converse.terminate();

    expect(await closing).toMatchObject({ code: 1006, wasClean: false, initiatedBy: 'local' });
    const error = { name: 'ConnectionClosedError', closeCode: 1006, reason: '' };
    await expect(loop).rejects.toMatchObject(error);
    await expect(converse.receive()).rejects.toMatchObject(error);
  });

  test('after the end does nothing', async () => {
    const pair = await open();
    const info = await pair.aws.closeConnection();
    const told = endings(pair);

    pair.aws.terminate();
    pair.converse.terminate();
    await new Promise(setImmediate);

    expect(told).toEqual([]);
    expect(await pair.aws.closed).toBe(info);
  });
});

test('until the server answers, a call that comes too late tells our own code and reason', async () => {
  const { aws, converse } = await open({}, { polite: false });
  void aws.closeConnection(4000, 'done');

  const refused = converse.send('late');

  await expect(refused).rejects.toBeInstanceOf(ConnectionClosed);
  await expect(refused).rejects.toMatchObject({ closeCode: 4000, reason: 'done' });
});

test('after the close every call is refused with ConnectionClosed, wrong arguments with their own', async () => {
  const { aws, converse } = await open();
  await aws.closeConnection(4000, 'done');

  for (const refused of [
    converse.send('a'),
    converse.send(['a']),
    converse.ping(),
    converse.pong(),
  ]) {
    await expect(refused).rejects.toBeInstanceOf(ConnectionClosed);
    await expect(refused).rejects.toMatchObject({ closeCode: 4000, reason: 'done' });
  }
  await expect(converse.send(5 as never)).rejects.toThrow(TypeError);
  await expect(converse.ping(5 as never)).rejects.toThrow(TypeError);
  expect(aws.bufferedAmount).toBe(0);
});

test('a loop that sends while it is open ends, also where the Close frame has to wait', async () => {
  const { aws, converse } = await open({ closeTimeout: 200 });
  const endless = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
  void converse.send(endless);
  let failures = 0;

  void aws.closeConnection();
  while (aws.state === SocketState.opened && failures < 1000) {
    await converse.send('on').catch(() => failures++);
  }

  expect(failures).toBeLessThanOrEqual(1);
  expect(await aws.closed).toMatchObject({ code: 1006, error: { operation: 'close' } });
});
