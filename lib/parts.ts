/**
 * Where to connect, and the types that the layers above share. Mirrors `aiowebsocket/parts.py`.
 * @packageDocumentation
 */
import { InvalidURI, wrongType, wrongValue } from './exceptions.js';

/** A message as it is received: text as a string, binary as a Buffer of its own. */
export type Message = string | Buffer;

/** One message, or one piece of one, as `send()` takes it. A string is text, all else is binary. */
export type Data = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer | Blob;

/** What `send()` takes: one message, or its pieces in order, sent as one fragmented message. */
export type SendData = Data | Iterable<Data> | AsyncIterable<Data>;

/** How a connection ended. */
export interface CloseInfo {
  /**
   * The code of the peer's Close frame, 1005 when that was empty, 1006 when none came, our own
   * failures included (RFC 6455 section 7.1.5; what we sent then is in `error.closeCode`).
   */
  readonly code: number;
  /** The reason in the peer's Close frame, or empty. */
  readonly reason: string;
  /** Whether both sides sent a Close frame. */
  readonly wasClean: boolean;
  /** Who began to end it. */
  readonly initiatedBy: 'local' | 'remote';
  /** Messages that arrived after our Close frame, and were dropped. */
  readonly discarded: number;
  /** What went wrong, where something did. */
  readonly error?: Error;
}

/** The parts of a WebSocket URI. Mirrors the original's `REMOTE`. */
export interface Remote {
  readonly scheme: 'ws' | 'wss';
  /** A name, an IPv4 address, or an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query, as the request line carries them (RFC 6455 section 3). */
  readonly resource: string;
  /** Whether TLS is spoken: so it is for `wss`. */
  readonly ssl: boolean;
  /** `user:password` of the URI, decoded, for Basic authorization (RFC 7617). */
  readonly userinfo?: string;
}

/**
 * A field of a request. `line` is its exact text where that is not `name: value`.
 */
export type HeaderField = readonly [name: string, value: string, line?: string];

/** The fields of a request, in order. */
export type HeaderList = readonly HeaderField[];

/**
 * Takes packed frames. `true` says that `bytes` may be overwritten as soon as the call returns,
 * `false` that they may be once `free` has been called.
 */
export interface ByteSink {
  write(bytes: Buffer, free: () => void): boolean;
}

const WS_URI = /^(wss?):\/\/([^/?#\\]*)([^#\\]*)$/i;
/** White space, control characters, lone surrogates. */
const FORBIDDEN_IN_URI = /[\s\p{Cc}\p{Cs}]/u;
const NOT_IN_RESOURCE = /[^!#$%&'()*+,\-./0-9:;=?@A-Z[\]_a-z~]+/g;

/**
 * Takes a `ws://` or `wss://` URI apart (RFC 6455 section 3). The path and query are kept as
 * written; characters that a request line may not carry are percent-encoded as UTF-8.
 * @throws {InvalidURI} a scheme other than ws and wss, no host, port 0 or above 65535, a fragment,
 * white space or control characters
 */
export function parseUri(uri: string | URL): Remote {
  const text = uri instanceof URL ? uri.href : uri;
  if (typeof text !== 'string') {
    throw wrongType(`uri must be a string or a URL, got ${describeValue(text)}`);
  }
  const shown = JSON.stringify(text.replace(/\/\/[^/?#]*@/, '//***@'));
  const fail = (why: string, cause?: unknown): never => {
    throw new InvalidURI(`${why}: ${shown}`, cause === undefined ? undefined : { cause });
  };
  if (FORBIDDEN_IN_URI.test(text)) {
    fail('a WebSocket URI holds no white space, control characters or lone surrogates');
  }
  if (text.includes('#')) fail('a WebSocket URI has no fragment (RFC 6455 section 3)');
  const [, scheme, , tail] =
    WS_URI.exec(text) ?? fail('a WebSocket URI starts with ws:// or wss:// and has no backslash');
  const ssl = scheme?.toLowerCase() === 'wss';
  const url = parseAuthority(text, fail);
  const port = url.port === '' ? (ssl ? 443 : 80) : Number(url.port);
  if (port === 0) fail('port 0 cannot be connected to');
  const path = (tail ?? '').replace(NOT_IN_RESOURCE, encodeURIComponent);
  return {
    scheme: ssl ? 'wss' : 'ws',
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    resource: path.startsWith('/') ? path : `/${path}`,
    ssl,
    ...userinfo(url, fail),
  };
}

function parseAuthority(text: string, fail: (why: string, cause?: unknown) => never): URL {
  try {
    return new URL(text);
  } catch (error) {
    return fail('not a valid URI (host or port)', error);
  }
}

function userinfo(
  url: URL,
  fail: (why: string, cause?: unknown) => never,
): { userinfo?: string } {
  if (url.username === '' && url.password === '') return {};
  try {
    return { userinfo: decodeURIComponent(`${url.username}:${url.password}`) };
  } catch (error) {
    return fail('the user or password is not valid percent-encoded UTF-8', error);
  }
}

/** `host` or `host:port` as it stands in Host and Origin: brackets around IPv6, no default port. */
export function authority(remote: Remote): string {
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
  return `${typeof value} ${String(value as number | bigint | boolean | symbol)}`;
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
