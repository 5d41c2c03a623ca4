/**
 * Whether the peer still lives: pings, and the limits of silence (RFC 6455 section 5.5.2).
 * @packageDocumentation
 */
import { TimeoutError } from './exceptions.js';
import { Alarm } from './timers.js';

/** Milliseconds; 0 turns one off. */
export interface AliveOptions {
  readonly pingInterval: number;
  readonly pongTimeout: number;
  readonly readTimeout: number;
}

/** What the watch needs of the connection. */
export interface Watched {
  /** Sends a ping. */
  ping(): void;
  /** Bytes that the kernel has not taken yet. */
  readonly bufferedAmount: number;
  /** Bytes that it has taken so far. */
  readonly bytesTaken: number;
  /** The peer is dead. */
  fail(error: TimeoutError): void;
}

/** How often a ping that waits behind other bytes is looked after. */
const LOOK = 1000;

/**
 * Listens for life. Any byte received is a sign of it, and so is progress with bytes of ours that
 * had to wait: the peer's kernel made room for them.
 */
export class AliveWatch {
  readonly #options: AliveOptions;
  readonly #watched: Watched;
  readonly #alarm = new Alarm(() => {
    this.#judge();
  }, false);
  #heard = 0;
  /** When the ping that silence asked for was sent; undefined when a sign of life came since. */
  #pinged: number | undefined;
  /** When the kernel had taken that ping: only then its clock runs. */
  #taken: number | undefined;
  #backlog = 0;
  #bytesTaken = 0;
  #held = true;

  constructor(options: AliveOptions, watched: Watched) {
    this.#options = options;
    this.#watched = watched;
  }

  /** A byte has come. */
  heard(): void {
    this.#heard = performance.now();
    this.#pinged = undefined;
  }

  /** Reading begins, or goes on after a pause: silence counts from now. */
  start(): void {
    this.#held = false;
    this.heard();
    this.#setAlarm();
  }

  /** Reading pauses: silence means nothing. */
  hold(): void {
    this.#held = true;
    this.#alarm.clear();
  }

  #judge(): void {
    if (this.#held) return;
    this.#lookAtWriting();
    const { pingInterval, pongTimeout, readTimeout } = this.#options;
    const silence = performance.now() - this.#heard;
    if (readTimeout > 0 && silence >= readTimeout) {
      this.#fail('read', `no byte came for ${String(readTimeout)} ms (readTimeout)`);
      return;
    }
    if (this.#pinged === undefined) {
      if (pingInterval > 0 && silence >= pingInterval) {
        this.#pinged = performance.now();
        this.#taken = undefined;
        this.#watched.ping();
        this.#lookAtPing();
      }
    } else {
      this.#lookAtPing();
      if (pongTimeout > 0 && this.#taken !== undefined && this.#sinceTaken() >= pongTimeout) {
        this.#fail(
          'pong',
          `a ping was not answered within ${String(pongTimeout)} ms (pongTimeout)`,
        );
        return;
      }
    }
    this.#setAlarm();
  }

  /** Bytes that had to wait and wait no more were taken by a peer that lives. */
  #lookAtWriting(): void {
    const { bufferedAmount, bytesTaken } = this.#watched;
    if (this.#backlog > 0 && bytesTaken > this.#bytesTaken) this.heard();
    this.#backlog = bufferedAmount;
    this.#bytesTaken = bytesTaken;
  }

  #lookAtPing(): void {
    if (this.#watched.bufferedAmount === 0) this.#taken ??= performance.now();
  }

  #sinceTaken(): number {
    return performance.now() - (this.#taken ?? performance.now());
  }

  #fail(operation: 'read' | 'pong', message: string): void {
    this.hold();
    this.#watched.fail(new TimeoutError(message, operation, 'open'));
  }

  #setAlarm(): void {
    const { pingInterval, pongTimeout, readTimeout } = this.#options;
    const silence = performance.now() - this.#heard;
    const waits: number[] = [];
    if (readTimeout > 0) waits.push(readTimeout - silence);
    if (this.#pinged === undefined) {
      if (pingInterval > 0) waits.push(pingInterval - silence);
    } else if (pongTimeout > 0) {
      waits.push(this.#taken === undefined ? LOOK : pongTimeout - this.#sinceTaken());
    }
    // A backlog is looked at in between, so that its progress is seen when it happens.
    if (this.#backlog > 0) waits.push(LOOK);
    if (waits.length > 0) this.#alarm.set(Math.max(1, Math.ceil(Math.min(...waits))));
  }
}
