// Fragmentation: RFC 6455 section 5.4.
import { type Case, drops, fails, fin, type Step, sync, works, write } from '../case.js';
import { noise, textOf } from '../samples.js';
import {
  binary,
  close,
  continuation,
  fragments,
  frame,
  type Message,
  Opcode,
  ping,
  pong,
  slices,
  text,
} from '../wire.js';

const AREA = 'fragmentation';

interface Good {
  readonly id: string;
  readonly title: string;
  readonly steps: () => readonly Step[];
  readonly messages: () => readonly Message[];
  readonly pongs?: readonly string[];
}

function good({ id, title, steps, messages, pongs }: Good): Case {
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc: '5.4',
    script: steps,
    expect: {
      messages,
      ...(pongs === undefined ? {} : { pongs, lastPongSuffices: true }),
      outcome: works,
    },
  };
}

type Kind = 'text' | 'binary';

function pieces(kind: Kind, size: number, piece: number): Case {
  const data = kind === 'text' ? Buffer.from(textOf(size)) : noise(size);
  const count = Math.ceil(size / piece);
  return good({
    id: `${kind}/${String(size)}-by-${String(piece)}`,
    title: `${String(size)} octets of ${kind} in ${String(count)} fragments of ${String(piece)}`,
    steps: () => [write(fragments(Opcode[kind], slices(data, piece)))],
    messages: () => [kind === 'text' ? data.toString() : data],
  });
}

const EMPTIES: readonly (readonly [name: string, pieces: readonly string[]])[] = [
  ['first', ['', 'middle', 'last']],
  ['middle', ['first', '', 'last']],
  ['last', ['first', 'middle', '']],
  ['all-of-2', ['', '']],
  ['all-of-3', ['', '', '']],
  ['many', ['', ...Array.from({ length: 200 }, () => ''), 'end']],
];

function empties(kind: Kind): Case[] {
  return EMPTIES.map(([name, parts]) =>
    good({
      id: `${kind}/empty/${name}`,
      title: `${kind} with empty fragments: ${name}`,
      steps: () => [write(fragments(Opcode[kind], parts))],
      messages: () => [kind === 'text' ? parts.join('') : Buffer.from(parts.join(''))],
    }),
  );
}

const three = fragments(Opcode.text, ['one ', 'two ', 'three']);
const [first = Buffer.alloc(0), second = Buffer.alloc(0), third = Buffer.alloc(0)] = three;

const between: readonly Case[] = [
  ['ping', ping('between'), ['between']],
  ['empty-ping', ping(), ['']],
  ['pong', pong('between'), []],
].flatMap(([name, control, pongs]) =>
  [undefined, 1, 2, 5].map((chop) =>
    good({
      id: `between/${String(name)}${chop === undefined ? '' : `/chopped-${String(chop)}`}`,
      title: `a ${String(name)} between the first and the second fragment`,
      steps: () => [write(Buffer.concat([first, control as Buffer, second, third]), chop)],
      messages: () => ['one two three'],
      pongs: pongs as string[],
    }),
  ),
);

const everyGap: readonly Case[] = [1, 2, 10, 100].map((count) => {
  const parts = Array.from({ length: count + 1 }, (_, index) => `part ${String(index)};`);
  const pongs = Array.from({ length: count }, (_, index) => `gap ${String(index)}`);
  return good({
    id: `every-gap/${String(count)}`,
    title: `${String(count)} pings, one in every gap between fragments`,
    steps: () => [
      write(fragments(Opcode.text, parts).flatMap((bytes, i) => [bytes, ping(pongs[i] ?? 'last')])),
    ],
    messages: () => [parts.join('')],
    pongs: [...pongs, 'last'],
  });
});

const answeredInTime: Case = good({
  id: 'between/answered-before-the-end',
  title: 'a ping between fragments is answered before the message ends',
  steps: () => [write(first), sync, write(second), sync, sync, write(third)],
  messages: () => ['one two three'],
});

const sequences: readonly Case[] = [
  good({
    id: 'sequence/alternating',
    title: 'fragmented and whole messages, text and binary, in turn',
    steps: () => [
      write([...three, binary('whole'), ...fragments(Opcode.binary, ['1', '2']), text('end')]),
    ],
    messages: () => ['one two three', Buffer.from('whole'), Buffer.from('12'), 'end'],
  }),
  good({
    id: 'sequence/octets',
    title: 'two fragmented messages octet by octet',
    steps: () => [write(Buffer.concat([...three, ...fragments(Opcode.binary, ['1', '', '2'])]), 1)],
    messages: () => ['one two three', Buffer.from('12')],
  }),
  good({
    id: 'sequence/characters-cut',
    title: 'fragments that cut characters of two, three and four octets',
    steps: () => [write(fragments(Opcode.text, slices(Buffer.from('µ€𐍈 κόσμε 😀'), 1)))],
    messages: () => ['µ€𐍈 κόσμε 😀'],
  }),
];

function bad(id: string, title: string, steps: readonly Step[], messages: string[] = []): Case {
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc: id.startsWith('control') ? '5.4, 5.5' : '5.4',
    script: () => steps,
    expect: { messages, outcome: fails(1002, 'at the header') },
  };
}

const open = [write(first), sync];

const unexpected: readonly Case[] = [
  bad('continuation/alone', 'a continuation with FIN and nothing to continue', [
    write(continuation('no start')),
  ]),
  bad('continuation/alone-unfinished', 'a continuation without FIN and nothing to continue', [
    write(continuation('no start', { fin: false })),
  ]),
  bad('continuation/alone-empty', 'an empty continuation with nothing to continue', [
    write(continuation('')),
  ]),
  bad('continuation/alone-header', 'a continuation with nothing to continue, only its header', [
    write(continuation('no start').subarray(0, 2)),
  ]),
  bad('continuation/then-text', 'a continuation of nothing, then a message', [
    write([continuation('no start', { fin: false }), text('late')]),
  ]),
  bad(
    'continuation/after-text',
    'a continuation after a whole message',
    [write([text('whole'), continuation('no start')])],
    ['whole'],
  ),
  bad(
    'continuation/after-fragments',
    'a continuation after a finished fragmented message',
    [write([...three, continuation('no start')])],
    ['one two three'],
  ),
  bad('continuation/after-ping', 'a continuation after a ping', [sync, write(continuation('no'))]),
  bad('continuation/by-octets', 'a continuation of nothing, octet by octet', [
    write(continuation('no start'), 1),
  ]),
  ...(['text', 'binary'] as const).flatMap((kind) => {
    const inner = (extra: { fin?: boolean } = {}): Buffer =>
      frame({ opcode: Opcode[kind], payload: 'inner', ...extra });
    return [
      bad(`missing/${kind}`, `a whole ${kind} message within a text`, [...open, write(inner())]),
      bad(`missing/${kind}-unfinished`, `a ${kind} message starts within a text`, [
        ...open,
        write(inner({ fin: false })),
      ]),
      bad(`missing/${kind}-header`, `the header of a ${kind} message within a text`, [
        ...open,
        write(inner().subarray(0, 2)),
      ]),
      bad(`missing/${kind}-glued`, `a ${kind} message within a text, in one write`, [
        write([first, inner(), third]),
      ]),
      bad(`missing/${kind}-after-empty`, `a ${kind} message after an empty first fragment`, [
        write(text('', { fin: false })),
        sync,
        write(inner()),
      ]),
    ];
  }),
];

const control: readonly Case[] = [Opcode.ping, Opcode.pong, Opcode.close].flatMap((opcode) => {
  const name = opcode === Opcode.ping ? 'ping' : opcode === Opcode.pong ? 'pong' : 'close';
  const payload = opcode === Opcode.close ? Buffer.from([0x03, 0xe8]) : 'half';
  const half = frame({ opcode, payload, fin: false });
  return [
    bad(`control/${name}`, `a ${name} without FIN`, [write(half)]),
    bad(`control/${name}-empty`, `an empty ${name} without FIN`, [
      write(frame({ opcode, fin: false })),
    ]),
    bad(`control/${name}-header`, `the header of a ${name} without FIN`, [
      write(half.subarray(0, 2)),
    ]),
    bad(`control/${name}-continued`, `a ${name} in two fragments`, [
      write([half, continuation('half')]),
    ]),
    bad(`control/${name}-between`, `a ${name} without FIN between fragments`, [
      ...open,
      write(half),
    ]),
  ];
});

const ends: readonly Case[] = [
  {
    id: `${AREA}/close-between`,
    area: AREA,
    title: 'a Close between fragments is answered; the message never comes',
    rfc: '5.4, 5.5.1',
    script: () => [write([first, second, close(1001, 'going')])],
    expect: { outcome: { kind: 'closes', sends: [1001], reports: [1001], reason: 'going' } },
  },
  {
    id: `${AREA}/end-between`,
    area: AREA,
    title: 'TCP ends between fragments: nothing is delivered',
    rfc: '7.1.5',
    script: () => [write([first, second]), sync, fin],
    expect: { outcome: drops() },
  },
];

export const fragmentation: readonly Case[] = [
  ...(['text', 'binary'] as const).flatMap((kind) => [
    ...[1, 2, 3, 9].map((piece) => pieces(kind, 18, piece)),
    ...[1, 125, 126, 127].map((piece) => pieces(kind, 500, piece)),
    ...[65_535, 65_536, 1000].map((piece) => pieces(kind, 140_000, piece)),
    ...empties(kind),
  ]),
  ...between,
  ...everyGap,
  answeredInTime,
  ...sequences,
  ...unexpected,
  ...control,
  ...ends,
];
