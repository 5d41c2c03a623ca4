/**
 * The states of a connection, and the one place that writes them.
 * @packageDocumentation
 */
import type { SocketState } from './enumerations.js';

/** Where a connection is in its life. */
export interface Lifecycle {
  state: () => SocketState;
  /** Moves on to a later state; a state once left never comes back. */
  move: (next: SocketState) => void;
}

/** @param onMove told of each move */
export function makeLifecycle(
  state: SocketState,
  onMove: (state: SocketState, previous: SocketState) => void,
): Lifecycle {
  return {
    state: () => state,
    move(next) {
      const previous = state;
      if (next <= previous) return;
      state = next;
      onMove(next, previous);
    },
  };
}
