/**
 * Messages that wait for someone, and those who wait for messages.
 * @packageDocumentation
 */

/** Someone who waits for the next item. */
export interface Waiter<T> {
  give: (item: T) => void;
  fail: (error: unknown) => void;
}

/** A first-in, first-out list that does not move its items: a ring that grows. */
export class Fifo<T> {
  #ring: (T | undefined)[] | undefined;
  #head = 0;
  size = 0;

  push(item: T): void {
    const ring = (this.#ring ??= new Array<T | undefined>(8));
    if (this.size === ring.length) this.#resize(ring.length * 2);
    const full = this.#ring;
    full[(this.#head + this.size++) & (full.length - 1)] = item;
  }

  /** The first item, left where it is. */
  peek(): T | undefined {
    return this.size > 0 ? this.#ring?.[this.#head] : undefined;
  }

  /** Takes the first item. */
  shift(): T | undefined {
    const ring = this.#ring;
    if (!ring || this.size === 0) return undefined;
    const item = ring[this.#head];
    ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (ring.length - 1);
    // The memory of a backlog is let go of with it.
    if (--this.size === 0 && ring.length > 1024) this.clear();
    return item;
  }

  /** What waits, in a list of its own. */
  toArray(): T[] {
    const ring = this.#ring ?? [];
    return Array.from(
      { length: this.size },
      (_, i) => ring[(this.#head + i) & (ring.length - 1)] as T,
    );
  }

  /** Takes an item out of the middle. */
  remove(item: T): void {
    const others = this.toArray().filter((one) => one !== item);
    this.clear();
    for (const other of others) this.push(other);
  }

  clear(): void {
    this.#ring = undefined;
    this.#head = this.size = 0;
  }

  #resize(length: number): void {
    const items: (T | undefined)[] = this.toArray();
    items.length = length;
    this.#ring = items;
    this.#head = 0;
  }
}

/**
 * Items in order of arrival, and those who wait for one in order of asking. Once ended, it gives
 * what is left, then the error it ended with.
 */
export class PullQueue<T> {
  readonly items = new Fifo<T>();
  readonly waiters = new Fifo<Waiter<T>>();
  readonly #sizes = new Fifo<number>();
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #onFull: (full: boolean) => void;
  /** Bytes that wait. */
  bytes = 0;
  #full = false;
  #end: [error: unknown] | undefined;

  /**
   * @param most items, or
   * @param mostBytes that fill it
   * @param onFull told when it is full (`true`), and when half of it has been taken (`false`)
   */
  constructor(most: number, mostBytes: number, onFull: (full: boolean) => void) {
    this.#most = most;
    this.#mostBytes = mostBytes;
    this.#onFull = onFull;
  }

  /** Whether no more should be kept. */
  get full(): boolean {
    return this.items.size >= this.#most || this.bytes >= this.#mostBytes;
  }

  /** Gives the item to the first who waits, if someone does. */
  offer(item: T): boolean {
    const waiter = this.waiters.shift();
    waiter?.give(item);
    return waiter !== undefined;
  }

  /** Keeps the item for later. */
  keep(item: T, bytes: number): void {
    this.items.push(item);
    this.#sizes.push(bytes);
    this.bytes += bytes;
    if (!this.#full && this.full) this.#onFull((this.#full = true));
  }

  /** Takes the first item, where there is one. */
  poll(): T | undefined {
    if (this.items.size === 0) return undefined;
    const item = this.items.shift();
    this.bytes -= this.#sizes.shift() as number;
    this.#relieve();
    return item;
  }

  /** The waiter gets the first item now, or the next that comes, or the error of the end. */
  wait(waiter: Waiter<T>): void {
    if (this.items.size > 0) waiter.give(this.poll() as T);
    else if (this.#end) waiter.fail(this.#end[0]);
    else this.waiters.push(waiter);
  }

  /** Forgets what waits. */
  forget(): void {
    this.items.clear();
    this.#sizes.clear();
    this.bytes = 0;
    this.#relieve();
  }

  /** Nothing more comes: those who wait get `pending`, later ones `error`. */
  end(error: unknown, pending = error): void {
    this.#end ??= [error];
    for (let waiter; (waiter = this.waiters.shift());) waiter.fail(pending);
  }

  #relieve(): void {
    if (!this.#full || this.items.size > this.#most / 2 || this.bytes > this.#mostBytes / 2) return;
    this.#onFull((this.#full = false));
  }
}
