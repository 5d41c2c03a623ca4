/** What compression keeps, measured in a process of its own. */
import { deflateRawSync, constants } from 'node:zlib';
import { runChild, type ChildResult } from './helpers/child.js';
import { Compressor, extensionHeader } from './conformance/deflate.js';
import { ENGINES, useEngine } from './helpers/deflate.js';
import { binary, continuation, fragments, listen, Opcode, text } from './helpers/peer.js';

const MEGABYTE = 1_048_576;
const FIELDS = [`Sec-WebSocket-Extensions: ${extensionHeader({})}`];

/** Runs a program that prints one line of JSON. */
async function measured<T>(body: string, uri: string): Promise<T> {
  const prelude = `
    // What one collection has found, a thread of its own frees; the next one waits for it.
    const memory = () => { global.gc(); global.gc(); global.gc(); const { rss, arrayBuffers, external } = process.memoryUsage();
      return { rss, buffers: arrayBuffers + external }; };
    const connect = (options) => lib.AioWebSocket.connect(aws.url, { compression: true, ...options });
    const uri = ${JSON.stringify(uri)};`;
  const { lines, stderr, code }: ChildResult = await runChild(prelude + body, uri, {
    flags: ['--expose-gc'],
  });
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(lines[0] ?? '') as T;
}

interface Growth {
  readonly rss: number;
  readonly buffers: number;
}

describe.each(ENGINES)('with %s', (_name, engine) => {
  useEngine(engine);

  test('1,000 connections opened and closed leave memory where it was', async () => {
    const greeting = new Compressor().compress('so much of what is sent has been sent before');
    const server = await listen({ fields: FIELDS, glued: text(greeting, { rsv: 4 }) });

    const { rss, buffers } = await measured<Growth>(
      `
      const visit = async (i) => {
        const one = await connect();
        await one.manipulator.receive();
        await one.manipulator.send('and so much of what is sent has been received before');
        if (i % 3) await one.closeConnection(); else one.terminate();
        await one.closed;
      };
      const round = async (count) => {
        for (let i = 0; i < count; i += 25) {
          await Promise.all(Array.from({ length: 25 }, (_, j) => visit(i + j)));
        }
      };
      await round(500);
      const before = memory();
      await round(1000);
      const after = memory();
      print(JSON.stringify({ rss: after.rss - before.rss, buffers: after.buffers - before.buffers }));
      `,
      server.uri,
    );

    // One context is 300 KiB: all of them would be 300 MiB. What the allocator keeps varies.
    expect(rss).toBeLessThan(60 * MEGABYTE);
    expect(buffers).toBeLessThan(4 * MEGABYTE);
  });

  test('bombs of a gigabyte cost no more than maxPayload', async () => {
    const packed = deflateRawSync(Buffer.alloc(16 * MEGABYTE), {
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    const pieces = Array.from({ length: 64 }, () => packed);
    const server = await listen({
      fields: FIELDS,
      glued: Buffer.concat([binary(Buffer.concat(pieces), { rsv: 4 })]),
    });

    const { rss, codes } = await measured<Growth & { codes: number[] }>(
      `
      const before = memory().rss;
      let most = 0;
      const watch = setInterval(() => { most = Math.max(most, process.memoryUsage().rss); }, 1);
      const codes = [];
      for (let i = 0; i < 10; i++) {
        const one = await connect({ maxPayload: 8 * 1048576 });
        const { error } = await one.closed;
        codes.push(error.closeCode);
        most = Math.max(most, process.memoryUsage().rss);
      }
      clearInterval(watch);
      print(JSON.stringify({ rss: most - before, codes }));
      `,
      server.uri,
    );

    expect(codes).toEqual(Array.from({ length: 10 }, () => 1009));
    expect(rss).toBeLessThan(120 * MEGABYTE);
  });
});

test('a hostile stream of blocks and fragments that give nothing leaves memory flat', async () => {
  const nothing = Buffer.alloc(100_000, Buffer.from([0, 0, 0, 0xff, 0xff]));
  const server = await listen({ fields: FIELDS });
  const measuring = measured<Growth>(
    `
    const one = await connect();
    await one.manipulator.send('ready');
    await one.manipulator.receive();
    const before = memory();
    let rss = 0;
    let buffers = 0;
    const watch = setInterval(() => {
      const now = memory();
      rss = Math.max(rss, now.rss - before.rss);
      buffers = Math.max(buffers, now.buffers - before.buffers);
    }, 20);
    await one.manipulator.receive();
    clearInterval(watch);
    print(JSON.stringify({ rss, buffers }));
    await one.closeConnection();
    `,
    server.uri,
  );
  const peer = await server.accept();
  await peer.next();

  peer.send(text('go'));
  const empty = fragments(Opcode.text, ['', '', ''], 4)[1]!;
  peer.send(binary(nothing, { rsv: 4, fin: false }));
  for (let i = 0; i < 300; i++) {
    peer.send(continuation(nothing, { fin: false }), Buffer.alloc(empty.length * 100, empty));
  }
  peer.send(continuation(Buffer.alloc(1)));
  const { rss, buffers } = await measuring;

  expect(rss).toBeLessThan(30 * MEGABYTE);
  expect(buffers).toBeLessThan(4 * MEGABYTE);
});
