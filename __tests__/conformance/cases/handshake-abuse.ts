// Responses that are too long, or hardly responses at all: RFC 6455 sections 4.1 and 10.4.
import { type Case, either, fin, refuses, reset, works, write } from '../case.js';
import { acceptOf, type Field, type Request, response } from '../http.js';
import { noise } from '../samples.js';
import { text } from '../wire.js';
import { handshakeCase } from './handshake-parts.js';

const KIB = 1024;

/** A field that brings the head of the response to exactly `size` octets. */
function padded(request: Request, size: number): Field[] {
  const empty = response(request, { extra: [['X-Padding', '']] }).length;
  return [['X-Padding', 'p'.repeat(size - empty)]];
}

function manyFields(count: number): Field[] {
  return Array.from({ length: count - 3 }, (_, index): Field => [`X-${String(index)}`, 'v']);
}

const LIMITS: readonly (readonly [
  id: string,
  title: string,
  extra: (request: Request) => Field[],
  opens: boolean,
])[] = [
  ['head-8-kib', 'a head of 8 KiB', (request) => padded(request, 8 * KIB), true],
  ['head-15-kib', 'a head of 15 KiB', (request) => padded(request, 15 * KIB), true],
  ['head-60-kib', 'a head of 60 KiB', (request) => padded(request, 60 * KIB), true],
  ['head-64-kib', 'a head of exactly 64 KiB', (request) => padded(request, 64 * KIB), true],
  [
    'head-over',
    'a head of 64 KiB and one octet',
    (request) => padded(request, 64 * KIB + 1),
    false,
  ],
  ['head-far-over', 'a head of 1 MiB', (request) => padded(request, KIB * KIB), false],
  ['fields-100', '100 fields', () => manyFields(100), true],
  ['fields-256', '256 fields', () => manyFields(256), true],
  ['fields-257', '257 fields', () => manyFields(257), false],
  ['fields-2000', '2,000 fields', () => manyFields(2000), false],
];

const ENDLESS: readonly (readonly [id: string, title: string, start: string, again: string])[] = [
  ['fields', 'fields', 'HTTP/1.1 101 Switching Protocols\r\n', 'X-More: and more\r\n'.repeat(500)],
  ['value', 'one field', 'HTTP/1.1 101 Switching Protocols\r\nX-More: ', 'x'.repeat(16_384)],
  ['name', 'the name of a field', 'HTTP/1.1 101 Switching Protocols\r\n', 'x'.repeat(16_384)],
  ['reason', 'the status line', 'HTTP/1.1 101 ', 'Switching '.repeat(1600)],
  [
    'fold',
    'a folded field',
    'HTTP/1.1 101 Switching Protocols\r\nX-More: a\r\n',
    ' folded\r\n'.repeat(1600),
  ],
];

const limits: readonly Case[] = [
  ...LIMITS.map(([id, title, extra, opens]) =>
    handshakeCase({
      id: `limit/${id}`,
      title: `the response has ${title}`,
      rfc: '10.4',
      opening: (request) => [write(response(request, { extra: extra(request) }))],
      outcome: opens ? works : refuses,
    }),
  ),
  ...ENDLESS.map(([id, title, start, again]) =>
    handshakeCase({
      id: `endless/${id}`,
      title: `${title} without an end`,
      rfc: '10.4',
      opening: () => [
        write(Buffer.from(start)),
        { kind: 'flood', bytes: Buffer.from(again), limit: 16 * KIB * KIB },
      ],
      outcome: refuses,
    }),
  ),
];

const GARBAGE: readonly (readonly [id: string, title: string, bytes: Buffer])[] = [
  ['noise', 'noise', noise(1000)],
  ['smtp', 'another protocol', Buffer.from('220 mail.example ESMTP ready\r\n\r\n')],
  ['ssh', 'another protocol, one line', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')],
  ['tls', 'a TLS alert', Buffer.from('15030300020246', 'hex')],
  ['html', 'a page without a head', Buffer.from('<!doctype html>\r\n<p>hello\r\n\r\n')],
  ['frame', 'a WebSocket frame in place of the response', text('too early')],
  ['nuls', 'NULs', Buffer.alloc(500)],
  ['http2', 'HTTP/2 settings', Buffer.from('000000040000000000', 'hex')],
  ['newlines', 'nothing but empty lines', Buffer.from('\r\n'.repeat(50_000))],
];

const garbage: readonly Case[] = [
  ...GARBAGE.flatMap(([id, title, bytes]) => [
    handshakeCase({
      id: `garbage/${id}`,
      title: `${title}, and TCP ends`,
      opening: () => [write(bytes), fin],
      outcome: refuses,
    }),
    handshakeCase({
      id: `garbage/${id}/open`,
      title: `${title}, and TCP stays open`,
      options: { openTimeout: 1000 },
      opening: () => [write(bytes)],
      outcome: refuses,
    }),
  ]),
  ...(
    [
      ['nothing', ''],
      ['half-a-line', 'HTTP/1.1 1'],
      ['half-a-head', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: web'],
    ] as const
  ).flatMap(([id, start]) => [
    handshakeCase({
      id: `cut/${id}/end`,
      title: `TCP ends after ${id}`,
      opening: () => [write(Buffer.from(start)), fin],
      outcome: refuses,
    }),
    handshakeCase({
      id: `cut/${id}/reset`,
      title: `TCP is reset after ${id}`,
      opening: () => [write(Buffer.from(start)), reset],
      outcome: refuses,
    }),
    handshakeCase({
      id: `cut/${id}/silence`,
      title: `nothing comes after ${id}`,
      options: { openTimeout: 300 },
      opening: () => [write(Buffer.from(start))],
      outcome: refuses,
    }),
  ]),
];

/** The right head with one more line. */
function withLine(request: Request, line: string): Buffer {
  const accept = acceptOf(request.key);
  const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${line}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
  return Buffer.from(head, 'latin1');
}

const LINES: readonly (readonly [
  id: string,
  title: string,
  line: string,
  outcome: Case['expect']['outcome'],
])[] = [
  [
    'high-octets',
    'octets over 0x7f in a field that does not matter',
    'X-Name: Jos\u00e9 \u00fe\u00ff',
    works,
  ],
  ['tabs', 'tabs and punctuation in a value', 'X-Name: \t a\tb ; "c" (d) \\ @', works],
  ['empty-value', 'a field with an empty value', 'X-Name:', works],
  ['cookie-twice', 'the same field twice', 'Set-Cookie: a=1\r\nSet-Cookie: b=2', works],
  ['lower-names', 'another field in lower case', 'server: x', works],
  ['odd-token', 'a name of every character a token may have', "!#$%&'*+-.^_`|~09azAZ: x", works],
  ['no-colon', 'a line without a colon', 'X-Name', refuses],
  ['no-name', 'a line that starts with the colon', ': value', refuses],
  ['space-in-name', 'a space within a name', 'X Name: value', refuses],
  ['high-octets-in-name', 'octets over 0x7f in a name', 'X-N\u00e4me: value', refuses],
  ['nul-in-name', 'a NUL in a name', 'X-N\0ame: value', refuses],
  ['nul-in-value', 'a NUL in a value', 'X-Name: a\0b', refuses],
  ['cr-in-value', 'a bare CR in a value', 'X-Name: a\rb', refuses],
  ['separator-in-name', 'a separator in a name', 'X(Name): value', refuses],
  ['space-before-colon', 'a space before the colon (either way)', 'X-Name : value', either],
  ['control-in-value', 'a control character in a value (either way)', 'X-Name: a\u0001b', either],
  ['fold', 'a folded value (either way, 7230 section 3.2.4)', 'X-Name: a\r\n b', either],
  [
    'content-length',
    'a Content-Length (either way, 7230 section 3.3.2)',
    'Content-Length: 0',
    either,
  ],
  [
    'chunked',
    'a Transfer-Encoding (either way, 7230 section 3.3.1)',
    'Transfer-Encoding: chunked',
    either,
  ],
];

const fieldLines: readonly Case[] = LINES.map(([id, title, line, outcome]) =>
  handshakeCase({
    id: `field/${id}`,
    title,
    rfc: '4.1, 7230 section 3.2',
    opening: (request) => [write(withLine(request, line))],
    outcome,
  }),
);

const ends: readonly Case[] = [
  handshakeCase({
    id: 'eol/lf',
    title: 'lines that end in a bare LF (either way, 7230 section 3.5)',
    rfc: '7230 section 3.5',
    opening: (request) => [write(response(request, { eol: '\n' }))],
    outcome: either,
    options: { openTimeout: 1000 },
  }),
  handshakeCase({
    id: 'eol/cr',
    title: 'lines that end in a bare CR',
    rfc: '7230 section 3.5',
    options: { openTimeout: 1000 },
    opening: (request) => [write(response(request, { eol: '\r' }))],
    outcome: refuses,
  }),
  handshakeCase({
    id: 'eol/empty-line-first',
    title: 'an empty line before the status line (either way)',
    rfc: '7230 section 3.5',
    opening: (request) => [write(Buffer.concat([Buffer.from('\r\n'), response(request)]))],
    outcome: either,
  }),
  handshakeCase({
    id: 'eol/folded-accept',
    title: 'a folded Sec-WebSocket-Accept (either way)',
    rfc: '7230 section 3.2.4',
    opening: (request) => [write(response(request, { accept: `\r\n ${acceptOf(request.key)}` }))],
    outcome: either,
  }),
];

export const handshakeAbuse: readonly Case[] = [...limits, ...garbage, ...fieldLines, ...ends];
