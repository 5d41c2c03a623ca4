/**
 * Reading, as fast as the user takes it and no faster: the codec is fed from the transport, and
 * both are paused for the user or for full queues.
 * @packageDocumentation
 */
import { performance, setImmediate } from './builtins.js';
import { noteLife, unwatchSilence, watchSilence } from './alives.js';
import type { Connection } from './connections.js';

/** Milliseconds of work on what one read has brought, after which others get their turn. */
const LONGEST_READ = 2;

/** Begins to read; `head` holds what came behind the handshake's response. */
export function startReading(c: Connection, head: Buffer | undefined): void {
  c._reading = true;
  updateFlow(c);
  if (head?.length) feedChunk(c, head);
  c._read();
  if (c._paused) c._transport.pause();
  else resumeTransport(c);
}

/** The user pauses or resumes. */
export function pauseReading(c: Connection, pause: boolean): void {
  c._userPaused = pause;
  updateFlow(c);
}

/** The codec begins or ends to work through a large message, a slice a turn. */
export function noteSlices(c: Connection, works: boolean): void {
  c._codecBusy = works;
  updateFlow(c);
}

/** Pauses or resumes the codec and the transport. Once the connection is ending, all is read. */
export function updateFlow(c: Connection): void {
  // Only the codec's own pause still holds then: a Close frame may stand behind a large message.
  const stops = !c._ending && (c._userPaused || c._fullQueues > 0);
  const pause = stops || c._codecBusy || c._givesWay;
  if (c._ending || pause) unwatchSilence(c);
  if (!c._reading) return;
  // Within a large message as well: what it inflates to must not outgrow the queue.
  if (stops) c._frames.pause();
  if (pause === c._paused) return;
  c._paused = pause;
  if (pause) c._transport.pause();
  // Not within the call that made room: many messages may be waiting.
  else setImmediate(resumeReading, c);
}

/** Bytes have come: they go to the codec. */
export function feedChunk(c: Connection, chunk: Buffer): void {
  c._heard = true;
  noteLife(c);
  try {
    c._frames.feed(chunk);
  } catch (error) {
    c._fail(error as Error);
  }
  // A socket with much to read is read up to 32 times in a row: time for others in between.
  if (!c._givesWay && performance.now() - c._lastHeard > LONGEST_READ) {
    giveWay(c, true);
    setImmediate(giveWay, c, false);
  }
}

function giveWay(c: Connection, gives: boolean): void {
  c._givesWay = gives;
  updateFlow(c);
}

/** All that came before the transport's end has been read, or never will be. */
export function runWaitingEnds(c: Connection): void {
  const ends = c._waitingEnds;
  c._waitingEnds = undefined;
  for (const then of ends ?? []) then(c);
}

function resumeReading(c: Connection): void {
  if (c._paused) return;
  try {
    c._frames.resume();
  } catch (error) {
    c._fail(error as Error);
  }
  // The messages that waited may have filled the queue again.
  if (!c._paused) resumeTransport(c);
}

function resumeTransport(c: Connection): void {
  c._resume();
  if (!c._ending) watchSilence(c);
}
