/**
 * Messages on their way to the user: shown to listeners, kept for those who pull.
 * @packageDocumentation
 */
import type { PieceSink } from './assemblies.js';
import { ConnectionClosed, ConnectionClosedOK, TimeoutError } from './exceptions.js';
import type { Frames } from './freams.js';
import { numberOption, type Numbers } from './options.js';
import type { Message } from './parts.js';
import {
  makePieces,
  pullIterator,
  type PieceStream,
  type PieceWaiter,
  type StreamOptions,
} from './pieces.js';
import { makePullQueue, type Waiter } from './queues.js';
import { checkSignal, mustBe, raise } from './values.js';

/** Options of `receive()`. */
export interface ReceiveOptions {
  /**
   * `true`: always a string; `false`: always a Buffer, the original's default.
   * @default text gives a string, binary a Buffer
   */
  text?: boolean | undefined;
  /** Milliseconds to wait at most; then a TimeoutError, and no message is lost. */
  timeout?: number | undefined;
  /** Stops waiting, with `signal.reason`; no message is lost. */
  signal?: AbortSignal | undefined;
}

/** A listener of messages. */
export type MessageListener = (data: Message, isBinary: boolean) => void;

/** An emitter of messages. */
export interface Audience {
  emit: (event: 'message', data: Message, isBinary: boolean) => boolean;
  listenerCount: (event: 'message') => number;
  listeners: (event: 'message') => unknown[];
  off: (event: 'message', listener: MessageListener, context: unknown, once: boolean) => unknown;
}

/** Both ways to a message, events and pulls, with the memory they may take. */
export interface Inbox {
  /** Messages that wait for a pull. */
  size: () => number;
  /** A message has come: whoever waits gets it, whoever listens is told. */
  deliver: (message: Message, bytes: number) => void;
  /** The connection is open: listeners are told what came meanwhile. */
  release: () => void;
  /** A listener has been attached: it is shown, soon, what still waits. */
  attached: (
    audience: Audience,
    listener: MessageListener,
    context: unknown,
    once: boolean,
  ) => void;
  receive: (options?: ReceiveOptions) => Promise<Message>;
  stream: (options: StreamOptions) => PieceStream;
  iterate: (refusal: () => ConnectionClosed) => AsyncIterableIterator<Message, undefined>;
  /** Nothing more comes: those who wait get `pending`, later ones `error`. */
  end: (error: unknown, pending: unknown) => void;
}

/** With listeners and nobody who pulls, so much is kept for a `receive()` right after opening. */
const BACKLOG = 256;
const BACKLOG_BYTES = 262_144;

/**
 * @param held whether listeners must wait: the connection is not open yet
 * @param onFull told when reading is to pause, and to go on
 */
export function makeInbox(
  { maxQueue, maxQueueBytes }: Numbers,
  frames: Frames,
  audiences: readonly Audience[],
  held: boolean,
  onFull: (full: boolean) => void,
): Inbox {
  const queue = makePullQueue<Message>(maxQueue, maxQueueBytes, onFull);
  const { items, waiters } = queue;
  /** Listeners that have not been shown yet what waited when they came. */
  let latecomers: (() => void)[] = [];
  /** Who gets the pieces of the message under way. */
  let streaming: PieceSink | undefined;
  /** Whether someone has pulled since listeners are attached: then all is kept. */
  let pulled = false;
  let everPulled = false;
  let pulledSinceEmpty = false;
  /** Whether nothing is kept until the next pull. */
  let forgetful = false;

  const listeners = (): number =>
    audiences.reduce((sum, audience) => sum + audience.listenerCount('message'), 0);

  const full = (): boolean => items.size >= maxQueue || queue.bytes() >= maxQueueBytes;

  return {
    size: () => items.size,
    deliver(message, bytes) {
      if (latecomers.length > 0) catchUp();
      const listening = !held && listeners() > 0;
      if (queue.offer(message)) arm();
      else if (!listening || !forgetful) keep(message, bytes, listening);
      if (listening) tell(message);
    },
    release,
    attached(audience, listener, context, once) {
      if (listeners() === 1) pulled = forgetful = false;
      if (held || items.size === 0) return;
      if (latecomers.push(show(audience, listener, context, once)) === 1) {
        process.nextTick(catchUp);
      }
    },
    receive,
    stream: (options) =>
      stream(options.maxPayload === undefined ? undefined : numberOption(options, 'maxPayload')),
    iterate(refusal) {
      const wait = (waiter: Waiter<Message>): void => {
        pull({
          give: waiter.give,
          // A loop ends for one kind of reason only, whatever went wrong before.
          fail: (error) => {
            waiter.fail(error instanceof ConnectionClosed ? error : refusal());
          },
        });
      };
      return pullIterator(
        wait,
        (error) => error instanceof ConnectionClosedOK,
        () => undefined,
      );
    },
    end(error, pending) {
      queue.end(error, pending);
      streaming?.end(pending);
    },
  };

  function tell(message: Message): void {
    for (const audience of audiences) {
      try {
        audience.emit('message', message, typeof message !== 'string');
      } catch (error) {
        raise(error);
      }
    }
  }

  function keep(message: Message, bytes: number, listening: boolean): void {
    if (items.size === 0) pulledSinceEmpty = false;
    queue.keep(message, bytes);
    if (!listening) return;
    trim();
    // Who pulls gets a turn to do so; if nobody does, the pull side is abandoned.
    if (full() && !pulledSinceEmpty) {
      setImmediate(() => {
        if (full() && !pulledSinceEmpty) abandon();
      });
    }
  }

  /** Past a small backlog, what listeners saw and nobody pulls is not kept. */
  function trim(): void {
    if (!pulled && (items.size > BACKLOG || queue.bytes() > BACKLOG_BYTES)) abandon();
  }

  function abandon(): void {
    if (everPulled) warnAbandoned();
    forgetful = true;
    pulled = false;
    queue.forget();
  }

  function pull(waiter: Waiter<Message>): void {
    pulled = everPulled = pulledSinceEmpty = true;
    forgetful = false;
    queue.wait(waiter);
    arm();
  }

  function leave(waiter: Waiter<Message>): void {
    waiters.keep((other) => other !== waiter);
    arm();
  }

  /** Lets the head of a message reach a stream whose turn it is. */
  function arm(): void {
    const sink = (waiters.peek() as PieceWaiter | undefined)?.sink;
    if (sink) frames.divert(sink);
  }

  function release(): void {
    if (!held) return;
    held = false;
    if (listeners() === 0) return;
    items.toArray().forEach(tell);
    trim();
  }

  function catchUp(): void {
    const shows = latecomers;
    latecomers = [];
    for (const one of shows) one();
    if (shows.length > 0 && listeners() > 0) trim();
  }

  function show(
    audience: Audience,
    listener: MessageListener,
    context: unknown,
    once: boolean,
  ): () => void {
    const messages = items.toArray();
    return () => {
      for (const message of messages) {
        if (!audience.listeners('message').includes(listener)) break;
        if (once) audience.off('message', listener, context, true);
        try {
          listener.call(context, message, typeof message !== 'string');
        } catch (error) {
          raise(error);
        }
      }
    };
  }

  function receive(options: ReceiveOptions = {}): Promise<Message> {
    const { text, timeout, signal } = options;
    return new Promise((resolve, reject) => {
      checkReceive(options);
      signal?.throwIfAborted();
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter<Message> = {
        give(message) {
          settle();
          resolve(text === undefined ? message : convert(message, text));
        },
        fail(error) {
          settle();
          reject(error);
        },
      };
      const giveUp = (error: unknown): void => {
        leave(waiter);
        waiter.fail(error);
      };
      const onAbort = (): void => {
        giveUp(signal?.reason);
      };
      if (timeout !== undefined) {
        timer = setTimeout(() => {
          giveUp(new TimeoutError(`no message came within ${timeout} ms`, 'receive', 'open'));
        }, timeout);
      }
      signal?.addEventListener('abort', onAbort);
      pull(waiter);
    });
  }

  function stream(maxPayload: number | undefined): PieceStream {
    const [pieces, waiter] = makePieces(
      maxQueueBytes,
      maxPayload,
      onFull,
      () => {
        waiters.shift();
        streaming = waiter.sink;
        arm();
      },
      () => {
        if (waiter.sink) frames.undivert(waiter.sink);
        leave(waiter);
      },
    );
    pull(waiter);
    return pieces;
  }
}

function convert(message: Message, text: boolean): Message {
  if (text) return message.toString();
  return typeof message === 'string' ? Buffer.from(message) : message;
}

/** @throws TypeError */
function checkReceive({ text, timeout, signal }: ReceiveOptions): void {
  if (text !== undefined && typeof text !== 'boolean') throw mustBe('text', 'a boolean', text);
  numberOption({ timeout }, 'timeout');
  checkSignal(signal);
}

let warned = false;

function warnAbandoned(): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    'messages shown to listeners that nobody pulled are no longer kept for receive(): pull continuously, or only listen',
    'AioWebSocketWarning',
  );
}
