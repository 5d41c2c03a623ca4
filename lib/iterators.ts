/**
 * Iterators over what is pulled, for `for await`.
 * @packageDocumentation
 */
import type { Message } from './parts.js';
import type { Waiter } from './queues.js';

/** An iterator that can be left at any time. */
export interface PullIterator<T> {
  next: () => Promise<IteratorResult<T, undefined>>;
  return: () => Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator]: () => this;
}

/**
 * The pieces of one message, for `for await`: strings of whole characters for text, Buffers for
 * binary. While they are not read, reading from the socket pauses. Leaving the loop drops the rest
 * of the message.
 */
export type PieceStream = PullIterator<Message>;

/** What a loop is told that just ends. */
export const DONE = { value: undefined, done: true } as const;

/** The same, for who asks when it has ended. */
const ENDED = Promise.resolve(DONE);

/**
 * An iterator over what a queue gives, until it ends with an error.
 * @param poll the first item, where there is one
 * @param wait has somebody wait for the next one
 * @param explain the error to throw for the one the queue ended with; `false` where the loop just
 * ends
 * @param leave called when the loop is left, with those who still wait: they are to be rejected,
 * with whatever, and their loops end
 */
export function pullIterator<T>(
  poll: () => T | undefined,
  wait: (waiter: Waiter<T>) => void,
  explain: (error: unknown) => Error | false,
  leave: (waiters: readonly Waiter<T>[]) => void,
): PullIterator<T> {
  let left = false;
  /** Those who wait, first come, first served. */
  const waiters: Waiter<T>[] = [];
  return {
    next() {
      if (left) return ENDED;
      const item = poll();
      if (item !== undefined) return Promise.resolve({ value: item, done: false });
      return new Promise((resolve, reject) => {
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
        leave([...waiters]);
      }
      return ENDED;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
