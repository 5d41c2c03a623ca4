/**
 * Timers that would rather ring late than take a busy event loop for a silent peer.
 * @packageDocumentation
 */
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from './builtins.js';

/**
 * A timer that rings after the event loop has had a turn to read what arrived while it was busy:
 * one that fires late must not take waiting bytes for silence.
 */
export class Alarm {
  declare readonly _timer: NodeJS.Timeout;
  _turn: NodeJS.Immediate | undefined;

  /**
   * @param owner given to `ring` in `ms` milliseconds
   * @param hasRef whether the process lives on for it
   */
  constructor(owner: unknown, ring: (owner: never) => void, ms: number, hasRef: boolean) {
    this._timer = setTimeout(() => {
      this._turn = setImmediate(ring as (owner: unknown) => void, owner);
    }, ms);
    this._setRef(hasRef);
  }

  _clear(): void {
    clearTimeout(this._timer);
    clearImmediate(this._turn);
  }

  /** Lets the process live on for its ring (`true`) or not (`false`). */
  _setRef(hasRef: boolean): void {
    this._timer[hasRef ? 'ref' : 'unref']();
  }
}
