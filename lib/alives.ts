/**
 * Whether the peer still lives: pings, and the limits of silence (RFC 6455 section 5.5.2).
 * @packageDocumentation
 */
import { TimeoutError } from './exceptions.js';
import type { Numbers } from './options.js';
import { makeAlarm } from './timers.js';

/** What the watch needs of the connection. */
export interface Watched {
  /** Sends a ping. */
  ping: () => void;
  /** Bytes that the kernel has not taken yet. */
  buffered: () => number;
  /** Bytes that it has taken so far. */
  taken: () => number;
  /** The peer is dead. */
  fail: (error: TimeoutError) => void;
}

/** Listens for life. */
export interface AliveWatch {
  /** A byte has come. */
  heard: () => void;
  /** Reading begins, or goes on after a pause: silence counts from now. */
  start: () => void;
  /** Reading pauses: silence means nothing. */
  hold: () => void;
}

/** Milliseconds after which bytes that wait are looked at. */
const LOOK = 1000;

/**
 * Makes a watch. Any byte received is a sign of life, and so is progress with bytes of ours that
 * had to wait: the peer's kernel made room for them.
 */
export function watchAlive(
  { pingInterval, pongTimeout, readTimeout }: Numbers,
  watched: Watched,
): AliveWatch {
  const now = (): number => performance.now();
  const alarm = makeAlarm(judge);
  alarm.hold(false);
  let lastHeard = 0;
  /** Whether silence has asked for a ping, and when the kernel had taken it: then its clock runs. */
  let pinged = false;
  let pingTaken = 0;
  /** When the alarm should ring. */
  let dueAt = Infinity;
  /** Bytes that waited when last looked at, and those that had gone. */
  let backlog = 0;
  let taken = 0;
  const heard = (): void => {
    lastHeard = now();
    pinged = false;
    pingTaken = 0;
  };
  return {
    heard,
    start() {
      dueAt = Infinity;
      heard();
      judge();
    },
    hold: alarm.clear,
  };

  function judge(): void {
    const time = now();
    // While our own event loop was busy nobody listened: that was no silence.
    const late = Math.max(0, time - dueAt);
    lastHeard = Math.min(time, lastHeard + late);
    if (pingTaken > 0) pingTaken += late;
    lookAtWriting();
    const silent = (ms: number, since: number): boolean => ms > 0 && time >= since + ms;
    const fail = (operation: 'read' | 'pong', ms: number): void => {
      watched.fail(
        new TimeoutError(`nothing came for ${ms} ms (${operation}Timeout)`, operation, 'open'),
      );
    };
    if (silent(readTimeout, lastHeard)) {
      fail('read', readTimeout);
      return;
    }
    if (pingTaken > 0 && silent(pongTimeout, pingTaken)) {
      fail('pong', pongTimeout);
      return;
    }
    if (!pinged && silent(pingInterval, lastHeard)) {
      pinged = true;
      watched.ping();
    }
    if (pinged && watched.buffered() === 0) pingTaken ||= time;
    setAlarm(time);
  }

  /** What had to wait and goes, or has only begun to wait, is no silence. */
  function lookAtWriting(): void {
    const before = taken;
    taken = watched.taken();
    const unsent = watched.buffered();
    if (unsent > 0 ? backlog === 0 || taken > before : backlog > 0) heard();
    backlog = unsent;
  }

  function setAlarm(time: number): void {
    const due = (ms: number, since: number): number => (ms > 0 ? since + ms : Infinity);
    const next = Math.min(
      due(readTimeout, lastHeard),
      due(pingInterval, pinged ? time : lastHeard),
      pinged ? due(pingTaken && pongTimeout, pingTaken) : Infinity,
      due(backlog && LOOK, time),
    );
    const wait = Math.max(1, Math.ceil(next - time));
    dueAt = time + wait;
    if (wait < Infinity) alarm.set(wait);
  }
}
