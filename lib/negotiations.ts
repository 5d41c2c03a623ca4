/**
 * The parameters of permessage-deflate: the offer, and the server's answer (RFC 7692 section 7.1).
 * @packageDocumentation
 */
import { mustBe, trimField } from './values.js';

/** The parameters that were negotiated. */
export interface DeflateParameters {
  /** Whether the server keeps no window from message to message: `server_no_context_takeover`. */
  readonly serverForgets?: boolean | undefined;
  /** Whether we keep none: `client_no_context_takeover`. */
  readonly clientForgets?: boolean | undefined;
  /** Bits of the server's window, 8 to 15. */
  readonly serverBits: number;
  /** Bits of our window, 8 to 15. */
  readonly clientBits: number;
}

/** Those written in an offer, or in the answer to it. */
type Written = Partial<DeflateParameters>;

/** What `compression: { … }` takes. */
export interface CompressionOptions {
  /**
   * Asks the server to keep no window from message to message: less memory, less compression.
   * @default false
   */
  serverNoContextTakeover?: boolean | undefined;
  /**
   * Tells the server that we keep no window from message to message.
   * @default false
   */
  clientNoContextTakeover?: boolean | undefined;
  /**
   * Asks the server for a window of at most 2 to the power of this many bytes, 8 to 15.
   * @default 15
   */
  serverMaxWindowBits?: number | undefined;
  /**
   * Bounds our window to 2 to the power of this many bytes, 8 to 15; `true` leaves it to the
   * server, `false` leaves it out of the offer.
   * @default true
   */
  clientMaxWindowBits?: number | boolean | undefined;
  /**
   * Bytes below which a message goes out as it is.
   * @default 1024 where we keep no window from message to message, else 0
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

/** The beginning of all field names of RFC 6455. */
export const SEC = 'Sec-WebSocket-';
/** The field that offers extensions, and tells those chosen. */
export const EXTENSIONS = `${SEC}Extensions`;

const NAME = 'permessage-deflate';
const NO_TAKEOVER = '_no_context_takeover';
const MAX_BITS = '_max_window_bits';
/** The side, whether it is about bits, and their number: bare, or quoted (RFC 6455 section 9.1). */
const PARAMETER =
  /^(server|client)_(?:no_context_takeover|(max_window_bits)(?:[\t ]*=[\t ]*(?:([89]|1[0-5])|"(\\?[89]|\\?1\\?[0-5])"))?)$/;

/** The offer that the options ask for, as the field carries it. */
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

/**
 * Takes an element of Sec-WebSocket-Extensions apart.
 * @param isAnswer whether it comes from the server
 * @returns undefined where it is no permessage-deflate as RFC 7692 has it
 */
function parse(element: string, isAnswer: boolean): Written | undefined {
  const [name, ...parameters] = element.split(';').map(trimField);
  const found: Record<string, number | boolean> = {};
  for (const parameter of parameters) {
    const [, side, isBits, bare, quoted] = PARAMETER.exec(parameter) ?? [];
    const bits = bare ?? quoted?.replaceAll('\\', '');
    const key = `${side}${isBits ? 'Bits' : 'Forgets'}`;
    // Only in our offer, for our window, may the number be left out: any will do.
    if (!side || key in found || (isBits && !bits && (isAnswer || side === 'server'))) {
      return undefined;
    }
    found[key] = isBits ? Number(bits ?? 15) : true;
  }
  return name === NAME ? found : undefined;
}

/**
 * Takes the offers apart that stand in a request.
 * @throws TypeError for an extension that is not spoken here
 */
export function parseOffers(offers: readonly string[]): Written[] {
  return offers.map((offer) => {
    const parameters = parse(offer, false);
    if (!parameters) {
      throw mustBe(EXTENSIONS, `left out, or ${NAME} with valid parameters`, offer);
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
  offers: readonly Written[],
): DeflateParameters | undefined {
  const accepted = parse(answer, true);
  if (!accepted) return undefined;
  const { serverForgets, clientForgets, serverBits = 15, clientBits } = accepted;
  const offer = offers.find(
    (one) =>
      (serverForgets ?? !one.serverForgets) &&
      serverBits <= (one.serverBits ?? 15) &&
      // Our own window may be bounded only where that was offered, and not beyond.
      (clientBits ?? 0) <= (one.clientBits ?? 0),
  );
  return (
    offer && {
      serverForgets,
      // What we offered of ourselves holds, whether or not the server repeats it.
      clientForgets: clientForgets ?? offer.clientForgets,
      serverBits,
      clientBits: clientBits ?? offer.clientBits ?? 15,
    }
  );
}
