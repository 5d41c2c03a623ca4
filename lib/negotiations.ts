/**
 * The parameters of permessage-deflate: the offer, and the server's answer (RFC 7692 section 7.1).
 * @packageDocumentation
 */
import { mustBe, ownOf, trimField } from './values.js';

/** What holds for the messages of one side. */
interface Side {
  /** Whether it keeps no window from message to message: `…_no_context_takeover`. */
  _forgets?: boolean | undefined;
  /** Bits of its window, 8 to 15, where they are told: `…_max_window_bits`. */
  _bits?: number | undefined;
}

/** The parameters that were negotiated, or that are written in an offer or an answer. */
export interface DeflateParameters {
  readonly _server: Side;
  readonly _client: Side;
}

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

/** Bits of a window of which nothing is told. */
export const MOST_BITS = 15;
const NAME = 'permessage-deflate';
const NO_TAKEOVER = '_no_context_takeover';
const MAX_BITS = '_max_window_bits';
/** The side, whether it is about bits, and their number: bare, or quoted (RFC 6455 section 9.1). */
const PARAMETER =
  /^(server|client)_(?:no_context_takeover|(max_window_bits)(?:[\t ]*=[\t ]*(?:([89]|1[0-5])|"(\\?[89]|\\?1\\?[0-5])"))?)$/;

/** The offer that the option `compression` asks for, as the field carries it; empty for none. */
export function offerOf(compression: boolean | CompressionOptions | undefined): string {
  if (!compression) return '';
  const options = ownOf(compression as CompressionOptions);
  const { clientMaxWindowBits: bits = true, serverMaxWindowBits: serverBits = MOST_BITS } = options;
  return [
    NAME,
    options.serverNoContextTakeover && `server${NO_TAKEOVER}`,
    options.clientNoContextTakeover && `client${NO_TAKEOVER}`,
    serverBits < MOST_BITS && `server${MAX_BITS}=${serverBits}`,
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
function parse(element: string, isAnswer: boolean): DeflateParameters | undefined {
  const [name, ...parameters] = element.split(';').map(trimField);
  const found: DeflateParameters = { _server: {}, _client: {} };
  for (const parameter of parameters) {
    const [, of, isBits, bare, quoted] = PARAMETER.exec(parameter) ?? [];
    const side = of === 'server' ? found._server : found._client;
    const bits = bare ?? quoted?.replaceAll('\\', '');
    // Only in our offer, for our window, may the number be left out: any will do.
    const lacksBits = isBits && !bits && (isAnswer || side === found._server);
    if (!of || lacksBits || (isBits ? side._bits : side._forgets)) return undefined;
    if (isBits) side._bits = Number(bits ?? MOST_BITS);
    else side._forgets = true;
  }
  return name === NAME ? found : undefined;
}

/**
 * Takes the offers apart that stand in a request.
 * @throws TypeError for an extension that is not spoken here
 */
export function parseOffers(offers: readonly string[]): DeflateParameters[] {
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
  offers: readonly DeflateParameters[],
): DeflateParameters | undefined {
  const accepted = parse(answer, true);
  if (!accepted) return undefined;
  const { _server: server, _client: client } = accepted;
  const offer = offers.find(
    (one) =>
      (server._forgets ?? !one._server._forgets) &&
      (server._bits ?? MOST_BITS) <= (one._server._bits ?? MOST_BITS) &&
      // Our own window may be bounded only where that was offered, and not beyond.
      (client._bits ?? 0) <= (one._client._bits ?? 0),
  );
  if (!offer) return undefined;
  // What we offered of ourselves holds, whether or not the server repeats it.
  client._forgets ??= offer._client._forgets;
  client._bits ??= offer._client._bits;
  return accepted;
}
