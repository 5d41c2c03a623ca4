/**
 * The order of what is sent: messages one after another, the pieces of one together.
 * @packageDocumentation
 */
import { Fifo } from './queues.js';

/** Something to send. */
export interface SendTask {
  /** Sends it; must neither throw nor reject. A promise holds back what comes later. */
  readonly _send: () => void | Promise<void>;
  /** It will not be sent. */
  readonly _reject: (error: unknown) => void;
}

/**
 * Runs tasks in the order of the calls. A message in pieces keeps its place until it is whole, and
 * the messages of later calls wait for it.
 */
export class SendQueue {
  /** What can be sent, in order. */
  readonly _ready = new Fifo<SendTask>();
  /** While a message in pieces is not whole yet: the messages that wait until it is. */
  _behind: SendTask[] | undefined;
  /** What is being sent. */
  _current: SendTask | undefined;
  /** Called whenever nothing is left that can be sent: of an unfinished message, more may come. */
  _onSettled: (() => void) | undefined;

  /**
   * Adds a message, or a piece of one.
   * @param open whether more pieces will follow; undefined for a whole message
   */
  _add(task: SendTask, open?: boolean): void {
    const behind = this._behind ?? [];
    if (this._behind && open === undefined) behind.push(task);
    else {
      this._behind = open ? behind : undefined;
      for (const next of open ? [task] : [task, ...behind]) this._ready._push(next);
      this._run();
    }
  }

  /** Drops what waits, and what is being sent, which ends by itself. Returns all of it. */
  _clear(): SendTask[] {
    const dropped: SendTask[] = [];
    for (let task = this._current; task; task = this._ready._shift()) dropped.push(task);
    const behind = this._behind ?? [];
    this._current = this._behind = undefined;
    this._onSettled?.();
    return [...dropped, ...behind];
  }

  /** Sends what can be sent; what takes its time calls this again at its end. */
  _run(): void {
    for (let task; !this._current && (task = this._ready._shift());) {
      // Before it is sent: the user's iterable may send something itself when it is asked.
      this._current = task;
      const sending = task._send();
      if (sending) {
        void sending.then(() => {
          this._current = undefined;
          this._run();
        });
      } else this._current = undefined;
    }
    if (!this._current) this._onSettled?.();
  }
}
