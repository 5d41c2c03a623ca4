// UTF-8 in text messages: RFC 6455 sections 5.6 and 8.1; a client must fail at the octet.
import { calm, type Case, fails, type Step, sync, type When, works, write } from '../case.js';
import { ascii, textOf } from '../samples.js';
import { judge } from '../utf8.js';
import { binary, continuation, fragments, header, Opcode, slices, text } from '../wire.js';
import { invalid, noncharacters, truncated, valid, type Vector } from './utf8-vectors.js';

const AREA = 'utf8';
const BEFORE = Buffer.from('κόσμε ');
const AFTER = Buffer.from(' edited');

function good(id: string, title: string, bytes: Buffer, steps: readonly Step[]): Case {
  if (judge(bytes).kind !== 'valid') throw new Error(`${id} is not valid UTF-8`);
  return {
    id: `${AREA}/valid/${id}`,
    area: AREA,
    title,
    rfc: '5.6, 3629 section 3',
    script: () => steps,
    expect: { messages: [bytes.toString('utf8')], outcome: works },
  };
}

function validCases({ name, bytes }: Vector): Case[] {
  const context = Buffer.concat([bytes, BEFORE, bytes]);
  return [
    good(`${name}/whole`, `${name} in one frame`, bytes, [write(text(bytes))]),
    good(`${name}/octets`, `${name} octet by octet`, context, [write(text(context), 1)]),
    good(`${name}/fragments`, `${name} in fragments of one octet`, context, [
      write(fragments(Opcode.text, slices(context, 1))),
    ]),
  ];
}

function bad(
  id: string,
  title: string,
  when: When,
  steps: readonly Step[],
  messages: readonly string[] = [],
): Case {
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc: '8.1, 7.4.1 (1007)',
    script: () => steps,
    expect: { messages, outcome: fails(1007, when) },
  };
}

/** Where the whole text goes wrong; it is cut there. */
function offence(id: string, whole: Buffer): number {
  const verdict = judge(whole);
  if (verdict.kind !== 'invalid') throw new Error(`${id} is not invalid UTF-8`);
  return verdict.index;
}

function invalidCases({ name, bytes }: Vector): Case[] {
  const whole = Buffer.concat([BEFORE, bytes, AFTER]);
  const index = offence(name, whole);
  const octet = whole.subarray(index, index + 1);
  const before = whole.subarray(0, index);
  const head = header({ opcode: Opcode.text, announce: whole.length + 1000 });
  return [
    bad(`invalid/${name}/whole`, `${name} in one frame`, 'at the end of the frame', [
      write(text(whole)),
    ]),
    bad(`invalid/${name}/octets`, `${name} octet by octet`, 'at the octet', [
      write(text(whole), 1),
    ]),
    bad(`fast/${name}/frame`, `${name}: the frame stops after the wrong octet`, 'at the octet', [
      write(Buffer.concat([head, before])),
      calm(5),
      write(octet),
    ]),
    bad(
      `fast/${name}/fragment`,
      `${name}: the message stops after the wrong octet`,
      'at the octet',
      [write(text(before, { fin: false })), sync, write(continuation(octet, { fin: false }))],
    ),
  ];
}

function truncatedCases({ name, bytes }: Vector): Case[] {
  if (judge(bytes).kind !== 'truncated') throw new Error(`${name} is not truncated UTF-8`);
  const whole = Buffer.concat([BEFORE, bytes]);
  return [
    bad(`truncated/${name}/whole`, `${name} at the end of a message`, 'at the end of the message', [
      write(text(whole)),
    ]),
    bad(`truncated/${name}/alone`, `nothing but ${name}`, 'at the end of the message', [
      write(text(bytes)),
    ]),
    bad(
      `truncated/${name}/fragments`,
      `${name} at the end of a fragment, and an empty last one`,
      'at the end of the message',
      [write(text(whole, { fin: false })), sync, write(continuation(''))],
    ),
    bad(
      `fast/truncated/${name}`,
      `${name} at the end of a fragment, and the next starts a new character`,
      'at the octet',
      [
        write(text(whole, { fin: false })),
        sync,
        write(header({ opcode: Opcode.continuation, announce: 100, fin: false })),
        calm(5),
        write(Buffer.from('A')),
      ],
    ),
  ];
}

const long = textOf(65_536);

const special: readonly Case[] = [
  bad(
    'invalid/after-message',
    'a good message, then a wrong one',
    'at the end of the frame',
    [write([text('good'), text(Buffer.from([0xff])), text('late')])],
    ['good'],
  ),
  bad('fast/after-64-kib', '64 KiB of text, then a wrong octet', 'at the octet', [
    write(Buffer.concat([header({ opcode: Opcode.text, announce: 1_000_000 }), Buffer.from(long)])),
    calm(20),
    write(Buffer.from([0xff])),
  ]),
  bad(
    'fast/after-long-ascii',
    '200,000 octets of ASCII, then a stray continuation',
    'at the octet',
    [
      write([header({ opcode: Opcode.text, announce: 1_000_000 }), Buffer.from(ascii(200_000))]),
      calm(20),
      write(Buffer.from([0x80])),
    ],
  ),
  bad('fast/first-octet', 'the first octet of a long frame is wrong', 'at the octet', [
    write(
      Buffer.concat([header({ opcode: Opcode.text, announce: 1_000_000 }), Buffer.from([0xc0])]),
    ),
  ]),
  bad('fast/control-between', 'a ping between the halves of a wrong character', 'at the octet', [
    write(text(Buffer.from('f0', 'hex'), { fin: false })),
    sync,
    write(continuation(Buffer.from('8f', 'hex'), { fin: false })),
  ]),
  {
    id: `${AREA}/binary-is-free`,
    area: AREA,
    title: 'a binary message holds what a text could not',
    rfc: '5.6',
    script: () => [write(binary(Buffer.concat(invalid.map(({ bytes }) => bytes))))],
    expect: { messages: [Buffer.concat(invalid.map(({ bytes }) => bytes))], outcome: works },
  },
  {
    id: `${AREA}/state-does-not-leak`,
    area: AREA,
    title: 'binary fragments that end within a character do not spoil the next text',
    rfc: '5.6',
    script: () => [
      write([...fragments(Opcode.binary, [Buffer.from('c3', 'hex'), '']), text('ok')]),
    ],
    expect: { messages: [Buffer.from('c3', 'hex'), 'ok'], outcome: works },
  },
];

export const utf8: readonly Case[] = [
  ...valid.flatMap(validCases),
  ...noncharacters.map(({ name, bytes }) =>
    good(`noncharacters/${name}`, `${name} are valid`, bytes, [write(text(bytes))]),
  ),
  ...[1, 2, 3, 5, 1000].map((piece) =>
    good(
      `mixed/fragments-of-${String(piece)}`,
      `mixed text cut every ${String(piece)} octets`,
      Buffer.from(textOf(3000)),
      [write(fragments(Opcode.text, slices(Buffer.from(textOf(3000)), piece)))],
    ),
  ),
  ...invalid.flatMap(invalidCases),
  ...truncated.flatMap(truncatedCases),
  ...special,
];
