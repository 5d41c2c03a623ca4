/**
 * permessage-deflate at work (RFC 7692 section 7.2).
 * @packageDocumentation
 */
import type * as Zlib from 'node:zlib';
import { Buffer, documented, kMaxLength, load, NOTHING } from './builtins.js';
import { StatusCodes } from './enumerations.js';
import { FrameError } from './exceptions.js';
import type { CompressionOptions, DeflateParameters } from './negotiations.js';
import type { Extension } from './parts.js';

/** What ends a message on the wire is left out there: RFC 7692 section 7.2.1. */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
/** An empty message (RFC 7692 section 7.2.3.6). */
const EMPTY = Buffer.alloc(1);
/** Output bytes after which others get their turn. */
const SLICE = 1_048_576;
/** So many slices may come of several messages together before others get their turn. */
const TOGETHER = 8;
const SYNC_FLUSH = 2;

/** Output of a codec; `done` where nothing more will come of the input. */
type Output = (bytes: Buffer, done: boolean) => void;

/** A window that is kept from message to message; made on first use. */
interface Codec {
  /** Takes input, the end of a message or not; returns what is left of it once there is much output. */
  _run: (input: Buffer, last: boolean, slice: number, output: Output) => Buffer;
  _reset: () => void;
  _close: () => void;
}

/** zlib's own handle: **undocumented**, and many times faster than what is documented. */
interface Handle {
  writeSync: (...args: [flush: number, ...(Buffer | number)[]]) => void;
  onerror: (message: string) => void;
}

interface Stream {
  readonly _handle?: Partial<Handle> | undefined;
  /** How much room is left in the output, and how much input is unread. */
  readonly _writeState?: Uint32Array | undefined;
  reset: () => void;
  close: () => void;
}

let scratch: Buffer | undefined;

/**
 * @param window bytes to look back on behind a block that is marked as the last; 0: none
 * @returns undefined where Node's zlib does not have what this needs
 */
function handleCodec(stream: Stream, window = 0): Codec | undefined {
  const { _handle: handle, _writeState: state } = stream;
  if (!handle?.writeSync || !state || documented()) return undefined;
  const { writeSync } = handle;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  /** What was put out last, in a ring. */
  const ring = Buffer.allocUnsafe(window);
  let at = 0;
  let kept = 0;
  /** What has come of input since the last that had to wait, of however many messages. */
  let produced = 0;
  const out = (scratch ??= Buffer.allocUnsafeSlow(65_536));
  const write = (input: Buffer): void => {
    writeSync.call(handle, SYNC_FLUSH, input, 0, input.length, out, 0, out.length);
  };
  const keep = (bytes: Buffer): void => {
    const latest = bytes.length > window ? bytes.subarray(-window) : bytes;
    const { length } = latest;
    const copied = latest.copy(ring, at);
    if (copied < length) latest.copy(ring, 0, copied);
    at = (at + length) % window;
    kept = Math.min(window, kept + length);
  };
  /** zlib forgets its window with a last block: it gets it back in one that is stored. */
  const restart = (): void => {
    stream.reset();
    if (kept === 0) return;
    const head = Buffer.of(0, kept, kept >> 8, ~kept, ~kept >> 8);
    const before = ring.subarray(at, kept);
    write(Buffer.concat([head, before, ring.subarray(0, at)]));
  };
  return {
    _run(input, last, slice, output) {
      let rest = input;
      const until = Math.min(produced + slice, slice * TOGETHER);
      for (;;) {
        if (produced >= until && rest.length > 0) {
          produced = 0;
          return rest;
        }
        write(rest);
        if (failure) throw new Error(failure);
        const [room = 0, unread = 0] = state;
        rest = rest.subarray(rest.length - unread);
        produced += out.length - room;
        const done = room > 0 && unread === 0;
        if (room < out.length) {
          const bytes = out.subarray(0, out.length - room);
          if (window) keep(bytes);
          output(bytes, done);
        }
        if (done) return NOTHING;
        // A block was marked as the last (RFC 7692 section 7.2.3.4): another may follow.
        if (room > 0) {
          restart();
          produced += window || 1024;
          if (last && rest.equals(TAIL)) return NOTHING;
        }
      }
    },
    _reset() {
      stream.reset();
      at = kept = 0;
    },
    _close: () => {
      stream.close();
    },
  };
}

/** What zlib's synchronous functions give with `info: true`. */
interface Result {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** With documented means: what came before is handed on as a dictionary. */
function documentedCodec(
  transform: (input: Buffer, options: Zlib.ZlibOptions) => unknown,
  inflates: boolean,
): Codec {
  let window = NOTHING;
  const reset = (): void => {
    window = NOTHING;
  };
  return {
    _run(input, _last, _slice, output) {
      const { buffer, engine } = transform(input, {
        info: true,
        ...(window.length > 0 && { dictionary: window }),
      }) as Result;
      window = Buffer.from(Buffer.concat([window, inflates ? buffer : input]).subarray(-32_768));
      // Behind a block that was marked as the last: what follows has its own turn.
      const rest = input.subarray(engine.bytesWritten);
      const done = rest.length === 0 || rest.equals(TAIL);
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
  readonly _threshold: number;
  readonly _parameters: DeflateParameters;
  readonly _options: CompressionOptions | undefined;
  /** Whether the message that goes out is compressed. */
  _active = false;
  _deflater: Codec | undefined;
  _inflater: Codec | undefined;
  /** What has come of a message, where it can only be inflated as a whole. */
  _collected: Buffer[] | undefined;
  _most = 0;
  /** Whether a byte has come of the message under way. */
  _begun = false;

  /**
   * @param parameters what was negotiated
   * @param options the option `compression`; `true` and nothing are as good as an empty object
   */
  constructor(parameters: DeflateParameters, options: CompressionOptions | undefined) {
    this._parameters = parameters;
    this._options = options;
    const { threshold } = { ...options };
    this._threshold = threshold ?? (parameters.clientForgets ? 1024 : 0);
  }

  decode(bytes: Buffer, last: boolean, limit: number, output: Output): Buffer | undefined {
    this._inflater ??= this._makeInflater();
    this._most = limit;
    // Of a message without a byte zlib must not see the tail alone: it would wait for the rest.
    this._begun ||= bytes.length > 0;
    if (!this._begun) return undefined;
    this._begun = !last;
    const collected = this._collected;
    if (!collected) return this._inflate(last ? Buffer.concat([bytes, TAIL]) : bytes, last, output);
    collected.push(Buffer.from(bytes));
    if (!last) return undefined;
    this._collected = [];
    return this._inflate(Buffer.concat([...collected, TAIL]), last, output);
  }

  resume(rest: Buffer, last: boolean, output: Output): Buffer | undefined {
    return this._inflate(rest, last, output);
  }

  encode(bytes: Buffer, last: boolean): Buffer {
    const pieces: Buffer[] = [];
    if (bytes.length > 0) {
      this._deflater ??= this._makeDeflater();
      this._deflater._run(bytes, last, Infinity, (piece) => pieces.push(Buffer.from(piece)));
    }
    if (last && this._parameters.clientForgets) this._deflater?._reset();
    if (bytes.length === 0) return last ? EMPTY : bytes;
    const deflated = pieces.length > 1 ? Buffer.concat(pieces) : (pieces[0] as Buffer);
    return last ? deflated.subarray(0, -TAIL.length) : deflated;
  }

  close(): void {
    this._deflater?._close();
    this._inflater?._close();
    this._deflater = this._inflater = this._collected = undefined;
  }

  _inflate(input: Buffer, last: boolean, output: Output): Buffer | undefined {
    try {
      const rest = this._inflater!._run(input, last, SLICE, output);
      if (rest.length > 0) return rest;
      if (last && this._parameters.serverForgets) this._inflater!._reset();
      return undefined;
    } catch (cause) {
      if (cause instanceof FrameError) throw cause;
      const tooBig = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      throw new FrameError(
        tooBig ? 'ERR_FRAME_TOO_BIG' : 'ERR_FRAME_PAYLOAD',
        `the server sent a message that cannot be inflated: ${(cause as Error).message}`,
        tooBig ? StatusCodes.messageTooBig : StatusCodes.invalidPayload,
        { cause },
      );
    }
  }

  _makeInflater(): Codec {
    const { createInflateRaw, inflateRawSync } = load('node:zlib');
    const { serverBits: windowBits, serverForgets } = this._parameters;
    const codec = handleCodec(
      createInflateRaw({ windowBits, chunkSize: 64 }),
      serverForgets ? 0 : 1 << windowBits,
    );
    if (codec) return codec;
    this._collected = [];
    return documentedCodec(
      (input, options) =>
        inflateRawSync(input, {
          windowBits,
          ...options,
          finishFlush: SYNC_FLUSH,
          maxOutputLength: Math.min(this._most + 1, kMaxLength),
        }),
      true,
    );
  }

  _makeDeflater(): Codec {
    const { createDeflateRaw, deflateRawSync } = load('node:zlib');
    const { level = -1, memLevel = 8 } = { ...this._options };
    // zlib's raw deflate knows no window of 256 bytes, but with 512 it looks back 250 at the most.
    const windowBits = Math.max(9, this._parameters.clientBits);
    const settings = { windowBits, level, memLevel, finishFlush: SYNC_FLUSH };
    return (
      handleCodec(createDeflateRaw({ ...settings, chunkSize: 64 })) ??
      documentedCodec((input, options) => deflateRawSync(input, { ...settings, ...options }), false)
    );
  }
}
