/**
 * Timers that judge late rather than wrongly.
 * @packageDocumentation
 */
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from './builtins.js';

/**
 * A timer that rings after the event loop has had a turn to read what arrived while it was busy: one
 * that fires late must not take waiting bytes for silence.
 */
export class Alarm {
  readonly _timer: NodeJS.Timeout;
  _turn: NodeJS.Immediate | undefined;

  /**
   * @param owner given to `ring` in `ms` milliseconds
   * @param held whether the process lives on for it
   */
  constructor(owner: unknown, ring: (owner: never) => void, ms: number, held: boolean) {
    this._timer = setTimeout(() => {
      this._turn = setImmediate(ring as (owner: unknown) => void, owner);
    }, ms);
    this._hold(held);
  }

  _clear(): void {
    clearTimeout(this._timer);
    clearImmediate(this._turn);
  }

  /** Lets the process live on for its ring (`true`) or not (`false`). */
  _hold(alive: boolean): void {
    this._timer[alive ? 'ref' : 'unref']();
  }
}
