/**
 * One message, piece by piece as it arrives.
 * @packageDocumentation
 */
import type { PieceSink } from './assemblies.js';
import type { Message } from './parts.js';
import { PullQueue, type Waiter } from './queues.js';

/** Options of `receiveStream()`. */
export interface StreamOptions {
  /**
   * Most bytes of this message: it need not fit into memory.
   * @default the option `maxPayload`
   */
  maxPayload?: number | undefined;
}

/** What becomes of a stream. */
export interface StreamHooks {
  /** Its message has begun. */
  begun(): void;
  /** Its message is whole. */
  ended(): void;
  /** Its reader wants no more. */
  left(): void;
}

/** What a stream needs of the connection. */
export interface StreamHost {
  readonly maxQueueBytes: number;
  pause(): void;
  resume(): void;
}

const END = Symbol('end');

/**
 * The pieces of one message, for `for await`: strings of whole characters for text, Buffers for
 * binary. While they are not read, reading from the socket pauses. Leaving the loop drops the rest
 * of the message.
 */
export class PieceStream implements PieceSink, Waiter<Message>, AsyncIterableIterator<Message> {
  readonly maxPayload: number | undefined;
  readonly #hooks: StreamHooks;
  readonly #pieces: PullQueue<Message>;
  #isBinary: boolean | undefined;
  #left = false;

  constructor(host: StreamHost, options: StreamOptions, hooks: StreamHooks) {
    this.maxPayload = options.maxPayload;
    this.#hooks = hooks;
    this.#pieces = new PullQueue({
      maxQueue: Infinity,
      maxQueueBytes: host.maxQueueBytes,
      pause: () => {
        host.pause();
      },
      resume: () => {
        host.resume();
      },
    });
  }

  /** Whether it is a binary message; undefined until it begins. */
  get isBinary(): boolean | undefined {
    return this.#isBinary;
  }

  // ---- from the connection ----

  begin(isBinary: boolean): void {
    this.#isBinary = isBinary;
    this.#hooks.begun();
  }

  piece(piece: Message): void {
    if (!this.#pieces.offer(piece)) this.#pieces.keep(piece, piece.length);
  }

  end(): void {
    this.#hooks.ended();
    this.#pieces.end(END);
  }

  /** A message that was whole before anybody asked for its pieces. */
  give(message: Message): void {
    this.#isBinary = typeof message !== 'string';
    if (message.length > 0) this.piece(message);
    this.end();
  }

  fail(error: unknown): void {
    this.#pieces.end(error);
  }

  // ---- to the user ----

  next(): Promise<IteratorResult<Message, undefined>> {
    return new Promise((resolve, reject) => {
      this.#pieces.wait({
        give: (value) => {
          resolve({ value, done: false });
        },
        fail: (error) => {
          if (error === END) resolve({ value: undefined, done: true });
          else reject(error);
        },
      });
    });
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    if (!this.#left) {
      this.#left = true;
      this.#hooks.left();
      this.#pieces.end(END);
      this.#pieces.clear();
    }
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
