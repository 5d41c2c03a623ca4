/**
 * One attempt to open a connection, which can end in its middle.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { TimeoutError, type Phase } from './exceptions.js';
import { Alarm } from './timers.js';

/** What bounds an attempt: its time, the caller's signal, and our own change of mind. */
export class OpeningAttempt {
  readonly #controller = new AbortController();
  readonly #alarm: Alarm;
  readonly #callerSignal: AbortSignal | undefined;
  /** How far it has come. */
  phase: Phase = 'dns';
  #transport: Duplex | undefined;
  #wanted = false;

  /** @param timeout milliseconds for everything from DNS to the end of the handshake; 0: no limit */
  constructor(timeout: number, callerSignal?: AbortSignal) {
    this.#alarm = new Alarm(() => {
      this.abort(
        new TimeoutError(
          `opening took longer than ${String(timeout)} ms (timeout); it got as far as ${this.phase}`,
          'open',
          this.phase,
        ),
      );
    });
    if (timeout > 0) this.#alarm.set(timeout);
    this.#callerSignal = callerSignal;
    callerSignal?.addEventListener('abort', this.#onCallerAbort);
    if (callerSignal?.aborted === true) this.#onCallerAbort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the caller wanted the end: then it is no failure. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** The caller wants no connection any more. */
  giveUp(reason: unknown): void {
    this.#wanted = true;
    this.abort(reason);
  }

  /** Ends the attempt: what is awaited rejects with the reason. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
    this.#transport?.destroy();
  }

  /** Waits for a step, but not beyond the attempt's end. */
  async step<T>(work: () => T | Promise<T>): Promise<T> {
    const { signal } = this;
    signal.throwIfAborted();
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => {
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([work(), aborted]);
    } finally {
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
    }
  }

  /** The step that opens the transport, which is destroyed with the attempt, even if it comes late. */
  open(work: () => Duplex | Promise<Duplex>): Promise<Duplex> {
    return this.step(async () => {
      const transport = await work();
      // Whatever becomes of it is told by its readers; without a listener it would end the process.
      transport.on('error', () => undefined);
      this.#transport = transport;
      if (this.signal.aborted) transport.destroy();
      return transport;
    });
  }

  /** It has come to its end: nothing of it is left behind. */
  end(): void {
    this.#alarm.clear();
    this.#callerSignal?.removeEventListener('abort', this.#onCallerAbort);
  }

  /** Whether the process lives on for it. */
  hold(alive: boolean): void {
    this.#alarm.hold(alive);
  }

  readonly #onCallerAbort = (): void => {
    this.giveUp(this.#callerSignal?.reason);
  };
}
