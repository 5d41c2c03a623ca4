// Limits, and large messages: RFC 6455 sections 5.4, 7.4.1 (1008, 1009) and 10.4.
import { type Case, echoes, fails, type Step, sync, works, write } from '../case.js';
import { noise, textOf } from '../samples.js';
import {
  binary,
  continuation,
  fragments,
  header,
  type Message,
  message,
  Opcode,
  slices,
  text,
} from '../wire.js';

const AREA = 'limits';
const KIB = 1024;
const MIB = 1024 * KIB;
const LIMIT = 1000;
const MAX_FRAGMENTS = 131_072;

type Kind = 'text' | 'binary';
const KINDS: readonly Kind[] = ['text', 'binary'];

function sample(kind: Kind, size: number): Message {
  return kind === 'text' ? textOf(size) : noise(size);
}

function bytesOf(kind: Kind, size: number): Buffer {
  return kind === 'text' ? Buffer.from(textOf(size)) : noise(size);
}

function limited(id: string, title: string, rest: Pick<Case, 'script' | 'expect'>): Case {
  const options = { maxPayload: LIMIT };
  return { id: `${AREA}/payload/${id}`, area: AREA, title, rfc: '7.4.1, 10.4', options, ...rest };
}

const tooBig = (when: 'at the length' | 'at the header' = 'at the length'): Case['expect'] => ({
  outcome: fails(1009, when),
});

function payloadLimits(kind: Kind): Case[] {
  const opcode = Opcode[kind];
  const pieces = (sizes: readonly number[]): Buffer[] => sizes.map((size) => bytesOf(kind, size));
  const within = (id: string, title: string, sizes: readonly number[]): Case =>
    limited(`${kind}/${id}`, title, {
      script: () => [write(fragments(opcode, pieces(sizes)))],
      expect: {
        messages: () => {
          const whole = Buffer.concat(pieces(sizes));
          return [kind === 'text' ? whole.toString() : whole];
        },
        outcome: works,
      },
    });
  const beyond = (id: string, title: string, script: () => readonly Step[]): Case =>
    limited(`${kind}/${id}`, title, { script, expect: tooBig() });
  return [
    within('at', `${kind} of exactly the limit`, [LIMIT]),
    within('under', `${kind} of one octet less than the limit`, [LIMIT - 1]),
    within('fragments-at', `${kind} fragments of the limit together`, [400, 600]),
    within('fragments-under', `${kind} fragments of one octet less together`, [400, 599]),
    beyond('over', `${kind} of one octet more than the limit`, () => [
      write(message(sample(kind, LIMIT + 1))),
    ]),
    beyond('over/header', `only the header of ${kind} of one octet more`, () => [
      write(header({ opcode, announce: LIMIT + 1 })),
    ]),
    beyond('over/far', `only the header of ${kind} of 1 GiB`, () => [
      write(header({ opcode, announce: 1024 * MIB })),
    ]),
    beyond('fragments-over', `${kind} fragments of one octet more together`, () => [
      write(fragments(opcode, pieces([400, 601]))),
    ]),
    beyond(
      'fragments-over/header',
      `the header that takes ${kind} fragments over the limit`,
      () => [
        write(fragments(opcode, pieces([400, 0])).slice(0, 1)),
        sync,
        write(header({ opcode: Opcode.continuation, announce: 601 })),
      ],
    ),
    beyond('fragments-over/by-one', `${kind} in fragments of one octet, one too many`, () => [
      write(fragments(opcode, pieces(Array.from({ length: LIMIT + 1 }, () => 1)))),
    ]),
  ];
}

const twice: Case = limited('not-summed', 'messages at the limit one after the other', {
  script: () => [write([text('a'.repeat(LIMIT)), binary(noise(LIMIT)), text('b'.repeat(LIMIT))])],
  expect: {
    messages: () => ['a'.repeat(LIMIT), noise(LIMIT), 'b'.repeat(LIMIT)],
    outcome: works,
  },
});

/** A first frame and `count - 2` empty ones; `last` ends the message. */
function emptyFragments(count: number, last: boolean): Buffer {
  const empty = continuation('', { fin: false });
  const body = Buffer.alloc(empty.length * (count - 2), empty);
  return Buffer.concat([text('', { fin: false }), body, continuation('end', { fin: last })]);
}

const fragmentLimits: readonly Case[] = [
  {
    id: `${AREA}/fragments/at`,
    area: AREA,
    title: `${String(MAX_FRAGMENTS)} fragments, nearly all empty`,
    rfc: '5.4, 10.4',
    script: () => [write(emptyFragments(MAX_FRAGMENTS, true))],
    expect: { messages: ['end'], outcome: works },
    heavy: true,
    patience: 20_000,
  },
  {
    id: `${AREA}/fragments/over`,
    area: AREA,
    title: `${String(MAX_FRAGMENTS + 1)} fragments, nearly all empty`,
    rfc: '5.4, 7.4.1 (1008), 10.4',
    script: () => [write(emptyFragments(MAX_FRAGMENTS + 1, false))],
    expect: { outcome: fails([1008, 1009], 'at the end of the frame') },
    heavy: true,
    patience: 20_000,
  },
  {
    id: `${AREA}/fragments/not-summed`,
    area: AREA,
    title: 'many messages whose fragments together are over the limit',
    rfc: '5.4',
    script: () => {
      const one = emptyFragments(MAX_FRAGMENTS / 2 + 1, true);
      return [write([one, one, one])];
    },
    expect: { messages: ['end', 'end', 'end'], outcome: works },
    heavy: true,
    patience: 20_000,
  },
];

interface Large {
  readonly id: string;
  readonly title: string;
  readonly size: number;
  readonly kind: Kind;
  readonly long?: boolean;
  readonly steps: (bytes: Buffer) => readonly Step[];
}

function large({ id, title, size, kind, long = false, steps }: Large): Case {
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc: '5.2, 5.4',
    heavy: true,
    long,
    patience: 120_000,
    script: () => steps(bytesOf(kind, size)),
    expect: { messages: () => [sample(kind, size)], outcome: works },
  };
}

function megabytes(size: number): string {
  return size < MIB ? `${String(size / KIB)}-kib` : `${String(size / MIB)}-mib`;
}

function size(kind: Kind, octets: number): Case {
  return large({
    id: `size/${kind}/${megabytes(octets)}`,
    title: `a ${kind} message of ${megabytes(octets)} in one frame`,
    size: octets,
    kind,
    long: octets > 4 * MIB && !(kind === 'binary' && octets === 16 * MIB),
    steps: (bytes) => [write([header({ opcode: Opcode[kind], announce: octets }), bytes])],
  });
}

function fragmented(kind: Kind, piece: number): Case {
  return large({
    id: `fragments-of/${kind}/${String(piece)}`,
    title: `4 MiB of ${kind} in fragments of ${String(piece)} octets`,
    size: 4 * MIB,
    kind,
    long: piece < 4096,
    steps: (bytes) => [write(fragments(Opcode[kind], slices(bytes, piece)))],
  });
}

function chopped(kind: Kind, total: number, chop: number): Case {
  return large({
    id: `chopped/${kind}/${megabytes(total)}/${String(chop)}`,
    title: `${megabytes(total)} of ${kind} written ${String(chop)} octets at a time`,
    size: total,
    kind,
    long: total > 128 * KIB,
    steps: (bytes) => [write([header({ opcode: Opcode[kind], announce: total }), bytes], chop)],
  });
}

function roundTrips(kind: Kind, octets: number, count: number): Case {
  const data = sample(kind, octets);
  return {
    id: `${AREA}/round-trips/${kind}/${String(octets)}`,
    area: AREA,
    title: `${String(count)} round trips of ${String(octets)} octets of ${kind}`,
    rfc: '5.2',
    heavy: true,
    patience: 120_000,
    script: () => {
      const bytes = message(data);
      return Array.from({ length: count }, (_, i) => [write(bytes), echoes(i + 1)]).flat();
    },
    expect: { messages: () => Array.from({ length: count }, () => data), outcome: works },
  };
}

const SIZES = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
const PIECES = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
const CHOPS = [64, 128, 256, 512, 1024, 2048];
const TRIPS = [0, 16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB];

export const limits: readonly Case[] = [
  ...KINDS.flatMap(payloadLimits),
  twice,
  ...fragmentLimits,
  ...KINDS.flatMap((kind) => [
    ...SIZES.map((octets) => size(kind, octets)),
    ...PIECES.map((piece) => fragmented(kind, piece)),
    ...CHOPS.flatMap((chop) => [chopped(kind, 128 * KIB, chop), chopped(kind, MIB, chop)]),
    ...TRIPS.map((octets) => roundTrips(kind, octets, octets > 4 * KIB ? 50 : 200)),
  ]),
];
