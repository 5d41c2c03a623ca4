/**
 * Messages that wait for someone, and those who wait for messages.
 * @packageDocumentation
 */

/** Someone who waits for the next item. */
export interface Waiter<T> {
  give(item: T): void;
  fail(error: unknown): void;
}

/** A first-in, first-out list that never moves its items. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) this.clear();
    else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes one item out of its turn. */
  remove(item: T): void {
    this.#items = this.#items.slice(this.#head).filter((other) => other !== item);
    this.#head = 0;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
  }

  toArray(): T[] {
    return this.#items.slice(this.#head) as T[];
  }
}

/** Bounds of a {@link PullQueue}, and what to do at them. */
export interface PullLimits {
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  /** The queue is full: nothing more should come. */
  pause(): void;
  /** Half of it has been taken: more may come. */
  resume(): void;
}

/**
 * Items in order of arrival, and those who wait for one in order of asking. Once ended, it gives
 * what is left, then the error it ended with.
 */
export class PullQueue<T> {
  readonly #limits: PullLimits;
  readonly #items = new Fifo<T>();
  readonly #sizes = new Fifo<number>();
  readonly #waiters = new Fifo<Waiter<T>>();
  #bytes = 0;
  #full = false;
  #end: { error: unknown } | undefined;

  constructor(limits: PullLimits) {
    this.#limits = limits;
  }

  /** Items that wait. */
  get size(): number {
    return this.#items.size;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.#full;
  }

  /** Who gets the next item, if someone waits. */
  get next(): Waiter<T> | undefined {
    return this.#waiters.peek();
  }

  /** Gives the item to the first who waits, if someone does. */
  offer(item: T): boolean {
    const waiter = this.#waiters.shift();
    waiter?.give(item);
    return waiter !== undefined;
  }

  /** Keeps the item for later. */
  keep(item: T, bytes: number): void {
    this.#items.push(item);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    if (
      !this.#full &&
      (this.#items.size >= this.#limits.maxQueue || this.#bytes >= this.#limits.maxQueueBytes)
    ) {
      this.#full = true;
      this.#limits.pause();
    }
  }

  /** The waiter gets the first item now, or the next that comes, or the error of the end. */
  wait(waiter: Waiter<T>): void {
    const item = this.poll();
    if (item !== undefined) waiter.give(item);
    else if (this.#end !== undefined) waiter.fail(this.#end.error);
    else this.#waiters.push(waiter);
  }

  /** The first item now, if there is one. */
  poll(): T | undefined {
    if (this.#items.size === 0) return undefined;
    const item = this.#items.shift();
    this.#bytes -= this.#sizes.shift() as number;
    if (this.#full) this.#relieve();
    return item;
  }

  /** Takes the first who waits out of the line. */
  skip(): Waiter<T> | undefined {
    return this.#waiters.shift();
  }

  /** Someone no longer waits. */
  leave(waiter: Waiter<T>): void {
    this.#waiters.remove(waiter);
  }

  /** A copy of what waits. */
  toArray(): T[] {
    return this.#items.toArray();
  }

  /** Forgets what waits. */
  clear(): void {
    this.#items.clear();
    this.#sizes.clear();
    this.#bytes = 0;
    this.#relieve();
  }

  /**
   * Nothing more comes.
   * @param pending what those who wait now get; `error` is what later ones get
   */
  end(error: unknown, pending: unknown = error): void {
    this.#end ??= { error };
    let waiter: Waiter<T> | undefined;
    while ((waiter = this.#waiters.shift()) !== undefined) waiter.fail(pending);
  }

  #relieve(): void {
    if (
      this.#full &&
      this.#items.size <= this.#limits.maxQueue / 2 &&
      this.#bytes <= this.#limits.maxQueueBytes / 2
    ) {
      this.#full = false;
      this.#limits.resume();
    }
  }
}
