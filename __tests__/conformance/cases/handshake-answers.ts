// Subprotocols, status lines and rejections: RFC 6455 section 4.1.
import {
  type Case,
  either,
  fin,
  type Outcome,
  refuses,
  reset,
  type Step,
  works,
  write,
} from '../case.js';
import { type Field, response } from '../http.js';
import { handshakeCase } from './handshake-parts.js';

interface Protocols {
  readonly id: string;
  readonly title: string;
  readonly offered?: readonly string[];
  readonly fields: readonly Field[];
  readonly outcome: Outcome;
  readonly chosen?: string;
}

function chose(...list: string[]): Field[] {
  return list.map((value) => ['Sec-WebSocket-Protocol', value]);
}

const TWO = ['chat', 'superchat'];

const PROTOCOLS: readonly Protocols[] = [
  {
    id: 'first',
    title: 'the first one offered',
    offered: TWO,
    fields: chose('chat'),
    outcome: works,
    chosen: 'chat',
  },
  {
    id: 'second',
    title: 'the second one offered',
    offered: TWO,
    fields: chose('superchat'),
    outcome: works,
    chosen: 'superchat',
  },
  {
    id: 'only',
    title: 'the only one offered',
    offered: ['v1.x~y'],
    fields: chose('v1.x~y'),
    outcome: works,
    chosen: 'v1.x~y',
  },
  {
    id: 'spaces',
    title: 'white space around the value',
    offered: TWO,
    fields: chose('  chat \t'),
    outcome: works,
    chosen: 'chat',
  },
  {
    id: 'unsolicited',
    title: 'one where none was offered',
    fields: chose('chat'),
    outcome: refuses,
  },
  {
    id: 'unsolicited-empty',
    title: 'an empty value where none was offered (either way)',
    fields: chose(''),
    outcome: either,
  },
  {
    id: 'other',
    title: 'one that was not offered',
    offered: TWO,
    fields: chose('megachat'),
    outcome: refuses,
  },
  {
    id: 'upper',
    title: 'one that was offered in another case',
    offered: TWO,
    fields: chose('CHAT'),
    outcome: refuses,
  },
  {
    id: 'prefix',
    title: 'the start of one that was offered',
    offered: TWO,
    fields: chose('cha'),
    outcome: refuses,
  },
  {
    id: 'two',
    title: 'both of two that were offered',
    offered: TWO,
    fields: chose('chat, superchat'),
    outcome: refuses,
  },
  {
    id: 'two-fields',
    title: 'both, in two fields',
    offered: TWO,
    fields: chose('chat', 'superchat'),
    outcome: refuses,
  },
  {
    id: 'twice',
    title: 'the same one in two fields (section 11.3.4)',
    offered: TWO,
    fields: chose('chat', 'chat'),
    outcome: refuses,
  },
  { id: 'empty', title: 'an empty value', offered: TWO, fields: chose(''), outcome: refuses },
  {
    id: 'high-octets',
    title: 'octets over 0x7f',
    offered: TWO,
    fields: chose('ch\u00e2t'),
    outcome: refuses,
  },
  {
    id: 'nul',
    title: 'one that was offered, and a NUL',
    offered: TWO,
    fields: chose('chat\0'),
    outcome: refuses,
  },
  {
    id: 'many-spaces',
    title: 'many spaces within the value',
    offered: TWO,
    fields: chose(`chat${' '.repeat(30_000)}x`),
    outcome: refuses,
  },
  {
    id: 'none',
    title: 'none of those offered (either way)',
    offered: TWO,
    fields: [],
    outcome: either,
  },
];

const protocols: readonly Case[] = PROTOCOLS.map(
  ({ id, title, offered, fields, outcome, chosen }) =>
    handshakeCase({
      id: `protocol/${id}`,
      title: `subprotocol: ${title}`,
      rfc: '4.1, 11.3.4',
      ...(offered === undefined ? {} : { options: { protocols: offered } }),
      opening: (request) => [write(response(request, { extra: fields }))],
      outcome,
      ...(chosen === undefined ? {} : { protocol: chosen }),
    }),
);

const LINES: readonly (readonly [id: string, line: string, outcome: Outcome])[] = [
  ['other-reason', 'HTTP/1.1 101 Web Socket Protocol Handshake', works],
  ['empty-reason', 'HTTP/1.1 101 ', works],
  ['no-reason', 'HTTP/1.1 101', either],
  ['high-octets-in-reason', 'HTTP/1.1 101 Chang\u00e9', works],
  ['http-1.0', 'HTTP/1.0 101 Switching Protocols', refuses],
  ['http-0.9', 'HTTP/0.9 101 Switching Protocols', refuses],
  ['http-2', 'HTTP/2 101 Switching Protocols', refuses],
  ['http-2.0', 'HTTP/2.0 101 Switching Protocols', refuses],
  ['http-1.2', 'HTTP/1.2 101 Switching Protocols', either],
  ['http-11', 'HTTP/11 101 Switching Protocols', refuses],
  ['lower', 'http/1.1 101 Switching Protocols', refuses],
  ['space-first', ' HTTP/1.1 101 Switching Protocols', refuses],
  ['two-spaces', 'HTTP/1.1  101 Switching Protocols', refuses],
  ['tab', 'HTTP/1.1\t101 Switching Protocols', refuses],
  ['four-digits', 'HTTP/1.1 1010 Switching Protocols', refuses],
  ['leading-zero', 'HTTP/1.1 0101 Switching Protocols', refuses],
  ['two-digits', 'HTTP/1.1 10 Switching Protocols', refuses],
  ['negative', 'HTTP/1.1 -101 Switching Protocols', refuses],
  ['hexadecimal', 'HTTP/1.1 0x65 Switching Protocols', refuses],
  ['no-status', 'HTTP/1.1 Switching Protocols', refuses],
  ['other-protocol', 'ICY 101 Switching Protocols', refuses],
  ['request', 'GET / HTTP/1.1', refuses],
  ['nul', 'HTTP/1.1 101 Switching\0Protocols', refuses],
  ...[
    200, 201, 204, 206, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 407, 426, 429, 500,
    502, 503,
  ].map(
    (status) => [`status-${String(status)}`, `HTTP/1.1 ${String(status)} Status`, refuses] as const,
  ),
];

const lines: readonly Case[] = LINES.map(([id, line, outcome]) =>
  handshakeCase({
    id: `line/${id}`,
    title: `the status line ${JSON.stringify(line)}${outcome === either ? ' (either way)' : ''}`,
    rfc: '4.1, 7230 section 3.1.2',
    opening: (request) => {
      const stays = line.includes(' 101') || !/ \d{3} /.test(line);
      return [write(response(request, { line, extra: stays ? [] : [['Content-Length', '0']] }))];
    },
    outcome,
  }),
);

const REJECTIONS: readonly (readonly [
  id: string,
  title: string,
  head: string,
  then: readonly Step[],
])[] = [
  [
    'content-length',
    'a body with a length',
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nforbidden',
    [],
  ],
  [
    'chunked',
    'a chunked body',
    'HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n4\r\noops\r\n0\r\n\r\n',
    [],
  ],
  [
    'until-end',
    'a body up to the end of TCP',
    'HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nbusy',
    [fin],
  ],
  [
    'cut-short',
    'a body shorter than its length',
    'HTTP/1.1 404 Gone\r\nContent-Length: 900\r\n\r\ngone',
    [fin],
  ],
  [
    'reset',
    'a reset within the body',
    'HTTP/1.1 404 Gone\r\nContent-Length: 900\r\n\r\ngone',
    [reset],
  ],
  ['never-ends', 'a body that never comes', 'HTTP/1.1 404 Gone\r\nContent-Length: 900\r\n\r\n', []],
  [
    'redirect',
    'a redirect to nowhere',
    'HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n',
    [],
  ],
  [
    'unauthorized',
    'a demand for credentials',
    'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
    [],
  ],
];

const rejections: readonly Case[] = [
  ...REJECTIONS.map(([id, title, head, then]) =>
    handshakeCase({
      id: `rejected/${id}`,
      title: `another status than 101, with ${title}`,
      opening: () => [write(Buffer.from(head)), ...then],
      outcome: refuses,
    }),
  ),
  handshakeCase({
    id: 'rejected/endless-body',
    title: 'another status than 101, with a body that does not end',
    rfc: '4.1, 10.4',
    opening: () => [
      write(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')),
      { kind: 'flood', bytes: Buffer.alloc(16_384, 'body '), limit: 32 * 1024 * 1024 },
    ],
    outcome: refuses,
  }),
];

/** What every request is held to anyway (`requestFaults`, `offerFaults`), by itself. */
const requests: readonly Case[] = [
  { id: 'plain', title: 'no options', options: {} },
  { id: 'one-protocol', title: 'one subprotocol', options: { protocols: ['chat'] } },
  { id: 'protocols', title: 'three subprotocols', options: { protocols: ['a', 'b.c', 'D!'] } },
].map(({ id, title, options }) =>
  handshakeCase({
    id: `request/${id}`,
    title: `the request is well-formed: ${title}`,
    rfc: '4.1',
    options,
    opening: (request) => {
      const [chosen] = options.protocols ?? [];
      return [write(response(request, chosen === undefined ? {} : { extra: chose(chosen) }))];
    },
    outcome: works,
    ...(options.protocols?.[0] === undefined ? {} : { protocol: options.protocols[0] }),
  }),
);

export const handshakeAnswers: readonly Case[] = [
  ...requests,
  ...protocols,
  ...lines,
  ...rejections,
];
