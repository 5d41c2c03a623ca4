/**
 * What permessage-deflate is offered with, and what the server may answer (RFC 7692 section 7.1).
 * @packageDocumentation
 */
import { mustBe, trimField, wrongType } from './values.js';

/** Parameters of an offer, or of the answer to it. */
export interface DeflateParameters {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  /** Bits of the server's window, 8 to 15. */
  readonly serverMaxWindowBits: number;
  /** Bits of our window, 8 to 15; 0 where it is not offered. */
  readonly clientMaxWindowBits: number;
}

/** What `compression: { … }` takes. */
export interface CompressionOptions {
  /**
   * Asks the server to forget between messages: less memory, less compression.
   * @default false
   */
  serverNoContextTakeover?: boolean | undefined;
  /**
   * Tells the server that we forget between messages.
   * @default false
   */
  clientNoContextTakeover?: boolean | undefined;
  /**
   * Asks the server for a window of at most 2 to this many bytes, 8 to 15.
   * @default 15
   */
  serverMaxWindowBits?: number | undefined;
  /**
   * Bounds our window to 2 to this many bytes, 8 to 15; `true` leaves it to the server, `false`
   * leaves it out of the offer.
   * @default true
   */
  clientMaxWindowBits?: number | boolean | undefined;
  /**
   * Bytes below which a message goes out as it is.
   * @default 1024 where we forget between messages, else 0
   */
  threshold?: number | undefined;
  /**
   * zlib's level, -1 to 9.
   * @default -1, which is 6
   */
  level?: number | undefined;
  /**
   * zlib's memory level, 1 to 9.
   * @default 8
   */
  memLevel?: number | undefined;
}

/** Least, and most, of each option that is a number. */
const RANGES = new Map<string, readonly [least: number, most: number]>([
  ['serverMaxWindowBits', [8, 15]],
  ['clientMaxWindowBits', [8, 15]],
  ['threshold', [0, Number.MAX_SAFE_INTEGER]],
  ['level', [-1, 9]],
  ['memLevel', [1, 9]],
]);

const NAME = 'permessage-deflate';
const NO_TAKEOVER = '_no_context_takeover';
const MAX_BITS = '_max_window_bits';
const KNOWN = /^(server|client)_(no_context_takeover|max_window_bits)$/;

/**
 * Checks the option `compression`.
 * @throws TypeError that names what is wrong
 */
export function checkCompression(options: object): void {
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    const what = `compression.${name}`;
    const [least, most] = RANGES.get(name) ?? [1, 0];
    const flag = name.endsWith('NoContextTakeover');
    if (!flag && most === 0) throw wrongType(`${what} is no option`);
    if (
      value === undefined ||
      (typeof value === 'boolean' && (flag || name.startsWith('client')))
    ) {
      continue;
    }
    if (!Number.isInteger(value) || !((value as number) >= least && (value as number) <= most)) {
      throw mustBe(what, flag ? 'a boolean' : `an integer from ${least} to ${most}`, value);
    }
  }
}

/** The offer that the options ask for. */
export function offerOf(options: CompressionOptions): string {
  const { clientMaxWindowBits: bits = true, serverMaxWindowBits: serverBits = 15 } = options;
  return [
    NAME,
    options.serverNoContextTakeover && `server${NO_TAKEOVER}`,
    options.clientNoContextTakeover && `client${NO_TAKEOVER}`,
    serverBits < 15 && `server${MAX_BITS}=${serverBits}`,
    bits && `client${MAX_BITS}${bits === true ? '' : `=${bits}`}`,
  ]
    .filter(Boolean)
    .join('; ');
}

/** A value may stand in quotes (RFC 6455 section 9.1). */
const unquote = (value: string): string =>
  /^".*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;

/**
 * Takes an element of Sec-WebSocket-Extensions apart.
 * @param isAnswer whether it comes from the server
 * @returns undefined where it is no permessage-deflate as RFC 7692 has it
 */
function parse(element: string, isAnswer: boolean): DeflateParameters | undefined {
  const [name, ...parameters] = element.split(';').map(trimField);
  const found = new Map<string, string | undefined>();
  for (const parameter of parameters) {
    const at = parameter.indexOf('=');
    const key = at < 0 ? parameter : trimField(parameter.slice(0, at));
    const value = at < 0 ? undefined : unquote(trimField(parameter.slice(at + 1)));
    const isBits = key.endsWith(MAX_BITS);
    const valid = isBits
      ? /^([89]|1[0-5])$/.test(value ?? (isAnswer || key !== `client${MAX_BITS}` ? '' : '15'))
      : key.endsWith(NO_TAKEOVER) && value === undefined;
    if (!valid || !KNOWN.test(key) || found.has(key)) return undefined;
    found.set(key, value);
  }
  const bits = (side: string, byDefault: number): number =>
    found.has(side + MAX_BITS) ? Number(found.get(side + MAX_BITS) ?? 15) : byDefault;
  if (name !== NAME) return undefined;
  return {
    serverNoContextTakeover: found.has(`server${NO_TAKEOVER}`),
    clientNoContextTakeover: found.has(`client${NO_TAKEOVER}`),
    serverMaxWindowBits: bits('server', 15),
    clientMaxWindowBits: bits('client', isAnswer ? 15 : 0),
  };
}

/**
 * Takes the offers apart that stand in a request.
 * @throws TypeError for an extension that is not spoken here
 */
export function parseOffers(offers: readonly string[]): DeflateParameters[] {
  return offers.map((offer) => {
    const parameters = parse(offer, false);
    if (!parameters) {
      throw mustBe('Sec-WebSocket-Extensions', `left out, or ${NAME} with valid parameters`, offer);
    }
    return parameters;
  });
}

/**
 * Holds the server's answer to what was offered (RFC 7692 section 7.1).
 * @returns undefined where it fits none of the offers
 */
export function parseAnswer(
  answer: string,
  offers: readonly DeflateParameters[],
): DeflateParameters | undefined {
  const accepted = parse(answer, true);
  const fits = (offer: DeflateParameters): boolean =>
    accepted !== undefined &&
    (accepted.serverNoContextTakeover || !offer.serverNoContextTakeover) &&
    accepted.serverMaxWindowBits <= offer.serverMaxWindowBits &&
    // Our own window may be bounded only where that was offered, and not beyond.
    (accepted.clientMaxWindowBits <= offer.clientMaxWindowBits ||
      !answer.includes(`client${MAX_BITS}`));
  const offer = offers.find(fits);
  return (
    accepted &&
    offer && {
      ...accepted,
      // What we offered of ourselves holds, whether or not the server repeats it.
      clientNoContextTakeover: accepted.clientNoContextTakeover || offer.clientNoContextTakeover,
      clientMaxWindowBits: Math.min(accepted.clientMaxWindowBits, offer.clientMaxWindowBits || 15),
    }
  );
}
