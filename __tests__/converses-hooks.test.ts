/** The four hooks around opening and closing. */
import type { Duplex } from 'node:stream';
import {
  AioWebSocket,
  ConnectionClosed,
  Converse,
  HandShake,
  SocketState,
  type CloseInfo,
  type ConverseParts,
  type HandShakeResponse,
  type Remote,
} from 'aiowebsocket';
import { atEnd } from './helpers/cleanup.js';
import { rejection } from './helpers/opening.js';
import {
  close,
  ended,
  eventually,
  listen,
  Opcode,
  text,
  type Peer,
  type PeerOptions,
} from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

/** Notes each hook, and does what a test puts in. */
class Hooked extends AioWebSocket {
  readonly told: string[] = [];
  readonly act: Partial<{
    beforeOpen: (remote: Remote) => void | Promise<void>;
    afterOpen: () => void | Promise<void>;
    beforeClose: (code: number, reason: string) => void | Promise<void>;
    afterClose: (info: CloseInfo) => void | Promise<void>;
  }> = {};

  constructor(uri: string | URL, options = {}) {
    super(uri, options);
    this.on('state', (state) => this.told.push(SocketState[state]));
    this.on('open', () => this.told.push('open'));
    this.on('message', (data) => this.told.push(data.toString()));
    this.on('error', (error) => this.told.push(`error: ${error.message}`));
    this.on('close', (code) => this.told.push(`close ${code}`));
  }

  protected override beforeOpen(remote: Remote): void | Promise<void> {
    this.told.push('beforeOpen');
    return this.act.beforeOpen?.(remote);
  }

  protected override afterOpen(): void | Promise<void> {
    this.told.push('afterOpen');
    return this.act.afterOpen?.();
  }

  protected override beforeClose(code: number, reason: string): void | Promise<void> {
    this.told.push('beforeClose');
    return this.act.beforeClose?.(code, reason);
  }

  protected override afterClose(info: CloseInfo): void | Promise<void> {
    this.told.push('afterClose');
    return this.act.afterClose?.(info);
  }
}

/** Listens to nothing by itself. */
class Quiet extends AioWebSocket {
  whenOpen = (): void | Promise<void> => undefined;

  protected override afterOpen(): void | Promise<void> {
    return this.whenOpen();
  }
}

interface Scene {
  readonly aws: Hooked;
  /** Opens, and gives the other end. */
  readonly open: () => Promise<Peer>;
  readonly accept: () => Promise<Peer>;
  readonly connections: () => number;
}

async function scene(
  act: Hooked['act'],
  options = {},
  peerOptions: PeerOptions = {},
): Promise<Scene> {
  const server = await listen(peerOptions);
  const aws = ended(new Hooked(server.uri, options));
  Object.assign(aws.act, act);
  return {
    aws,
    open: async () => (await Promise.all([server.accept(), aws.createConnection()]))[0],
    accept: () => server.accept(),
    connections: () => server.peers.length,
  };
}

const never = (): Promise<void> => new Promise(() => undefined);
const fail = (): never => {
  throw new Error('the hook failed');
};

test('they come around opening and closing', async () => {
  const { aws, open } = await scene({});
  await open();
  await aws.closeConnection();

  expect(aws.told).toEqual([
    ...['connecting', 'beforeOpen', 'afterOpen', 'opened', 'open'],
    ...['beforeClose', 'closing', 'closed', 'afterClose', 'close 1000'],
  ]);
});

describe('beforeOpen', () => {
  test('is told where, and awaited before anything is connected', async () => {
    let seen: Remote | undefined;
    let before = -1;
    const { aws, open, connections } = await scene({
      beforeOpen: async (remote) => {
        seen = remote;
        await new Promise((resolve) => setTimeout(resolve, 20));
        before = connections();
      },
    });
    await open();

    expect(seen).toBe(aws.remote);
    expect(before).toBe(0);
  });

  test.each([
    ['throws', fail],
    ['rejects', async () => fail()],
  ])('that %s fails the opening', async (_how, beforeOpen) => {
    const { aws, connections } = await scene({ beforeOpen });

    await expect(aws.createConnection()).rejects.toThrow('the hook failed');

    expect(connections()).toBe(0);
    expect(aws.told.slice(2)).toEqual([
      'closed',
      'error: the hook failed',
      'afterClose',
      'close 1006',
    ]);
  });

  test('that never ends is bounded by timeout', async () => {
    const { aws } = await scene({ beforeOpen: never }, { timeout: 50 });

    await expect(aws.createConnection()).rejects.toMatchObject({ operation: 'open' });
  });
});

describe('afterOpen', () => {
  test.each([
    [
      'by a loop that it began',
      (aws: Quiet, pulled: unknown[], busy: () => Promise<void>) => {
        aws.whenOpen = async () => {
          const first = new Promise<void>((resolve) => {
            void (async () => {
              for await (const message of aws.manipulator) {
                pulled.push(message);
                resolve();
                // Busy with it while the opening ends, and more than the backlog comes.
                if (pulled.length === 1) await busy();
              }
            })().catch(() => undefined);
          });
          await first;
        };
      },
    ],
    [
      'by one that `open` begins',
      (aws: Quiet, pulled: unknown[]) => {
        aws.once('open', () => {
          void (async () => {
            for (;;) pulled.push(await aws.manipulator.receive());
          })().catch(() => undefined);
        });
      },
    ],
  ])('loses nothing that is pulled beside a listener, %s', async (_how, pulls) => {
    const server = await listen();
    const aws = ended(new Quiet(server.uri));
    const pulled: unknown[] = [];
    let seen = 0;
    aws.on('message', () => seen++);
    pulls(aws, pulled, () => eventually(aws, () => seen >= 500));
    const accepted = server.accept().then((peer) => {
      peer.send(text('0'));
      return peer;
    });
    await aws.createConnection();
    const peer = await accepted;

    peer.send(...Array.from({ length: 999 }, (_, i) => text(`${i + 1}`)));
    await eventually({ converse: aws.manipulator }, () => seen >= 999);
    await eventually({ converse: aws.manipulator }, () => pulled.length === 1000);

    expect(pulled).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
  });

  const byReceive = async (aws: AioWebSocket): Promise<void> => {
    expect(await aws.manipulator.receive()).toBe('login:');
  };
  const byLoop = async (aws: AioWebSocket): Promise<void> => {
    for await (const message of aws.manipulator) {
      expect(message).toBe('login:');
      break;
    }
  };

  test.each([
    ['receive()', 'before it', byReceive],
    ['receive()', 'once it is open', byReceive],
    ['a loop that it leaves', 'before it', byLoop],
    ['a loop that it leaves', 'once it is open', byLoop],
  ])('that logs in by %s keeps no queue for who listens, from %s on', async (_how, when, logIn) => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const server = await listen();
    const aws = ended(new Quiet(server.uri));
    let seen = 0;
    const listens = (): unknown => aws.on('message', () => seen++);
    aws.whenOpen = () => logIn(aws);
    if (when === 'before it') listens();
    const [peer] = await Promise.all([
      server.accept().then((one) => {
        one.send(text('login:'));
        return one;
      }),
      aws.createConnection(),
    ]);
    if (when !== 'before it') listens();

    peer.send(...Array.from({ length: 1000 }, () => text('news')));
    await eventually({ converse: aws.manipulator }, () => seen >= 1000);

    expect(aws.manipulator.queueSize).toBe(0);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  test('a message pulled within open is shown to listeners all the same', async () => {
    const glued = Buffer.concat([text('one'), text('two')]);
    const server = await listen({ glued });
    const aws = ended(new Hooked(server.uri));
    aws.act.afterOpen = () =>
      new Promise((resolve) => {
        const look = (): unknown =>
          aws.manipulator.queueSize === 2 ? resolve() : setImmediate(look);
        look();
      });
    let pulled: Promise<unknown> | undefined;
    aws.on('open', () => {
      pulled = aws.manipulator.receive();
    });

    await aws.createConnection();

    expect(await pulled).toBe('one');
    expect(aws.told.slice(-3)).toEqual(['open', 'one', 'two']);
  });

  test('logs in before open, and before any message is shown', async () => {
    const server = await listen({ glued: Buffer.concat([text('login:'), text('news')]) });
    const aws = ended(new Hooked(server.uri));
    aws.act.afterOpen = async () => {
      aws.told.push(`asked ${await aws.manipulator.receive({ text: true })}`);
      await aws.manipulator.send('secret');
    };
    const [peer] = await Promise.all([server.accept(), aws.createConnection()]);
    expect((await peer.next()).payload.toString()).toBe('secret');
    expect(await aws.manipulator.receive()).toBe('news');

    const told = aws.told.slice(2).filter((one) => one !== 'login:');
    expect(told).toEqual(['afterOpen', 'asked login:', 'opened', 'open', 'news']);
    expect(aws.told.slice(0, aws.told.indexOf('open'))).not.toContain('login:');
  });

  test.each([
    ['throws', fail],
    ['rejects', async () => fail()],
  ])('that %s fails the opening, and leaves no socket', async (_how, afterOpen) => {
    const { aws, accept } = await scene({ afterOpen });

    await expect(aws.createConnection()).rejects.toThrow('the hook failed');

    const peer = await accept();
    await peer.until(() => peer.gone);
    expect(aws.state).toBe(SocketState.closed);
    expect(aws.told.filter((one) => /error|close |open$/.test(one))).toEqual([
      'error: the hook failed',
      'close 1006',
    ]);
    expect((await aws.closed).error?.message).toBe('the hook failed');
  });

  test('that never ends is bounded by timeout', async () => {
    const { aws } = await scene({ afterOpen: never }, { timeout: 100 });

    await expect(aws.createConnection()).rejects.toMatchObject({
      name: 'TimeoutError',
      operation: 'open',
    });
    expect(await aws.closed).toMatchObject({ code: 1006 });
  });

  test('that never ends is ended by closeConnection()', async () => {
    const { aws, accept } = await scene({ afterOpen: never });
    const opening = aws.createConnection();
    opening.catch(() => undefined);
    await accept();
    while (!aws.told.includes('afterOpen')) await new Promise(setImmediate);

    expect(await aws.closeConnection()).toMatchObject({ code: 1006, initiatedBy: 'local' });
    await expect(opening).rejects.toMatchObject({ name: 'InvalidStateError' });
    expect(aws.told.filter((one) => one.startsWith('error'))).toEqual([]);
  });

  test.each([
    ['waits for ever', never],
    ['goes on', undefined],
  ])(
    'during which the server closes fails the opening with ConnectionClosed (the hook %s)',
    async (_how, rest) => {
      const server = await listen();
      const aws = ended(new Hooked(server.uri));
      aws.act.afterOpen = async () => {
        await new Promise<void>((resolve) => {
          aws.on('state', (state) => {
            if (state === SocketState.closing) resolve();
          });
        });
        await rest?.();
      };
      const opening = aws.createConnection();
      opening.catch(() => undefined);
      const peer = await server.accept();
      peer.send(close(1008, 'no login'));
      await peer.closeFrame();
      peer.socket.end();

      await expect(opening).rejects.toBeInstanceOf(ConnectionClosed);
      await expect(opening).rejects.toMatchObject({ closeCode: 1008, reason: 'no login' });
      expect(await aws.closed).toMatchObject({ code: 1008, reason: 'no login' });
      expect(aws.told).not.toContain('open');
    },
  );

  test('during which the connection is lost fails the opening with that error', async () => {
    const { aws, accept } = await scene({ afterOpen: never });
    const opening = aws.createConnection();
    opening.catch(() => undefined);
    const peer = await accept();
    while (!aws.told.includes('afterOpen')) await new Promise(setImmediate);
    peer.socket.resetAndDestroy();

    await expect(opening).rejects.toMatchObject({ code: 'ERR_CONNECTION_RESET' });
    expect(aws.told.filter((one) => /^(error|close )/.test(one))).toHaveLength(2);
  });
});

describe('beforeClose', () => {
  test('is told the code and reason, and may still send', async () => {
    const seen: unknown[] = [];
    const { aws, open } = await scene({
      beforeClose: async (code, reason) => {
        seen.push(code, reason);
        await aws.manipulator.send('goodbye');
      },
    });
    const peer = await open();

    await aws.closeConnection(4000, 'why');

    expect(seen).toEqual([4000, 'why']);
    expect(peer.frames.map(({ opcode }) => opcode)).toEqual([Opcode.text, Opcode.close]);
  });

  test('comes once, however often closeConnection() is called', async () => {
    const { aws, open } = await scene({});
    await open();

    await Promise.all([aws.closeConnection(), aws.closeConnection(), aws.converse.close()]);

    expect(aws.told.filter((one) => one === 'beforeClose')).toHaveLength(1);
  });

  test('does not come for a Close of the server', async () => {
    const { aws, open } = await scene({});
    const peer = await open();
    peer.send(close(1000));
    await aws.closed;

    expect(aws.told).not.toContain('beforeClose');
    expect(aws.told).toContain('afterClose');
  });

  test.each([
    ['throws', fail],
    ['rejects', async () => fail()],
  ])('that %s is reported, and closing goes on', async (_how, beforeClose) => {
    const { aws, open } = await scene({ beforeClose });
    await open();

    const info = await aws.closeConnection(4000);

    expect(info).toMatchObject({ code: 4000, wasClean: true });
    expect(info.error).toBeUndefined();
    expect(aws.told.filter((one) => one.startsWith('error'))).toEqual(['error: the hook failed']);
  });

  test('that never ends is bounded by closeTimeout', async () => {
    const { aws, open } = await scene({ beforeClose: never }, { closeTimeout: 100 });
    const peer = await open();

    expect((await aws.closeConnection()).code).toBe(1006);
    await peer.until(() => peer.gone);
  });

  test("that waits while the server closes: the end is the server's", async () => {
    const { aws, open } = await scene({ beforeClose: never });
    const peer = await open();
    const closing = aws.closeConnection();

    peer.send(close(1001));
    await peer.closeFrame();
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 1001, wasClean: true });
  });
});

describe('afterClose', () => {
  test('is told how it ended, when nothing is left, before close', async () => {
    let seen: CloseInfo | undefined;
    let state: SocketState | undefined;
    const { aws, open } = await scene({
      afterClose: async (info) => {
        seen = info;
        state = aws.state;
        await new Promise(setImmediate);
        aws.told.push('cleaned up');
      },
    });
    await open();

    const info = await aws.closeConnection();

    expect(seen).toBe(info);
    expect(state).toBe(SocketState.closed);
    expect(aws.told.slice(-3)).toEqual(['afterClose', 'cleaned up', 'close 1000']);
  });

  test.each([
    ['throws', fail],
    ['rejects', async () => fail()],
  ])('that %s is reported, and close comes all the same', async (_how, afterClose) => {
    const { aws, open } = await scene({ afterClose });
    await open();

    await aws.closeConnection();

    expect(aws.told.slice(-2)).toEqual(['error: the hook failed', 'close 1000']);
  });

  test('that never ends is bounded by closeTimeout', async () => {
    const { aws, open } = await scene({ afterClose: never }, { closeTimeout: 100 });
    await open();

    expect(await aws.closeConnection()).toMatchObject({ code: 1000, wasClean: true });
    expect(aws.told.at(-1)).toBe('close 1000');
  });

  test('comes also when it was never open', async () => {
    const { aws } = await scene({ beforeOpen: fail });
    await expect(aws.createConnection()).rejects.toThrow();

    expect(aws.told.filter((one) => one === 'afterClose')).toHaveLength(1);
  });
});

describe('what a closing hook gives back', () => {
  test.each([
    ['a number', 5],
    ['a list', []],
    ['a thenable without catch', { then: (done: () => void) => setImmediate(done) }],
  ])('may be anything: %s', async (_what, value) => {
    const { aws, open } = await scene({
      beforeClose: () => value as never,
      afterClose: () => value as never,
    });
    const peer = await open();

    expect(await aws.closeConnection(4000)).toMatchObject({ code: 4000, wasClean: true });

    expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(4000);
    expect(aws.told.slice(-2)).toEqual(['afterClose', 'close 4000']);
  });
});

describe('error', () => {
  test('is told once, though beforeClose passes on what a reset made of its call', async () => {
    const { aws, open } = await scene({
      beforeClose: async () => {
        await aws.manipulator.receive();
      },
    });
    const peer = await open();
    void aws.closeConnection();
    peer.socket.resetAndDestroy();

    const { error } = await aws.closed;

    expect(aws.told.filter((one) => one.startsWith('error'))).toEqual([`error: ${error?.message}`]);
  });

  test('is not told where the server closes while beforeClose waits for it', async () => {
    const { aws, open } = await scene({
      beforeClose: async () => {
        await aws.manipulator.receive();
      },
    });
    const peer = await open();
    void aws.closeConnection();
    peer.send(close(1000));
    await peer.closeFrame();
    peer.socket.end();

    expect(await aws.closed).toMatchObject({ code: 1000 });
    expect(aws.told.filter((one) => one.startsWith('error'))).toEqual([]);
  });

  test.each(['beforeClose', 'afterClose'] as const)(
    'is never told behind close: %s fails too late',
    async (hook) => {
      let fails: () => void = () => undefined;
      const late = new Promise<void>((_resolve, reject) => {
        fails = () => {
          reject(new Error('late'));
        };
      });
      const { aws, open } = await scene({ [hook]: () => late }, { closeTimeout: 50 });
      await open();
      await aws.closeConnection();

      fails();
      await new Promise(setImmediate);

      expect(aws.told.at(-1)).toMatch(/^close /);
    },
  );
});

describe('an abort', () => {
  test('before it begins is heard, though beforeOpen() never ends', async () => {
    class Hanging extends AioWebSocket {
      protected override beforeOpen(): Promise<void> {
        return new Promise(() => undefined);
      }
    }

    const opening = new Hanging('ws://127.0.0.1:1').createConnection({
      signal: AbortSignal.abort('too late'),
    });

    await expect(opening).rejects.toBe('too late');
  });

  test('by a listener of `handshake`: afterOpen() is not asked', async () => {
    const { uri } = await wsServer();
    const controller = new AbortController();
    const afterOpen = jest.fn();
    class Own extends AioWebSocket {
      protected override afterOpen = afterOpen;
    }
    const aws = new Own(uri);
    aws.on('handshake', () => {
      controller.abort('enough');
    });

    await expect(aws.createConnection({ signal: controller.signal })).rejects.toBe('enough');

    expect(afterOpen).not.toHaveBeenCalled();
  });

  test('by shakeResult(): nobody is told of a handshake', async () => {
    const { uri } = await wsServer();
    const controller = new AbortController();
    class Aborting extends HandShake {
      override async shakeResult(): Promise<HandShakeResponse> {
        const response = await super.shakeResult();
        controller.abort('enough');
        return response;
      }
    }
    const aws = new AioWebSocket(uri, { handShake: Aborting });
    const told = jest.fn();
    aws.on('handshake', told);

    await expect(aws.createConnection({ signal: controller.signal })).rejects.toBe('enough');

    expect(told).not.toHaveBeenCalled();
  });
});

describe('the opening is bounded by timeout, whatever afterOpen meets', () => {
  /** A server that greets, more than the queue takes, and is gone once the client has read that. */
  async function goneBehindGreetings(whenOpen: (aws: Quiet) => Promise<void>): Promise<Quiet> {
    const greetings = Array.from({ length: 10 }, (_, i) => text(`greeting ${i}`));
    const server = await listen({ glued: Buffer.concat(greetings) });
    const aws = ended(new Quiet(server.uri, { timeout: 400, closeTimeout: 20_000, maxQueue: 4 }));
    aws.whenOpen = async () => {
      const [peer] = server.peers;
      peer!.socket.resetAndDestroy();
      await whenOpen(aws);
    };
    return aws;
  }

  /** Sends until the connection is known to have broken. */
  async function breaks({ manipulator }: AioWebSocket): Promise<void> {
    for (;;) {
      try {
        await manipulator.send('x');
      } catch {
        return;
      }
      await new Promise(setImmediate);
    }
  }

  test.each([
    ['waits for what never comes', (): void => undefined],
    [
      'has paused',
      (aws: AioWebSocket) => {
        aws.pause();
      },
    ],
  ])('where the connection breaks behind what it has not read, and it %s', async (_how, act) => {
    const aws = await goneBehindGreetings(async (quiet) => {
      act(quiet);
      await breaks(quiet);
      await new Promise(() => undefined);
    });

    await expect(aws.createConnection()).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      operation: 'open',
    });

    expect(await aws.closed).toMatchObject({ code: 1006 });
  });

  test('a connection that has broken by then is not opened', async () => {
    const aws = await goneBehindGreetings(breaks);
    const told: string[] = [];
    aws.on('open', () => told.push('open'));
    aws.on('state', (state) => told.push(SocketState[state]));

    await expect(aws.createConnection()).rejects.toThrow();

    expect(told).toEqual(['connecting', 'closing', 'closed']);
  });

  test('it fails with what broke it, as soon as the hook has ended', async () => {
    const aws = await goneBehindGreetings(breaks);
    const told: Error[] = [];
    aws.on('error', (error) => told.push(error));

    const error = await rejection(aws.createConnection());

    // The queue would be waited for closeTimeout, 20 seconds, and timeout would be told.
    expect(error).toMatchObject({ code: 'ERR_CONNECTION_RESET' });
    expect(told).toEqual([error]);
  });

  test.each([
    ['closeConnection()', (aws: AioWebSocket) => void aws.closeConnection()],
    [
      'terminate()',
      (aws: AioWebSocket) => {
        aws.terminate();
      },
    ],
  ])(
    'once it has broken, %s still ends the attempt, whose promise nobody need await',
    async (call, end) => {
      let broken!: () => void;
      const isBroken = new Promise<void>((resolve) => {
        broken = resolve;
      });
      const aws = await goneBehindGreetings(async (quiet) => {
        await breaks(quiet);
        broken();
        await new Promise(() => undefined);
      });
      const unhandled = jest.fn();
      process.on('unhandledRejection', unhandled);
      atEnd(() => process.off('unhandledRejection', unhandled));
      const opening = aws.createConnection();
      await isBroken;
      expect(aws.state).toBe(SocketState.closing);

      end(aws);
      await aws.closed;
      await new Promise(setImmediate);

      expect(unhandled).not.toHaveBeenCalled();
      await expect(opening).rejects.toThrow(`${call} was called while connecting`);
    },
  );

  test('where it is closing already, closeConnection() leaves that its way', async () => {
    const server = await listen({ polite: false });
    const aws = ended(new Quiet(server.uri));
    aws.whenOpen = async () => {
      await aws.manipulator.close(4001, 'login refused');
    };
    const opening = rejection(aws.createConnection());
    const peer = await server.accept();
    const { payload } = await peer.closeFrame();

    const closing = aws.closeConnection();
    peer.send(close(4001, payload.subarray(2).toString()));
    peer.socket.end();

    expect(await closing).toMatchObject({ code: 4001, reason: 'login refused', wasClean: true });
    expect(await opening).toMatchObject({ code: 'ERR_CLOSED', closeCode: 4001 });
  });

  test('the time is told that was given, also where a Converse has other options', async () => {
    const server = await listen();
    class Own extends Quiet {
      protected override makeConverse(transport: Duplex, parts: ConverseParts): Converse {
        return new Converse(transport, { maxQueue: 5 }, parts);
      }
    }
    const aws = ended(new Own(server.uri, { timeout: 200 }));
    aws.whenOpen = () => new Promise(() => undefined);

    await expect(aws.createConnection()).rejects.toThrow('longer than 200 ms (timeout)');
  });

  test('where it closes, and the server does not answer', async () => {
    const server = await listen({ polite: false });
    const aws = ended(new Quiet(server.uri, { timeout: 300, closeTimeout: 20_000 }));
    aws.whenOpen = async () => {
      void aws.manipulator.close();
      await new Promise(() => undefined);
    };

    await expect(aws.createConnection()).rejects.toMatchObject({ operation: 'open' });
  });

  test('where the server breaks the protocol, and does not end TCP: with what it broke', async () => {
    const server = await listen({ polite: false, glued: Buffer.from('8300', 'hex') });
    const aws = ended(new Quiet(server.uri, { timeout: 300, closeTimeout: 20_000 }));
    aws.whenOpen = () => new Promise(() => undefined);
    const begun = performance.now();

    await expect(aws.createConnection()).rejects.toMatchObject({ code: 'ERR_FRAME_PROTOCOL' });

    // The server would have 2 seconds otherwise.
    expect(performance.now() - begun).toBeLessThan(1800);
  });
});

test.each(['state', 'open'] as const)(
  'a signal that aborts within the event %s of an open connection ends nothing',
  async (event) => {
    const { uri } = await wsServer();
    const controller = new AbortController();
    const aws = ended(new AioWebSocket(uri));
    aws.on(event, () => {
      if (aws.state === SocketState.opened) controller.abort(new Error('too late'));
    });

    await aws.createConnection({ signal: controller.signal });

    expect(aws.state).toBe(SocketState.opened);
    expect(await aws.closeConnection()).toMatchObject({ code: 1000, wasClean: true });
  },
);
