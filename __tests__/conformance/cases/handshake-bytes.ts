// The octets of a response: how they come, and what comes with them.
import { type Case, calm, drops, fails, fin, refuses, type Step, works, write } from '../case.js';
import { response } from '../http.js';
import { noise } from '../samples.js';
import { binary, close, continuation, type Message, ping, text } from '../wire.js';
import { AREA, handshakeCase } from './handshake-parts.js';

const MIB = 1024 * 1024;

const splits: readonly Case[] = [1, 2, 3, 7, 17, 50].map((chop) =>
  handshakeCase({
    id: `split/${String(chop)}`,
    title: `the response comes ${String(chop)} octets at a time`,
    rfc: '4.1',
    opening: (request) => [write(response(request), chop)],
    outcome: works,
  }),
);

/** Cut in two within the given text. */
function cutAt(id: string, where: string, offset: number): Case {
  return handshakeCase({
    id: `split/${id}`,
    title: `the response is cut in two: ${id}`,
    opening: (request) => {
      const bytes = response(request);
      const at = bytes.indexOf(where) + offset;
      return [write(bytes.subarray(0, at)), calm(5), write(bytes.subarray(at))];
    },
    outcome: works,
  });
}

const cuts: readonly Case[] = [
  cutAt('within-the-version', 'HTTP', 2),
  cutAt('within-the-status', '101', 1),
  cutAt('after-first-cr', '\r\n', 1),
  cutAt('after-first-lf', '\r\n', 2),
  cutAt('within-the-name', 'Upgrade:', 3),
  cutAt('after-the-colon', 'Upgrade:', 8),
  cutAt('within-the-end/1', '\r\n\r\n', 1),
  cutAt('within-the-end/2', '\r\n\r\n', 2),
  cutAt('within-the-end/3', '\r\n\r\n', 3),
];

interface Glued {
  readonly id: string;
  readonly title: string;
  readonly bytes: Buffer;
  readonly rest?: readonly Step[];
  readonly expect: Case['expect'];
  readonly chop?: number;
}

/** Frames in the same write as the response. */
function glued({ id, title, bytes, rest = [], expect, chop }: Glued): Case {
  return {
    id: `${AREA}/glued/${id}`,
    area: AREA,
    title: `in the same write as the response: ${title}`,
    rfc: '4.1, 5.1',
    opening: (request) => [write(Buffer.concat([response(request), bytes]), chop)],
    glued: true,
    script: () => rest,
    expect,
  };
}

const hundred = Array.from({ length: 100 }, (_, index) => `message ${String(index)}`);

const frames: readonly Case[] = [
  glued({
    id: 'text',
    title: 'a message',
    bytes: text('hi'),
    expect: { messages: ['hi'], outcome: works },
  }),
  glued({
    id: 'binary',
    title: 'a binary message',
    bytes: binary(noise(500)),
    expect: { messages: () => [noise(500)], outcome: works },
  }),
  glued({
    id: 'many',
    title: 'a hundred messages',
    bytes: Buffer.concat(hundred.map((data) => text(data))),
    expect: { messages: hundred, outcome: works },
  }),
  glued({
    id: 'large',
    title: 'a message of 100,000 octets',
    bytes: binary(noise(100_000)),
    expect: { messages: () => [noise(100_000)] as readonly Message[], outcome: works },
  }),
  glued({
    id: 'octets',
    title: 'a message, all of it octet by octet',
    bytes: text('hi'),
    chop: 1,
    expect: { messages: ['hi'], outcome: works },
  }),
  glued({
    id: 'ping',
    title: 'a ping',
    bytes: ping('early'),
    expect: { pongs: ['early'], outcome: works },
  }),
  glued({
    id: 'half',
    title: 'half a frame',
    bytes: text('halved').subarray(0, 4),
    rest: [calm(5), write(text('halved').subarray(4))],
    expect: { messages: ['halved'], outcome: works },
  }),
  glued({
    id: 'one-octet',
    title: 'the first octet of a frame',
    bytes: text('one').subarray(0, 1),
    rest: [calm(5), write(text('one').subarray(1))],
    expect: { messages: ['one'], outcome: works },
  }),
  glued({
    id: 'fragment',
    title: 'the first fragment of a message',
    bytes: text('one ', { fin: false }),
    rest: [write(continuation('two'))],
    expect: { messages: ['one two'], outcome: works },
  }),
  glued({
    id: 'close',
    title: 'a Close',
    bytes: close(1001, 'full'),
    expect: { outcome: { kind: 'closes', sends: [1001], reports: [1001], reason: 'full' } },
  }),
  glued({
    id: 'message-and-close',
    title: 'a message and a Close',
    bytes: Buffer.concat([text('full'), close(1013)]),
    expect: { messages: ['full'], outcome: { kind: 'closes', sends: [1013], reports: [1013] } },
  }),
  glued({
    id: 'wrong',
    title: 'a frame with a reserved bit',
    bytes: text('x', { rsv: 2 }),
    expect: { outcome: fails(1002, 'at the header') },
  }),
  glued({
    id: 'wrong-utf8',
    title: 'a text that is not UTF-8',
    bytes: text(Buffer.from([0xc0])),
    expect: { outcome: fails(1007, 'at the end of the frame') },
  }),
  glued({
    id: 'message-and-end',
    title: 'a message and the end of TCP',
    bytes: text('bye'),
    rest: [fin],
    expect: { messages: ['bye'], outcome: drops() },
  }),
  glued({
    id: 'end',
    title: 'the end of TCP',
    bytes: Buffer.alloc(0),
    rest: [fin],
    expect: { outcome: drops() },
  }),
];

const INTERIM: readonly (readonly [id: string, head: string])[] = [
  ['100', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['102', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ['103', 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-More: 1\r\n\r\n'],
  [
    'three',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n',
  ],
];

const interim: readonly Case[] = INTERIM.flatMap(([id, head]) =>
  [undefined, 1].map((chop) =>
    handshakeCase({
      id: `interim/${id}${chop === undefined ? '' : '/octets'}`,
      title: `an interim response before the final one: ${id}`,
      rfc: '4.1, 7231 section 6.2',
      opening: (request) => [write(Buffer.concat([Buffer.from(head), response(request)]), chop)],
      outcome: works,
    }),
  ),
);

const interimOnly: readonly Case[] = [
  handshakeCase({
    id: 'interim/upgrade-fields',
    title: 'an interim response with the fields of a handshake does not open',
    rfc: '7231 section 6.2',
    opening: (request) => [
      write(response(request, { line: 'HTTP/1.1 100 Continue' })),
      write(Buffer.from('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')),
    ],
    outcome: refuses,
  }),
  handshakeCase({
    id: 'interim/endless',
    title: 'interim responses without an end',
    rfc: '10.4',
    options: { openTimeout: 500 },
    opening: () => [
      {
        kind: 'flood',
        bytes: Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(500)),
        limit: 32 * MIB,
      },
    ],
    outcome: refuses,
  }),
];

export const handshakeBytes: readonly Case[] = [
  ...splits,
  ...cuts,
  ...frames,
  ...interim,
  ...interimOnly,
];
