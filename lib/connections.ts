/**
 * A connection: one record, on which the files of this layer work, each on its own part of it.
 * (Names that begin with `_` are shortened when the package is built.)
 * @packageDocumentation
 */
import { SocketState, StatusCodes } from './enumerations.js';
import type { ConnectionClosed } from './exceptions.js';
import type { Deflate } from './extensions.js';
import type { Frames } from './freams.js';
import type { Numbers } from './options.js';
import type { CloseInfo, Data, Message } from './parts.js';
import type { PieceSink } from './assemblies.js';
import type { Fifo, PullQueue, Waiter } from './queues.js';
import type { SendQueue } from './sends.js';
import { Alarm } from './timers.js';
import { Transporter } from './transports.js';
import { connectionClosed, emitSafely, noop } from './values.js';

/** An emitter of messages. */
export interface Audience {
  emit: (event: 'message', data: Message, isBinary: boolean) => boolean;
  listenerCount: (event: 'message') => number;
}

/** A ping that waits for its pong; resolves with the latency in milliseconds. */
export interface Ping extends Waiter<number> {
  /** Its payload, as Latin-1. */
  readonly _key: string;
  readonly _sentAt: number;
}

/** Pings in the order in which they were sent. */
export interface Pings {
  readonly _list: Fifo<Ping>;
  /** The newest of each payload: a pong of none takes no search, however many wait. */
  readonly _newest: Map<string, Ping>;
  /** The latest that silence asked for. */
  _keepalive?: Ping;
}

/** Where the pieces of a message to send come from. */
export interface Source {
  next: () => Promise<IteratorResult<Data>> | IteratorResult<Data>;
  return?: () => unknown;
}

/** What a Close frame carries (RFC 6455 section 5.5.1). */
interface CloseBody {
  readonly code: number;
  readonly reason: string;
}

/** What counts where no Close frame has come (RFC 6455 section 7.1.5). */
export const NO_CLOSE: CloseBody = { code: StatusCodes.abnormal, reason: '' };

/** What a user may do about the end. */
export interface CloseHooks {
  beforeClose: (code: number, reason: string) => void | Promise<void>;
  afterClose: (info: CloseInfo) => void | Promise<void>;
}

/**
 * One connection. What an idle one can do without is made when it is needed, and for what is set at
 * its end no room is kept (`declare`): idle connections are many.
 */
export abstract class Connection extends Transporter {
  declare _numbers: Numbers;
  _autoPong = true;
  _frames!: Frames;
  /** What compresses outgoing messages. */
  _deflate: Deflate | undefined;

  // ---- its life ----

  _state = SocketState.zero;
  /** Who emits its events, in this order; AioWebSocket has hooks for its end as well. */
  _converse: Audience | undefined;
  _aws: (Audience & CloseHooks) | undefined;
  declare _info: CloseInfo | undefined;
  _closed: Promise<CloseInfo> | undefined;
  declare _resolveClosed: ((info: CloseInfo) => void) | undefined;
  /** Whether the process lives on for it, as after `ref()`. */
  _hasRef = true;

  // ---- reading: flows.ts ----

  _reading = false;
  _paused = false;
  _userPaused = false;
  _fullQueues = 0;
  /** Whether the codec is working through a large message, a slice a turn. */
  _codecBusy = false;
  /** Whether others have their turn before more is read. */
  _givesWay = false;

  /** What the transport's end is to lead to, once all that came before it has been read. */
  declare _waitingEnds: ((c: Connection) => void)[] | undefined;

  // ---- life and silence: alives.ts ----

  /** When a byte last came, in whole milliseconds of performance.now(). */
  _lastHeard = 0;
  /**
   * From when on the clock of the keepalive ping runs that is out; -1 while the kernel has not taken
   * it, 0 where none is out.
   */
  _pingTaken = 0;
  /** When alives.ts checks it next; 0: never; below 0: since when nothing counts, as it is paused. */
  _nextCheck = 0;
  /** At the last check: bytes that waited for the kernel, and those that it had taken. */
  _lastWaiting = 0;
  _lastTaken = 0;
  /** Whether a byte has come since the last check, and what the kernel had taken before one came. */
  _heard = false;
  _takenBefore = 0;
  _pings: Pings | undefined;
  _owedPong: Buffer | undefined;

  // ---- receiving: inboxes.ts ----

  /** Whether `message` listeners are shown nothing now: it is not open, or one of them has paused. */
  _listenersWait = true;
  _queue: PullQueue<Message> | undefined;
  /** How many of the latest messages that are kept no listener has been shown. */
  _unseenCount = 0;
  /** While such are about to be shown: those of them that are pulled before that. */
  _pulledUnseen: Fifo<Message> | undefined;
  /** Who gets the pieces of the message under way. */
  _streaming: PieceSink | undefined;
  /** Whether someone has pulled since the first listener was attached: then all is kept. */
  _pulled = false;
  /** How often someone has pulled, a message or a piece of one. */
  _pulls = 0;
  /**
   * Whether someone has pulled since the queue was last empty, or since it was last checked when
   * full.
   */
  _pulledLately = false;
  /** Whether nothing is kept until the next pull. */
  _keepsNothing = false;

  // ---- sending: outboxes.ts ----

  /** Keeps sends in order; made when one has to wait for another. */
  _sendQueue: SendQueue | undefined;
  /** Where the pieces of the message that is being sent come from. */
  _source: Source | undefined;
  /** Sends that wait for room. */
  _drainWaiters: Waiter<void>[] | undefined;
  /** Of a text in pieces: the bytes of its last character so far, where that is not whole. */
  _textTail: Buffer | undefined;

  // ---- ending: closings.ts ----

  /** Whether it has begun to end: no further message can be sent. */
  _ending = false;
  /** Whether our Close frame has gone out: nothing may follow (RFC 6455 section 5.5.1). */
  _closeSent = false;
  /** Whether the hook `beforeClose` is running: it may still send. */
  declare _inBeforeClose: boolean | undefined;
  declare _terminated: boolean | undefined;
  /** Whether it has ended: only `afterClose` and `close` are left. */
  _finished = false;
  /** Whether calls that wait for messages or for room have been ended, and later ones fail. */
  declare _callsEnded: boolean | undefined;
  /** The peer's Close frame. */
  declare _closeReceived: CloseBody | undefined;
  /** What the user called `close()` with, before the server closed it. */
  declare _closeRequested: CloseBody | undefined;
  declare _error: Error | undefined;
  /** Messages that came after our Close frame, and were dropped. */
  _discarded = 0;
  /** Bounds the opening. */
  declare _opening: Alarm | undefined;
  /**
   * The one timer of its own: bounds the closing, the wait for a reader before its end is told, the
   * patience with a full queue, and the wait for a stream's `close`.
   */
  _deadline: Alarm | undefined;

  constructor(numbers: Numbers) {
    super();
    this._numbers = numbers;
  }

  /** The connection cannot go on. */
  abstract _fail(error: Error): void;
}

/** Emits on all its emitters; what a listener throws is thrown as an uncaught exception. */
export function emitAll(c: Connection, ...args: unknown[]): void {
  for (const emitter of [c._converse, c._aws]) if (emitter) emitSafely(emitter, ...args);
}

/** Moves on to a later state; a state once left never comes back. */
export function move(c: Connection, next: SocketState): void {
  const previous = c._state;
  if (next <= previous) return;
  c._state = next;
  emitAll(c, 'state', next, previous);
}

/** Resolves once all is over. Made when somebody asks. */
export function closedOf(c: Connection): Promise<CloseInfo> {
  return (c._closed ??= c._info
    ? Promise.resolve(c._info)
    : new Promise((resolve) => {
        c._resolveClosed = resolve;
      }));
}

/** The error for a call that comes too late. */
export function closedError(c: Connection): ConnectionClosed {
  // Of an end by force no Close frame will tell.
  const requested = c._terminated || c._error ? undefined : c._closeRequested;
  const { code, reason } = c._closeReceived ?? requested ?? NO_CLOSE;
  return connectionClosed(code, reason, c._error);
}

/** What a call gets that comes too late: a rejection that nobody need handle. */
export const rejectLate = (c: Connection): Promise<never> =>
  quietly(Promise.reject(closedError(c)));

/** Whether it is ending, or its transport has ended and what came before is still being read. */
export const isEnding = (c: Connection): boolean => c._ending || !!c._waitingEnds;

/** Whether messages can still be sent. */
export const sendable = (c: Connection): boolean =>
  !isEnding(c) && (!c._closeRequested || !!c._inBeforeClose);

/** Bytes that wait to be sent. */
export const buffered = (c: Connection): number =>
  // Until it is open there is nothing to send; a stream that is gone may still count in Node 20.12.
  (c._frames as Frames | undefined) && !c._finished
    ? c._frames.pending + c._transport.writableLength + c._bypassing
    : 0;

/** Whether more bytes wait to be sent than should. */
export const crowded = (c: Connection): boolean => buffered(c) > c._numbers.highWaterMark;

/** Lets the process live on for the connection (`true`), or not: `ref()` and `unref()`. */
export function setRef(c: Connection, hasRef: boolean): void {
  c._hasRef = hasRef;
  c._opening?._setRef(hasRef);
  c._deadline?._setRef(hasRef);
  // A socket that is gone would wait for its `connect`, with a listener for each call.
  if (c._finished) return;
  // A stream that is not a socket may have neither.
  const stream = c._transport as Partial<Record<'ref' | 'unref', () => void>> | undefined;
  stream?.[hasRef ? 'ref' : 'unref']?.();
}

/** Calls `ring` after `closeTimeout`, or `most` milliseconds, in place of the deadline before. */
export function setDeadline(c: Connection, ring: (c: Connection) => void, most = Infinity): void {
  c._deadline?._clear();
  c._deadline = new Alarm(c, ring, Math.min(c._numbers.closeTimeout, most), c._hasRef);
}

/** A promise whose rejection does not end the process when nobody handles it. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(noop);
  return promise;
}
