// Compressed messages as they should be: RFC 7692 sections 6 and 7.2.
import { constants } from 'node:zlib';

import { type Case, client, echoes, write } from '../case.js';
import { Compressor, type CompressOptions, storedBlocks } from '../deflate.js';
import { noise, quotes, textOf } from '../samples.js';
import { binary, close, fragments, Opcode, ping, pong, slices, text } from '../wire.js';
import { compressed, octets, packed } from './deflate-parts.js';

/** The examples of section 7.2.3, octet for octet. */
const examples: readonly Case[] = [
  ['one-block', '7.2.3.1', 'c1 07 f2 48 cd c9 c9 07 00', ['Hello']],
  ['fragmented', '7.2.3.1', '41 03 f2 48 cd 80 04 c9 c9 07 00', ['Hello']],
  ['window', '7.2.3.2', 'c1 07 f2 48 cd c9 c9 07 00 c1 05 f2 00 11 00 00', ['Hello', 'Hello']],
  ['stored', '7.2.3.3', 'c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00', ['Hello']],
  ['bfinal', '7.2.3.4', 'c1 08 f3 48 cd c9 c9 07 00 00', ['Hello']],
  ['two-blocks', '7.2.3.5', 'c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00', ['Hello']],
  ['empty', '7.2.3.6', 'c1 01 00', ['']],
  [
    'bfinal-then-more',
    '7.2.3.4',
    'c1 08 f3 48 cd c9 c9 07 00 00 c1 07 f2 48 cd c9 c9 07 00',
    ['Hello', 'Hello'],
  ],
  [
    'bfinal-twice',
    '7.2.3.4',
    'c1 08 f3 48 cd c9 c9 07 00 00 c1 08 f3 48 cd c9 c9 07 00 00',
    ['Hello', 'Hello'],
  ],
  [
    'bfinal-keeps-the-window',
    '7.2.3.4',
    'c1 08 f3 48 cd c9 c9 07 00 00 c1 05 f2 00 11 00 00',
    ['Hello', 'Hello'],
  ],
].flatMap(([name, rfc, bytes, messages]) =>
  [undefined, 1].map((chop) =>
    compressed({
      id: `example/${String(name)}${chop === undefined ? '' : '/octets'}`,
      title: `the example of section ${String(rfc)}: ${String(name)}`,
      rfc: String(rfc),
      script: () => [write(octets(String(bytes)), chop)],
      messages: messages as string[],
    }),
  ),
);

const COMPRESSIONS: readonly (readonly [name: string, options: CompressOptions])[] = [
  ...[0, 1, 6, 9].map((level) => [`level-${String(level)}`, { level }] as const),
  ['huffman-only', { strategy: constants.Z_HUFFMAN_ONLY }],
  ['run-length', { strategy: constants.Z_RLE }],
  ['fixed-codes', { strategy: constants.Z_FIXED }],
  ['final', { final: true }],
];

const ways: readonly Case[] = COMPRESSIONS.flatMap(([name, options]) =>
  [0, 5, 20_000].map((size) =>
    compressed({
      id: `way/${name}/${String(size)}`,
      title: `${String(size)} octets compressed with ${name}, twice`,
      rfc: '7.2.1',
      script: () => {
        const payload = packed(quotes(size), options);
        const bytes = text(payload, { rsv: 4 });
        return [
          write(options.final === true ? bytes : text(packed(quotes(size)), { rsv: 4 })),
          write(bytes),
        ];
      },
      messages: () => [quotes(size), quotes(size)],
    }),
  ),
);

const stored: readonly Case[] = [1, 100, 65_535].map((piece) =>
  compressed({
    id: `stored/blocks-of-${String(piece)}`,
    title: `70,000 octets in stored blocks of ${String(piece)}`,
    rfc: '7.2.3.3',
    script: () => [write(binary(storedBlocks(noise(70_000), piece), { rsv: 4 }))],
    messages: () => [noise(70_000)],
  }),
);

const manyFragments = (piece: number, withPings: boolean): Case => {
  const data = textOf(5000);
  return compressed({
    id: `fragments/${String(piece)}${withPings ? '/pings' : ''}`,
    title: `a compressed message in fragments of ${String(piece)}${withPings ? ', a ping in every gap' : ''}`,
    rfc: '6.1, 7.2.2',
    script: () => {
      const frames = fragments(Opcode.text, slices(packed(data), piece), 4);
      return [write(withPings ? frames.flatMap((bytes) => [bytes, ping('gap'), pong()]) : frames)];
    },
    messages: [data],
    ...(withPings
      ? {
          expect: {
            pongs: slices(packed(data), piece).map(() => 'gap'),
            lastPongSuffices: true as const,
          },
        }
      : {}),
  });
};

const context: readonly Case[] = [
  compressed({
    id: 'context/32-kib-back',
    title: 'the second message refers to the first, almost 32 KiB back',
    rfc: '7.1.1, 7.2.2',
    script: () => {
      const compressor = new Compressor();
      return [1, 2].map(() => write(binary(compressor.compress(noise(32_400)), { rsv: 4 })));
    },
    messages: () => [noise(32_400), noise(32_400)],
  }),
  compressed({
    id: 'context/through-uncompressed',
    title: 'messages that are not compressed in between leave the window alone',
    rfc: '6, 7.2',
    script: () => {
      const compressor = new Compressor();
      const next = (): Buffer => text(compressor.compress(quotes(500)), { rsv: 4 });
      return [write([next(), text('plain'), next(), binary(noise(400)), next()])];
    },
    messages: () => [quotes(500), 'plain', quotes(500), noise(400), quotes(500)],
  }),
  compressed({
    id: 'context/through-empty',
    title: 'empty compressed messages in between leave the window alone',
    rfc: '7.2.3.6',
    script: () => {
      const compressor = new Compressor();
      const next = (data: string): Buffer => text(compressor.compress(data), { rsv: 4 });
      return [write([next(quotes(500)), next(''), next(''), next(quotes(500))])];
    },
    messages: () => [quotes(500), '', '', quotes(500)],
  }),
  compressed({
    id: 'context/control-before',
    title: 'control frames before and after every compressed message',
    rfc: '6.1',
    script: () => {
      const compressor = new Compressor();
      const next = (): Buffer => text(compressor.compress('again '.repeat(9)), { rsv: 4 });
      return [write([ping('1'), next(), pong(), ping('2'), next(), ping('3')])];
    },
    messages: ['again '.repeat(9), 'again '.repeat(9)],
    expect: { pongs: ['1', '2', '3'], lastPongSuffices: true },
  }),
  compressed({
    id: 'context/empty-fragments',
    title: 'empty fragments around a compressed message',
    rfc: '7.2.2',
    script: () => [write(fragments(Opcode.text, ['', packed('Hello'), '', ''], 4))],
    messages: ['Hello'],
  }),
  compressed({
    id: 'context/uncompressed-fragments',
    title: 'a fragmented message without RSV1 is taken as it is',
    rfc: '6',
    script: () => [write(fragments(Opcode.text, ['not ', 'compressed']))],
    messages: ['not compressed'],
  }),
  compressed({
    id: 'context/many-tiny-blocks',
    title: 'a message of 20,000 empty blocks',
    rfc: '7.2.3.5',
    script: () => {
      const empty = octets('00 00 00 ff ff');
      const blocks = Buffer.alloc(empty.length * 20_000, empty);
      return [write(text(Buffer.concat([blocks, packed('Hello')]), { rsv: 4 }))];
    },
    messages: ['Hello'],
  }),
  compressed({
    id: 'context/close-behind',
    title: 'compressed messages, then a Close in the same write: all are delivered',
    rfc: '6',
    script: () => {
      const compressor = new Compressor();
      const next = (): Buffer => text(compressor.compress(quotes(5000)), { rsv: 4 });
      return [write([next(), next(), next(), close(1000)])];
    },
    messages: () => [quotes(5000), quotes(5000), quotes(5000)],
    outcome: { kind: 'closes', sends: [1000], reports: [1000] },
  }),
];

/** Twice the same noise, far apart: a client that ignores its window refers back too far. */
function window(clientBits: number): Case {
  const half = noise(2 ** clientBits + 50);
  return compressed({
    id: `client/bits-${String(clientBits)}`,
    title: `the client keeps to client_max_window_bits=${String(clientBits)}`,
    rfc: '7.1.2.2',
    parameters: { clientBits },
    script: () => [
      client((connection) => {
        connection.send(Buffer.concat([half, half]));
        connection.send(quotes(3000));
        connection.send(quotes(3000));
      }),
      echoes(3),
    ],
    expect: { sent: [Buffer.concat([half, half]), quotes(3000), quotes(3000)] },
  });
}

const byClient: readonly Case[] = [
  ...[8, 9, 10, 11, 12, 13, 14, 15].map(window),
  ...[false, true].map((clientReset) =>
    compressed({
      id: `client/${clientReset ? 'reset' : 'takeover'}`,
      title: `the client sends the same message ten times, ${clientReset ? 'each on its own' : 'with one context'}`,
      rfc: '7.1.1.2',
      parameters: clientReset ? { clientReset } : {},
      script: () => [
        client((connection) => {
          for (let i = 0; i < 10; i++) connection.send(quotes(2000));
        }),
        echoes(10),
      ],
      expect: { sent: Array.from({ length: 10 }, () => quotes(2000)) },
    }),
  ),
  compressed({
    id: 'client/order',
    title: 'compressed messages of very different sizes keep their order',
    rfc: '6.1',
    script: () => [
      client((connection) => {
        for (const size of [10, 200_000, 0, 5, 50_000, 1]) connection.send(quotes(size));
      }),
      echoes(6),
    ],
    expect: { sent: [10, 200_000, 0, 5, 50_000, 1].map((size) => quotes(size)) },
  }),
];

export const deflateMessages: readonly Case[] = [
  ...examples,
  ...ways,
  ...stored,
  ...[1, 2, 7, 64, 1000].flatMap((piece) => [
    manyFragments(piece, false),
    manyFragments(piece, true),
  ]),
  ...context,
  ...byClient,
];
