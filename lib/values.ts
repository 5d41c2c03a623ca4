/**
 * Small things about values that several layers need.
 * @packageDocumentation
 */
/** A `TypeError` for an argument of the wrong kind. */
export function wrongType(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });
}

/** A `RangeError` for an argument of the right kind with a value that is not allowed. */
export function wrongValue(message: string): RangeError {
  return Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
}

/** `host` or `host:port` as it stands in Host and Origin: brackets around IPv6, no default port. */
export function authority(remote: {
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean;
}): string {
  const host = remote.host.includes(':') ? `[${remote.host}]` : remote.host;
  return remote.port === (remote.ssl ? 443 : 80) ? host : `${host}:${String(remote.port)}`;
}

/** Without the optional white space around a field's value (RFC 9110 section 5.6.3), in linear time. */
export function trimField(text: string): string {
  const blank = (at: number): boolean => text[at] === ' ' || text[at] === '\t';
  let from = 0;
  let to = text.length;
  while (from < to && blank(from)) from++;
  while (to > from && blank(to - 1)) to--;
  return text.slice(from, to);
}

/** What a wrong argument was, for an error message: `number 5`, `null`, `Float32Array`. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value === 'object') return `an instance of ${value.constructor?.name ?? 'Object'}`;
  if (typeof value === 'function') return 'a function';
  return `${typeof value} ${String(value)}`;
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
  if (bytes === undefined) {
    throw wrongType(`${what} must be a string or bytes, got ${describeValue(data)}`);
  }
  if (bytes.length > most) {
    throw wrongValue(
      `${what} must be at most ${String(most)} bytes, got ${String(bytes.length)} (RFC 6455 section 5.5)`,
    );
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
