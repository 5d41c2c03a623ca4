// The order of a closing handshake: RFC 6455 sections 1.4, 5.5.1 and 7.1.
import {
  type Case,
  client,
  closed,
  drops,
  fails,
  fin,
  type Outcome,
  reset,
  type Step,
  sync,
  write,
} from '../case.js';
import { noise } from '../samples.js';
import { close, frame, type Message, ping, text } from '../wire.js';
import { answered, make } from './close-parts.js';
import { closeCodes } from './close-codes.js';

const LATE: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['text', text('late')],
  ['ping', ping('late')],
  ['close', close(1001)],
  ['garbage', noise(100)],
  ['reserved', frame({ opcode: 3, payload: 'late' })],
  ['large', text('x'.repeat(100_000))],
];

const after: readonly Case[] = [
  ...LATE.flatMap(([name, bytes]) => [
    make(
      `after/${name}`,
      `${name} in the same write, after the Close, is ignored`,
      '5.5.1, 1.4',
      [write([close(1000), bytes])],
      answered(1000),
    ),
    make(
      `after/${name}/later`,
      `${name} once the Close was answered is ignored`,
      '5.5.1, 1.4',
      [write(close(1000)), closed, write(bytes)],
      answered(1000),
    ),
  ]),
  make(
    'before/text',
    'a message in the same write before the Close is delivered',
    '5.5.1',
    [write([text('last words'), close(1000)])],
    answered(1000),
    { messages: ['last words'] },
  ),
  make(
    'before/many',
    'a hundred messages in the same write before the Close',
    '5.5.1',
    [write([...Array.from({ length: 100 }, () => text('m')), close(1000)])],
    answered(1000),
    { messages: Array.from({ length: 100 }, () => 'm') },
  ),
  make(
    'before/ping',
    'a ping in the same write before the Close has its pong',
    '5.5.2',
    [write([ping('last'), close(1000)])],
    answered(1000),
    { pongs: ['last'] },
  ),
];

function starts(code?: number, reason?: string): Step {
  return client((connection) => {
    connection.close(code, reason);
  });
}

function byClient(sends: number, reports: number, reason = ''): Outcome {
  return { kind: 'closes', sends: [sends], reports: [reports], reason };
}

const fromClient: readonly Case[] = [
  ...[1000, 3000, 3999, 4000, 4999].map((code) =>
    make(
      `client/${String(code)}`,
      `the client closes with ${String(code)}`,
      '7.1.2',
      [starts(code, 'enough'), closed, write(close(code, 'enough'))],
      byClient(code, code, 'enough'),
    ),
  ),
  make(
    'client/other-code',
    'the server answers with another code and reason',
    '7.1.5',
    [starts(1000, 'mine'), closed, write(close(4001, 'yours'))],
    byClient(1000, 4001, 'yours'),
  ),
  make(
    'client/answer-empty',
    'the server answers with an empty Close',
    '7.1.5',
    [starts(1000), closed, write(close())],
    byClient(1000, 1005),
  ),
  make(
    'client/answer-by-octets',
    'the answer comes octet by octet',
    '5.5.1',
    [starts(1000), closed, write(close(1000, 'slow'), 1)],
    byClient(1000, 1000, 'slow'),
  ),
  make(
    'client/longest-reason',
    'a reason of 123 octets',
    '5.5',
    [starts(1000, '€'.repeat(41)), closed, write(close(1000))],
    byClient(1000, 1000),
  ),
  make(
    'client/ping-meanwhile',
    'no pong after the client has sent its Close',
    '5.5.1',
    [starts(1000), closed, write([ping('late'), close(1000)])],
    byClient(1000, 1000),
  ),
  make(
    'client/crossing',
    'both sides send a Close at the same time',
    '5.5.1',
    [starts(1000), write(close(1001, 'crossing')), closed],
    { kind: 'closes', sends: [1000, 1001], reports: [1001], reason: 'crossing' },
  ),
  make(
    'client/twice',
    'closing twice sends one Close',
    '5.5.1',
    [starts(1000), starts(1001), closed, write(close(1000))],
    byClient(1000, 1000),
  ),
  make(
    'client/no-answer',
    'TCP ends without an answer',
    '7.1.5',
    [starts(1000), closed, fin],
    drops(1006),
  ),
  make(
    'client/silence',
    'the server never answers: the client ends TCP by itself',
    '7.1.1',
    [starts(1000), closed],
    { kind: 'closes', sends: [1000], reports: [1006], silent: true },
  ),
  make(
    'client/bad-answer',
    'the answer has a code that must not be sent',
    '7.4',
    [starts(1000), closed, write(close(1005))],
    { kind: 'closes', sends: [1000], reports: [1002, 1006] },
  ),
];

const tcp: readonly Case[] = [
  make(
    'tcp/server-first',
    'the client waits for the server to end TCP first',
    '7.1.1 (SHOULD)',
    [write(close(1000))],
    { kind: 'closes', sends: [1000], reports: [1000], reason: '', patience: 150 },
  ),
  make(
    'tcp/server-first/client-started',
    'also when the client started the closing',
    '7.1.1 (SHOULD)',
    [starts(1000), closed, write(close(1000))],
    { kind: 'closes', sends: [1000], reports: [1000], reason: '', patience: 150 },
  ),
  make('tcp/never-ended', 'the server answers but never ends TCP', '7.1.1', [write(close(1000))], {
    kind: 'closes',
    sends: [1000],
    reports: [1000],
    reason: '',
    silent: true,
  }),
  make('tcp/end', 'TCP ends without a Close', '7.1.5', [sync, fin], drops()),
  make('tcp/end-at-once', 'TCP ends right after the handshake', '7.1.5', [fin], drops()),
  make('tcp/reset', 'TCP is reset', '7.1.5', [sync, reset], drops()),
  make(
    'tcp/end-in-header',
    'TCP ends within a header',
    '7.1.5',
    [write(Buffer.from([0x81])), moment(), fin],
    drops(),
  ),
  make(
    'tcp/end-in-length',
    'TCP ends within a length',
    '7.1.5',
    [write(Buffer.from([0x82, 0x7f, 0x00, 0x00])), moment(), fin],
    drops(),
  ),
  make(
    'tcp/end-in-payload',
    'TCP ends within a payload',
    '7.1.5',
    [write(text('cut short').subarray(0, 6)), moment(), fin],
    drops(),
  ),
  make(
    'tcp/end-in-close',
    'TCP ends within a Close',
    '7.1.5',
    [write(close(1000).subarray(0, 3)), moment(), fin],
    drops(),
  ),
  make(
    'tcp/reset-in-payload',
    'TCP is reset within a payload',
    '7.1.5',
    [write(text('cut short').subarray(0, 6)), moment(), reset],
    drops(),
  ),
  make(
    'tcp/end-after-message',
    'a message, then the end of TCP: it is delivered',
    '7.1.5',
    [write(text('last')), fin],
    drops(),
    { messages: ['last'] as readonly Message[] },
  ),
];

/** Within a frame no ping may be sent; a few milliseconds have to do. */
function moment(): Step {
  return { kind: 'calm', ms: 10 };
}

const afterFailure: readonly Case[] = (['silence', 'flood'] as const).flatMap((kind) => [
  make(
    `failure/${kind}/protocol`,
    `a protocol error, then ${kind}: the client ends TCP`,
    '7.1.7',
    [write(text('x', { rsv: 1 }))],
    fails(1002, 'at the header', kind),
  ),
  make(
    `failure/${kind}/utf8`,
    `wrong UTF-8, then ${kind}: the client ends TCP`,
    '7.1.7',
    [write(text(Buffer.from([0xff])))],
    fails(1007, 'at the end of the frame', kind),
  ),
]);

export const closing: readonly Case[] = [
  ...closeCodes,
  ...after,
  ...fromClient,
  ...tcp,
  ...afterFailure,
];
