/**
 * Reading, as fast as the user takes it and no faster: the codec is fed from the transport, and both
 * are paused for the user or for full queues.
 * @packageDocumentation
 */
import { setImmediate } from './builtins.js';
import { heard, ignore, listen } from './alives.js';
import type { Connection } from './connections.js';

/** Begins to read; `head` came before. */
export function startReading(c: Connection, head: Buffer | undefined): void {
  c._reading = true;
  updateFlow(c);
  if (head?.length) takeChunk(c, head);
  c._read();
  if (c._paused) c._transport.pause();
  else goOn(c);
}

/** The user pauses or resumes. */
export function pauseReading(c: Connection, pause: boolean): void {
  c._userPaused = pause;
  updateFlow(c);
}

/** Pauses or resumes as is now right: when the connection ends, all is read. */
export function updateFlow(c: Connection): void {
  // What the peer sent last may stand behind the large message.
  const pause = c._working || (!c._ending && (c._userPaused || c._fullQueues > 0));
  if (c._ending || pause) ignore(c);
  if (!c._reading || pause === c._paused) return;
  c._paused = pause;
  if (pause) {
    c._frames.pause();
    c._transport.pause();
    // Not within the call that made room: what waits may be many messages.
  } else setImmediate(readOn, c);
}

/** What has come goes to the codec. */
export function takeChunk(c: Connection, chunk: Buffer): void {
  heard(c);
  try {
    c._frames.feed(chunk);
  } catch (error) {
    c._fail(error as Error);
  }
}

/** All that came before the transport's end has been read, or never will be. */
export function runWaitingEnds(c: Connection): void {
  const ends = c._waitingEnds;
  c._waitingEnds = undefined;
  for (const then of ends ?? []) then(c);
}

function readOn(c: Connection): void {
  if (c._paused) return;
  try {
    c._frames.resume();
  } catch (error) {
    c._fail(error as Error);
  }
  // The messages that waited may have filled the queue again.
  if (!c._paused) goOn(c);
}

function goOn(c: Connection): void {
  c._resume();
  if (!c._ending) listen(c);
}
