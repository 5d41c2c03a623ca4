/**
 * The connection and those who talk on it. Mirrors `aiowebsocket/converses.py`.
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import { checkClose } from './closings.js';
import { SocketState, StatusCodes } from './enumerations.js';
import { ConnectionError, InvalidStateError } from './exceptions.js';
import { loadZlib, makeDeflate } from './extensions.js';
import { Frames } from './freams.js';
import { HandShake, type HandShakeResponse } from './handshakes.js';
import { Lifecycle } from './lifecycles.js';
import { Converse, holdStream, type ConverseEvents, type ConverseParts } from './manipulators.js';
import type { CompressionOptions } from './negotiations.js';
import { OpeningAttempt } from './openings.js';
import {
  checkOptions,
  numberOptions,
  type ConverseOptions,
  type HandShakeOptions,
  type Numbers,
  type TransportOptions,
} from './options.js';
import { parseUri, type ByteSink, type CloseInfo, type Extension, type Remote } from './parts.js';
import { connectionClosed, authority, checkSignal, mustBe, tell, wrongType } from './values.js';
import { runHook } from './timers.js';
import { openTransport, TransportSink } from './transports.js';

export {
  Converse,
  type ConverseEvents,
  type ConverseParts,
  type ReceiveOptions,
  type SendOptions,
  type StreamOptions,
} from './manipulators.js';

/** A class of handshakes: {@link HandShake}, or one that extends it. */
export type HandShakeClass = new (
  remote: Remote,
  transport: Duplex,
  options: HandShakeOptions,
) => HandShake;

/** What {@link AioWebSocket} takes. Times are milliseconds, sizes bytes. */
export interface AioWebSocketOptions extends ConverseOptions, HandShakeOptions, TransportOptions {
  /**
   * Milliseconds for opening: DNS, TCP, TLS and handshake together; 0: no limit.
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
  readonly address: string;
  readonly port: number;
  readonly family: string;
}

/**
 * One connection, from `createConnection()` to `close`. It is not used twice.
 *
 * Subclass it to use other parts (`openTransport`, `makeHandShake`, `makeFrames`, `makeConverse`),
 * or to act around opening and closing (`beforeOpen`, `afterOpen`, `beforeClose`, `afterClose`).
 */
export class AioWebSocket extends EventEmitter<AioWebSocketEvents> {
  /** Where it connects. */
  readonly remote: Remote;
  /** Resolves once the connection has ended, however it did. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  /** The options it was made with. */
  protected readonly options: Readonly<AioWebSocketOptions>;
  readonly #numbers: Numbers;
  readonly #lifecycle = new Lifecycle(SocketState.zero, [this]);
  #settleClosed!: (info: CloseInfo) => void;
  #attempt: OpeningAttempt | undefined;
  #transport: Duplex | undefined;
  #hands: HandShake | undefined;
  #response: HandShakeResponse | undefined;
  #converse: Converse | undefined;
  #referenced = true;

  /**
   * @param uri `ws://…` or `wss://…`; user and password in it become Basic authorization
   * @throws {InvalidURI} for any other URI
   * @throws {TypeError} or RangeError that names the option, what was expected, and what came
   */
  constructor(uri: string | URL, options: AioWebSocketOptions = {}) {
    super();
    checkOptions(options);
    this.remote = parseUri(uri);
    this.#numbers = numberOptions(options);
    this.options = { ...options };
    checkTls(this.remote, options);
    HandShake.check(this.remote, options);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /**
   * Connects; with a body, runs it and closes at its end, also when it throws: the original's
   * `async with`.
   * @param options may also hold a `signal` that aborts the attempt
   * @returns the open connection, or what the body returns
   */
  static connect<A extends AioWebSocket>(
    this: new (uri: string | URL, options?: AioWebSocketOptions) => A,
    uri: string | URL,
    options?: ConnectOptions,
  ): Promise<A>;
  static connect<A extends AioWebSocket, R>(
    this: new (uri: string | URL, options?: AioWebSocketOptions) => A,
    uri: string | URL,
    options: ConnectOptions | undefined,
    body: (aws: A) => R | PromiseLike<R>,
  ): Promise<R>;
  static connect<A extends AioWebSocket, R>(
    this: new (uri: string | URL, options?: AioWebSocketOptions) => A,
    uri: string | URL,
    body: (aws: A) => R | PromiseLike<R>,
  ): Promise<R>;
  static async connect<A extends AioWebSocket, R>(
    this: new (uri: string | URL, options?: AioWebSocketOptions) => A,
    uri: string | URL,
    options: ConnectOptions | ((aws: A) => R | PromiseLike<R>) = {},
    body?: (aws: A) => R | PromiseLike<R>,
  ): Promise<A | R> {
    if (typeof options === 'function') return connectWith(this, uri, {}, options);
    if (body === undefined) return open(this, uri, options);
    if (typeof body !== 'function') {
      throw mustBe('body', 'a function', body);
    }
    return connectWith(this, uri, options, body);
  }

  /** Where the connection is in its life. */
  get state(): SocketState {
    return this.#lifecycle.state;
  }

  /**
   * Who talks on the connection.
   * @throws {InvalidStateError} before it is open
   */
  get manipulator(): Converse {
    if (this.#converse === undefined) {
      throw new InvalidStateError(
        `there is no converse in state ${SocketState[this.state]}: await createConnection() first`,
      );
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

  /** The byte stream, once there is one: the original's `reader` and `writer`. */
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

  /** Bytes that wait to be sent. */
  get bufferedAmount(): number {
    return this.#converse?.bufferedAmount ?? 0;
  }

  /** The server's end of the TCP connection. */
  get remoteAddress(): SocketAddress | undefined {
    const { remoteAddress, remotePort, remoteFamily } = (this.#transport ?? {}) as Partial<Socket>;
    return socketAddress(remoteAddress, remotePort, remoteFamily);
  }

  /** Our end of the TCP connection. */
  get localAddress(): SocketAddress | undefined {
    const { localAddress, localPort, localFamily } = (this.#transport ?? {}) as Partial<Socket>;
    return socketAddress(localAddress, localPort, localFamily);
  }

  /**
   * Connects. Listeners attached in the turn in which this resolves miss nothing.
   * @throws {ConnectionError} the network failed; `phase` tells where
   * @throws {TimeoutError} after `timeout`
   * @throws {HandShakeError} the server's answer was not what RFC 6455 section 4.1 asks for
   * @throws {InvalidStateError} when it has been called before
   * @throws `signal.reason`, once aborted
   */
  async createConnection(options: { signal?: AbortSignal | undefined } = {}): Promise<this> {
    const { signal } = options;
    checkSignal(signal);
    if (this.state !== SocketState.zero) {
      throw new InvalidStateError(
        `createConnection() was called in state ${SocketState[this.state]}: make a new AioWebSocket for each connection`,
      );
    }
    const attempt = new OpeningAttempt(this.#numbers.timeout, this.#referenced, signal);
    this.#attempt = attempt;
    this.#lifecycle.move(SocketState.connecting);
    try {
      await this.#open(attempt);
    } catch (error) {
      // A refusal whose body takes long is still a refusal.
      const failure = (attempt.wanted ? undefined : await this.#hands?.refused) ?? (error as Error);
      await this.#openingFailed(attempt, failure);
      throw failure;
    } finally {
      attempt.end();
    }
    return this;
  }

  /**
   * Closes: a Close frame, the server's answer, the end of TCP. While connecting it aborts the
   * attempt.
   * @param code 1000–1003, 1007–1014 or 3000–4999
   * @param reason at most 123 bytes of UTF-8
   * @returns how it ended; the same promise for every call
   * @throws {TypeError} or RangeError for a code or reason that no Close frame may carry
   */
  closeConnection(code = 1000, reason = ''): Promise<CloseInfo> {
    try {
      checkClose(code, reason);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.state >= SocketState.opened) void this.#converse?.close(code, reason);
    else this.#giveUp('closeConnection()');
    return this.closed;
  }

  /** Ends at once: no Close frame, no waiting. */
  terminate(): void {
    if (this.state >= SocketState.opened) this.#converse?.terminate();
    else this.#giveUp('terminate()');
  }

  /** Stops reading: the server feels it. */
  pause(): void {
    this.manipulator.pause();
  }

  /** Reads on. */
  resume(): void {
    this.manipulator.resume();
  }

  /** The process lives while the connection does: the default. */
  ref(): this {
    return this.#reference(true);
  }

  /** The connection alone does not keep the process alive. */
  unref(): this {
    return this.#reference(false);
  }

  /** `await using aws = …`: closes at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeConnection();
  }

  override on<E extends keyof AioWebSocketEvents>(
    event: E,
    listener: (...args: AioWebSocketEvents[E]) => void,
    context?: unknown,
  ): this {
    super.on(event, listener, context);
    this.#converse?.attached(this, event, listener, context);
    return this;
  }

  override addListener<E extends keyof AioWebSocketEvents>(
    event: E,
    listener: (...args: AioWebSocketEvents[E]) => void,
    context?: unknown,
  ): this {
    return this.on(event, listener, context);
  }

  override once<E extends keyof AioWebSocketEvents>(
    event: E,
    listener: (...args: AioWebSocketEvents[E]) => void,
    context?: unknown,
  ): this {
    super.once(event, listener, context);
    this.#converse?.attached(this, event, listener, context, true);
    return this;
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

  /** Before our own Close frame; it may still send. A throw is reported by `error`. */
  protected beforeClose(_code: number, _reason: string): void | Promise<void> {
    return undefined;
  }

  /** After the end, before `close`. A throw is reported by `error`. */
  protected afterClose(_info: CloseInfo): void | Promise<void> {
    return undefined;
  }

  // ---- hooks: the parts ----

  /** Opens the byte stream; any Duplex will do. The signal aborts it. */
  protected openTransport(remote: Remote, signal: AbortSignal): Duplex | Promise<Duplex> {
    return openTransport(remote, this.options, {
      signal,
      onPhase: (phase) => {
        this.#attempt?.onPhase(phase);
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
    return new Frames(sink, { ...this.options, extension });
  }

  /** Makes who talks. */
  protected makeConverse(transport: Duplex, parts: ConverseParts): Converse {
    return new Converse(transport, this.options, parts);
  }

  // ---- opening ----

  async #open(attempt: OpeningAttempt): Promise<void> {
    const { remote } = this;
    await attempt.step(() => this.beforeOpen(remote));
    const transport = await attempt.open(() => this.openTransport(remote, attempt.signal));
    this.#transport = transport;
    this.#reference(this.#referenced);
    attempt.onPhase('handshake');
    const hands = this.makeHandShake(remote, transport);
    this.#hands = hands;
    await attempt.step(() => hands.shake());
    const response = await attempt.step(() => hands.shakeResult());
    this.#response = response;
    tell(this, 'handshake', response);
    const extension = await attempt.step(() => this.#makeExtension(hands));
    const converse = this.#talk(transport, response, extension);
    const onClose = (code: number, reason: string, info: CloseInfo): void => {
      attempt.abort(info.error ?? connectionClosed(code, reason));
    };
    converse.on('close', onClose);
    await attempt.step(() => this.afterOpen());
    converse.off('close', onClose);
    if (this.state !== SocketState.connecting) {
      const { code, reason, error } = await converse.closed;
      throw error ?? connectionClosed(code, reason);
    }
    this.#lifecycle.move(SocketState.opened);
    tell(this, 'open');
    converse.release();
  }

  async #makeExtension({ deflate }: HandShake): Promise<Extension | undefined> {
    if (!deflate) return undefined;
    await loadZlib();
    return makeDeflate(deflate, compressionOf(this.options));
  }

  #talk(transport: Duplex, response: HandShakeResponse, extension?: Extension): Converse {
    const sink = new TransportSink(transport);
    const converse = this.makeConverse(transport, {
      frames: this.makeFrames(sink, response, extension),
      extension,
      threshold:
        compressionOf(this.options).threshold ??
        (this.#hands?.deflate?.clientNoContextTakeover ? 1024 : 0),
      sink,
      head: response.head,
      lifecycle: this.#lifecycle,
      held: true,
      beforeClose: (code, reason) => this.beforeClose(code, reason),
      afterClose: (info) => this.afterClose(info),
    });
    this.#converse = converse;
    void converse.closed.then(this.#settleClosed);
    return converse;
  }

  /** One `error`, unless the caller wanted the end, and one `close`. */
  async #openingFailed(attempt: OpeningAttempt, error: Error): Promise<void> {
    if (this.#converse !== undefined) {
      if (attempt.wanted) this.#converse.terminate();
      else this.#converse.fail(error);
    } else {
      this.#transport?.destroy();
      this.#end(attempt.wanted ? undefined : error);
    }
    await this.closed;
  }

  /** Ends what has never been open. */
  #giveUp(call: string): void {
    if (this.state === SocketState.zero) this.#end();
    else this.#attempt?.giveUp(new InvalidStateError(`${call} was called while connecting`));
  }

  #end(error?: Error): void {
    const info: CloseInfo = {
      code: StatusCodes.abnormal,
      reason: '',
      wasClean: false,
      initiatedBy: error instanceof ConnectionError ? 'remote' : 'local',
      discarded: 0,
      ...(error && { error }),
    };
    const report = (failure: Error): void => {
      tell(this, 'error', failure);
    };
    this.#lifecycle.move(SocketState.closed);
    if (error) report(error);
    runHook(
      () => this.afterClose(info),
      this.#numbers.closeTimeout,
      report,
      () => {
        tell(this, 'close', info.code, info.reason, info);
        this.#settleClosed(info);
      },
    );
  }

  #reference(referenced: boolean): this {
    this.#referenced = referenced;
    this.#attempt?.hold(referenced);
    this.#converse?.hold(referenced);
    if (this.#transport) holdStream(this.#transport, referenced);
    return this;
  }
}

/** Options of {@link AioWebSocket.connect}. */
export interface ConnectOptions extends AioWebSocketOptions {
  /** Aborts the attempt, with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

type AioWebSocketClass<A> = new (uri: string | URL, options?: AioWebSocketOptions) => A;

function open<A extends AioWebSocket>(
  make: AioWebSocketClass<A>,
  uri: string | URL,
  { signal, ...options }: ConnectOptions,
): Promise<A> {
  return new make(uri, options).createConnection({ signal });
}

async function connectWith<A extends AioWebSocket, R>(
  make: AioWebSocketClass<A>,
  uri: string | URL,
  options: ConnectOptions,
  body: (aws: A) => R | PromiseLike<R>,
): Promise<R> {
  const aws = await open(make, uri, options);
  try {
    return await body(aws);
  } finally {
    await aws.closeConnection();
  }
}

function socketAddress(
  address: string | undefined,
  port: number | undefined,
  family: string | undefined,
): SocketAddress | undefined {
  if (address === undefined || port === undefined || family === undefined) return undefined;
  return { address, port, family };
}

function checkTls(remote: Remote, { ssl }: AioWebSocketOptions): void {
  if (remote.ssl && ssl === false) {
    throw wrongType(
      'ssl: a wss URI never goes out in plain text; use ws:// if that is what you want',
    );
  }
  if (!remote.ssl && ssl !== undefined && ssl !== false) {
    throw wrongType('ssl: a ws URI is not encrypted; use wss://');
  }
}

function compressionOf({ compression }: AioWebSocketOptions): CompressionOptions {
  return typeof compression === 'object' ? compression : {};
}
