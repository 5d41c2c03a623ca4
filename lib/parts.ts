/**
 * Where to connect, and the types that the layers above share. Mirrors `aiowebsocket/parts.py`.
 * @packageDocumentation
 */
import { InvalidURI } from './exceptions.js';
import { describeValue, wrongType } from './values.js';

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

function userinfo(url: URL, fail: (why: string, cause?: unknown) => never): { userinfo?: string } {
  if (url.username === '' && url.password === '') return {};
  try {
    return { userinfo: decodeURIComponent(`${url.username}:${url.password}`) };
  } catch (error) {
    return fail('the user or password is not valid percent-encoded UTF-8', error);
  }
}
