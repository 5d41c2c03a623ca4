// Frames and lengths: RFC 6455 section 5.2, and that a server must not mask (5.1).
import { type Case, echoes, fails, works, write } from '../case.js';
import { ascii, noise, textOf } from '../samples.js';
import {
  binary,
  close,
  continuation,
  frame,
  type FrameFields,
  header,
  type LengthForm,
  type Message,
  message,
  Opcode,
  ping,
  text,
} from '../wire.js';

const AREA = 'framing';

type Kind = 'text' | 'binary';
const KINDS: readonly Kind[] = ['text', 'binary'];

function sample(kind: Kind, size: number): Message {
  return kind === 'text' ? textOf(size) : noise(size);
}

const SIZES = [
  0, 1, 2, 3, 124, 125, 126, 127, 128, 129, 255, 256, 257, 1000, 4095, 4096, 65534, 65535, 65536,
  65537, 131072,
];

function whole(kind: Kind, size: number): Case {
  return {
    id: `${AREA}/${kind}/${String(size)}`,
    area: AREA,
    title: `a ${kind} message of ${String(size)} octets in one frame`,
    rfc: '5.2, 5.6',
    script: () => [write(message(sample(kind, size)))],
    expect: { messages: () => [sample(kind, size)], outcome: works },
  };
}

function chopped(kind: Kind, size: number, chop: number): Case {
  return {
    id: `${AREA}/${kind}/${String(size)}/chopped-${String(chop)}`,
    area: AREA,
    title: `a ${kind} message of ${String(size)} octets, sent ${String(chop)} octets at a time`,
    rfc: '5.2',
    script: () => [write(message(sample(kind, size)), chop)],
    expect: { messages: () => [sample(kind, size)], outcome: works },
  };
}

function edges(kind: Kind, size: number): Case {
  return {
    id: `${AREA}/${kind}/${String(size)}/header-by-octets`,
    area: AREA,
    title: `the header of a ${kind} message of ${String(size)} octets comes octet by octet`,
    rfc: '5.2',
    script: () => {
      const bytes = message(sample(kind, size));
      return [write(bytes.subarray(0, 11), 1), write(bytes.subarray(11))];
    },
    expect: { messages: () => [sample(kind, size)], outcome: works },
  };
}

const CHOPS: readonly (readonly [size: number, chop: number])[] = [
  ...[1, 125, 126, 127, 128].flatMap((size) => [1, 2, 3, 7].map((chop) => [size, chop] as const)),
  ...[65535, 65536].flatMap((size) => [64, 997, 1460, 4096].map((chop) => [size, chop] as const)),
];

/** Several messages in one stream of octets, cut every `chop`. */
function stream(chop: number): Case {
  const messages: Message[] = [
    ascii(5),
    noise(200),
    '',
    ascii(126),
    noise(0),
    ascii(70),
    noise(300),
  ];
  return {
    id: `${AREA}/stream/chopped-${String(chop)}`,
    area: AREA,
    title: `seven messages back to back, cut every ${String(chop)} octets`,
    rfc: '5.2',
    script: () => [write(Buffer.concat(messages.map((data) => message(data))), chop)],
    expect: { messages, outcome: works },
  };
}

function burst(count: number): Case {
  const messages = Array.from({ length: count }, (_, index) => `message ${String(index)}`);
  return {
    id: `${AREA}/burst/${String(count)}`,
    area: AREA,
    title: `${String(count)} messages in one write`,
    rfc: '5.2',
    script: () => [write(messages.map((data) => text(data)))],
    expect: { messages, outcome: works },
  };
}

const KEY = Buffer.from('37fa213d', 'hex');

const MASKED: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['text', text('Hello', { mask: KEY })],
  ['binary', binary('Hello', { mask: KEY })],
  ['empty', text('', { mask: KEY })],
  ['zero-key', text('Hello', { mask: Buffer.alloc(4) })],
  ['ping', ping('Hello', { mask: KEY })],
  ['pong', frame({ opcode: Opcode.pong, payload: 'Hello', mask: KEY })],
  ['close', close(1000, '', { mask: KEY })],
  ['16-bit-length', text(ascii(300), { mask: KEY })],
  ['64-bit-length', text(ascii(70_000), { mask: KEY })],
];

function masked(name: string, bytes: Buffer): Case[] {
  const base = { area: AREA, rfc: '5.1' } as const;
  return [
    {
      ...base,
      id: `${AREA}/masked/${name}`,
      title: `a masked frame from the server: ${name}`,
      script: () => [write(bytes)],
      expect: { outcome: fails(1002, 'at the header') },
    },
    {
      ...base,
      id: `${AREA}/masked/${name}/two-octets`,
      title: `only the two octets that show the MASK bit: ${name}`,
      script: () => [write(bytes.subarray(0, 2))],
      expect: { outcome: fails(1002, 'at the header') },
    },
  ];
}

function maskedLater(): Case[] {
  const base = { area: AREA, rfc: '5.1' } as const;
  return [
    {
      ...base,
      id: `${AREA}/masked/after-message`,
      title: 'a whole message, then a masked one in the same write',
      script: () => [write([text('good'), text('bad', { mask: KEY }), text('worse')])],
      expect: { messages: ['good'], outcome: fails(1002, 'at the header') },
    },
    {
      ...base,
      id: `${AREA}/masked/continuation`,
      title: 'the second fragment is masked',
      script: () => [
        write(text('one', { fin: false })),
        { kind: 'sync' },
        write(continuation('two', { mask: KEY })),
      ],
      expect: { outcome: fails(1002, 'at the header') },
    },
  ];
}

const LONG_FORMS: readonly (readonly [form: LengthForm, size: number])[] = [
  [16, 0],
  [16, 1],
  [16, 124],
  [16, 125],
  [64, 0],
  [64, 1],
  [64, 125],
  [64, 126],
  [64, 127],
  [64, 65535],
];

function nonMinimal(form: LengthForm, size: number, kind: Kind): Case {
  const fields = (): FrameFields => ({ opcode: Opcode[kind], payload: sample(kind, size), form });
  const bits = String(form);
  return {
    id: `${AREA}/length/${kind}/${String(size)}-in-${bits}-bits`,
    area: AREA,
    title: `the length ${String(size)} written with ${bits} bits; only the header is sent`,
    rfc: '5.2 (the minimal number of bytes MUST be used)',
    script: () => [write(header(fields()))],
    expect: { outcome: fails(1002, 'at the length') },
  };
}

const TOO_LONG: readonly (readonly [name: string, length: bigint, codes: readonly number[]])[] = [
  ['2-to-32', 2n ** 32n, [1009]],
  ['2-to-40', 2n ** 40n, [1009]],
  ['2-to-53-less-1', 2n ** 53n - 1n, [1009]],
  ['2-to-53', 2n ** 53n, [1009]],
  ['2-to-53-and-1', 2n ** 53n + 1n, [1009]],
  ['2-to-62', 2n ** 62n, [1009]],
  ['2-to-63-less-1', 2n ** 63n - 1n, [1009]],
  ['2-to-63', 2n ** 63n, [1002, 1009]],
  ['2-to-63-and-1', 2n ** 63n + 1n, [1002, 1009]],
  ['2-to-63-and-125', 2n ** 63n + 125n, [1002, 1009]],
  ['2-to-64-less-1', 2n ** 64n - 1n, [1002, 1009]],
];

/** The high bit must be 0 (1002); a client that looks at its limit first may say 1009. */
function tooLong(name: string, announce: bigint, codes: readonly number[]): Case[] {
  const base = { area: AREA, rfc: codes.includes(1002) ? '5.2' : '5.2, 7.4.1' } as const;
  const forms = KINDS.map((kind): Case => ({
    ...base,
    id: `${AREA}/length/${kind}/${name}`,
    title: `a ${kind} frame announces ${String(announce)} octets; only the header is sent`,
    script: () => [write(header({ opcode: Opcode[kind], announce, form: 64 }))],
    expect: { outcome: fails(codes, 'at the length') },
  }));
  const later: Case = {
    ...base,
    id: `${AREA}/length/continuation/${name}`,
    title: `a fragment of two octets, then one that announces ${String(announce)}`,
    script: () => [
      write(text('ab', { fin: false })),
      { kind: 'sync' },
      write(header({ opcode: Opcode.continuation, announce, form: 64 })),
    ],
    expect: { outcome: fails(codes, 'at the length') },
  };
  return [...forms, later];
}

const pipelined: Case = {
  id: `${AREA}/pipelined`,
  area: AREA,
  title: 'the next message starts before the echo of the first is back',
  rfc: '5.2',
  script: () => {
    const bytes = Buffer.concat([text('first'), binary(noise(300)), text('third')]);
    const cut = 100;
    return [write(bytes.subarray(0, cut)), echoes(1), write(bytes.subarray(cut))];
  },
  expect: { messages: () => ['first', noise(300), 'third'], outcome: works },
};

export const framing: readonly Case[] = [
  ...KINDS.flatMap((kind) => SIZES.map((size) => whole(kind, size))),
  ...KINDS.flatMap((kind) => CHOPS.map(([size, chop]) => chopped(kind, size, chop))),
  ...KINDS.flatMap((kind) => [0, 125, 126, 65535, 65536].map((size) => edges(kind, size))),
  ...[1, 2, 3, 4, 5, 7, 11, 13, 64, 127, 200, 333].map(stream),
  ...[2, 10, 100, 1000].map(burst),
  pipelined,
  ...MASKED.flatMap(([name, bytes]) => masked(name, bytes)),
  ...maskedLater(),
  ...LONG_FORMS.flatMap(([form, size]) => KINDS.map((kind) => nonMinimal(form, size, kind))),
  ...TOO_LONG.flatMap(([name, length, codes]) => tooLong(name, length, codes)),
];
