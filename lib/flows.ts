/**
 * Reading, as fast as the user takes it and no faster.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { AliveWatch } from './alives.js';
import type { Ending } from './closings.js';
import type { Frames } from './freams.js';
import { readTransport } from './transports.js';

/** Feeds the codec from the transport, and pauses both for the user or for full queues. */
export interface Flow {
  /** Begins to read; `head` came before. */
  start: (head: Buffer | undefined) => void;
  /** The user pauses or resumes. */
  byUser: (paused: boolean) => void;
  /** A queue is full, or has room again. */
  byQueue: (full: boolean) => void;
  /** The codec works on a large message, or is through with it. */
  byFrames: (works: boolean) => void;
  /** Pauses or resumes as is now right: when the connection ends, all is read. */
  update: () => void;
}

/** Makes the reading of a connection. */
export function makeFlow(
  transport: Duplex,
  frames: Frames,
  watch: AliveWatch,
  ending: () => Ending,
): Flow {
  let reading = false;
  let paused = false;
  let userPaused = false;
  let fullQueues = 0;
  let working = false;

  const guarded = (parse: () => unknown): void => {
    try {
      parse();
    } catch (error) {
      ending().fail(error as Error);
    }
  };
  const onChunk = (chunk: Buffer): void => {
    watch.heard();
    guarded(() => frames.feed(chunk));
  };
  const readOn = (): void => {
    if (paused) return;
    guarded(() => {
      frames.resume();
    });
    // The messages that waited may have filled the queue again.
    if (!paused) listen();
  };
  return {
    start(head) {
      reading = true;
      update();
      if (head?.length) onChunk(head);
      readTransport(transport, onChunk);
      if (paused) transport.pause();
      else listen();
    },
    byUser(pause) {
      userPaused = pause;
      update();
    },
    byQueue(full) {
      fullQueues += full ? 1 : -1;
      update();
    },
    byFrames(works) {
      working = works;
      update();
    },
    update,
  };

  function listen(): void {
    transport.resume();
    if (!ending().begun()) watch.start();
  }

  function update(): void {
    const ends = ending().begun();
    // What the peer sent last may stand behind the large message.
    const pause = working || (!ends && (userPaused || fullQueues > 0));
    if (ends || pause) watch.hold();
    if (!reading || pause === paused) return;
    paused = pause;
    if (pause) {
      frames.pause();
      transport.pause();
      // Not within the call that made room: what waits may be many messages.
    } else setImmediate(readOn);
  }
}
