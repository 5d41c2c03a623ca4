/** permessage-deflate with every set of parameters (RFC 7692 section 7.1). */
import { ENGINES, noise, openCompressed, repeats, useEngine } from './helpers/deflate.js';
import { client, text, binary } from './helpers/peer.js';
import { wsServer } from './helpers/ws-server.js';

const BITS = [8, 9, 10, 11, 12, 13, 14, 15] as const;
const RESETS = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;

const QUOTE = 'so much of what is sent has been sent before, ';
const FAR = repeats();
const NEAR = repeats(1500);
const messagesWith = (repeated: Buffer): readonly (string | Buffer)[] => [
  QUOTE,
  QUOTE,
  '',
  Buffer.alloc(0),
  noise(2000),
  QUOTE.repeat(100),
  repeated,
  'grüße, 世界 👋',
  repeated,
  QUOTE,
];

/** Sends them all, and expects them back. */
async function echoed(uri: string, compression: object, repeated = NEAR): Promise<string> {
  const messages = messagesWith(repeated);
  const aws = await client(uri, { compression }).createConnection();
  const sent = Promise.all(messages.map((message) => aws.manipulator.send(message)));
  for (const message of messages) {
    const back = await aws.manipulator.receive();
    if (typeof message === 'string') expect(back).toBe(message);
    else expect(message.equals(back as Buffer)).toBe(true);
  }
  await sent;
  expect(await aws.closeConnection()).toMatchObject({ code: 1000, wasClean: true });
  return aws.extensions;
}

describe.each(ENGINES)('with %s', (_name, engine) => {
  useEngine(engine);

  describe.each(RESETS)(
    'serverNoContextTakeover %p, clientNoContextTakeover %p',
    (serverNoContextTakeover, clientNoContextTakeover) => {
      test.each(BITS)(
        'an echo of ws with %i bits for the server, any number for the client',
        async (serverMaxWindowBits) => {
          const { uri } = await wsServer(undefined, { perMessageDeflate: { threshold: 0 } });

          for (const clientMaxWindowBits of BITS) {
            const agreed = await echoed(uri, {
              serverNoContextTakeover,
              clientNoContextTakeover,
              serverMaxWindowBits,
              clientMaxWindowBits,
              threshold: 0,
            });

            expect(agreed.includes('server_no_context')).toBe(serverNoContextTakeover);
            expect(agreed).toContain(`client_max_window_bits=${clientMaxWindowBits}`);
          }
        },
      );

      test.each(BITS)('an echo of ws that chooses %i bits and these by itself', async (bits) => {
        const { uri } = await wsServer(undefined, {
          perMessageDeflate: {
            threshold: 0,
            serverNoContextTakeover,
            clientNoContextTakeover,
            serverMaxWindowBits: bits,
            clientMaxWindowBits: 23 - bits,
          },
        });

        const agreed = await echoed(uri, {}, FAR);

        expect(agreed).toContain(`server_max_window_bits=${bits}`);
        expect(agreed).toContain(`client_max_window_bits=${23 - bits}`);
        expect(agreed.includes('client_no_context')).toBe(clientNoContextTakeover);
      });
    },
  );

  describe.each([false, true])('a side that forgets between messages: %p', (forgets) => {
    test.each(BITS)('keeps to a window of 2^%i in what it sends', async (clientBits) => {
      const pair = await openCompressed(
        { compression: { threshold: 0 } },
        { clientBits, clientReset: forgets },
      );

      for (const message of [QUOTE, QUOTE, FAR, QUOTE, QUOTE]) {
        void pair.converse.send(message);
      }
      await pair.peer.until(() => pair.peer.frames.length === 5);

      // The inflater there fails with what reaches back further than agreed.
      expect(pair.messages().map(({ length }) => length)).toEqual(
        [QUOTE, QUOTE, FAR, QUOTE, QUOTE].map(({ length }) => length),
      );
      expect(pair.messages()[2]!.equals(FAR)).toBe(true);
      expect(pair.peer.frames.every(({ rsv }) => rsv === 4)).toBe(true);
      const [first, second] = pair.peer.frames;
      expect(second!.payload.length < first!.payload.length).toBe(!forgets);
    });

    test.each(BITS)('inflates from a window of 2^%i', async (serverBits) => {
      const { converse, peer, compressor } = await openCompressed(
        {},
        { serverBits, serverReset: forgets },
      );

      for (const message of messagesWith(FAR)) {
        const make = typeof message === 'string' ? text : binary;
        peer.send(make(compressor.compress(message), { rsv: 4 }));
      }

      for (const message of messagesWith(FAR)) {
        const got = await converse.receive();
        expect(Buffer.from(got).equals(Buffer.from(message))).toBe(true);
        expect(typeof got).toBe(typeof message);
      }
    });
  });

  test('what was offered of ourselves holds though the server does not repeat it', async () => {
    const compression = { clientNoContextTakeover: true, clientMaxWindowBits: 9, threshold: 0 };
    const pair = await openCompressed({ compression });

    for (let i = 0; i < 3; i++) void pair.converse.send(QUOTE);
    void pair.converse.send(FAR);
    await pair.peer.until(() => pair.peer.frames.length === 4);

    expect(pair.messages()).toHaveLength(4);
    expect(pair.decompressor.takeovers).toBe(0);
    const [one, two] = pair.peer.frames;
    expect(two!.payload.equals(one!.payload)).toBe(true);
  });

  test('a server that declines gets and sends messages as they are', async () => {
    const { uri } = await wsServer(undefined, { perMessageDeflate: false });

    expect(await echoed(uri, {})).toBe('');
  });
});
