/**
 * Payloads become messages: fragments are joined, limits kept, UTF-8 checked as it comes.
 * @packageDocumentation
 */
import { DataFrames, StatusCodes } from './enumerations.js';
import { FrameError } from './exceptions.js';
import type { Numbers } from './options.js';
import type { Message } from './parts.js';
import { checkUtf8, decodeUtf8 } from './utf8.js';

/** Takes a message in pieces, as they arrive. */
export interface PieceSink {
  /** Most bytes of the message, in place of the option `maxPayload`. */
  readonly maxPayload?: number | undefined;
  /** The message begins. */
  begin: () => void;
  /** A piece: a string of whole characters, or a Buffer of its own. Never empty. */
  piece: (piece: Message) => void;
  /** The message is whole, or will never be. */
  end: (error?: unknown) => void;
}

/** The message that is being received. */
export interface Assembly {
  /** Whether a message has begun and not ended. */
  open: () => boolean;
  /** Bytes of the message, announced so far. */
  bytes: () => number;
  /** Bytes that it may have. */
  most: () => number;
  /** The first frame of a message. */
  begin: (opcode: DataFrames) => void;
  /** A frame of the message begins: an empty one counts, too. `bytes` as it carries them. */
  fragment: (bytes: number) => void;
  /** Bytes of the message are about to come: the limit is kept before they do. */
  announce: (bytes: number) => void;
  /** Takes payload bytes, which are copied. Returns the message, once whole, unless diverted. */
  take: (chunk: Buffer, from: number, to: number, last: boolean) => Message | undefined;
  /** Lets go of the message under way. */
  reset: () => void;
  /** The message under way, or else the next one, goes to this sink. */
  divert: (sink: PieceSink) => void;
  /** Nothing goes to this sink any more; what is left of its message is dropped. */
  undivert: (sink: PieceSink) => void;
}

const nothing = (): void => undefined;
const NOTHING: Buffer = Buffer.alloc(0);
/** A message that is announced to be no longer gets all its memory at once. */
const AT_ONCE = 1_048_576;

/** Makes the part of a codec that joins payloads. */
export function makeAssembly({ maxPayload, maxFragments }: Numbers): Assembly {
  let opcode = DataFrames.cont;
  let fragments = 0;
  /** Bytes of the frames so far. */
  let carried = 0;
  /** Bytes announced by the frames so far. */
  let announced = 0;
  let buffer = NOTHING;
  let length = 0;
  /** Bytes of text before this are valid UTF-8. */
  let checked = 0;
  let wanted: PieceSink | undefined;
  let sink: PieceSink | undefined;

  const most = (): number => sink?.maxPayload ?? maxPayload;
  const isText = (): boolean => opcode === DataFrames.text;
  const reset = (): void => {
    opcode = DataFrames.cont;
    buffer = NOTHING;
    length = checked = 0;
    sink = undefined;
  };
  return {
    open: () => opcode !== DataFrames.cont,
    bytes: () => announced,
    begin(first) {
      opcode = first;
      fragments = carried = announced = 0;
      sink = wanted;
      wanted = undefined;
      sink?.begin();
    },
    most,
    fragment(bytes) {
      if (++fragments > maxFragments) {
        throw new FrameError(
          'ERR_FRAME_TOO_MANY_FRAGMENTS',
          `a message of more than ${maxFragments} fragments (maxFragments)`,
          StatusCodes.policyViolation,
        );
      }
      carried += bytes;
      // However badly it is compressed; a plain one has a limit of its own.
      if (carried > most() * 2 + AT_ONCE) {
        throw tooBig(`a message in frames of ${carried} bytes, above maxPayload ${most()}`);
      }
    },
    announce(bytes) {
      announced += bytes;
      if (announced > most()) {
        throw tooBig(`a message of ${announced} bytes, above maxPayload ${most()}`);
      }
    },
    take(chunk, from, to, last) {
      if (last && length === 0 && !sink) return whole(chunk, from, to);
      append(chunk, from, to);
      if (isText()) check(last);
      if (sink) handOn(sink, last);
      else if (last) return assembled();
      return undefined;
    },
    reset,
    divert(next) {
      if (opcode === DataFrames.cont || sink) wanted = next;
      else {
        sink = next;
        next.begin();
        handOn(next, false);
      }
    },
    undivert(dropped) {
      if (wanted === dropped) wanted = undefined;
      if (sink === dropped) {
        sink = { maxPayload: dropped.maxPayload, begin: nothing, piece: nothing, end: nothing };
      }
    },
  };

  /** A message that one chunk holds whole: no copy but the one the user gets. */
  function whole(chunk: Buffer, from: number, to: number): Message {
    const asText = isText();
    opcode = DataFrames.cont;
    if (asText) return decodeUtf8(chunk, from, to) ?? invalid(chunk, from, to);
    const data = Buffer.allocUnsafe(to - from);
    chunk.copy(data, 0, from, to);
    return data;
  }

  function assembled(): Message {
    const data = buffer.subarray(0, length);
    const spare = buffer.length - length;
    const asText = isText();
    reset();
    if (asText) return guarded(() => data.toString(), data.length);
    // A message must not keep alive much more memory than it shows.
    return spare * 3 > data.length ? Buffer.from(data) : data;
  }

  function append(chunk: Buffer, from: number, to: number): void {
    const needed = length + (to - from);
    if (needed > buffer.length) grow(needed);
    chunk.copy(buffer, length, from, to);
    length = needed;
  }

  /** Memory follows the bytes that came, not those that a frame announces. */
  function grow(needed: number): void {
    const ahead = sink ? 0 : Math.min(announced, Math.max(AT_ONCE, needed * 4));
    const size = Math.max(needed, ahead, Math.min(buffer.length * 2, maxPayload));
    const larger = guarded(
      () => (size <= 4096 ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size)),
      size,
    );
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
  }

  function check(last: boolean): void {
    const valid = checkUtf8(buffer, checked, length);
    if (valid < 0 || (last && valid !== length)) invalid(buffer, checked, length);
    checked = valid;
  }

  function handOn(to: PieceSink, last: boolean): void {
    const ready = isText() ? checked : length;
    const piece = buffer.subarray(0, ready);
    if (ready > 0) {
      const own = isText() ? piece.toString() : Buffer.from(piece);
      buffer.copyWithin(0, ready, length);
      length -= ready;
      checked = 0;
      to.piece(own);
    }
    if (last) {
      reset();
      to.end();
    }
  }
}

/** Buffers and strings have limits of their own. */
function guarded<T>(make: () => T, bytes: number): T {
  try {
    return make();
  } catch (cause) {
    throw tooBig(`a message of ${bytes} bytes does not fit into memory`, cause);
  }
}

function tooBig(message: string, cause?: unknown): FrameError {
  return new FrameError('ERR_FRAME_TOO_BIG', message, StatusCodes.messageTooBig, { cause });
}

function invalid(bytes: Buffer, from: number, to: number): never {
  const shown = bytes.toString('hex', from, Math.min(to, from + 16));
  throw new FrameError(
    'ERR_FRAME_UTF8',
    `the server sent text that is not UTF-8 (from bytes ${shown})`,
    StatusCodes.invalidPayload,
  );
}
