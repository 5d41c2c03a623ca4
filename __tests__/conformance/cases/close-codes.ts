// Close frames, right and wrong: RFC 6455 sections 5.5.1 and 7.4.
import { type Case, fails, type Outcome, write } from '../case.js';
import { close, closeBody, frame, header, Opcode } from '../wire.js';
import { answered, make } from './close-parts.js';
import { invalid, truncated } from './utf8-vectors.js';

/** RFC 6455 5.5.1: the answer typically echoes the code; for an empty Close 1000 will do as well. */
const EMPTY: Outcome = { kind: 'closes', sends: [undefined, 1000], reports: [1005], reason: '' };

const VALID = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000,
  4001, 4999,
];
/** DESIGN: below 1000, 1004 to 1006, 1015 to 2999 and above 4999 are protocol errors. */
const INVALID = [
  0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 32_768, 65_535,
];

const codes: readonly Case[] = [
  ...VALID.flatMap((code) => [
    make(
      `code/${String(code)}`,
      `Close ${String(code)} is answered with its code`,
      '5.5.1, 7.4',
      [write(close(code))],
      answered(code),
    ),
    make(
      `code/${String(code)}/reason`,
      `Close ${String(code)} with a reason`,
      '5.5.1, 7.1.6',
      [write(close(code, 'bye µ'))],
      answered(code, 'bye µ'),
    ),
  ]),
  ...INVALID.flatMap((code) => [
    make(
      `code/${String(code)}`,
      `Close ${String(code)}, which must not be sent`,
      '7.4',
      [write(close(code))],
      fails(1002, 'at the end of the frame'),
    ),
    make(
      `code/${String(code)}/reason`,
      `Close ${String(code)} with a reason`,
      '7.4',
      [write(close(code, 'bye'))],
      fails(1002, 'at the end of the frame'),
    ),
  ]),
];

const LONGEST: readonly (readonly [name: string, reason: string])[] = [
  ['ascii', 'r'.repeat(123)],
  ['two-octets', `${'µ'.repeat(61)}x`],
  ['three-octets', '€'.repeat(41)],
  ['four-octets', `${'😀'.repeat(30)}xyz`],
];

const bodies: readonly Case[] = [
  make('body/empty', 'an empty Close', '5.5.1, 7.1.5', [write(close())], EMPTY),
  make(
    'body/one-octet',
    'a body of one octet',
    '5.5.1',
    [write(frame({ opcode: Opcode.close, payload: Buffer.from([0x03]) }))],
    fails(1002, 'at the end of the frame'),
  ),
  make(
    'body/one-octet/header',
    'the header of a body of one octet, then the octet',
    '5.5.1',
    [write(frame({ opcode: Opcode.close, payload: Buffer.from([0x03]) }), 1)],
    fails(1002, 'at the end of the frame'),
  ),
  ...LONGEST.map(([name, reason]) =>
    make(
      `body/longest/${name}`,
      `a reason of 123 octets: ${name}`,
      '5.5, 7.1.6',
      [write(close(1000, reason))],
      answered(1000, reason),
    ),
  ),
  ...[126, 127, 65_536].map((size) =>
    make(
      `body/too-long/${String(size)}`,
      `a Close of ${String(size)} octets`,
      '5.5',
      [write(frame({ opcode: Opcode.close, payload: closeBody(1000, 'r'.repeat(size - 2)) }))],
      fails(1002, 'at the header'),
    ),
  ),
  make(
    'body/too-long/header',
    'two octets announce a Close of over 125 octets',
    '5.5',
    [write(header({ opcode: Opcode.close, announce: 126 }).subarray(0, 2))],
    fails(1002, 'at the header'),
  ),
  make(
    'body/by-octets',
    'a Close with a reason, octet by octet',
    '5.5.1',
    [write(close(1001, 'going away'), 1)],
    answered(1001, 'going away'),
  ),
];

const reasons: readonly Case[] = [...invalid, ...truncated].map(({ name, bytes }) =>
  make(
    `reason/${name}`,
    `a reason that is not UTF-8: ${name}`,
    '5.5.1, 8.1',
    [write(close(1000, bytes))],
    fails(1007, 'at the end of the frame'),
  ),
);

export const closeCodes: readonly Case[] = [...codes, ...bodies, ...reasons];
