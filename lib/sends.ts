/**
 * The order of what is sent: messages one after another, the pieces of one together.
 * @packageDocumentation
 */
import { Fifo } from './queues.js';

/** Something to send. A promise, which must not reject, holds back what comes later. */
export type SendTask = () => void | Promise<void>;

/**
 * Runs tasks in the order of the calls. A message in pieces keeps its place until it is whole, and
 * the messages of later calls wait for it.
 */
export interface SendQueue {
  /** Whether a message can go out now, without waiting for others. */
  idle: () => boolean;
  /** Whether a message in pieces has been begun by a call, and not ended. */
  inPieces: () => boolean;
  /** A whole message. */
  add: (task: SendTask) => void;
  /** A piece of the message in pieces, or its first. */
  addPiece: (task: SendTask, last: boolean) => void;
  /** Resolves once everything that can be sent has been: an unfinished message may be left. */
  whenSettled: () => Promise<void> | undefined;
  /** Forgets what waits; a task that runs is left to end by itself. */
  clear: () => void;
}

interface Slot {
  readonly tasks: Fifo<SendTask>;
  /** Whether more pieces of this message will follow. */
  open: boolean;
}

/** Makes an empty queue. */
export function makeSendQueue(): SendQueue {
  const slots = new Fifo<Slot>();
  /** The message whose pieces are still coming. */
  let open: Slot | undefined;
  let running: Promise<void> | undefined;
  const idlers: (() => void)[] = [];

  const enter = (slot: Slot, task: SendTask): void => {
    slot.tasks.push(task);
    run();
  };
  const newSlot = (isOpen: boolean): Slot => {
    const slot = { tasks: new Fifo<SendTask>(), open: isOpen };
    slots.push(slot);
    return slot;
  };
  const settle = (): void => {
    for (const idler of idlers.splice(0)) idler();
  };
  return {
    idle: () => slots.size === 0,
    inPieces: () => open !== undefined,
    add(task) {
      enter(newSlot(false), task);
    },
    addPiece(task, last) {
      const slot = open ?? newSlot(true);
      slot.open = !last;
      open = last ? undefined : slot;
      enter(slot, task);
    },
    whenSettled: () =>
      running &&
      new Promise((resolve) => {
        idlers.push(resolve);
      }),
    clear() {
      slots.keep(() => false);
      open = undefined;
      settle();
    },
  };

  /** Runs what can run; a task that takes its time calls this again at its end. */
  function run(): void {
    for (let slot; !running && (slot = slots.peek());) {
      const task = slot.tasks.shift();
      if (task) {
        running = task()?.then(() => {
          running = undefined;
          run();
        });
      } else if (slot.open) break;
      else slots.shift();
    }
    if (!running) settle();
  }
}
