/**
 * The numbers of the protocol, by name. Mirrors `aiowebsocket/enumerations.py`.
 * @packageDocumentation
 */

/** Where a connection is in its life. It only ever moves down this list. */
export enum SocketState {
  /** Made, not connected yet. */
  zero = -1,
  /** `createConnection()` is at work: DNS, TCP, TLS, opening handshake. */
  connecting = 0,
  /** Messages flow. */
  opened = 1,
  /** It is ending, with or without a Close frame (RFC 6455 section 7.1.3): nothing can be sent. */
  closing = 2,
  /** Nothing is left: no socket, no timer. */
  closed = 3,
}

/** Opcodes of data frames (RFC 6455 section 5.6). */
export enum DataFrames {
  /** A further fragment of the message that is under way. */
  cont = 0x0,
  /** UTF-8 text. */
  text = 0x1,
  /** Bytes. */
  binary = 0x2,
}

/** Opcodes of control frames (RFC 6455 section 5.5). */
export enum ControlFrames {
  /** The connection is to be closed (section 5.5.1). */
  close = 0x8,
  /** Asks for a pong (section 5.5.2). */
  ping = 0x9,
  /** Answers a ping, or is sent unasked (section 5.5.3). */
  pong = 0xa,
}

/** Codes of a Close frame (RFC 6455 section 7.4.1 and the IANA registry). */
export enum StatusCodes {
  /** CLOSE_NORMAL: the purpose of the connection has been fulfilled. */
  normal = 1000,
  /** CLOSE_GOING_AWAY: a server goes down, or a page is left. */
  goingAway = 1001,
  /** CLOSE_PROTOCOL_ERROR: the peer broke the protocol. */
  protocolError = 1002,
  /** CLOSE_UNSUPPORTED: a type of data that cannot be accepted. */
  unsupportedData = 1003,
  /** Reserved; never on the wire. */
  reserved = 1004,
  /** CLOSE_NO_STATUS: an empty Close frame came; never on the wire. */
  noStatus = 1005,
  /** CLOSE_ABNORMAL: the connection ended without a Close frame; never on the wire. */
  abnormal = 1006,
  /** Invalid frame payload data, such as text that is not UTF-8. */
  invalidPayload = 1007,
  /** A message that violates a policy. */
  policyViolation = 1008,
  /** CLOSE_TOO_LARGE: a message too big to process. */
  messageTooBig = 1009,
  /** The client wanted an extension that the server did not negotiate. */
  missingExtension = 1010,
  /** An unexpected condition. */
  internalError = 1011,
  /** The server restarts. */
  serviceRestart = 1012,
  /** The server is overloaded. */
  tryAgainLater = 1013,
  /** A gateway got an invalid response. */
  badGateway = 1014,
  /** TLS failed; never on the wire. */
  tlsHandshake = 1015,
}

const STATUS_TEXTS: Readonly<Record<number, readonly [name: string, text: string]>> = {
  1000: ['CLOSE_NORMAL', 'normal closure'],
  1001: ['CLOSE_GOING_AWAY', 'the endpoint is going away'],
  1002: ['CLOSE_PROTOCOL_ERROR', 'protocol error'],
  1003: ['CLOSE_UNSUPPORTED', 'a type of data that cannot be accepted'],
  1004: ['RESERVED', 'reserved'],
  1005: ['CLOSE_NO_STATUS', 'no status code in the Close frame'],
  1006: ['CLOSE_ABNORMAL', 'the connection ended without a Close frame'],
  1007: ['UNSUPPORTED_DATA', 'payload data that contradict the message type'],
  1008: ['POLICY_VIOLATION', 'policy violation'],
  1009: ['CLOSE_TOO_LARGE', 'message too big'],
  1010: ['MISSING_EXTENSION', 'a required extension was not negotiated'],
  1011: ['INTERNAL_ERROR', 'unexpected condition'],
  1012: ['SERVICE_RESTART', 'service restart'],
  1013: ['TRY_AGAIN_LATER', 'try again later'],
  1014: ['BAD_GATEWAY', 'bad gateway'],
  1015: ['TLS_HANDSHAKE', 'TLS handshake failed'],
};

const STATUS_RANGES: readonly (readonly [last: number, name: string, text: string])[] = [
  [999, 'NOT_USED', 'not used'],
  [2999, 'PROTOCOL', 'reserved for the protocol and its extensions'],
  [3999, 'REGISTERED', 'registered by a library, framework or application'],
  [4999, 'PRIVATE', 'private use'],
];

const status = (code: number): readonly [name: string, text: string] => {
  const range = STATUS_RANGES.find(([last]) => code <= last);
  return (
    STATUS_TEXTS[code] ?? (code >= 0 && range ? [range[1], range[2]] : ['UNKNOWN', 'out of range'])
  );
};

/**
 * The name of a close code, as in the original's table: `statusName(1000)` is `'CLOSE_NORMAL'`.
 * Codes without a name of their own get that of their range; any other number is `'UNKNOWN'`.
 */
export function statusName(code: number): string {
  return status(code)[0];
}

/**
 * What a close code means: `describeStatus(1009)` is `'message too big'`. A number that is none is
 * `'out of range'`.
 */
export function describeStatus(code: number): string {
  return status(code)[1];
}

/**
 * Whether a Close frame may carry this code, in either direction: 1000–1003, 1007–1014 and
 * 3000–4999 (RFC 6455 section 7.4).
 */
export function isCloseCode(code: number): boolean {
  return (
    Number.isInteger(code) &&
    ((code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
      (code >= 3000 && code <= 4999))
  );
}
