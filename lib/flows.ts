/**
 * Reading, as fast as the user takes it and no faster.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { AliveWatch } from './alives.js';
import type { Frames } from './freams.js';
import { readTransport } from './transports.js';

/** What reading needs of the connection. */
export interface FlowHost {
  readonly transport: Duplex;
  readonly frames: Frames;
  readonly watch: AliveWatch;
  /** Whether the connection is ending: then all is read, and nothing pauses. */
  readonly ending: boolean;
  /** Whether the connection is gone. */
  readonly finished: boolean;
  /** The peer broke the protocol. */
  fail(error: Error): void;
}

/** Feeds the codec from the transport, and pauses both for the user or for full queues. */
export class Flow {
  readonly #host: FlowHost;
  #reading = false;
  #paused = false;
  #byUser = false;
  #byQueues = 0;

  constructor(host: FlowHost) {
    this.#host = host;
  }

  /** Begins to read; `head` came before. */
  start(head: Buffer | undefined): void {
    const { transport, watch } = this.#host;
    this.#reading = true;
    this.update();
    if (head !== undefined && head.length > 0) this.#onChunk(head);
    readTransport(transport, this.#onChunk);
    if (this.#paused) transport.pause();
    else this.#listen(watch);
  }

  /** The user pauses or resumes. */
  set byUser(paused: boolean) {
    this.#byUser = paused;
    this.update();
  }

  /** A queue is full, or has room again. */
  count(full: boolean): void {
    this.#byQueues += full ? 1 : -1;
    this.update();
  }

  /** Pauses or resumes as is now right. */
  update(): void {
    const { frames, transport, watch, ending } = this.#host;
    const pause = !ending && (this.#byUser || this.#byQueues > 0);
    if (ending) watch.hold();
    if (!this.#reading || pause === this.#paused) return;
    this.#paused = pause;
    if (pause) {
      frames.pause();
      transport.pause();
      watch.hold();
    } else {
      // Not within the call that made room: what waits may be many messages.
      setImmediate(this.#readOn);
    }
  }

  readonly #onChunk = (chunk: Buffer): void => {
    this.#host.watch.heard();
    try {
      this.#host.frames.feed(chunk);
    } catch (error) {
      this.#host.fail(error as Error);
    }
  };

  readonly #readOn = (): void => {
    if (this.#paused || this.#host.finished) return;
    try {
      this.#host.frames.resume();
    } catch (error) {
      this.#host.fail(error as Error);
    }
    // The messages that waited may have filled the queue again.
    if (this.#wasPausedAgain()) return;
    this.#host.transport.resume();
    this.#listen(this.#host.watch);
  };

  #wasPausedAgain(): boolean {
    return this.#paused;
  }

  #listen(watch: AliveWatch): void {
    if (!this.#host.ending) watch.start();
  }
}
