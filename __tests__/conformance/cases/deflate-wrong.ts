// Compressed messages that a client must refuse: RFC 7692 sections 6, 7.2 and 8.
import { type Case, echoes, fails, type Step, sync, write } from '../case.js';
import { bomb } from '../deflate.js';
import { noise } from '../samples.js';
import {
  binary,
  close,
  continuation,
  fragments,
  frame,
  Opcode,
  ping,
  pong,
  slices,
  text,
} from '../wire.js';
import { compressed, octets, packed } from './deflate-parts.js';

function wrong(id: string, title: string, rfc: string, steps: () => readonly Step[]): Case {
  return compressed({
    id: `wrong/${id}`,
    title,
    rfc,
    script: steps,
    outcome: fails(1002, 'at the header'),
  });
}

const bits: readonly Case[] = [
  wrong('rsv1-continuation', 'RSV1 on a continuation of a compressed message', '6.1', () => [
    write(text(packed('Hello'), { rsv: 4, fin: false })),
    sync,
    write(continuation('', { rsv: 4 })),
  ]),
  wrong('rsv1-continuation-plain', 'RSV1 on a continuation of a plain message', '6.1', () => [
    write(text('Hello', { fin: false })),
    sync,
    write(continuation(packed('Hello'), { rsv: 4 })),
  ]),
  wrong('rsv1-ping', 'RSV1 on a ping', '6.1', () => [write(ping(packed('Hello'), { rsv: 4 }))]),
  wrong('rsv1-pong', 'RSV1 on a pong', '6.1', () => [write(pong('', { rsv: 4 }))]),
  wrong('rsv1-close', 'RSV1 on a Close', '6.1', () => [write(close(1000, '', { rsv: 4 }))]),
  ...[1, 2, 3, 5, 6, 7].map((rsv) =>
    wrong(`rsv-${String(rsv)}`, `RSV ${rsv.toString(2)} on a text`, '6', () => [
      write(text(packed('Hello'), { rsv })),
    ]),
  ),
  wrong('rsv1-reserved-opcode', 'RSV1 on a reserved opcode', '6', () => [
    write(frame({ opcode: 3, rsv: 4, payload: packed('Hello') })),
  ]),
];

/** Section 7.2 names no code for data that cannot be inflated: 1007 as for bad data, or 1002. */
const invalidData: readonly Case[] = [
  ['block-type-3', 'a block of the reserved type', '07 00'],
  [
    'stored-length',
    'a stored block whose length check is wrong',
    '00 05 00 00 00 48 65 6c 6c 6f 00',
  ],
  ['distance', 'a copy from before the first message', '02 de ff 0f 00'],
  ['code-lengths', 'a dynamic block with impossible code lengths', '04 ff ff ff ff ff ff ff'],
  ['noise', 'octets that were never deflated', 'ff ff ff ff ff ff ff ff'],
].flatMap(([name, title, bytes]) => {
  const payload = octets(String(bytes));
  const outcome = fails([1007, 1002], 'at the end of the message');
  return [
    compressed({
      id: `invalid/${String(name)}`,
      title: String(title),
      script: () => [write(text(payload, { rsv: 4 }))],
      outcome,
    }),
    compressed({
      id: `invalid/${String(name)}/later`,
      title: `${String(title)}, after a good message, and more behind it`,
      script: () => [
        write(text(packed('good'), { rsv: 4 })),
        echoes(1),
        write([binary(payload, { rsv: 4 }), text('late'), ping()]),
      ],
      messages: ['good'],
      outcome,
    }),
  ];
});

const badText: readonly Case[] = [
  ['stray', '80'],
  ['overlong', 'c0 80'],
  ['surrogate', 'ed a0 80'],
  ['above', 'f4 90 80 80'],
  ['truncated', 'e2 82'],
].flatMap(([name, bytes]) =>
  [1, 3].map((count) =>
    compressed({
      id: `utf8/${String(name)}${count === 1 ? '' : '/fragments'}`,
      title: `a compressed text that is not UTF-8: ${String(name)}`,
      rfc: '7.2.2, 6455 section 8.1',
      script: () => {
        const payload = packed(Buffer.concat([Buffer.from('κόσμε '), octets(String(bytes))]));
        const piece = Math.ceil(payload.length / count);
        return [write(fragments(Opcode.text, slices(payload, piece), 4))];
      },
      outcome: fails(1007, 'at the end of the message'),
    }),
  ),
);

const LIMIT = 100_000;

function limited(id: string, title: string, payload: () => Buffer[], over: boolean): Case {
  return compressed({
    id: `limit/${id}`,
    title,
    rfc: '8 (limits on what is inflated), 6455 section 7.4.1',
    maxPayload: LIMIT,
    script: () => [write(fragments(Opcode.binary, payload(), 4))],
    ...(over
      ? { outcome: fails(1009, 'at the octet') }
      : { messages: () => [Buffer.alloc(LIMIT)] }),
  });
}

const bombs: readonly Case[] = [
  limited('at', 'a message that inflates to exactly the limit', () => [bomb(LIMIT)], false),
  limited('over', 'a message that inflates to one octet more', () => [bomb(LIMIT + 1)], true),
  limited('far-over', 'a message that inflates to 64 MiB', () => [bomb(67_108_864)], true),
  limited(
    'fragments-at',
    'fragments that inflate to the limit',
    () => slices(bomb(LIMIT), 10),
    false,
  ),
  limited(
    'fragments-over',
    'fragments that inflate to one octet more',
    () => slices(bomb(LIMIT + 1), 10),
    true,
  ),
  compressed({
    id: 'limit/unfinished',
    title: 'a first fragment inflates to 1 MiB; the message does not end',
    rfc: '8',
    maxPayload: LIMIT,
    script: () => [write(binary(bomb(1_048_576), { rsv: 4, fin: false }))],
    outcome: fails(1009, 'at the octet'),
  }),
  compressed({
    id: 'limit/then-malformed',
    title: 'over the limit, and malformed behind that',
    rfc: '8',
    maxPayload: LIMIT,
    script: () => [
      write([
        binary(Buffer.concat([bomb(1_048_576), octets('00 00 00 ff ff 07 00')]), { rsv: 4 }),
        noise(500),
      ]),
    ],
    outcome: fails(1009, 'at the octet'),
  }),
  compressed({
    id: 'limit/not-summed',
    title: 'messages that inflate to the limit, one after the other',
    rfc: '8',
    maxPayload: LIMIT,
    script: () => [1, 2, 3].map(() => write(binary(bomb(LIMIT), { rsv: 4 }))),
    messages: () => [1, 2, 3].map(() => Buffer.alloc(LIMIT)),
  }),
];

export const deflateWrong: readonly Case[] = [...bits, ...invalidData, ...badText, ...bombs];
