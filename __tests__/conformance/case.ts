// What a case is: a record of what the server does and what the client has to do about it.
import type { ClientOptions, Connection } from './adapter.js';
import type { DeflateParameters } from './deflate.js';
import type { Request } from './http.js';
import type { Message } from './wire.js';

export const AREAS = [
  'framing',
  'pings',
  'reserved',
  'opcodes',
  'fragmentation',
  'utf8',
  'close',
  'limits',
  'sending',
  'deflate',
  'handshake',
] as const;

export type Area = (typeof AREAS)[number];

/** One thing the server does. The runner takes them in order. */
export type Step =
  /** Write octets, in pieces of `chop` with a turn of the event loop after each. */
  | { readonly kind: 'write'; readonly bytes: Buffer; readonly chop?: number | undefined }
  /** Ping, and wait for that pong: what went before has been read, and the client lives. */
  | { readonly kind: 'sync' }
  /** Wait until the client has sent so many of each since the handshake. */
  | {
      readonly kind: 'await';
      readonly messages?: number;
      readonly pings?: number;
      readonly close?: true;
    }
  /** Wait, and require that the client does not close meanwhile. */
  | { readonly kind: 'calm'; readonly ms: number }
  /** Have the client do something. */
  | { readonly kind: 'client'; readonly run: (connection: Connection) => void }
  /** Wait until the client has seen so many messages. */
  | { readonly kind: 'delivered'; readonly messages: number }
  /** Write `bytes` again and again until the client goes; more than `limit` octets taken is a failure. */
  | { readonly kind: 'flood'; readonly bytes: Buffer; readonly limit: number }
  /** End the server's side of the TCP connection. */
  | { readonly kind: 'fin' }
  /** Reset the TCP connection. */
  | { readonly kind: 'reset' };

/**
 * When a client must fail. The server sends nothing after the octets that are wrong and keeps
 * the connection open, so a client that waits for more never fails, and is caught.
 */
export type When =
  | 'at the header'
  | 'at the length'
  | 'at the octet'
  | 'at the end of the frame'
  | 'at the end of the message';

/** What the server does once the client has failed the connection. */
export type AfterFailure =
  /** Answer the Close and end TCP. */
  | 'answer'
  /** Nothing: the client must end TCP by itself within its close time-out. */
  | 'silence'
  /** Go on sending whole messages, which must not be delivered. */
  | 'flood';

/** How a case must end. */
export type Outcome =
  /** The connection still works: every message and pong came, and a Close is answered. */
  | { readonly kind: 'works' }
  /** The client fails the connection: a Close with one of `codes`, then the end of TCP. */
  | {
      readonly kind: 'fails';
      readonly codes: readonly number[];
      readonly when: When;
      readonly after?: AfterFailure;
    }
  /** A closing handshake: the client's Close has one of `sends`, and it reports one of `reports`. */
  | {
      readonly kind: 'closes';
      readonly sends: readonly (number | undefined)[];
      readonly reports: readonly number[];
      /** The reason the client has to report. */
      readonly reason?: string;
      /** Milliseconds the server takes to end TCP; the client must not end it first. */
      readonly patience?: number;
      /** The server never ends TCP; the client must. */
      readonly silent?: true;
    }
  /** TCP ends without a Close from the server. */
  | { readonly kind: 'drops'; readonly reports: readonly number[] }
  /** The opening handshake fails, nothing is sent after it, and TCP ends. */
  | { readonly kind: 'refuses' }
  /** The RFCs leave it open: as `refuses`, or as `works`. */
  | { readonly kind: 'either' };

export interface Expectation {
  /** What the application must be shown, in order and no more. */
  readonly messages?: readonly Message[] | (() => readonly Message[]);
  /** The server may receive these instead of an echo of each message. */
  readonly sent?: readonly Message[] | (() => readonly Message[]);
  /** Payloads of the pongs to come, in order. */
  readonly pongs?: readonly (Buffer | string)[];
  /** RFC 6455 section 5.5.3: of pings that arrive together only the last need be answered. */
  readonly lastPongSuffices?: true;
  /** Payloads of the client's own pings. */
  readonly pings?: readonly Buffer[];
  /** The subprotocol the client must report. */
  readonly protocol?: string;
  readonly outcome: Outcome;
}

export interface Case {
  /** Area and name, unique: 'utf8/invalid/overlong-c0-80/octets'. */
  readonly id: string;
  readonly area: Area;
  readonly title: string;
  /** Where the RFC says so; 6455 unless it names another. */
  readonly rfc: string;
  /** Only with `--all`. @default false */
  readonly long?: boolean;
  /** Large: run after the others and by twos. @default false */
  readonly heavy?: boolean;
  readonly options?: ClientOptions;
  /** What the client's messages are inflated with; agreeing to it is up to `opening`. */
  readonly deflate?: DeflateParameters;
  /** What answers the request. @default the right response */
  readonly opening?: (request: Request) => readonly Step[];
  /** Run the script without waiting for the client to be open. */
  readonly glued?: true;
  /** After the opening. Made when the case runs, so that it may be large. */
  readonly script?: () => readonly Step[];
  /** Whether the client sends every message back. @default true */
  readonly echo?: boolean;
  readonly expect: Expectation;
  /** Milliseconds each wait may take. @default 15,000 */
  readonly patience?: number;
}

export function write(bytes: Buffer | readonly Buffer[], chop?: number): Step {
  return { kind: 'write', bytes: Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes), chop };
}

export const sync: Step = { kind: 'sync' };
export const fin: Step = { kind: 'fin' };
export const reset: Step = { kind: 'reset' };
export const closed: Step = { kind: 'await', close: true };

export function echoes(messages: number): Step {
  return { kind: 'await', messages };
}

export function calm(ms: number): Step {
  return { kind: 'calm', ms };
}

export function client(run: (connection: Connection) => void): Step {
  return { kind: 'client', run };
}

export const works: Outcome = { kind: 'works' };
export const refuses: Outcome = { kind: 'refuses' };
export const either: Outcome = { kind: 'either' };

export function fails(
  codes: number | readonly number[],
  when: When,
  after?: AfterFailure,
): Outcome {
  const list = typeof codes === 'number' ? [codes] : codes;
  return { kind: 'fails', codes: list, when, ...(after === undefined ? {} : { after }) };
}

export function drops(...reports: number[]): Outcome {
  return { kind: 'drops', reports: reports.length === 0 ? [1006] : reports };
}

/** One line for a table or a report. */
export function describeOutcome(outcome: Outcome): string {
  const list = (codes: readonly (number | undefined)[]): string =>
    codes.map((code) => (code === undefined ? 'an empty Close' : String(code))).join(' or ');
  switch (outcome.kind) {
    case 'works':
      return 'the connection goes on working';
    case 'fails':
      return `the client fails the connection with ${list(outcome.codes)}, ${outcome.when}`;
    case 'closes':
      return `the client sends ${list(outcome.sends)} and reports ${list(outcome.reports)}`;
    case 'drops':
      return `the client reports ${list(outcome.reports)}`;
    case 'refuses':
      return 'the opening handshake fails and nothing is sent after it';
    case 'either':
      return 'the opening handshake fails, or the connection works';
  }
}
