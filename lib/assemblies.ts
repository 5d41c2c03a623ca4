/**
 * Payloads become messages: fragments are joined, limits kept, UTF-8 checked as it comes.
 * @packageDocumentation
 */
import { Buffer, NOTHING } from './builtins.js';
import { DataFrames, StatusCodes } from './enumerations.js';
import { FrameError, type ErrorCode } from './exceptions.js';
import type { Numbers } from './options.js';
import type { Message } from './parts.js';
import { checkUtf8, decodeUtf8 } from './utf8.js';
import { copyOf, noop } from './values.js';

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

/** A message that is announced to be no longer gets all its memory at once. */
const AT_ONCE = 1_048_576;

/** A message that comes in parts: of several frames, of several chunks, or from an extension. */
export class Assembly {
  readonly _numbers: Numbers;
  _opcode = DataFrames.cont;
  _fragments = 0;
  /** Bytes of the frames so far. */
  _carried = 0;
  /** Bytes of the message, announced so far. */
  _bytes = 0;
  _buffer: Buffer = NOTHING;
  _length = 0;
  /** Bytes of text before this are valid UTF-8. */
  _checked = 0;
  /** Who gets the next message, and who the one under way, in pieces. */
  _wanted: PieceSink | undefined;
  _sink: PieceSink | undefined;

  constructor(numbers: Numbers) {
    this._numbers = numbers;
  }

  /** Whether a message has begun and not ended. */
  get _open(): boolean {
    return this._opcode !== DataFrames.cont;
  }

  /** Bytes that the message may have. */
  get _most(): number {
    return this._sink?.maxPayload ?? this._numbers.maxPayload;
  }

  /** The first frame of a message. */
  _begin(opcode: DataFrames): void {
    this._opcode = opcode;
    this._fragments = this._carried = this._bytes = 0;
    this._sink = this._wanted;
    this._wanted = undefined;
    this._sink?.begin();
  }

  /** A frame of the message begins: an empty one counts, too. `bytes` as it carries them. */
  _fragment(bytes: number): void {
    const { maxFragments } = this._numbers;
    if (++this._fragments > maxFragments) {
      throw new FrameError(
        'ERR_FRAME_TOO_MANY_FRAGMENTS',
        `a message of more than ${maxFragments} fragments (maxFragments)`,
        StatusCodes.policyViolation,
      );
    }
    this._carried += bytes;
    // However badly it is compressed; a plain one has a limit of its own.
    if (this._carried > this._most * 2 + AT_ONCE) {
      throw tooBig(`a message in frames of ${this._carried} bytes, above maxPayload ${this._most}`);
    }
  }

  /** Bytes of the message are about to come: the limit is kept before they do. */
  _announce(bytes: number): void {
    this._bytes += bytes;
    checkSize(this._bytes, this._most);
  }

  /** Takes payload bytes, which are copied. Returns the message, once whole, unless diverted. */
  _take(chunk: Buffer, from: number, to: number, last: boolean): Message | undefined {
    if (last && this._length === 0 && !this._sink) return this._whole(chunk, from, to);
    this._append(chunk, from, to);
    if (this._isText) this._check(last);
    if (this._sink) this._handOn(this._sink, last);
    else if (last) return this._assembled();
    return undefined;
  }

  /** Lets go of the message under way. */
  _reset(): void {
    this._opcode = DataFrames.cont;
    this._buffer = NOTHING;
    this._length = this._checked = 0;
    this._sink = undefined;
  }

  /** The message under way, or else the next one, goes to this sink. */
  _divert(next: PieceSink): void {
    if (!this._open || this._sink) this._wanted = next;
    else {
      this._sink = next;
      next.begin();
      this._handOn(next, false);
    }
  }

  /** Nothing goes to this sink any more; what is left of its message is dropped. */
  _undivert(dropped: PieceSink): void {
    if (this._wanted === dropped) this._wanted = undefined;
    if (this._sink === dropped) {
      this._sink = { maxPayload: dropped.maxPayload, begin: noop, piece: noop, end: noop };
    }
  }

  get _isText(): boolean {
    return this._opcode === DataFrames.text;
  }

  /** What comes at once needs no memory of ours. */
  _whole(chunk: Buffer, from: number, to: number): Message {
    const asText = this._isText;
    this._reset();
    if (!asText) return copyOf(chunk, from, to);
    const text = decodeUtf8(chunk, from, to);
    if (text === undefined) throw notUtf8(chunk.subarray(from, to));
    return text;
  }

  _assembled(): Message {
    const data = this._buffer.subarray(0, this._length);
    const spare = this._buffer.length - this._length;
    const asText = this._isText;
    this._reset();
    if (asText) return guarded(() => data.toString(), data.length);
    // A message must not keep alive much more memory than it shows.
    return spare * 3 > data.length ? Buffer.from(data) : data;
  }

  _append(chunk: Buffer, from: number, to: number): void {
    const needed = this._length + (to - from);
    if (needed > this._buffer.length) this._grow(needed);
    chunk.copy(this._buffer, this._length, from, to);
    this._length = needed;
  }

  /** Memory follows the bytes that came, not those that a frame announces. */
  _grow(needed: number): void {
    const before = this._buffer;
    const ahead = this._sink ? 0 : Math.min(this._bytes, Math.max(AT_ONCE, needed * 4));
    const doubled = Math.min(before.length * 2, this._numbers.maxPayload);
    const size = Math.max(needed, ahead, doubled);
    this._buffer = guarded(() => Buffer.allocUnsafe(size), size);
    before.copy(this._buffer, 0, 0, this._length);
  }

  _check(last: boolean): void {
    const valid = checkUtf8(this._buffer, this._checked, this._length);
    if (valid < 0 || (last && valid !== this._length)) {
      throw notUtf8(this._buffer.subarray(this._checked, this._length));
    }
    this._checked = valid;
  }

  _handOn(to: PieceSink, last: boolean): void {
    const ready = this._isText ? this._checked : this._length;
    const piece = this._buffer.subarray(0, ready);
    if (ready > 0) {
      const own = this._isText ? piece.toString() : Buffer.from(piece);
      this._buffer.copyWithin(0, ready, this._length);
      this._length -= ready;
      this._checked = 0;
      to.piece(own);
    }
    if (last) {
      this._reset();
      to.end();
    }
  }
}

/** @throws FrameError with 1009 */
export function checkSize(bytes: number, most: number): void {
  if (bytes > most) throw tooBig(`a message of ${bytes} bytes, above maxPayload ${most}`);
}

/** Buffers and strings have limits of their own. */
export function guarded<T>(make: () => T, bytes: number): T {
  try {
    return make();
  } catch (cause) {
    throw tooBig(`a message of ${bytes} bytes does not fit into memory`, cause);
  }
}

function tooBig(message: string, cause?: unknown): FrameError {
  return new FrameError('ERR_FRAME_TOO_BIG', message, StatusCodes.messageTooBig, { cause });
}

/** The error for text that is not UTF-8, with 1007. */
export const notUtf8 = (bytes: Uint8Array, what = 'text'): FrameError =>
  protocolError(
    `${what} that is not UTF-8`,
    bytes.subarray(0, 16),
    'ERR_FRAME_UTF8',
    StatusCodes.invalidPayload,
  );

/** The error for what the protocol does not allow, with 1002 unless told otherwise. */
export function protocolError(
  what: string,
  bytes: Uint8Array | number[],
  code: ErrorCode = 'ERR_FRAME_PROTOCOL',
  closeCode = StatusCodes.protocolError,
): FrameError {
  const shown = Buffer.from(bytes).toString('hex', 0, 16);
  return new FrameError(code, `the server sent ${what} (bytes ${shown})`, closeCode);
}
