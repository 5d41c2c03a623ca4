/**
 * How a connection ends: by agreement, by failure, or by force (RFC 6455 section 7).
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { ControlFrames, isCloseCode, SocketState, StatusCodes } from './enumerations.js';
import { ConnectionError, FrameError, TimeoutError, type ConnectionClosed } from './exceptions.js';
import type { Frames } from './freams.js';
import type { Lifecycle } from './lifecycles.js';
import type { CloseInfo } from './parts.js';
import { makeAlarm, runHook } from './timers.js';
import {
  connectionClosed,
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
  if (typeof reason !== 'string') throw mustBe('reason', 'a string', reason);
  controlPayload(reason, 'reason', MAX_CONTROL_PAYLOAD - 2);
}

/** The body of a Close frame (RFC 6455 section 5.5.1); empty for 1005. */
function closePayload(code: number, reason: string): Buffer {
  const body = Buffer.from(code === StatusCodes.noStatus ? '' : `..${reason}`);
  if (body.length > 0) body.writeUInt16BE(code);
  return body;
}

/** What the ending needs of the connection. */
export interface EndingHost {
  readonly transport: Duplex;
  readonly frames: Frames;
  readonly lifecycle: Lifecycle;
  /** Milliseconds for the closing handshake. */
  readonly closeTimeout: number;
  readonly beforeClose?: ((code: number, reason: string) => void | Promise<void>) | undefined;
  readonly afterClose?: ((info: CloseInfo) => void | Promise<void>) | undefined;
  /** Resolves once what was sent before is packed; undefined if it is now. */
  whenSettled: () => Promise<void> | undefined;
  /** The end has begun: reading must go on, and silence means nothing. */
  onEnding: () => void;
  /** Nothing more comes: what is pending gets the error, what is called later the refusal. */
  onNothingMore: (error: Error, refusal: ConnectionClosed) => void;
  /** Something failed. */
  onError: (error: Error) => void;
  /** All is over. */
  onClosed: (info: CloseInfo) => void;
}

/** The closing handshake, failures, and what comes after them. */
export interface Ending {
  /** Begins the closing handshake, once. */
  close: (code: number, reason: string) => void;
  /** Ends at once. */
  terminate: () => void;
  /** The connection cannot go on. */
  fail: (error: Error) => void;
  /** The server has ended its stream. */
  end: () => void;
  /** The transport is gone. */
  finish: () => void;
  /** What a call gets that comes too late. */
  refusal: () => ConnectionClosed;
  /** Whether messages can still be sent. */
  sendable: () => boolean;
  /** Whether it has begun to end. */
  begun: () => boolean;
  /** Whether our Close frame has gone out; a message that comes now is counted, and dropped. */
  discards: () => boolean;
  /** Whether nothing may follow: our Close frame has gone out (RFC 6455 section 5.5.1). */
  closeSent: () => boolean;
  /** Whether the process lives on for the closing handshake. */
  hold: (alive: boolean) => void;
}

interface CloseBody {
  readonly code: number;
  readonly reason: string;
}

const NO_CLOSE: CloseBody = { code: StatusCodes.abnormal, reason: '' };

/** Makes the part of a connection that ends it. */
export function makeEnding(host: EndingHost): Ending {
  const { transport, frames, lifecycle, closeTimeout } = host;
  const alarm = makeAlarm(timedOut);
  let sent = false;
  let called = false;
  /** Whether `beforeClose` is at work: it may still send. */
  let hooked = false;
  let terminated = false;
  let finished = false;
  let received: CloseBody | undefined;
  let intended: CloseBody | undefined;
  let initiatedBy: 'local' | 'remote' | undefined;
  let error: Error | undefined;
  let discarded = 0;

  const refusal = (): ConnectionClosed => {
    const { code, reason } = received ?? (error ? undefined : intended) ?? NO_CLOSE;
    return connectionClosed(code, reason, error);
  };
  const begun = (): boolean => sent || terminated || finished || !!(received ?? error);

  frames.on('close', onPeerClose);
  transport.on('end', onEnd);
  transport.on('error', (cause) => {
    fail(lost('ERR_CONNECTION_RESET', `the connection broke: ${cause.message}`, cause));
  });
  transport.on('close', finish);
  return {
    close,
    terminate() {
      if (finished) return;
      terminated = true;
      initiatedBy ??= 'local';
      frames.stop();
      transport.destroy();
    },
    fail,
    finish,
    end: onEnd,
    refusal,
    sendable: () => !begun() && (!called || hooked),
    begun,
    discards() {
      if (sent) discarded++;
      return sent;
    },
    closeSent: () => sent,
    hold: alarm.hold,
  };

  function close(code: number, reason: string): void {
    if (called || begun()) return;
    called = hooked = true;
    initiatedBy = 'local';
    intended = { code, reason };
    alarm.set(closeTimeout);
    runHook(
      () => host.beforeClose?.(code, reason),
      closeTimeout,
      host.onError,
      () => {
        hooked = false;
        const send = (): void => {
          if (begun()) return;
          writeClose(code, reason);
          host.onEnding();
        };
        // What was sent before goes out before.
        const settled = host.whenSettled();
        if (settled) void settled.then(send);
        else send();
      },
    );
  }

  function writeClose(code: number, reason = ''): void {
    sent = true;
    frames.write(true, ControlFrames.close, closePayload(code, reason));
    frames.flush();
    if (!alarm.pending()) alarm.set(closeTimeout);
    lifecycle.move(SocketState.closing);
  }

  function fail(cause: Error): void {
    if (terminated || finished || error) return;
    if (received) {
      // The closing handshake is over: how the TCP connection ends is no failure.
      transport.destroy();
      return;
    }
    error = cause;
    initiatedBy ??= cause instanceof ConnectionError ? 'remote' : 'local';
    frames.stop();
    if (cause instanceof FrameError && !sent) {
      // RFC 6455 section 7.1.7: tell the peer why, then read and drop until its end of the stream.
      writeClose(cause.closeCode);
      transport.end();
      transport.resume();
    } else transport.destroy();
    host.onEnding();
    host.onError(cause);
    host.onNothingMore(cause, refusal());
  }

  function onPeerClose(code: number, reason: string): void {
    if (terminated || error) return;
    received = { code, reason };
    initiatedBy ??= 'remote';
    if (!sent) writeClose(code);
    host.onEnding();
    host.onNothingMore(refusal(), refusal());
  }

  function onEnd(): void {
    if (received ?? error) {
      transport.end(() => {
        transport.destroy();
      });
    } else {
      fail(lost('ERR_CONNECTION_LOST', 'the server ended the connection without a Close frame'));
    }
  }

  function lost(
    code: 'ERR_CONNECTION_RESET' | 'ERR_CONNECTION_LOST',
    message: string,
    cause?: Error,
  ): ConnectionError {
    return new ConnectionError(code, message, sent ? 'closing' : 'open', { cause });
  }

  function timedOut(): void {
    if (received ?? error) transport.destroy();
    else {
      const message = `closing took longer than ${closeTimeout} ms (closeTimeout)`;
      fail(new TimeoutError(message, 'close', 'closing'));
    }
  }

  /** Nothing outlives the transport. */
  function finish(): void {
    if (finished) return;
    if (!(received ?? error)) onEnd();
    finished = true;
    alarm.clear();
    frames.stop();
    const info: CloseInfo = {
      ...(received ?? NO_CLOSE),
      wasClean: sent && !!received,
      initiatedBy: initiatedBy ?? 'remote',
      discarded,
      ...(error && { error }),
    };
    lifecycle.move(SocketState.closed);
    host.onEnding();
    host.onNothingMore(error ?? refusal(), refusal());
    runHook(
      () => host.afterClose?.(info),
      closeTimeout,
      host.onError,
      () => {
        host.onClosed(info);
      },
    );
  }
}
