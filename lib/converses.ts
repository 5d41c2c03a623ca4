/**
 * The connection and those who talk on it. Mirrors `aiowebsocket/converses.py`.
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkClose, conclude, fail } from './closings.js';
import {
  closedError,
  closedOf,
  emitAll,
  move,
  quietly,
  type Audience,
  type CloseHooks,
} from './connections.js';
import { Core, start } from './cores.js';
import { coreOf, MessageEmitter } from './emitters.js';
import { SocketState } from './enumerations.js';
import { InvalidStateError } from './exceptions.js';
import { Deflate } from './extensions.js';
import { runWaitingEnds } from './flows.js';
import { Frames } from './freams.js';
import { HandShake, type HandShakeResponse } from './handshakes.js';
import { forgetPulls, prepareShowing, startShowing } from './inboxes.js';
import { Converse, type ConverseEvents, type ConverseParts } from './manipulators.js';
import type { CompressionOptions } from './negotiations.js';
import { OpeningAttempt } from './openings.js';
import { checkKinds, checkOptions, NO_OPTIONS, SIGNAL_KINDS } from './options.js';
import type { ConverseOptions, HandShakeOptions, TlsOptions, TransportOptions } from './options.js';
import { parseUri, type ByteSink, type CloseInfo, type Extension, type Remote } from './parts.js';
import { DEFLATE, REFUSED } from './symbols.js';
import { openTransport } from './transports.js';
import {
  authority,
  checkMade,
  checkType,
  emitSafely,
  isFunction,
  mustBe,
  ownOf,
  promiseTry,
} from './values.js';

export type { PieceStream } from './iterators.js';
export { Converse, type ConverseEvents, type ConverseParts } from './manipulators.js';
export type { ReceiveOptions, SendOptions, StreamOptions } from './options.js';

/** A class of handshakes: {@link HandShake}, or one that extends it. */
export interface HandShakeClass {
  /** Made for each attempt. */
  new (remote: Remote, transport: Duplex, options: HandShakeOptions): HandShake;
  /** What its instances inherit. */
  readonly prototype: HandShake;
}

/** What {@link AioWebSocket} takes. Times are milliseconds, sizes bytes. */
export interface AioWebSocketOptions extends ConverseOptions, HandShakeOptions, TransportOptions {
  /**
   * Milliseconds for opening: DNS, TCP, TLS and handshake together, `beforeOpen` and `afterOpen`
   * included; 0: no limit.
   * @default 30_000
   */
  timeout?: number | undefined;
  /**
   * The class that makes the opening handshake.
   * @default HandShake
   */
  handShake?: HandShakeClass | undefined;
}

/** What {@link AioWebSocket} emits, besides what its {@link Converse} does. */
export interface AioWebSocketEvents extends ConverseEvents {
  /** The connection is open; messages follow. */
  open: [];
  /** The server's answer has been verified. */
  handshake: [response: HandShakeResponse];
}

/** One end of a TCP connection. */
export interface SocketAddress {
  /** The IP address. */
  readonly address: string;
  /** The TCP port. */
  readonly port: number;
  /** `IPv4` or `IPv6`. */
  readonly family: string;
}

/**
 * One connection, from `createConnection()` to `close`. It is not used twice.
 *
 * Subclass it to use other parts (`openTransport`, `makeHandShake`, `makeFrames`, `makeConverse`),
 * or to act around opening and closing (`beforeOpen`, `afterOpen`, `beforeClose`, `afterClose`).
 */
export class AioWebSocket extends MessageEmitter<AioWebSocketEvents> {
  /** Where it connects. */
  declare readonly remote: Remote;
  /** The options it was made with. */
  declare protected readonly options: Readonly<AioWebSocketOptions>;
  #attempt: OpeningAttempt | undefined;
  #transport: Duplex | undefined;
  #hands: HandShake | undefined;
  #response: HandShakeResponse | undefined;
  #converse: Converse | undefined;

  /**
   * @param uri `ws://…` or `wss://…`; user and password in it become Basic authorization
   * @throws {InvalidURI} for any other URI
   * @throws {TypeError} or RangeError that names the option, what was expected, and what came
   */
  constructor(uri: string | URL, options: AioWebSocketOptions = {}) {
    super(new Core(checkOptions(options)));
    const c = coreOf(this);
    c._aws = this as unknown as Audience & CloseHooks;
    const remote = parseUri(uri);
    this.remote = remote;
    this.options = Object.keys(options)[0] ? ownOf(options) : NO_OPTIONS;
    const { ssl, handShake } = this.options;
    if (handShake && !(handShake.prototype as HandShake | undefined)?.shakeResult) {
      throw mustBe('handShake', 'a HandShake class', handShake);
    }
    if (ssl !== undefined && (ssl !== false) !== remote.ssl) {
      // A wss URI never goes out in plain text.
      throw mustBe('ssl', remote.ssl ? 'true or options for wss://' : 'false for ws://', ssl);
    }
    checkType('ssl.servername', (Object(ssl) as TlsOptions).servername, 'string');
    HandShake.check(remote, this.options);
  }

  /**
   * Connects; with a body, runs it and closes at its end, also when it throws: the original's
   * `async with`.
   * @param uri as the constructor takes it
   * @param options as the constructor takes them; may also hold a `signal` that aborts the attempt
   * @param body gets the open connection, which is closed when it is done
   * @returns the open connection, or what the body returns
   * @throws what the constructor throws, as a rejection, what `createConnection()` rejects with, and,
   * once the connection is closed, what the body throws
   */
  static connect<A extends AioWebSocket, U>(this: new (uri: U) => A, uri: U): Promise<A>;
  static connect<A extends AioWebSocket, U, O extends AioWebSocketOptions | undefined>(
    this: new (uri: U, options: O) => A,
    uri: U,
    options: WithSignal<O>,
  ): Promise<A>;
  static connect<A extends AioWebSocket, U, R>(
    this: new (uri: U) => A,
    uri: U,
    body: (aws: A) => R | PromiseLike<R>,
  ): Promise<R>;
  static connect<A extends AioWebSocket, U, O extends AioWebSocketOptions | undefined, R>(
    this: new (uri: U, options: O) => A,
    uri: U,
    options: WithSignal<O>,
    body: (aws: A) => R | PromiseLike<R>,
  ): Promise<R>;
  static connect<A extends AioWebSocket, R>(
    this: new (uri: string | URL, options?: AioWebSocketOptions) => A,
    uri: string | URL,
    options: ConnectOptions | ((aws: A) => R | PromiseLike<R>) = {},
    body?: (aws: A) => R | PromiseLike<R>,
  ): Promise<A | R> {
    return promiseTry<A | R>(() => {
      if (isFunction(options)) [options, body] = [{}, options];
      checkType('body', body, 'function');
      let given: CallerSignal | undefined;
      // What is no object is refused by the constructor.
      if ('signal' in (Object(options) as object)) {
        const { signal, ...others } = options;
        given = { signal };
        options = others;
      }
      const opening = new this(uri, options).createConnection(given);
      return body ? opening.then((aws) => runBody(aws, body!)) : opening;
    });
  }

  /**
   * What sends, receives and closes on this connection.
   * @throws {InvalidStateError} before `afterOpen`, until the handshake is verified
   */
  get manipulator(): Converse {
    if (!this.#converse) {
      throw new InvalidStateError('it was never open: await createConnection()');
    }
    return this.#converse;
  }

  /** The same as {@link manipulator}. */
  get converse(): Converse {
    return this.manipulator;
  }

  /** The opening handshake, once it has begun. */
  get hands(): HandShake | undefined {
    return this.#hands;
  }

  /**
   * The byte stream, once there is one: the original's `reader` and `writer`. Frames that are sent
   * on a plain TCP socket bypass the stream, unless its `write` has been replaced.
   */
  get transport(): Duplex | undefined {
    return this.#transport;
  }

  /** The server's answer to the opening handshake: status, headers and more. */
  get response(): HandShakeResponse | undefined {
    return this.#response;
  }

  /** The URI, without user and password. */
  get url(): string {
    return `${this.remote.scheme}://${authority(this.remote)}${this.remote.resource}`;
  }

  /** The subprotocol that the server chose, or empty (RFC 6455 section 1.9). */
  get subprotocol(): string {
    return this.#response?.subprotocol ?? '';
  }

  /** The extensions in use, as negotiated, or empty (RFC 6455 section 9). */
  get extensions(): string {
    return this.#response?.extensions ?? '';
  }

  /** The server's end of the TCP connection, while there is one. */
  get remoteAddress(): SocketAddress | undefined {
    return socketAddress(this.#transport, 'remote');
  }

  /** Our end of the TCP connection, while there is one. */
  get localAddress(): SocketAddress | undefined {
    return socketAddress(this.#transport, 'local');
  }

  /**
   * Connects. Listeners attached in the turn in which this resolves miss nothing. Where anybody
   * listens for `error`, or ends it by `closeConnection()` or `terminate()`, a rejection need not be
   * handled as well.
   * @param options may hold a `signal` that aborts the attempt
   * @returns this connection, open
   * @throws {ConnectionError} the network failed; `phase` tells where
   * @throws {TimeoutError} after `timeout`
   * @throws {HandShakeError} the server's answer was not what RFC 6455 section 4.1 asks for
   * @throws {InvalidStateError} when it has been called before, or is closed while connecting
   * @throws {TypeError} or RangeError for options, or for a request that a subclass composed wrongly
   * @throws `signal.reason`, once aborted, and what hooks throw
   */
  createConnection(options: CallerSignal = NO_OPTIONS): Promise<this> {
    const opened: Promise<this> = this.#openOnce(options, (isWanted) => {
      if (isWanted || this.listenerCount('error')) void quietly(opened);
    });
    return opened;
  }

  async #openOnce(options: CallerSignal, beforeTold: (isWanted: boolean) => void): Promise<this> {
    const c = coreOf(this);
    const { signal } = checkKinds(options, SIGNAL_KINDS);
    if (this.state !== SocketState.zero) {
      throw new InvalidStateError('it connects once: make a new AioWebSocket');
    }
    const opening = new OpeningAttempt(c, signal);
    this.#attempt = opening;
    move(c, SocketState.connecting);
    try {
      await opening._race(this.#open(opening));
    } catch (error) {
      throw await this.#openingFailed(opening, error as Error, beforeTold);
    }
    return this;
  }

  /**
   * Closes: a Close frame, the server's answer, the end of TCP. Before or while connecting it ends
   * the attempt: `createConnection()` rejects with InvalidStateError, and `close` has 1006.
   * @param code 1000–1003, 1007–1014 or 3000–4999
   * @param reason at most 123 bytes of UTF-8
   * @returns how it ended; the same promise for every call
   * @throws {TypeError} or RangeError for a code or reason that no Close frame may carry
   */
  closeConnection(code = 1000, reason = ''): Promise<CloseInfo> {
    return promiseTry(() => {
      checkClose(code, reason);
      if (!this.#endUnopened('closeConnection')) void this.#converse?.close(code, reason);
      return this.closed;
    });
  }

  /**
   * Ends at once: no Close frame, no waiting. Before or while connecting it ends the attempt, as
   * `closeConnection()` does.
   */
  terminate(): void {
    if (!this.#endUnopened('terminate')) this.#converse?.terminate();
  }

  /**
   * Stops reading: TCP makes the server wait.
   * @throws {InvalidStateError} before it is open
   */
  pause(): void {
    this.manipulator.pause();
  }

  /**
   * Reads on.
   * @throws {InvalidStateError} before it is open
   */
  resume(): void {
    this.manipulator.resume();
  }

  /** `await using aws = …`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeConnection();
  }

  // ---- hooks: opening and closing ----

  /** Before anything is connected. A throw fails the opening. */
  protected beforeOpen(_remote: Remote): void | Promise<void> {
    return undefined;
  }

  /**
   * After the handshake, before `open` and before any message is shown: log in here, with
   * `this.manipulator`. A throw fails the opening.
   */
  protected afterOpen(): void | Promise<void> {
    return undefined;
  }

  /**
   * Before the Close frame of a close of ours, not where the server closes first or the connection
   * fails; it may still send. Waited for no longer than `closeTimeout`; a throw is reported by
   * `error`.
   */
  protected beforeClose(_code: number, _reason: string): void | Promise<void> {
    return undefined;
  }

  /**
   * After the end, before `close`, also where it was never open. Waited for no longer than
   * `closeTimeout`; a throw is reported by `error`.
   */
  protected afterClose(_info: CloseInfo): void | Promise<void> {
    return undefined;
  }

  // ---- hooks: the parts ----

  /** Opens the byte stream; any Duplex will do. The signal aborts it. */
  protected openTransport(remote: Remote, signal: AbortSignal): Duplex | Promise<Duplex> {
    return openTransport(remote, this.options, {
      _signal: signal,
      _onPhase: (phase) => {
        // A rival of the transport that was chosen is none of the attempt's.
        if (!this.#transport) this.#attempt?._onPhase(phase);
      },
    });
  }

  /** Makes the opening handshake. */
  protected makeHandShake(remote: Remote, transport: Duplex): HandShake {
    return new (this.options.handShake ?? HandShake)(remote, transport, this.options);
  }

  /** Makes the codec, which hands its bytes to the sink. */
  protected makeFrames(
    sink: ByteSink,
    _response: HandShakeResponse,
    extension?: Extension,
  ): Frames {
    return new Frames(sink, extension ? { ...this.options, extension } : this.options);
  }

  /** Makes the Converse. `parts` holds the connection, and has to be handed to its constructor. */
  protected makeConverse(transport: Duplex, parts: ConverseParts): Converse {
    return new Converse(transport, this.options, parts);
  }

  // ---- opening ----

  async #open(attempt: OpeningAttempt): Promise<void> {
    const c = coreOf(this);
    const { remote } = this;
    const before = this.beforeOpen(remote);
    if (before) await before;
    attempt._throwIfEnded();
    const transport = (this.#transport = await this.#connect(attempt));
    checkMade(transport, 'openTransport()', 'read');
    attempt._onTransport(transport);
    attempt._throwIfEnded();
    attempt._onPhase('handshake');
    const hands = checkMade(this.makeHandShake(remote, transport), 'makeHandShake()', 'shake');
    this.#hands = hands;
    await hands.shake();
    attempt._throwIfEnded();
    const response = checkMade(await hands.shakeResult(), 'shakeResult()', 'status');
    attempt._throwIfEnded();
    this.#response = response;
    emitSafely(this, 'handshake', response);
    attempt._throwIfEnded();
    const { [DEFLATE]: deflate } = hands;
    this.#joinParts(
      attempt,
      transport,
      response,
      deflate && new Deflate(deflate, this.options.compression as CompressionOptions),
    );
    const after = this.afterOpen();
    if (after) await Promise.race([after, closedOf(c)]);
    attempt._throwIfEnded();
    if (c._state !== SocketState.connecting) {
      runWaitingEnds(c);
      const { error } = await closedOf(c);
      throw error ?? closedError(c);
    }
    forgetPulls(c);
    prepareShowing(c);
    // From now on it is open, whatever the signal and the timer say.
    attempt._cleanUp();
    this.#attempt = undefined;
    move(c, SocketState.opened);
    emitSafely(this, 'open');
    startShowing(c);
  }

  #connect(attempt: OpeningAttempt): Duplex | Promise<Duplex> {
    const { remote } = this;
    if (opensItself(this)) return openTransport(remote, this.options, attempt);
    attempt._onPhase('tcp');
    return this.openTransport(remote, attempt._abortSignal);
  }

  #joinParts(
    attempt: OpeningAttempt,
    transport: Duplex,
    response: HandShakeResponse,
    deflate?: Deflate,
  ): void {
    const c = coreOf(this);
    c._deflate = deflate;
    c._frames = checkMade(this.makeFrames(c, response, deflate), 'makeFrames()', 'feed');
    const converse = this.makeConverse(transport, { _core: c });
    if (!c._converse || c._converse !== converse) {
      throw mustBe('makeConverse()', 'a Converse made with parts', converse);
    }
    start(c, response.head);
    // From now on its end is its own: that of the stream alone would be told as a failure.
    this.#converse = converse;
    attempt._transport = undefined;
  }

  /** One `error`, unless the caller wanted the end, and one `close`. */
  async #openingFailed(
    attempt: OpeningAttempt,
    cause: Error,
    beforeTold: (isWanted: boolean) => void,
  ): Promise<Error> {
    const c = coreOf(this);
    // A refusal whose body takes long is still a refusal.
    const error = (attempt._abortedByCaller ? undefined : await this.#hands?.[REFUSED]) ?? cause;
    const failure = attempt._abortedByCaller ? undefined : error;
    attempt._cleanUp();
    this.#attempt = undefined;
    // Now: who listens once, or no longer after `close`, has listened all the same.
    beforeTold(!failure && error instanceof InvalidStateError);
    if (!this.#converse) {
      (this.#transport as Partial<Duplex> | undefined)?.destroy?.();
      this.#end(failure);
    } else {
      if (failure) fail(c, failure);
      // Where it was about to end anyhow, that takes no longer than this.
      if (!failure || c._error !== failure) this.#converse.terminate();
    }
    await this.closed;
    return (failure && c._error) ?? error;
  }

  /**
   * Ends the attempt, or what was never tried; not an attempt that is closing already, as
   * `afterOpen` may have it. Returns the attempt that it has ended.
   */
  #endUnopened(call: string): unknown {
    const attempt = coreOf(this)._closeRequested ? undefined : this.#attempt;
    if (this.state === SocketState.zero) this.#end();
    else attempt?._abort(new InvalidStateError(`${call}() was called while connecting`));
    return attempt;
  }

  #end(error?: Error): void {
    const c = coreOf(this);
    c._error = error;
    conclude(c, () => {
      if (error) emitAll(c, 'error', error);
    });
  }
}

/** Runs the body of `connect()`, and closes. */
async function runBody<A extends AioWebSocket, R>(
  aws: A,
  body: (aws: A) => R | PromiseLike<R>,
): Promise<R> {
  try {
    return await body(aws);
  } finally {
    await aws.closeConnection();
  }
}

/**
 * Whether `openTransport` is not overridden. Not in the class, which would be named otherwise in
 * dist/.
 */
const opensItself = (aws: unknown): boolean =>
  (aws as Opens).openTransport === (AioWebSocket.prototype as unknown as Opens).openTransport;

interface Opens {
  readonly openTransport: unknown;
}

/** What {@link AioWebSocket.connect} takes besides the options of its class. */
export interface CallerSignal {
  /** Aborts the attempt, with `signal.reason`. @default none */
  signal?: AbortSignal | undefined;
}

/** Options of a class, with a signal besides; left out only where the class can do without them. */
export type WithSignal<O> = O extends object ? O & CallerSignal : O;

/** Options of {@link AioWebSocket.connect}. */
export interface ConnectOptions extends AioWebSocketOptions, CallerSignal {}

/** One end of a socket; undefined where the stream has no address, or has ended. */
function socketAddress(
  transport: Duplex | undefined,
  end: 'local' | 'remote',
): SocketAddress | undefined {
  const {
    [`${end}Address` as const]: address,
    [`${end}Port` as const]: port,
    [`${end}Family` as const]: family,
  } = Object(transport) as Socket;
  return address && port && family ? { address, port, family } : undefined;
}
