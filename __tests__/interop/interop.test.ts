/** The client against servers that nobody here wrote. Skipped where one is missing, but not in CI. */
import { randomBytes } from 'node:crypto';
import { AioWebSocket, type AioWebSocketOptions, type Message } from 'aiowebsocket';
import { atEnd } from '../helpers/cleanup.js';
import { PEERS, type Peer, type Running } from './peers.js';

const MIB = 2 ** 20;
const UNICODE = 'Grüße, 世界 — 😀\0\u{10ffff}';
const QUOTES = 'To be, or not to be, that is the question. '.repeat(500);

const TEXTS = ['', 'a', UNICODE, 'x'.repeat(125), 'y'.repeat(126), UNICODE.repeat(5000)];
const BINARIES = [0, 1, 125, 126, 65_535, 65_536].map((size) => randomBytes(size));

const COMPRESSIONS: readonly (readonly [string, object])[] = [
  ['as it is by default', {}],
  ['without context', { serverNoContextTakeover: true, clientNoContextTakeover: true }],
  ['with small windows', { serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
  ['without a word on the window of the client', { clientMaxWindowBits: false }],
];

function suite({ start, compresses, answersClose }: Peer): void {
  let server: Running;

  beforeAll(async () => {
    server = await start();
  });

  afterAll(async () => {
    await server.stop();
  });

  async function open(options: AioWebSocketOptions = {}): Promise<AioWebSocket> {
    const aws = await AioWebSocket.connect(server.uri, { ...server.options, ...options });
    atEnd(() => aws.terminate());
    return aws;
  }

  /** Closes it, and gives how the server saw that. */
  async function end(aws: AioWebSocket, code?: number, reason?: string) {
    const info = await aws.closeConnection(code, reason);
    expect(info).toMatchObject({ wasClean: true, initiatedBy: 'local' });
    return { info, seen: (await server.ends.next()).value as unknown };
  }

  async function expectEchoes(aws: AioWebSocket, messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      void aws.manipulator.send(message);
    }
    for (const message of messages) {
      const echo = await aws.manipulator.receive();
      expect(typeof echo).toBe(typeof message);
      expect(Buffer.from(echo as string).equals(Buffer.from(message as string))).toBe(true);
    }
  }

  test('text comes back', async () => {
    const aws = await open();
    await expectEchoes(aws, TEXTS);
    await end(aws);
  });

  test('binary comes back', async () => {
    const aws = await open();
    await expectEchoes(aws, BINARIES);
    await end(aws);
  });

  test('1 MiB of text and of binary comes back', async () => {
    const aws = await open();
    await expectEchoes(aws, ['z'.repeat(MIB), randomBytes(MIB)]);
    await end(aws);
  });

  test('what is sent in fragments comes back whole', async () => {
    const aws = await open();
    await aws.manipulator.send(['Hello', ' ', '', 'world']);
    await aws.manipulator.send([randomBytes(0), Buffer.from([1]), Buffer.from([2, 3])]);
    await expect(aws.manipulator.receive()).resolves.toBe('Hello world');
    await expect(aws.manipulator.receive()).resolves.toEqual(Buffer.from([1, 2, 3]));
    await end(aws);
  });

  test('what the server sends in fragments arrives whole', async () => {
    const aws = await open();
    await aws.manipulator.send(`fragments ${UNICODE.repeat(20)}`);
    await expect(aws.manipulator.receive()).resolves.toBe(UNICODE.repeat(20));
    await end(aws);
  });

  test('a ping is answered', async () => {
    const aws = await open();
    expect(await aws.manipulator.ping('are you there?')).toBeGreaterThan(0);
    await end(aws);
  });

  test('a subprotocol is agreed on', async () => {
    const aws = await open({ protocols: ['superchat', 'chat'] });
    expect(aws.subprotocol).toBe('chat');
    await expectEchoes(aws, ['in chat']);
    await end(aws);
  });

  test.each([
    [1000, ''],
    [1001, 'going away'],
    [3000, 'é'],
    [4999, 'r'.repeat(123)],
  ])('the server sees a close with %i %j', async (code, reason) => {
    const { info, seen } = await end(await open(), code, reason);
    expect(info).toMatchObject({ code: answersClose ?? code });
    // One of them shows words of its own for an empty reason.
    expect(seen).toEqual({ code, reason: reason || expect.any(String) });
  });

  test.each([
    [1000, 'done'],
    [1001, 'going away'],
    [1011, 'trouble'],
    [4000, 'r'.repeat(100)],
  ])('the server closes with %i %j', async (code, reason) => {
    const aws = await open();
    await aws.manipulator.send(`close ${code} ${reason}`);
    const { error, ...info } = await aws.closed;
    expect(error).toBeUndefined();
    expect(info).toEqual({ code, reason, wasClean: true, initiatedBy: 'remote', discarded: 0 });
    expect((await server.ends.next()).value).toMatchObject({ code });
  });

  if (!compresses) {
    test('compression that is not agreed on changes nothing', async () => {
      const aws = await open({ compression: true });
      expect(aws.extensions).toBe('');
      await expectEchoes(aws, [QUOTES]);
      await end(aws);
    });
    return;
  }

  test.each(COMPRESSIONS)('compressed messages come back, %s', async (_how, compression) => {
    const aws = await open({ compression: { ...compression, threshold: 0 } });
    expect(aws.extensions).toMatch(/^permessage-deflate/);
    await expectEchoes(aws, [QUOTES, '', QUOTES, randomBytes(70_000), ...TEXTS, QUOTES]);
    await expectEchoes(aws, ['z'.repeat(MIB), randomBytes(MIB), Buffer.alloc(MIB)]);
    await aws.manipulator.send(['in ', 'fragments, ', QUOTES]);
    await expect(aws.manipulator.receive()).resolves.toBe(`in fragments, ${QUOTES}`);
    await aws.manipulator.send(`fragments ${UNICODE.repeat(20)}`);
    await expect(aws.manipulator.receive()).resolves.toBe(UNICODE.repeat(20));
    await end(aws);
  });
}

for (const peer of PEERS) {
  const missing = peer.missing();
  const isSkipped = missing !== '' && process.env['CI'] !== 'true';
  if (isSkipped) process.stderr.write(`skipped: interop with ${peer.name}, ${missing}\n`);
  (isSkipped ? describe.skip : describe)(peer.name, () => suite(peer));
}
