/** Advisories about compression, and known failures: each test is named after its source. */
import { HandShakeError } from 'aiowebsocket';
import {
  bomb,
  ENGINES,
  openCompressed,
  useEngine,
  type CompressedPair,
} from './helpers/deflate.js';
import { failure } from './helpers/opening.js';
import {
  binary,
  client,
  continuation,
  fragments,
  listen,
  Opcode,
  ping,
  pong,
  text,
} from './helpers/peer.js';

const RSV1 = { rsv: 4 } as const;
const MEGABYTE = 1_048_576;
const BOMB = bomb(50 * MEGABYTE);

/** The connection fails with this code, tells so once, and gives no message. */
async function expectFailure(pair: CompressedPair, closeCode: number): Promise<void> {
  const { aws, converse, peer } = pair;
  const errors: Error[] = [];
  aws.on('error', (error) => errors.push(error));
  const info = await aws.closed;
  expect(info).toMatchObject({ code: 1006, error: { closeCode } });
  expect((await peer.closeFrame()).payload.readUInt16BE()).toBe(closeCode);
  expect(errors).toEqual([info.error]);
  await expect(converse.receive()).rejects.toThrow();
  // What would be thrown later would be thrown by now.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

describe.each(ENGINES)('with %s', (_name, engine) => {
  useEngine(engine);

  test.each([
    ['CVE-2026-1526 undici', MEGABYTE],
    ['CVE-2018-1000518 websockets', 1],
    ['CVE-2026-107227 AHC', 65_536],
    ['CVE-2026-54464 websocket-driver-ruby', 10 * MEGABYTE],
  ])('%s: a deflate bomb is capped while it is inflated (maxPayload %i)', async (_, maxPayload) => {
    const pair = await openCompressed({ maxPayload });

    pair.peer.send(binary(BOMB, RSV1));

    await expectFailure(pair, 1009);
  });

  test.each([1000, MEGABYTE, 3 * MEGABYTE])(
    'websockets#1715: a bomb one byte over %i is an error, never a truncated message',
    async (maxPayload) => {
      const within = await openCompressed({ maxPayload });
      within.peer.send(binary(bomb(maxPayload), RSV1));
      expect(await within.converse.receive()).toHaveLength(maxPayload);

      const pair = await openCompressed({ maxPayload });
      pair.peer.send(binary(bomb(maxPayload + 1), RSV1));

      await expectFailure(pair, 1009);
    },
  );

  test('CVE-2026-85024 undici: over the limit, then malformed: one error, none uncaught', async () => {
    const pair = await openCompressed({ maxPayload: MEGABYTE });
    const wrong = Buffer.alloc(1000, 0xff);

    pair.peer.send(binary(Buffer.concat([bomb(2 * MEGABYTE), wrong]), RSV1), binary(wrong, RSV1));

    await expectFailure(pair, 1009);
  });

  test('aiohttp#12988, aiohttp#13274: control frames between or before compressed fragments leave the message intact', async () => {
    const { converse, peer, compressor } = await openCompressed();
    const message = 'control frames come in between '.repeat(20);
    const packed = compressor.compress(message);
    const [first, second, third] = fragments(
      Opcode.text,
      [packed.subarray(0, 5), packed.subarray(5, 11), packed.subarray(11)],
      4,
    ) as [Buffer, Buffer, Buffer];

    peer.send(ping('1'), pong(), first, ping('2'), pong('x'), second, ping('3'), third, ping('4'));
    peer.send(text(compressor.compress(message), RSV1));

    expect(await converse.receive()).toBe(message);
    expect(await converse.receive()).toBe(message);
    await peer.until(() => peer.payloads(Opcode.pong).length === 4);
    expect(peer.payloads(Opcode.pong)).toEqual(['1', '2', '3', '4']);
  });

  test('aiohttp#13362: very many tiny deflate members leave the process its turns', async () => {
    const { aws, converse, peer } = await openCompressed();
    // By documented means each member costs a call of zlib.
    const members = Buffer.alloc(2 * (engine ? 2_000 : 60_000), Buffer.from([0x03, 0x00]));
    const message = text(Buffer.concat([members, Buffer.alloc(1)]), RSV1);
    let begun = false;
    let turns = 0;
    aws.on('ping', () => (begun = true));
    const count = (): void => {
      if (begun) turns++;
      turn = setImmediate(count);
    };
    let turn = setImmediate(count);

    peer.send(ping(), message);
    const received = await converse.receive();
    clearImmediate(turn);

    expect(received).toBe('');
    expect(turns).toBeGreaterThan(20);
  });
});

test('aiohttp#13362: a message of many tiny members arrives', async () => {
  const { converse, peer } = await openCompressed();
  const hello = Buffer.from('f348cdc9c90700', 'hex');

  peer.send(text(Buffer.concat([Buffer.alloc(7 * 5000, hello), Buffer.alloc(1)]), RSV1));

  expect(await converse.receive()).toBe('Hello'.repeat(5000));
});

test('CVE-2026-2229 undici: server_max_window_bits=1000 fails the handshake, and nothing is thrown later', async () => {
  const server = await listen({
    fields: ['Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=1000'],
    glued: text(Buffer.from('f248cdc9c90700', 'hex'), RSV1),
  });

  const error = await failure(client(server.uri, { compression: true }), HandShakeError);

  expect(error.code).toBe('ERR_HANDSHAKE_EXTENSIONS');
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
});

test.each([true, false])(
  'websockets#1720: RSV1 on a continuation frame fails with 1002 (of a compressed message: %p)',
  async (compressed) => {
    const pair = await openCompressed();
    const packed = pair.compressor.compress('Hello');

    pair.peer.send(
      compressed ? text(packed.subarray(0, 3), { fin: false, ...RSV1 }) : text('a', { fin: false }),
      continuation(packed.subarray(3), RSV1),
    );

    await expectFailure(pair, 1002);
  },
);

test.each([2n ** 53n - 1n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n])(
  'CVE-2026-1528 undici: a compressed frame that announces %i bytes fails with 1009 at its head',
  async (announce) => {
    const pair = await openCompressed();

    pair.peer.send(binary('', { ...RSV1, announce }));

    await expectFailure(pair, 1009);
  },
);

test('CVE-2026-54464 websocket-driver-ruby: a compressed message that never ends is cut, though nothing comes of it', async () => {
  const pair = await openCompressed({ maxPayload: 1000 });
  const nothing = Buffer.alloc(100_000, Buffer.from([0, 0, 0, 0xff, 0xff]));

  pair.peer.send(binary(nothing, { ...RSV1, fin: false }));
  for (let i = 0; i < 11; i++) pair.peer.send(continuation(nothing, { fin: false }));

  await expectFailure(pair, 1009);
});
