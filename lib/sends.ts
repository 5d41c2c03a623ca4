/**
 * The order of what is sent: messages one after another, the pieces of one together.
 * @packageDocumentation
 */
import { Fifo } from './queues.js';

/** Something to send. A promise holds back what comes later. */
export type SendTask = () => void | Promise<void>;

interface Slot {
  readonly tasks: Fifo<SendTask>;
  /** Whether more pieces of this message will follow. */
  open: boolean;
}

/**
 * Runs tasks in the order of the calls. A message in pieces keeps its place until it is whole, and
 * the messages of later calls wait for it.
 */
export class SendQueue {
  readonly #slots = new Fifo<Slot>();
  /** The message whose pieces are still coming. */
  #open: Slot | undefined;
  #running = false;
  #idlers: (() => void)[] = [];

  /** Whether a message can go out now, without waiting for others. */
  get idle(): boolean {
    return this.#slots.size === 0;
  }

  /** Whether a message in pieces has been begun by a call, and not ended. */
  get inPieces(): boolean {
    return this.#open !== undefined;
  }

  /** A whole message. */
  add(task: SendTask): void {
    this.#enter({ tasks: new Fifo(), open: false }, task);
  }

  /** A piece of the message in pieces, or its first. */
  addPiece(task: SendTask, last: boolean): void {
    const slot = this.#open;
    this.#open = last ? undefined : (slot ?? { tasks: new Fifo(), open: true });
    if (slot === undefined) {
      this.#enter(this.#open ?? { tasks: new Fifo(), open: false }, task);
      return;
    }
    slot.open = !last;
    slot.tasks.push(task);
    this.#run();
  }

  /** Resolves once everything that can be sent has been: an unfinished message may be left. */
  whenSettled(): Promise<void> | undefined {
    if (!this.#running) return undefined;
    return new Promise((resolve) => {
      this.#idlers.push(resolve);
    });
  }

  /** Forgets what waits; a task that runs is left to end by itself. */
  clear(): void {
    this.#slots.clear();
    this.#open = undefined;
    this.#settleIdlers();
  }

  #enter(slot: Slot, task: SendTask): void {
    slot.tasks.push(task);
    this.#slots.push(slot);
    this.#run();
  }

  /** Runs what can run; a task that takes its time calls this again at its end. */
  #run(): void {
    while (!this.#running) {
      const slot = this.#slots.peek();
      const task = slot?.tasks.shift();
      if (slot === undefined || (task === undefined && slot.open)) break;
      if (task === undefined) {
        this.#slots.shift();
        continue;
      }
      this.#running = true;
      const done = task();
      if (done === undefined) {
        this.#running = false;
      } else {
        void done.then(() => {
          this.#running = false;
          this.#run();
        });
      }
    }
    if (!this.#running) this.#settleIdlers();
  }

  #settleIdlers(): void {
    const idlers = this.#idlers;
    this.#idlers = [];
    for (const resolve of idlers) resolve();
  }
}
