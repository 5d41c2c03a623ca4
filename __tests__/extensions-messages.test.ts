/** Compressed messages of all kinds on their way in (RFC 7692 sections 6 and 7.2.2). */
import { FrameError } from 'aiowebsocket';
import { deflateRawSync } from 'node:zlib';
import {
  bomb,
  ENGINES,
  noise,
  openCompressed,
  storedBlocks,
  useEngine,
} from './helpers/deflate.js';
import type { CompressedPair } from './helpers/deflate.js';
import {
  binary,
  close,
  continuation,
  fragments,
  frame,
  open,
  Opcode,
  ping,
  pong,
  text,
} from './helpers/peer.js';

const hex = (octets: string): Buffer => Buffer.from(octets.replaceAll(' ', ''), 'hex');
const RSV1 = { rsv: 4 } as const;
/** "Hello" in a block that is marked as the last, without an octet behind it. */
const FINAL = hex('f3 48 cd c9 c9 07 00');

/** What the connection fails with, having sent this close code, and nothing else. */
async function fails({ aws, peer }: CompressedPair, closeCode: number): Promise<FrameError> {
  const errors: Error[] = [];
  aws.on('error', (error) => errors.push(error));
  const { payload } = await peer.closeFrame();
  expect(payload.readUInt16BE()).toBe(closeCode);
  const info = await aws.closed;
  expect(errors).toEqual([info.error]);
  expect(info.error).toBeInstanceOf(FrameError);
  expect((info.error as FrameError).closeCode).toBe(closeCode);
  return info.error as FrameError;
}

describe.each(ENGINES)('with %s', (_name, engine) => {
  useEngine(engine);

  describe('the examples of RFC 7692 section 7.2.3', () => {
    test.each([
      ['one block', 'c107 f248cdc9c90700', ['Hello']],
      ['in two fragments', '4103 f248cd 8004 c9c90700', ['Hello']],
      ['sharing the window', 'c107 f248cdc9c90700 c105 f200110000', ['Hello', 'Hello']],
      ['a block with no compression', 'c10b 000500faff48656c6c6f00', ['Hello']],
      ['BFINAL=1', 'c108 f348cdc9c9070000', ['Hello']],
      ['two blocks', 'c10d f2480500 0000ffff cac9c90700', ['Hello']],
      ['empty', 'c101 00', ['']],
    ])('%s', async (_what, wire, expected) => {
      const { converse, peer } = await openCompressed();

      peer.send(hex(wire));

      for (const message of expected) expect(await converse.receive()).toBe(message);
    });
  });

  test('a message arrives whole in fragments of any size, with control frames between', async () => {
    const { aws, converse, peer, compressor } = await openCompressed();
    const pings: string[] = [];
    const pongs: string[] = [];
    aws.on('ping', (payload) => pings.push(payload.toString()));
    aws.on('pong', (payload) => pongs.push(payload.toString()));
    const message = 'grüße, 世界 👋 '.repeat(50);

    for (const size of [1, 2, 7, 50]) {
      const whole = compressor.compress(message);
      const pieces: Buffer[] = [];
      for (let at = 0; at < whole.length; at += size) pieces.push(whole.subarray(at, at + size));
      const wire = fragments(Opcode.text, [Buffer.alloc(0), ...pieces, Buffer.alloc(0)], 4);
      peer.send(ping('before'), ...wire.flatMap((one) => [one, ping('between'), pong('too')]));

      expect(await converse.receive()).toBe(message);
    }
    expect(pings.filter((payload) => payload === 'before')).toHaveLength(4);
    await peer.until(() => peer.payloads(Opcode.pong).length >= pings.length);
    expect(peer.payloads(Opcode.pong)).toEqual(pings);
    expect(new Set(pongs)).toEqual(new Set(['too']));
  });

  test('octet by octet is as good as all at once', async () => {
    const { converse, peer, compressor } = await openCompressed();
    const wire = Buffer.concat([
      text(compressor.compress('first'), RSV1),
      binary('plain'),
      binary(compressor.compress(noise(300)), RSV1),
    ]);

    for (const octet of wire) peer.send(Buffer.of(octet));

    expect(await converse.receive()).toBe('first');
    expect(await converse.receive({ text: true })).toBe('plain');
    expect(await converse.receive()).toEqual(noise(300));
  });

  test('compressed messages and plain ones may alternate', async () => {
    const { converse, peer, compressor } = await openCompressed();

    for (let i = 0; i < 20; i++) {
      peer.send(text(compressor.compress(`compressed ${i}`), RSV1), text(`plain ${i}`));
    }

    for (let i = 0; i < 20; i++) {
      expect(await converse.receive()).toBe(`compressed ${i}`);
      expect(await converse.receive()).toBe(`plain ${i}`);
    }
  });

  test('incompressible, stored, empty: all may be marked as compressed', async () => {
    const { converse, peer, compressor } = await openCompressed();
    const random = noise(100_000);

    peer.send(binary(compressor.compress(random), RSV1));
    peer.send(binary(compressor.compress(Buffer.alloc(0)), RSV1));
    peer.send(binary(storedBlocks(random, 1000), RSV1));
    peer.send(binary(storedBlocks(Buffer.alloc(0), 1000), RSV1));

    for (const expected of [random, Buffer.alloc(0), random, Buffer.alloc(0)]) {
      expect((await converse.receive({ text: false })).equals(expected)).toBe(true);
    }
  });

  test('a compressed message without a byte is empty, and spoils nothing behind it', async () => {
    const { converse, peer, compressor } = await openCompressed();

    for (let i = 0; i < 3; i++) {
      peer.send(text('', RSV1), ...fragments(Opcode.text, ['', '', ''], 4));
      peer.send(text(compressor.compress('Hello'), RSV1));
    }

    for (let i = 0; i < 3; i++) {
      for (const expected of ['', '', 'Hello']) expect(await converse.receive()).toBe(expected);
    }
  });

  describe('blocks that are marked as the last', () => {
    const chop = (bytes: Buffer, size: number): Buffer[] =>
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );

    test.each([
      ['with an octet behind', Buffer.concat([FINAL, Buffer.alloc(1)]), 'Hello'],
      ['without one', FINAL, 'Hello'],
      [
        'one after another',
        Buffer.concat([FINAL, FINAL, FINAL, Buffer.alloc(1)]),
        'HelloHelloHello',
      ],
      ['and one that is not', Buffer.concat([FINAL, hex('f248cdc9c90700')]), 'HelloHello'],
      ['and a window that goes on', Buffer.concat([FINAL, hex('f200110000')]), 'HelloHello'],
      ['that is empty', hex('03 00'), ''],
    ])('%s', async (_what, payload, expected) => {
      const { converse, peer } = await openCompressed();

      peer.send(text(payload, RSV1));
      peer.send(...fragments(Opcode.text, chop(payload, 1), 4));
      peer.send(...fragments(Opcode.text, chop(payload, 3), 4), text('end'));

      for (let i = 0; i < 3; i++) expect(await converse.receive()).toBe(expected);
      expect(await converse.receive()).toBe('end');
    });

    test('lose nothing of the window, however much it holds', async () => {
      const { converse, peer, compressor } = await openCompressed();
      const parts = [700, 40_000, 10, 20_000, 32_768, 5].map((length, i) => noise(length, i + 9));

      for (let round = 0; round < 3; round++) {
        for (const [i, part] of parts.entries()) {
          peer.send(binary(compressor.compress(part, { final: i % 2 === round % 2 }), RSV1));
        }
      }

      for (let round = 0; round < 3; round++) {
        for (const part of parts) {
          expect((await converse.receive({ text: false })).equals(part)).toBe(true);
        }
      }
    });

    test('lose nothing of a window that has been filled more than once', async () => {
      const { converse, peer, compressor } = await openCompressed();
      const [one, two] = [noise(20_000, 1), noise(20_000, 2)];
      const repeated = Buffer.concat([one.subarray(9000), two]);

      peer.send(
        binary(compressor.compress(one), RSV1),
        binary(compressor.compress(two, { final: true }), RSV1),
        binary(compressor.compress(repeated), RSV1),
      );

      for (const expected of [one, two, repeated]) {
        expect((await converse.receive({ text: false })).equals(expected)).toBe(true);
      }
    });

    // Its header, 00 00 ff ff 00, begins as what is left out at the end of a message.
    test.each([0, 1, 2, 3, 4, 5])(
      'behind it a stored block of 65,280 bytes, cut after %i bytes',
      async (cut) => {
        const { converse, peer } = await openCompressed();
        const stored = Buffer.alloc(65_280, 'stored');
        const rest = Buffer.concat([hex('00 00ff ff00'), stored, hex('00')]);

        peer.send(
          text(Buffer.concat([FINAL, rest.subarray(0, cut)]), { fin: false, ...RSV1 }),
          continuation(rest.subarray(cut)),
        );

        expect(await converse.receive()).toBe(`Hello${stored.toString()}`);
      },
    );

    test('in a message of several megabytes', async () => {
      const { converse, peer, compressor } = await openCompressed();
      const big = Buffer.alloc(5_000_000, 'abcdefgh');

      peer.send(binary(compressor.compress(big, { final: true }), RSV1), text('behind'));

      expect((await converse.receive({ text: false })).equals(big)).toBe(true);
      expect(await converse.receive()).toBe('behind');
    });
  });

  describe('RSV1', () => {
    const hello = hex('f248cdc9c90700');

    test.each([
      [
        'on a continuation',
        [
          text(hello.subarray(0, 3), { ...RSV1, fin: false }),
          continuation(hello.subarray(3), RSV1),
        ],
      ],
      [
        'on a continuation of a plain message',
        [text('a', { fin: false }), continuation(hello, RSV1)],
      ],
      ['on a ping', [ping('', RSV1)]],
      ['on a pong', [pong('', RSV1)]],
      ['on a Close', [close(1000, '', RSV1)]],
      ['with RSV2', [text(hello, { rsv: 6 })]],
      ['with RSV3', [text(hello, { rsv: 5 })]],
      ['missing, RSV2 in its place', [text(hello, { rsv: 2 })]],
      ['on a reserved opcode', [frame({ opcode: 3, rsv: 4, payload: hello })]],
    ])('%s fails with 1002', async (_what, wire) => {
      const pair = await openCompressed();

      pair.peer.send(...wire);

      expect((await fails(pair, 1002)).code).toBe('ERR_FRAME_PROTOCOL');
    });

    test('of a server that has declined fails with 1002', async () => {
      const pair = await open({ compression: true });

      pair.peer.send(text(hello, RSV1));

      expect((await fails(pair as CompressedPair, 1002)).code).toBe('ERR_FRAME_PROTOCOL');
    });
  });

  describe('what cannot be inflated fails with 1007', () => {
    test.each([
      ['a block of the reserved type', '07 00'],
      ['a stored block with a wrong check', '00 05 00 00 00 48 65 6c 6c 6f 00'],
      ['a copy from before the beginning', '02 de ff 0f 00'],
      ['impossible code lengths', '04 ff ff ff ff ff ff ff'],
      ['anything', 'ff ff ff ff ff ff ff ff'],
    ])('%s', async (_what, octets) => {
      const pair = await openCompressed();

      pair.peer.send(binary(pair.compressor.compress('good'), RSV1), binary(hex(octets), RSV1));
      pair.peer.send(text('late'), ping());

      expect((await fails(pair, 1007)).code).toBe('ERR_FRAME_PAYLOAD');
      expect(await pair.converse.receive({ text: true })).toBe('good');
      await expect(pair.converse.receive()).rejects.toMatchObject({ closeCode: 1006 });
    });

    test('a copy from a message whose context the server promised to forget', async () => {
      const pair = await openCompressed({}, { serverReset: true });

      pair.peer.send(hex('c107 f248cdc9c90700 c105 f200110000'));

      await fails(pair, 1007);
      expect(await pair.converse.receive()).toBe('Hello');
    });

    test('text that is no UTF-8', async () => {
      const pair = await openCompressed();

      pair.peer.send(text(pair.compressor.compress(hex('c0 80')), RSV1));

      expect((await fails(pair, 1007)).code).toBe('ERR_FRAME_UTF8');
    });
  });

  describe('maxPayload counts what was inflated', () => {
    const LIMIT = 100_000;
    const ways: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
      ['zeros', (bytes) => bomb(bytes.length)],
      ['stored', (bytes) => storedBlocks(bytes, 500)],
      ['final', (bytes) => Buffer.concat([deflateRawSync(bytes), Buffer.alloc(1)])],
    ];

    describe.each(ways)('%s', (_way, pack) => {
      test.each([LIMIT - 1, LIMIT])('%i bytes pass where 100,000 may', async (length) => {
        const { converse, peer } = await openCompressed({ maxPayload: LIMIT });
        const packed = pack(Buffer.alloc(length));

        peer.send(binary(packed, RSV1));
        peer.send(...fragments(Opcode.binary, [packed.subarray(0, 20), packed.subarray(20)], 4));

        for (let i = 0; i < 2; i++) expect(await converse.receive()).toHaveLength(length);
      });

      test.each([LIMIT + 1, 50 * LIMIT])('%i bytes fail with 1009', async (length) => {
        const pair = await openCompressed({ maxPayload: LIMIT });

        pair.peer.send(binary(pack(Buffer.alloc(length)), RSV1), text('late'));

        expect((await fails(pair, 1009)).code).toBe('ERR_FRAME_TOO_BIG');
        await expect(pair.converse.receive()).rejects.toThrow();
      });
    });

    test('and a limit beyond what a Buffer can hold is no error', async () => {
      const { converse, peer, compressor } = await openCompressed({
        maxPayload: Number.MAX_SAFE_INTEGER,
      });

      peer.send(text(compressor.compress('small'), RSV1));

      expect(await converse.receive()).toBe('small');
    });
  });

  test('a message can be received in pieces', async () => {
    const { converse, peer, compressor } = await openCompressed({ maxPayload: 1000 });
    const big = Buffer.alloc(3_000_000, 'grüße ');

    peer.send(text(compressor.compress(big), RSV1), text('behind'));

    let all = '';
    for await (const piece of converse.receiveStream({ maxPayload: 2 ** 52 })) {
      all += piece as string;
    }
    expect(all).toBe(big.toString());
    expect(await converse.receive()).toBe('behind');
  });

  test('a message in pieces that fill the queue while it is inflated lets the next one come', async () => {
    const { converse, peer, compressor } = await openCompressed({ maxQueueBytes: 1000 });
    const big = Buffer.alloc(5_000_000, 'large');
    const pieces = converse.receiveStream();

    peer.send(binary(compressor.compress(big), RSV1), text('behind'));
    let length = (await pieces.next()).value?.length ?? 0;
    for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    for await (const piece of pieces) length += piece.length;

    expect(length).toBe(big.length);
    expect(await converse.receive()).toBe('behind');
  });

  test('a message whose reader leaves is dropped, and the next one comes', async () => {
    const { converse, peer, compressor } = await openCompressed();

    peer.send(binary(compressor.compress(noise(3_000_000)), RSV1));
    peer.send(text(compressor.compress('next'), RSV1));

    for await (const piece of converse.receiveStream()) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(await converse.receive()).toBe('next');
  });
});
