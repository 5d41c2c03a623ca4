/**
 * One message, piece by piece as it arrives.
 * @packageDocumentation
 */
import { checkSize, type PieceSink } from './assemblies.js';
import { Buffer } from './builtins.js';
import type { Numbers } from './options.js';
import type { Message } from './parts.js';
import { PullQueue, type Waiter } from './queues.js';

/**
 * The pieces of one message, for `for await`: strings of whole characters for text, Buffers for
 * binary. While they are not read, reading from the socket pauses. Leaving the loop drops the rest
 * of the message.
 */
export type PieceStream = PullIterator<Message>;

/** Someone who waits for a message, whole or, at the sink, in pieces. */
export interface PieceWaiter extends Waiter<Message> {
  readonly _sink?: PieceSink;
}

/** An iterator that can be left at any time. */
export interface PullIterator<T> {
  next: () => Promise<IteratorResult<T, undefined>>;
  return: () => Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator]: () => this;
}

const DONE = { value: undefined, done: true } as const;
/** Bytes that a piece counts beyond its own: many small ones take memory, too. */
const PIECE_COST = 128;

/**
 * An iterator over what a queue gives, until it ends with an error.
 * @param poll the first item, where there is one
 * @param wait has somebody wait for the next one
 * @param explain the error to throw for the one the queue ended with; `false` where the loop just
 * ends
 * @param leave called when the loop is left: with each who still waits, and at last with nobody
 */
export function pullIterator<T>(
  poll: () => T | undefined,
  wait: (waiter: Waiter<T>) => void,
  explain: (error: unknown) => Error | false,
  leave: (waiter?: Waiter<T>) => void,
): PullIterator<T> {
  let left = false;
  /** Those who wait, first come, first served. */
  const waiters: Waiter<T>[] = [];
  return {
    next() {
      const item = left ? undefined : poll();
      if (item !== undefined) return Promise.resolve({ value: item, done: false });
      return new Promise((resolve, reject) => {
        if (left) {
          resolve(DONE);
          return;
        }
        const waiter: Waiter<T> = {
          _resolve: (value) => {
            waiters.shift();
            resolve({ value, done: false });
          },
          _reject: (error) => {
            waiters.shift();
            const why = !left && explain(error);
            if (why) reject(why);
            else {
              left = true;
              resolve(DONE);
            }
          },
        };
        waiters.push(waiter);
        wait(waiter);
      });
    },
    return: () => {
      if (!left) {
        left = true;
        for (const waiter of [...waiters, undefined]) {
          leave(waiter);
          waiter?._reject(DONE);
        }
      }
      return Promise.resolve(DONE);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Whose message it is. */
interface PiecesOwner {
  /** `maxQueueBytes` of pieces may wait; then reading pauses. */
  readonly _numbers: Numbers;
  /** Counts what is asked for. */
  _pulls: number;
}

/**
 * @param maxPayload most bytes of the message; left out: no limit but the connection's
 * @param onFull told when reading is to pause, and to go on
 * @param onBegin told when the message begins
 * @param onLeave told when the reader wants no more
 */
export function makePieces(
  owner: PiecesOwner,
  maxPayload: number | undefined,
  onFull: (full: boolean) => void,
  onBegin: () => void,
  onLeave: () => void,
): [stream: PieceStream, waiter: PieceWaiter & { readonly _sink: PieceSink }] {
  const pieces = new PullQueue<Message>(owner._numbers, onFull, Infinity);
  const sink: PieceSink = {
    maxPayload,
    begin: onBegin,
    piece(piece) {
      if (!pieces._offer(piece)) pieces._keep(piece, piece.length + PIECE_COST);
    },
    end: (error = DONE) => {
      pieces._end(error);
    },
  };
  const stream = pullIterator<Message>(
    () => {
      owner._pulls++;
      return pieces._poll();
    },
    (reader) => {
      pieces._wait(reader);
    },
    (error) => error !== DONE && (error as Error),
    (reader) => {
      if (reader) return;
      onLeave();
      sink.end();
      pieces._clear();
    },
  );
  // A message that was whole before anybody asked for its pieces is one piece.
  const _resolve = (message: Message): void => {
    try {
      checkSize(Buffer.byteLength(message), maxPayload ?? Infinity);
      if (message.length > 0) sink.piece(message);
      sink.end();
    } catch (error) {
      sink.end(error);
    }
  };
  return [stream, { _sink: sink, _resolve, _reject: sink.end }];
}
