/**
 * How a connection ends: by agreement, by failure, or by force (RFC 6455 section 7).
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { Closing, closePayload } from './closings.js';
import { ControlFrames, SocketState } from './enumerations.js';
import { ConnectionError, FrameError, TimeoutError, type ConnectionClosed } from './exceptions.js';
import type { Frames } from './freams.js';
import { runHook } from './hooks.js';
import type { Lifecycle } from './lifecycles.js';
import type { CloseInfo } from './parts.js';
import { Alarm } from './timers.js';

/** What the ending needs of the connection. */
export interface EndingHost {
  readonly transport: Duplex;
  readonly frames: Frames;
  readonly lifecycle: Lifecycle;
  /** Milliseconds for the closing handshake. */
  readonly closeTimeout: number;
  beforeClose(code: number, reason: string): void | Promise<void>;
  afterClose(info: CloseInfo): void | Promise<void>;
  /** Resolves once what was sent before is packed; undefined if it is now. */
  whenSettled(): Promise<void> | undefined;
  /** The end has begun: reading must go on, and silence means nothing. */
  onEnding(): void;
  /** Nothing more comes: what is pending gets the error, what is called later the refusal. */
  onNothingMore(error: Error, refusal: ConnectionClosed): void;
  /** Something failed. */
  onError(error: Error): void;
  /** All is over. */
  onClosed(info: CloseInfo): void;
}

/** The closing handshake, failures, and what comes after them. */
export class Ending {
  readonly #host: EndingHost;
  readonly #closing = new Closing();
  readonly #alarm = new Alarm(() => {
    this.#timedOut();
  });
  #called = false;
  /** Whether `beforeClose` is at work: it may still send. */
  #hooked = false;
  #terminated = false;
  #finished = false;

  constructor(host: EndingHost) {
    this.#host = host;
    host.frames.on('close', this.#onPeerClose);
    host.transport.on('end', this.#onTransportEnd);
    host.transport.on('error', this.#onTransportError);
    host.transport.on('close', this.#onTransportClose);
  }

  /** Whether the connection is gone. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Whether our Close frame has gone out: nothing may follow it (RFC 6455 section 5.5.1). */
  get closeSent(): boolean {
    return this.#closing.sent;
  }

  /** Whether it has begun to end. */
  get begun(): boolean {
    const { sent, received, error } = this.#closing;
    return sent || received !== undefined || error !== undefined || this.#terminated;
  }

  /** What a call gets that comes too late. */
  refusal(): ConnectionClosed {
    return this.#closing.refusal();
  }

  /** Whether messages can still be sent. */
  get sendable(): boolean {
    return !this.begun && !this.#finished && (!this.#called || this.#hooked);
  }

  /** A message came behind our Close frame. */
  discard(): void {
    this.#closing.discarded++;
  }

  /** Begins the closing handshake, once. */
  close(code: number, reason: string): void {
    if (this.#called || this.#finished || this.begun) return;
    this.#called = true;
    const closing = this.#closing;
    closing.initiatedBy ??= 'local';
    closing.intended = { code, reason };
    this.#alarm.set(this.#host.closeTimeout);
    this.#hooked = true;
    runHook(
      () => this.#host.beforeClose(code, reason),
      this.#host.closeTimeout,
      (error) => {
        this.#host.onError(error);
      },
      () => {
        this.#hooked = false;
        this.#closeInTurn(code, reason);
      },
    );
  }

  /** Ends at once. */
  terminate(): void {
    if (this.#finished) return;
    this.#terminated = true;
    this.#closing.initiatedBy ??= 'local';
    this.#host.frames.stop();
    this.#host.transport.destroy();
  }

  /** The connection cannot go on. */
  fail(error: Error): void {
    const closing = this.#closing;
    const { frames, transport } = this.#host;
    if (this.#finished || this.#terminated || closing.error !== undefined) return;
    if (closing.received !== undefined) {
      // The closing handshake is over: how the TCP connection ends is no failure.
      transport.destroy();
      return;
    }
    closing.error = error;
    closing.initiatedBy ??= error instanceof ConnectionError ? 'remote' : 'local';
    frames.stop();
    if (error instanceof FrameError && !closing.sent) this.#failPolitely(error.closeCode);
    else transport.destroy();
    this.#host.onEnding();
    this.#host.onError(error);
    this.#host.onNothingMore(error, closing.refusal());
  }

  /** Whether the process lives on for the closing handshake. */
  hold(alive: boolean): void {
    this.#alarm.hold(alive);
  }

  /** What was sent before goes out before. */
  #closeInTurn(code: number, reason: string): void {
    const settled = this.#host.whenSettled();
    if (settled === undefined) this.#sendClose(code, reason);
    else {
      void settled.then(() => {
        this.#sendClose(code, reason);
      });
    }
  }

  #sendClose(code: number, reason: string): void {
    const closing = this.#closing;
    if (closing.sent || this.#finished || this.#terminated || closing.error !== undefined) return;
    this.#writeClose(code, reason);
    this.#host.onEnding();
  }

  #writeClose(code: number, reason: string): void {
    const { frames, lifecycle } = this.#host;
    this.#closing.sent = true;
    frames.write(true, ControlFrames.close, closePayload(code, reason));
    frames.flush();
    if (!this.#alarm.pending) this.#alarm.set(this.#host.closeTimeout);
    if (lifecycle.state < SocketState.closing) lifecycle.move(SocketState.closing);
  }

  /** RFC 6455 section 7.1.7: tell the peer why, then read and drop until its end of the stream. */
  #failPolitely(closeCode: number): void {
    this.#writeClose(closeCode, '');
    this.#host.transport.end();
    this.#host.transport.resume();
  }

  readonly #onPeerClose = (code: number, reason: string): void => {
    const closing = this.#closing;
    if (this.#terminated || closing.error !== undefined) return;
    closing.received = { code, reason };
    closing.initiatedBy ??= 'remote';
    if (!closing.sent) this.#writeClose(code, '');
    this.#host.onEnding();
    const refusal = closing.refusal();
    this.#host.onNothingMore(refusal, refusal);
  };

  readonly #onTransportEnd = (): void => {
    const { transport } = this.#host;
    const { received, sent, error } = this.#closing;
    if (received === undefined && error === undefined) {
      this.fail(
        new ConnectionError(
          'ERR_CONNECTION_LOST',
          'the server ended the connection without a Close frame',
          sent ? 'closing' : 'open',
        ),
      );
    } else if (!transport.destroyed) {
      transport.end(() => {
        transport.destroy();
      });
    }
  };

  readonly #onTransportError = (cause: Error): void => {
    this.fail(
      new ConnectionError(
        'ERR_CONNECTION_RESET',
        `the connection broke: ${cause.message}`,
        this.#closing.sent ? 'closing' : 'open',
        { cause },
      ),
    );
  };

  /** The transport was gone before anybody listened to it. */
  vanished(): void {
    this.#onTransportClose();
  }

  readonly #onTransportClose = (): void => {
    const { received, error } = this.#closing;
    if (received === undefined && error === undefined) this.#onTransportEnd();
    this.#finish();
  };

  #timedOut(): void {
    const { received, error } = this.#closing;
    if (received !== undefined || error !== undefined) {
      this.#host.transport.destroy();
      return;
    }
    const limit = String(this.#host.closeTimeout);
    this.fail(
      new TimeoutError(
        `the closing handshake took longer than ${limit} ms (closeTimeout)`,
        'close',
        'closing',
      ),
    );
  }

  /** The transport is gone: nothing outlives it. */
  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#alarm.clear();
    this.#host.frames.stop();
    const info = this.#closing.info();
    const refusal = this.#closing.refusal();
    this.#host.lifecycle.move(SocketState.closed);
    this.#host.onEnding();
    this.#host.onNothingMore(info.error ?? refusal, refusal);
    runHook(
      () => this.#host.afterClose(info),
      this.#host.closeTimeout,
      (error) => {
        this.#host.onError(error);
      },
      () => {
        this.#host.onClosed(info);
      },
    );
  }
}
