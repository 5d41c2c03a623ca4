/**
 * permessage-deflate at work (RFC 7692 section 7.2).
 * @packageDocumentation
 */
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

/** @returns undefined where Node's zlib does not have what this needs */
function handleCodec(stream: Stream): Codec | undefined {
  const { _handle: handle, _writeState: state } = stream;
  if (!handle?.writeSync || !state || process.env['AIOWEBSOCKET_DOCUMENTED_ZLIB']) return undefined;
  const { writeSync } = handle;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  return {
    run(input, slice, output) {
      const out = (scratch ??= Buffer.allocUnsafeSlow(65_536));
      let rest = input;
      for (let produced = 0; ;) {
        writeSync.call(handle, SYNC_FLUSH, rest, 0, rest.length, out, 0, out.length);
        if (failure) throw new Error(failure);
        const [room = 0, unread = 0] = state;
        rest = rest.subarray(rest.length - unread);
        produced += out.length - room;
        const done = room > 0 && unread === 0;
        if (room < out.length) output(out.subarray(0, out.length - room), done);
        if (done) return NOTHING;
        // A block was marked as the last (RFC 7692 section 7.2.3.4): what follows begins anew.
        if (room > 0) {
          stream.reset();
          if (rest.equals(TAIL)) return NOTHING;
        } else if (produced >= slice) return rest;
      }
    },
    reset: () => {
      stream.reset();
    },
    close: () => {
      stream.close();
    },
  };
}

/** With documented means: what came before is handed on as a dictionary. */
function documentedCodec(
  transform: (input: Buffer, dictionary?: Buffer) => Buffer,
  inflates: boolean,
): Codec {
  let window = NOTHING;
  const reset = (): void => {
    window = NOTHING;
  };
  return {
    run(input, _slice, output) {
      const result = transform(input, window.length > 0 ? window : undefined);
      window = Buffer.from(Buffer.concat([window, inflates ? result : input]).subarray(-32_768));
      output(result, true);
      return NOTHING;
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
  const inflateOptions = { windowBits: parameters.serverMaxWindowBits };
  // zlib's raw deflate knows no window of 256 bytes, but with 512 it looks back 250 at the most.
  const windowBits = Math.max(9, parameters.clientMaxWindowBits);
  const deflateOptions = { windowBits, level, memLevel, finishFlush: SYNC_FLUSH };
  let deflater: Codec | undefined;
  let inflater: Codec | undefined;
  /** What has come of a message, where it can only be inflated as a whole. */
  let collected: Buffer[] = [];
  let streams = true;
  let most = 0;

  const makeInflater = (): Codec => {
    const codec = handleCodec(createInflateRaw(inflateOptions));
    streams = codec !== undefined;
    return (
      codec ??
      documentedCodec(
        (input, dictionary) =>
          inflateRawSync(input, {
            ...inflateOptions,
            ...(dictionary && { dictionary }),
            finishFlush: SYNC_FLUSH,
            maxOutputLength: most + 1,
          }),
        true,
      )
    );
  };
  const makeDeflater = (): Codec =>
    handleCodec(createDeflateRaw(deflateOptions)) ??
    documentedCodec(
      (input, dictionary) =>
        deflateRawSync(input, { ...deflateOptions, ...(dictionary && { dictionary }) }),
      false,
    );

  return {
    rsv: 0x40,
    decode(bytes, last, limit, output) {
      inflater ??= makeInflater();
      most = limit;
      let input = bytes;
      if (!streams) collected.push(Buffer.from(bytes));
      if (last) input = Buffer.concat(streams ? [bytes, TAIL] : [...collected, TAIL]);
      else if (!streams) return undefined;
      collected = [];
      return inflate(inflater, input, last, output);
    },
    resume: (rest, last, output) => inflate(inflater as Codec, rest, last, output),
    encode(bytes, last) {
      if (bytes.length === 0) return last ? EMPTY : bytes;
      deflater ??= makeDeflater();
      const pieces: Buffer[] = [];
      deflater.run(bytes, Infinity, (piece) => pieces.push(Buffer.from(piece)));
      if (last && parameters.clientNoContextTakeover) deflater.reset();
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
      if (last && parameters.serverNoContextTakeover) codec.reset();
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
