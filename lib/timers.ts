/**
 * Time: one timer that judges late rather than wrongly, and hooks that do not take for ever.
 * @packageDocumentation
 */

/**
 * Something with a timer, which rings after the event loop has had a turn to read what arrived
 * while it was busy: a timer that fires late must not take waiting bytes for silence.
 */
export abstract class Alarm {
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #held: boolean;

  /** @param held whether the process lives on for its rings */
  constructor(held = true) {
    this.#held = held;
  }

  /** The time has come. */
  protected abstract ring(): void;

  /** Whether it waits to ring. */
  get pending(): boolean {
    return this.#timer !== undefined;
  }

  /** Rings in `ms` milliseconds, and not when it was to before. */
  set(ms: number): void {
    this.clear();
    this.#timer = setTimeout(onTime, ms, this);
    if (!this.#held) this.#timer.unref();
  }

  clear(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#turn) clearImmediate(this.#turn);
    this.#timer = this.#turn = undefined;
  }

  /** Lets the process live on for its rings (`true`) or not (`false`). */
  hold(alive: boolean): void {
    this.#held = alive;
    if (alive) this.#timer?.ref();
    else this.#timer?.unref();
  }

  /** @internal */
  onTime(): void {
    this.#turn = setImmediate(onTurn, this);
  }

  /** @internal */
  onTurn(): void {
    this.#timer = this.#turn = undefined;
    this.ring();
  }
}

const onTime = (alarm: Alarm): void => {
  alarm.onTime();
};

const onTurn = (alarm: Alarm): void => {
  alarm.onTurn();
};

/**
 * Runs a user's hook that may take its time, then goes on; a throw, or `limit` milliseconds, do not
 * stop that. Goes on at once when the hook is not asynchronous.
 */
export function runHook(
  hook: () => void | Promise<void>,
  limit: number,
  report: (error: Error) => void,
  goOn: () => void,
): void {
  let hooked: void | Promise<void> = undefined;
  try {
    hooked = hook();
  } catch (error) {
    report(error as Error);
  }
  if (!hooked) {
    goOn();
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const limited = new Promise<void>((resolve) => {
    // The connection keeps the process alive while it needs to, not a hook that never ends.
    timer = setTimeout(resolve, limit).unref();
  });
  void Promise.race([hooked.catch(report), limited]).then(() => {
    clearTimeout(timer);
    goOn();
  });
}
