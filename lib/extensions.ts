/**
 * permessage-deflate at work (RFC 7692 section 7.2).
 * @packageDocumentation
 */
import { kMaxLength } from 'node:buffer';
import type * as Zlib from 'node:zlib';
import { StatusCodes } from './enumerations.js';
import { FrameError, InvalidStateError } from './exceptions.js';
import type { CompressionOptions, DeflateParameters } from './negotiations.js';
import type { Extension } from './parts.js';

/** What ends a message on the wire is left out there: RFC 7692 section 7.2.1. */
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
/** An empty message (RFC 7692 section 7.2.3.6). */
const EMPTY = Buffer.alloc(1);
/** Output bytes after which others get their turn. */
const SLICE = 1_048_576;
const SYNC_FLUSH = 2;
const NOTHING: Buffer = Buffer.alloc(0);

let zlib: typeof Zlib | undefined;

/** Loads zlib, which most connections do without. */
export async function loadZlib(): Promise<void> {
  zlib ??= await import('node:zlib');
}

/** Output of a codec; `done` where nothing more will come of the input. */
type Output = (bytes: Buffer, done: boolean) => void;

/** A window that is kept from message to message; made on first use. */
interface Codec {
  /** Takes input; returns what is left of it once there is much output. */
  run: (input: Buffer, slice: number, output: Output) => Buffer;
  reset: () => void;
  close: () => void;
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
  if (!handle?.writeSync || !state || process.env['AIOWEBSOCKET_DOCUMENTED']) return undefined;
  const { writeSync } = handle;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  /** What was put out last, in a ring. */
  const ring = Buffer.allocUnsafe(window);
  let at = 0;
  let kept = 0;
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
    run(input, slice, output) {
      let rest = input;
      for (let produced = 0; ;) {
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
          if (rest.equals(TAIL)) return NOTHING;
          produced += window || 1024;
        }
        if (produced >= slice) return rest;
      }
    },
    reset() {
      stream.reset();
      at = kept = 0;
    },
    close: () => {
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
    run(input, _slice, output) {
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
    reset,
    close: reset,
  };
}

/**
 * Makes the codec of one connection.
 * @param parameters what was negotiated
 */
export function makeDeflate(
  parameters: DeflateParameters,
  { level = -1, memLevel = 8 }: CompressionOptions,
): Extension {
  if (!zlib) throw new InvalidStateError('zlib is not loaded');
  const { createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync } = zlib;
  const inflateOptions = { windowBits: parameters.serverBits };
  // zlib's raw deflate knows no window of 256 bytes, but with 512 it looks back 250 at the most.
  const windowBits = Math.max(9, parameters.clientBits);
  const deflateOptions = { windowBits, level, memLevel, finishFlush: SYNC_FLUSH };
  let deflater: Codec | undefined;
  let inflater: Codec | undefined;
  /** What has come of a message, where it can only be inflated as a whole. */
  let collected: Buffer[] = [];
  let streams = true;
  let most = 0;
  /** Whether a byte has come of the message under way. */
  let begun = false;

  const makeInflater = (): Codec => {
    const codec = handleCodec(
      createInflateRaw({ ...inflateOptions, chunkSize: 64 }),
      parameters.serverForgets ? 0 : 1 << inflateOptions.windowBits,
    );
    streams = codec !== undefined;
    return (
      codec ??
      documentedCodec(
        (input, options) =>
          inflateRawSync(input, {
            ...inflateOptions,
            ...options,
            finishFlush: SYNC_FLUSH,
            maxOutputLength: Math.min(most + 1, kMaxLength),
          }),
        true,
      )
    );
  };
  const makeDeflater = (): Codec =>
    handleCodec(createDeflateRaw({ ...deflateOptions, chunkSize: 64 })) ??
    documentedCodec(
      (input, options) => deflateRawSync(input, { ...deflateOptions, ...options }),
      false,
    );

  return {
    rsv: 0x40,
    decode(bytes, last, limit, output) {
      inflater ??= makeInflater();
      most = limit;
      // Of a message without a byte zlib must not see the tail alone: it would wait for the rest.
      begun ||= bytes.length > 0;
      if (!begun) return undefined;
      begun = !last;
      let input = bytes;
      if (!streams) collected.push(Buffer.from(bytes));
      if (last) input = Buffer.concat(streams ? [bytes, TAIL] : [...collected, TAIL]);
      else if (!streams) return undefined;
      collected = [];
      return inflate(inflater, input, last, output);
    },
    resume: (rest, last, output) => inflate(inflater as Codec, rest, last, output),
    encode(bytes, last) {
      const pieces: Buffer[] = [];
      if (bytes.length > 0) {
        deflater ??= makeDeflater();
        deflater.run(bytes, Infinity, (piece) => pieces.push(Buffer.from(piece)));
      }
      if (last && parameters.clientForgets) deflater?.reset();
      if (bytes.length === 0) return last ? EMPTY : bytes;
      const deflated = pieces.length > 1 ? Buffer.concat(pieces) : (pieces[0] as Buffer);
      return last ? deflated.subarray(0, -TAIL.length) : deflated;
    },
    close() {
      deflater?.close();
      inflater?.close();
      deflater = inflater = undefined;
      collected = [];
    },
  };

  function inflate(codec: Codec, input: Buffer, last: boolean, output: Output): Buffer | undefined {
    try {
      const rest = codec.run(input, SLICE, output);
      if (rest.length > 0) return rest;
      if (last && parameters.serverForgets) codec.reset();
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
}
