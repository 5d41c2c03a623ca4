/** What ends the process, and what does not: seen in processes of their own. */
import { close, listen, Opcode, pong, text, type PeerServer } from './helpers/peer.js';
import { runChild } from './helpers/child.js';
import { RawServer } from './helpers/raw-server.js';

const STRICT = ['--unhandled-rejections=strict'];

/** Serves one child. */
async function serve(
  server: PeerServer,
  act: (peer: Awaited<ReturnType<PeerServer['accept']>>) => unknown,
): Promise<void> {
  await act(await server.accept());
}

describe('a listener that throws', () => {
  test.each(['message', 'ping', 'pong', 'open', 'handshake', 'state'])(
    'of %s surfaces as an uncaught exception, and the connection goes on',
    async (event) => {
      const server = await listen();
      const child = runChild(
        `process.on('uncaughtException', (error) => print('uncaught', error.message));
        aws.once(${JSON.stringify(event)}, () => { throw new Error('mine'); });
        aws.on('close', (code) => print('closed', code));
        await aws.createConnection();
        print(await aws.manipulator.receive(), await aws.manipulator.receive());
        await aws.closeConnection();`,
        server.uri,
      );
      await serve(server, (peer) => {
        peer.send(Buffer.concat([text('one'), Buffer.from([0x89, 0]), pong('p'), text('two')]));
      });

      const { code, lines } = await child;

      expect(lines.slice().sort()).toEqual(['closed 1000', 'one two', 'uncaught mine']);
      expect(code).toBe(0);
    },
  );

  test.each(['message', 'ping', 'state', 'close', 'error'])(
    'of %s on Converse does as well',
    async (event) => {
      const server = await listen();
      const child = runChild(
        `process.on('uncaughtException', (error) => print('uncaught', error.message));
        await aws.createConnection();
        const { converse } = aws;
        converse.once(${JSON.stringify(event)}, () => { throw new Error('mine'); });
        aws.on('close', (code) => print('closed', code));
        print(await converse.receive());
        ${event === 'error' ? "converse.send((async function* () { yield 'a'; throw new Error('source'); })());" : 'aws.closeConnection();'}
        const { code } = await aws.closed;
        print('info', code);`,
        server.uri,
      );
      await serve(server, (peer) => {
        peer.send(Buffer.concat([Buffer.from([0x89, 0]), text('one')]));
      });

      const { code, lines } = await child;
      const ended = event === 'error' ? '1006' : '1000';

      expect(lines).toEqual(expect.arrayContaining(['uncaught mine', 'one', `info ${ended}`]));
      expect(lines.filter((line) => line.startsWith('uncaught'))).toHaveLength(1);
      expect(code).toBe(0);
    },
  );

  test('of close or error on AioWebSocket does, and closed still resolves', async () => {
    const server = await listen();
    const child = runChild(
      `process.on('uncaughtException', (error) => print('uncaught', error.message));
      aws.on('error', () => { throw new Error('of error'); });
      aws.on('close', () => { throw new Error('of close'); });
      await aws.createConnection();
      print((await aws.closed).code, (await aws.converse.closed).code);`,
      server.uri,
    );
    await serve(server, (peer) => peer.socket.resetAndDestroy());

    const { code, lines } = await child;

    expect(lines.slice().sort()).toEqual(['1006 1006', 'uncaught of close', 'uncaught of error']);
    expect(code).toBe(0);
  });

  test('in the middle of a chunk: the rest of it is told, and none of it twice', async () => {
    const server = await listen();
    const child = runChild(
      `process.on('uncaughtException', (error) => print('uncaught', error.message));
      await aws.createConnection();
      let n = 0;
      aws.on('message', (data) => { print(data); if (++n === 2) throw new Error('mine'); });
      await aws.closed;`,
      server.uri,
    );
    await serve(server, (peer) => {
      peer.send(text('one'), text('two'), text('three'), text('four'), close(1000));
    });

    const { lines } = await child;

    expect(lines.filter((line) => !line.startsWith('uncaught'))).toEqual([
      'one',
      'two',
      'three',
      'four',
    ]);
    expect(lines.filter((line) => line.startsWith('uncaught'))).toHaveLength(1);
  });

  test('of a backlog that is shown', async () => {
    const server = await listen();
    const child = runChild(
      `process.on('uncaughtException', (error) => print('uncaught', error.message));
      await aws.createConnection();
      while (aws.converse.queueSize < 2) await new Promise(setImmediate);
      aws.on('message', (data) => { print(data); aws.converse.send(data); throw new Error('at ' + data); });
      await aws.closed;`,
      server.uri,
    );
    await serve(server, async (peer) => {
      peer.send(text('one'), text('two'));
      await peer.until(() => peer.payloads(Opcode.text).length === 2);
      peer.send(close(1000));
    });

    const { lines } = await child;

    expect(lines.slice().sort()).toEqual(['one', 'two', 'uncaught at one', 'uncaught at two']);
  });
});

describe('forgotten promises', () => {
  test('of send, ping, pong and close never become unhandled rejections', async () => {
    const server = await listen();
    const child = runChild(
      `await aws.createConnection();
      const { converse } = aws;
      const talk = () => {
        converse.ping(); converse.ping('p'); converse.pong();
        converse.send('text'); converse.send(Buffer.alloc(9)); converse.send(new Blob(['b']));
        converse.send('piece', { fin: false }); converse.send('behind');
        converse.send(['a', 'b']); converse.send(new Blob(['b']).stream());
        for (let i = 0; i < 5; i++) converse.send(Buffer.alloc(1_000_000));
      };
      talk();
      aws.on('message', talk);
      aws.on('close', () => { talk(); aws.closeConnection(); converse.close(); });
      await aws.closed;
      talk();
      aws.closeConnection();
      await new Promise((resolve) => setTimeout(resolve, 50));
      print('alive');`,
      server.uri,
      { flags: STRICT },
    );
    await serve(server, async (peer) => {
      peer.send(text('go'));
      await peer.until(() => peer.payloads(Opcode.ping).length >= 2);
      peer.socket.resetAndDestroy();
    });

    const { code, lines, stderr } = await child;

    expect(stderr).toBe('');
    expect(lines).toEqual(['alive']);
    expect(code).toBe(0);
  });

  test.each([
    ['a close of the server', (s: string) => s],
    ['our own close', (s: string) => `${s}; aws.closeConnection();`],
    ['terminate', (s: string) => `${s}; aws.terminate();`],
  ])('also at %s', async (_what, script) => {
    const server = await listen();
    const child = runChild(
      `await aws.createConnection();
      ${script("aws.converse.ping(); aws.converse.send('text'); aws.converse.send(new Blob(['b']))")}
      await aws.closed;
      aws.converse.ping();
      await new Promise(setImmediate);
      print('alive');`,
      server.uri,
      { flags: STRICT },
    );
    await serve(server, (peer) => {
      peer.send(close(1011));
      peer.socket.end();
    });

    expect(await child).toMatchObject({ code: 0, lines: ['alive'], stderr: '' });
  });

  test.each([
    ['5', /TypeError.*got 5/],
    ['[1, 2]', /TypeError.*got 1/],
    ['new Blob([new Uint8Array([255])]), { code: 1 }', /TypeError.*UTF-8/],
    ["(function* () { throw new Error('my bug'); })()", /Error: my bug/],
    ['{ [Symbol.asyncIterator]: () => 5 }', /TypeError/],
  ])('of a wrong argument are not silenced: %s', async (data, message) => {
    const server = await listen();
    const child = runChild(
      `await aws.createConnection(); aws.converse.send(${data});`,
      server.uri,
      {
        flags: STRICT,
      },
    );
    await server.accept();

    const { code, stderr } = await child;

    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});

describe('the process', () => {
  test('ends by itself once the connection has, with nothing left to wait for', async () => {
    const server = await listen();
    const child = runChild(
      `await aws.createConnection();
      aws.converse.ping().catch(() => undefined);
      aws.converse.receive({ timeout: 600_000 }).catch(() => undefined);
      await aws.closeConnection();
      print('closed', process.getActiveResourcesInfo().filter((one) => !/^(TTY|Pipe)/.test(one)).join());`,
      server.uri,
    );
    await server.accept();

    const { code, lines, lasted } = await child;

    expect(code).toBe(0);
    expect(lines).toEqual(['closed ']);
    expect(lasted).toBeLessThan(9000);
  });

  test('lives while the connection does', async () => {
    const server = await listen();
    const child = runChild(`await aws.createConnection(); print('open');`, server.uri);
    const peer = await server.accept();
    const first = await Promise.race([
      child.then(() => 'ended'),
      new Promise((resolve) => setTimeout(() => resolve('lives'), 300)),
    ]);
    expect(first).toBe('lives');
    peer.send(close(1000));

    expect((await child).code).toBe(0);
  });

  test.each([
    ['aws.unref() once open', 'await aws.createConnection(); aws.unref();'],
    ['converse.unref()', 'await aws.createConnection(); aws.converse.unref();'],
    [
      'aws.unref() before opening',
      'aws.unref(); const held = setInterval(() => 0, 1000); await aws.createConnection(); clearInterval(held);',
    ],
    ['unref() after ref()', 'await aws.createConnection(); aws.ref().unref();'],
    [
      'a close that is not answered',
      'await aws.createConnection(); aws.unref(); aws.closeConnection();',
    ],
  ])('does not live for it after %s', async (_what, script) => {
    const server = await listen({ polite: false });
    const child = runChild(script, server.uri, { options: { closeTimeout: 15_000 } });
    const ended = expect(child).resolves.toMatchObject({ code: 0, stderr: '' });
    await server.accept();

    await ended;
    expect((await child).lasted).toBeLessThan(9000);
  });

  test.each([
    ['while TLS is being negotiated', 'wss', '', 'aws.unref(); aws.createConnection();'],
    [
      'in the middle of that',
      'wss',
      '',
      'aws.createConnection(); setTimeout(() => aws.unref(), 50);',
    ],
    [
      'while the body of a refusal is read',
      'ws',
      'HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno',
      'aws.createConnection().catch(() => 0); setTimeout(() => aws.unref(), 100);',
    ],
  ])('does not live for it after unref() %s', async (_when, scheme, answer, script) => {
    const server = await RawServer.listen((socket) => {
      socket.once('data', () => socket.write(answer));
    });
    const uri = `${scheme}://127.0.0.1:${server.port}/`;

    const child = await runChild(script, uri, { options: { timeout: 15_000 } });
    await server.close();

    expect(child).toMatchObject({ code: 0, stderr: '' });
    // The body would be waited for 2 seconds.
    expect(child.lasted).toBeLessThan(1800);
  });

  test('does not wait for a beforeClose that the end of the connection has overtaken', async () => {
    const server = await listen();
    const child = runChild(
      `class Slow extends lib.AioWebSocket { beforeClose() { return new Promise(() => undefined); } }
      const slow = new Slow(aws.url, { closeTimeout: 15_000 });
      await slow.createConnection();
      slow.closeConnection();
      print((await slow.closed).code);`,
      server.uri,
    );
    const peer = await server.accept();
    peer.send(close(1001));
    await peer.closeFrame();
    peer.socket.end();

    const { lines, lasted } = await child;

    expect(lines).toEqual(['1001']);
    expect(lasted).toBeLessThan(9000);
  });

  test('lives for it again after ref()', async () => {
    const server = await listen();
    const child = runChild(
      `await aws.createConnection(); aws.unref(); aws.ref();
      aws.on('message', (data) => { print(data); aws.closeConnection(); });`,
      server.uri,
    );
    const peer = await server.accept();
    await new Promise((resolve) => setTimeout(resolve, 200));
    peer.send(text('still here'));

    expect(await child).toMatchObject({ code: 0, lines: ['still here'] });
  });
});

test('a process that does not know its own path, as without /proc, connects', async () => {
  const server = await listen();
  const child = runChild(
    'await aws.createConnection(); print(process.execPath); await aws.closeConnection();',
    server.uri,
    { flags: ['--import', 'data:text/javascript,process.execPath="node"'] },
  );
  await serve(server, () => undefined);

  const { code, lines, stderr } = await child;

  expect(stderr).toBe('');
  expect(lines).toEqual(['node']);
  expect(code).toBe(0);
});

/** Where nobody listens any more. */
async function nowhere(): Promise<string> {
  const server = await listen();
  await server.close();
  return server.uri;
}

describe('createConnection() that nobody awaits', () => {
  test.each([
    [
      "aws.on('error', ({ code }) => print(code)); aws.createConnection();",
      'ERR_CONNECTION_REFUSED',
    ],
    [
      "aws.createConnection(); aws.on('error', ({ code }) => print(code));",
      'ERR_CONNECTION_REFUSED',
    ],
    ["aws.on('error', print); aws.createConnection(); aws.closeConnection();", undefined],
    [
      "aws.once('error', ({ code }) => print(code)); aws.createConnection();",
      'ERR_CONNECTION_REFUSED',
    ],
    [
      "aws.on('error', () => 0).on('close', (code) => aws.removeAllListeners(print(code))); aws.createConnection();",
      '1006',
    ],
  ])('may fail where `error` is listened for: %s', async (script, line) => {
    const uri = await nowhere();

    const child = await runChild(script, uri, { flags: STRICT });

    expect(child).toMatchObject({ code: 0, lines: line === undefined ? [] : [line], stderr: '' });
  });

  test.each(['closeConnection', 'terminate'])(
    'may fail where %s() was called, and who awaits it learns of that',
    async (end) => {
      const server = await listen();
      const ends = `setImmediate(() => aws.${end}())`;

      const [quiet, awaited] = await Promise.all([
        runChild(`aws.createConnection(); ${ends};`, server.uri, { flags: STRICT }),
        runChild(`${ends}; await aws.createConnection().catch(print);`, server.uri),
      ]);

      expect(quiet).toMatchObject({ code: 0, stderr: '' });
      expect(awaited.lines.join()).toContain(`InvalidStateError: ${end}() was called`);
    },
  );

  test('ends the process also where a hook has failed as if it had been ended', async () => {
    const script = `
      aws.beforeOpen = () => { throw new lib.InvalidStateError('not now'); };
      aws.createConnection();`;

    const { code, stderr } = await runChild(script, await nowhere());

    expect(stderr).toContain('InvalidStateError: not now');
    expect(code).toBe(1);
  });

  test('ends the process by its rejection where nobody does', async () => {
    const uri = await nowhere();

    const { code, stderr } = await runChild('aws.createConnection();', uri);

    expect(stderr).toContain('ERR_CONNECTION_REFUSED');
    expect(code).toBe(1);
  });

  test('is still rejected for who awaits it', async () => {
    const uri = await nowhere();

    const child = await runChild(
      "aws.on('error', () => print('event')); await aws.createConnection().catch(() => print('promise'));",
      uri,
      { flags: STRICT },
    );

    expect(child).toMatchObject({ code: 0, lines: ['event', 'promise'] });
  });

  test('is not silenced where it was called wrongly', async () => {
    const server = await listen();

    const { code, stderr } = await runChild(
      "aws.on('error', print); aws.createConnection({ timeout: 1 });",
      server.uri,
    );

    expect(stderr).toContain('"timeout" is no option');
    expect(code).toBe(1);
  });
});
