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

interface Slot {
  readonly _tasks: Fifo<SendTask>;
  /** Whether more pieces of this message will follow. */
  _open: boolean;
}

/**
 * Runs tasks in the order of the calls. A message in pieces keeps its place until it is whole, and
 * the messages of later calls wait for it.
 */
export class SendQueue {
  readonly _slots = new Fifo<Slot>();
  /** The message whose pieces are still coming. */
  _inPieces: Slot | undefined;
  /** What is being sent. */
  _current: SendTask | undefined;
  /** Called whenever nothing is left that can be sent. */
  _onSettled: (() => void) | undefined;

  /**
   * Adds a message, or a piece of one.
   * @param open whether more pieces will follow; undefined for a whole message
   */
  _add(task: SendTask, open?: boolean): void {
    let slot = open === undefined ? undefined : this._inPieces;
    if (!slot) this._slots._push((slot = { _tasks: new Fifo(), _open: false }));
    if (open !== undefined) {
      slot._open = open;
      this._inPieces = open ? slot : undefined;
    }
    slot._tasks._push(task);
    this._run();
  }

  /**
   * Resolves once everything that can be sent has been: an unfinished message may be left. Asked
   * once, by who closes.
   */
  _whenSettled(): Promise<void> | undefined {
    return (
      this._current &&
      new Promise((resolve) => {
        this._onSettled = resolve;
      })
    );
  }

  /** Drops what waits, and what is being sent, which ends by itself. Returns all of it. */
  _clear(): SendTask[] {
    const dropped = this._current ? [this._current] : [];
    for (let slot; (slot = this._slots._shift());) {
      for (let task; (task = slot._tasks._shift());) dropped.push(task);
    }
    this._current = this._inPieces = undefined;
    this._onSettled?.();
    return dropped;
  }

  /** Sends what can be sent; what takes its time calls this again at its end. */
  _run(): void {
    for (let slot; !this._current && (slot = this._slots._peek());) {
      const task = slot._tasks._shift();
      if (task) {
        // Before it is sent: the user's iterable may send something itself when it is asked.
        this._current = task;
        const sending = task._send();
        if (sending) {
          void sending.then(() => {
            this._current = undefined;
            this._run();
          });
        } else this._current = undefined;
      } else if (slot._open) break;
      else this._slots._shift();
    }
    if (!this._current) this._onSettled?.();
  }
}
