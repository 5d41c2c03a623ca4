/**
 * Waiting for the user's hooks, but not for ever.
 * @packageDocumentation
 */

/**
 * Runs a hook that may take its time, then goes on; a throw, or `limit` milliseconds, do not stop
 * that. Goes on at once when the hook is not asynchronous.
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
  if (hooked === undefined) {
    goOn();
    return;
  }
  let over = false;
  const finish = (): void => {
    clearTimeout(timer);
    if (!over) goOn();
    over = true;
  };
  const timer = setTimeout(finish, limit);
  hooked
    .catch((error: unknown) => {
      report(error as Error);
    })
    .finally(finish);
}
