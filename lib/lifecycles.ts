/**
 * The states of a connection, the one place that writes them, and those who tell of it.
 * @packageDocumentation
 */
import type { SocketState } from './enumerations.js';
import type { Audience } from './inboxes.js';
import type { CloseInfo } from './parts.js';
import { tell } from './values.js';

/** Where a connection is in its life. */
export class Lifecycle {
  #state: SocketState;
  /** Who emits the connection's events. */
  readonly emitters: Audience[];
  #info: CloseInfo | undefined;
  #closed: Promise<CloseInfo> | undefined;
  #settle: ((info: CloseInfo) => void) | undefined;

  constructor(state: SocketState, emitters: Audience[]) {
    this.#state = state;
    this.emitters = emitters;
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Moves on to a later state; a state once left never comes back. */
  move(next: SocketState): void {
    const previous = this.#state;
    if (next <= previous) return;
    this.#state = next;
    this.tell('state', next, previous);
  }

  /** Resolves once all is over. Made when somebody asks. */
  get closed(): Promise<CloseInfo> {
    return (this.#closed ??= this.#info
      ? Promise.resolve(this.#info)
      : new Promise((resolve) => {
          this.#settle = resolve;
        }));
  }

  /** All is over: tells it, once. */
  close(info: CloseInfo): void {
    this.#info = info;
    this.tell('close', info.code, info.reason, info);
    this.#settle?.(info);
  }

  /** Tells listeners; what they throw is theirs. */
  tell(...args: unknown[]): void {
    for (const emitter of this.emitters) tell(emitter, ...args);
  }
}
