// Negotiating permessage-deflate: RFC 7692 sections 5 and 7.1, RFC 6455 section 9.1.
import type { CompressionOffer } from '../adapter.js';
import { type Case, either, type Outcome, refuses, works, write } from '../case.js';
import { Compressor, type DeflateParameters } from '../deflate.js';
import { response } from '../http.js';
import { text } from '../wire.js';
import { agreeing, AREA } from './deflate-parts.js';

interface Answer {
  readonly id: string;
  readonly title: string;
  readonly rfc?: string;
  readonly offer?: CompressionOffer;
  readonly value: string;
  readonly outcome: Outcome;
  /** What the value means, where it is agreed to. */
  readonly parameters?: DeflateParameters;
}

function answer({
  id,
  title,
  rfc = '7692 section 7.1',
  offer = {},
  value,
  outcome,
  parameters,
}: Answer): Case {
  const message = 'Hello '.repeat(20);
  return {
    id: `${AREA}/offer/${id}`,
    area: AREA,
    title,
    rfc,
    options: { compression: offer },
    deflate: parameters ?? {},
    opening: agreeing(value),
    ...(outcome.kind === 'works'
      ? {
          script: () => {
            const compressor = new Compressor(parameters);
            return [1, 2].map(() => write(text(compressor.compress(message), { rsv: 4 })));
          },
        }
      : {}),
    expect: { messages: outcome.kind === 'works' ? [message, message] : [], outcome },
  };
}

const NAME = 'permessage-deflate';

/** Values that must be taken. */
const GOOD: readonly (readonly [
  id: string,
  rest: string,
  parameters: DeflateParameters,
  offer?: CompressionOffer,
])[] = [
  ['plain', '', {}],
  ['server-reset', '; server_no_context_takeover', { serverReset: true }],
  ['client-reset', '; client_no_context_takeover', { clientReset: true }],
  [
    'both-reset',
    '; client_no_context_takeover; server_no_context_takeover',
    { serverReset: true, clientReset: true },
  ],
  ...[8, 9, 10, 11, 12, 13, 14, 15].flatMap((bits) => [
    [
      `server-bits-${String(bits)}`,
      `; server_max_window_bits=${String(bits)}`,
      { serverBits: bits },
    ] as const,
    [
      `client-bits-${String(bits)}`,
      `; client_max_window_bits=${String(bits)}`,
      { clientBits: bits },
    ] as const,
  ]),
  ['quoted', '; server_max_window_bits="10"', { serverBits: 10 }],
  ['quoted-pair', '; server_max_window_bits="1\\0"', { serverBits: 10 }],
  [
    'no-spaces',
    ';server_max_window_bits=10;client_no_context_takeover',
    { serverBits: 10, clientReset: true },
  ],
  [
    'many-spaces',
    '  ;\t server_max_window_bits=10 ;  client_no_context_takeover',
    { serverBits: 10, clientReset: true },
  ],
  [
    'asked-server-reset',
    '; server_no_context_takeover',
    { serverReset: true },
    { serverNoContextTakeover: true },
  ],
  [
    'asked-client-reset',
    '; client_no_context_takeover',
    { clientReset: true },
    { clientNoContextTakeover: true },
  ],
  [
    'asked-server-bits',
    '; server_max_window_bits=10',
    { serverBits: 10 },
    { serverMaxWindowBits: 10 },
  ],
  [
    'asked-server-bits-got-less',
    '; server_max_window_bits=9',
    { serverBits: 9 },
    { serverMaxWindowBits: 12 },
  ],
  [
    'asked-client-bits',
    '; client_max_window_bits=10',
    { clientBits: 10 },
    { clientMaxWindowBits: 10 },
  ],
  [
    'asked-client-bits-got-less',
    '; client_max_window_bits=9',
    { clientBits: 9 },
    { clientMaxWindowBits: 12 },
  ],
  ['asked-client-bits-got-none', '', {}, { clientMaxWindowBits: 12 }],
  [
    'asked-all',
    '; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11',
    { serverReset: true, clientReset: true, serverBits: 10, clientBits: 11 },
    {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 10,
      clientMaxWindowBits: 11,
    },
  ],
];

const BAD_BITS = [
  '7',
  '16',
  '0',
  '1',
  '1000',
  '-8',
  '+8',
  '08',
  '8.0',
  '0x9',
  '1e1',
  ' ',
  'ten',
  '""',
  '"7"',
  '"9 "',
  '99999999999999999999',
];

/** Values that a client must not take: what is wrong, and the rest of the value. */
const BAD: readonly (readonly [
  id: string,
  title: string,
  rest: string,
  offer?: CompressionOffer,
])[] = [
  ...['server', 'client'].flatMap((side) => [
    ...BAD_BITS.map(
      (bits) =>
        [
          `${side}-bits/${bits.replaceAll('"', 'q').replaceAll(' ', '_')}`,
          `${side}_max_window_bits with the value ${JSON.stringify(bits)}`,
          `; ${side}_max_window_bits=${bits}`,
        ] as const,
    ),
    [
      `${side}-bits/none`,
      `${side}_max_window_bits without a value`,
      `; ${side}_max_window_bits`,
    ] as const,
    [
      `${side}-bits/twice`,
      `${side}_max_window_bits twice`,
      `; ${side}_max_window_bits=10; ${side}_max_window_bits=10`,
    ] as const,
    [
      `${side}-reset/value`,
      `${side}_no_context_takeover with a value`,
      `; ${side}_no_context_takeover=1`,
    ] as const,
    [
      `${side}-reset/true`,
      `${side}_no_context_takeover with a value`,
      `; ${side}_no_context_takeover=true`,
    ] as const,
    [
      `${side}-reset/twice`,
      `${side}_no_context_takeover twice`,
      `; ${side}_no_context_takeover; ${side}_no_context_takeover`,
    ] as const,
  ]),
  ['unknown', 'an unknown parameter', '; unknown'],
  ['unknown-value', 'an unknown parameter with a value', '; unknown=1'],
  ['unknown-similar', 'a parameter that looks like a known one', '; server_max_window_bit=10'],
  [
    'client-bits/unasked',
    'client_max_window_bits though it was not offered',
    '; client_max_window_bits=10',
    { clientMaxWindowBits: false },
  ],
  [
    'client-bits/more',
    'client_max_window_bits greater than offered',
    '; client_max_window_bits=12',
    { clientMaxWindowBits: 10 },
  ],
  [
    'server-bits/more',
    'server_max_window_bits greater than asked for',
    '; server_max_window_bits=12',
    { serverMaxWindowBits: 10 },
  ],
  ['syntax/trailing-semicolon', 'a semicolon without a parameter', ';'],
  ['syntax/two-semicolons', 'two semicolons in a row', ';; server_no_context_takeover'],
  ['syntax/no-name', 'a parameter without a name', '; =10'],
  ['syntax/equals', 'an equals sign without a value', '; server_max_window_bits='],
  ['syntax/two-equals', 'two equals signs', '; server_max_window_bits==10'],
  ['syntax/open-quote', 'a quoted value that does not end', '; server_max_window_bits="10'],
  ['syntax/space-in-name', 'a space within a name', '; server_max window_bits=10'],
  ['syntax/separator', 'a character that a token must not have', '; server@max=10'],
  [
    'syntax/backslashes',
    'ten thousand backslashes in a quoted value',
    `; b="${'\\c'.repeat(10_000)}`,
  ],
  ['twice', 'the extension twice in one field', ', permessage-deflate'],
  ['and-unknown', 'the extension, and one that was not offered', ', x-unknown'],
];

/** Values that are wrong as a whole. */
const BAD_VALUES: readonly (readonly [id: string, title: string, value: string])[] = [
  ['other', 'another extension than was offered', 'permessage-bzip2'],
  ['webkit', 'the extension under a name of old', 'x-webkit-deflate-frame'],
  ['prefix', 'a name that only starts like it', 'permessage-deflate2'],
  ['unknown-first', 'an extension that was not offered, then the right one', `x-unknown, ${NAME}`],
  ['high-octets', 'octets over 0x7f in the value', `${NAME}; \u00e9=1`],
  ['high-octets-only', 'nothing but octets over 0x7f', '\u0080\u00ff'],
];

/** RFC 6455 section 9.1 and RFC 2616 section 2.1 do not settle these. */
const OPEN: readonly (readonly [
  id: string,
  title: string,
  value: string,
  offer?: CompressionOffer,
])[] = [
  ['empty-value', 'an empty value', ''],
  ['empty-elements', 'empty elements of a list around the extension', `, ${NAME}, ,`],
  ['upper-case', 'the name of the extension in upper case', NAME.toUpperCase()],
  [
    'no-server-reset',
    'server_no_context_takeover was asked for and is not there',
    NAME,
    { serverNoContextTakeover: true },
  ],
  [
    'no-server-bits',
    'server_max_window_bits was asked for and is not there',
    NAME,
    { serverMaxWindowBits: 10 },
  ],
];

const others: readonly Case[] = [
  {
    id: `${AREA}/offer/declined`,
    area: AREA,
    title: 'the server does not agree: nothing is compressed',
    rfc: '7692 section 5',
    options: { compression: {} },
    script: () => [write(text('plain '.repeat(100)))],
    expect: { messages: ['plain '.repeat(100)], outcome: works },
  },
  {
    id: `${AREA}/offer/declined-then-rsv1`,
    area: AREA,
    title: 'the server does not agree, and compresses all the same',
    rfc: '7692 section 6, 6455 section 5.2',
    options: { compression: {} },
    script: () => [write(text(new Compressor().compress('Hello'), { rsv: 4 }))],
    expect: { outcome: { kind: 'fails', codes: [1002], when: 'at the header' } },
  },
  {
    id: `${AREA}/offer/two-fields`,
    area: AREA,
    title: 'the extension in two fields',
    rfc: '6455 section 9.1, 7692 section 5',
    options: { compression: {} },
    opening: (request) => [
      write(
        response(request, {
          extra: [
            ['Sec-WebSocket-Extensions', NAME],
            ['Sec-WebSocket-Extensions', NAME],
          ],
        }),
      ),
    ],
    expect: { outcome: refuses },
  },
  ...[NAME, `${NAME}; server_no_context_takeover`, 'x-unknown', 'a, b; c=d'].map(
    (value, index): Case => ({
      id: `${AREA}/offer/unasked/${String(index)}`,
      area: AREA,
      title: `no extension was offered, the server answers ${value}`,
      rfc: '6455 section 4.1',
      opening: agreeing(value),
      expect: { outcome: refuses },
    }),
  ),
];

export const deflateOffers: readonly Case[] = [
  ...GOOD.map(([id, rest, parameters, offer = {}]) =>
    answer({
      id: `good/${id}`,
      title: `the server agrees: ${id}`,
      value: NAME + rest,
      outcome: works,
      parameters,
      offer,
    }),
  ),
  ...BAD.map(([id, title, rest, offer = {}]) =>
    answer({ id: `bad/${id}`, title, value: NAME + rest, outcome: refuses, offer }),
  ),
  ...BAD_VALUES.map(([id, title, value]) =>
    answer({ id: `bad/${id}`, title, rfc: '6455 section 9.1', value, outcome: refuses }),
  ),
  ...OPEN.map(([id, title, value, offer = {}]) =>
    answer({ id: `open/${id}`, title: `${title} (either way)`, value, outcome: either, offer }),
  ),
  ...others,
];
