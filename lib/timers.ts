/**
 * Time: one timer that judges late rather than wrongly, and hooks that do not take for ever.
 * @packageDocumentation
 */

/** A timer that rings once. */
export interface Alarm {
  /** Rings in `ms` milliseconds, and not when it was to before. */
  set: (ms: number) => void;
  clear: () => void;
  /** Whether it waits to ring. */
  pending: () => boolean;
  /** Lets the process live on for its rings (`true`, as it does at first) or not (`false`). */
  hold: (alive: boolean) => void;
}

/**
 * Makes an alarm that rings after the event loop has had a turn to read what arrived while it was
 * busy: a timer that fires late must not take waiting bytes for silence.
 */
export function makeAlarm(ring: () => void): Alarm {
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  let held = true;
  const clear = (): void => {
    clearTimeout(timer);
    clearImmediate(turn);
    timer = undefined;
  };
  return {
    set(ms) {
      clear();
      timer = setTimeout(() => {
        turn = setImmediate(() => {
          timer = undefined;
          ring();
        });
      }, ms);
      if (!held) timer.unref();
    },
    clear,
    pending: () => timer !== undefined,
    hold(alive) {
      held = alive;
      if (alive) timer?.ref();
      else timer?.unref();
    },
  };
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
