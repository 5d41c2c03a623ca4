/**
 * Payloads become messages (RFC 6455 section 5.4): fragments are joined, limits are kept, and UTF-8
 * is checked as it arrives.
 * @packageDocumentation
 */
import { Buffer, NOTHING } from './builtins.js';
import { DataFrames, StatusCodes } from './enumerations.js';
import type { FrameError } from './exceptions.js';
import type { Numbers } from './options.js';
import type { Message } from './parts.js';
import { checkUtf8, decodeUtf8 } from './utf8.js';
import { copyOf, frameError, noop, type FrameErrorCode } from './values.js';

/** Takes a message in pieces, as they arrive. Its methods must not throw. */
export interface PieceSink {
  /** Most bytes of the message, in place of the option `maxPayload`. */
  readonly maxPayload?: number | undefined;
  /** The message begins. */
  begin: () => void;
  /** A piece: a string of whole characters, or a Buffer of its own. Never empty. */
  piece: (piece: Message) => void;
  /** The message is whole; or, with an error, will never be, as what follows broke the protocol. */
  end: (error?: unknown) => void;
}

/** A message of which no more than this is announced gets all its memory at once. */
const PREALLOCATED = 1_048_576;

/** A message that comes in parts: of several frames, of several chunks, or from an extension. */
export class Assembly {
  declare readonly _numbers: Numbers;
  _opcode = DataFrames.cont;
  _fragments = 0;
  /** Payload bytes of its frames so far, as they announce them. */
  _frameBytes = 0;
  /** Decoded bytes of the message so far; counted before they are added. */
  _bytes = 0;
  _buffer: Buffer = NOTHING;
  _length = 0;
  /** Bytes of text before this are valid UTF-8. */
  _checked = 0;
  /** Who gets the next message in pieces, and who the one under way. */
  _nextSink: PieceSink | undefined;
  _sink: PieceSink | undefined;

  constructor(numbers: Numbers) {
    this._numbers = numbers;
  }

  /** Whether a message has begun and not ended. */
  get _isOpen(): boolean {
    return this._opcode !== DataFrames.cont;
  }

  /** Most bytes that the message may have. */
  get _maxPayload(): number {
    return this._sink?.maxPayload ?? this._numbers.maxPayload;
  }

  /** The first frame of a message begins. */
  _begin(opcode: DataFrames): void {
    this._opcode = opcode;
    this._fragments = this._frameBytes = this._bytes = 0;
    this._sink = this._nextSink;
    this._nextSink = undefined;
    this._sink?.begin();
  }

  /** A frame of the message begins, with so many payload bytes; an empty one counts, too. */
  _countFragment(bytes: number): void {
    const { maxFragments } = this._numbers;
    if (++this._fragments > maxFragments) {
      throw frameError(
        'TOO_MANY_FRAGMENTS',
        `a message of more than ${maxFragments} fragments (maxFragments)`,
        StatusCodes.policyViolation,
      );
    }
    this._frameBytes += bytes;
    // No message within the limit takes more, however badly it is compressed.
    if (this._frameBytes > this._maxPayload * 2 + PREALLOCATED) {
      checkSize(this._frameBytes, this._maxPayload);
    }
  }

  /** Bytes of the message are about to come: checked before they take memory. */
  _countBytes(bytes: number): void {
    this._bytes += bytes;
    checkSize(this._bytes, this._maxPayload);
  }

  /** Adds bytes of the message, which are copied. Returns it, once it is whole and not diverted. */
  _add(chunk: Buffer, from: number, to: number, last: boolean): Message | undefined {
    // Counted already; a sink that came within the message may allow less.
    this._countBytes(0);
    if (last && this._length === 0 && !this._sink) return this._atOnce(chunk, from, to);
    this._append(chunk, from, to);
    if (this._isText) this._checkText(last);
    if (this._sink) this._passOn(this._sink, last);
    else if (last) return this._assembled();
    return undefined;
  }

  /** Drops the message under way. */
  _reset(): void {
    this._opcode = DataFrames.cont;
    this._buffer = NOTHING;
    this._length = this._checked = 0;
    this._sink = undefined;
  }

  /** The message under way, or else the next one, goes to this sink. */
  _divert(next: PieceSink): void {
    if (!this._isOpen || this._sink) this._nextSink = next;
    else {
      this._sink = next;
      next.begin();
      if (this._bytes <= this._maxPayload) this._passOn(next, false);
    }
  }

  /** Nothing goes to this sink any more; what is left of its message is dropped. */
  _undivert(dropped: PieceSink): void {
    if (this._nextSink === dropped) this._nextSink = undefined;
    if (this._sink === dropped) {
      this._sink = { maxPayload: dropped.maxPayload, begin: noop, piece: noop, end: noop };
    }
  }

  get _isText(): boolean {
    return this._opcode === DataFrames.text;
  }

  /** A message that comes all at once needs no buffer here. */
  _atOnce(chunk: Buffer, from: number, to: number): Message {
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
    // A message that is kept must not keep alive much more memory than its own bytes.
    return spare * 3 > data.length ? Buffer.from(data) : data;
  }

  _append(chunk: Buffer, from: number, to: number): void {
    const needed = this._length + (to - from);
    if (needed > this._buffer.length) this._grow(needed);
    chunk.copy(this._buffer, this._length, from, to);
    this._length = needed;
  }

  /** Memory grows with the bytes that have come: a frame may announce many, and never send them. */
  _grow(needed: number): void {
    const before = this._buffer;
    const ahead = this._sink ? 0 : Math.min(this._bytes, Math.max(PREALLOCATED, needed * 4));
    const doubled = Math.min(before.length * 2, this._numbers.maxPayload);
    const size = Math.max(needed, ahead, doubled);
    this._buffer = guarded(() => Buffer.allocUnsafe(size), size);
    before.copy(this._buffer, 0, 0, this._length);
  }

  _checkText(last: boolean): void {
    const valid = checkUtf8(this._buffer, this._checked, this._length);
    if (valid < 0 || (last && valid !== this._length)) {
      throw notUtf8(this._buffer.subarray(this._checked, this._length));
    }
    this._checked = valid;
  }

  _passOn(to: PieceSink, last: boolean): void {
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

/** @throws FrameError with 1009 where a Buffer or string of that size cannot be made */
export function guarded<T>(make: () => T, bytes: number): T {
  try {
    return make();
  } catch (cause) {
    throw tooBig(`a message of ${bytes} bytes does not fit into memory`, cause);
  }
}

function tooBig(message: string, cause?: unknown): FrameError {
  return frameError('TOO_BIG', message, StatusCodes.messageTooBig, cause);
}

/** The error for text that is not UTF-8, with 1007. */
export const notUtf8 = (bytes: Uint8Array, what = 'text'): FrameError =>
  protocolError(
    `${what} that is not UTF-8`,
    bytes.subarray(0, 16),
    'UTF8',
    StatusCodes.invalidPayload,
  );

/** The error for what the protocol does not allow, with 1002 unless told otherwise. */
export function protocolError(
  what: string,
  bytes: Uint8Array | number[],
  code: FrameErrorCode = 'PROTOCOL',
  closeCode = StatusCodes.protocolError,
): FrameError {
  const shown = Buffer.from(bytes).toString('hex', 0, 16);
  return frameError(code, `the server sent ${what} (bytes ${shown})`, closeCode);
}
