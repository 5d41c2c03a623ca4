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
import type { Numbers } from './options.js';
import { Alarm, runHook } from './timers.js';
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
  readonly numbers: Numbers;
  /** Whether the process lives on for the closing handshake. */
  readonly held: boolean;
  beforeClose?: ((code: number, reason: string) => void | Promise<void>) | undefined;
  afterClose?: ((info: CloseInfo) => void | Promise<void>) | undefined;
  /** Resolves once what was sent before is packed; undefined if it is now. */
  whenSettled: () => Promise<void> | undefined;
  /** The end has begun: reading must go on, and silence means nothing. */
  onEnding: () => void;
  /** Nothing more comes: what is pending gets the error, else what calls get from now on. */
  onNothingMore: (error?: Error) => void;
  /** Something failed. */
  onError: (error: Error) => void;
}

interface CloseBody {
  readonly code: number;
  readonly reason: string;
}

const NO_CLOSE: CloseBody = { code: StatusCodes.abnormal, reason: '' };

/** The closing handshake, failures, and what comes after them. Made when the end begins. */
export class Ending extends Alarm {
  readonly #host: EndingHost;
  /** Whether nothing may follow: our Close frame has gone out (RFC 6455 section 5.5.1). */
  sent = false;
  #called = false;
  /** Whether `beforeClose` is at work: it may still send. */
  #hooked = false;
  #terminated = false;
  #finished = false;
  #received: CloseBody | undefined;
  #intended: CloseBody | undefined;
  #initiatedBy: 'local' | 'remote' | undefined;
  #error: Error | undefined;
  /** Messages that came after our Close frame, and were dropped. */
  discarded = 0;

  constructor(host: EndingHost) {
    super(host.held);
    this.#host = host;
  }

  /** Whether messages can still be sent. */
  get sendable(): boolean {
    return !this.begun && (!this.#called || this.#hooked);
  }

  /** Whether it has begun to end. */
  get begun(): boolean {
    return this.sent || this.#terminated || this.#finished || this.#over;
  }

  /** What a call gets that comes too late. */
  refusal(): ConnectionClosed {
    const { code, reason } =
      this.#received ?? (this.#error ? undefined : this.#intended) ?? NO_CLOSE;
    return connectionClosed(code, reason, this.#error);
  }

  /** Begins the closing handshake, once. */
  close(code: number, reason: string): void {
    if (this.#called || this.begun) return;
    const host = this.#host;
    const { closeTimeout } = host.numbers;
    this.#called = this.#hooked = true;
    this.#initiatedBy = 'local';
    this.#intended = { code, reason };
    this.set(closeTimeout);
    const send = (): void => {
      if (this.begun) return;
      this.#writeClose(code, reason);
      host.onEnding();
    };
    runHook(
      () => host.beforeClose?.(code, reason),
      closeTimeout,
      (error) => {
        host.onError(error);
      },
      () => {
        this.#hooked = false;
        // What was sent before goes out before.
        const settled = host.whenSettled();
        if (settled) void settled.then(send);
        else send();
      },
    );
  }

  /** Ends at once. */
  terminate(): void {
    if (this.#finished) return;
    this.#terminated = true;
    this.#initiatedBy ??= 'local';
    this.#host.frames.stop();
    this.#host.transport.destroy();
  }

  /** The connection cannot go on. */
  fail(cause: Error): void {
    if (this.#terminated || this.#finished || this.#error) return;
    const { transport, frames } = this.#host;
    if (this.#received) {
      // The closing handshake is over: how the TCP connection ends is no failure.
      transport.destroy();
      return;
    }
    this.#error = cause;
    this.#initiatedBy ??= cause instanceof ConnectionError ? 'remote' : 'local';
    frames.stop();
    if (cause instanceof FrameError && !this.sent) {
      // RFC 6455 section 7.1.7: tell the peer why, then read and drop until its end of the stream.
      this.#writeClose(cause.closeCode);
      transport.end();
      transport.resume();
    } else transport.destroy();
    this.#host.onEnding();
    this.#host.onError(cause);
    this.#host.onNothingMore(cause);
  }

  /** The server's Close frame has come. */
  onPeerClose(code: number, reason: string): void {
    if (this.#terminated || this.#error) return;
    this.#received = { code, reason };
    this.#initiatedBy ??= 'remote';
    if (!this.sent) this.#writeClose(code);
    this.#host.onEnding();
    this.#host.onNothingMore();
  }

  /** The server has ended its stream. */
  end(): void {
    const { transport } = this.#host;
    if (this.#over) {
      transport.end(() => {
        transport.destroy();
      });
    } else {
      this.#lost('ERR_CONNECTION_LOST', 'the server ended the connection without a Close frame');
    }
  }

  /** The transport has failed. */
  broken(cause: Error): void {
    this.#lost('ERR_CONNECTION_RESET', `the connection broke: ${cause.message}`, cause);
  }

  /** The transport is gone: nothing outlives it. */
  finish(): void {
    if (this.#finished) return;
    const host = this.#host;
    if (!this.#over && !this.#terminated) this.end();
    this.#finished = true;
    this.clear();
    host.frames.stop();
    const info: CloseInfo = {
      ...(this.#received ?? NO_CLOSE),
      wasClean: this.sent && !!this.#received,
      initiatedBy: this.#initiatedBy ?? 'remote',
      discarded: this.discarded,
      ...(this.#error && { error: this.#error }),
    };
    host.lifecycle.move(SocketState.closed);
    host.onEnding();
    host.onNothingMore(this.#error);
    runHook(
      () => host.afterClose?.(info),
      host.numbers.closeTimeout,
      (error) => {
        host.onError(error);
      },
      () => {
        host.lifecycle.close(info);
      },
    );
  }

  /** Too long: `closeTimeout` is over. */
  protected override ring(): void {
    if (this.#over) this.#host.transport.destroy();
    else {
      const { closeTimeout } = this.#host.numbers;
      const message = `closing took longer than ${closeTimeout} ms (closeTimeout)`;
      this.fail(new TimeoutError(message, 'close', 'closing'));
    }
  }

  /** Whether nothing more is expected of the server. */
  get #over(): boolean {
    return !!(this.#received ?? this.#error);
  }

  #writeClose(code: number, reason = ''): void {
    const { frames, lifecycle, numbers } = this.#host;
    this.sent = true;
    frames.write(true, ControlFrames.close, closePayload(code, reason));
    frames.flush();
    if (!this.pending) this.set(numbers.closeTimeout);
    lifecycle.move(SocketState.closing);
  }

  #lost(
    code: 'ERR_CONNECTION_RESET' | 'ERR_CONNECTION_LOST',
    message: string,
    cause?: Error,
  ): void {
    this.fail(new ConnectionError(code, message, this.sent ? 'closing' : 'open', { cause }));
  }
}
