// What the client sends of its own accord: RFC 6455 sections 5.1 to 5.6 and 6.1.
import { type Case, client, echoes, works, write } from '../case.js';
import { noise, textOf } from '../samples.js';
import { type Message, text } from '../wire.js';

const AREA = 'sending';

type Kind = 'text' | 'binary';

function sends(
  id: string,
  title: string,
  messages: () => readonly Message[],
  rfc = '5.2, 6.1',
): Case {
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc,
    script: () => [
      client((connection) => {
        for (const data of messages()) connection.send(data);
      }),
      echoes(messages().length),
    ],
    expect: { sent: messages, outcome: works },
  };
}

function one(kind: Kind, size: number): Case {
  return sends(
    `${kind}/${String(size)}`,
    `the client sends ${kind} of ${String(size)} octets`,
    () => [kind === 'text' ? textOf(size) : noise(size)],
  );
}

const SIZES = [0, 1, 2, 125, 126, 127, 128, 4096, 65_535, 65_536, 65_537, 1_000_000];

const BURST = 500;

const mixed: readonly Message[] = Array.from({ length: BURST }, (_, i) =>
  i % 3 === 0 ? noise((i * 37) % 700) : `message ${String(i)} ${'µ'.repeat(i % 50)}`,
);

export const sending: readonly Case[] = [
  ...(['text', 'binary'] as const).flatMap((kind) => SIZES.map((size) => one(kind, size))),
  sends(
    'mask-keys',
    'a fresh, unpredictable masking key for every frame',
    () => Array.from({ length: 256 }, () => 'same text'),
    '5.3, 10.3',
  ),
  sends('order', `${String(BURST)} messages of all kinds keep their order`, () => mixed),
  sends('sizes-mixed', 'small messages around a large one keep their order', () => [
    'before',
    noise(300_000),
    'between',
    textOf(200_000),
    'after',
  ]),
  sends(
    'characters',
    'characters of every length are sent as UTF-8',
    () => ['a', 'µ', '€', '😀', '\u0000', '\ufeffmarked', '\uffff', '\ufdd0', 'e\u0301'],
    '5.6',
  ),
  {
    id: `${AREA}/nothing-unasked`,
    area: AREA,
    title: 'a client that nobody told to send sends nothing',
    rfc: '5.5',
    echo: false,
    script: () => [write(text('for your information')), { kind: 'calm', ms: 100 }],
    expect: { messages: ['for your information'], outcome: works },
  },
  {
    id: `${AREA}/copy`,
    area: AREA,
    title: 'a buffer reused right after send() does not change what is sent',
    rfc: '6.1',
    script: () => [
      client((connection) => {
        const data = Buffer.alloc(64, 'a');
        connection.send(data);
        data.fill('b');
      }),
      echoes(1),
    ],
    expect: { sent: [Buffer.alloc(64, 'a')], outcome: works },
  },
];
