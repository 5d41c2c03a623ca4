/**
 * Frames: bytes become messages, messages become bytes (RFC 6455 section 5). Owns no socket.
 * Mirrors `aiowebsocket/freams.py`, whose spelling the file's name keeps.
 * @packageDocumentation
 */
import type { Writable } from 'node:stream';
import { Buffer, EventEmitter, NOTHING, setImmediate } from './builtins.js';
import { Assembly, checkSize, notUtf8, protocolError, type PieceSink } from './assemblies.js';
import { bytesFromChunk, textFromChunk, useChunk } from './chunks.js';
import { ControlFrames, DataFrames, isCloseCode, StatusCodes } from './enumerations.js';
import { type FrameError, InvalidStateError } from './exceptions.js';
import { maskBytes, maskingKey } from './masks.js';
import { checkOptions, FRAMES_KINDS, type LimitOptions, type Numbers } from './options.js';
import { flush, headerSize, Output, packBytes, packHeader, packText, uncork } from './outputs.js';
import type { ByteSink, Extension, Message } from './parts.js';
import { PullQueue } from './queues.js';
import { HOST, WAITS } from './symbols.js';
import { decodeUtf8 } from './utf8.js';
import {
  bytesOf,
  connectionClosed,
  controlPayload,
  describeValue,
  emitSafely,
  isFunction,
  isString,
  mustBe,
  ownOf,
  requireBytes,
  throwLater,
  wrongValue,
} from './values.js';

/** What {@link Frames} emits. */
export interface FramesEvents {
  /** A whole message: text as a string, binary as a Buffer of its own. */
  message: [data: Message, isBinary: boolean];
  /** A ping; the codec itself never answers. */
  ping: [payload: Buffer];
  /** A pong, asked for or not. */
  pong: [payload: Buffer];
  /** Parsing has to wait, or can go on: a large message is worked on in slices. */
  flow: [waits: boolean];
  /** A large message, worked on in slices after `feed()` had returned, broke the protocol. */
  error: [error: FrameError];
  /** The peer's Close frame, 1005 when it was empty. Nothing is parsed after it. */
  close: [code: number, reason: string];
}

/** What {@link Frames} takes. */
export interface FramesOptions extends LimitOptions {
  /** The extension that was negotiated. @default none */
  extension?: Extension | undefined;
}

/** @internal */
export type OtherEvent = Exclude<keyof FramesEvents, 'message'>;

/** @internal Told of everything before the listeners are: the connection. */
export interface FramesHost {
  _onMessage: (data: Message, bytes: number) => void;
  /** Any event but `message`. */
  _onEvent: <E extends OtherEvent>(event: E, ...args: FramesEvents[E]) => void;
  _onResumed: () => void;
}

/** Takes packed frames; each call gets bytes of its own. The original's `writer`. */
export type FramesWrite = (bytes: Buffer) => unknown;

/** The head of a frame (RFC 6455 section 5.2). One object, filled anew for each frame. */
export interface FrameHead {
  /** Whether the frame ends its message. */
  fin: boolean;
  /** The reserved bits in place: RSV1 is 0x40. */
  rsv: number;
  /** What the payload is: one of DataFrames or ControlFrames. */
  opcode: number;
  /** Payload bytes. */
  length: number;
}

const FIN = 0x80;
const RSV = 0x70;

/** Why parsing stops: `pause()` was called; */
const PAUSED = 1;
/** the rest of a large message waits for its turn; */
const SLICED = 2;
/** the stream has ended or failed: nothing is parsed any more. */
const ENDED = 4;

const NO_WRITER = {
  write(): never {
    throw new InvalidStateError('these frames have no writer: use packMessage()');
  },
};

const keepBytes = (write: FramesWrite): ByteSink => ({
  write: (bytes) => {
    write(Buffer.from(bytes));
    return true;
  },
});

const isStream = (sink: object): sink is Writable => 'pipe' in sink;

/**
 * The codec of a client. Feed it what the peer sent; it emits messages and control frames. Write
 * messages to it; it hands masked frames to the `write` function it was given.
 */
export class Frames extends EventEmitter<FramesEvents> {
  readonly #output: Output;
  readonly #numbers: Numbers;
  readonly #extension: Extension | undefined;
  /** Joins messages that do not come in one frame of one chunk; made for the first of them. */
  #assembly: Assembly | undefined;
  #host: FramesHost | undefined;
  /** The frame that is being read. */
  protected readonly frame: FrameHead = { fin: true, rsv: 0, opcode: 0, length: 0 };
  #chunk = NOTHING;
  #at = 0;
  /** What has been fed and is not parsed yet. */
  #rest = NOTHING;
  /** What is left of a large message, until all of it is decoded, and whether that ends it. */
  #later: [rest: Buffer, last: boolean] | undefined;
  #parsing = false;
  /** Why parsing stops now: any of PAUSED, SLICED and ENDED. */
  #stops = 0;
  /** A header that the chunk's end cut off: its bytes so far. */
  #header = NOTHING;
  /** Payload bytes of the frame that are still to come; -1 between frames. */
  #remaining = -1;
  /** Whether the frame is a message by itself, and the chunk holds all of it. */
  #inPlace = false;
  #controlPayload = NOTHING;
  /** Whether the message under way is to be decoded by the extension. */
  #encoded = false;
  #queue: PullQueue<Message> | undefined;

  /**
   * @param write takes packed frames, where any are to be written: a function or a stream, which
   * get bytes of their own, or a {@link ByteSink}, which gets bytes on loan
   * @param options limits
   * @throws {TypeError} or RangeError for `write` or options that cannot be
   */
  constructor(write: FramesWrite | ByteSink = NO_WRITER, options: FramesOptions = {}) {
    super();
    const sink = isFunction(write) ? keepBytes(write) : write;
    if (!isFunction((sink as unknown as ByteSink | undefined)?.write)) {
      throw mustBe('write', 'a function, a ByteSink or a stream', write);
    }
    // The result of a stream's `write` is no ByteSink's, and it keeps what it is given: it gets
    // copies.
    this.#output = new Output(isStream(sink) ? keepBytes((bytes) => sink.write(bytes)) : sink);
    this.#numbers = checkOptions(options, FRAMES_KINDS);
    this.#extension = ownOf(options).extension;
  }

  /** @internal Who is told of everything before the listeners are. */
  set [HOST](host: FramesHost) {
    this.#host = host;
  }

  /** @internal Whether bytes wait to be parsed. */
  get [WAITS](): boolean {
    return this.#rest.length > 0 || !!this.#later;
  }

  // ---- bytes in ----

  /**
   * Parses what the peer sent, in order with what it was fed before, and emits what it completes.
   * The chunk may be reused once the call returns.
   * @returns false while paused: what is left is kept, and parsed by `resume()`
   * @throws {FrameError} at the first byte that breaks the protocol; nothing is taken afterwards.
   * TypeError for what is no bytes
   */
  feed(chunk: Uint8Array): boolean {
    const bytes = bytesOf(chunk);
    if (!bytes) throw mustBe('chunk', 'bytes', chunk);
    if (this.#stops & ENDED) return true;
    if (this.paused || this.#parsing) this.#rest = Buffer.concat([this.#rest, bytes]);
    else this.#parse(bytes);
    return !this.paused;
  }

  /** Stops parsing, behind the frame whose event is being emitted, until `resume()`. */
  pause(): void {
    this.#stops |= PAUSED;
  }

  /**
   * Goes on, with what has been fed meanwhile.
   * @throws {FrameError} as `feed()` does
   */
  resume(): void {
    this.#stops &= ~PAUSED;
    if (this.#parsing || this.paused) return;
    if (this.#later) {
      this.#decodeLater(...this.#later);
      return;
    }
    const rest = this.#rest;
    this.#rest = NOTHING;
    if (rest.length > 0) this.#parse(rest);
    this.#host?._onResumed();
  }

  /** Whether parsing waits, for `resume()` or for a large message to be worked through. */
  get paused(): boolean {
    return (this.#stops & (PAUSED | SLICED)) > 0;
  }

  /**
   * Parses nothing any more, and drops what is unfinished; `read()` rejects with the error, or
   * with an InvalidStateError.
   */
  stop(error?: Error): void {
    // Whoever is told may stop it again.
    const sink = error && this.#assembly?._sink;
    this.#ensureQueue()._end(error ?? new InvalidStateError('these frames are stopped'));
    this.#stops |= ENDED;
    this.#rest = NOTHING;
    this.#later = undefined;
    this.#assembly?._reset();
    sink?.end(error);
    this.#extension?.close();
    this.#endSlices();
    this.#host?._onResumed();
  }

  /**
   * Has the message under way, or else the next one, go to the sink in pieces, as they arrive;
   * `deliver()` is not called for it.
   */
  divert(sink: PieceSink): void {
    this.#ensureAssembly()._divert(sink);
  }

  /** The message no longer goes to this sink; what comes of it is dropped. */
  undivert(sink: PieceSink): void {
    this.#assembly?._undivert(sink);
  }

  /**
   * The next message, for those who drive Frames by hand: they feed it, and read here. Messages
   * that come while nobody reads and no `message` listener is attached are kept for it.
   * @throws {ConnectionClosed} after the peer's Close frame; {@link FrameError} once the protocol
   * was broken; InvalidStateError after `stop()`
   */
  read(): Promise<Message> {
    return new Promise((_resolve, _reject) => {
      this.#ensureQueue()._wait({ _resolve, _reject });
    });
  }

  // ---- messages out ----

  /**
   * Packs one frame, masked with a fresh key, for those who use Frames without a writer.
   * @param fin whether it ends its message
   * @param code its opcode
   * @param message a string, or bytes
   * @param rsv reserved bits in place: RSV1 is 0x40
   * @throws {RangeError} or TypeError as {@link write} does
   */
  packMessage(fin: boolean, code: number, message: string | Uint8Array, rsv = 0): Buffer {
    const data = payloadOf(code, message);
    const { length } = data;
    const frame = Buffer.allocUnsafe(headerSize(length) + length);
    const key = maskingKey();
    const at = packHeader(frame, 0, firstByte(fin, code, rsv), length, key);
    data.copy(frame, at);
    maskBytes(frame, at, length, key);
    return frame;
  }

  /**
   * Packs one frame and hands it to the writer: the first of a turn of the event loop at once, the
   * others at its end. The message's bytes are copied.
   * @param fin whether it ends its message
   * @param code its opcode
   * @param message a string, or bytes
   * @param rsv reserved bits in place: RSV1 is 0x40
   * @throws {RangeError} for no opcode, a fragmented control frame, or one of more than 125 bytes;
   * TypeError for what is no message; InvalidStateError where there is no writer
   */
  write(fin: boolean, code: number, message: string | Uint8Array, rsv = 0): void {
    if (this.#output._byteSink === NO_WRITER) NO_WRITER.write();
    const first = firstByte(fin, code, rsv);
    if (typeof message === 'string' && code < ControlFrames.close) {
      packText(this.#output, first, message);
    } else packBytes(this.#output, first, payloadOf(code, message));
  }

  /**
   * Sends a pong (RFC 6455 section 5.5.3).
   * @throws as {@link write} does
   */
  pong(payload: string | Uint8Array = NOTHING): void {
    this.write(true, ControlFrames.pong, payload);
  }

  /** Writes what is packed, without waiting for the end of the turn. */
  flush(): void {
    flush(this.#output);
  }

  /** Bytes packed and not yet written; short texts among them are counted as if they were ASCII. */
  get pending(): number {
    return this.#output._pending;
  }

  /**
   * Masks or unmasks bytes in place (RFC 6455 section 5.3).
   * @param key the four bytes of the masking key
   * @returns `data`
   * @throws {RangeError} for a key of another length
   */
  static messageMask(data: Uint8Array, key: Uint8Array): Uint8Array {
    if (key.length !== 4) throw mustBe('key', '4 bytes', key.length, wrongValue);
    maskBytes(data, 0, data.length, Buffer.from(key).readInt32LE());
    return data;
  }

  // ---- hooks ----

  /** A whole message has come, of so many payload bytes. Emits it, or keeps it for `read()`. */
  protected deliver(data: Message, isBinary: boolean, bytes: number): void {
    if (this.#queue?._offer(data)) return;
    this.#host?._onMessage(data, bytes);
    let heard = true;
    try {
      heard = this.emit('message', data, isBinary);
    } catch (error) {
      throwLater(error);
    }
    if (!heard && !this.#host) this.#ensureQueue()._keep(data, bytes);
  }

  /** A control frame has come (RFC 6455 section 5.5). */
  protected extraOperation(code: number, payload: Buffer): void {
    if (code === ControlFrames.close) this.receiveClose(payload);
    else this.#tell(code === ControlFrames.ping ? 'ping' : 'pong', payload);
  }

  /** A Close frame has come: checks it, and emits `close` (RFC 6455 section 5.5.1). */
  protected receiveClose(payload: Buffer): void {
    const { length } = payload;
    const code = length > 1 ? payload.readUInt16BE() : (payload[0] ?? StatusCodes.noStatus);
    if (length > 0 && !isCloseCode(code)) {
      throw protocolError(`a Close frame with the invalid code ${code}`, payload);
    }
    const reason = decodeUtf8(payload, 2, length);
    if (reason === undefined) throw notUtf8(payload, 'a close reason');
    this.stop(connectionClosed(code, reason));
    this.#tell('close', code, reason);
  }

  /**
   * Reads the head of a frame into {@link frame} and checks it, each byte as soon as it is there.
   * @returns false when more bytes are needed
   */
  protected unpackFrame(): boolean {
    const chunk = this.#chunk;
    const at = this.#at;
    const second = chunk[at + 1] as number;
    // Past the end it is undefined, and the header too long for the chunk as well.
    if (this.#header.length > 0 || at + unmaskedHeaderSize(second) > chunk.length) {
      return this.#collectHeader();
    }
    this.#at = at + unmaskedHeaderSize(second);
    this.#checkFirstByte(chunk[at] as number);
    this.#checkSecondByte(second);
    this.#beginPayload(chunk, at);
    return true;
  }

  // ---- the parser ----

  #parse(chunk: Buffer): void {
    this.#parsing = true;
    this.#output._corks++;
    try {
      // What listeners feed meanwhile comes behind what is being parsed.
      for (this.#rest = chunk; this.#rest.length > 0 && this.#stops === 0;) this.#parseRest();
    } catch (error) {
      this.stop(error as Error);
      throw error;
    } finally {
      this.#parsing = false;
      this.#chunk = NOTHING;
      useChunk();
      uncork(this.#output);
    }
  }

  #parseRest(): void {
    const chunk = this.#rest;
    this.#chunk = chunk;
    this.#rest = NOTHING;
    this.#at = 0;
    useChunk(chunk);
    while (this.#at < chunk.length && this.#stops === 0) {
      if ((this.#remaining >= 0 || this.unpackFrame()) && this.#stops < ENDED) this.#takePayload();
    }
    if (this.#at < chunk.length && (this.#stops & ENDED) === 0) {
      this.#rest = Buffer.concat([chunk.subarray(this.#at), this.#rest]);
    }
  }

  /** Collects, byte by byte, a header that the end of a chunk cuts off. */
  #collectHeader(): boolean {
    while (this.#at < this.#chunk.length) {
      const byte = this.#chunk[this.#at++] as number;
      const head = Buffer.from([...this.#header, byte]);
      this.#header = head;
      if (head.length === 1) this.#checkFirstByte(byte);
      if (head.length === 2) this.#checkSecondByte(byte);
      if (head.length === unmaskedHeaderSize(head[1] as number)) {
        this.#header = NOTHING;
        this.#beginPayload(head, 0);
        return true;
      }
    }
    return false;
  }

  /** FIN, RSV and opcode (RFC 6455 sections 5.2, 5.4, 5.5). */
  #checkFirstByte(first: number): void {
    const { frame } = this;
    const opcode = first & 0x0f;
    frame.fin = first >= FIN;
    frame.rsv = first & RSV;
    frame.opcode = opcode;
    if (!isOpcode(opcode)) throw protocolError('a reserved opcode', [first]);
    const extended = frame.rsv === this.#extension?.rsv && (opcode === 1 || opcode === 2);
    if (frame.rsv > 0 && !extended) throw protocolError('a reserved bit of no extension', [first]);
    if (opcode >= ControlFrames.close) {
      if (!frame.fin) throw protocolError('a fragmented control frame', [first]);
    } else if ((opcode === DataFrames.cont) !== (this.#assembly?._isOpen ?? false)) {
      throw protocolError(opcode > 0 ? 'a message within another' : 'a continuation of none', [
        first,
      ]);
    }
  }

  /** MASK, and the length of a control frame (RFC 6455 sections 5.1 and 5.5). */
  #checkSecondByte(second: number): void {
    if (second >= 0x80) throw protocolError('a masked frame', [second]);
    if (second > 125 && this.frame.opcode >= ControlFrames.close) {
      throw protocolError('a control frame of more than 125 bytes', [second]);
    }
  }

  /** The payload length (RFC 6455 section 5.2) and the limits, before any memory is spent. */
  #beginPayload(head: Buffer, at: number): void {
    const { frame } = this;
    const short = head[at + 1] as number;
    let length = short;
    if (short > 125) {
      // Read as signed, a length of 2^63 or more is negative, which is refused as is one not
      // minimal.
      length = short === 126 ? head.readUInt16BE(at + 2) : Number(head.readBigInt64BE(at + 2));
      if (length < (short === 126 ? 126 : 65_536)) {
        throw protocolError('a length that is not minimal, or above 2^63', head.subarray(at));
      }
    }
    frame.length = length;
    this.#remaining = length;
    const { opcode } = frame;
    if (opcode >= ControlFrames.close) return;
    this.#inPlace =
      head === this.#chunk &&
      length <= head.length - this.#at &&
      opcode > DataFrames.cont &&
      frame.fin &&
      frame.rsv === 0 &&
      !this.#assembly?._nextSink;
    if (this.#inPlace) {
      checkSize(length, this.#numbers.maxPayload);
      return;
    }
    const assembly = this.#ensureAssembly();
    if (opcode > DataFrames.cont) {
      assembly._begin(opcode);
      this.#encoded = frame.rsv > 0;
    }
    assembly._countFragment(length);
    if (!this.#encoded) assembly._countBytes(length);
  }

  #takePayload(): void {
    const { fin, opcode } = this.frame;
    const chunk = this.#chunk;
    const from = this.#at;
    const to = Math.min(from + this.#remaining, chunk.length);
    this.#at = to;
    this.#remaining -= to - from;
    const ended = this.#remaining === 0;
    if (ended) this.#remaining = -1;
    if (opcode >= ControlFrames.close) {
      const payload = Buffer.concat([this.#controlPayload, chunk.subarray(from, to)]);
      this.#controlPayload = ended ? NOTHING : payload;
      if (ended) this.extraOperation(opcode, payload);
    } else if (this.#inPlace) {
      if (opcode === DataFrames.text) {
        const text = textFromChunk(chunk, from, to);
        if (text === undefined) throw notUtf8(chunk.subarray(from, to));
        this.deliver(text, false, to - from);
      } else this.deliver(bytesFromChunk(chunk, from, to), true, to - from);
    } else {
      const last = ended && fin;
      if (this.#encoded) this.#decode(chunk.subarray(from, to), last, true);
      else this.#deliverWhole(this.#ensureAssembly()._add(chunk, from, to, last));
    }
  }

  #deliverWhole(message: Message | undefined): void {
    if (message === undefined) return;
    this.deliver(message, !isString(message), this.#ensureAssembly()._bytes);
  }

  /** Has the extension decode payload bytes (`fresh`), or go on with those it left. */
  #decode(bytes: Buffer, last: boolean, fresh: boolean): void {
    const extension = this.#extension as Extension;
    const assembly = this.#ensureAssembly();
    let message: Message | undefined;
    let ended = false;
    const output = (piece: Buffer, done: boolean): void => {
      assembly._countBytes(piece.length);
      ended = last && done;
      message = assembly._add(piece, 0, piece.length, ended);
    };
    const rest = fresh
      ? extension.decode(bytes, last, assembly._maxPayload, output)
      : extension.resume(bytes, last, output);
    if (this.#stops & ENDED) return;
    if (rest) {
      this.#decodeLater(fresh ? Buffer.from(rest) : rest, last);
      return;
    }
    if (last && !ended) message = assembly._add(NOTHING, 0, 0, true);
    const waited = this.#stops & SLICED;
    this.#deliverWhole(message);
    this.#later = undefined;
    this.#endSlices();
    if (waited && !this.paused) this.resume();
  }

  #endSlices(): void {
    if (!(this.#stops & SLICED)) return;
    this.#stops &= ~SLICED;
    this.#tell('flow', false);
  }

  /** A large message must not keep other connections waiting: it goes on in the next turn. */
  #decodeLater(rest: Buffer, last: boolean): void {
    this.#later = [rest, last];
    if (!(this.#stops & SLICED)) {
      this.#stops |= SLICED;
      this.#tell('flow', true);
    }
    setImmediate(() => {
      if (this.#stops & ENDED) return;
      if (this.#stops & PAUSED) {
        this.#endSlices();
        return;
      }
      try {
        this.#decode(rest, last, false);
      } catch (error) {
        this.stop(error as Error);
        this.#tell('error', error as FrameError);
      }
    });
  }

  #tell<E extends OtherEvent>(event: E, ...args: FramesEvents[E]): void {
    this.#host?._onEvent(event, ...args);
    emitSafely(this, event, ...args);
  }

  #ensureAssembly(): Assembly {
    return (this.#assembly ??= new Assembly(this.#numbers));
  }

  #ensureQueue(): PullQueue<Message> {
    if (!this.#queue) {
      this.#queue = new PullQueue(this.#numbers, (full) => {
        if (full) this.pause();
        else {
          try {
            this.resume();
          } catch {
            // Readers are told of it behind what they are to be given still.
          }
        }
      });
    }
    return this.#queue;
  }
}

/** Bytes of the header of an unmasked frame, by its second byte (RFC 6455 section 5.2). */
function unmaskedHeaderSize(second: number): number {
  const length = second & 0x7f;
  return length < 126 ? 2 : length === 126 ? 4 : 10;
}

function isOpcode(code: number): boolean {
  return code === (code & 0xf) && (code & 7) < 3;
}

/** The first byte of an outgoing frame, checked (RFC 6455 sections 5.2, 5.4 and 5.5). */
function firstByte(fin: boolean, code: number, rsv: number): number {
  if (!isOpcode(code)) throw wrongValue(`code must be an opcode, got ${describeValue(code)}`);
  if (code >= ControlFrames.close && !fin) throw wrongValue('a control frame is never fragmented');
  return (fin ? FIN : 0) | (rsv & RSV) | code;
}

const payloadOf = (code: number, message: string | Uint8Array): Buffer =>
  code >= ControlFrames.close
    ? controlPayload(message, 'payload')
    : // Bytes are the common case.
      (bytesOf(message) ?? requireBytes(message, 'message'));
