/**
 * Payloads become messages: fragments are joined, limits kept, UTF-8 checked as it comes.
 * @packageDocumentation
 */
import { DataFrames, StatusCodes } from './enumerations.js';
import { FrameError } from './exceptions.js';
import type { Message } from './parts.js';
import { checkUtf8, decodeUtf8 } from './utf8.js';

/** Takes a message in pieces, as they arrive. */
export interface PieceSink {
  /** Most bytes of the message, in place of the option `maxPayload`. */
  readonly maxPayload?: number | undefined;
  /** The message begins. */
  begin(isBinary: boolean): void;
  /** A piece: a string of whole characters, or a Buffer of its own. Never empty. */
  piece(piece: Message): void;
  /** The message is whole. */
  end(): void;
}

const nothing = (): void => undefined;
const DROP: PieceSink = { begin: nothing, piece: nothing, end: nothing };
const NOTHING: Buffer = Buffer.alloc(0);
/** A message that is announced to be no longer gets all its memory at once. */
const AT_ONCE = 1_048_576;

/** The message that is being received. */
export class Assembly {
  readonly #maxPayload: number;
  readonly #maxFragments: number;
  #opcode = DataFrames.cont;
  #fragments = 0;
  /** Bytes announced by the frames so far. */
  #announced = 0;
  #buffer = NOTHING;
  #length = 0;
  /** Bytes of text before this are valid UTF-8. */
  #checked = 0;
  #wanted: PieceSink | undefined;
  #sink: PieceSink | undefined;

  constructor(maxPayload: number, maxFragments: number) {
    this.#maxPayload = maxPayload;
    this.#maxFragments = maxFragments;
  }

  /** Whether a message has begun and not ended. */
  get open(): boolean {
    return this.#opcode !== DataFrames.cont;
  }

  /** Payload bytes of the message, announced so far. */
  get bytes(): number {
    return this.#announced;
  }

  /** The first frame of a message. */
  begin(opcode: DataFrames): void {
    this.#opcode = opcode;
    this.#fragments = 0;
    this.#announced = 0;
    this.#checked = 0;
    if (this.#wanted !== undefined) {
      this.#sink = this.#wanted;
      this.#wanted = undefined;
      this.#sink.begin(opcode === DataFrames.binary);
    }
  }

  /** A frame of the message announces its payload: the limits are kept before it comes. */
  announce(length: number): void {
    this.#announced += length;
    const most = this.#sink?.maxPayload ?? this.#maxPayload;
    if (this.#announced > most) {
      const bytes = String(this.#announced);
      throw tooBig(`a message of ${bytes} bytes or more; maxPayload is ${String(most)}`);
    }
    if (++this.#fragments > this.#maxFragments) {
      throw new FrameError(
        'ERR_FRAME_TOO_MANY_FRAGMENTS',
        `a message of more than ${String(this.#maxFragments)} fragments (maxFragments)`,
        StatusCodes.policyViolation,
      );
    }
  }

  /**
   * Takes payload bytes, which are copied.
   * @param last whether they end the message
   * @returns the message, once whole, unless it is diverted
   */
  take(chunk: Buffer, from: number, to: number, last: boolean): Message | undefined {
    if (last && this.#length === 0 && this.#sink === undefined) {
      return this.#whole(chunk, from, to);
    }
    this.#append(chunk, from, to);
    const isText = this.#opcode === DataFrames.text;
    if (isText) this.#check(last);
    if (this.#sink !== undefined) {
      this.#handOn(this.#sink, last);
      return undefined;
    }
    if (!last) return undefined;
    const data = this.#buffer;
    const length = this.#length;
    this.reset();
    if (isText) return decodeChecked(data, length);
    // A message must not keep alive much more memory than it shows.
    const shown = data.subarray(0, length);
    return length < data.length - (data.length >> 2) ? Buffer.from(shown) : shown;
  }

  /** Lets go of the message under way. */
  reset(): void {
    this.#opcode = DataFrames.cont;
    this.#buffer = NOTHING;
    this.#length = 0;
    this.#sink = undefined;
  }

  /** The message under way, or else the next one, goes to this sink. */
  divert(sink: PieceSink): void {
    if (!this.open || this.#sink !== undefined) {
      this.#wanted = sink;
      return;
    }
    this.#sink = sink;
    sink.begin(this.#opcode === DataFrames.binary);
    this.#handOn(sink, false);
  }

  /** Nothing goes to this sink any more; what is left of its message is dropped. */
  undivert(sink: PieceSink): void {
    if (this.#wanted === sink) this.#wanted = undefined;
    if (this.#sink === sink) this.#sink = { ...DROP, maxPayload: sink.maxPayload };
  }

  /** A message that one chunk holds whole: no copy but the one the user gets. */
  #whole(chunk: Buffer, from: number, to: number): Message {
    const isText = this.#opcode === DataFrames.text;
    this.#opcode = DataFrames.cont;
    if (isText) return decodeUtf8(chunk, from, to) ?? invalidUtf8(chunk, from, to);
    const data = Buffer.allocUnsafe(to - from);
    chunk.copy(data, 0, from, to);
    return data;
  }

  #append(chunk: Buffer, from: number, to: number): void {
    const length = this.#length + (to - from);
    if (length > this.#buffer.length) this.#grow(length);
    chunk.copy(this.#buffer, this.#length, from, to);
    this.#length = length;
  }

  /** Memory follows the bytes that came, not those that a frame announces. */
  #grow(length: number): void {
    const size =
      this.#sink !== undefined || this.#announced < length
        ? length
        : Math.min(this.#announced, Math.max(AT_ONCE, length * 4));
    const doubled = Math.max(size, Math.min(this.#buffer.length * 2, this.#maxPayload), length);
    const buffer = allocate(doubled);
    this.#buffer.copy(buffer, 0, 0, this.#length);
    this.#buffer = buffer;
  }

  #check(last: boolean): void {
    const valid = checkUtf8(this.#buffer, this.#checked, this.#length);
    if (valid < 0 || (last && valid !== this.#length)) {
      invalidUtf8(this.#buffer, this.#checked, this.#length);
    }
    this.#checked = valid;
  }

  #handOn(sink: PieceSink, last: boolean): void {
    const isText = this.#opcode === DataFrames.text;
    const ready = isText ? this.#checked : this.#length;
    if (ready > 0) {
      const piece = isText
        ? this.#buffer.toString('utf8', 0, ready)
        : Buffer.from(this.#buffer.subarray(0, ready));
      this.#buffer.copyWithin(0, ready, this.#length);
      this.#length -= ready;
      this.#checked = 0;
      sink.piece(piece);
    }
    if (last) {
      this.reset();
      sink.end();
    }
  }
}

/** Text that has been checked piece by piece. */
function decodeChecked(bytes: Buffer, length: number): string {
  try {
    return bytes.toString('utf8', 0, length);
  } catch (cause) {
    throw tooBig(`text of ${String(length)} bytes is longer than a string can be`, cause);
  }
}

function allocate(size: number): Buffer {
  try {
    return size <= 4096 ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size);
  } catch (cause) {
    throw tooBig(`no memory for a message of ${String(size)} bytes`, cause);
  }
}

function tooBig(message: string, cause?: unknown): FrameError {
  return new FrameError('ERR_FRAME_TOO_BIG', message, StatusCodes.messageTooBig, { cause });
}

function invalidUtf8(bytes: Buffer, from: number, to: number): never {
  const shown = bytes.subarray(from, Math.min(to, from + 16)).toString('hex');
  throw new FrameError(
    'ERR_FRAME_UTF8',
    `the server sent text that is not UTF-8 (from bytes ${shown})`,
    StatusCodes.invalidPayload,
  );
}
