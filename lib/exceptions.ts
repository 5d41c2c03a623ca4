/**
 * What can go wrong. Mirrors `aiowebsocket/exceptions.py`, in a tree under {@link
 * AioWebSocketError}.
 *
 * Wrong arguments are not in this tree: they are native `TypeError` and `RangeError`, with a
 * `code`.
 * @packageDocumentation
 */
import { StatusCodes } from './enumerations.js';

/**
 * How far a connection had come when it failed: `dns`, `beforeOpen` and the host's name; `tcp` and
 * `tls`, connecting; `handshake`, the opening handshake, and `afterOpen`; `open`, messages;
 * `closing`, the closing handshake.
 */
export type Phase = 'dns' | 'tcp' | 'tls' | 'handshake' | 'open' | 'closing';

/**
 * What a {@link TimeoutError} waited for: `open`, the opening (`timeout`); `read`, any byte
 * (`readTimeout`); `pong`, a pong (`pongTimeout`, or `ping()`); `receive`, a message (`timeout` of
 * `receive()`); `close`, the closing handshake (`closeTimeout`).
 */
export type TimedOperation = 'open' | 'read' | 'pong' | 'receive' | 'close';

/** The stable `code` of each error; messages may change, these do not. */
export type ErrorCode =
  | 'ERR_INVALID_URI'
  | 'ERR_INVALID_STATE'
  | 'ERR_DNS'
  | 'ERR_CONNECTION_REFUSED'
  | 'ERR_CONNECTION_RESET'
  | 'ERR_CONNECTION_LOST'
  | 'ERR_CONNECTION_FAILED'
  | 'ERR_TLS'
  | 'ERR_TIMEOUT'
  | 'ERR_HANDSHAKE_RESPONSE'
  | 'ERR_HANDSHAKE_STATUS'
  | 'ERR_HANDSHAKE_UPGRADE'
  | 'ERR_HANDSHAKE_ACCEPT'
  | 'ERR_HANDSHAKE_SUBPROTOCOL'
  | 'ERR_HANDSHAKE_EXTENSIONS'
  | 'ERR_HANDSHAKE_LIMIT'
  | 'ERR_FRAME_PROTOCOL'
  | 'ERR_FRAME_UTF8'
  | 'ERR_FRAME_PAYLOAD'
  | 'ERR_FRAME_TOO_BIG'
  | 'ERR_FRAME_TOO_MANY_FRAGMENTS'
  | 'ERR_FRAME_SOURCE'
  | 'ERR_CLOSED_OK'
  | 'ERR_CLOSED';

/** The root of every error about a connection. */
export class AioWebSocketError extends Error {
  override readonly name: string = 'AioWebSocketError';
  /** Stable and machine-readable. */
  declare readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : options);
    this.code = code;
  }
}

/** The URI is no `ws://` or `wss://` URI (RFC 6455 section 3). */
export class InvalidURI extends AioWebSocketError {
  override readonly name = 'InvalidURI';

  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_INVALID_URI', message, options);
  }
}

/** A method was called in a state that does not allow it. */
export class InvalidStateError extends AioWebSocketError {
  override readonly name = 'InvalidStateError';

  constructor(message: string) {
    super('ERR_INVALID_STATE', message);
  }
}

/** The network failed: a name that does not resolve, a refusal, TLS, a reset, an early end. */
export class ConnectionError extends AioWebSocketError {
  override readonly name = 'ConnectionError';
  /** How far the connection had come. */
  declare readonly phase: Phase;

  constructor(code: ErrorCode, message: string, phase: Phase, options?: { cause?: unknown }) {
    super(code, message, options);
    this.phase = phase;
  }
}

/** Something took longer than its option allows. */
export class TimeoutError extends AioWebSocketError {
  override readonly name = 'TimeoutError';
  /** What was waited for. */
  declare readonly operation: TimedOperation;
  /** How far the connection had come. */
  declare readonly phase: Phase;

  constructor(message: string, operation: TimedOperation, phase: Phase) {
    super('ERR_TIMEOUT', message);
    this.operation = operation;
    this.phase = phase;
  }
}

/** What is known of the response when a {@link HandShakeError} is made. */
export interface HandShakeFailure {
  /** The HTTP status, where one was read. */
  readonly status?: number | undefined;
  /** The response's fields, names in lower case, where they were read. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The same as they came, in order. */
  readonly rawHeaders?:
    readonly (readonly [name: string, value: string, line?: string])[] | undefined;
  /** The error behind it, if another one was the reason. */
  readonly cause?: unknown;
}

/** The server's answer to the opening handshake was not what RFC 6455 section 4.1 asks for. */
export class HandShakeError extends AioWebSocketError {
  override readonly name = 'HandShakeError';
  /** How far the connection had come. */
  readonly phase: Phase = 'handshake';
  /** The HTTP status, where one was read. */
  declare readonly status: number | undefined;
  /** The response's fields, names in lower case, where they were read. */
  declare readonly headers: Readonly<Record<string, string>> | undefined;
  /** The response's body, at most 64 KiB of it, where the status was the failure. */
  body: Buffer | undefined;
  readonly #failure: HandShakeFailure;

  constructor(code: ErrorCode, message: string, failure: HandShakeFailure = {}) {
    super(code, message, failure);
    this.#failure = failure;
    this.status = failure.status;
    this.headers = failure.headers;
  }

  /** The response's fields as they came, in order: each Set-Cookie by itself. */
  get rawHeaders(): HandShakeFailure['rawHeaders'] {
    return this.#failure.rawHeaders;
  }
}

/**
 * The peer sent bytes that are no WebSocket frames, or more of them than the limits allow; or a
 * message of our own could not be completed (`ERR_FRAME_SOURCE`).
 */
export class FrameError extends AioWebSocketError {
  override readonly name = 'FrameError';
  /** How far the connection had come. */
  readonly phase: Phase = 'open';

  /** The code that the Close frame to the peer carries; the event `close` has 1006. */
  declare readonly closeCode: number;

  constructor(
    code: ErrorCode,
    message: string,
    closeCode: number = StatusCodes.protocolError,
    options?: { cause?: unknown },
  ) {
    super(code, message, options);
    this.closeCode = closeCode;
  }
}

/**
 * The connection is closed, so the call could not be carried out. `cause` is what broke it, where
 * something did.
 */
export class ConnectionClosed extends AioWebSocketError {
  override readonly name: string = 'ConnectionClosed';
  /**
   * The peer's close code, 1005 for none, 1006 without a Close frame; ours until the peer answers.
   */
  declare readonly closeCode: number;
  /** The reason that goes with it, or empty. */
  declare readonly reason: string;

  constructor(code: ErrorCode, closeCode: number, reason: string, options?: { cause?: unknown }) {
    const { message } = Object(options?.cause) as Partial<Error>;
    const why = (reason && ` (${JSON.stringify(reason)})`) + (message ? `: ${message}` : '');
    super(code, `the connection is closed: ${closeCode}${why}`, options);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** Closed as agreed: 1000, 1001, or a Close frame without a code. */
export class ConnectionClosedOK extends ConnectionClosed {
  override readonly name = 'ConnectionClosedOK';
}

/** Closed with any other code, or without a Close frame (1006). */
export class ConnectionClosedError extends ConnectionClosed {
  override readonly name = 'ConnectionClosedError';
}
