/**
 * permessage-deflate at work (RFC 7692 section 7.2).
 * @packageDocumentation
 */
import type * as Zlib from 'node:zlib';
import { Buffer, documented, kMaxLength, load, NOTHING } from './builtins.js';
import { StatusCodes } from './enumerations.js';
import { FrameError } from './exceptions.js';
import { MOST_BITS, type CompressionOptions, type DeflateParameters } from './negotiations.js';
import type { Extension } from './parts.js';
import { frameError, ownOf } from './values.js';

/** Ends each compressed message, and is left out on the wire (RFC 7692 section 7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
/** An empty message (RFC 7692 section 7.2.3.6). */
const EMPTY_MESSAGE = Buffer.alloc(1);
/** Output bytes of one message after which others get their turn. */
const INFLATE_SLICE = 1_048_576;
/** So many slices may come of several messages in a row before others get their turn. */
const MAX_SLICES = 8;
const SYNC_FLUSH = 2;

/** Takes what a codec puts out; `done` with the last of an input's output. */
type TakeOutput = (bytes: Buffer, done: boolean) => void;

/** Deflates or inflates, with a window that is kept from message to message; made on first use. */
interface Codec {
  /** Takes input, `last` where it ends a message. Returns what is left of it after much output. */
  _process: (input: Buffer, last: boolean, slice: number, output: TakeOutput) => Buffer;
  _reset: () => void;
  _close: () => void;
}

/** zlib's own handle: **undocumented**, and many times faster than what is documented. */
interface ZlibHandle {
  writeSync: (...args: [flush: number, ...(Buffer | number)[]]) => void;
  onerror: (message: string) => void;
}

interface ZlibStream {
  readonly _handle?: Partial<ZlibHandle> | undefined;
  /** Bytes that are free in the output, and bytes of the input that are unread. */
  readonly _writeState?: Uint32Array | undefined;
  reset: () => void;
  close: () => void;
}

let scratch: Buffer | undefined;

/** The latest output, as a ring buffer: what zlib's window held. */
interface History {
  _keep: (bytes: Buffer) => void;
  /** As a stored block (RFC 1951 section 3.2.4). */
  _toBlock: () => Buffer;
}

function makeHistory(window: number): History {
  const ring = Buffer.allocUnsafe(window);
  let at = 0;
  let kept = 0;
  return {
    _keep(bytes) {
      const latest = bytes.length > window ? bytes.subarray(-window) : bytes;
      const { length } = latest;
      const copied = latest.copy(ring, at);
      if (copied < length) latest.copy(ring, 0, copied);
      at = (at + length) % window;
      kept = Math.min(window, kept + length);
    },
    _toBlock: () =>
      Buffer.concat([
        Buffer.of(0, kept, kept >> 8, ~kept, ~kept >> 8),
        ring.subarray(at, kept),
        ring.subarray(0, at),
      ]),
  };
}

/**
 * @param window bytes to restore behind a block that is marked as the last; 0: none
 * @returns undefined where Node's zlib does not have what this needs
 */
function handleCodec(stream: ZlibStream, window = 0): Codec | undefined {
  const { _handle: handle, _writeState: state } = stream;
  if (!handle?.writeSync || !state || documented()) return undefined;
  const { writeSync } = handle;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  const history = makeHistory(window);
  /** Output bytes since input last had to wait, of however many messages. */
  let produced = 0;
  const out = (scratch ??= Buffer.allocUnsafeSlow(65_536));
  const write = (input: Buffer): void => {
    writeSync.call(handle, SYNC_FLUSH, input, 0, input.length, out, 0, out.length);
  };
  return {
    _process(input, last, slice, output) {
      let rest = input;
      const until = Math.min(produced + slice, slice * MAX_SLICES);
      while (produced < until || rest.length === 0) {
        write(rest);
        if (failure) throw new Error(failure);
        const [room = 0, unread = 0] = state;
        const bytes = out.subarray(0, out.length - room);
        rest = rest.subarray(rest.length - unread);
        produced += bytes.length;
        const done = room > 0 && unread === 0;
        if (window) history._keep(bytes);
        output(bytes, done);
        // Whoever takes it may have closed this: zlib aborts the process where it is used then.
        if (done || failure) return NOTHING;
        if (room > 0) {
          // A block was marked as the last, behind which others may follow (RFC 7692 section
          // 7.2.3.4). zlib forgets its window there.
          stream.reset();
          write(history._toBlock());
          produced += window || 1024;
          if (last && rest.equals(TAIL)) return NOTHING;
        }
      }
      produced = 0;
      return rest;
    },
    _reset() {
      stream.reset();
    },
    _close: () => {
      failure = 'closed';
      stream.close();
    },
  };
}

/** What zlib's synchronous functions give with `info: true`. */
interface ZlibResult {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** By what Node documents: the window is handed on as a dictionary. */
function documentedCodec(
  transform: (input: Buffer, options: Zlib.ZlibOptions) => unknown,
  inflates: boolean,
): Codec {
  let window = NOTHING;
  /** The payloads of a message so far: it can only be inflated as a whole. */
  const collected: Buffer[] = [];
  const reset = (): void => {
    window = NOTHING;
  };
  return {
    _process(bytes, last, _slice, output) {
      if (inflates && !last) {
        collected.push(Buffer.from(bytes));
        return NOTHING;
      }
      const input = collected.length > 0 ? Buffer.concat([...collected.splice(0), bytes]) : bytes;
      const { buffer, engine } = transform(input, {
        info: true,
        ...(window.length > 0 && { dictionary: window }),
      }) as ZlibResult;
      window = Buffer.from(Buffer.concat([window, inflates ? buffer : input]).subarray(-32_768));
      // What follows a block that was marked as the last is inflated by itself.
      const rest = input.subarray(engine.bytesWritten);
      const done = rest.length === 0;
      output(buffer, done);
      return done ? NOTHING : rest;
    },
    _reset: reset,
    _close: reset,
  };
}

/** The codec of one connection. */
export class Deflate implements Extension {
  /** RSV1. */
  readonly rsv = 0x40;
  /** Bytes below which a message goes out as it is. */
  declare readonly _threshold: number;
  declare readonly _parameters: DeflateParameters;
  declare readonly _options: CompressionOptions | undefined;
  /** Whether the message that is being sent is compressed. */
  _compresses = false;
  _deflater: Codec | undefined;
  _inflater: Codec | undefined;
  _maxOutput = 0;
  /** Whether the message under way has had a byte so far. */
  _nonEmpty = false;

  /**
   * @param parameters what was negotiated
   * @param options the option `compression`; `true` and nothing are as good as an empty object
   */
  constructor(parameters: DeflateParameters, options: CompressionOptions | undefined) {
    this._parameters = parameters;
    this._options = options;
    const { threshold } = ownOf(options);
    this._threshold = threshold ?? (parameters._client._forgets ? 1024 : 0);
  }

  decode(bytes: Buffer, last: boolean, limit: number, output: TakeOutput): Buffer | undefined {
    this._inflater ??= this._makeInflater();
    this._maxOutput = limit;
    // The tail alone, of a message without a byte, would leave zlib in the middle of a block.
    this._nonEmpty ||= bytes.length > 0;
    if (!this._nonEmpty) return undefined;
    this._nonEmpty = !last;
    return this.resume(last ? Buffer.concat([bytes, TAIL]) : bytes, last, output);
  }

  resume(input: Buffer, last: boolean, output: TakeOutput): Buffer | undefined {
    try {
      const rest = this._inflater!._process(input, last, INFLATE_SLICE, output);
      if (rest.length > 0) return rest;
      if (last && this._parameters._server._forgets) this._inflater?._reset();
      return undefined;
    } catch (cause) {
      if (cause instanceof FrameError) throw cause;
      const tooBig = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      throw frameError(
        tooBig ? 'TOO_BIG' : 'PAYLOAD',
        `a message that cannot be inflated: ${(cause as Error).message}`,
        tooBig ? StatusCodes.messageTooBig : StatusCodes.invalidPayload,
        cause,
      );
    }
  }

  encode(bytes: Buffer, last: boolean): Buffer {
    const pieces: Buffer[] = [];
    if (bytes.length > 0) {
      this._deflater ??= this._makeDeflater();
      this._deflater._process(bytes, last, Infinity, (piece) => pieces.push(Buffer.from(piece)));
    }
    if (last && this._parameters._client._forgets) this._deflater?._reset();
    if (bytes.length === 0) return last ? EMPTY_MESSAGE : bytes;
    const deflated = pieces.length > 1 ? Buffer.concat(pieces) : (pieces[0] as Buffer);
    return last ? deflated.subarray(0, -TAIL.length) : deflated;
  }

  close(): void {
    this._deflater?._close();
    this._inflater?._close();
    this._deflater = this._inflater = undefined;
  }

  _makeInflater(): Codec {
    const { createInflateRaw, inflateRawSync } = load('node:zlib');
    const { _bits: windowBits = MOST_BITS, _forgets: forgets } = this._parameters._server;
    return (
      handleCodec(createInflateRaw({ windowBits, chunkSize: 64 }), forgets ? 0 : 1 << windowBits) ??
      documentedCodec(
        (input, options) =>
          inflateRawSync(input, {
            windowBits,
            ...options,
            finishFlush: SYNC_FLUSH,
            maxOutputLength: Math.min(this._maxOutput + 1, kMaxLength),
          }),
        true,
      )
    );
  }

  _makeDeflater(): Codec {
    const { createDeflateRaw, deflateRawSync } = load('node:zlib');
    const { level = -1, memLevel = 8 } = ownOf(this._options);
    // zlib's raw deflate has no window of 256 bytes; with one of 512 it looks back 250 at the most.
    const windowBits = Math.max(9, this._parameters._client._bits ?? MOST_BITS);
    const settings = { windowBits, level, memLevel, finishFlush: SYNC_FLUSH };
    return (
      handleCodec(createDeflateRaw({ ...settings, chunkSize: 64 })) ??
      documentedCodec((input, options) => deflateRawSync(input, { ...settings, ...options }), false)
    );
  }
}
