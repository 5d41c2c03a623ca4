/**
 * How a connection ends: by agreement, by failure, or by force (RFC 6455 section 7).
 * @packageDocumentation
 */
import { Buffer, clearTimeout, setTimeout } from './builtins.js';
import { emitAll, move, NO_CLOSE, setDeadline } from './connections.js';
import type { Connection } from './connections.js';
import { ControlFrames, isCloseCode, SocketState, StatusCodes } from './enumerations.js';
import {
  ConnectionClosed,
  ConnectionError,
  FrameError,
  TimeoutError,
  type Phase,
} from './exceptions.js';
import { runWaitingEnds, updateFlow } from './flows.js';
import { armStream, dropSeenQueue, endReceiving, endStream, showUnseen } from './inboxes.js';
import { endSending } from './outboxes.js';
import type { CloseInfo } from './parts.js';
import { WAITS } from './symbols.js';
import {
  checkType,
  connectionLost,
  controlPayload,
  MAX_CONTROL_PAYLOAD,
  mustBe,
  noop,
  wrongNumber,
} from './values.js';

/**
 * Milliseconds for the server to end TCP, which is for it to do first, once nothing else is expected
 * of it (RFC 6455 section 7.1.1).
 */
const LINGER = 2000;

/**
 * Checks what a Close frame is to carry.
 * @throws TypeError or RangeError
 */
export function checkClose(code: unknown, reason: unknown): void {
  if (!isCloseCode(code as number)) {
    throw mustBe('code', '1000-1003, 1007-1014 or 3000-4999', code, wrongNumber(code));
  }
  checkType('reason', reason, 'string');
  controlPayload(reason as string, 'reason', MAX_CONTROL_PAYLOAD - 2);
}

/** The body of a Close frame (RFC 6455 section 5.5.1); empty for 1005. */
function closeBody(code: number, reason: string): Buffer {
  const body = Buffer.from(code === StatusCodes.noStatus ? '' : `..${reason}`);
  if (body.length > 0) body.writeUInt16BE(code);
  return body;
}

/** Begins the closing handshake, once. */
export function close(c: Connection, code: number, reason: string): void {
  if (c._closeRequested || c._ending) return;
  c._inBeforeClose = true;
  c._closeRequested = { code, reason };
  setDeadline(c, onDeadline);
  const send = (): void => {
    if (c._ending) return;
    writeClose(c, code, reason);
    updateFlow(c);
  };
  runHook(
    c,
    () => c._aws?.beforeClose(code, reason),
    () => {
      c._inBeforeClose = false;
      // A loop that sends while it is open must come to its end: nothing can be sent any more.
      move(c, SocketState.closing);
      const queue = c._sendQueue;
      // The Close frame goes out behind what was sent before it (RFC 6455 section 5.5.1).
      if (queue?._current) queue._onSettled = send;
      else send();
    },
  );
}

/** Ends at once. */
export function terminate(c: Connection): void {
  c._ending = c._terminated = true;
  c._frames.stop();
  endSending(c);
  destroy(c);
}

/** The connection fails: it cannot go on (RFC 6455 section 7.1.7). */
export function fail(c: Connection, cause: Error): void {
  if (c._terminated || c._finished || c._error) return;
  if (c._closeReceived) {
    // The peer's Close frame is here: how the TCP connection ends after it is no failure.
    destroy(c);
    return;
  }
  c._ending = true;
  c._error = cause;
  c._frames.stop();
  if (!(cause instanceof FrameError)) destroy(c);
  else if (c._closeSent) {
    // The codec, which made it, knows of frames alone.
    Object.assign(cause, { phase: 'closing' satisfies Phase });
    destroy(c);
  } else {
    // Section 7.1.7: the peer learns why; what it sends from now on is read and dropped.
    writeClose(c, cause.closeCode);
    setDeadline(c, onDeadline, LINGER);
    c._transport.end();
  }
  updateFlow(c);
  emitAll(c, 'error', cause);
  endCalls(c);
}

/** The server's Close frame has come: it is answered at once (RFC 6455 section 5.5.1). */
export function closeReceived(c: Connection, code: number, reason: string): void {
  if (c._terminated || c._error) return;
  c._closeReceived = { code, reason };
  if (!c._closeSent) writeClose(c, code);
  setDeadline(c, onDeadline, LINGER);
  updateFlow(c);
  endCalls(c);
}

/**
 * The transport has ended or failed: `then` is called once all that came before has been read,
 * which may have to wait for the user, or for a large message's next slice. Calls that wait to send
 * are rejected at once: the user who reads may be waiting for them.
 */
export function whenRead(c: Connection, then: (c: Connection) => void): void {
  if (!c._frames[WAITS]) {
    then(c);
    return;
  }
  (c._waitingEnds ??= []).push(then);
  // A loop that sends while it is open must come to its end: nothing can be sent any more.
  move(c, SocketState.closing);
  endSending(c);
  waitForReader(c);
}

/**
 * A reader who for `closeTimeout` neither takes a message nor has paused is waited for no longer.
 */
function waitForReader(c: Connection): void {
  // Not how much waits: while it is taken, more of what has come may fill its place.
  const pulls = c._pulls;
  setDeadline(c, () => {
    const stands = c._pulls === pulls && !c._userPaused && !c._codecBusy;
    (stands && !dropSeenQueue(c) ? runWaitingEnds : waitForReader)(c);
  });
}

/** The server has ended its stream. */
export function streamEnded(c: Connection): void {
  if (isDone(c)) {
    c._transport.end(() => {
      destroy(c);
    });
  } else transportFailed(c);
}

/** The transport has failed, or ended too early. */
export function transportFailed(c: Connection, cause?: Error): void {
  fail(c, connectionLost('without a Close frame', c._closeSent ? 'closing' : 'open', cause));
}

/** The transport is gone, and with it everything that belongs to the connection. */
export function transportClosed(c: Connection): void {
  if (c._finished) return;
  if (!isDone(c) && !c._terminated) transportFailed(c);
  c._ending = true;
  c._deadline?._clear();
  c._frames.stop();
  conclude(c, () => {
    updateFlow(c);
    showUnseen(c);
    endCalls(c);
  });
}

/**
 * All is over: `close` tells it once the hook `afterClose` has ended. `then` tells what comes
 * before.
 */
export function conclude(c: Connection, then: () => void): void {
  c._finished = true;
  const { _closeReceived: received, _error: error } = c;
  // What fails is a network, which is the remote side's, or what we found wrong.
  const byRemote = received ?? error instanceof ConnectionError;
  const { code, reason } = received ?? NO_CLOSE;
  // No spread: that would take longer than all the rest of this.
  const info: { -readonly [K in keyof CloseInfo]: CloseInfo[K] } = {
    code,
    reason,
    wasClean: !!received,
    initiatedBy: byRemote && !c._closeRequested ? 'remote' : 'local',
    discarded: c._discarded,
  };
  if (error) info.error = error;
  move(c, SocketState.closed);
  then();
  runHook(
    c,
    () => c._aws?.afterClose(info),
    () => {
      c._info = info;
      emitAll(c, 'close', code, reason, info);
      c._resolveClosed?.(info);
    },
  );
}

/**
 * Runs a user's hook that may take its time, then goes on; a throw, or `closeTimeout`, do not stop
 * that. Goes on at once when the hook is not asynchronous.
 */
function runHook(c: Connection, hook: () => void | Promise<void>, goOn: () => void): void {
  // A failure is told once, a close that the server chose never, and nothing behind `close`.
  const report = (error: Error): void => {
    if (error !== c._error && !(error instanceof ConnectionClosed) && !c._info) {
      emitAll(c, 'error', error);
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
  const goOnOnce = (): void => {
    clearTimeout(timer);
    goOn();
    goOn = noop;
  };
  // Not a reason for the process to live on: a hook may never end.
  const timer = setTimeout(goOnOnce, c._numbers.closeTimeout).unref();
  void Promise.resolve(hooked).catch(report).then(goOnOnce);
}

/** Nothing more comes, and nothing more goes: ends the calls that wait for either. */
function endCalls(c: Connection): void {
  c._callsEnded = true;
  endReceiving(c);
  endSending(c);
}

/** A foreign stream may never emit `close`: it is waited for no longer than `closeTimeout`. */
function destroy(c: Connection): void {
  // Before anybody is told: a loop that goes on while it is open must come to its end.
  move(c, SocketState.closing);
  c._transport.destroy();
  if (!c._finished) setDeadline(c, transportClosed);
}

/** `closeTimeout` is over. */
function onDeadline(c: Connection): void {
  if (isDone(c)) destroy(c);
  else {
    const message = `closing took longer than ${c._numbers.closeTimeout} ms (closeTimeout)`;
    fail(c, new TimeoutError(message, 'close', 'closing'));
  }
}

/** Whether nothing more is expected of the server. */
const isDone = (c: Connection): boolean => !!(c._closeReceived ?? c._error);

function writeClose(c: Connection, code: number, reason = ''): void {
  c._ending = c._closeSent = true;
  c._frames.write(true, ControlFrames.close, closeBody(code, reason));
  c._frames.flush();
  armStream(c);
  // What else comes is dropped, and a stream has no room for all of it: nothing is paused any more.
  endStream(c);
  move(c, SocketState.closing);
}
