/**
 * Messages on their way to the user: shown to listeners, kept for those who pull.
 * @packageDocumentation
 */
import { ConnectionClosed, ConnectionClosedOK, TimeoutError } from './exceptions.js';
import type { Message } from './parts.js';
import { describeValue, raise, wrongType } from './values.js';
import { PieceStream, type StreamOptions } from './pieces.js';
import { PullQueue, type Waiter } from './queues.js';

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

/** An emitter of messages. */
export interface Audience {
  emit(event: 'message', data: Message, isBinary: boolean): boolean;
  listenerCount(event: 'message'): number;
  listeners(event: 'message'): unknown[];
  off(event: 'message', listener: MessageListener, context: unknown, once: boolean): unknown;
}

/** A listener of messages. */
export type MessageListener = (data: Message, isBinary: boolean) => void;

/** What the inbox needs of the connection. */
export interface InboxHost {
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  /** Stops reading: the queue is full. */
  pause(): void;
  resume(): void;
  /** The next message goes to the stream in pieces. */
  divert(stream: PieceStream): void;
  undivert(stream: PieceStream): void;
}

/** With listeners and nobody who pulls, so much is kept for a `receive()` right after opening. */
const BACKLOG = 256;
const BACKLOG_BYTES = 262_144;

interface Latecomer {
  readonly audience: Audience;
  readonly listener: MessageListener;
  readonly context: unknown;
  readonly once: boolean;
  readonly messages: readonly Message[];
}

/** Both ways to a message, events and pulls, with the memory they may take. */
export class Inbox {
  readonly #host: InboxHost;
  readonly #audiences: readonly Audience[];
  readonly #queue: PullQueue<Message>;
  #latecomers: Latecomer[] = [];
  /** Who gets the pieces of the message under way. */
  #streaming: PieceStream | undefined;
  /** Whether listeners must wait: the connection is not open yet. */
  #held: boolean;
  /** Whether someone has pulled since listeners are attached: then all is kept. */
  #pulled = false;
  #everPulled = false;
  #pulledSinceEmpty = false;
  /** Whether nothing is kept until the next pull. */
  #forgetful = false;

  constructor(host: InboxHost, audiences: readonly Audience[], held: boolean) {
    this.#host = host;
    this.#audiences = audiences;
    this.#held = held;
    this.#queue = new PullQueue(host);
  }

  /** Messages that wait for a pull. */
  get size(): number {
    return this.#queue.size;
  }

  /** A message has come: whoever waits gets it, whoever listens is told. */
  deliver(message: Message, bytes: number): void {
    if (this.#latecomers.length > 0) this.#catchUp();
    const listening = !this.#held && this.#listening();
    if (this.#queue.offer(message)) this.#arm();
    else if (!listening || this.#pulled) this.#keep(message, bytes, listening);
    else if (!this.#forgetful) {
      this.#queue.keep(message, bytes);
      this.#trim();
    }
    if (listening) this.#tell(message);
  }

  /** The connection is open: listeners are told what came meanwhile. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    if (!this.#listening()) return;
    for (const message of this.#queue.toArray()) this.#tell(message);
    if (!this.#pulled) this.#trim();
  }

  /** A listener has been attached: it is shown, soon, what still waits. */
  attached(audience: Audience, listener: MessageListener, context: unknown, once: boolean): void {
    const listeners = this.#audiences.reduce((sum, one) => sum + one.listenerCount('message'), 0);
    if (listeners === 1) {
      this.#pulled = false;
      this.#forgetful = false;
    }
    if (this.#held || this.#queue.size === 0) return;
    if (this.#latecomers.length === 0) {
      process.nextTick(() => {
        this.#catchUp();
      });
    }
    const messages = this.#queue.toArray();
    this.#latecomers.push({ audience, listener, context, once, messages });
  }

  /** The next message. */
  receive(options: ReceiveOptions = {}): Promise<Message> {
    const { text, timeout, signal } = options;
    const invalid = checkReceive(options);
    if (invalid !== undefined) return Promise.reject(invalid);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter<Message> = {
        give: (message) => {
          settle();
          resolve(text === undefined ? message : convert(message, text));
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const giveUp = (error: unknown): void => {
        this.leave(waiter);
        waiter.fail(error);
      };
      const onAbort = (): void => {
        giveUp(signal?.reason);
      };
      if (timeout !== undefined) {
        timer = setTimeout(() => {
          giveUp(
            new TimeoutError(`no message came within ${String(timeout)} ms`, 'receive', 'open'),
          );
        }, timeout);
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      this.pull(waiter);
    });
  }

  /** Messages until the end, which `refusal` tells apart: an agreed one ends the loop, others throw. */
  iterate(refusal: () => ConnectionClosed): AsyncIterableIterator<Message> {
    let over = false;
    const done: IteratorResult<Message, undefined> = { value: undefined, done: true };
    return {
      next: () =>
        new Promise((resolve, reject) => {
          if (over) {
            resolve(done);
            return;
          }
          this.pull({
            give: (value) => {
              resolve({ value, done: false });
            },
            fail: (error) => {
              const closed = error instanceof ConnectionClosed ? error : refusal();
              over = true;
              if (closed instanceof ConnectionClosedOK) resolve(done);
              else reject(closed);
            },
          });
        }),
      return: () => {
        over = true;
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** The next message goes to this waiter. */
  pull(waiter: Waiter<Message>): void {
    this.#pulled = this.#everPulled = this.#pulledSinceEmpty = true;
    this.#forgetful = false;
    this.#queue.wait(waiter);
    this.#arm();
  }

  /** This waiter no longer waits. */
  leave(waiter: Waiter<Message>): void {
    this.#queue.leave(waiter);
    this.#arm();
  }

  /** The next message, in pieces as they arrive. */
  stream(options: StreamOptions): PieceStream {
    const stream = new PieceStream(this.#host, options, {
      begun: () => {
        this.#queue.skip();
        this.#streaming = stream;
        this.#arm();
      },
      ended: () => {
        this.#streaming = undefined;
      },
      left: () => {
        this.#host.undivert(stream);
        this.leave(stream);
      },
    });
    this.pull(stream);
    return stream;
  }

  /**
   * Nothing more comes. What waits can still be pulled.
   * @param pending what those who wait now get
   */
  end(error: unknown, pending: unknown): void {
    this.release();
    this.#queue.end(error, pending);
    this.#streaming?.fail(pending);
  }

  #listening(): boolean {
    return this.#audiences.some((audience) => audience.listenerCount('message') > 0);
  }

  #tell(message: Message): void {
    for (const audience of this.#audiences) {
      try {
        audience.emit('message', message, typeof message !== 'string');
      } catch (error) {
        raise(error);
      }
    }
  }

  #keep(message: Message, bytes: number, listening: boolean): void {
    const queue = this.#queue;
    if (queue.size === 0) this.#pulledSinceEmpty = false;
    const fills =
      queue.size + 1 >= this.#host.maxQueue || queue.bytes + bytes >= this.#host.maxQueueBytes;
    if (listening && fills && !this.#pulledSinceEmpty) this.#abandon();
    else queue.keep(message, bytes);
  }

  /** Past a small backlog, what listeners saw and nobody pulls is not kept. */
  #trim(): void {
    if (this.#queue.size > BACKLOG || this.#queue.bytes > BACKLOG_BYTES) this.#abandon();
  }

  #abandon(): void {
    if (this.#everPulled) warnAbandoned();
    this.#forgetful = true;
    this.#pulled = false;
    this.#queue.clear();
  }

  /** Lets the head of a message reach a stream whose turn it is. */
  #arm(): void {
    const next = this.#queue.next;
    if (next instanceof PieceStream) this.#host.divert(next);
  }

  #catchUp(): void {
    const latecomers = this.#latecomers;
    this.#latecomers = [];
    for (const latecomer of latecomers) {
      for (const message of latecomer.messages) {
        if (!latecomer.audience.listeners('message').includes(latecomer.listener)) break;
        show(latecomer, message);
      }
    }
    if (latecomers.length > 0 && !this.#pulled && this.#listening()) this.#trim();
  }
}

function show({ audience, listener, context, once }: Latecomer, message: Message): void {
  if (once) audience.off('message', listener, context, true);
  try {
    listener.call(context, message, typeof message !== 'string');
  } catch (error) {
    raise(error);
  }
}

function convert(message: Message, text: boolean): Message {
  if (text) return typeof message === 'string' ? message : message.toString();
  return typeof message === 'string' ? Buffer.from(message) : message;
}

function checkReceive({ text, timeout, signal }: ReceiveOptions): Error | undefined {
  if (text !== undefined && typeof text !== 'boolean') {
    return wrongType(`text must be true or false, got ${describeValue(text)}`);
  }
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout >= 0)) {
    return wrongType(`timeout must be milliseconds, got ${describeValue(timeout)}`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    return wrongType(`signal must be an AbortSignal, got ${describeValue(signal)}`);
  }
  return undefined;
}

let warned = false;

function warnAbandoned(): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    'messages that were shown to listeners, and that nobody pulled, are no longer kept for ' +
      'receive(); pull continuously, or only listen',
    { type: 'AioWebSocketWarning', code: 'AIOWEBSOCKET_ABANDONED_PULL' },
  );
}
