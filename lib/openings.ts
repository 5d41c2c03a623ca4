/**
 * One attempt to open a connection, which can be ended at any step.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { TimeoutError, type Phase } from './exceptions.js';
import { setRef, type Connection } from './connections.js';
import { Alarm } from './timers.js';
import { noop, onAbort } from './values.js';

/** What bounds an attempt: its time, the caller's signal, and our own change of mind. */
export class OpeningAttempt {
  declare readonly _connection: Connection;
  _controller: AbortController | undefined;
  _phase: Phase = 'dns';
  /** Destroyed with the attempt. */
  _transport: Duplex | undefined;
  /** Why it has been ended; set at the first cause. */
  _reason: [reason: unknown] | undefined;
  /** Rejects what `_race()` gave. */
  _reject: ((reason: unknown) => void) | undefined;
  /** Whether the caller ended it: then no `error` is emitted. */
  _abortedByCaller = false;
  _stopListening: (() => void) | undefined;

  constructor(c: Connection, callerSignal?: AbortSignal) {
    this._connection = c;
    const { timeout } = c._numbers;
    const onTimeout = (): void => {
      const message = `opening took longer than ${timeout} ms (timeout), in phase ${this._phase}`;
      this._abort(new TimeoutError(message, 'open', this._phase), false);
    };
    if (timeout > 0) c._opening = new Alarm(this, onTimeout, timeout, c._hasRef);
    if (callerSignal) {
      const onCallerAbort = (): void => {
        this._abort(callerSignal.reason);
      };
      this._stopListening = onAbort(callerSignal, onCallerAbort);
      if (callerSignal.aborted) onCallerAbort();
    }
  }

  /** For users who override `openTransport()`; made when asked for. */
  get _abortSignal(): AbortSignal {
    if (!this._controller) {
      this._controller = new AbortController();
      if (this._reason) this._controller.abort(this._reason[0]);
    }
    return this._controller.signal;
  }

  /** It has reached this phase. */
  _onPhase(phase: Phase): void {
    this._phase = phase;
  }

  /** There is a transport, which is destroyed with the attempt. */
  _onTransport(transport: Duplex): void {
    const c = this._connection;
    this._transport = c._transport = transport;
    if (!c._hasRef) setRef(c, false);
    // Whoever reads it learns of its errors; without any listener they would end the process.
    if (transport.listenerCount('error') === 0) transport.on('error', noop);
    if (this._reason) transport.destroy();
  }

  /**
   * Ends the attempt: what is awaited rejects with the reason.
   * @param byCaller whether the caller no longer wants a connection
   */
  _abort(reason: unknown, byCaller = true): void {
    this._abortedByCaller ||= byCaller;
    this._reason ??= [reason];
    this._reject?.(reason);
    this._controller?.abort(reason);
    this._transport?.destroy();
  }

  /** Settles as `work` does, or rejects once the attempt is ended. */
  _race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      this._reject = reject;
      work.then(resolve, reject);
      if (this._reason) reject(this._reason[0]);
    });
  }

  /** To be called between two steps. @throws the reason, once the attempt has been ended */
  _throwIfEnded(): void {
    if (this._reason) throw this._reason[0];
  }

  /** The attempt is over: its timer and its listener go. */
  _cleanUp(): void {
    this._connection._opening?._clear();
    this._connection._opening = undefined;
    this._stopListening?.();
  }
}
