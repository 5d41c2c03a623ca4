/**
 * Queues: items that wait to be taken, and callers that wait for items.
 * @packageDocumentation
 */
import type { Numbers } from './options.js';

/** Someone who waits for the next item. */
export interface Waiter<T> {
  _resolve: (item: T) => void;
  _reject: (error: unknown) => void;
}

/** How many places, two for an item, may be empty at the front before the others are moved up. */
const SPARE = 128;

/** A first-in, first-out list of items and their sizes that moves them rarely. */
export class Fifo<T> {
  /** Each item, with its size behind it. */
  _list: unknown[] = [];
  /** Where the first item is. */
  _at = 0;
  /** All sizes together. */
  _bytes = 0;

  get _size(): number {
    return (this._list.length - this._at) / 2;
  }

  _push(item: T, bytes = 0): void {
    this._list.push(item, bytes);
    this._bytes += bytes;
  }

  /** The first item, or another, counted from it; left where it is. */
  _peek(place = 0): T | undefined {
    return this._list[this._at + place * 2] as T | undefined;
  }

  /** Takes the first item. */
  _shift(): T | undefined {
    const list = this._list;
    const at = this._at;
    const next = at + 2;
    if (next > list.length) return undefined;
    const item = list[at] as T;
    this._bytes -= list[at + 1] as number;
    list[at] = undefined;
    this._at = next;
    // In place: a list that is left behind would keep its items alive for a while.
    if (next === list.length) this._clear();
    else if (at > SPARE && at * 2 > list.length) {
      list.splice(0, next);
      this._at = 0;
    }
    return item;
  }

  /** Removes an item, wherever it is. It must be of size 0. */
  _remove(item: T): void {
    const at = this._list.indexOf(item);
    if (at >= 0) this._list.splice(at, 2);
  }

  _clear(): void {
    this._list = [];
    this._at = this._bytes = 0;
  }
}

/**
 * Items in order of arrival, and those who wait for one in order of asking. Once ended, it gives
 * what is left, then the error it ended with.
 */
export class PullQueue<T> {
  readonly _items = new Fifo<T>();
  readonly _waiters = new Fifo<Waiter<T>>();
  declare readonly _maxItems: number;
  declare readonly _maxBytes: number;
  declare readonly _onFull: (full: boolean) => void;
  /** Whether it has been full, and has not been half empty since. */
  _wasFull = false;
  _ended: [error: unknown] | undefined;
  /** Loops over it that have not been left. */
  _loops = 0;

  /**
   * @param numbers `maxQueue` items fill it, and `maxQueueBytes` do
   * @param onFull told when it is full (`true`), and when it is half empty again (`false`)
   * @param maxItems so many items fill it, in place of `maxQueue`
   */
  constructor(numbers: Numbers, onFull: (full: boolean) => void, maxItems = numbers.maxQueue) {
    this._maxItems = maxItems;
    this._maxBytes = numbers.maxQueueBytes;
    this._onFull = onFull;
  }

  /** Gives the item to the first who waits. Returns whether there was one. */
  _offer(item: T): boolean {
    const waiter = this._waiters._shift();
    waiter?._resolve(item);
    return waiter !== undefined;
  }

  /** Keeps the item for later. */
  _keep(item: T, bytes: number): void {
    const items = this._items;
    items._push(item, bytes);
    if (this._wasFull) return;
    if (items._size >= this._maxItems || items._bytes >= this._maxBytes) {
      this._onFull((this._wasFull = true));
    }
  }

  /** Takes the first item, where there is one. */
  _poll(): T | undefined {
    const item = this._items._shift();
    this._checkRelief();
    return item;
  }

  /** The waiter gets the first item now, or the next that comes, or the error of the end. */
  _wait(waiter: Waiter<T>): void {
    if (this._items._size > 0) waiter._resolve(this._poll() as T);
    else if (this._ended) waiter._reject(this._ended[0]);
    else this._waiters._push(waiter);
  }

  /** Drops all items. */
  _clear(): void {
    this._items._clear();
    this._checkRelief();
  }

  /** Nothing more comes: those who wait are rejected with `pending`, later ones with `error`. */
  _end(error: unknown, pending = error): void {
    this._ended ??= [error];
    for (let waiter; (waiter = this._waiters._shift());) waiter._reject(pending);
  }

  _checkRelief(): void {
    if (!this._wasFull) return;
    const { _size: size, _bytes: bytes } = this._items;
    if (size <= this._maxItems / 2 && bytes <= this._maxBytes / 2) {
      this._onFull((this._wasFull = false));
    }
  }
}
