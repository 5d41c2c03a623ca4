/**
 * Messages on their way to the user: shown to listeners, kept for those who pull.
 * @packageDocumentation
 */
import type { PieceSink } from './assemblies.js';
import { Buffer, nextTick, setImmediate } from './builtins.js';
import { closedError, setDeadline } from './connections.js';
import type { Audience, Connection } from './connections.js';
import { ConnectionClosed, ConnectionClosedOK, TimeoutError } from './exceptions.js';
import { updateFlow } from './flows.js';
import { pullIterator, type PullIterator } from './iterators.js';
import { checkKinds, RECEIVE_KINDS, type ReceiveOptions } from './options.js';
import type { Message } from './parts.js';
import { Fifo, PullQueue, type Waiter } from './queues.js';
import { Alarm } from './timers.js';
import { isString, onAbort, throwLater } from './values.js';

/** Someone who waits for a message, whole or, at the sink, in pieces. */
export interface PieceWaiter extends Waiter<Message> {
  readonly _sink?: PieceSink;
}

/**
 * With listeners and nobody who pulls, this much is kept, for a `receive()` right after opening.
 */
const BACKLOG = 256;
const BACKLOG_BYTES = 262_144;

/** A message has come: the first who waits gets it, and all who listen are shown it. */
export function messageReceived(c: Connection, message: Message, bytes: number): void {
  showUnseen(c);
  const queue = queueOf(c);
  if (c._keepsNothing && queue._waiters._size === 0 && !c._listenersWait) {
    // Listeners alone: the common case, and the one that has to be fast.
    if (!show(c, message)) keep(c, message, bytes, false);
    return;
  }
  const listening = !c._listenersWait && countListeners(c) > 0;
  if (queue._offer(message)) armStream(c);
  else keep(c, message, bytes, listening);
  if (listening) show(c, message);
}

/** A listener has been attached: what is kept and nobody was shown is shown to all, soon. */
export function listenerAttached(c: Connection): void {
  if (countListeners(c) === 1) {
    // Whoever has pulled from what still waits is going on with it.
    c._pulled = c._pulledLately && !!c._queue?._items._size;
    c._keepsNothing = false;
  }
  if (c._listenersWait || c._pulledUnseen) return;
  prepareShowing(c);
  nextTick(showUnseen, c);
}

/** Listeners are to be shown what is kept now, also what is pulled before that. */
export function prepareShowing(c: Connection): void {
  if (c._queue) c._pulledUnseen = new Fifo();
}

/** `afterOpen` has ended, and nobody has been told yet that it is open. */
export function forgetPulls(c: Connection): void {
  const queue = c._queue;
  // Pulling in `afterOpen`, as to log in, is over unless somebody waits, messages still do, or a loop
  // goes on.
  if (queue && queue._loops + queue._waiters._size + queue._items._size === 0) {
    c._pulled = false;
    c._pulls = 0;
  }
}

/** The connection is open: listeners are shown what came before, and from now on what comes. */
export function startShowing(c: Connection): void {
  c._listenersWait = false;
  showUnseen(c);
}

/** The next message. */
export function receive(c: Connection, options?: ReceiveOptions): Promise<Message> {
  if (options !== undefined) return receiveWith(c, options);
  const message = poll(c);
  if (message !== undefined) return Promise.resolve(message);
  return new Promise((_resolve, _reject) => {
    wait(c, { _resolve, _reject });
  });
}

/** All messages, until the connection closes. */
export function iterate(c: Connection): PullIterator<Message> {
  const queue = queueOf(c);
  queue._loops++;
  return pullIterator<Message>(
    () => poll(c),
    (waiter) => {
      wait(c, waiter);
    },
    (error) => {
      // The loop throws ConnectionClosed, whatever broke the connection.
      const closed = error instanceof ConnectionClosed ? error : closedError(c);
      return !(closed instanceof ConnectionClosedOK) && closed;
    },
    (waiters) => {
      queue._loops--;
      for (const waiter of waiters) {
        stopWaiting(c, waiter);
        waiter._reject(undefined);
      }
    },
  );
}

/**
 * Nothing more comes: those who wait get what broke the connection, later ones a ConnectionClosed.
 */
export function endReceiving(c: Connection): void {
  c._queue?._end(closedError(c), c._error);
  endStream(c);
}

/** What is left of the message that is being streamed does not come any more. */
export function endStream(c: Connection): void {
  c._streaming?.end(c._error ?? closedError(c));
}

/** Its queue of messages; made when it is needed. */
export function queueOf(c: Connection): PullQueue<Message> {
  if (!c._queue) {
    c._queue = new PullQueue(c._numbers, makeOnFull(c));
    if (c._callsEnded) c._queue._end(closedError(c));
  }
  return c._queue;
}

/** What a queue calls when it is full, and when it has room again. */
export const makeOnFull =
  (c: Connection) =>
  (full: boolean): void => {
    c._fullQueues += full ? 1 : -1;
    updateFlow(c);
  };

const countListeners = ({ _converse: converse, _aws: aws }: Connection): number =>
  (converse?.listenerCount('message') ?? 0) + (aws?.listenerCount('message') ?? 0);

/** Shows a message to all listeners. Returns whether there were any. */
function show(c: Connection, message: Message): boolean {
  const heard = showTo(c._converse, message);
  return showTo(c._aws, message) || heard;
}

function showTo(emitter: Audience | undefined, message: Message): boolean {
  try {
    return !!emitter?.emit('message', message, typeof message !== 'string');
  } catch (error) {
    throwLater(error);
    return true;
  }
}

/**
 * A message is shown once, to all who listen then: who attaches a listener for each message gets one
 * after the other.
 */
export function showUnseen(c: Connection): void {
  const pulled = c._pulledUnseen;
  if (!pulled) return;
  c._listenersWait = false;
  const { _items: items } = queueOf(c);
  // A listener may have shown the rest, by a call that was answered within.
  while (c._pulledUnseen && countListeners(c)) {
    // Or have stopped it: the rest is shown when reading goes on.
    if ((c._listenersWait = c._ending ? !!c._terminated : c._userPaused)) return;
    const message =
      pulled._shift() ?? (c._unseenCount ? items._peek(items._size - c._unseenCount--) : undefined);
    if (message === undefined) break;
    show(c, message);
  }
  c._pulledUnseen = undefined;
  trim(c);
}

function keep(c: Connection, message: Message, bytes: number, listening: boolean): void {
  const queue = queueOf(c);
  if (queue._items._size === 0) c._pulledLately = false;
  queue._keep(message, bytes);
  if (queue._wasFull && c._pulls === 0 && !countListeners(c)) warn(UNREAD);
  if (listening) trim(c);
  else c._unseenCount++;
}

/** Keeps no more than a small backlog of what listeners saw and nobody pulls. */
function trim(c: Connection): void {
  if (!countListeners(c)) return;
  const queue = queueOf(c);
  const { _size: size, _bytes: bytes } = queue._items;
  if (!c._pulled && (size > BACKLOG || bytes > BACKLOG_BYTES)) dropQueue(c);
  // Whoever pulls gets a turn to do so before a full queue is dropped.
  if (queue._wasFull) setImmediate(checkFullQueue, c);
}

/**
 * A full queue stops reading, and with it the listeners: it is dropped where nobody has pulled
 * since it was last empty or checked.
 */
function checkFullQueue(c: Connection): void {
  const ends = c._closeRequested ?? c._waitingEnds;
  // Any other deadline is the one set below: whoever pulled is being waited for.
  if ((c._deadline && !ends) || !queueOf(c)._wasFull || !countListeners(c)) return;
  if (c._pulledLately || (c._userPaused && c._pulled)) {
    if (ends) return;
    c._pulledLately = false;
    setDeadline(c, () => {
      c._deadline = undefined;
      checkFullQueue(c);
    });
  } else dropQueue(c);
}

/** Drops a full queue that listeners have seen. Returns whether it did. */
export function dropSeenQueue(c: Connection): boolean {
  if (!queueOf(c)._wasFull || !countListeners(c)) return false;
  dropQueue(c);
  return true;
}

function dropQueue(c: Connection): void {
  if (c._pulls > 0) warn(ABANDONED);
  c._keepsNothing = true;
  c._pulled = false;
  c._unseenCount = 0;
  queueOf(c)._clear();
}

function poll(c: Connection): Message | undefined {
  c._pulls++;
  c._pulled = c._pulledLately = true;
  c._keepsNothing = false;
  const queue = c._queue;
  const message = queue?._poll();
  // Listeners that are to be shown it still are.
  if (message !== undefined && c._unseenCount > queue!._items._size) {
    c._unseenCount--;
    c._pulledUnseen?._push(message);
  }
  return message;
}

/** The waiter gets the next message. */
export function pull(c: Connection, waiter: Waiter<Message>): void {
  const message = poll(c);
  if (message === undefined) wait(c, waiter);
  else waiter._resolve(message);
}

/** The waiter gets the next message that comes. */
function wait(c: Connection, waiter: Waiter<Message>): void {
  queueOf(c)._wait(waiter);
  armStream(c);
}

/** The waiter gets none any more. */
export function stopWaiting(c: Connection, waiter: Waiter<Message>): void {
  queueOf(c)._waiters._remove(waiter);
  armStream(c);
}

/**
 * Has the message under way, or else the next one, go to the stream that is first in line, if one
 * is. Not once our Close frame has gone out: messages that begin behind it are dropped.
 */
export function armStream(c: Connection): void {
  const waiter: PieceWaiter | undefined = c._queue?._waiters._peek();
  if (waiter?._sink) c._frames[c._closeSent ? 'undivert' : 'divert'](waiter._sink);
}

function receiveWith(c: Connection, options: ReceiveOptions): Promise<Message> {
  return new Promise((resolve, reject) => {
    const { text, timeout, signal } = checkKinds(options, RECEIVE_KINDS);
    signal?.throwIfAborted();
    let alarm: Alarm | undefined;
    const cleanUp = (): void => {
      alarm?._clear();
      stopListening();
    };
    const waiter: Waiter<Message> = {
      _resolve(message) {
        cleanUp();
        resolve(text === undefined ? message : convert(message, text));
      },
      _reject(error) {
        cleanUp();
        reject(error);
      },
    };
    const failWaiter = (error: unknown): void => {
      stopWaiting(c, waiter);
      waiter._reject(error);
    };
    const stopListening = onAbort(signal, () => {
      failWaiter(signal?.reason);
    });
    if (timeout !== undefined) {
      const ring = (): void => {
        failWaiter(new TimeoutError(`no message came within ${timeout} ms`, 'receive', 'open'));
      };
      alarm = new Alarm(c, ring, timeout, true);
    }
    pull(c, waiter);
  });
}

function convert(message: Message, text: boolean): Message {
  if (text) return message.toString();
  return isString(message) ? Buffer.from(message) : message;
}

const ABANDONED =
  'messages nobody pulls are no longer kept for receive(): keep pulling, or only listen';
const UNREAD = 'nobody takes the messages: the queue is full, and reading stops';

/** What the process has been warned of. */
const warned = new Set<string>();

function warn(of: string): void {
  if (warned.has(of)) return;
  warned.add(of);
  // eslint-disable-next-line no-restricted-globals -- once, and others may listen there
  process.emitWarning(of, 'AioWebSocketWarning');
}
