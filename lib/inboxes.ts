/**
 * Messages on their way to the user: shown to listeners, kept for those who pull.
 * @packageDocumentation
 */
import { Buffer, clearTimeout, nextTick, setImmediate, setTimeout } from './builtins.js';
import { closedError, setDeadline } from './connections.js';
import type { Audience, Connection, MessageListener } from './connections.js';
import { ConnectionClosed, ConnectionClosedOK, TimeoutError } from './exceptions.js';
import { updateFlow } from './flows.js';
import { checkKinds, numberOption, RECEIVE_KINDS, STREAM_KINDS } from './options.js';
import type { ReceiveOptions, StreamOptions } from './options.js';
import type { Message } from './parts.js';
import { makePieces, pullIterator } from './pieces.js';
import type { PieceStream, PieceWaiter, PullIterator } from './pieces.js';
import { PullQueue, type Waiter } from './queues.js';
import { isString, onAbort, raise } from './values.js';

/** With listeners and nobody who pulls, so much is kept for a `receive()` right after opening. */
const BACKLOG = 256;
const BACKLOG_BYTES = 262_144;

/** A message has come: whoever waits gets it, whoever listens is told. */
export function deliver(c: Connection, message: Message, bytes: number): void {
  if (c._latecomers) catchUp(c);
  const queue = queueOf(c);
  if (c._forgetful && queue._waiters._size === 0 && !c._quiet) {
    // Listeners alone: the common case, and the one that has to be fast.
    if (!show(c, message)) keep(c, message, bytes, false);
    return;
  }
  const listening = !c._quiet && countListeners(c) > 0;
  if (queue._offer(message)) arm(c);
  else if (!listening || !c._forgetful) keep(c, message, bytes, listening);
  if (listening) showWaiting(c, message, 0);
}

/** What has come before it is open, which listeners are told once it is. */
export const waiting = (c: Connection): Message[] => c._queue?._items._all() ?? [];

/** It is open: listeners are told what came meanwhile. */
export function release(c: Connection, messages: readonly Message[]): void {
  c._quiet = false;
  if (messages.length === 0 || !countListeners(c)) return;
  messages.forEach((message, i) => {
    showWaiting(c, message, messages.length - i - 1);
  });
  trim(c);
}

/** A listener has been attached: it is shown, soon, what still waits. */
export function attached(
  c: Connection,
  audience: Audience,
  listener: MessageListener,
  context: unknown,
  once: boolean,
): void {
  if (countListeners(c) === 1) c._pulled = c._forgetful = false;
  if (c._quiet) return;
  const all = waiting(c);
  // What is shown just now is shown to the next ones all the same, and so is what stands behind it.
  const messages = all.slice(
    0,
    Math.max(0, all.length - c._behind - (c._next === audience ? 1 : 0)),
  );
  if (messages.length === 0) return;
  if (!c._latecomers) {
    c._latecomers = [];
    nextTick(catchUp, c);
  }
  c._latecomers.push(() => {
    for (const message of messages) {
      if (!audience.listeners('message').includes(listener)) break;
      if (once) audience.off('message', listener, context, true);
      try {
        listener.call(context, message, !isString(message));
      } catch (error) {
        raise(error);
      }
    }
  });
}

/** The next message. */
export function receive(c: Connection, options?: ReceiveOptions): Promise<Message> {
  if (options !== undefined) return receiveWith(c, options);
  const message = poll(c);
  if (message !== undefined) return Promise.resolve(message);
  return new Promise((_give, _fail) => {
    pull(c, { _give, _fail });
  });
}

/** The next message in pieces. */
export function receivePieces(c: Connection, options: StreamOptions): PieceStream {
  const { maxPayload } = checkKinds(options, STREAM_KINDS);
  const [pieces, waiter] = makePieces(
    c._numbers.maxQueueBytes,
    maxPayload === undefined ? undefined : numberOption(options, 'maxPayload'),
    onFull(c),
    () => {
      queueOf(c)._waiters._shift();
      c._streaming = waiter._sink;
      arm(c);
    },
    () => {
      c._frames.undivert(waiter._sink);
      leave(c, waiter);
    },
  );
  pull(c, waiter);
  return pieces;
}

/** All messages, until the connection closes. */
export const iterate = (c: Connection): PullIterator<Message> =>
  pullIterator<Message>(
    () => poll(c),
    (waiter) => {
      pull(c, waiter);
    },
    (error) => {
      // A loop ends for one kind of reason only, whatever went wrong before.
      const closed = error instanceof ConnectionClosed ? error : closedError(c);
      return !(closed instanceof ConnectionClosedOK) && closed;
    },
    (waiter) => {
      if (waiter) leave(c, waiter);
    },
  );

/** Nothing more comes: those who wait get what broke it, if something did; later ones a refusal. */
export function endReceiving(c: Connection): void {
  c._queue?._end(closedError(c), c._error);
  c._streaming?.end(c._error ?? closedError(c));
}

function queueOf(c: Connection): PullQueue<Message> {
  if (!c._queue) {
    const { maxQueue, maxQueueBytes } = c._numbers;
    c._queue = new PullQueue(maxQueue, maxQueueBytes, onFull(c));
    if (c._callsEnded) c._queue._end(closedError(c));
  }
  return c._queue;
}

/** What a queue tells when it is full, or has room again. */
const onFull =
  (c: Connection) =>
  (full: boolean): void => {
    c._fullQueues += full ? 1 : -1;
    updateFlow(c);
  };

function countListeners(c: Connection): number {
  let sum = 0;
  for (const emitter of c._emitters) sum += emitter.listenerCount('message');
  return sum;
}

/** Tells listeners. Returns whether there were any. */
function show(c: Connection, message: Message): boolean {
  let heard = false;
  for (const emitter of c._emitters) heard = showTo(emitter, message) || heard;
  return heard;
}

function showTo(emitter: Audience, message: Message): boolean {
  try {
    return emitter.emit('message', message, typeof message !== 'string');
  } catch (error) {
    raise(error);
    return true;
  }
}

/** The same with a message that waits: who is attached meanwhile is shown first what was before it. */
function showWaiting(c: Connection, message: Message, behind: number): void {
  c._behind = behind;
  c._emitters.forEach((emitter, i, emitters) => {
    c._next = emitters[i + 1];
    showTo(emitter, message);
    catchUp(c);
  });
  c._behind = 0;
}

function keep(c: Connection, message: Message, bytes: number, listening: boolean): void {
  const queue = queueOf(c);
  if (queue._items._size === 0) c._pulledLately = false;
  queue._keep(message, bytes);
  if (listening) trim(c);
}

/** Past a small backlog, what listeners saw and nobody pulls is not kept. */
function trim(c: Connection): void {
  const queue = queueOf(c);
  const { _size: size, _bytes: bytes } = queue._items;
  if (!c._pulled && (size > BACKLOG || bytes > BACKLOG_BYTES)) abandon(c);
  // Who pulls gets a turn to do so.
  if (queue._wasFull) setImmediate(judge, c);
}

/** Listeners must not wait for ever for those who do not pull what has filled the queue. */
function judge(c: Connection): void {
  const ends = c._closeRequested ?? c._waitingEnds;
  // Any other deadline is ours: they are being waited for.
  if ((c._deadline && !ends) || !queueOf(c)._wasFull || !countListeners(c)) return;
  if (c._pulledLately || (c._userPaused && c._pulled)) {
    if (ends) return;
    c._pulledLately = false;
    setDeadline(c, () => {
      c._deadline = undefined;
      judge(c);
    });
  } else abandon(c);
}

/** Drops a queue that is full, where listeners have seen it. Returns whether that was so. */
export function dropSeen(c: Connection): boolean {
  const seen = queueOf(c)._wasFull && countListeners(c) > 0;
  if (seen) abandon(c);
  return seen;
}

function abandon(c: Connection): void {
  if (c._everPulled) warnAbandoned();
  c._forgetful = true;
  c._pulled = false;
  queueOf(c)._forget();
}

function poll(c: Connection): Message | undefined {
  pulls(c);
  return c._queue?._poll();
}

function pull(c: Connection, waiter: Waiter<Message>): void {
  pulls(c);
  queueOf(c)._wait(waiter);
  arm(c);
}

function pulls(c: Connection): void {
  c._pulled = c._everPulled = c._pulledLately = true;
  c._forgetful = false;
}

function leave(c: Connection, waiter: Waiter<Message>): void {
  queueOf(c)._waiters._remove(waiter);
  arm(c);
}

/**
 * Lets the head of a message reach a stream whose turn it is: until our Close frame has gone out, for
 * what begins to come behind that is dropped.
 */
export function arm(c: Connection): void {
  const waiter: PieceWaiter | undefined = c._queue?._waiters._peek();
  if (waiter?._sink) c._frames[c._closeSent ? 'undivert' : 'divert'](waiter._sink);
}

function catchUp(c: Connection): void {
  if (!c._latecomers) return;
  // They may bring others with them.
  for (let latecomers; (latecomers = c._latecomers);) {
    c._latecomers = undefined;
    for (const one of latecomers) one();
  }
  if (countListeners(c)) trim(c);
}

function receiveWith(c: Connection, options: ReceiveOptions): Promise<Message> {
  return new Promise((resolve, reject) => {
    const { text, timeout, signal } = checkKinds(options, RECEIVE_KINDS);
    numberOption({ timeout }, 'timeout');
    signal?.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    const settle = (): void => {
      clearTimeout(timer);
      forget();
    };
    const waiter: Waiter<Message> = {
      _give(message) {
        settle();
        resolve(text === undefined ? message : convert(message, text));
      },
      _fail(error) {
        settle();
        reject(error);
      },
    };
    const giveUp = (error: unknown): void => {
      leave(c, waiter);
      waiter._fail(error);
    };
    const forget = onAbort(signal, () => {
      giveUp(signal?.reason);
    });
    if (timeout !== undefined) {
      timer = setTimeout(() => {
        giveUp(new TimeoutError(`no message came within ${timeout} ms`, 'receive', 'open'));
      }, timeout);
    }
    pull(c, waiter);
  });
}

function convert(message: Message, text: boolean): Message {
  if (text) return message.toString();
  return isString(message) ? Buffer.from(message) : message;
}

let warned = false;

function warnAbandoned(): void {
  if (warned) return;
  warned = true;
  // eslint-disable-next-line no-restricted-globals -- once, and others may listen there
  process.emitWarning(
    'messages nobody pulls are no longer kept for receive(): pull continuously, or only listen',
    'AioWebSocketWarning',
  );
}
