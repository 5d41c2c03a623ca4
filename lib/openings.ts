/**
 * One attempt to open a connection, which can end in its middle.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { TimeoutError, type Phase } from './exceptions.js';
import { Alarm } from './timers.js';

/** What bounds an attempt: its time, the caller's signal, and our own change of mind. */
export class OpeningAttempt extends Alarm {
  readonly #timeout: number;
  readonly #callerSignal: AbortSignal | undefined;
  #controller: AbortController | undefined;
  #phase: Phase = 'dns';
  #transport: Duplex | undefined;
  /** Why it has ended. */
  #reason: [reason: unknown] | undefined;
  /** Ends the step that is awaited. */
  #reject: ((reason: unknown) => void) | undefined;
  /** Whether the caller wanted the end: then it is no failure. */
  wanted = false;

  /**
   * @param timeout milliseconds for everything from DNS to the end of the handshake; 0: no limit
   * @param held whether the process lives on for it
   */
  constructor(timeout: number, held: boolean, callerSignal?: AbortSignal) {
    super(held);
    this.#timeout = timeout;
    this.#callerSignal = callerSignal;
    if (timeout > 0) this.set(timeout);
    callerSignal?.addEventListener('abort', this.#onCallerAbort);
    if (callerSignal?.aborted) this.#onCallerAbort();
  }

  /** For those who open a transport in their own way; made when asked for. */
  get abortSignal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason[0]);
    }
    return this.#controller.signal;
  }

  /** It has come so far. */
  onPhase(phase: Phase): void {
    this.#phase = phase;
  }

  /** There is a transport, which is destroyed with the attempt. */
  onTransport(transport: Duplex): void {
    this.#transport = transport;
    // Its fate is told by its readers; without a listener it would end the process.
    if (transport.listenerCount('error') === 0) transport.on('error', ignore);
    if (this.#reason) transport.destroy();
  }

  /** The caller wants no connection any more. */
  giveUp(reason: unknown): void {
    this.wanted = true;
    this.abort(reason);
  }

  /** Ends the attempt: what is awaited rejects with the reason. */
  abort(reason: unknown): void {
    this.#reason ??= [reason];
    this.#reject?.(this.#reason[0]);
    this.#controller?.abort(reason);
    this.#transport?.destroy();
  }

  /** Waits for what is done, but not beyond the attempt's end. */
  bound<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      this.#reject = reject;
      work.then(resolve, reject);
      if (this.#reason) reject(this.#reason[0]);
    });
  }

  /** Between two steps. @throws the reason, once the attempt has ended */
  check(): void {
    if (this.#reason) throw this.#reason[0];
  }

  /** It has come to its end: nothing of it is left behind. */
  end(): void {
    this.clear();
    this.#callerSignal?.removeEventListener('abort', this.#onCallerAbort);
  }

  protected override ring(): void {
    const message = `opening took longer than ${this.#timeout} ms (timeout), in phase ${this.#phase}`;
    this.abort(new TimeoutError(message, 'open', this.#phase));
  }

  readonly #onCallerAbort = (): void => {
    this.giveUp(this.#callerSignal?.reason);
  };
}

const ignore = (): void => undefined;
