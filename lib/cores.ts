/**
 * A connection at work: what the codec and the transport tell it, and which file does what about
 * it.
 * @packageDocumentation
 */
import { Buffer, nextTick, setImmediate } from './builtins.js';
import { answerPing, pingReceived, pongReceived } from './alives.js';
import {
  closeReceived,
  fail,
  streamEnded,
  transportClosed,
  transportFailed,
  whenRead,
} from './closings.js';
import { Connection, emitAll } from './connections.js';
import { feedChunk, noteSlices, runWaitingEnds, startReading } from './flows.js';
import type { FramesEvents, FramesHost, OtherEvent } from './freams.js';
import { messageReceived } from './inboxes.js';
import { resolveDrains } from './outboxes.js';
import type { Message } from './parts.js';
import { HOST, WAITS } from './symbols.js';

/** What the codec's events lead to. */
const ON: { readonly [E in OtherEvent]: (c: Connection, ...args: FramesEvents[E]) => void } = {
  ping: pingReceived,
  pong: pongReceived,
  flow: noteSlices,
  error: fail,
  close: closeReceived,
};

/** The connection, with what happens to it. */
export class Core extends Connection implements FramesHost {
  override _fail(error: Error): void {
    fail(this, error);
  }

  override _onTaken(): void {
    answerPing(this);
    if (resolveDrains(this)) emitAll(this, 'drain');
  }

  override _onTakenAtOnce(): void {
    // Whoever waits may send again: not within the call that has sent.
    if (this._drainWaiters ?? this._owedPong) {
      nextTick(() => {
        this._tellTaken();
      });
    }
  }

  override _onChunk(chunk: Buffer): unknown {
    if (this._reading) feedChunk(this, chunk);
    // It waits in the stream for its turn.
    else return this._transport.push(Buffer.from(chunk));
    return undefined;
  }

  // What came before the end is read before it: until reading has begun, it is looked at there.
  override _onEnd(): void {
    if (this._reading) whenRead(this, streamEnded);
  }

  override _onError(cause: Error): void {
    if (this._reading || !this._transport.destroyed) {
      whenRead(this, () => {
        transportFailed(this, cause);
      });
    }
  }

  override _onClose(): void {
    if (this._reading) whenRead(this, transportClosed);
  }

  _onMessage(message: Message, bytes: number): void {
    if (this._closeSent) this._discarded++;
    else messageReceived(this, message, bytes);
  }

  _onEvent<E extends OtherEvent>(event: E, ...args: FramesEvents[E]): void {
    ON[event](this, ...args);
  }

  // What has come is read, or will never be.
  _onResumed(): void {
    if (this._waitingEnds && !this._frames[WAITS]) nextTick(runWaitingEnds, this);
  }
}

/**
 * Joins a connection with its codec and its transport, and begins to read in the next turn of the
 * event loop: listeners attached in this turn, and promises that resolve in it, must miss nothing.
 * @param head bytes that came before
 */
export function start(c: Core, head?: Buffer): void {
  c._frames[HOST] = c;
  c._takeOver();
  setImmediate(firstRead, c, head);
}

function firstRead(c: Core, head: Buffer | undefined): void {
  const { destroyed, errored, readableEnded } = c._transport;
  // It may have ended before anybody listened.
  c._ending ||= destroyed;
  startReading(c, head);
  if (errored) c._onError(errored);
  if (destroyed) c._onClose();
  else if (readableEnded) c._onEnd();
}
