// Pings and pongs: RFC 6455 sections 5.5.2 and 5.5.3.
import { type Case, client, echoes, fails, sync, works, write } from '../case.js';
import { noise } from '../samples.js';
import { frame, header, Opcode, ping, pong, text } from '../wire.js';

const AREA = 'pings';

function payload(size: number, chop?: number): Case {
  const data = noise(size);
  const how = chop === undefined ? '' : `/chopped-${String(chop)}`;
  return {
    id: `${AREA}/payload/${String(size)}${how}`,
    area: AREA,
    title: `a ping of ${String(size)} octets${chop === undefined ? '' : `, ${String(chop)} at a time`}`,
    rfc: '5.5.2',
    script: () => [write(ping(data), chop)],
    expect: { pongs: [data], outcome: works },
  };
}

function tooLong(name: string, size: number, headerOnly: boolean, opcode: number): Case {
  return {
    id: `${AREA}/too-long/${name}/${String(size)}${headerOnly ? '/header' : ''}`,
    area: AREA,
    title: `a ${name} of ${String(size)} octets${headerOnly ? '; only its header is sent' : ''}`,
    rfc: '5.5',
    script: () => {
      const fields = { opcode, payload: noise(size) };
      return [write(headerOnly ? header(fields).subarray(0, 2) : frame(fields))];
    },
    expect: { outcome: fails(1002, 'at the header') },
  };
}

function many(count: number, chop?: number): Case {
  const payloads = Array.from({ length: count }, (_, index) => `payload-${String(index)}`);
  const how = chop === undefined ? 'in one write' : `${String(chop)} octets at a time`;
  return {
    id: `${AREA}/many/${String(count)}${chop === undefined ? '' : `/chopped-${String(chop)}`}`,
    area: AREA,
    title: `${String(count)} pings ${how}`,
    rfc: '5.5.3 (only the last of them need be answered)',
    script: () => [write(Buffer.concat(payloads.map((data) => ping(data))), chop)],
    expect: { pongs: payloads, lastPongSuffices: true, outcome: works },
  };
}

const single: readonly Case[] = [
  {
    id: `${AREA}/one-by-one`,
    area: AREA,
    title: 'ten pings, each after the pong of the one before',
    rfc: '5.5.2',
    script: () => Array.from({ length: 10 }, () => sync),
    expect: { outcome: works },
  },
  {
    id: `${AREA}/pong/unsolicited-empty`,
    area: AREA,
    title: 'an unsolicited pong without payload is ignored',
    rfc: '5.5.3',
    script: () => [write(pong())],
    expect: { outcome: works },
  },
  {
    id: `${AREA}/pong/unsolicited-payload`,
    area: AREA,
    title: 'an unsolicited pong with payload is ignored',
    rfc: '5.5.3',
    script: () => [write(pong('unsolicited pong payload'))],
    expect: { outcome: works },
  },
  {
    id: `${AREA}/pong/unsolicited-then-ping`,
    area: AREA,
    title: 'an unsolicited pong, then a ping: one pong comes back',
    rfc: '5.5.3',
    script: () => [write(pong('unsolicited')), write(ping('asked'))],
    expect: { pongs: ['asked'], outcome: works },
  },
  {
    id: `${AREA}/pong/many-unsolicited`,
    area: AREA,
    title: 'a thousand unsolicited pongs, then a message',
    rfc: '5.5.3',
    script: () => [write(Array.from({ length: 1000 }, () => pong('x'))), write(text('here'))],
    expect: { messages: ['here'], outcome: works },
  },
  {
    id: `${AREA}/pong/wrong-payload`,
    area: AREA,
    title: 'a ping of the client gets pongs it never asked for, then its own',
    rfc: '5.5.3',
    script: () => [
      client((connection) => {
        connection.ping(Buffer.from('mine'));
      }),
      { kind: 'await', pings: 1 },
      write([pong('other'), pong(), pong('mine'), pong('mine')]),
      sync,
    ],
    expect: { pings: [Buffer.from('mine')], outcome: works },
  },
  {
    id: `${AREA}/between-messages`,
    area: AREA,
    title: 'pings between messages, all in one write',
    rfc: '5.5.2',
    script: () => [write([text('a'), ping('1'), text('b'), ping('2'), text('c'), ping('3')])],
    expect: {
      messages: ['a', 'b', 'c'],
      pongs: ['1', '2', '3'],
      lastPongSuffices: true,
      outcome: works,
    },
  },
  {
    id: `${AREA}/utf8-free`,
    area: AREA,
    title: 'a ping payload need not be UTF-8, and looks like a Close in vain',
    rfc: '5.5.2',
    script: () => [
      write(ping(Buffer.from('8802ffff', 'hex'))),
      write(ping(Buffer.from('c0', 'hex'))),
    ],
    expect: {
      pongs: [Buffer.from('8802ffff', 'hex'), Buffer.from('c0', 'hex')],
      lastPongSuffices: true,
      outcome: works,
    },
  },
  {
    id: `${AREA}/while-sending`,
    area: AREA,
    title: 'a ping while the client sends a large message is answered between frames',
    rfc: '5.5.2',
    echo: false,
    script: () => [
      client((connection) => {
        connection.send(noise(300_000));
      }),
      write(ping('meanwhile')),
      echoes(1),
    ],
    expect: { sent: () => [noise(300_000)], pongs: ['meanwhile'], outcome: works },
  },
];

function fromClient(size: number): Case {
  const data = noise(size);
  return {
    id: `${AREA}/client/${String(size)}`,
    area: AREA,
    title: `a ping of ${String(size)} octets by the client`,
    rfc: '5.5.2',
    script: () => [
      client((connection) => {
        connection.ping(data);
      }),
      { kind: 'await', pings: 1 },
      write(pong(data)),
    ],
    expect: { pings: [data], outcome: works },
  };
}

const SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 63, 64, 100, 123, 124, 125];

export const pings: readonly Case[] = [
  ...SIZES.map((size) => payload(size)),
  ...[0, 1, 124, 125].map((size) => payload(size, 1)),
  ...[2, 3].map((chop) => payload(125, chop)),
  ...[126, 127, 65_536].flatMap((size) =>
    [false, true].flatMap((headerOnly) => [
      tooLong('ping', size, headerOnly, Opcode.ping),
      tooLong('pong', size, headerOnly, Opcode.pong),
    ]),
  ),
  ...[2, 10, 100, 1000].map((count) => many(count)),
  many(10, 1),
  many(50, 7),
  ...single,
  ...[0, 1, 124, 125].map(fromClient),
];
