/**
 * Messages that wait for someone, and those who wait for messages.
 * @packageDocumentation
 */

/** Someone who waits for the next item. */
export interface Waiter<T> {
  give: (item: T) => void;
  fail: (error: unknown) => void;
}

/** A first-in, first-out list that does not move its items. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The first item, left where it is. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** Takes the first item. */
  shift(): T | undefined {
    const item = this.peek();
    this.#items[this.#head++] = undefined;
    // What has been taken is let go of before it outgrows what waits.
    if (this.#head > 999 ? this.size <= this.#head : this.size < 1) this.keep();
    return item;
  }

  /** What waits, in a list of its own. */
  toArray(): T[] {
    return this.#items.slice(this.#head) as T[];
  }

  /** Keeps what passes the test, and no room for anything else. */
  keep(test: (item: T) => boolean = () => true): void {
    this.#items = this.size > 0 ? this.toArray().filter(test) : [];
    this.#head = 0;
  }
}

/**
 * Items in order of arrival, and those who wait for one in order of asking. Once ended, it gives
 * what is left, then the error it ended with.
 */
export interface PullQueue<T> {
  readonly items: Fifo<T>;
  readonly waiters: Fifo<Waiter<T>>;
  /** Bytes that wait. */
  bytes: () => number;
  /** Gives the item to the first who waits, if someone does. */
  offer: (item: T) => boolean;
  /** Keeps the item for later. */
  keep: (item: T, bytes: number) => void;
  /** The waiter gets the first item now, or the next that comes, or the error of the end. */
  wait: (waiter: Waiter<T>) => void;
  /** Forgets what waits. */
  forget: () => void;
  /** Nothing more comes: those who wait get `pending`, later ones `error`. */
  end: (error: unknown, pending?: unknown) => void;
}

/**
 * @param most items, or
 * @param mostBytes that fill it
 * @param onFull told when it is full (`true`), and when half of it has been taken (`false`)
 */
export function makePullQueue<T>(
  most: number,
  mostBytes: number,
  onFull: (full: boolean) => void,
): PullQueue<T> {
  const items = new Fifo<T>();
  const sizes = new Fifo<number>();
  const waiters = new Fifo<Waiter<T>>();
  let bytes = 0;
  let full = false;
  let end: [error: unknown] | undefined;
  const check = (): void => {
    const isFull = full
      ? items.size > most / 2 || bytes > mostBytes / 2
      : items.size >= most || bytes >= mostBytes;
    if (isFull !== full) onFull((full = isFull));
  };
  return {
    items,
    waiters,
    bytes: () => bytes,
    offer(item) {
      const waiter = waiters.shift();
      waiter?.give(item);
      return waiter !== undefined;
    },
    keep(item, size) {
      items.push(item);
      sizes.push(size);
      bytes += size;
      check();
    },
    wait(waiter) {
      if (items.size > 0) {
        waiter.give(items.shift() as T);
        bytes -= sizes.shift() as number;
        check();
      } else if (end) waiter.fail(end[0]);
      else waiters.push(waiter);
    },
    forget() {
      items.keep(() => false);
      sizes.keep(() => false);
      bytes = 0;
      check();
    },
    end(error, pending = error) {
      end ??= [error];
      for (let waiter; (waiter = waiters.shift());) waiter.fail(pending);
    },
  };
}
