/**
 * Every option, its default, and its check.
 * @packageDocumentation
 */
import type { LookupFunction } from 'node:net';
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import type { DataFrames } from './enumerations.js';
import type { CompressionOptions } from './negotiations.js';
import {
  describeValue,
  isString,
  isWithin,
  mustBe,
  ownOf,
  wrongNumber,
  wrongType,
} from './values.js';

/** Header fields by name; a list of values is sent as that many fields. */
export type HeaderFields = Readonly<Record<string, string | number | readonly string[]>>;

/** Fields to put in place of others, or to leave out (`null`). */
export type UnionFields = Readonly<Record<string, string | number | readonly string[] | null>>;

/** What Node's `tls.connect` takes, apart from where to connect. */
export type TlsOptions = Omit<
  TlsConnectionOptions,
  'host' | 'port' | 'path' | 'socket' | 'lookup' | 'timeout' | 'onread' | 'allowHalfOpen'
>;

/** Limits on the memory that a peer can make this side spend; checked before it is. */
export interface LimitOptions {
  /**
   * Most bytes of one message, after inflation; at least 1. One more fails the connection with a
   * FrameError: the server is told 1009, `close` has 1006.
   * @default 67_108_864 (64 MiB)
   */
  maxPayload?: number | undefined;
  /**
   * Most frames of one message, empty ones included; at least 1. One more fails the connection with
   * a FrameError: the server is told 1008, `close` has 1006.
   * @default 131_072
   */
  maxFragments?: number | undefined;
  /**
   * Most messages waiting for `receive()`; at least 1. When full, reading pauses until half are
   * taken.
   * @default 65_536
   */
  maxQueue?: number | undefined;
  /**
   * Most payload bytes waiting for `receive()`; at least 1. When full, reading pauses until half
   * are taken.
   * @default 16_777_216 (16 MiB)
   */
  maxQueueBytes?: number | undefined;
}

/** What {@link Converse} takes. */
export interface ConverseOptions extends LimitOptions {
  /**
   * Bytes that may wait to be sent before `send()` waits for `drain`; at least 1.
   * @default 1_048_576 (1 MiB)
   */
  highWaterMark?: number | undefined;
  /**
   * Whether each ping is answered with a pong (RFC 6455 section 5.5.2).
   * @default true
   */
  autoPong?: boolean | undefined;
  /**
   * Milliseconds of silence after which a ping is sent; 0: never.
   * @default 30_000
   */
  pingInterval?: number | undefined;
  /**
   * Milliseconds after such a ping within which a byte must come, else the connection ends with
   * 1006 and a TimeoutError; 0: no such limit.
   * @default 20_000
   */
  pongTimeout?: number | undefined;
  /**
   * Milliseconds without a single byte after which the connection ends with 1006 and a
   * TimeoutError; 0: no such limit. The original's `read_timeout`.
   * @default 120_000
   */
  readTimeout?: number | undefined;
  /**
   * Milliseconds for the closing handshake, from the call to the end of the TCP connection; then
   * the socket is destroyed; at least 1. `afterClose` may take as long again; and where the
   * connection has ended, or its queue is full beside a listener, so long is waited for a pull.
   * @default 10_000
   */
  closeTimeout?: number | undefined;
}

/** What {@link HandShake} takes. */
export interface HandShakeOptions {
  /**
   * The request's fields. A list of lines (`'Name: value'`) goes out byte for byte, with its own
   * request line where it starts with one; an object's fields go out in its order, and required
   * ones that it lacks are added.
   * @default the original's request: Host, Connection, Upgrade, User-Agent, Origin, key and version
   */
  headers?: readonly string[] | HeaderFields | undefined;
  /**
   * Fields that replace those of the same name, in place, or are appended; `null` removes one.
   * The original's `union_header`.
   * @default none
   */
  unionHeader?: UnionFields | undefined;
  /**
   * The Origin field; `false` sends none.
   * @default the URI's own: `http://host` for ws, `https://host` for wss
   */
  origin?: string | false | undefined;
  /** Subprotocols to offer, the preferred first (RFC 6455 section 1.9). @default none */
  protocols?: readonly string[] | undefined;
  /**
   * Offers permessage-deflate (RFC 7692): `true`, or how. Unlike with browsers and `ws` it is off
   * unless asked for, so that the request is the original's.
   * @default false
   */
  compression?: boolean | CompressionOptions | undefined;
  /**
   * Most bytes of the response's status line and fields; at least 1.
   * @default 65_536
   */
  maxHeadBytes?: number | undefined;
  /**
   * Most fields of the response; at least 1.
   * @default 256
   */
  maxHeadFields?: number | undefined;
}

/** How to open the byte stream. */
export interface TransportOptions {
  /**
   * TLS options for a `wss` URI (`ca`, `cert`, `key`, `servername`, `rejectUnauthorized`…), or
   * `true`. Certificates are verified unless `rejectUnauthorized` is `false`.
   * @default true for wss
   */
  ssl?: boolean | TlsOptions | undefined;
  /**
   * Resolves host names, as `dns.lookup` does: gives one address, or a list. @default `dns.lookup`
   */
  lookup?: LookupFunction | undefined;
  /** IP version: 4, 6, or 0 for both. @default 0 */
  family?: 0 | 4 | 6 | undefined;
  /**
   * Milliseconds for each address of a host with several, but for the last one, before the next is
   * tried; at least 10. More for a server that is far away. @default Node's own
   */
  autoSelectFamilyAttemptTimeout?: number | undefined;
  /**
   * The local IP address to connect from; looked at when connecting. @default the system's choice
   */
  localAddress?: string | undefined;
}

/** Options of `send()`. */
export interface SendOptions {
  /**
   * `false`: a piece of a message that is not whole yet. A later call with `fin` or with
   * `code: DataFrames.cont` goes on with it; other messages wait until it is whole.
   * @default true
   */
  fin?: boolean | undefined;
  /**
   * Sends bytes as text, a string as binary, or a piece as a continuation.
   * @default DataFrames.text for a string, DataFrames.binary for anything else
   */
  code?: DataFrames | undefined;
  /**
   * Whether to compress this message, where compression was negotiated; of a message in pieces the
   * first one decides.
   * @default from the option `compression.threshold` bytes up
   */
  compress?: boolean | undefined;
}

/** Options of `receive()`. */
export interface ReceiveOptions {
  /**
   * `true`: always a string; `false`: always a Buffer, the original's default.
   * @default text gives a string, binary a Buffer
   */
  text?: boolean | undefined;
  /**
   * Milliseconds to wait at most; then a TimeoutError, and no message is lost. 0: only what already
   * waits.
   * @default no limit
   */
  timeout?: number | undefined;
  /** Stops waiting, with `signal.reason`; no message is lost. @default none */
  signal?: AbortSignal | undefined;
}

/** Options of `receiveStream()`. */
export interface StreamOptions {
  /**
   * Most bytes of this message: it need not fit into memory.
   * @default the option `maxPayload`
   */
  maxPayload?: number | undefined;
}

/** The longest delay of Node's timers, in milliseconds. */
export const LONGEST_TIMER = 2_147_483_647;

/** Options with a number: the default, the least and the most. */
const NUMBERS = {
  timeout: [30_000, 0, LONGEST_TIMER],
  readTimeout: [120_000, 0, LONGEST_TIMER],
  pingInterval: [30_000, 0, LONGEST_TIMER],
  pongTimeout: [20_000, 0, LONGEST_TIMER],
  closeTimeout: [10_000, 1, LONGEST_TIMER],
  maxPayload: [67_108_864],
  maxFragments: [131_072],
  maxQueue: [65_536],
  maxQueueBytes: [16_777_216],
  highWaterMark: [1_048_576],
  maxHeadBytes: [65_536],
  maxHeadFields: [256],
} as const;

type Range = readonly [byDefault: number, least?: number, most?: number];

/** Each option with a number, in its unit. */
export type Numbers = Readonly<Record<keyof typeof NUMBERS, number>>;

type NumberOptions = Partial<Record<keyof Numbers, number | undefined>>;

/** One object for all connections that have no numbers of their own. */
let defaults: Numbers | undefined;

/** All options with a number, or their defaults. */
const numberOptions = (options: NumberOptions): Numbers =>
  Object.fromEntries(
    Object.entries(NUMBERS).map(([name, [byDefault]]) => [
      name,
      options[name as keyof Numbers] ?? byDefault,
    ]),
  ) as Numbers;

/** Of those who have been given none. */
export const NO_OPTIONS: object = Object.freeze(ownOf());

/** What each option must be, in words or as a range; what has neither is checked elsewhere. */
type Kinds = Readonly<Record<string, string | Range | undefined>>;

const KINDS: Kinds = {
  ...NUMBERS,
  headers: 'array or object',
  compression: 'boolean or object',
  unionHeader: 'object',
  origin: 'string or false',
  protocols: 'array',
  ssl: 'boolean or object',
  lookup: 'function',
  family: '0 or 4 or 6',
  autoSelectFamilyAttemptTimeout: [250, 10, LONGEST_TIMER],
  localAddress: 'string',
  autoPong: 'a boolean',
  handShake: 'function',
};

/** The options of Frames. */
export const FRAMES_KINDS: Kinds = { ...KINDS, extension: 'object' };

const COMPRESSION_KINDS: Kinds = {
  serverNoContextTakeover: 'a boolean',
  clientNoContextTakeover: 'a boolean',
  serverMaxWindowBits: [15, 8, 15],
  clientMaxWindowBits: 'boolean or 8 or 9 or 10 or 11 or 12 or 13 or 14 or 15',
  threshold: [0, 0],
  level: [-1, -1, 9],
  memLevel: [8, 1, 9],
};

/** The options of calls. */
export const SEND_KINDS: Kinds = { fin: 'a boolean', compress: 'a boolean', code: undefined };
export const STREAM_KINDS: Kinds = { maxPayload: NUMBERS.maxPayload };
export const SIGNAL_KINDS: Kinds = { signal: 'an AbortSignal' };
export const RECEIVE_KINDS: Kinds = {
  text: 'a boolean',
  timeout: NUMBERS.timeout,
  ...SIGNAL_KINDS,
};

/** Whether a value is of one of the kinds: a type, or a number or boolean as it prints. */
const isOf = (kinds: string, value: unknown): boolean =>
  kinds.includes(typeOf(value)) || kinds.split(' or ').includes(describeValue(value));

/**
 * The type as KINDS has it; `?` for a Map or Headers, whose entries are no properties, and for
 * null.
 */
function typeOf(value: unknown): string {
  if (typeof value !== 'object') return typeof value;
  if (Array.isArray(value)) return 'array';
  // By what it has: where a DOM has been put in Node's place there are two classes of them.
  if ((value as AbortSignal | null)?.throwIfAborted) return 'AbortSignal';
  return value && !(Symbol.iterator in value) ? 'object' : '?';
}

/** @throws a TypeError or RangeError that names the option, what was expected, and what came */
function checkValue(name: string, kind: string | Range, value: unknown): void {
  if (isString(kind)) {
    if (isOf(kind, value)) return;
    // Text in place of fields may hold secrets: it is not shown.
    const isText = isString(value) && /^(array|object)/.test(kind);
    const wrong = /\d/.test(kind) ? wrongNumber(value) : wrongType;
    throw mustBe(name, kind, isText ? Object(value) : value, wrong);
  }
  const [, least = 1, most = Number.MAX_SAFE_INTEGER] = kind;
  if (isWithin(value, least, most)) return;
  const unit = most === LONGEST_TIMER ? ' of milliseconds' : '';
  const expected = `an integer${unit} from ${least} to ${most}`;
  throw mustBe(name, expected, value, wrongNumber(value));
}

/**
 * Checks the names, and the values whose kind is told. Inherited properties are no options.
 * @returns a copy of the options
 * @throws TypeError or RangeError
 */
export function checkKinds<T extends object>(options: T, known: Kinds, where = ''): T {
  if (options === NO_OPTIONS) return options;
  if (typeOf(options) !== 'object') throw mustBe('options', 'an object', options);
  const own = ownOf(options);
  for (const [name, value] of Object.entries(own as Record<string, unknown>)) {
    if (!Object.hasOwn(known, name)) {
      const names = Object.keys(known).sort().join(', ');
      throw wrongType(`${JSON.stringify(where + name)} is no option; known are ${names}`);
    }
    const kind = known[name];
    if (kind && value !== undefined) checkValue(where + name, kind, value);
  }
  return own;
}

/**
 * Checks names and values, once, at the edge.
 * @returns all options with a number, or their defaults
 * @throws TypeError or RangeError
 */
export function checkOptions(options: NumberOptions & HandShakeOptions, kinds = KINDS): Numbers {
  const own = checkKinds(options, kinds);
  const { compression } = own;
  if (compression) checkKinds(Object(compression) as object, COMPRESSION_KINDS, 'compression.');
  const given = Object.keys(own).some((name) => name in NUMBERS);
  return given ? numberOptions(own) : (defaults ??= numberOptions(NO_OPTIONS));
}
