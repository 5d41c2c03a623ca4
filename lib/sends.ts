/**
 * The order of what is sent: messages one after another, the pieces of one together.
 * @packageDocumentation
 */
import { Fifo } from './queues.js';

/** Something to send. A promise, which must not reject, holds back what comes later. */
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
  #running: Promise<void> | undefined;
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
    this.#enter(this.#newSlot(false), task);
  }

  /** A piece of the message in pieces, or its first. */
  addPiece(task: SendTask, last: boolean): void {
    const slot = this.#open ?? this.#newSlot(true);
    slot.open = !last;
    this.#open = last ? undefined : slot;
    this.#enter(slot, task);
  }

  /** Resolves once everything that can be sent has been: an unfinished message may be left. */
  whenSettled(): Promise<void> | undefined {
    return (
      this.#running &&
      new Promise((resolve) => {
        this.#idlers.push(resolve);
      })
    );
  }

  /** Forgets what waits; a task that runs is left to end by itself. */
  clear(): void {
    this.#slots.clear();
    this.#open = undefined;
    this.#settle();
  }

  #newSlot(open: boolean): Slot {
    const slot = { tasks: new Fifo<SendTask>(), open };
    this.#slots.push(slot);
    return slot;
  }

  #enter(slot: Slot, task: SendTask): void {
    slot.tasks.push(task);
    this.#run();
  }

  /** Runs what can run; a task that takes its time calls this again at its end. */
  #run(): void {
    for (let slot; !this.#running && (slot = this.#slots.peek());) {
      const task = slot.tasks.shift();
      if (task) {
        this.#running = task()?.then(() => {
          this.#running = undefined;
          this.#run();
        });
      } else if (slot.open) break;
      else this.#slots.shift();
    }
    if (!this.#running) this.#settle();
  }

  #settle(): void {
    const idlers = this.#idlers;
    this.#idlers = [];
    for (const idler of idlers) idler();
  }
}
