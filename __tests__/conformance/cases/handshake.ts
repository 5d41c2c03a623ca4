// Upgrade, Connection and Sec-WebSocket-Accept of a response: RFC 6455 section 4.1.
import { type Case, either, type Outcome, refuses, works, write } from '../case.js';
import { acceptOf, type Request, response, type ResponseFields } from '../http.js';
import { handshakeCase } from './handshake-parts.js';

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
    (request) => ({ accept: acceptOf(request.key).toUpperCase() }),
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

export const handshake: readonly Case[] = [...upgrade, ...connection, ...accept].map(variant);
