/**
 * Whether the peer still lives: pings, pongs, and the limits of silence (RFC 6455 section 5.5.2).
 * @packageDocumentation
 */
import { AsyncResource } from 'node:async_hooks';
import { performance, type Buffer } from './builtins.js';
import { crowded, emitAll, quietly, rejectLate, sendable } from './connections.js';
import type { Connection, Ping, Pings } from './connections.js';
import { ControlFrames } from './enumerations.js';
import { TimeoutError } from './exceptions.js';
import { LONGEST_TIMER } from './options.js';
import type { ControlData } from './parts.js';
import { Fifo } from './queues.js';
import { randomBytes } from './random.js';
import { Alarm } from './timers.js';
import { controlPayload, noop, promiseTry } from './values.js';

/** Milliseconds from one look at bytes that wait to be sent to the next. */
const WRITING_CHECK = 1000;
/** What the kernel may hold of what it has taken, and what of that the network takes, at least. */
const KERNEL_BYTES = 4_194_304;
const BYTES_PER_MS = 64;
/** Pings of the user's that may wait for their pongs, which a peer may leave out. */
const MOST_PINGS = 65_536;

/**
 * Timers that connections share are made in it, not in the AsyncLocalStorage context of the first.
 */
const noContext = new AsyncResource('AioWebSocket');

/** Connections by the time of their next check: those in one round share a timer. */
const rounds = new Map<number, Set<Connection> & { readonly _alarm: Alarm }>();

/**
 * The peer has shown that it lives: by a byte of any kind, or by room for bytes of ours that had to
 * wait. Times are whole milliseconds.
 */
export function noteLife(c: Connection): void {
  c._lastHeard = now();
  c._pingTaken = 0;
}

/** Reading begins, or goes on after a pause, in which the clocks stood still. */
export function watchSilence(c: Connection): void {
  // Watched already, as where it was paused and resumed twice in one turn: that is no sign of life.
  if (c._nextCheck > 0) return;
  const time = now();
  if (c._nextCheck < 0) {
    const stood = time + c._nextCheck;
    c._lastHeard = Math.min(time, c._lastHeard + stood);
    if (c._pingTaken > 0) c._pingTaken += stood;
  } else noteLife(c);
  checkWriting(c);
  c._nextCheck = 0;
  scheduleCheck(c, time);
}

/** Silence no longer counts. */
export function unwatchSilence(c: Connection): void {
  const round = rounds.get(c._nextCheck);
  if (round?.delete(c) && round.size === 0) {
    round._alarm._clear();
    rounds.delete(c._nextCheck);
  }
  // A pause that begins anew each time would hide a dead link for ever.
  if (c._nextCheck > 0) c._nextCheck = -Math.min(now(), c._nextCheck);
}

function checkRound(dueAt: number): void {
  const round = rounds.get(dueAt);
  rounds.delete(dueAt);
  round?.forEach((c) => {
    try {
      // A listener of another one may have paused or ended it meanwhile.
      if (c._nextCheck === dueAt) checkSilence(c);
    } catch (error) {
      // The stream's: it takes no ping.
      c._fail(error as Error);
    }
  });
}

/** When so many milliseconds are over; never for 0. */
const due = (ms: number, since: number): number => (ms > 0 ? since + ms : Infinity);

function checkSilence(c: Connection): void {
  const time = now();
  // While our own event loop was busy nobody listened: that was no silence.
  const late = Math.max(0, time - c._nextCheck);
  c._lastHeard = Math.min(time, c._lastHeard + late);
  if (c._pingTaken > 0) c._pingTaken += late;
  if (c._heard) c._takenBefore = c._lastTaken;
  c._heard = false;
  checkWriting(c);
  const fails = (operation: 'read' | 'pong', since: number): boolean => {
    const ms = c._numbers[`${operation}Timeout`];
    if (time < due(ms, since)) return false;
    const message = `nothing came for ${ms} ms (${operation}Timeout)`;
    c._fail(new TimeoutError(message, operation, 'open'));
    return true;
  };
  if (fails('read', c._lastHeard) || (c._pingTaken > 0 && fails('pong', c._pingTaken))) return;
  if (c._pingTaken === 0 && time >= due(c._numbers.pingInterval, c._lastHeard)) {
    c._pingTaken = -1;
    sendPing(c, newPayload());
  }
  if (c._pingTaken < 0 && c._frames.pending + c._progress[1] === 0) {
    // What the kernel took before it may still stand before it.
    const before = Math.min(c._lastTaken - c._takenBefore, KERNEL_BYTES);
    c._pingTaken = time + ((before / BYTES_PER_MS) | 0);
  }
  scheduleCheck(c, time);
}

/**
 * Schedules the next check for when the connection may have been silent for too long, rounded up by
 * a sixty-fourth at most, so that many share a timer.
 */
function scheduleCheck(c: Connection, time: number): void {
  const { pingInterval, pongTimeout, readTimeout } = c._numbers;
  const next = Math.min(
    due(readTimeout, c._lastHeard),
    due(pingInterval, c._pingTaken ? time : c._lastHeard),
    // A stream does not tell when it has written the ping: the longer that takes, the more rarely
    // we look.
    c._pingTaken < 0
      ? due(pongTimeout && (time - c._lastHeard - pingInterval || 1), time)
      : due(c._pingTaken && pongTimeout, c._pingTaken),
    due(c._lastWaiting && WRITING_CHECK, time),
  );
  if (next === Infinity) return;
  const step = (next - time) >> 6 || 1;
  const dueAt = Math.max(time + 1, Math.ceil(next / step) * step);
  c._nextCheck = dueAt;
  let round = rounds.get(dueAt);
  if (!round) {
    const _alarm = noContext.runInAsyncScope(
      () => new Alarm(dueAt, checkRound, Math.min(dueAt - time, LONGEST_TIMER), false),
    );
    rounds.set(dueAt, (round = Object.assign(new Set<Connection>(), { _alarm })));
  }
  round.add(c);
}

/**
 * Progress of our own writing is a sign of life, and bytes that only now begin to wait are no
 * silence.
 */
function checkWriting(c: Connection): void {
  const { _lastTaken: taken, _lastWaiting: waited } = c;
  [c._lastTaken, c._lastWaiting] = c._progress;
  if (c._lastWaiting > 0 ? waited === 0 || c._lastTaken > taken : waited > 0) noteLife(c);
}

/** In whole milliseconds: V8 stores small integers without an object for each. */
const now = (): number => Math.ceil(performance.now());

/** Random, so that concurrent pings differ. */
const newPayload = (): Buffer => randomBytes(4);

const keyOf = (payload: Buffer): string => payload.toString('latin1');

/** Without `_resolve` it is silence that asked for it, and nobody waits for its pong. */
function sendPing(
  c: Connection,
  payload: Buffer,
  _resolve: Ping['_resolve'] = noop,
  _reject: Ping['_reject'] = noop,
): void {
  const ping = { _key: keyOf(payload), _sentAt: performance.now(), _resolve, _reject };
  const pings: Pings = (c._pings ??= { _list: new Fifo(), _newest: new Map() });
  const { _list: list, _newest: newest, _keepalive: keepalive } = pings;
  if (_resolve === noop) {
    // A peer that sends data and never answers pings must not make them pile up.
    if (keepalive) {
      list._remove(keepalive);
      newest.delete(keepalive._key);
    }
    pings._keepalive = ping;
  }
  list._push(ping);
  newest.set(ping._key, ping);
  if (list._size > MOST_PINGS) {
    takePing(pings)._reject(
      new TimeoutError(
        `no pong came for this ping, nor for ${MOST_PINGS} after it`,
        'pong',
        'open',
      ),
    );
  }
  // Last: a stream in memory may answer within the call.
  c._frames.write(true, ControlFrames.ping, payload);
}

/** Takes the oldest. */
function takePing({ _list: list, _newest: newest }: Pings): Ping {
  const ping = list._shift()!;
  if (newest.get(ping._key) === ping) newest.delete(ping._key);
  return ping;
}

/** A control frame of the user's: arguments are checked first, then whether it can go out. */
export function sendControl<T>(
  c: Connection,
  data: ControlData | undefined,
  write: (payload: Buffer) => Promise<T>,
): Promise<T> {
  return promiseTry(() => {
    const payload = data === undefined ? newPayload() : controlPayload(data, 'data');
    return sendable(c) ? write(payload) : rejectLate(c);
  });
}

/** Sends one ping; resolves with the milliseconds until its pong. */
export function ping(c: Connection, data?: ControlData): Promise<number> {
  return sendControl(c, data, (payload) =>
    quietly(new Promise((resolve, reject) => sendPing(c, payload, resolve, reject))),
  );
}

/** A pong answers its ping, and those before it (RFC 6455 section 5.5.3). */
export function pongReceived(c: Connection, payload: Buffer): void {
  const time = performance.now();
  const key = keyOf(payload);
  let last: Ping | undefined;
  if (c._pings?._newest.has(key)) {
    while (last?._key !== key) {
      last = takePing(c._pings);
      last._resolve(time - last._sentAt);
    }
    // Most of the time no ping waits: an idle connection is not to keep room for any.
    if (!c._pings._list._size) c._pings = undefined;
  }
  emitAll(c, 'pong', payload, last && time - last._sentAt);
}

/** A ping is answered (RFC 6455 section 5.5.2). */
export function pingReceived(c: Connection, payload: Buffer): void {
  if (c._autoPong) c._owedPong = payload;
  answerPing(c);
  emitAll(c, 'ping', payload);
}

/** Sends the pong that is owed; a server that does not read gets only that for its latest ping. */
export function answerPing(c: Connection): void {
  const payload = c._owedPong;
  if (!payload || crowded(c)) return;
  c._owedPong = undefined;
  if (!c._closeSent) c._frames.pong(payload);
}
