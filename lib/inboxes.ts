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
import { PullQueue, type Waiter } from './queues.js';
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

/** What the inbox needs of the connection. */
export interface InboxHost {
  readonly numbers: Numbers;
  readonly frames: Frames;
  /** Who shows messages to listeners. */
  readonly emitters: readonly Audience[];
  /** Whether listeners must wait: the connection is not open yet. */
  readonly held: boolean;
  /** Told when reading is to pause, and to go on. */
  onFull: (full: boolean) => void;
  /** What a pull gets after the end. */
  refusal: () => ConnectionClosed;
}

/** With listeners and nobody who pulls, so much is kept for a `receive()` right after opening. */
const BACKLOG = 256;
const BACKLOG_BYTES = 262_144;

/** Both ways to a message, events and pulls, with the memory they may take. */
export class Inbox {
  readonly #host: InboxHost;
  readonly #queue: PullQueue<Message>;
  /** Listeners that have not been shown yet what waited when they came. */
  #latecomers: (() => void)[] | undefined;
  /** Who gets the pieces of the message under way. */
  #streaming: PieceSink | undefined;
  /** Whether someone has pulled since listeners are attached: then all is kept. */
  #pulled = false;
  #everPulled = false;
  #pulledSinceEmpty = false;
  /** Whether nothing is kept until the next pull. */
  #forgetful = false;

  constructor(host: InboxHost) {
    const { maxQueue, maxQueueBytes } = host.numbers;
    this.#host = host;
    this.#queue = new PullQueue(maxQueue, maxQueueBytes, (full) => {
      host.onFull(full);
    });
  }

  /** Messages that wait for a pull. */
  get size(): number {
    return this.#queue.items.size;
  }

  /** A message has come: whoever waits gets it, whoever listens is told. */
  deliver(message: Message, bytes: number): void {
    if (this.#latecomers) this.#catchUp();
    const queue = this.#queue;
    if (this.#forgetful && queue.waiters.size === 0 && !this.#host.held) {
      // Listeners alone: the common case, and the one that has to be fast.
      if (!this.#tell(message)) this.#keep(message, bytes, false);
      return;
    }
    const listening = !this.#host.held && this.#listeners > 0;
    if (queue.offer(message)) this.#arm();
    else if (!listening || !this.#forgetful) this.#keep(message, bytes, listening);
    if (listening) this.#tell(message);
  }

  /** The connection is open: listeners are told what came meanwhile. */
  release(): void {
    if (this.#listeners === 0) return;
    for (const message of this.#queue.items.toArray()) this.#tell(message);
    this.#trim();
  }

  /** A listener has been attached: it is shown, soon, what still waits. */
  attached(audience: Audience, listener: MessageListener, context: unknown, once: boolean): void {
    if (this.#listeners === 1) this.#pulled = this.#forgetful = false;
    if (this.#host.held || this.size === 0) return;
    const show = this.#show(audience, listener, context, once);
    if (this.#latecomers) this.#latecomers.push(show);
    else {
      this.#latecomers = [show];
      process.nextTick(() => {
        this.#catchUp();
      });
    }
  }

  /** The next message. */
  receive(options?: ReceiveOptions): Promise<Message> {
    if (options !== undefined) return this.#receiveWith(options);
    const message = this.#poll();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((give, fail) => {
      this.#pull({ give, fail });
    });
  }

  /** The next message in pieces. */
  stream(options: StreamOptions): PieceStream {
    const [pieces, waiter] = makePieces(
      this.#host.numbers.maxQueueBytes,
      options.maxPayload === undefined ? undefined : numberOption(options, 'maxPayload'),
      (full) => {
        this.#host.onFull(full);
      },
      () => {
        this.#queue.waiters.shift();
        this.#streaming = waiter.sink;
        this.#arm();
      },
      () => {
        if (waiter.sink) this.#host.frames.undivert(waiter.sink);
        this.#leave(waiter);
      },
    );
    this.#pull(waiter);
    return pieces;
  }

  /** All messages, until the connection closes. */
  iterate(): AsyncIterableIterator<Message, undefined> {
    return pullIterator<Message>({
      poll: () => this.#poll(),
      wait: ({ give, fail }) => {
        this.#pull({
          give,
          // A loop ends for one kind of reason only, whatever went wrong before.
          fail: (error) => {
            fail(error instanceof ConnectionClosed ? error : this.#host.refusal());
          },
        });
      },
      over: (error) => error instanceof ConnectionClosedOK,
    });
  }

  /** Nothing more comes: those who wait get `pending`, later ones `error`. */
  end(error: unknown, pending: unknown): void {
    this.#queue.end(error, pending);
    this.#streaming?.end(pending);
  }

  get #listeners(): number {
    let sum = 0;
    for (const emitter of this.#host.emitters) sum += emitter.listenerCount('message');
    return sum;
  }

  /** Tells listeners. Returns whether there were any. */
  #tell(message: Message): boolean {
    let heard = false;
    for (const emitter of this.#host.emitters) {
      try {
        heard = emitter.emit('message', message, typeof message !== 'string') || heard;
      } catch (error) {
        heard = true;
        raise(error);
      }
    }
    return heard;
  }

  #keep(message: Message, bytes: number, listening: boolean): void {
    const queue = this.#queue;
    if (queue.items.size === 0) this.#pulledSinceEmpty = false;
    queue.keep(message, bytes);
    if (!listening) return;
    this.#trim();
    // Who pulls gets a turn to do so; if nobody does, the pull side is abandoned.
    const abandoned = (): boolean => queue.full && !this.#pulledSinceEmpty;
    if (abandoned()) {
      setImmediate(() => {
        if (abandoned()) this.#abandon();
      });
    }
  }

  /** Past a small backlog, what listeners saw and nobody pulls is not kept. */
  #trim(): void {
    const { items, bytes } = this.#queue;
    if (!this.#pulled && (items.size > BACKLOG || bytes > BACKLOG_BYTES)) this.#abandon();
  }

  #abandon(): void {
    if (this.#everPulled) warnAbandoned();
    this.#forgetful = true;
    this.#pulled = false;
    this.#queue.forget();
  }

  #poll(): Message | undefined {
    this.#pulled = this.#everPulled = this.#pulledSinceEmpty = true;
    this.#forgetful = false;
    return this.#queue.poll();
  }

  #pull(waiter: Waiter<Message>): void {
    this.#pulled = this.#everPulled = this.#pulledSinceEmpty = true;
    this.#forgetful = false;
    this.#queue.wait(waiter);
    this.#arm();
  }

  #leave(waiter: Waiter<Message>): void {
    this.#queue.waiters.remove(waiter);
    this.#arm();
  }

  /** Lets the head of a message reach a stream whose turn it is. */
  #arm(): void {
    const sink = (this.#queue.waiters.peek() as PieceWaiter | undefined)?.sink;
    if (sink) this.#host.frames.divert(sink);
  }

  #catchUp(): void {
    const shows = this.#latecomers;
    if (!shows) return;
    this.#latecomers = undefined;
    for (const one of shows) one();
    if (this.#listeners > 0) this.#trim();
  }

  #show(
    audience: Audience,
    listener: MessageListener,
    context: unknown,
    once: boolean,
  ): () => void {
    const messages = this.#queue.items.toArray();
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

  #receiveWith(options: ReceiveOptions): Promise<Message> {
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
        this.#leave(waiter);
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
      this.#pull(waiter);
    });
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
