// Reserved bits and reserved opcodes: RFC 6455 section 5.2.
import { type Area, type Case, fails, sync, type Step, write } from '../case.js';
import {
  close,
  continuation,
  frame,
  type FrameFields,
  header,
  Opcode,
  ping,
  text,
} from '../wire.js';

interface Frames {
  readonly name: string;
  readonly fields: Omit<FrameFields, 'rsv'>;
  /** What must come before. */
  readonly before?: readonly Step[];
}

const CARRIERS: readonly Frames[] = [
  { name: 'text', fields: { opcode: Opcode.text, payload: 'Hello' } },
  { name: 'empty-text', fields: { opcode: Opcode.text } },
  { name: 'binary', fields: { opcode: Opcode.binary, payload: 'Hello' } },
  { name: 'ping', fields: { opcode: Opcode.ping, payload: 'Hello' } },
  { name: 'pong', fields: { opcode: Opcode.pong, payload: 'Hello' } },
  { name: 'close', fields: { opcode: Opcode.close, payload: Buffer.from([0x03, 0xe8]) } },
  {
    name: 'continuation',
    fields: { opcode: Opcode.continuation, payload: 'Hello' },
    before: [write(text('one', { fin: false })), sync],
  },
];

const BITS = [1, 2, 3, 4, 5, 6, 7];

function bits(rsv: number, { name, fields, before = [] }: Frames): Case[] {
  const base = { area: 'reserved' as Area, rfc: '5.2' };
  const set = `RSV ${rsv.toString(2).padStart(3, '0')}`;
  return [
    {
      ...base,
      id: `reserved/${String(rsv)}/${name}`,
      title: `${set} on a ${name} frame, no extension agreed`,
      script: () => [...before, write(frame({ ...fields, rsv }))],
      expect: { outcome: fails(1002, 'at the header') },
    },
    {
      ...base,
      id: `reserved/${String(rsv)}/${name}/header`,
      title: `${set} on a ${name} frame; only its first two octets are sent`,
      script: () => [...before, write(header({ ...fields, rsv }))],
      expect: { outcome: fails(1002, 'at the header') },
    },
  ];
}

function bitsLater(rsv: number): Case[] {
  const base = { area: 'reserved' as Area, rfc: '5.2' };
  const bad = text('bad', { rsv });
  return [
    {
      ...base,
      id: `reserved/${String(rsv)}/after-message`,
      title: 'a good message, one with a reserved bit, then a ping, in one write',
      script: () => [write([text('good'), bad, ping(), text('late')])],
      expect: { messages: ['good'], outcome: fails(1002, 'at the header') },
    },
    {
      ...base,
      id: `reserved/${String(rsv)}/by-octets`,
      title: 'a good message, then one with a reserved bit, octet by octet',
      script: () => [write(text('good'), 1), sync, write(bad, 1)],
      expect: { messages: ['good'], outcome: fails(1002, 'at the header') },
    },
  ];
}

export const reserved: readonly Case[] = [
  ...BITS.flatMap((rsv) => CARRIERS.flatMap((carrier) => bits(rsv, carrier))),
  ...BITS.flatMap(bitsLater),
];

function opcode(code: number): Case[] {
  const kind = code < 8 ? 'data' : 'control';
  const make = (
    name: string,
    title: string,
    steps: readonly Step[],
    messages: string[] = [],
  ): Case => ({
    id: `opcodes/${String(code)}/${name}`,
    area: 'opcodes',
    title: `the reserved ${kind} opcode ${String(code)} ${title}`,
    rfc: code < 8 ? '5.2, 5.6' : '5.2, 5.5',
    script: () => steps,
    expect: { messages, outcome: fails(1002, 'at the header') },
  });
  const bad = frame({ opcode: code, payload: 'reserved' });
  return [
    make('empty', 'without payload', [write(frame({ opcode: code }))]),
    make('payload', 'with payload', [write(bad)]),
    make('header', 'where only the header is sent', [write(bad.subarray(0, 2))]),
    make('by-octets', 'octet by octet', [write(bad, 1)]),
    make('unfinished', 'without FIN', [write(frame({ opcode: code, fin: false }))]),
    make('between', 'between messages', [write([text('a'), bad, text('b')])], ['a']),
    make('then-close', 'before a Close', [write([bad, close(1000)])]),
    make('in-fragments', 'between two fragments', [
      write(text('one', { fin: false })),
      sync,
      write([bad, continuation('two')]),
    ]),
  ];
}

export const opcodes: readonly Case[] = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap(opcode);
