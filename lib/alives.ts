/**
 * Whether the peer still lives: pings, pongs, and the limits of silence (RFC 6455 section 5.5.2).
 * @packageDocumentation
 */
import { AsyncResource } from 'node:async_hooks';
import { Buffer, performance } from './builtins.js';
import { buffered, closedError, crowded, quietly, sendable, tellAll } from './connections.js';
import type { Connection } from './connections.js';
import { ControlFrames } from './enumerations.js';
import { TimeoutError } from './exceptions.js';
import { LONGEST_TIMER } from './options.js';
import type { ControlData } from './parts.js';
import { randomBytes } from './random.js';
import { Alarm } from './timers.js';
import { attempt, controlPayload, raise } from './values.js';

/** Milliseconds after which bytes that wait are looked at. */
const LOOK = 1000;

/** A timer of many is made here: it would keep the AsyncLocalStorage context of the first of them. */
const noContext = new AsyncResource('AioWebSocket');

/** By the time at which they are looked at: connections that share a timer, for idle ones are many. */
const rounds = new Map<number, Set<Connection> & { readonly _alarm: Alarm }>();

/**
 * A byte has come. Any is a sign of life, and so is progress with bytes of ours that had to wait:
 * the peer's kernel made room for them. Times are whole milliseconds.
 */
export function heard(c: Connection): void {
  c._lastHeard = now();
  c._pinged = false;
  c._pingTaken = 0;
}

/** Reading begins, or goes on after a pause: silence counts from now. */
export function listen(c: Connection): void {
  ignore(c);
  heard(c);
  lookAtWriting(c);
  watch(c, c._lastHeard);
}

/** Silence counts no more. */
export function ignore(c: Connection): void {
  const round = rounds.get(c._dueAt);
  if (round?.delete(c) && round.size === 0) {
    round._alarm._clear();
    rounds.delete(c._dueAt);
  }
  c._dueAt = 0;
}

function ring(dueAt: number): void {
  const round = rounds.get(dueAt);
  rounds.delete(dueAt);
  round?.forEach((c) => {
    try {
      // What listeners of those before it did may have ended its wait.
      if (c._dueAt === dueAt) judge(c);
    } catch (error) {
      raise(error);
    }
  });
}

function judge(c: Connection): void {
  const time = now();
  // While our own event loop was busy nobody listened: that was no silence.
  const late = c._dueAt && Math.max(0, time - c._dueAt);
  c._lastHeard = Math.min(time, c._lastHeard + late);
  if (c._pingTaken > 0) c._pingTaken += late;
  lookAtWriting(c);
  const silent = (ms: number, since: number): boolean => ms > 0 && time >= since + ms;
  const fails = (operation: 'read' | 'pong', since: number): boolean => {
    const ms = c._numbers[`${operation}Timeout`];
    if (!silent(ms, since)) return false;
    const message = `nothing came for ${ms} ms (${operation}Timeout)`;
    c._fail(new TimeoutError(message, operation, 'open'));
    return true;
  };
  if (fails('read', c._lastHeard) || fails('pong', c._pingTaken || Infinity)) return;
  if (!c._pinged && silent(c._numbers.pingInterval, c._lastHeard)) {
    c._pinged = true;
    // One that talks and never answers pings would collect them.
    c._pings = c._pings?.filter(({ _own }) => !_own);
    void sendPing(c, newPayload(), true);
  }
  if (c._pinged && buffered(c) === 0) c._pingTaken ||= time;
  watch(c, time);
}

/** Looks at it again when it may have been silent for too long, or up to a sixty-fourth later. */
function watch(c: Connection, time: number): void {
  const { pingInterval, pongTimeout, readTimeout } = c._numbers;
  const due = (ms: number, since: number): number => (ms > 0 ? since + ms : Infinity);
  const next = Math.min(
    due(readTimeout, c._lastHeard),
    due(pingInterval, c._pinged ? time : c._lastHeard),
    // A stream may take a ping later than it is given it, without a word: it is looked more rarely
    // the longer that takes.
    c._pinged
      ? due(
          pongTimeout && (c._pingTaken ? pongTimeout : time - c._lastHeard - pingInterval || 1),
          c._pingTaken || time,
        )
      : Infinity,
    due(c._backlog && LOOK, time),
  );
  if (next === Infinity) return;
  const step = (next - time) >> 6 || 1;
  const dueAt = Math.max(time + 1, Math.ceil(next / step) * step);
  c._dueAt = dueAt;
  let round = rounds.get(dueAt);
  if (!round) {
    const _alarm = noContext.runInAsyncScope(
      () => new Alarm(dueAt, ring, Math.min(dueAt - time, LONGEST_TIMER), false),
    );
    rounds.set(dueAt, (round = Object.assign(new Set<Connection>(), { _alarm })));
  }
  round.add(c);
}

/** What had to wait and goes, or has only begun to wait, is no silence. */
function lookAtWriting(c: Connection): void {
  const before = c._gone;
  const waits = buffered(c);
  c._gone = c._taken;
  if (waits > 0 ? c._backlog === 0 || c._gone > before : c._backlog > 0) heard(c);
  c._backlog = waits;
}

/** Whole milliseconds: they need no memory of their own. */
const now = (): number => Math.ceil(performance.now());

/** Random, so that concurrent pings differ. */
const newPayload = (): Buffer => randomBytes(1);

/** @param own whether nobody waits for its pong */
function sendPing(c: Connection, payload: Buffer, own = false): Promise<number> {
  c._frames.write(true, ControlFrames.ping, payload);
  const _sentAt = performance.now();
  return quietly(
    new Promise((_resolve, _reject) => {
      (c._pings ??= []).push({ _payload: payload, _sentAt, _own: own, _resolve, _reject });
    }),
  );
}

/** A control frame of the user's: arguments are checked first, then whether it can go out. */
export function sendControl<T>(
  c: Connection,
  data: ControlData | undefined,
  write: (payload: Buffer) => Promise<T>,
): Promise<T> {
  return attempt(() => {
    const payload = data === undefined ? newPayload() : controlPayload(data, 'data');
    return sendable(c) ? write(payload) : quietly(Promise.reject(closedError(c)));
  });
}

/** Sends one ping; resolves with the milliseconds until its pong. */
export function ping(c: Connection, data?: ControlData): Promise<number> {
  // Kept to be compared with the pong: the caller may reuse its memory.
  return sendControl(c, data, (payload) => sendPing(c, Buffer.from(payload)));
}

/** A pong answers its ping, and those before it (RFC 6455 section 5.5.3). */
export function takePong(c: Connection, payload: Buffer): void {
  const time = performance.now();
  const pings = c._pings ?? [];
  const answered = pings.splice(0, pings.findIndex((one) => one._payload.equals(payload)) + 1);
  for (const { _resolve, _sentAt } of answered) _resolve(time - _sentAt);
  const last = answered.at(-1);
  tellAll(c, 'pong', payload, last && time - last._sentAt);
}

/** A ping is answered (RFC 6455 section 5.5.2). */
export function takePing(c: Connection, payload: Buffer): void {
  if (c._autoPong) c._owedPong = payload;
  payPong(c);
  tellAll(c, 'ping', payload);
}

/** A server that pings and does not read gets one answer, to its latest ping. */
export function payPong(c: Connection): void {
  const payload = c._owedPong;
  if (!payload || crowded(c)) return;
  c._owedPong = undefined;
  if (!c._closeSent) c._frames.pong(payload);
}
