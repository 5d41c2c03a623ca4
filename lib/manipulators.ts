/**
 * Talking on an open connection: {@link Converse}, which `AioWebSocket` hands out as `manipulator`.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import { AliveWatch } from './alives.js';
import { checkClose } from './closings.js';
import { ControlFrames, SocketState, StatusCodes } from './enumerations.js';
import { Ending } from './endings.js';
import { Flow } from './flows.js';
import { Frames } from './freams.js';
import { Inbox, type Audience, type MessageListener, type ReceiveOptions } from './inboxes.js';
import { Lifecycle } from './lifecycles.js';
import { maskingKey } from './masks.js';
import { checkOptions, numberOptions, type ConverseOptions, type Numbers } from './options.js';
import { Outbox, quietly, type SendOptions } from './outboxes.js';
import type { CloseInfo, Message, SendData } from './parts.js';
import { controlPayload, raise } from './values.js';
import type { PieceStream, StreamOptions } from './pieces.js';
import { PingLedger } from './pings.js';
import { TransportSink } from './transports.js';

export type { ReceiveOptions } from './inboxes.js';
export type { SendOptions } from './outboxes.js';
export type { StreamOptions } from './pieces.js';

/** What {@link Converse} emits. */
export interface ConverseEvents {
  /** A whole message: text as a string, binary as a Buffer of its own. */
  message: [data: Message, isBinary: boolean];
  /** The server pings; it has been answered, unless `autoPong` is off. */
  ping: [payload: Buffer];
  /** A pong; `latency` in milliseconds where it answers a ping of ours. */
  pong: [payload: Buffer, latency: number | undefined];
  /** What waited to be sent has been taken: `send()` has room again. */
  drain: [];
  /** The connection has ended. The last event, and it comes once. */
  close: [code: number, reason: string, info: CloseInfo];
  /** Something failed; `close` follows. Never emitted for a close that the peer chose. */
  error: [error: Error];
  /** The state has changed. */
  state: [state: SocketState, previous: SocketState];
}

/** What a {@link Converse} that AioWebSocket makes is given besides its options. */
export interface ConverseParts {
  /** The codec, made with a sink on the same transport. */
  readonly frames?: Frames | undefined;
  /** Where the codec's bytes go. */
  readonly sink?: TransportSink | undefined;
  /** Bytes that came behind the handshake's response. */
  readonly head?: Buffer | undefined;
  readonly lifecycle?: Lifecycle | undefined;
  /** Emits the same messages. */
  readonly audience?: Audience | undefined;
  /** Awaited before our Close frame goes out. */
  beforeClose?(code: number, reason: string): void | Promise<void>;
  /** Awaited before `close` is emitted. */
  afterClose?(info: CloseInfo): void | Promise<void>;
}

/**
 * Talks on a connection that is open: sends, receives, answers pings, and closes. Usually made by
 * {@link AioWebSocket}, and found at its `manipulator`.
 */
export class Converse extends EventEmitter<ConverseEvents> {
  /** The byte stream. */
  readonly transport: Duplex;
  /** Resolves once the connection has ended, however it did. Never rejects. */
  readonly closed: Promise<CloseInfo>;
  readonly #numbers: Numbers;
  readonly #autoPong: boolean;
  readonly #parts: ConverseParts;
  readonly #lifecycle: Lifecycle;
  readonly #frames: Frames;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #pings = new PingLedger();
  readonly #watch: AliveWatch;
  readonly #ending: Ending;
  readonly #flow: Flow;
  #settleClosed!: (info: CloseInfo) => void;
  #owedPong: Buffer | undefined;

  /**
   * @param transport an open byte stream on which the opening handshake is over
   * @param options limits and timers
   * @throws TypeError or RangeError that names the option
   */
  constructor(transport: Duplex, options: ConverseOptions = {}, parts: ConverseParts = {}) {
    super();
    checkOptions(options);
    this.transport = transport;
    this.#numbers = numberOptions(options);
    this.#autoPong = options.autoPong ?? true;
    this.#parts = parts;
    this.#lifecycle = parts.lifecycle ?? new Lifecycle(SocketState.opened, this.#onState);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    const sink = parts.sink ?? new TransportSink(transport);
    sink.onTaken = this.#onTaken;
    this.#frames = parts.frames ?? new Frames(sink, options);
    this.#inbox = this.#makeInbox();
    this.#outbox = this.#makeOutbox();
    this.#watch = this.#makeWatch(sink);
    this.#ending = this.#makeEnding();
    this.#flow = this.#makeFlow();
    this.#frames.on('message', this.#onMessage);
    this.#frames.on('ping', this.#onPing);
    this.#frames.on('pong', this.#onPong);
    // Listeners attached in this turn, and promises that resolve in it, must miss nothing.
    setImmediate(this.#startReading);
  }

  /** Where the connection is in its life. */
  get state(): SocketState {
    return this.#lifecycle.state;
  }

  /** Messages that wait for `receive()`. The original's `get_queue_size`. */
  get queueSize(): number {
    return this.#inbox.size;
  }

  /** Bytes that wait to be sent. */
  get bufferedAmount(): number {
    return this.#frames.pending + this.transport.writableLength;
  }

  /**
   * Sends one message: a string as text, anything else as binary; an iterable's items as the
   * fragments of one message. Bytes are copied: they may be reused at once.
   * @returns resolves once it is buffered below the high-water mark, else at the next `drain`
   * @throws {TypeError} for anything else; {@link ConnectionClosed} when the connection ends first
   */
  send(data: SendData, options?: SendOptions): Promise<void> {
    return this.#outbox.send(data, options);
  }

  /**
   * The next message, in order of arrival. Messages that came before the connection closed are
   * still given.
   * @throws {ConnectionClosed} when there is none and none will come; TimeoutError after `timeout`
   */
  receive(options?: ReceiveOptions & { text?: undefined }): Promise<Message>;
  receive(options: ReceiveOptions & { text: true }): Promise<string>;
  receive(options: ReceiveOptions & { text: false }): Promise<Buffer>;
  receive(options?: ReceiveOptions): Promise<Message>;
  receive(options?: ReceiveOptions): Promise<Message> {
    return this.#inbox.receive(options);
  }

  /**
   * The next message, piece by piece as it arrives. It is not shown to `message` listeners once it
   * has begun to be streamed, and reading pauses while its pieces are not read.
   */
  receiveStream(options: StreamOptions = {}): PieceStream {
    return this.#inbox.stream(options);
  }

  /** Messages, until the connection closes; leaving the loop does not close it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.#inbox.iterate(() => this.#ending.refusal());
  }

  /**
   * Sends one ping and waits for its pong, or that of a later ping (RFC 6455 section 5.5.2).
   * @param data at most 125 bytes; random when omitted, so that concurrent pings differ
   * @returns round-trip latency in milliseconds
   * @throws {ConnectionClosed} when the connection ends first
   */
  ping(data?: string | ArrayBufferView | ArrayBuffer): Promise<number> {
    return this.#control(() => {
      const payload =
        data === undefined ? newPingPayload() : Buffer.from(controlPayload(data, 'data'));
      return () => {
        this.#frames.write(true, ControlFrames.ping, payload);
        return this.#pings.sent(payload);
      };
    });
  }

  /**
   * Sends a pong that nobody asked for: a one-way sign of life (RFC 6455 section 5.5.3).
   * @param data at most 125 bytes
   */
  pong(data: string | ArrayBufferView | ArrayBuffer = ''): Promise<void> {
    return this.#control(() => {
      const payload = controlPayload(data, 'data');
      return () => {
        this.#frames.pong(payload);
        return this.#outbox.drained();
      };
    });
  }

  /**
   * Closes: sends a Close frame behind what was sent before, waits for the server's, then for the
   * end of the TCP connection (RFC 6455 section 7.1). After `closeTimeout` it ends regardless.
   * @param code 1000–1003, 1007–1014 or 3000–4999
   * @param reason at most 123 bytes of UTF-8
   * @returns how it ended; the same promise for every call
   */
  close(code: number = StatusCodes.normal, reason = ''): Promise<CloseInfo> {
    try {
      checkClose(code, reason);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#ending.close(code, reason);
    return this.closed;
  }

  /** Ends at once: no Close frame, no waiting. What is unsent is lost. */
  terminate(): void {
    this.#ending.terminate();
  }

  /** Stops reading: the server feels it. Timers of silence stand still. */
  pause(): void {
    this.#flow.byUser = true;
  }

  /** Reads on. */
  resume(): void {
    this.#flow.byUser = false;
  }

  /** The process lives while the connection does: the default. */
  ref(): this {
    (this.transport as Partial<{ ref(): void }>).ref?.();
    this.#ending.hold(true);
    return this;
  }

  /** The connection alone does not keep the process alive. */
  unref(): this {
    (this.transport as Partial<{ unref(): void }>).unref?.();
    this.#ending.hold(false);
    return this;
  }

  override on<E extends keyof ConverseEvents>(
    event: E,
    listener: (...args: ConverseEvents[E]) => void,
    context?: unknown,
  ): this {
    return this.#attach(event, listener, context, false);
  }

  override addListener<E extends keyof ConverseEvents>(
    event: E,
    listener: (...args: ConverseEvents[E]) => void,
    context?: unknown,
  ): this {
    return this.#attach(event, listener, context, false);
  }

  override once<E extends keyof ConverseEvents>(
    event: E,
    listener: (...args: ConverseEvents[E]) => void,
    context?: unknown,
  ): this {
    return this.#attach(event, listener, context, true);
  }

  /** @internal The messages' way to listeners that are attached elsewhere. */
  get inbox(): Inbox {
    return this.#inbox;
  }

  /** @internal The connection cannot go on. */
  fail(error: Error): void {
    this.#ending.fail(error);
  }

  // ---- bytes in ----

  readonly #startReading = (): void => {
    if (this.#ending.finished) return;
    if (this.transport.destroyed) this.#ending.vanished();
    else this.#flow.start(this.#parts.head);
  };

  readonly #onMessage = (message: Message): void => {
    if (this.#ending.closeSent) this.#ending.discard();
    else this.#inbox.deliver(message, this.#frames.messageBytes);
  };

  readonly #onPing = (payload: Buffer): void => {
    if (this.#autoPong && !this.#ending.closeSent) {
      // A server that pings and does not read gets one answer, to its latest ping.
      if (this.bufferedAmount > this.#numbers.highWaterMark) this.#owedPong = payload;
      else this.#frames.pong(payload);
    }
    this.#tell('ping', payload);
  };

  readonly #onPong = (payload: Buffer): void => {
    this.#tell('pong', payload, this.#pings.answered(payload));
  };

  // ---- bytes out ----

  readonly #onTaken = (): void => {
    const owed = this.#owedPong;
    if (owed !== undefined && this.bufferedAmount <= this.#numbers.highWaterMark) {
      this.#owedPong = undefined;
      if (!this.#ending.closeSent) this.#frames.pong(owed);
    }
    if (this.#outbox.crowded && this.#outbox.relieve()) this.#tell('drain');
  };

  /** A control frame of the user's: arguments are checked first, then whether it can go out. */
  #control<T>(check: () => () => Promise<T>): Promise<T> {
    let write: () => Promise<T>;
    try {
      write = check();
    } catch (error) {
      return Promise.reject(error);
    }
    return quietly(this.#ending.sendable ? write() : Promise.reject(this.#ending.refusal()));
  }

  // ---- making ----

  #makeInbox(): Inbox {
    const { maxQueue, maxQueueBytes } = this.#numbers;
    const audiences: Audience[] = [this];
    if (this.#parts.audience !== undefined) audiences.push(this.#parts.audience);
    return new Inbox(
      {
        maxQueue,
        maxQueueBytes,
        pause: () => {
          this.#flow.count(true);
        },
        resume: () => {
          this.#flow.count(false);
        },
        divert: (stream) => {
          this.#frames.divert(stream);
        },
        undivert: (stream) => {
          this.#frames.undivert(stream);
        },
      },
      audiences,
      this.state !== SocketState.opened,
    );
  }

  #makeOutbox(): Outbox {
    const bufferedAmount = (): number => this.bufferedAmount;
    return new Outbox({
      highWaterMark: this.#numbers.highWaterMark,
      get bufferedAmount() {
        return bufferedAmount();
      },
      write: (fin, code, data) => {
        this.#frames.write(fin, code, data);
      },
      refusal: () => (this.#ending.sendable ? undefined : this.#ending.refusal()),
      fail: (error) => {
        this.fail(error);
      },
    });
  }

  #makeWatch(sink: TransportSink): AliveWatch {
    const bufferedAmount = (): number => this.bufferedAmount;
    return new AliveWatch(this.#numbers, {
      get bufferedAmount() {
        return bufferedAmount();
      },
      get bytesTaken() {
        return sink.bytesTaken;
      },
      ping: () => {
        const payload = newPingPayload();
        this.#frames.write(true, ControlFrames.ping, payload);
        void quietly(this.#pings.sent(payload));
      },
      fail: (error) => {
        this.fail(error);
      },
    });
  }

  #makeEnding(): Ending {
    return new Ending({
      transport: this.transport,
      frames: this.#frames,
      lifecycle: this.#lifecycle,
      closeTimeout: this.#numbers.closeTimeout,
      beforeClose: (code, reason) => this.#parts.beforeClose?.(code, reason),
      afterClose: (info) => this.#parts.afterClose?.(info),
      whenSettled: () => this.#outbox.whenSettled(),
      onEnding: () => {
        this.#flow.update();
      },
      onNothingMore: (error, refusal) => {
        this.#inbox.end(refusal, error);
        this.#outbox.end(error);
        this.#pings.fail(error);
      },
      onError: (error) => {
        this.#tell('error', error);
      },
      onClosed: (info) => {
        this.#tell('close', info.code, info.reason, info);
        this.#settleClosed(info);
      },
    });
  }

  #makeFlow(): Flow {
    const ending = this.#ending;
    return new Flow({
      transport: this.transport,
      frames: this.#frames,
      watch: this.#watch,
      get ending() {
        return ending.begun;
      },
      get finished() {
        return ending.finished;
      },
      fail: (error) => {
        ending.fail(error);
      },
    });
  }

  readonly #onState = (state: SocketState, previous: SocketState): void => {
    this.#tell('state', state, previous);
  };

  #attach<E extends keyof ConverseEvents>(
    event: E,
    listener: (...args: ConverseEvents[E]) => void,
    context: unknown,
    once: boolean,
  ): this {
    const add = once ? super.once : super.on;
    add.call(this, event, listener as never, context);
    if (event === 'message') {
      this.#inbox.attached(this, listener as MessageListener, context ?? this, once);
    }
    return this;
  }

  #tell<E extends keyof ConverseEvents>(event: E, ...args: ConverseEvents[E]): void {
    try {
      (this.emit as (event: E, ...args: ConverseEvents[E]) => boolean).call(this, event, ...args);
    } catch (error) {
      raise(error);
    }
  }
}

function newPingPayload(): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeInt32LE(maskingKey());
  return payload;
}
