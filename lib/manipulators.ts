/**
 * Talking on an open connection: {@link Converse}, which `AioWebSocket` hands out as `manipulator`.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { checkClose } from './closings.js';
import { Core, type ControlData } from './cores.js';
import { MessageEmitter } from './emitters.js';
import { SocketState } from './enumerations.js';
import { Frames } from './freams.js';
import type { ReceiveOptions } from './inboxes.js';
import { Lifecycle } from './lifecycles.js';
import { checkOptions, type ConverseOptions } from './options.js';
import type { SendOptions } from './outboxes.js';
import type { CloseInfo, Extension, Message, SendData } from './parts.js';
import type { PieceStream, StreamOptions } from './pieces.js';
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
  /** What compresses outgoing messages, from `threshold` bytes up. */
  readonly extension?: Extension | undefined;
  readonly threshold?: number | undefined;
  /** Whether messages are shown to listeners only once `release()` has been called. */
  readonly held?: boolean | undefined;
  /** Awaited before our Close frame goes out. */
  beforeClose?: (code: number, reason: string) => void | Promise<void>;
  /** Awaited before `close` is emitted. */
  afterClose?: (info: CloseInfo) => void | Promise<void>;
}

/**
 * Talks on a connection that is open: sends, receives, answers pings, and closes. Usually made by
 * {@link AioWebSocket}, and found at its `manipulator`.
 */
export class Converse extends MessageEmitter<ConverseEvents> {
  /** The byte stream. */
  declare readonly transport: Duplex;
  readonly #core: Core;

  /**
   * @param transport an open byte stream on which the opening handshake is over
   * @param options limits and timers
   * @throws TypeError or RangeError that names the option
   */
  constructor(transport: Duplex, options: ConverseOptions = {}, parts: ConverseParts = {}) {
    super();
    const numbers = checkOptions(options);
    this.transport = transport;
    const sink = parts.sink ?? new TransportSink(transport);
    const lifecycle = parts.lifecycle ?? new Lifecycle(SocketState.opened, []);
    lifecycle.emitters.unshift(this);
    this.#core = new Core({
      ...parts,
      transport,
      sink,
      lifecycle,
      frames: parts.frames ?? new Frames(sink, options),
      numbers,
      autoPong: options.autoPong ?? true,
      held: parts.held ?? false,
    });
  }

  /** Resolves once the connection has ended, however it did. Never rejects. */
  get closed(): Promise<CloseInfo> {
    return this.#core.lifecycle.closed;
  }

  /** Where the connection is in its life. */
  get state(): SocketState {
    return this.#core.lifecycle.state;
  }

  /** @internal */
  override get core(): Core {
    return this.#core;
  }

  /** Messages that wait for `receive()`. The original's `get_queue_size`. */
  get queueSize(): number {
    return this.#core.queueSize;
  }

  /** Bytes that wait to be sent. */
  get bufferedAmount(): number {
    return this.#core.buffered;
  }

  /**
   * Sends one message: a string as text, anything else as binary; an iterable's items as the
   * fragments of one message. Bytes are copied: they may be reused at once.
   * @returns resolves once it is buffered below the high-water mark, else at the next `drain`
   * @throws {TypeError} for anything else; {@link ConnectionClosed} when the connection ends first
   */
  send(data: SendData, options?: SendOptions): Promise<void> {
    return this.#core.outbox.send(data, options);
  }

  /**
   * The next message, in order of arrival. Messages that came before the connection closed are
   * still given.
   * @throws {ConnectionClosed} when there is none and none will come; TimeoutError after `timeout`
   */
  receive(options: ReceiveOptions & { text: true }): Promise<string>;
  receive(options: ReceiveOptions & { text: false }): Promise<Buffer>;
  receive(options?: ReceiveOptions): Promise<Message>;
  receive(options?: ReceiveOptions): Promise<Message> {
    return this.#core.inbox.receive(options);
  }

  /**
   * The next message, piece by piece as it arrives. It is not shown to `message` listeners once it
   * has begun to be streamed, and reading pauses while its pieces are not read.
   */
  receiveStream(options: StreamOptions = {}): PieceStream {
    return this.#core.inbox.stream(options);
  }

  /** Messages, until the connection closes; leaving the loop does not close it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return this.#core.inbox.iterate();
  }

  /**
   * Sends one ping and waits for its pong, or that of a later ping (RFC 6455 section 5.5.2).
   * @param data at most 125 bytes; random when omitted, so that concurrent pings differ
   * @returns round-trip latency in milliseconds
   * @throws {ConnectionClosed} when the connection ends first
   */
  ping(data?: ControlData): Promise<number> {
    return this.#core.ping(data);
  }

  /**
   * Sends a pong that nobody asked for: a one-way sign of life (RFC 6455 section 5.5.3).
   * @param data at most 125 bytes
   */
  pong(data: ControlData = ''): Promise<void> {
    return this.#core.pong(data);
  }

  /**
   * Closes: sends a Close frame behind what was sent before, waits for the server's, then for the
   * end of the TCP connection (RFC 6455 section 7.1). After `closeTimeout` it ends regardless.
   * @param code 1000–1003, 1007–1014 or 3000–4999
   * @param reason at most 123 bytes of UTF-8
   * @returns how it ended; the same promise for every call
   */
  close(code = 1000, reason = ''): Promise<CloseInfo> {
    try {
      checkClose(code, reason);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#core.ending.close(code, reason);
    return this.closed;
  }

  /** Ends at once: no Close frame, no waiting. What is unsent is lost. */
  terminate(): void {
    this.#core.ending.terminate();
  }

  /** Stops reading: the server feels it. Timers of silence stand still. */
  pause(): void {
    this.#core.flow.byUser(true);
  }

  /** Reads on. */
  resume(): void {
    this.#core.flow.byUser(false);
  }

  /** @internal Whether the process lives on for the connection. */
  override hold(alive: boolean): this {
    holdStream(this.transport, alive);
    this.#core.hold(alive);
    return this;
  }
}

/** Lets the process live on for a stream, or not, where there is one that can. */
export function holdStream(stream: Duplex | undefined, alive: boolean): void {
  (stream as Partial<Record<'ref' | 'unref', () => void>> | undefined)?.[
    alive ? 'ref' : 'unref'
  ]?.();
}
