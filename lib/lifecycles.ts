/**
 * The states of a connection: the legal moves are data, and one function writes the state.
 * @packageDocumentation
 */
import { SocketState } from './enumerations.js';
import { InvalidStateError } from './exceptions.js';

const NEXT: Readonly<Record<SocketState, readonly SocketState[]>> = {
  [SocketState.zero]: [SocketState.connecting, SocketState.closed],
  [SocketState.connecting]: [SocketState.opened, SocketState.closing, SocketState.closed],
  [SocketState.opened]: [SocketState.closing, SocketState.closed],
  [SocketState.closing]: [SocketState.closed],
  [SocketState.closed]: [],
};

/** Told of each move. */
export type StateListener = (state: SocketState, previous: SocketState) => void;

/** Where a connection is in its life. */
export class Lifecycle {
  #state: SocketState;
  readonly #onMove: StateListener;

  constructor(state: SocketState, onMove: StateListener) {
    this.#state = state;
    this.#onMove = onMove;
  }

  get state(): SocketState {
    return this.#state;
  }

  /** @throws {InvalidStateError} for a move that is not in the table */
  move(next: SocketState): void {
    const previous = this.#state;
    if (!NEXT[previous].includes(next)) {
      throw new InvalidStateError(
        `a connection does not go from ${SocketState[previous]} to ${SocketState[next]}`,
      );
    }
    this.#state = next;
    this.#onMove(next, previous);
  }
}
