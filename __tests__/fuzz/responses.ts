/** Arbitrary answers to an opening handshake. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { mutate, mutations, type Mutation } from './streams.js';

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const PROTOCOLS = ['chat', 'superchat'];
export const ACCEPT = createHash('sha1')
  .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
  .digest('base64');

/** An answer, and whether a client has to take it. */
export interface Answer {
  readonly bytes: Buffer;
  readonly isValid: boolean;
  /** What follows a valid head. */
  readonly rest: Buffer;
}

const usually = <T>(usual: T, others: fc.Arbitrary<T>, weight = 9): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });

const anyText = fc.string({ unit: 'binary', maxLength: 20 });
const anyField = fc
  .tuple(usually('X-Field', anyText), anyText)
  .map(([name, value]) => `${name}: ${value}`);
const plainField = fc
  .tuple(fc.nat(99), fc.stringMatching(/^[!-~]{0,30}$/))
  .map(([n, value]) => `X-${n}: ${value}`);

const EXTENSIONS = [
  'permessage-deflate',
  'permessage-deflate; server_max_window_bits=10; client_max_window_bits=8',
  'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
];

/** The fields that matter, in forms that pass. */
const validFields = fc
  .record({
    upgrade: fc.constantFrom('Upgrade: websocket', 'upgrade:WebSocket ', 'UPGRADE:\twebsocket'),
    connection: fc.constantFrom('Connection: Upgrade', 'connection: keep-alive, upgrade'),
    accept: fc.constantFrom(`Sec-WebSocket-Accept: ${ACCEPT}`, `sec-websocket-accept:${ACCEPT}\t`),
    protocol: fc.constantFrom('', ...PROTOCOLS.map((name) => `Sec-WebSocket-Protocol: ${name}`)),
    extensions: fc.constantFrom(
      '',
      ...EXTENSIONS.map((name) => `Sec-WebSocket-Extensions: ${name}`),
    ),
    others: fc.array(plainField, { maxLength: 6 }),
  })
  .chain(({ others, ...fields }) =>
    fc.shuffledSubarray([...Object.values(fields), ...others].filter(Boolean), {
      minLength: Object.values(fields).filter(Boolean).length + others.length,
    }),
  );

const anyFields = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: validFields },
    {
      weight: 2,
      arbitrary: fc.array(
        fc.oneof(
          anyField,
          fc
            .tuple(
              fc.constantFrom('Upgrade', 'Connection', 'Sec-WebSocket-Accept'),
              fc.oneof(
                anyText,
                fc.constantFrom('websocket', 'upgrade', ACCEPT, ACCEPT.toLowerCase()),
              ),
            )
            .map(([name, value]) => `${name}: ${value}`),
          fc
            .tuple(
              fc.constantFrom('Extensions', 'Protocol', 'Version'),
              fc.oneof(anyText, fc.constantFrom(...EXTENSIONS, ...PROTOCOLS)),
              fc.constantFrom('', ',', '; x', '; server_max_window_bits=7', '=', '"'),
            )
            .map(([name, value, behind]) => `Sec-WebSocket-${name}: ${value}${behind}`),
          fc.constantFrom('Content-Length: 5', 'Transfer-Encoding: chunked', ' folded', ''),
          fc.integer({ min: 50, max: 9000 }).map((size) => `X-Long: ${'y'.repeat(size)}`),
        ),
        { maxLength: 80 },
      ),
    },
  ),
  { minLength: 1, maxLength: 2 },
);

const statusLine = usually(
  'HTTP/1.1 101 Switching Protocols',
  fc.oneof(
    fc.constantFrom(
      'HTTP/1.1 101',
      'HTTP/1.1 101 ',
      'HTTP/1.0 101 OK',
      'HTTP/1.1 200 OK',
      'HTTP/2 101',
    ),
    fc.constantFrom(
      'HTTP/1.1 404 Not Found',
      'HTTP/1.1 302 Found',
      'HTTP/1.1 99 Low',
      'ICY 200 OK',
    ),
    fc.integer({ min: 100, max: 599 }).map((status) => `HTTP/1.1 ${status} Any`),
    anyText,
  ),
  4,
);

const rest = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const interim = fc.array(
  fc.constantFrom(
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  ),
  { maxLength: 2 },
);

const valid: fc.Arbitrary<Answer> = fc
  .tuple(interim, validFields, rest)
  .map(([before, fields, behind]) => ({
    bytes: Buffer.concat([
      Buffer.from(`${before.join('')}HTTP/1.1 101 Switching\r\n${fields.join('\r\n')}\r\n\r\n`),
      behind,
    ]),
    isValid: true,
    rest: behind,
  }));

const composed: fc.Arbitrary<Answer> = fc
  .tuple(interim, statusLine, anyFields, usually('\r\n', fc.constantFrom('\n', '\r', '\0')), rest)
  .map(([before, first, fields, end, behind]) => ({
    bytes: Buffer.concat([
      Buffer.from(before.join('')),
      Buffer.from([first, ...fields.flat(), '', ''].join(end)),
      behind,
    ]),
    isValid: false,
    rest: behind,
  }));

const mutated: fc.Arbitrary<Answer> = fc
  .tuple(valid, mutations)
  .map(([answer, changes]: [Answer, Mutation[]]) => ({
    bytes: mutate(answer.bytes, changes),
    isValid: false,
    rest: answer.rest,
  }));

export const answers: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 3, arbitrary: valid },
  { weight: 3, arbitrary: composed },
  { weight: 4, arbitrary: mutated },
  {
    weight: 1,
    arbitrary: rest.map((bytes) => ({ bytes, isValid: false, rest: Buffer.alloc(0) })),
  },
);
