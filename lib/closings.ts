/**
 * How a connection ends: by agreement, by failure, or by force (RFC 6455 section 7).
 * @packageDocumentation
 */
import { Buffer, clearTimeout, setTimeout } from './builtins.js';
import { conclude, move, NO_CLOSE, setDeadline, tellAll } from './connections.js';
import type { Connection } from './connections.js';
import { ControlFrames, isCloseCode, SocketState, StatusCodes } from './enumerations.js';
import {
  ConnectionClosed,
  ConnectionError,
  FrameError,
  TimeoutError,
  type ErrorCode,
} from './exceptions.js';
import { tellEnds, updateFlow } from './flows.js';
import { arm, dropSeen, endReceiving } from './inboxes.js';
import { endSending } from './outboxes.js';
import type { CloseInfo } from './parts.js';
import { WAITS } from './symbols.js';
import {
  checkType,
  controlPayload,
  MAX_CONTROL_PAYLOAD,
  mustBe,
  wrongType,
  wrongValue,
} from './values.js';

/**
 * Checks what a Close frame is to carry.
 * @throws TypeError or RangeError
 */
export function checkClose(code: unknown, reason: unknown): void {
  if (!isCloseCode(code as number)) {
    const wrong = typeof code === 'number' ? wrongValue : wrongType;
    throw mustBe('code', '1000-1003, 1007-1014 or 3000-4999', code, wrong);
  }
  checkType('reason', reason, 'string');
  controlPayload(reason as string, 'reason', MAX_CONTROL_PAYLOAD - 2);
}

/** The body of a Close frame (RFC 6455 section 5.5.1); empty for 1005. */
function closePayload(code: number, reason: string): Buffer {
  const body = Buffer.from(code === StatusCodes.noStatus ? '' : `..${reason}`);
  if (body.length > 0) body.writeUInt16BE(code);
  return body;
}

/** Begins the closing handshake, once. */
export function close(c: Connection, code: number, reason: string): void {
  if (c._intended || c._begun) return;
  c._hooked = true;
  c._initiatedBy = 'local';
  c._intended = { code, reason };
  setDeadline(c, onDeadline);
  const send = (): void => {
    if (c._begun) return;
    writeClose(c, code, reason);
    updateFlow(c);
  };
  runHook(
    c,
    () => c._hooks?.beforeClose(code, reason),
    () => {
      c._hooked = false;
      // What was sent before goes out before.
      const settled = c._order?._whenSettled();
      if (settled) void settled.then(send);
      else send();
    },
  );
}

/** Ends at once. */
export function terminate(c: Connection): void {
  if (c._finished) return;
  c._begun = c._terminated = true;
  // No Close frame will tell of an end by agreement.
  c._intended = undefined;
  c._initiatedBy ??= 'local';
  c._frames.stop();
  destroy(c);
}

/** It cannot go on. */
export function fail(c: Connection, cause: Error): void {
  if (c._terminated || c._finished || c._error) return;
  if (c._received) {
    // The closing handshake is over: how the TCP connection ends is no failure.
    destroy(c);
    return;
  }
  c._begun = true;
  c._error = cause;
  c._initiatedBy ??= cause instanceof ConnectionError ? 'remote' : 'local';
  c._frames.stop();
  if (cause instanceof FrameError && !c._sent) {
    // RFC 6455 section 7.1.7: tell the peer why, then read and drop until its end of the stream.
    writeClose(c, cause.closeCode);
    c._transport.end();
    c._transport.resume();
  } else destroy(c);
  updateFlow(c);
  tellAll(c, 'error', cause);
  endCalls(c);
}

/** The server's Close frame has come. */
export function takeClose(c: Connection, code: number, reason: string): void {
  if (c._terminated || c._error) return;
  c._begun = true;
  c._received = { code, reason };
  c._initiatedBy ??= 'remote';
  if (!c._sent) writeClose(c, code);
  updateFlow(c);
  endCalls(c);
}

/**
 * How it ends: told once all that has come is read, which may have to wait for the user or for its
 * turn. Whoever sends learns of it at once: they may be the user that is waited for.
 */
export function whenRead(c: Connection, then: (c: Connection) => void): void {
  if (!c._frames[WAITS]) {
    then(c);
    return;
  }
  (c._ends ??= []).push(then);
  endSending(c);
  waitForReader(c);
}

/** Who neither pulls nor has paused for as long as `closeTimeout` is not waited for. */
function waitForReader(c: Connection): void {
  const waiting = c._queue?._items._size;
  setDeadline(c, () => {
    const stands = c._queue?._items._size === waiting && !c._userPaused && !c._working;
    (stands && !dropSeen(c) ? tellEnds : waitForReader)(c);
  });
}

/** The server has ended its stream. */
export function end(c: Connection): void {
  if (isDone(c)) {
    c._transport.end(() => {
      destroy(c);
    });
  } else lose(c, 'LOST', 'the server ended the connection without a Close frame');
}

/** The transport has failed. */
export function broken(c: Connection, cause: Error): void {
  lose(c, 'RESET', `the connection broke: ${cause.message}`, cause);
}

/** The transport is gone: nothing outlives it. */
export function finish(c: Connection): void {
  if (c._finished) return;
  if (!isDone(c) && !c._terminated) end(c);
  c._begun = c._finished = true;
  c._deadline?._clear();
  c._frames.stop();
  over(c, () => {
    updateFlow(c);
    endCalls(c);
  });
}

/** All is over: it is told once the user's hook has ended. */
export function over(c: Connection, then: () => void): void {
  const { _received: received, _error: error } = c;
  const { code, reason } = received ?? NO_CLOSE;
  // Not by spreading: it would take longer than all else here.
  const info: { -readonly [K in keyof CloseInfo]: CloseInfo[K] } = {
    code,
    reason,
    wasClean: c._sent && !!received,
    initiatedBy: c._initiatedBy ?? 'remote',
    discarded: c._discarded,
  };
  if (error) info.error = error;
  move(c, SocketState.closed);
  then();
  runHook(
    c,
    () => c._hooks?.afterClose(info),
    () => {
      conclude(c, info);
    },
  );
}

/**
 * Runs a user's hook that may take its time, then goes on; a throw, or `closeTimeout`, do not stop
 * that. Goes on at once when the hook is not asynchronous.
 */
function runHook(c: Connection, hook: () => void | Promise<void>, goOn: () => void): void {
  // Once a failure, never for a close that the server chose, and never behind `close`.
  const report = (error: Error): void => {
    if (error !== c._error && !(error instanceof ConnectionClosed) && !c._info) {
      tellAll(c, 'error', error);
    }
  };
  let hooked: unknown = undefined;
  try {
    hooked = hook();
  } catch (error) {
    report(error as Error);
  }
  if (!hooked) {
    goOn();
    return;
  }
  const settle = (): void => {
    clearTimeout(timer);
    goOn();
    goOn = () => undefined;
  };
  // The connection keeps the process alive while it needs to, not a hook that never ends.
  const timer = setTimeout(settle, c._numbers.closeTimeout).unref();
  void Promise.resolve(hooked).catch(report).then(settle);
}

/** Nothing more comes, and nothing more goes. */
function endCalls(c: Connection): void {
  c._over = true;
  endReceiving(c);
  endSending(c);
}

/** A foreign stream may not tell that it is gone: then it is waited for no longer than that. */
function destroy(c: Connection): void {
  c._transport.destroy();
  if (!c._finished) setDeadline(c, finish);
}

/** Too long: `closeTimeout` is over. */
function onDeadline(c: Connection): void {
  if (isDone(c)) destroy(c);
  else {
    const message = `closing took longer than ${c._numbers.closeTimeout} ms (closeTimeout)`;
    fail(c, new TimeoutError(message, 'close', 'closing'));
  }
}

/** Whether nothing more is expected of the server. */
const isDone = (c: Connection): boolean => !!(c._received ?? c._error);

function writeClose(c: Connection, code: number, reason = ''): void {
  c._begun = c._sent = true;
  c._frames.write(true, ControlFrames.close, closePayload(code, reason));
  c._frames.flush();
  if (!c._intended) setDeadline(c, onDeadline);
  arm(c);
  move(c, SocketState.closing);
}

function lose(c: Connection, kind: string, message: string, cause?: Error): void {
  const phase = c._sent ? 'closing' : 'open';
  fail(c, new ConnectionError(`ERR_CONNECTION_${kind}` as ErrorCode, message, phase, { cause }));
}
