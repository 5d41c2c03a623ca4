/**
 * Where to connect, and the types that the layers above share. Mirrors `aiowebsocket/parts.py`.
 * @packageDocumentation
 */
import { InvalidURI } from './exceptions.js';
import { isString, mustBe } from './values.js';

/** A message as it is received: text as a string, binary as a Buffer of its own. */
export type Message = string | Buffer;

/** One message, or one piece of one, as `send()` takes it. A string is text, all else is binary. */
export type Data = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer | Blob;

/** What `send()` takes: one message, or its pieces in order, sent as one fragmented message. */
export type SendData = Data | Iterable<Data> | AsyncIterable<Data>;

/** A payload for control frames. */
export type ControlData = string | ArrayBufferView | ArrayBuffer;

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
  /** `ws` or `wss`, in lower case. */
  readonly scheme: 'ws' | 'wss';
  /** A name, an IPv4 address, or an IPv6 address without its brackets. */
  readonly host: string;
  /** 80 for `ws` and 443 for `wss`, unless the URI says another. */
  readonly port: number;
  /** Path and query, as the request line carries them (RFC 6455 section 3). */
  readonly resource: string;
  /** Whether TLS is used, as it is for `wss`. */
  readonly ssl: boolean;
  /** `user:password` of the URI, decoded, for Basic authorization. */
  readonly userinfo?: string;
}

/**
 * A field of a request or a response. `line` is its exact text where that is not `name: value`.
 */
export type HeaderField = readonly [name: string, value: string, line?: string];

/** The fields of a request or a response, in order. */
export type HeaderList = readonly HeaderField[];

/**
 * What a negotiated extension does to messages (RFC 6455 section 9): between the frames and the
 * message on the way in, between the message and its frames on the way out.
 */
export interface Extension {
  /** The reserved bit that marks the first frame of its messages: RSV1 is 0x40. */
  readonly rsv: number;
  /**
   * Decodes payload bytes of a message.
   * @param last whether they end it
   * @param most bytes that the decoded message may have
   * @param output gets decoded bytes, valid during the call only; `done` with the last of them
   * @returns what is left of the bytes, for `resume()` in a later turn; undefined when all is done
   * @throws FrameError
   */
  decode: (
    bytes: Buffer,
    last: boolean,
    most: number,
    output: (bytes: Buffer, done: boolean) => void,
  ) => Buffer | undefined;
  /** Goes on with the bytes that `decode()` or `resume()` returned. */
  resume: (
    rest: Buffer,
    last: boolean,
    output: (bytes: Buffer, done: boolean) => void,
  ) => Buffer | undefined;
  /** The payload that carries these bytes of a message. */
  encode: (bytes: Buffer, last: boolean) => Buffer;
  /** Lets go of all memory. */
  close: () => void;
}

/**
 * Takes packed frames. `true` says that `bytes` may be overwritten as soon as the call returns,
 * `false` that they may be once `free` has been called.
 */
export interface ByteSink {
  /** Takes `bytes`, in the order of the calls. */
  write: (bytes: Buffer, free: () => void) => boolean;
  /** The same for several pieces at a time, where the sink has a better way for them. */
  writev?: (pieces: readonly Buffer[], free: () => void) => boolean;
}

const WS_URI = /^wss?:\/\/[^/?#\\]+((?:[/?][^#\\]*)?)$/i;
/** White space, control characters, lone surrogates. */
const FORBIDDEN_IN_URI = /[\s\p{Cc}\p{Cs}]/u;
/**
 * What Basic authorization has no room for (RFC 7617 section 2): a colon in the name, control
 * characters.
 */
const FORBIDDEN_IN_USER = /^[^:]*%3a|%[01]|%7f/i;
const NOT_IN_RESOURCE = /[^!#-;=?-[\]_a-z~]+/g;

/** The Remote made last: connections to one place share it. */
let lastText: string | undefined;
let lastRemote: Remote | undefined;

/**
 * Takes a `ws://` or `wss://` URI apart (RFC 6455 section 3). The path and query are kept as
 * written; characters that a request line may not carry are percent-encoded as UTF-8.
 * @throws {InvalidURI} a scheme other than ws and wss, no host, port 0 or above 65535, a fragment,
 * a backslash, white space or control characters, a user name with a colon; TypeError for what is
 * neither a string nor a URL
 */
export function parseUri(uri: string | URL): Remote {
  // By what it has: where a DOM has been put in Node's place there are two classes of them.
  const text = (uri as Partial<URL> | undefined)?.searchParams ? (uri as URL).href : uri;
  if (!isString(text)) throw mustBe('uri', 'a string or a URL', text);
  if (text === lastText && lastRemote) return lastRemote;
  const fail = (expected: string): never => {
    const shown = JSON.stringify(text.replace(/:[^]*@/, '://***@'));
    throw new InvalidURI(`a WebSocket URI has ${expected}, got ${shown}`);
  };
  const found = !FORBIDDEN_IN_URI.test(text) && WS_URI.exec(text);
  if (!found) {
    return fail('ws:// or wss:// and no fragment, backslash, white space or control characters');
  }
  try {
    const { protocol, hostname, port, username, password } = new URL(text);
    const path = found[1]!.replace(NOT_IN_RESOURCE, encodeURIComponent);
    const ssl = protocol === 'wss:';
    const userinfo = username + password && `${username}:${password}`;
    if (port !== '0' && !FORBIDDEN_IN_USER.test(userinfo)) {
      const remote: Remote = {
        scheme: ssl ? 'wss' : 'ws',
        host: hostname.replace(/[[\]]/g, ''),
        port: Number(port || (ssl ? 443 : 80)),
        resource: path.replace(/^\/?/, '/'),
        ssl,
        ...(userinfo && { userinfo: decodeURIComponent(userinfo) }),
      };
      // A secret is not kept for longer than its connection.
      if (remote.userinfo === undefined) {
        lastText = text;
        lastRemote = Object.freeze(remote);
      }
      return remote;
    }
  } catch {
    // The error of URL is no cause to give: it holds the password.
  }
  return fail('a valid host or port (not 0), and a percent-encoded user');
}
