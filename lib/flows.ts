/**
 * Reading, as fast as the user takes it and no faster.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { AliveWatch } from './alives.js';
import type { Frames } from './freams.js';
import { readTransport, type ChunkTaker } from './transports.js';

/** What reading needs of the connection. */
export interface FlowHost {
  readonly transport: Duplex;
  readonly frames: Frames;
  readonly watch: AliveWatch;
  /** Whether the connection has begun to end. */
  readonly begun: boolean;
  /** The connection cannot go on. */
  fail: (error: Error) => void;
}

/** Feeds the codec from the transport, and pauses both for the user or for full queues. */
export class Flow implements ChunkTaker {
  readonly #host: FlowHost;
  #reading = false;
  #paused = false;
  #userPaused = false;
  #fullQueues = 0;
  #working = false;

  constructor(host: FlowHost) {
    this.#host = host;
  }

  /** Begins to read; `head` came before. */
  start(head: Buffer | undefined): void {
    const { transport } = this.#host;
    this.#reading = true;
    this.update();
    if (head?.length) this.onChunk(head);
    readTransport(transport, this);
    if (this.#paused) transport.pause();
    else this.#listen();
  }

  /** The user pauses or resumes. */
  byUser(pause: boolean): void {
    this.#userPaused = pause;
    this.update();
  }

  /** A queue is full, or has room again. */
  byQueue(full: boolean): void {
    this.#fullQueues += full ? 1 : -1;
    this.update();
  }

  /** The codec works on a large message, or is through with it. */
  byFrames(works: boolean): void {
    this.#working = works;
    this.update();
  }

  /** Pauses or resumes as is now right: when the connection ends, all is read. */
  update(): void {
    const { transport, frames, watch, begun } = this.#host;
    // What the peer sent last may stand behind the large message.
    const pause = this.#working || (!begun && (this.#userPaused || this.#fullQueues > 0));
    if (begun || pause) watch.clear();
    if (!this.#reading || pause === this.#paused) return;
    this.#paused = pause;
    if (pause) {
      frames.pause();
      transport.pause();
      // Not within the call that made room: what waits may be many messages.
    } else setImmediate(() => this.#readOn());
  }

  /** What has come goes to the codec. */
  onChunk(chunk: Buffer): void {
    this.#host.watch.heard();
    try {
      this.#host.frames.feed(chunk);
    } catch (error) {
      this.#host.fail(error as Error);
    }
  }

  #readOn(): void {
    if (this.#paused) return;
    try {
      this.#host.frames.resume();
    } catch (error) {
      this.#host.fail(error as Error);
    }
    // The messages that waited may have filled the queue again.
    if (!this.#paused) this.#listen();
  }

  #listen(): void {
    this.#host.transport.resume();
    if (!this.#host.begun) this.#host.watch.start();
  }
}
