/**
 * One message, piece by piece as it arrives.
 * @packageDocumentation
 */
import type { PieceSink } from './assemblies.js';
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
export interface PullIterator<T> extends AsyncIterableIterator<T, undefined> {
  return: () => Promise<IteratorResult<T, undefined>>;
}

const DONE = { value: undefined, done: true } as const;

/**
 * An iterator over what a source gives, until it fails.
 * @param poll the first item, where there is one
 * @param isOver whether an error is how the source ends
 * @param leave told when the loop has been left
 */
export function pullIterator<T>(
  poll: () => T | undefined,
  wait: (waiter: Waiter<T>) => void,
  isOver: (error: unknown) => boolean,
  leave?: () => void,
): PullIterator<T> {
  let left = false;
  return {
    next() {
      const item = left ? undefined : poll();
      if (item !== undefined) return Promise.resolve({ value: item, done: false });
      return new Promise((resolve, reject) => {
        const end = (): void => {
          left = true;
          resolve(DONE);
        };
        if (left) end();
        else {
          wait({
            _give: (value) => {
              resolve({ value, done: false });
            },
            _fail: (error) => {
              if (isOver(error)) end();
              else reject(error);
            },
          });
        }
      });
    },
    return: () => {
      if (!left) leave?.();
      left = true;
      return Promise.resolve(DONE);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/**
 * @param mostBytes pieces that wait, above which reading pauses
 * @param onFull told when reading is to pause, and to go on
 * @param onBegin told when the message begins
 * @param onLeave told when the reader wants no more
 */
export function makePieces(
  mostBytes: number,
  maxPayload: number | undefined,
  onFull: (full: boolean) => void,
  onBegin: () => void,
  onLeave: () => void,
): [stream: PieceStream, waiter: PieceWaiter & { readonly _sink: PieceSink }] {
  const pieces = new PullQueue<Message>(Infinity, mostBytes, onFull);
  const sink: PieceSink = {
    maxPayload,
    begin: onBegin,
    piece(piece) {
      if (!pieces._offer(piece)) pieces._keep(piece, piece.length);
    },
    end: (error = DONE) => {
      pieces._end(error);
    },
  };
  const stream = pullIterator<Message>(
    () => pieces._poll(),
    (reader) => {
      pieces._wait(reader);
    },
    (error) => error === DONE,
    () => {
      onLeave();
      sink.end();
      pieces._forget();
    },
  );
  // Also takes a message that was whole before anybody asked for its pieces.
  const _give = (message: Message): void => {
    if (message.length > 0) sink.piece(message);
    sink.end();
  };
  return [stream, { _sink: sink, _give, _fail: sink.end }];
}
