/**
 * What is known of how a connection ends (RFC 6455 section 7.1).
 * @packageDocumentation
 */
import { isCloseCode, StatusCodes } from './enumerations.js';
import { ConnectionClosedError, ConnectionClosedOK, type ConnectionClosed } from './exceptions.js';
import type { CloseInfo } from './parts.js';
import {
  MAX_CONTROL_PAYLOAD,
  controlPayload,
  describeValue,
  wrongType,
  wrongValue,
} from './values.js';

interface CloseBody {
  readonly code: number;
  readonly reason: string;
}

/**
 * Checks what a Close frame is to carry.
 * @throws TypeError or RangeError
 */
export function checkClose(code: unknown, reason: unknown): void {
  if (typeof code !== 'number')
    throw wrongType(`code must be a number, got ${describeValue(code)}`);
  if (!isCloseCode(code)) {
    throw wrongValue(
      `code must be 1000-1003, 1007-1014 or 3000-4999 (RFC 6455 section 7.4), got ${String(code)}`,
    );
  }
  if (typeof reason !== 'string') {
    throw wrongType(`reason must be a string, got ${describeValue(reason)}`);
  }
  controlPayload(reason, 'reason', MAX_CONTROL_PAYLOAD - 2);
}

/** The body of a Close frame (RFC 6455 section 5.5.1); empty for 1005. */
export function closePayload(code: number, reason: string): Buffer {
  if (code === StatusCodes.noStatus) return Buffer.alloc(0);
  const body = Buffer.from(`..${reason}`);
  body.writeUInt16BE(code);
  return body;
}

/** The error for a connection that ended with this code. */
export function connectionClosed(code: number, reason: string, cause?: unknown): ConnectionClosed {
  const options = cause === undefined ? undefined : { cause };
  return code === 1000 || code === 1001 || code === 1005
    ? new ConnectionClosedOK('ERR_CLOSED_OK', code, reason, options)
    : new ConnectionClosedError('ERR_CLOSED', code, reason, options);
}

/** The record of the closing handshake, and of what went wrong before it. */
export class Closing {
  /** Whether our Close frame has gone out. */
  sent = false;
  /** The peer's Close frame. */
  received: CloseBody | undefined;
  /** What our own call asked for. */
  intended: CloseBody | undefined;
  /** Who began; the first to do so counts. */
  initiatedBy: 'local' | 'remote' | undefined;
  /** What went wrong; the first thing counts. */
  error: Error | undefined;
  /** Messages that came after our Close frame. */
  discarded = 0;
  #info: CloseInfo | undefined;

  /** How it ended. Called once the transport is gone; the same object from then on. */
  info(): CloseInfo {
    return (this.#info ??= {
      code: this.received?.code ?? StatusCodes.abnormal,
      reason: this.received?.reason ?? '',
      wasClean: this.sent && this.received !== undefined,
      initiatedBy: this.initiatedBy ?? 'remote',
      discarded: this.discarded,
      ...(this.error === undefined ? {} : { error: this.error }),
    });
  }

  /** What a call gets that comes too late. */
  refusal(): ConnectionClosed {
    const ours = this.error === undefined ? this.intended : undefined;
    const { code, reason } = this.received ?? ours ?? { code: StatusCodes.abnormal, reason: '' };
    return connectionClosed(code, reason, this.error);
  }
}
