/** The hooks around opening: beforeOpen, afterOpen, and afterClose. */
import {
  AioWebSocket,
  SocketState,
  type AioWebSocketOptions,
  type CloseInfo,
  type Remote,
} from 'aiowebsocket';
import { close, readFrame, text } from './helpers/frames.js';
import { observe } from './helpers/opening.js';
import { closeServers, RawServer, shakeHands } from './helpers/raw-server.js';

afterEach(closeServers);

/** Logs in, and notes what was called when. */
class Session extends AioWebSocket {
  readonly calls: string[] = [];
  constructor(uri: string, options?: AioWebSocketOptions) {
    super(uri, options);
    this.on('open', () => this.calls.push('open'));
    this.on('message', (data) => this.calls.push(`message ${String(data)}`));
    this.on('close', (code) => this.calls.push(`close ${code}`));
  }
  protected override beforeOpen({ port }: Remote): void {
    this.calls.push(`beforeOpen ${port > 0} ${SocketState[this.state]}`);
  }
  protected override async afterOpen(): Promise<void> {
    this.calls.push(`afterOpen ${SocketState[this.state]}`);
    await this.manipulator.send('login');
    this.calls.push(`login: ${String(await this.manipulator.receive())}`);
  }
  protected override afterClose(info: CloseInfo): void {
    this.calls.push(`afterClose ${info.code}`);
  }
}

/** Answers the login, with news right behind it, and what else is to follow. */
const loginServer = (...more: Buffer[]): Promise<RawServer> =>
  RawServer.listen(async (socket) => {
    await shakeHands(socket);
    socket.resume().once('data', (chunk: Buffer) => {
      const { frame } = readFrame(chunk)!;
      const answer = [text(`${String(frame.payload)} ok`), text('news'), ...more];
      socket.write(Buffer.concat(answer));
      if (more.length > 0) socket.end();
    });
  });

test('a login in afterOpen comes before open and before any message is shown', async () => {
  const server = await loginServer();
  const aws = new Session(server.url);
  const shown = new Promise((resolve) => aws.on('message', resolve));

  await aws.createConnection();
  await shown;
  aws.terminate();
  await aws.closed;

  expect(aws.calls).toEqual([
    'beforeOpen true connecting',
    'afterOpen connecting',
    'login: login ok',
    'open',
    'message news',
    'afterClose 1006',
    'close 1006',
  ]);
});

test('no message is shown before open, even if a Close comes right behind', async () => {
  const server = await loginServer(close(1001));
  const aws = new Session(server.url);

  await aws.createConnection().catch(() => undefined);
  await aws.closed;

  const [opened, message] = [aws.calls.indexOf('open'), aws.calls.indexOf('message news')];
  expect(opened < 0 ? message : message > opened).toBe(opened < 0 ? -1 : true);
  expect(aws.calls.at(-1)).toBe('close 1001');
});

test.each(['beforeOpen', 'afterOpen'] as const)(
  'a throw in %s fails the opening with it',
  async (hook) => {
    const thrown = new Error('not today');
    const server = await RawServer.listen((socket) => shakeHands(socket));
    class Failing extends AioWebSocket {}
    Object.assign(Failing.prototype, { [hook]: () => Promise.reject(thrown) });
    const aws = new Failing(server.url);
    const seen = observe(aws);

    await expect(aws.createConnection()).rejects.toBe(thrown);

    const info = await aws.closed;
    expect(seen.events).toEqual(['error', 'close']);
    expect(seen.errors).toEqual([thrown]);
    expect(info).toMatchObject({ code: 1006, error: thrown });
    expect(aws.transport?.destroyed ?? true).toBe(true);
    await server.emptied();
  },
);

test('an afterOpen that never ends is bounded by timeout', async () => {
  const server = await RawServer.listen((socket) => shakeHands(socket));
  class Stuck extends AioWebSocket {
    protected override afterOpen(): Promise<void> {
      return new Promise(() => undefined);
    }
  }

  await expect(new Stuck(server.url, { timeout: 100 }).createConnection()).rejects.toThrow(
    expect.objectContaining({ name: 'TimeoutError', operation: 'open' }),
  );
  await server.emptied();
});

test('a server that closes during the login fails the opening', async () => {
  const server = await RawServer.listen(async (socket) => {
    await shakeHands(socket);
    socket.end(close(1008, 'who are you'));
  });

  const error = await new Session(server.url).createConnection().catch((e: unknown) => e);

  expect(error).toMatchObject({
    name: 'ConnectionClosedError',
    closeCode: 1008,
    reason: 'who are you',
  });
});
