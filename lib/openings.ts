/**
 * One attempt to open a connection, which can end in its middle.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { TimeoutError, type Phase } from './exceptions.js';
import { makeAlarm } from './timers.js';

/** What bounds an attempt: its time, the caller's signal, and our own change of mind. */
export interface OpeningAttempt {
  readonly signal: AbortSignal;
  /** Whether the caller wanted the end: then it is no failure. */
  wanted: () => boolean;
  /** It has come so far. */
  reach: (phase: Phase) => void;
  /** The caller wants no connection any more. */
  giveUp: (reason: unknown) => void;
  /** Ends the attempt: what is awaited rejects with the reason. */
  abort: (reason: unknown) => void;
  /** Waits for a step, but not beyond the attempt's end. */
  step: <T>(work: () => T | Promise<T>) => Promise<T>;
  /** The step that opens the transport, which is destroyed with the attempt, even if it comes late. */
  open: (work: () => Duplex | Promise<Duplex>) => Promise<Duplex>;
  /** It has come to its end: nothing of it is left behind. */
  end: () => void;
  /** Whether the process lives on for it. */
  hold: (alive: boolean) => void;
}

/** @param timeout milliseconds for everything from DNS to the end of the handshake; 0: no limit */
export function makeAttempt(timeout: number, callerSignal?: AbortSignal): OpeningAttempt {
  const controller = new AbortController();
  const { signal } = controller;
  let phase: Phase = 'dns';
  let transport: Duplex | undefined;
  let wanted = false;

  const abort = (reason: unknown): void => {
    controller.abort(reason);
    transport?.destroy();
  };
  const giveUp = (reason: unknown): void => {
    wanted = true;
    abort(reason);
  };
  const onCallerAbort = (): void => {
    giveUp(callerSignal?.reason);
  };
  const alarm = makeAlarm(() => {
    const message = `opening took longer than ${timeout} ms (timeout), in phase ${phase}`;
    abort(new TimeoutError(message, 'open', phase));
  });
  const step = async <T>(work: () => T | Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => {
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort);
    });
    try {
      return await Promise.race([work(), aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };

  if (timeout > 0) alarm.set(timeout);
  callerSignal?.addEventListener('abort', onCallerAbort);
  if (callerSignal?.aborted) onCallerAbort();
  return {
    signal,
    wanted: () => wanted,
    reach(next) {
      phase = next;
    },
    giveUp,
    abort,
    step,
    open: (work) =>
      step(async () => {
        transport = await work();
        // Its fate is told by its readers; without a listener it would end the process.
        transport.on('error', () => undefined);
        if (signal.aborted) transport.destroy();
        return transport;
      }),
    end() {
      alarm.clear();
      callerSignal?.removeEventListener('abort', onCallerAbort);
    },
    hold: alarm.hold,
  };
}
