/**
 * Time: timers that judge late rather than wrongly, and hooks that do not take for ever.
 * @packageDocumentation
 */

/**
 * A timer that rings after the event loop has had a turn to read what arrived while it was busy: one
 * that fires late must not take waiting bytes for silence.
 */
export class Alarm<T> {
  _timer: NodeJS.Timeout | undefined;
  _turn: NodeJS.Immediate | undefined;
  readonly _owner: T;
  readonly _ring: (owner: T) => void;
  _held: boolean;

  /**
   * @param owner given to `ring` when the time has come
   * @param held whether the process lives on for it
   */
  constructor(owner: T, ring: (owner: T) => void, held: boolean) {
    this._owner = owner;
    this._ring = ring;
    this._held = held;
  }

  /** Rings in `ms` milliseconds, and not when it was to before. */
  _set(ms: number): void {
    if (this._timer) this._clear();
    this._timer = setTimeout(onTime, ms, this);
    if (!this._held) this._timer.unref();
  }

  _clear(): void {
    clearTimeout(this._timer);
    clearImmediate(this._turn);
    this._timer = this._turn = undefined;
  }

  /** Lets the process live on for its ring (`true`) or not (`false`). */
  _hold(alive: boolean): void {
    this._held = alive;
    this._timer?.[alive ? 'ref' : 'unref']();
  }
}

function onTime<T>(alarm: Alarm<T>): void {
  alarm._turn = setImmediate(onTurn as typeof onTurn<T>, alarm);
}

function onTurn<T>(alarm: Alarm<T>): void {
  alarm._timer = alarm._turn = undefined;
  alarm._ring(alarm._owner);
}

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
