/**
 * Whether the peer still lives: pings, and the limits of silence (RFC 6455 section 5.5.2).
 * @packageDocumentation
 */
import { TimeoutError } from './exceptions.js';
import type { Numbers } from './options.js';
import { Alarm } from './timers.js';

/** What the watch needs of the connection. */
export interface Watched {
  readonly numbers: Numbers;
  /** Bytes that the kernel has not taken yet. */
  readonly buffered: number;
  /** Bytes that it has taken so far. */
  readonly taken: number;
  /** Sends a ping of the watch's own. */
  probe: () => void;
  /** The connection cannot go on. */
  fail: (error: Error) => void;
}

/** Milliseconds after which bytes that wait are looked at. */
const LOOK = 1000;

/**
 * Listens for life. Any byte received is a sign of it, and so is progress with bytes of ours that
 * had to wait: the peer's kernel made room for them. Times are whole milliseconds.
 */
export class AliveWatch extends Alarm {
  readonly #watched: Watched;
  #lastHeard = 0;
  /** Whether silence has asked for a ping, and when the kernel had taken it: then its clock runs. */
  #pinged = false;
  #pingTaken = 0;
  /** When the alarm should ring. */
  #dueAt = 0;
  /** Bytes that waited when last looked at, and those that had gone. */
  #backlog = 0;
  #taken = 0;

  constructor(watched: Watched) {
    super(false);
    this.#watched = watched;
  }

  /** A byte has come. */
  heard(): void {
    this.#lastHeard = now();
    this.#pinged = false;
    this.#pingTaken = 0;
  }

  /** Reading begins, or goes on after a pause: silence counts from now. */
  start(): void {
    this.#dueAt = 0;
    this.heard();
    this.ring();
  }

  protected override ring(): void {
    const { pingInterval, pongTimeout, readTimeout } = this.#watched.numbers;
    const time = now();
    // While our own event loop was busy nobody listened: that was no silence.
    const late = this.#dueAt && Math.max(0, time - this.#dueAt);
    this.#lastHeard = Math.min(time, this.#lastHeard + late);
    if (this.#pingTaken > 0) this.#pingTaken += late;
    this.#lookAtWriting();
    const silent = (ms: number, since: number): boolean => ms > 0 && time >= since + ms;
    if (silent(readTimeout, this.#lastHeard)) {
      this.#fail('read', readTimeout);
      return;
    }
    if (this.#pingTaken > 0 && silent(pongTimeout, this.#pingTaken)) {
      this.#fail('pong', pongTimeout);
      return;
    }
    if (!this.#pinged && silent(pingInterval, this.#lastHeard)) {
      this.#pinged = true;
      this.#watched.probe();
    }
    if (this.#pinged && this.#watched.buffered === 0) this.#pingTaken ||= time;
    this.#setAlarm(time);
  }

  #fail(operation: 'read' | 'pong', ms: number): void {
    const message = `nothing came for ${ms} ms (${operation}Timeout)`;
    this.#watched.fail(new TimeoutError(message, operation, 'open'));
  }

  /** What had to wait and goes, or has only begun to wait, is no silence. */
  #lookAtWriting(): void {
    const before = this.#taken;
    const { taken, buffered } = this.#watched;
    this.#taken = taken;
    if (buffered > 0 ? this.#backlog === 0 || taken > before : this.#backlog > 0) this.heard();
    this.#backlog = buffered;
  }

  #setAlarm(time: number): void {
    const { pingInterval, pongTimeout, readTimeout } = this.#watched.numbers;
    const due = (ms: number, since: number): number => (ms > 0 ? since + ms : Infinity);
    const next = Math.min(
      due(readTimeout, this.#lastHeard),
      due(pingInterval, this.#pinged ? time : this.#lastHeard),
      this.#pinged ? due(this.#pingTaken && pongTimeout, this.#pingTaken) : Infinity,
      due(this.#backlog && LOOK, time),
    );
    if (next === Infinity) return;
    const wait = Math.max(1, next - time);
    this.#dueAt = time + wait;
    this.set(wait);
  }
}

/** Whole milliseconds: they need no memory of their own. */
const now = (): number => Math.ceil(performance.now());
