/** Making connections, and what is known of them. */
import {
  AioWebSocket,
  Converse,
  InvalidStateError,
  SocketState,
  type AioWebSocketOptions,
} from 'aiowebsocket';
import { once } from 'node:events';
import { client, ended, listen, open, Opcode, text } from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

describe('connect', () => {
  test('resolves with the open connection', async () => {
    const { uri } = await wsServer();

    const aws = ended(await AioWebSocket.connect(uri));

    expect(aws).toBeInstanceOf(AioWebSocket);
    expect(aws.state).toBe(SocketState.opened);
    await aws.manipulator.send('hello');
    expect(await aws.manipulator.receive()).toBe('hello');
  });

  test('makes an instance of the subclass it is called on', async () => {
    class Mine extends AioWebSocket {
      readonly mine = true;
    }
    const { uri } = await wsServer();

    const aws = ended(await Mine.connect(uri));

    expect(aws.mine).toBe(true);
  });

  test('hands on what the constructor of a subclass takes, and the types know it', async () => {
    interface MyOptions extends AioWebSocketOptions {
      token?: string;
    }
    class Mine extends AioWebSocket {
      readonly token: string | undefined;
      constructor(host: { readonly uri: string }, { token, ...options }: MyOptions = {}) {
        super(host.uri, options);
        this.token = token;
      }
    }
    const host = await wsServer();
    const { signal } = new AbortController();

    const aws = ended(await Mine.connect(host, { token: 'secret', timeout: 5000, signal }));
    const answer = await Mine.connect(host, { token: 'secret' }, ({ token }) => token);

    expect([aws.token, answer]).toEqual(['secret', 'secret']);
    // @ts-expect-error -- no such option
    await expect(Mine.connect(host, { tiemout: 5 })).rejects.toThrow(TypeError);
    // @ts-expect-error -- no number
    await expect(Mine.connect(host, { token: 5, timeout: -1 })).rejects.toThrow(RangeError);
    // @ts-expect-error -- the options of the subclass alone
    await expect(AioWebSocket.connect(host.uri, { token: 'secret' })).rejects.toThrow(TypeError);
  });

  test('asks for options that the constructor of a subclass cannot do without', async () => {
    interface MyOptions extends AioWebSocketOptions {
      token: string;
    }
    class Mine extends AioWebSocket {
      readonly token: string;
      constructor(uri: string, { token, ...options }: MyOptions) {
        super(uri, options);
        this.token = token;
      }
    }
    const { uri } = await wsServer();
    const { signal } = new AbortController();

    const aws = ended(await Mine.connect(uri, { token: 'secret', signal }));
    const answer = await Mine.connect(uri, { token: 'secret' }, ({ token }) => token);

    expect([aws.token, answer]).toEqual(['secret', 'secret']);
    // @ts-expect-error -- no options
    const bare: Mine = await Mine.connect(uri);
    expect(ended(bare).token).toBeUndefined();
    // @ts-expect-error -- no token
    await expect(Mine.connect(uri, {}, ({ token }) => token)).resolves.toBeUndefined();
    // @ts-expect-error -- no options before the body
    await expect(Mine.connect(uri, ({ token }) => token)).resolves.toBeUndefined();
  });

  test.each([
    ['options', {}],
    ['undefined in place of options', undefined],
  ])('gives what the body returns, and closes at its end, with %s', async (_what, options) => {
    const { uri } = await wsServer();
    let aws!: AioWebSocket;

    const answer = await AioWebSocket.connect(uri, options, async (opened) => {
      aws = opened;
      expect(aws.state).toBe(SocketState.opened);
      await aws.manipulator.send('hello');
      return aws.manipulator.receive({ text: true });
    });

    expect(answer).toBe('hello');
    expect(aws.state).toBe(SocketState.closed);
    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true, initiatedBy: 'local' });
  });

  test('takes the body in place of the options, and one that is not asynchronous', async () => {
    const { uri } = await wsServer();

    expect(await AioWebSocket.connect(uri, (aws) => aws.state)).toBe(SocketState.opened);
  });

  test('closes, and rejects with the same error, when the body throws', async () => {
    const { uri } = await wsServer();
    const failure = new Error('the body failed');
    let aws!: AioWebSocket;

    const result = AioWebSocket.connect(uri, {}, (opened) => {
      aws = opened;
      throw failure;
    });

    await expect(result).rejects.toBe(failure);
    expect(aws.state).toBe(SocketState.closed);
    expect(await aws.closed).toMatchObject({ code: 1000, wasClean: true });
  });

  test('rejects a body that is no function, before connecting', async () => {
    const server = await listen();

    const result = AioWebSocket.connect(server.uri, {}, 'body' as never);

    await expect(result).rejects.toThrow(new TypeError('body must be a function, got "body"'));
    expect(server.peers).toHaveLength(0);
  });

  test('rejects options that cannot be', async () => {
    const result = AioWebSocket.connect('ws://127.0.0.1:1/', { pingInterval: -1 });

    await expect(result).rejects.toThrow(RangeError);
    await expect(result).rejects.toThrow(/^pingInterval must be .*, got -1$/);
  });

  test('does not run the body when its signal was aborted', async () => {
    const { uri } = await wsServer();
    const body = jest.fn();
    const reason = new Error('no more');

    await expect(
      AioWebSocket.connect(uri, { signal: AbortSignal.abort(reason) }, body),
    ).rejects.toBe(reason);
    expect(body).not.toHaveBeenCalled();
  });
});

test('await using closes at the end of the block', async () => {
  const { uri } = await wsServer();
  let kept: AioWebSocket;
  {
    await using aws = await AioWebSocket.connect(uri);
    kept = aws;
    await aws.manipulator.send('hello');
    expect(await aws.manipulator.receive()).toBe('hello');
  }

  expect(kept.state).toBe(SocketState.closed);
  expect(await kept.closed).toMatchObject({ code: 1000, wasClean: true });
});

test('disposing of a connection that is closed already changes nothing', async () => {
  const { aws } = await open();
  const info = await aws.closeConnection(4000, 'mine');

  await aws[Symbol.asyncDispose]();

  expect(await aws.closed).toBe(info);
});

describe('before it is open', () => {
  test.each(['manipulator', 'converse'] as const)(
    '%s throws InvalidStateError that says what to do',
    (name) => {
      const aws = client('ws://127.0.0.1:1/');

      expect(() => aws[name]).toThrow(InvalidStateError);
      expect(() => aws[name]).toThrow(/was never open: await createConnection\(\)/);
    },
  );

  test('pause and resume throw InvalidStateError', () => {
    const aws = client('ws://127.0.0.1:1/');

    expect(() => {
      aws.pause();
    }).toThrow(InvalidStateError);
    expect(() => {
      aws.resume();
    }).toThrow(InvalidStateError);
  });

  test('there is a URL, and nothing else', () => {
    const aws = client('ws://user:secret@127.0.0.1:81/path?query');

    expect(aws.url).toBe('ws://127.0.0.1:81/path?query');
    expect(aws.state).toBe(SocketState.zero);
    expect(aws).toMatchObject({
      subprotocol: '',
      extensions: '',
      bufferedAmount: 0,
      response: undefined,
      remoteAddress: undefined,
      localAddress: undefined,
      transport: undefined,
      hands: undefined,
    });
  });

  test('closeConnection ends it, so that it can no longer be opened', async () => {
    const aws = client('ws://127.0.0.1:1/');
    const closes: number[] = [];
    aws.on('close', (code) => closes.push(code));

    const info = await aws.closeConnection();

    expect(info).toEqual({
      code: 1006,
      reason: '',
      wasClean: false,
      initiatedBy: 'local',
      discarded: 0,
    });
    expect(closes).toEqual([1006]);
    expect(aws.state).toBe(SocketState.closed);
    await expect(aws.createConnection()).rejects.toThrow(InvalidStateError);
  });
});

describe('while it is open', () => {
  test('manipulator and converse are the same Converse', async () => {
    const { aws, converse } = await open();

    expect(converse).toBeInstanceOf(Converse);
    expect(aws.converse).toBe(converse);
    expect(converse.transport).toBe(aws.transport);
    expect(converse.state).toBe(SocketState.opened);
  });

  test('it tells what was negotiated', async () => {
    const fields = ['Sec-WebSocket-Protocol: superchat', 'X-Server: mine'];

    const { aws } = await open({ protocols: ['chat', 'superchat'] }, { fields });

    expect(aws.subprotocol).toBe('superchat');
    expect(aws.extensions).toBe('');
    expect(aws.response).toMatchObject({
      status: 101,
      headers: { 'x-server': 'mine', upgrade: 'websocket' },
    });
  });

  test('it tells both addresses', async () => {
    const { aws, peer } = await open();

    expect(aws.remoteAddress).toEqual({
      address: '127.0.0.1',
      port: peer.socket.localPort,
      family: 'IPv4',
    });
    expect(aws.localAddress).toEqual({
      address: '127.0.0.1',
      port: peer.socket.remotePort,
      family: 'IPv4',
    });
  });

  test('a second createConnection is refused, and does the first no harm', async () => {
    const { aws, peer } = await open();

    const second = aws.createConnection();

    await expect(second).rejects.toThrow(InvalidStateError);
    await expect(second).rejects.toThrow(/connects once: make a new AioWebSocket/);
    await aws.manipulator.send('still here');
    expect((await peer.next()).payload.toString()).toBe('still here');
  });

  test('createConnection resolves with the connection itself', async () => {
    const { uri } = await wsServer();
    const aws = client(uri);

    expect(await aws.createConnection()).toBe(aws);
  });

  test('faked timers stop nothing: not opening, reading, compressing or closing', async () => {
    const { uri } = await wsServer(undefined, { perMessageDeflate: true });
    jest.useFakeTimers();
    try {
      const aws = await AioWebSocket.connect(uri, { compression: { threshold: 0 } });
      for (const message of ['hello', 'x'.repeat(1_000_000)]) {
        await aws.manipulator.send(message);
        expect(await aws.manipulator.receive()).toBe(message);
      }
      await expect(aws.manipulator.receive({ timeout: 1 })).rejects.toThrow('within 1 ms');
      expect(await aws.closeConnection()).toMatchObject({ code: 1000, wasClean: true });
    } finally {
      jest.useRealTimers();
    }
  });

  test('faked timers hide no dead link', async () => {
    jest.useFakeTimers();
    try {
      const { aws } = await open({ pingInterval: 10, pongTimeout: 10 });

      expect(await aws.closed).toMatchObject({ code: 1006, error: { operation: 'pong' } });
    } finally {
      jest.useRealTimers();
    }
  });

  test('TCP_NODELAY is on', async () => {
    const { uri } = await wsServer();
    const setNoDelay = jest.spyOn((await import('node:net')).Socket.prototype, 'setNoDelay');

    ended(await AioWebSocket.connect(uri));

    expect(setNoDelay).toHaveBeenCalledWith(true);
  });
});

describe('while it is being opened', () => {
  test.each(['closeConnection', 'terminate'] as const)(
    '%s aborts the attempt: one close, no error event',
    async (method) => {
      const server = await listen();
      const aws = client(server.uri, { lookup: () => undefined });
      const told: string[] = [];
      aws.on('error', () => told.push('error'));
      aws.on('close', (code) => told.push(`close ${code}`));
      const opening = aws.createConnection();

      const ending = aws[method]();

      await expect(opening).rejects.toThrow(InvalidStateError);
      await ending;
      expect(await aws.closed).toMatchObject({ code: 1006, initiatedBy: 'local' });
      expect(told).toEqual(['close 1006']);
      expect(server.peers.filter(({ open }) => open)).toHaveLength(0);
    },
  );

  test('an abort rejects with its reason and leaves no socket', async () => {
    const { server, uri } = await wsServer();
    const controller = new AbortController();
    const aws = client(uri);
    aws.on('handshake', () => {
      controller.abort('changed my mind');
    });
    const connected = once(server, 'connection');

    await expect(aws.createConnection({ signal: controller.signal })).rejects.toBe(
      'changed my mind',
    );

    const [socket] = await connected;
    if (socket.readyState !== socket.CLOSED) await once(socket, 'close');
    expect(aws.transport?.destroyed).toBe(true);
    expect(aws.state).toBe(SocketState.closed);
  });

  test('an abort once it is open changes nothing', async () => {
    const server = await listen();
    const controller = new AbortController();
    const aws = client(server.uri);
    await aws.createConnection({ signal: controller.signal });
    const peer = await server.accept();

    controller.abort();
    peer.send(text('hello'));

    expect(await aws.manipulator.receive()).toBe('hello');
    await aws.manipulator.send('hello');
    expect((await peer.next()).opcode).toBe(Opcode.text);
  });
});
