/**
 * Small things about values that several layers need.
 * @packageDocumentation
 */
import { ConnectionClosedError, ConnectionClosedOK, type ConnectionClosed } from './exceptions.js';

/** A `TypeError` for an argument of the wrong kind. */
export const wrongType = (message: string): TypeError =>
  Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });

/** A `RangeError` for an argument of the right kind with a value that is not allowed. */
export const wrongValue = (message: string): RangeError =>
  Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });

/** A `TypeError` that tells what was expected of an argument, and what came. */
export const mustBe = (what: string, expected: string, got: unknown): TypeError =>
  wrongType(`${what} must be ${expected}, got ${describeValue(got)}`);

/** `host` or `host:port` as it stands in Host and Origin: brackets around IPv6, no default port. */
export function authority(remote: {
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean;
}): string {
  const { host, port, ssl } = remote;
  const name = host.includes(':') ? `[${host}]` : host;
  return port === (ssl ? 443 : 80) ? name : `${name}:${port}`;
}

/** Without the optional white space around a field's value (RFC 9110 section 5.6.3), in linear time. */
export const trimField = (text: string): string =>
  (/^[ \t]*((?:.*[^ \t])?)/s.exec(text) as RegExpExecArray)[1]!;

/** What a wrong argument was, for an error message: `number 5`, `null`, `Float32Array`. */
export function describeValue(value: unknown): string {
  const type = typeof value;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (type === 'function') return 'a function';
  if (typeof value === 'object' && value) {
    return `an instance of ${value.constructor?.name ?? 'Object'}`;
  }
  return `${value === null || value === undefined ? '' : `${type} `}${String(value)}`;
}

/** The bytes of a view or an ArrayBuffer, not copied; `undefined` for anything else. */
export function bytesOf(data: unknown): Buffer | undefined {
  if (Buffer.isBuffer(data)) return data;
  if (ArrayBuffer.isView(data)) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return Buffer.from(data);
  return undefined;
}

/** Most bytes that the payload of a control frame may have (RFC 6455 section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/**
 * The bytes of a control frame's payload.
 * @throws a TypeError or RangeError that names `what`
 */
export function controlPayload(
  data: string | ArrayBufferView | ArrayBuffer,
  what: string,
  most = MAX_CONTROL_PAYLOAD,
): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data) : bytesOf(data);
  if (!bytes) throw mustBe(what, 'a string or bytes', data);
  if (bytes.length > most) {
    throw wrongValue(`${what} must be at most ${most} bytes, got ${bytes.length}`);
  }
  return bytes;
}

/**
 * A listener's bug is the application's: it surfaces there as an uncaught exception, and never
 * wedges the protocol.
 */
export function raise(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** @throws TypeError unless it is an AbortSignal, or none */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw mustBe('signal', 'an AbortSignal', signal);
  }
}

/** Tells listeners; what they throw is theirs. */
export function tell(emitter: object, ...args: unknown[]): void {
  try {
    (emitter as { emit: (...args: unknown[]) => void }).emit(...args);
  } catch (error) {
    raise(error);
  }
}

/** The error for a connection that ended with this code. */
export function connectionClosed(code: number, reason: string, cause?: unknown): ConnectionClosed {
  const options = cause === undefined ? undefined : { cause };
  return code === 1000 || code === 1001 || code === 1005
    ? new ConnectionClosedOK('ERR_CLOSED_OK', code, reason, options)
    : new ConnectionClosedError('ERR_CLOSED', code, reason, options);
}
