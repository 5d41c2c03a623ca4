/**
 * One timer that judges late rather than wrongly.
 * @packageDocumentation
 */

/**
 * Rings once, after the event loop has had a turn to read what arrived while it was busy: a timer
 * that fires late must not take waiting bytes for silence.
 */
export class Alarm {
  readonly #ring: () => void;
  readonly #held: boolean;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  /** @param held whether a set alarm keeps the process alive */
  constructor(ring: () => void, held = true) {
    this.#ring = ring;
    this.#held = held;
  }

  /** Rings in `ms` milliseconds, and not when it was to before. */
  set(ms: number): void {
    this.clear();
    this.#timer = setTimeout(this.#fired, ms);
    if (!this.#held) this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = this.#turn = undefined;
  }

  /** Whether it waits to ring. */
  get pending(): boolean {
    return this.#timer !== undefined;
  }

  /** Lets the process live on (`true`) or not (`false`) for this ring. */
  hold(alive: boolean): void {
    if (alive) this.#timer?.ref();
    else this.#timer?.unref();
  }

  readonly #fired = (): void => {
    this.#turn = setImmediate(() => {
      this.#timer = this.#turn = undefined;
      this.#ring();
    });
  };
}
