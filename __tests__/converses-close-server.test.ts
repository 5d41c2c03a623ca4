/** A server that closes, or just goes. */
import { once } from 'node:events';
import {
  ConnectionClosedError,
  ConnectionClosedOK,
  ConnectionError,
  SocketState,
} from 'aiowebsocket';
import { close, open, Opcode, ping, queued, text, type Pair } from './helpers/peer.js';

describe('a Close of the server', () => {
  test.each([
    [1000, 'bye'],
    [1001, ''],
    [1011, 'broken'],
    [3000, ''],
    [4999, 'ü'.repeat(61)],
  ])('with %i is answered with its code at once, and is no error', async (code, reason) => {
    const { aws, peer } = await open();
    const errors = jest.fn();
    aws.on('error', errors);

    peer.send(close(code, reason));
    const answer = await peer.closeFrame();
    peer.socket.end();
    const info = await aws.closed;

    expect(answer).toMatchObject({ fin: true, masked: true });
    expect(answer.payload.readUInt16BE()).toBe(code);
    expect(info).toEqual({ code, reason, wasClean: true, initiatedBy: 'remote', discarded: 0 });
    expect(errors).not.toHaveBeenCalled();
  });

  test('without a code is 1005, and answered with an empty Close', async () => {
    const { aws, converse, peer } = await open();

    peer.send(close());
    const answer = await peer.closeFrame();
    peer.socket.end();

    expect(answer.payload).toHaveLength(0);
    expect(await aws.closed).toMatchObject({ code: 1005, reason: '', wasClean: true });
    await expect(converse.receive()).rejects.toBeInstanceOf(ConnectionClosedOK);
  });

  test('is answered by TCP too, only after the FIN of the server', async () => {
    const { aws, peer } = await open({}, { polite: false });

    peer.send(close(1000));
    await peer.closeFrame();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(peer.ended).toBe(false);
    expect(aws.state).toBe(SocketState.closing);
    peer.socket.end();

    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
    await peer.until(() => peer.ended);
  });

  test('and its FIN cut off nothing that has been sent: it goes out, then our answer', async () => {
    const { aws, converse, peer } = await open({}, { polite: false });
    peer.socket.pause();
    const sent = converse.send(Buffer.alloc(8_000_000));
    peer.send(close(1000));
    peer.socket.end();
    await Promise.all([sent.catch(() => undefined), once(aws.transport!, 'end')]);

    peer.socket.resume();
    await peer.closeFrame();

    expect(peer.messages.map(({ length }) => length)).toEqual([8_000_000]);
    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
  });

  test('that is not followed by a FIN is over after closeTimeout, with its code', async () => {
    const { aws, peer } = await open({ closeTimeout: 100 }, { polite: false });
    const errors = jest.fn();
    aws.on('error', errors);

    peer.send(close(1001, 'restart'));

    expect(await aws.closed).toMatchObject({ code: 1001, reason: 'restart', wasClean: true });
    expect(errors).not.toHaveBeenCalled();
    await peer.until(() => peer.ended);
  });

  test('that is not followed by a FIN: nothing goes out behind our answer, no ping either', async () => {
    const options = { pingInterval: 50, closeTimeout: 300 };
    // Several: a read that takes long lets go of the clocks, too.
    const pairs = await Promise.all(
      Array.from({ length: 10 }, () => open(options, { polite: false })),
    );

    for (const { peer } of pairs) peer.send(close(1000));
    await Promise.all(pairs.map(({ aws }) => aws.closed));
    await Promise.all(pairs.map(({ peer }) => peer.until(() => peer.ended)));

    for (const { peer } of pairs) expect(peer.frames.at(-1)?.opcode).toBe(Opcode.close);
  });

  test('with data behind it, then the FIN: nobody is waited for to read that', async () => {
    const { aws, peer } = await open({ closeTimeout: 60_000 }, { polite: false });

    peer.socket.end(Buffer.concat([close(1000), text('behind')]));

    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
  });

  test('that is followed by a reset keeps its code', async () => {
    const { aws, peer } = await open({}, { polite: false });
    peer.send(close(1001));
    await peer.closeFrame();
    peer.socket.resetAndDestroy();

    expect(await aws.closed).toMatchObject({ code: 1001, wasClean: true, initiatedBy: 'remote' });
  });

  test('with data behind it: nothing of that is told', async () => {
    const { aws, converse, peer } = await open();
    const seen: unknown[] = [];
    aws.on('message', (data) => seen.push(data));
    aws.on('ping', () => seen.push('ping'));

    peer.send(text('before'), close(1000), text('behind'), ping('p'), Buffer.from([0xff, 0xff]));
    peer.socket.end();
    const info = await aws.closed;

    expect(info).toMatchObject({ code: 1000, wasClean: true });
    expect(info.error).toBeUndefined();
    expect(seen).toEqual(['before']);
    expect(await converse.receive()).toBe('before');
    await expect(converse.receive()).rejects.toBeInstanceOf(ConnectionClosedOK);
  });

  test('rejects what is pending with the one error', async () => {
    const { converse, peer } = await open();
    const pending = Promise.allSettled([converse.receive(), converse.ping(), converse.receive()]);

    peer.send(close(1008, 'policy'));

    const [first, ...others] = await pending;
    expect(first).toMatchObject({ status: 'rejected' });
    const reason: unknown = (first as PromiseRejectedResult).reason;
    expect(reason).toBeInstanceOf(ConnectionClosedError);
    expect(reason).toMatchObject({ closeCode: 1008, reason: 'policy', code: 'ERR_CLOSED' });
    expect((reason as Error).message).toMatch(/1008.*policy/);
    for (const other of others) expect(other).toEqual({ status: 'rejected', reason });
  });

  test('while our Close waits behind a message in the making is answered once', async () => {
    const { aws, converse, peer } = await open({}, { polite: false });
    void converse.send(
      (async function* () {
        yield 'a piece';
        await new Promise(() => undefined);
      })(),
    );
    const closing = aws.closeConnection(4000);
    await peer.next();

    peer.send(close(1001));
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 1001, wasClean: true });
    await peer.until(() => peer.ended);
    expect(peer.frames.filter(({ opcode }) => opcode === Opcode.close)).toHaveLength(1);
  });

  test('a call of closeConnection() after it gives the same info', async () => {
    const { aws, peer } = await open();
    peer.send(close(4001));
    await peer.closeFrame();

    const closing = aws.closeConnection(4002);
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 4001, initiatedBy: 'remote' });
    expect(await closing).toBe(await aws.closed);
    expect(peer.payloads(Opcode.close)).toHaveLength(1);
  });
});

describe('a server that goes without a Close', () => {
  test.each([
    ['ends', 'ERR_CONNECTION_LOST', 'end'],
    ['resets', 'ERR_CONNECTION_RESET', 'resetAndDestroy'],
  ] as const)('and %s: one error, one close with 1006', async (_how, code, method) => {
    const { aws, converse, peer } = await open();
    const told: unknown[] = [];
    aws.on('error', (error) => told.push(error));
    aws.on('close', (closeCode) => told.push(closeCode));
    aws.on('state', (state) => told.push(SocketState[state]));
    const pending = Promise.allSettled([converse.receive(), converse.ping()]);

    peer.socket[method]();
    const info = await aws.closed;

    expect(info.error).toBeInstanceOf(ConnectionError);
    expect(info.error).toMatchObject({ code, phase: 'open' });
    expect(info).toMatchObject({ code: 1006, wasClean: false, initiatedBy: 'remote' });
    expect(told).toEqual(['closing', info.error, 'closed', 1006]);
    for (const one of await pending)
      expect(one).toEqual({ status: 'rejected', reason: info.error });
  });

  test.each([
    ['ends', ({ peer }: Pair) => peer.socket.end()],
    ['resets', ({ peer }: Pair) => peer.socket.resetAndDestroy()],
    ['is terminated by us', ({ aws }: Pair) => aws.terminate()],
    ['says nothing for too long', () => undefined],
  ])('and %s ends a loop that goes on while it is open', async (_how, ends) => {
    const pair = await open({ pingInterval: 0, readTimeout: 100 });
    const { aws, converse } = pair;
    let failures = 0;

    ends(pair);
    // Rejections alone give the event loop no turn in which the end could be told.
    while (aws.state === SocketState.opened && failures < 1000) {
      await Promise.all([converse.receive(), converse.send('on')]).catch(() => failures++);
    }

    expect(failures).toBeLessThanOrEqual(1);
    await aws.closed;
  });

  test('and resets behind more than the queue takes ends a loop that sends, and the rest is still read', async () => {
    const { aws, converse, peer } = await open({ maxQueue: 10 });
    // One read, of which most has to wait in the codec.
    peer.send(Buffer.concat(Array.from({ length: 100 }, (_, i) => text(`${i}`))));
    await queued({ converse }, 10);
    peer.socket.resetAndDestroy();
    let failures = 0;
    while (aws.state === SocketState.opened && failures < 1000) {
      await converse.send('on').then(
        () => new Promise(setImmediate),
        () => failures++,
      );
    }

    expect(failures).toBeLessThanOrEqual(1);
    for (let i = 0; i < 100; i++) expect(await converse.receive()).toBe(`${i}`);
    expect(await aws.closed).toMatchObject({ code: 1006 });
  });

  test('refuses what is sent in a listener of its error already', async () => {
    const { aws, converse, peer } = await open();
    let sent: unknown;
    aws.on('error', () => {
      sent = converse.send('late').catch((error: unknown) => error);
    });

    peer.socket.end();
    const { error } = await aws.closed;

    expect(await sent).toBeInstanceOf(ConnectionClosedError);
    expect(await sent).toMatchObject({ closeCode: 1006, cause: error });
  });

  test('in the middle of a frame', async () => {
    const { aws, converse, peer } = await open();
    const pending = converse.receive().catch((error: unknown) => error);

    peer.socket.end(text('a whole message').subarray(0, 7));
    const { error } = await aws.closed;

    expect(error).toMatchObject({ code: 'ERR_CONNECTION_LOST' });
    expect(await pending).toBe(error);
  });

  test('what had come before is still given', async () => {
    const { aws, converse, peer } = await open();

    peer.socket.end(Buffer.concat([text('one'), text('two')]));
    await aws.closed;

    expect([await converse.receive(), await converse.receive()]).toEqual(['one', 'two']);
    await expect(converse.receive()).rejects.toMatchObject({ closeCode: 1006 });
  });
});
