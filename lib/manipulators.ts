/**
 * Talking on an open connection: {@link Converse}, which `AioWebSocket` hands out as `manipulator`.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { ping, sendControl } from './alives.js';
import { nextTick } from './builtins.js';
import { checkClose, close, terminate } from './closings.js';
import { Core, start } from './cores.js';
import { coreOf, MessageEmitter } from './emitters.js';
import { SocketState } from './enumerations.js';
import { pauseReading } from './flows.js';
import { Frames } from './freams.js';
import { iterate, receive, showUnseen } from './inboxes.js';
import type { PieceStream } from './iterators.js';
import {
  checkOptions,
  type ConverseOptions,
  type ReceiveOptions,
  type SendOptions,
  type StreamOptions,
} from './options.js';
import { drained, send } from './outboxes.js';
import type { CloseInfo, ControlData, Message, SendData } from './parts.js';
import { receivePieces } from './pieces.js';
import { checkMade, ownOf, promiseTry } from './values.js';

/** What {@link Converse} emits. */
export interface ConverseEvents {
  /** A whole message: text as a string, binary as a Buffer of its own. */
  message: [data: Message, isBinary: boolean];
  /** The server pings; it is answered, unless `autoPong` is off. */
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

/** What {@link Converse} takes besides its options. */
export interface ConverseParts {
  /** @internal The connection, where AioWebSocket has opened it. */
  readonly _core?: Core | undefined;
  /** Bytes that came behind the handshake's response, where it was made by hand. */
  readonly head?: Buffer | undefined;
}

/**
 * Talks on an open connection: sends, receives, answers pings, and closes. Usually made by
 * {@link AioWebSocket}, and found at its `manipulator`.
 */
export class Converse extends MessageEmitter<ConverseEvents> {
  /** The byte stream. */
  declare readonly transport: Duplex;

  /**
   * @param transport an open byte stream on which the opening handshake is over
   * @param options limits and timers
   * @param parts what `makeConverse()` of AioWebSocket was given, or the bytes that came behind the
   * response
   * @throws TypeError or RangeError that names the option
   */
  constructor(transport: Duplex, options: ConverseOptions = {}, parts: ConverseParts = {}) {
    const numbers = checkOptions(options);
    const core = parts._core ?? new Core(numbers);
    super(core);
    this.transport = checkMade(transport, 'transport', 'write');
    core._converse = this;
    core._transport = transport;
    core._numbers = numbers;
    core._autoPong = ownOf(options).autoPong ?? true;
    if (parts._core) return;
    // One that nobody but this Converse knows.
    core._state = SocketState.opened;
    core._listenersWait = false;
    core._frames = new Frames(core, options);
    start(core, parts.head);
  }

  /** Messages that wait for `receive()`. The original's `get_queue_size`. */
  get queueSize(): number {
    return coreOf(this)._queue?._items._size ?? 0;
  }

  /**
   * Sends one message: a string as text, anything else as binary; an iterable's items as the
   * fragments of one message. Bytes are copied: they may be reused at once.
   * @returns resolves once it is buffered below the high-water mark, else at the next `drain`
   * @throws {TypeError} for anything else, and for text that is not UTF-8; RangeError for a `code`
   * that is none of a message's; InvalidStateError for a piece with nothing to continue; FrameError
   * (`ERR_FRAME_SOURCE`) for an iterable that fails after its first item, what it threw before that;
   * {@link ConnectionClosed}, or what broke it, when the connection ends first
   */
  send(data: SendData, options?: SendOptions): Promise<void> {
    return send(coreOf(this), data, options);
  }

  /**
   * The next message, in order of arrival. Messages that came before the connection closed are
   * still given.
   * @throws {ConnectionClosed} when there is none and none will come; a call that waits when the
   * connection breaks rejects with what broke it; TimeoutError after `timeout`; `signal.reason`;
   * TypeError or RangeError for options
   */
  receive(options: ReceiveOptions & { text: true }): Promise<string>;
  receive(options: ReceiveOptions & { text: false }): Promise<Buffer>;
  receive(options?: ReceiveOptions): Promise<Message>;
  receive(options?: ReceiveOptions): Promise<Message> {
    return receive(coreOf(this), options);
  }

  /**
   * The next message, piece by piece as it arrives. It is not shown to `message` listeners once it
   * has begun to be streamed, and reading pauses while its pieces are not read.
   * @throws {TypeError} or RangeError for options; the loop throws as `receive()` does
   */
  receiveStream(options: StreamOptions = {}): PieceStream {
    return receivePieces(coreOf(this), options);
  }

  /**
   * Messages, until the connection closes; leaving the loop does not close it.
   * @throws {ConnectionClosed} from the loop, after any end but 1000, 1001 and an empty Close
   * (1005)
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return iterate(coreOf(this));
  }

  /**
   * Sends one ping and waits for its pong, or that of a later ping (RFC 6455 section 5.5.2).
   * @param data at most 125 bytes; random when omitted, so that concurrent pings differ
   * @returns round-trip latency in milliseconds
   * @throws {ConnectionClosed}, or what broke it, when the connection ends first; TimeoutError when
   * neither it nor 65,536 later ones are answered; TypeError or RangeError for wrong data
   */
  ping(data?: ControlData): Promise<number> {
    return ping(coreOf(this), data);
  }

  /**
   * Sends a pong that nobody asked for: a one-way sign of life (RFC 6455 section 5.5.3).
   * @param data at most 125 bytes
   * @returns resolves as that of {@link send} does
   * @throws {ConnectionClosed} when the connection ends first; TypeError or RangeError for wrong
   * data
   */
  pong(data: ControlData = ''): Promise<void> {
    const c = coreOf(this);
    return sendControl(c, data, (payload) => {
      c._frames.pong(payload);
      return drained(c);
    });
  }

  /**
   * Closes: sends a Close frame behind what was sent before, waits for the server's, then for the
   * end of the TCP connection (RFC 6455 section 7.1). After `closeTimeout` it ends regardless.
   * @param code 1000–1003, 1007–1014 or 3000–4999
   * @param reason at most 123 bytes of UTF-8
   * @returns how it ended; the same promise for every call
   * @throws {TypeError} or RangeError for a code or reason that no Close frame may carry
   */
  close(code = 1000, reason = ''): Promise<CloseInfo> {
    return promiseTry(() => {
      checkClose(code, reason);
      close(coreOf(this), code, reason);
      return this.closed;
    });
  }

  /** Ends at once: no Close frame, no waiting. What is unsent is lost. */
  terminate(): void {
    terminate(coreOf(this));
  }

  /** Stops reading: TCP makes the server wait. Timers of silence stand still. */
  pause(): void {
    pauseReading(coreOf(this), true);
  }

  /** Reads on. */
  resume(): void {
    const c = coreOf(this);
    pauseReading(c, false);
    nextTick(showUnseen, c);
  }
}
