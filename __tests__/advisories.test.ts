/**
 * Advisories and known failures about frames: each test is named after its source, against a peer
 * that sends exactly that. Those of compression and of the handshake stand beside this file.
 *
 * Coming with the features they concern, redirects and proxies: CVE-2026-47848 Reactor, websockets
 * 16.1, CVE-2026-40895, GHSA-fmxf-pm6p-7xgm, ws 8.8.1 (credentials and a cross-origin redirect);
 * websockets (a redirect from wss to ws); PYSEC-2026-3844 HTTPX2 (TLS behind SOCKS5);
 * https-proxy-agent < 2.2.3 (CONNECT refused); GHSA-3wp9-xfwm-rjjf AHC (Proxy-Authorization);
 * CVE-2026-86414 curl (no credentials of the origin to a proxy).
 */
import { FrameError, Frames, type AioWebSocketOptions } from 'aiowebsocket';
import { printable } from '../lib/cli/printable.js';
import { noise } from './helpers/deflate.js';
import { readFrames } from './helpers/frames.js';
import {
  binary,
  client,
  close,
  continuation,
  eventually,
  frame,
  listen,
  open,
  Opcode,
  ping,
  text,
  type Pair,
} from './helpers/peer.js';

const MEGABYTE = 1_048_576;

/** The connection fails with this code, whatever else is sent. */
async function fails(
  closeCode: number,
  bytes: readonly Buffer[],
  options?: AioWebSocketOptions,
): Promise<void> {
  const { aws, peer } = await open(options);
  const messages: unknown[] = [];
  aws.on('message', (message) => messages.push(message));
  peer.send(...bytes);
  const { payload } = await peer.closeFrame();
  expect(payload.readUInt16BE()).toBe(closeCode);
  peer.socket.end();
  const info = await aws.closed;
  expect(info).toMatchObject({ code: 1006, error: { closeCode } });
  expect(info.error).toBeInstanceOf(FrameError);
  expect(messages).toEqual([]);
}

const LENGTHS = [
  [2n ** 53n - 1n, 1009],
  [2n ** 53n, 1009],
  [2n ** 53n + 1n, 1009],
  [2n ** 63n - 1n, 1009],
  [2n ** 63n, 1002],
  [2n ** 64n - 1n, 1002],
] as const;

describe.each([
  'CVE-2026-1528 undici',
  'CVE-2020-27813 gorilla',
  'PYSEC-2026-4395 aiohttp',
  'CVE-2016-10542 ws',
])('%s', () => {
  test.each(LENGTHS)(
    'a length of %i fails with %i, behind a fragment too',
    async (announce, code) => {
      await fails(code, [binary('', { announce, form: 64 })]);
      await fails(code, [text('a', { fin: false }), continuation('', { announce, form: 64 })]);
    },
  );
});

test('GHSA-mq44-7p77-q5h7 aiohttp: RSV1 without negotiation fails with 1002', async () => {
  await fails(1002, [text(Buffer.from('f248cdc9c90700', 'hex'), { rsv: 4 })]);
});

test('CVE-2026-54274 aiohttp: a header that announces more than the limit is refused before a byte of it is there', async () => {
  await fails(1009, [binary('', { announce: 1001 })], { maxPayload: 1000 });
  await fails(1009, [binary('', { announce: 64 * MEGABYTE + 1 })]);
});

test.each(['CVE-2026-9675 undici', 'CVE-2014-0193 Netty'])(
  '%s: fragments each under the limit, their sum over it, fail with 1009',
  async () => {
    const piece = Buffer.alloc(600);
    await fails(1009, [binary(piece, { fin: false }), continuation(piece)], { maxPayload: 1000 });
  },
);

describe.each(['CVE-2026-48779', 'CVE-2026-62389', 'ws#2329', 'CVE-2026-12151 undici'])(
  '%s',
  () => {
    test.each([0, 1])('a flood of fragments of %i bytes ends with 1008', async (length) => {
      const piece = continuation(Buffer.alloc(length), { fin: false });
      const flood = Buffer.alloc(piece.length * 200_000, piece);
      await fails(1008, [binary('', { fin: false }), flood]);
    });
  },
);

test('CVE-2026-48779: below the cap, memory is bounded by the bytes received', async () => {
  const pair = await open();
  const piece = continuation('a', { fin: false });
  const before = process.memoryUsage().arrayBuffers;

  pair.peer.send(binary('', { fin: false }), Buffer.alloc(piece.length * 130_000, piece), ping());
  await pair.peer.next();

  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * MEGABYTE);
  pair.peer.send(continuation(''));
  expect(await pair.converse.receive()).toHaveLength(130_000);
});

test('CVE-2026-123817 aiohttp: a frame dripped one byte a packet keeps no book of each', async () => {
  const { converse, peer } = await open();
  const wire = Buffer.concat([text('a'.repeat(3000)), binary(noise(3000))]);

  for (const byte of wire) {
    peer.send(Buffer.of(byte));
    await new Promise(setImmediate);
  }

  expect(await converse.receive()).toBe('a'.repeat(3000));
  expect(await converse.receive()).toEqual(noise(3000));
});

describe.each(['ws 8.23.0', 'CVE-2026-109932 undici', 'CVE-2026-11586 curl'])('%s', () => {
  test('a flood of pings from a peer that does not read is answered with bounded memory', async () => {
    const highWaterMark = 100_000;
    const pair = await open({ highWaterMark });
    const { aws, peer } = pair;
    let pings = 0;
    let most = 0;
    aws.on('ping', () => {
      pings++;
      most = Math.max(most, aws.bufferedAmount);
    });
    peer.socket.pause();

    const some = Array.from({ length: 10_000 }, () => ping(Buffer.alloc(125)));
    for (let i = 0; i < 12; i++) peer.send(...some);
    peer.send(ping('latest'));
    await eventually(pair, () => pings === 120_001);
    peer.socket.resume();
    await peer.until(() => peer.payloads(Opcode.pong).includes('latest'));

    // One burst of the socket may come before what was written is told.
    expect(most).toBeLessThan(highWaterMark + 200_000);
    expect(peer.frames.length).toBeLessThan(120_001);
  });
});

test('CVE-2025-5399 curl: any bytes: the parser always gets on', async () => {
  const server = await listen();
  for (let seed = 1; seed <= 30; seed++) {
    const aws = client(server.uri);
    const [peer] = await Promise.all([server.accept(), aws.createConnection()]);

    peer.socket.end(noise(20_000, seed));

    expect((await aws.closed).code).toBeGreaterThan(999);
  }
  for (let seed = 1; seed <= 500; seed++) {
    const frames = new Frames(() => undefined);
    try {
      frames.feed(noise(300, seed));
    } catch (error) {
      expect(error).toBeInstanceOf(FrameError);
    }
  }
});

/** A wrong argument is a TypeError, and nothing of it goes out. */
async function refuses(call: (pair: Pair) => Promise<unknown>): Promise<void> {
  const pair = await open();
  await expect(call(pair)).rejects.toThrow(TypeError);
  await pair.converse.send('next');
  expect((await pair.peer.next()).payload.toString()).toBe('next');
}

test('CVE-2026-45736 ws: a close reason given as Float32Array is a TypeError', async () => {
  await refuses(({ aws }) => aws.closeConnection(1000, new Float32Array(20) as never));
  await refuses(({ converse }) => converse.close(1000, new Float32Array(20) as never));
});

test.each([125, 0, 1e9])('CVE-2016-10518 ws: the number %i as a ping is a TypeError', async (n) => {
  await refuses(({ converse }) => converse.ping(n as never));
  await refuses(({ converse }) => converse.pong(n as never));
});

test.each(['CVE-2025-10148 curl', 'GO-2026-6278 gorilla'])(
  '%s: each frame has a masking key of its own, on all connections',
  async () => {
    const keys: string[] = [];
    const bits = Array.from({ length: 32 }, () => 0);
    for (let i = 0; i < 3; i++) {
      const { aws, converse, peer } = await open();
      const wire: Buffer[] = [];
      peer.socket.on('data', (chunk) => wire.push(chunk));
      for (let j = 0; j < 300; j++) void converse.send(Buffer.alloc(4));
      void converse.ping();
      await aws.closeConnection();
      for (const { key } of readFrames(Buffer.concat(wire))) {
        keys.push(key.toString('hex'));
        bits.forEach((_, bit) => (bits[bit]! += (key.readUInt32BE() >>> bit) & 1));
      }
    }
    expect(keys).toHaveLength(906);
    expect(new Set(keys).size).toBe(906);
    for (const ones of bits) expect(Math.abs(ones - 453)).toBeLessThan(120);
  },
);

describe.each(['aiohttp#12895', 'undici'])('%s', () => {
  test.each([
    ['code 5000', close(5000), 1002],
    ['code 1005', close(1005), 1002],
    ['code 0', close(0), 1002],
    ['a body of 1 byte', frame({ opcode: Opcode.close, payload: 'a' }), 1002],
    ['a reason that is no UTF-8', close(1000, Buffer.from([0xc3, 0x28])), 1007],
  ])('a Close with %s', async (_what, wire, code) => {
    await fails(code, [wire]);
  });
});

test('undici: a masked frame fails with 1002', async () => {
  await fails(1002, [text('a', { mask: Buffer.from([1, 2, 3, 4]) })]);
});

test.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])(
  'undici: the reserved opcode %i fails with 1002',
  async (opcode) => {
    await fails(1002, [frame({ opcode, payload: '' })]);
  },
);

test.each([
  ['a text frame', '0048656c6c6fff'],
  ['a length in sevens of bits', '80ffffff7f'],
  ['a closing handshake', 'ff00'],
])('CVE-2026-54466 websocket-driver: draft-75 is not spoken: %s', async (_what, wire) => {
  const { peer } = await open();
  expect(peer.request).toContain('\r\nSec-WebSocket-Version: 13\r\n');
  await fails(1002, [Buffer.from(wire, 'hex')]);
});

test.each([{}, { maxPayload: undefined }, { timeout: 5000 }, { compression: {} }])(
  'undici 8.12: options without limits have the defaults: %j',
  async (options) => {
    await fails(1009, [binary('', { announce: 64 * MEGABYTE + 1 })], options);
  },
);

test('websockets 16.1 CLI: ANSI escapes in a message are escaped on a terminal', () => {
  expect(printable('\x1b]0;owned\x07\x1b[2J\x9b31m')).not.toMatch(/\p{Cc}/u);
});
