/** Which messages go out compressed, and how (RFC 7692 sections 6.1 and 7.2.1). */
import { DataFrames } from 'aiowebsocket';
import {
  ENGINES,
  noise,
  openCompressed,
  useEngine,
  type CompressedPair,
} from './helpers/deflate.js';
import { open, Opcode } from './helpers/peer.js';

const QUOTE = 'so much of what is sent has been sent before, ';

/** Waits for so many frames, and tells of each whether RSV1 is set. */
async function marked({ peer }: CompressedPair, count: number): Promise<boolean[]> {
  await peer.until(() => peer.frames.length >= count);
  expect(peer.frames.filter(({ rsv }) => rsv !== 0 && rsv !== 4)).toEqual([]);
  return peer.frames.map(({ rsv }) => rsv === 4);
}

const texts = (pair: CompressedPair): string[] => pair.messages().map(String);

describe.each(ENGINES)('with %s', (_name, engine) => {
  useEngine(engine);

  describe('the threshold', () => {
    test('of 100: messages below it go out as they are, counted in UTF-8', async () => {
      const pair = await openCompressed({ compression: { threshold: 100 } });
      const messages = ['a'.repeat(99), 'a'.repeat(100), 'ü'.repeat(49), 'ü'.repeat(50), ''];

      for (const message of messages) void pair.converse.send(message);
      void pair.converse.send(Buffer.alloc(99));
      void pair.converse.send(Buffer.alloc(100));

      expect(await marked(pair, 7)).toEqual([false, true, false, true, false, false, true]);
      expect(texts(pair).slice(0, 5)).toEqual(messages);
    });

    test('is 0 by default while a context is kept', async () => {
      const pair = await openCompressed();

      for (const message of ['', 'a', QUOTE]) void pair.converse.send(message);

      expect(await marked(pair, 3)).toEqual([true, true, true]);
      expect(texts(pair)).toEqual(['', 'a', QUOTE]);
      expect(pair.peer.frames[0]!.payload).toEqual(Buffer.alloc(1));
    });

    test.each([
      [{}, { clientReset: true }],
      [{ clientNoContextTakeover: true }, {}],
    ])('is 1,024 by default where none is: %j', async (compression, parameters) => {
      const pair = await openCompressed({ compression }, parameters);

      for (const length of [1023, 1024, 1025]) void pair.converse.send('a'.repeat(length));

      expect(await marked(pair, 3)).toEqual([false, true, true]);
    });
  });

  test('send(…, { compress }) decides for one message', async () => {
    const pair = await openCompressed({ compression: { threshold: 10 } });

    void pair.converse.send('short', { compress: true });
    void pair.converse.send(QUOTE, { compress: false });
    void pair.converse.send(QUOTE, {});
    void pair.converse.send('short', { compress: undefined });
    void pair.converse.send(new Blob([QUOTE]), { compress: false });
    void pair.converse.send(new Blob(['short']), { compress: true });

    expect(await marked(pair, 6)).toEqual([true, false, true, false, false, true]);
    expect(texts(pair)).toEqual(['short', QUOTE, QUOTE, 'short', QUOTE, 'short']);
  });

  test('send(…, { compress }) without an agreement changes nothing, and must be a boolean', async () => {
    const { converse, peer } = await open();

    await converse.send(QUOTE, { compress: true });
    await expect(converse.send(QUOTE, { compress: 1 as never })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'compress must be a boolean, got 1',
    });

    expect(await peer.next()).toMatchObject({ rsv: 0, payload: Buffer.from(QUOTE) });
  });

  test.each([-1, 0, 1, 6, 9])(
    'level %i and any memLevel give what can be inflated',
    async (level) => {
      const sizes: number[] = [];
      for (const memLevel of [1, 8, 9]) {
        const pair = await openCompressed({ compression: { level, memLevel } });
        const message = QUOTE.repeat(500);

        void pair.converse.send(message);
        void pair.converse.send(noise(20_000));
        await marked(pair, 2);

        expect(texts(pair)[0]).toBe(message);
        expect(pair.messages()[1]!.equals(noise(20_000))).toBe(true);
        sizes.push(pair.peer.frames[0]!.payload.length);
      }
      if (level === 0) expect(Math.min(...sizes)).toBeGreaterThan(QUOTE.length * 500);
      else expect(Math.max(...sizes)).toBeLessThan(QUOTE.length * 50);
    },
  );

  test.each([{}, { clientReset: true }])(
    'the pieces of an iterable are one compressed message: RSV1 on the first only, %j',
    async (parameters) => {
      const pair = await openCompressed({ compression: { threshold: 0 } }, parameters);
      const pieces = [QUOTE, QUOTE, '', 'grüße', QUOTE];

      for (let i = 0; i < 3; i++) await pair.converse.send(pieces);
      await pair.converse.send([noise(1000), Buffer.alloc(0), noise(10)]);
      await pair.converse.send(QUOTE);
      await pair.peer.until(() => pair.messages().length === 5);

      expect(texts(pair).filter((one) => one === pieces.join(''))).toHaveLength(3);
      expect(texts(pair)[4]).toBe(QUOTE);
      const marks = pair.peer.frames.map(({ rsv, opcode }) => [rsv, opcode > 0]);
      expect(marks.every(([rsv, first]) => (rsv === 4) === first)).toBe(true);
      if (parameters.clientReset) expect(pair.decompressor.takeovers).toBe(0);
    },
  );

  test('with no context kept, a message in pieces leaves none either', async () => {
    const pair = await openCompressed({ compression: { threshold: 0 } }, { clientReset: true });

    void pair.converse.send(QUOTE, { fin: false });
    void pair.converse.send('', { fin: true });
    void pair.converse.send(QUOTE);
    await pair.peer.until(() => pair.peer.frames.length === 3);

    expect(texts(pair)).toEqual([QUOTE, QUOTE]);
    expect(pair.decompressor.takeovers).toBe(0);
    const [first, , second] = pair.peer.frames;
    expect(second!.payload.length).toBeGreaterThanOrEqual(first!.payload.length - 4);
  });

  test('the first piece of fin: false decides for the message', async () => {
    const pair = await openCompressed({ compression: { threshold: 10 } });
    const { converse } = pair;

    void converse.send('short', { fin: false });
    void converse.send(QUOTE, { fin: true, compress: true });
    void converse.send(QUOTE, { fin: false });
    void converse.send('x', { code: DataFrames.cont, fin: false, compress: false });
    void converse.send('y', { code: DataFrames.cont });
    void converse.send('a', { fin: false, compress: true });
    void converse.send(QUOTE, { fin: true });
    void converse.send(QUOTE, { fin: false, compress: false });
    void converse.send(QUOTE, { fin: true });

    expect(await marked(pair, 9)).toEqual([
      false,
      false,
      true,
      false,
      false,
      true,
      false,
      false,
      false,
    ]);
    expect(texts(pair)).toEqual([`short${QUOTE}`, `${QUOTE}xy`, `a${QUOTE}`, QUOTE + QUOTE]);
  });

  test('pings, pongs and Close are never compressed, and pass between pieces', async () => {
    const pair = await openCompressed();
    const { converse, peer } = pair;

    void converse.send(QUOTE, { fin: false });
    void converse.ping('p');
    void converse.pong('q');
    void converse.send(QUOTE, { fin: true });
    void converse.close(1000, QUOTE);
    await peer.closeFrame();

    const shape = peer.frames.map(({ opcode, rsv }) => [opcode, rsv]);
    expect(shape).toEqual([
      [Opcode.text, 4],
      [Opcode.ping, 0],
      [Opcode.pong, 0],
      [Opcode.continuation, 0],
      [Opcode.close, 0],
    ]);
    expect(texts(pair)).toEqual([QUOTE + QUOTE]);
  });

  test('the memory of a message may be used again at once', async () => {
    const pair = await openCompressed();
    const small = Buffer.from(QUOTE);
    const large = Buffer.alloc(300_000, QUOTE);

    const sent = [pair.converse.send(small), pair.converse.send(large)];
    small.fill(0);
    large.fill(0);
    await Promise.all(sent);
    await pair.peer.until(() => pair.messages().length === 2);

    expect(texts(pair)[0]).toBe(QUOTE);
    expect(pair.messages()[1]!.equals(Buffer.alloc(300_000, QUOTE))).toBe(true);
  });
});
