/**
 * One attempt to open a connection, which can end in its middle.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { TimeoutError, type Phase } from './exceptions.js';
import { Alarm } from './timers.js';
import { onAbort } from './values.js';

/** What bounds an attempt: its time, the caller's signal, and our own change of mind. */
export class OpeningAttempt {
  readonly _alarm: Alarm | undefined;
  readonly _timeout: number;
  _controller: AbortController | undefined;
  _phase: Phase = 'dns';
  _transport: Duplex | undefined;
  /** Why it has ended. */
  _reason: [reason: unknown] | undefined;
  /** Ends the step that is awaited. */
  _reject: ((reason: unknown) => void) | undefined;
  /** Whether the caller wanted the end: then it is no failure. */
  _wanted = false;
  _forget: (() => void) | undefined;

  /**
   * @param timeout milliseconds for everything from DNS to the end of the handshake; 0: no limit
   * @param held whether the process lives on for it
   */
  constructor(timeout: number, held: boolean, callerSignal?: AbortSignal) {
    this._timeout = timeout;
    if (timeout > 0) this._alarm = new Alarm(this, onTimeout, timeout, held);
    if (callerSignal) {
      const giveUp = (): void => {
        this._giveUp(callerSignal.reason);
      };
      this._forget = onAbort(callerSignal, giveUp);
      if (callerSignal.aborted) giveUp();
    }
  }

  /** For those who open a transport in their own way; made when asked for. */
  get _abortSignal(): AbortSignal {
    if (!this._controller) {
      this._controller = new AbortController();
      if (this._reason) this._controller.abort(this._reason[0]);
    }
    return this._controller.signal;
  }

  /** It has come so far. */
  _onPhase(phase: Phase): void {
    this._phase = phase;
  }

  /** There is a transport, which is destroyed with the attempt. */
  _onTransport(transport: Duplex): void {
    this._transport = transport;
    // Its fate is told by its readers; without a listener it would end the process.
    if (transport.listenerCount('error') === 0) transport.on('error', ignore);
    if (this._reason) transport.destroy();
  }

  /** The caller wants no connection any more. */
  _giveUp(reason: unknown): void {
    this._wanted = true;
    this._abort(reason);
  }

  /** Ends the attempt: what is awaited rejects with the reason. */
  _abort(reason: unknown): void {
    this._reason ??= [reason];
    this._reject?.(this._reason[0]);
    this._controller?.abort(reason);
    this._transport?.destroy();
  }

  /** Waits for what is done, but not beyond the attempt's end. */
  _bound<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      this._reject = reject;
      work.then(resolve, reject);
      if (this._reason) reject(this._reason[0]);
    });
  }

  /** Between two steps. @throws the reason, once the attempt has ended */
  _check(): void {
    if (this._reason) throw this._reason[0];
  }

  /** It has come to its end: nothing of it is left behind. */
  _end(): void {
    this._alarm?._clear();
    this._forget?.();
  }
}

function onTimeout(attempt: OpeningAttempt): void {
  const { _timeout: timeout, _phase: phase } = attempt;
  const message = `opening took longer than ${timeout} ms (timeout), in phase ${phase}`;
  attempt._abort(new TimeoutError(message, 'open', phase));
}

const ignore = (): void => undefined;
