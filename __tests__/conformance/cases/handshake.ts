// Responses to the opening handshake that a client must take or refuse: RFC 6455 section 4.1.
import type { ClientOptions } from '../adapter.js';
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
import { acceptOf, type Field, type Request, response, type ResponseFields } from '../http.js';
import { text } from '../wire.js';

const AREA = 'handshake';

export interface Handshake {
  readonly id: string;
  readonly title: string;
  readonly rfc?: string;
  readonly options?: ClientOptions;
  readonly opening: (request: Request) => readonly Step[];
  readonly outcome: Outcome;
  readonly protocol?: string;
}

/** A case that stands or falls with its handshake; a working one has to echo a message. */
export function handshakeCase(fields: Handshake): Case {
  const { id, title, rfc = '4.1', options, opening, outcome, protocol } = fields;
  const opens = outcome.kind === 'works';
  return {
    id: `${AREA}/${id}`,
    area: AREA,
    title,
    rfc,
    opening,
    ...(options === undefined ? {} : { options }),
    ...(opens ? { script: () => [write(text('hello'))] } : {}),
    expect: {
      outcome,
      ...(opens ? { messages: ['hello'] } : {}),
      ...(protocol === undefined ? {} : { protocol }),
    },
  };
}

type Variant = readonly [
  id: string,
  title: string,
  outcome: Outcome,
  fields: (request: Request) => ResponseFields,
];

function variant([id, title, outcome, fields]: Variant): Case {
  return handshakeCase({
    id,
    title,
    outcome,
    opening: (request) => [write(response(request, fields(request)))],
  });
}

/** Another case of letters, where it changes the text. */
function swapCase(value: string): string {
  return value.replace(/[a-zA-Z]/g, (letter) => {
    const upper = letter.toUpperCase();
    return letter === upper ? letter.toLowerCase() : upper;
  });
}

const upgrade: readonly Variant[] = [
  ['upgrade/lower', 'Upgrade: websocket', works, () => ({ upgrade: 'websocket' })],
  ['upgrade/capitals', 'Upgrade: WebSocket', works, () => ({ upgrade: 'WebSocket' })],
  ['upgrade/upper', 'Upgrade: WEBSOCKET', works, () => ({ upgrade: 'WEBSOCKET' })],
  [
    'upgrade/spaces',
    'white space around the value',
    works,
    () => ({ upgrade: ' \t websocket \t ' }),
  ],
  [
    'upgrade/no-space',
    'no space after the colon',
    works,
    (request) => ({
      line: `HTTP/1.1 101 Switching Protocols\r\nUpgrade:websocket\r\nConnection:Upgrade\r\nSec-WebSocket-Accept:${acceptOf(request.key)}`,
      upgrade: null,
      connection: null,
      accept: null,
    }),
  ],
  ['upgrade/missing', 'no Upgrade', refuses, () => ({ upgrade: null })],
  ['upgrade/empty', 'an empty Upgrade', refuses, () => ({ upgrade: '' })],
  ['upgrade/other', 'Upgrade: h2c', refuses, () => ({ upgrade: 'h2c' })],
  ['upgrade/prefix', 'Upgrade: websockets', refuses, () => ({ upgrade: 'websockets' })],
  ['upgrade/part', 'Upgrade: web', refuses, () => ({ upgrade: 'web' })],
  ['upgrade/split', 'Upgrade: web socket', refuses, () => ({ upgrade: 'web socket' })],
  ['upgrade/quoted', 'Upgrade: "websocket"', refuses, () => ({ upgrade: '"websocket"' })],
  [
    'upgrade/kelvin',
    'a letter that only Unicode folds to k',
    refuses,
    () => ({ upgrade: 'websoc\u00e2\u0084\u00aaet' }),
  ],
  ['upgrade/list', 'Upgrade is a list (either way)', either, () => ({ upgrade: 'websocket, h2c' })],
  [
    'upgrade/version',
    'Upgrade: websocket/13 (either way)',
    either,
    () => ({ upgrade: 'websocket/13' }),
  ],
  [
    'upgrade/twice',
    'Upgrade twice (either way)',
    either,
    () => ({ extra: [['Upgrade', 'websocket']] }),
  ],
  [
    'upgrade/other-too',
    'Upgrade twice, once another (either way)',
    either,
    () => ({ extra: [['Upgrade', 'h2c']] }),
  ],
];

const connection: readonly Variant[] = [
  ['connection/lower', 'Connection: upgrade', works, () => ({ connection: 'upgrade' })],
  ['connection/upper', 'Connection: UPGRADE', works, () => ({ connection: 'UPGRADE' })],
  [
    'connection/list',
    'Connection: keep-alive, Upgrade',
    works,
    () => ({ connection: 'keep-alive, Upgrade' }),
  ],
  [
    'connection/list-first',
    'Connection: Upgrade, keep-alive',
    works,
    () => ({ connection: 'Upgrade, keep-alive' }),
  ],
  [
    'connection/list-tight',
    'Connection: keep-alive,Upgrade',
    works,
    () => ({ connection: 'keep-alive,Upgrade' }),
  ],
  [
    'connection/two-fields',
    'Connection in two fields',
    works,
    () => ({ connection: 'keep-alive', extra: [['Connection', 'Upgrade']] }),
  ],
  ['connection/missing', 'no Connection', refuses, () => ({ connection: null })],
  ['connection/empty', 'an empty Connection', refuses, () => ({ connection: '' })],
  ['connection/close', 'Connection: close', refuses, () => ({ connection: 'close' })],
  [
    'connection/keep-alive',
    'Connection: keep-alive',
    refuses,
    () => ({ connection: 'keep-alive' }),
  ],
  ['connection/prefix', 'Connection: Upgraded', refuses, () => ({ connection: 'Upgraded' })],
  ['connection/suffix', 'Connection: NoUpgrade', refuses, () => ({ connection: 'NoUpgrade' })],
  [
    'connection/dash',
    'Connection: Upgrade-Insecure',
    refuses,
    () => ({ connection: 'Upgrade-Insecure' }),
  ],
  [
    'connection/two-words',
    'Connection: keep alive Upgrade',
    refuses,
    () => ({ connection: 'keep alive Upgrade' }),
  ],
  ['connection/websocket', 'Connection: websocket', refuses, () => ({ connection: 'websocket' })],
];

const accept: readonly Variant[] = [
  [
    'accept/spaces',
    'white space around the value',
    works,
    (request) => ({ accept: `  ${acceptOf(request.key)} \t` }),
  ],
  [
    'accept/name-lower',
    'the name of the field in lower case',
    works,
    (request) => ({
      accept: null,
      extra: [['sec-websocket-accept', acceptOf(request.key)]],
    }),
  ],
  [
    'accept/name-upper',
    'the name of the field in upper case',
    works,
    (request) => ({
      accept: null,
      extra: [['SEC-WEBSOCKET-ACCEPT', acceptOf(request.key)]],
    }),
  ],
  ['accept/missing', 'no Sec-WebSocket-Accept', refuses, () => ({ accept: null })],
  ['accept/empty', 'an empty value', refuses, () => ({ accept: '' })],
  [
    'accept/wrong',
    'the value for another key',
    refuses,
    () => ({ accept: acceptOf('dGhlIHNhbXBsZSBub25jZQ==') }),
  ],
  ['accept/key', 'the key itself', refuses, (request) => ({ accept: request.key })],
  [
    'accept/swapped-case',
    'the right value with its case swapped',
    refuses,
    (request) => ({ accept: swapCase(acceptOf(request.key)) }),
  ],
  [
    'accept/upper',
    'the right value in upper case',
    refuses,
    (request) => ({ accept: `${acceptOf(request.key).toUpperCase()}` }),
  ],
  [
    'accept/no-padding',
    'the right value without padding',
    refuses,
    (request) => ({ accept: acceptOf(request.key).slice(0, -1) }),
  ],
  [
    'accept/more-padding',
    'the right value with more padding',
    refuses,
    (request) => ({ accept: `${acceptOf(request.key)}=` }),
  ],
  [
    'accept/inner-space',
    'a space within the right value',
    refuses,
    (request) => {
      const value = acceptOf(request.key);
      return { accept: `${value.slice(0, 10)} ${value.slice(10)}` };
    },
  ],
  [
    'accept/quoted',
    'the right value in quotes',
    refuses,
    (request) => ({ accept: `"${acceptOf(request.key)}"` }),
  ],
  [
    'accept/more',
    'the right value, and more',
    refuses,
    (request) => ({ accept: `${acceptOf(request.key)}, x` }),
  ],
  [
    'accept/trimmed-key',
    'computed without the GUID',
    refuses,
    (request) => ({ accept: Buffer.from(request.key).toString('base64') }),
  ],
  [
    'accept/no-break-space',
    'a no-break space after the right value',
    refuses,
    (request) => ({ accept: `${acceptOf(request.key)}\u00a0` }),
  ],
  [
    'accept/high-octets',
    'octets over 0x7f',
    refuses,
    () => ({ accept: '\u0080\u00ff'.repeat(14) }),
  ],
  [
    'accept/nul',
    'the right value and a NUL',
    refuses,
    (request) => ({ accept: `${acceptOf(request.key)}\0` }),
  ],
  [
    'accept/twice',
    'the right value twice (section 11.3.3)',
    refuses,
    (request) => ({ extra: [['Sec-WebSocket-Accept', acceptOf(request.key)]] }),
  ],
  [
    'accept/twice-right-first',
    'the right value, then a wrong one',
    refuses,
    () => ({ extra: [['Sec-WebSocket-Accept', 'wrong']] }),
  ],
  [
    'accept/twice-wrong-first',
    'a wrong value, then the right one',
    refuses,
    (request) => ({
      accept: 'wrong',
      extra: [['Sec-WebSocket-Accept', acceptOf(request.key)]],
    }),
  ],
];

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

export const handshake: readonly Case[] = [
  ...[...upgrade, ...connection, ...accept].map(variant),
  ...protocols,
  ...lines,
  ...rejections,
];
