/**
 * Talking on an open connection: {@link Converse}, which `AioWebSocket` hands out as `manipulator`.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import { AliveWatch } from './alives.js';
import { checkClose, Closing, closePayload } from './closings.js';
import { ControlFrames, SocketState, StatusCodes } from './enumerations.js';
import { ConnectionError, FrameError, TimeoutError } from './exceptions.js';
import { Frames } from './freams.js';
import { Inbox, type Audience, type MessageListener, type ReceiveOptions } from './inboxes.js';
import { Lifecycle } from './lifecycles.js';
import { maskingKey } from './masks.js';
import { checkOptions, numberOptions, type ConverseOptions, type Numbers } from './options.js';
import { Outbox, quietly, type SendOptions } from './outboxes.js';
import { controlPayload, raise, type CloseInfo, type Message, type SendData } from './parts.js';
import type { PieceStream, StreamOptions } from './pieces.js';
import { PingLedger } from './pings.js';
import { runHook } from './hooks.js';
import { Alarm } from './timers.js';
import { readTransport, TransportSink } from './transports.js';

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
  readonly #closing = new Closing();
  readonly #pings = new PingLedger();
  readonly #watch: AliveWatch;
  readonly #closeAlarm = new Alarm(() => {
    this.#closeTimedOut();
  });
  #settleClosed!: (info: CloseInfo) => void;
  #closeCalled = false;
  /** Whether `beforeClose` is at work: it may still send. */
  #closeHooked = false;
  #terminated = false;
  #reading = false;
  #flowPaused = false;
  #pausedByUser = false;
  #pausedByQueues = 0;
  #owedPong: Buffer | undefined;
  #finished = false;

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
    this.#listen();
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
    return this.#inbox.iterate(() => this.#closing.refusal());
  }

  /**
   * Sends one ping and waits for its pong, or that of a later ping (RFC 6455 section 5.5.2).
   * @param data at most 125 bytes; random when omitted, so that concurrent pings differ
   * @returns round-trip latency in milliseconds
   * @throws {ConnectionClosed} when the connection ends first
   */
  ping(data?: string | ArrayBufferView | ArrayBuffer): Promise<number> {
    return this.#control(() => {
      const payload = data === undefined ? newPingPayload() : Buffer.from(controlPayload(data, 'data'));
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
      return Promise.reject(error as Error);
    }
    if (!this.#closeCalled && !this.#finished && !this.#closing.sent) {
      this.#closeCalled = true;
      this.#closing.initiatedBy ??= 'local';
      this.#closeAlarm.set(this.#numbers.closeTimeout);
      this.#beginClose(code, reason);
    }
    return this.closed;
  }

  /** Ends at once: no Close frame, no waiting. What is unsent is lost. */
  terminate(): void {
    if (this.#finished) return;
    this.#terminated = true;
    this.#closing.initiatedBy ??= 'local';
    this.#frames.stop();
    this.transport.destroy();
  }

  /** Stops reading: the server feels it. Timers of silence stand still. */
  pause(): void {
    this.#pausedByUser = true;
    this.#updateFlow();
  }

  /** Reads on. */
  resume(): void {
    this.#pausedByUser = false;
    this.#updateFlow();
  }

  /** The process lives while the connection does: the default. */
  ref(): this {
    (this.transport as Partial<{ ref(): void }>).ref?.();
    this.#closeAlarm.hold(true);
    return this;
  }

  /** The connection alone does not keep the process alive. */
  unref(): this {
    (this.transport as Partial<{ unref(): void }>).unref?.();
    this.#closeAlarm.hold(false);
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
    const closing = this.#closing;
    if (this.#finished || this.#terminated || closing.error !== undefined) return;
    if (closing.received !== undefined) {
      // The closing handshake is over: how the TCP connection ends is no failure.
      this.transport.destroy();
      return;
    }
    closing.error = error;
    closing.initiatedBy ??= error instanceof ConnectionError ? 'remote' : 'local';
    this.#watch.hold();
    this.#frames.stop();
    if (error instanceof FrameError && !closing.sent) this.#failPolitely(error.closeCode);
    else this.transport.destroy();
    this.#tell('error', error);
    this.#rejectPending(error);
  }

  // ---- bytes in ----

  readonly #startReading = (): void => {
    if (this.#finished) return;
    if (this.transport.destroyed) {
      this.#onTransportClose();
      return;
    }
    this.#reading = true;
    this.#updateFlow();
    const { head } = this.#parts;
    if (head !== undefined && head.length > 0) this.#onChunk(head);
    readTransport(this.transport, this.#onChunk);
    if (this.#flowPaused) this.transport.pause();
    else this.#watch.start();
  };

  readonly #onChunk = (chunk: Buffer): void => {
    this.#watch.heard();
    try {
      this.#frames.feed(chunk);
    } catch (error) {
      this.fail(error as Error);
    }
  };

  readonly #onMessage = (message: Message): void => {
    if (this.#closing.sent) this.#closing.discarded++;
    else this.#inbox.deliver(message, this.#frames.messageBytes);
  };

  readonly #onPing = (payload: Buffer): void => {
    if (this.#autoPong && !this.#closing.sent) {
      // A server that pings and does not read gets one answer, to its latest ping.
      if (this.bufferedAmount > this.#numbers.highWaterMark) this.#owedPong = payload;
      else this.#frames.pong(payload);
    }
    this.#tell('ping', payload);
  };

  readonly #onPong = (payload: Buffer): void => {
    this.#tell('pong', payload, this.#pings.answered(payload));
  };

  /** Pauses and resumes the socket as the user and the queues ask. */
  #updateFlow(): void {
    const { sent, received, error } = this.#closing;
    const ending = sent || received !== undefined || error !== undefined;
    const pause = !ending && (this.#pausedByUser || this.#pausedByQueues > 0);
    if (!this.#reading || pause === this.#flowPaused) return;
    this.#flowPaused = pause;
    if (pause) {
      this.#frames.pause();
      this.transport.pause();
      this.#watch.hold();
    } else {
      // Not within the call that made room: what waits may be many messages.
      setImmediate(this.#readOn);
    }
  }

  readonly #readOn = (): void => {
    if (this.#flowPaused || this.#finished) return;
    try {
      this.#frames.resume();
    } catch (error) {
      this.fail(error as Error);
    }
    if (this.#flowPaused) return;
    this.transport.resume();
    if (this.#closing.error === undefined && this.#closing.received === undefined) {
      this.#watch.start();
    }
  };

  // ---- bytes out ----

  readonly #onTaken = (): void => {
    const owed = this.#owedPong;
    if (owed !== undefined && this.bufferedAmount <= this.#numbers.highWaterMark) {
      this.#owedPong = undefined;
      if (!this.#closing.sent) this.#frames.pong(owed);
    }
    if (this.#outbox.crowded && this.#outbox.relieve()) this.#tell('drain');
  };

  /** A control frame of the user's: arguments are checked first, then whether it can go out. */
  #control<T>(check: () => () => Promise<T>): Promise<T> {
    let write: () => Promise<T>;
    try {
      write = check();
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const refusal = this.#refusal();
    return quietly(refusal === undefined ? write() : Promise.reject(refusal));
  }

  /** Why nothing can be sent; undefined while it can. */
  #refusal(): Error | undefined {
    const open = !this.#closing.sent && !this.#finished && this.#closing.error === undefined;
    return open && (!this.#closeCalled || this.#closeHooked) ? undefined : this.#closing.refusal();
  }

  // ---- closing ----

  #beginClose(code: number, reason: string): void {
    this.#closing.intended = { code, reason };
    this.#closeHooked = true;
    runHook(
      () => this.#parts.beforeClose?.(code, reason),
      this.#numbers.closeTimeout,
      (error) => {
        this.#tell('error', error);
      },
      () => {
        this.#closeHooked = false;
        this.#closeInTurn(code, reason);
      },
    );
  }

  /** What was sent before goes out before. */
  #closeInTurn(code: number, reason: string): void {
    const settled = this.#outbox.whenSettled();
    if (settled === undefined) this.#sendClose(code, reason);
    else {
      void settled.then(() => {
        this.#sendClose(code, reason);
      });
    }
  }

  #sendClose(code: number, reason: string): void {
    const closing = this.#closing;
    if (closing.sent || this.#finished || closing.error !== undefined) return;
    this.#frames.write(true, ControlFrames.close, closePayload(code, reason));
    this.#frames.flush();
    closing.sent = true;
    this.#enterClosing();
  }

  #enterClosing(): void {
    if (!this.#closeAlarm.pending) this.#closeAlarm.set(this.#numbers.closeTimeout);
    if (this.state < SocketState.closing) this.#lifecycle.move(SocketState.closing);
    this.#updateFlow();
  }

  /** RFC 6455 section 7.1.7: tell the peer why, then read and drop until its end of the stream. */
  #failPolitely(closeCode: number): void {
    this.#frames.write(true, ControlFrames.close, closePayload(closeCode, ''));
    this.#frames.flush();
    this.#closing.sent = true;
    this.transport.end();
    this.#enterClosing();
    this.transport.resume();
  }

  readonly #onPeerClose = (code: number, reason: string): void => {
    const closing = this.#closing;
    closing.received = { code, reason };
    closing.initiatedBy ??= 'remote';
    this.#watch.hold();
    this.#sendClose(code, '');
    this.#enterClosing();
    this.#rejectPending(closing.refusal());
  };

  readonly #onTransportEnd = (): void => {
    const { received, sent, error } = this.#closing;
    if (received === undefined && error === undefined) {
      this.fail(
        new ConnectionError(
          'ERR_CONNECTION_LOST',
          'the server ended the connection without a Close frame',
          sent ? 'closing' : 'open',
        ),
      );
      return;
    }
    this.transport.end(() => {
      this.transport.destroy();
    });
  };

  readonly #onTransportError = (cause: Error): void => {
    this.fail(
      new ConnectionError(
        'ERR_CONNECTION_RESET',
        `the connection broke: ${cause.message}`,
        this.#closing.sent ? 'closing' : 'open',
        { cause },
      ),
    );
  };

  readonly #onTransportClose = (): void => {
    const { received, error } = this.#closing;
    if (received === undefined && error === undefined) this.#onTransportEnd();
    this.#finish();
  };

  #closeTimedOut(): void {
    const { received, error } = this.#closing;
    if (received !== undefined || error !== undefined) {
      this.transport.destroy();
      return;
    }
    const limit = String(this.#numbers.closeTimeout);
    this.fail(
      new TimeoutError(
        `the closing handshake took longer than ${limit} ms (closeTimeout)`,
        'close',
        'closing',
      ),
    );
  }

  #rejectPending(error: Error): void {
    const refusal = this.#closing.refusal();
    this.#inbox.end(refusal, error);
    this.#outbox.end(error);
    this.#pings.fail(error);
  }

  /** The transport is gone: nothing outlives it. */
  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#closeAlarm.clear();
    this.#watch.hold();
    this.#frames.stop();
    const info = this.#closing.info();
    this.#lifecycle.move(SocketState.closed);
    this.#rejectPending(info.error ?? this.#closing.refusal());
    const conclude = (): void => {
      this.#tell('close', info.code, info.reason, info);
      this.#settleClosed(info);
    };
    runHook(
      () => this.#parts.afterClose?.(info),
      this.#numbers.closeTimeout,
      (error) => {
        this.#tell('error', error);
      },
      conclude,
    );
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
          this.#pausedByQueues++;
          this.#updateFlow();
        },
        resume: () => {
          this.#pausedByQueues--;
          this.#updateFlow();
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
      refusal: () => this.#refusal(),
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

  #listen(): void {
    this.#frames.on('message', this.#onMessage);
    this.#frames.on('ping', this.#onPing);
    this.#frames.on('pong', this.#onPong);
    this.#frames.on('close', this.#onPeerClose);
    this.transport.on('end', this.#onTransportEnd);
    this.transport.on('error', this.#onTransportError);
    this.transport.on('close', this.#onTransportClose);
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
