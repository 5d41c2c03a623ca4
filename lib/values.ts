/**
 * Small things about values that several layers need.
 * @packageDocumentation
 */
import { Buffer, isAnyArrayBuffer, queueMicrotask } from './builtins.js';
import {
  ConnectionClosedError,
  ConnectionClosedOK,
  ConnectionError,
  FrameError,
  type ConnectionClosed,
  type ErrorCode,
  type Phase,
} from './exceptions.js';

export const isString = (value: unknown): value is string => typeof value === 'string';

export const isFunction = (value: unknown): value is (...args: never[]) => unknown =>
  typeof value === 'function';

export const noop = (): void => undefined;

/** A `TypeError` for an argument of the wrong kind. */
export const wrongType = (message: string): TypeError =>
  Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });

/** A `RangeError` for an argument of the right kind with a value that is not allowed. */
export const wrongValue = (message: string): RangeError =>
  Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });

/** For a number, as its value is wrong, or for anything else, as that is no number. */
export const wrongNumber = (value: unknown): typeof wrongValue | typeof wrongType =>
  typeof value === 'number' ? wrongValue : wrongType;

/** An error that names the argument, what was expected and what came; `wrong` makes it. */
export const mustBe = <E extends Error = TypeError>(
  what: string,
  expected: string,
  got: unknown,
  wrong: (message: string) => TypeError | E = wrongType,
): TypeError | E => wrong(`${what} must be ${expected}, got ${describeValue(got)}`);

/** @throws TypeError unless it is of this type, or left out */
export function checkType(what: string, value: unknown, type: string): void {
  if (value !== undefined && typeof value !== type) throw mustBe(what, `a ${type}`, value);
}

/** What a hook of the user's has made. @throws TypeError unless it is an object with this member */
export function checkMade<T>(value: T, what: string, member: keyof T & string): T {
  if ((value as T | undefined)?.[member] === undefined) {
    throw mustBe(what, `an object with ${member}`, value);
  }
  return value;
}

/** A copy that inherits nothing, not even what somebody has added to `Object.prototype`. */
export const ownOf = <T extends object>(options?: T): T =>
  Object.setPrototypeOf({ ...options }, null) as T;

/** Whether a value is an integer within bounds. */
export const isWithin = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

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

/** From the first character that is no blank to the last one. */
const NOT_BLANK = /[^\t ](?:.*[^\t ])?/s;

/**
 * Without the optional white space around a field's value (RFC 9110 section 5.6.3), in linear time.
 */
export const trimField = (text: string): string => NOT_BLANK.exec(text)?.[0] ?? '';

/** What a wrong argument was, for an error message: `5`, `5n`, `"text"`, `an instance of Date`. */
export const describeValue = (value: unknown): string =>
  isString(value)
    ? JSON.stringify(value.slice(0, 80))
    : Object(value) === value
      ? `an instance of ${(value as object).constructor?.name ?? 'Object'}`
      : String(value) + (typeof value === 'bigint' ? 'n' : '');

/** The bytes of a view or an ArrayBuffer, not copied; `undefined` for anything else. */
export function bytesOf(data: unknown): Buffer | undefined {
  if (Buffer.isBuffer(data)) return data;
  if (ArrayBuffer.isView(data)) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  if (isAnyArrayBuffer(data)) return Buffer.from(data);
  return undefined;
}

/** Part of a Buffer in memory of its own. */
export function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const own = Buffer.allocUnsafe(to - from);
  bytes.copy(own, 0, from, to);
  return own;
}

/** Most bytes that the payload of a control frame may have (RFC 6455 section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/**
 * The bytes of a string, as UTF-8, or of a view or an ArrayBuffer, not copied.
 * @throws a TypeError that names `what`
 */
export function requireBytes(data: unknown, what: string): Buffer {
  const bytes = isString(data) ? Buffer.from(data) : bytesOf(data);
  if (!bytes) throw mustBe(what, 'a string or bytes', data);
  return bytes;
}

/**
 * The bytes of a control frame's payload.
 * @throws a TypeError or RangeError that names `what`
 */
export function controlPayload(
  data: string | ArrayBufferView | ArrayBuffer,
  what: string,
  most = MAX_CONTROL_PAYLOAD,
): Buffer {
  const bytes = requireBytes(data, what);
  if (bytes.length > most) {
    throw mustBe(what, `at most ${most} bytes`, bytes.length, wrongValue);
  }
  return bytes;
}

/**
 * Throws as an uncaught exception: a listener's bug is the application's, and must not stop the
 * protocol.
 */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Has `call` called when the signal aborts. Returns what stops that. */
export function onAbort(signal: AbortSignal | undefined, call: () => void): () => void {
  signal?.addEventListener('abort', call);
  return () => signal?.removeEventListener('abort', call);
}

/** Calls `work`: what it throws rejects the promise, as does what goes wrong later. */
export function promiseTry<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Emits; what a listener throws is thrown as an uncaught exception. */
export function emitSafely(emitter: object, ...args: unknown[]): void {
  try {
    (emitter as { emit: (...args: unknown[]) => void }).emit(...args);
  } catch (error) {
    throwLater(error);
  }
}

/** The error for a connection that ended with this code: 1000, 1001 and 1005 are as agreed. */
export function connectionClosed(code: number, reason: string, cause?: unknown): ConnectionClosed {
  const [Closed, name] = [1000, 1001, 1005].includes(code)
    ? ([ConnectionClosedOK, 'ERR_CLOSED_OK'] as const)
    : ([ConnectionClosedError, 'ERR_CLOSED'] as const);
  return new Closed(name, code, reason, { cause });
}

/** What an error says; what a user's code throws, or a stream of theirs fails with, may be none. */
export function messageOf(cause: unknown): string {
  const { message = describeValue(cause) } = Object(cause) as { message?: unknown };
  return String(message).trim();
}

/**
 * The error for a connection that ended too early.
 * @param when what was still to come
 * @param cause what broke it; where it is nothing or a boolean, the connection just ended
 */
export function connectionLost(when: string, phase: Phase, cause: unknown): ConnectionError {
  const [code, what, options] =
    typeof (cause ?? false) === 'boolean'
      ? (['ERR_CONNECTION_LOST', `ended ${when}`] as const)
      : ([failureCode(cause, 'RESET'), `broke ${when}: ${messageOf(cause)}`, { cause }] as const);
  return new ConnectionError(code, `the connection ${what}`, phase, options);
}

/** What a `FrameError` is about: its code, without what all of them begin with. */
export type FrameErrorCode =
  'PROTOCOL' | 'UTF8' | 'PAYLOAD' | 'TOO_BIG' | 'TOO_MANY_FRAGMENTS' | 'SOURCE';

/** @param closeCode what the peer is told */
export const frameError = (
  code: FrameErrorCode,
  message: string,
  closeCode: number,
  cause?: unknown,
): FrameError => new FrameError(`ERR_FRAME_${code}`, message, closeCode, { cause });

/** Codes of certificates (CERT_HAS_EXPIRED, UNABLE_TO_VERIFY_LEAF_SIGNATURE…) and of TLS. */
const TLS_CODE = /CERT|CRL_|LEAF_|^(INVALID|PATH)_|^ERR_(SSL|TLS)_|^EPROTO$/;

/**
 * The code for a network that failed, by the code of its error: certificates and TLS alerts may come
 * after the opening, and a stream of the user's may fail in any way.
 * @param unknown what it is taken for where the error has no code that tells
 */
export function failureCode(cause: unknown, unknown: 'RESET' | 'FAILED' | 'TLS'): ErrorCode {
  const code = String((Object(cause) as NodeJS.ErrnoException).code);
  const [, kind = /^E[A-Z\d]+$/.test(code) ? 'FAILED' : unknown] =
    /^ECONN(REFUSED|RESET)$/.exec(code.replace('EPIPE', 'ECONNRESET')) ?? [];
  return kind === 'TLS' || TLS_CODE.test(code)
    ? 'ERR_TLS'
    : (`ERR_CONNECTION_${kind}` as ErrorCode);
}
