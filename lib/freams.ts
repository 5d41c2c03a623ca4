/**
 * Frames: bytes become messages, messages become bytes (RFC 6455 section 5). Owns no socket.
 * Mirrors `aiowebsocket/freams.py`, whose spelling the file's name keeps.
 * @packageDocumentation
 */
import { EventEmitter } from 'eventemitter3';
import { ControlFrames, DataFrames, isCloseCode, StatusCodes } from './enumerations.js';
import { FrameError } from './exceptions.js';
import { Assembly, type PieceSink } from './assemblies.js';
import { maskBytes, maskingKey } from './masks.js';
import { headerSize, Output, packHeader } from './outputs.js';
import { numberOption, type LimitOptions } from './options.js';
import type { ByteSink, Message } from './parts.js';
import { bytesOf, controlPayload, describeValue, raise, wrongType, wrongValue } from './values.js';
import { PullQueue } from './queues.js';
import { decodeUtf8 } from './utf8.js';

/** What {@link Frames} emits. */
export interface FramesEvents {
  /** A whole message: text as a string, binary as a Buffer of its own. */
  message: [data: Message, isBinary: boolean];
  /** A ping; the codec itself never answers. */
  ping: [payload: Buffer];
  pong: [payload: Buffer];
  /** The peer's Close frame, 1005 when it was empty. Nothing is parsed after it. */
  close: [code: number, reason: string];
}

/** What {@link Frames} takes. */
export type FramesOptions = LimitOptions;

/** Takes packed frames; each call gets bytes of its own. The original's `writer`. */
export type FramesWrite = (bytes: Buffer) => unknown;

/** The head of a frame (RFC 6455 section 5.2). One object, filled anew for each frame. */
export interface FrameHead {
  fin: boolean;
  /** The reserved bits in place: RSV1 is 0x40. */
  rsv: number;
  opcode: number;
  /** Payload bytes. */
  length: number;
}

const NOTHING: Buffer = Buffer.alloc(0);
const FIN = 0x80;
const RSV = 0x70;
const LONGEST_HEAD = 10;

const keepBytes: (write: FramesWrite) => ByteSink = (write) => ({
  write: (bytes) => {
    write(Buffer.from(bytes));
    return true;
  },
});

/**
 * The codec of a client. Feed it what the peer sent; it emits messages and control frames. Write
 * messages to it; it hands masked frames to the `write` function it was given.
 */
export class Frames extends EventEmitter<FramesEvents> {
  readonly #output: Output;
  readonly #limits: Required<Record<keyof LimitOptions, number>>;
  readonly #assembly: Assembly;
  /** The frame that is being read. */
  protected readonly frame: FrameHead = { fin: true, rsv: 0, opcode: 0, length: 0 };
  #chunk = NOTHING;
  #at = 0;
  #rest = NOTHING;
  #parsing = false;
  #paused = false;
  #ended = false;
  /** A head that is cut off: its bytes so far, and how many it will have. */
  #head: Buffer | undefined;
  #headLength = 0;
  #headSize = 2;
  /** Payload bytes of the frame that have not come yet; -1 between frames. */
  #remaining = -1;
  #control: Buffer | undefined;
  #controlLength = 0;
  #messageBytes = 0;
  #pulls: PullQueue<Message> | undefined;

  /**
   * @param write takes packed frames: a function, which gets bytes of its own, or a
   * {@link ByteSink}, which gets bytes on loan
   * @param options limits
   */
  constructor(write: FramesWrite | ByteSink, options: FramesOptions = {}) {
    super();
    if (
      typeof write !== 'function' &&
      typeof (write as ByteSink | undefined)?.write !== 'function'
    ) {
      throw wrongType(`write must be a function or a ByteSink, got ${describeValue(write)}`);
    }
    this.#output = new Output(typeof write === 'function' ? keepBytes(write) : write);
    this.#limits = {
      maxPayload: numberOption(options, 'maxPayload'),
      maxFragments: numberOption(options, 'maxFragments'),
      maxQueue: numberOption(options, 'maxQueue'),
      maxQueueBytes: numberOption(options, 'maxQueueBytes'),
    };
    this.#assembly = new Assembly(this.#limits.maxPayload, this.#limits.maxFragments);
  }

  // ---- bytes in ----

  /**
   * Parses what the peer sent, in order with what it was fed before, and emits what it completes.
   * The chunk may be reused once the call returns.
   * @returns false while paused: what is left is kept, and parsed by `resume()`
   * @throws {FrameError} at the first byte that breaks the protocol; nothing is taken afterwards
   */
  feed(chunk: Uint8Array): boolean {
    const bytes = bytesOf(chunk);
    if (bytes === undefined) throw wrongType(`chunk must be bytes, got ${describeValue(chunk)}`);
    if (this.#ended) return true;
    if (this.#paused || this.#parsing) {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      return !this.#paused;
    }
    this.#parse(bytes);
    return !this.#paused;
  }

  /** Stops parsing at the end of the frame that is being told, until `resume()`. */
  pause(): void {
    this.#paused = true;
  }

  /**
   * Goes on with what was fed meanwhile.
   * @throws {FrameError} as `feed()` does
   */
  resume(): void {
    this.#paused = false;
    if (!this.#parsing && this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = NOTHING;
      this.#parse(rest);
    }
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Takes nothing any more, and lets go of what is unfinished. */
  stop(): void {
    this.#ended = true;
    this.#rest = NOTHING;
    this.#assembly.reset();
  }

  /** Payload bytes of the message that is being told. */
  get messageBytes(): number {
    return this.#messageBytes;
  }

  /** Hands the message under way, or else the next one, on in pieces as they arrive. */
  divert(sink: PieceSink): void {
    this.#assembly.divert(sink);
  }

  /** The message no longer goes to this sink; what comes of it is dropped. */
  undivert(sink: PieceSink): void {
    this.#assembly.undivert(sink);
  }

  /**
   * The next message, for those who drive Frames by hand: they feed it, and read here. Messages
   * that come while nobody reads and no `message` listener is attached are kept for it.
   */
  read(): Promise<Message> {
    const pulls = this.#pull();
    return new Promise((resolve, reject) => {
      pulls.wait({ give: resolve, fail: reject });
    });
  }

  // ---- messages out ----

  /**
   * Packs one frame, masked with a fresh key, for those who use Frames without a writer.
   * @param rsv reserved bits in place: RSV1 is 0x40
   */
  packMessage(fin: boolean, code: number, message: string | Uint8Array, rsv = 0): Buffer {
    const data = this.#payload(code, message);
    const { length } = data;
    const frame = Buffer.allocUnsafe(headerSize(length) + length);
    const key = maskingKey();
    const at = packHeader(frame, 0, this.#first(fin, code, rsv, length), length, key);
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
   */
  write(fin: boolean, code: number, message: string | Uint8Array, rsv = 0): void {
    if (typeof message === 'string' && code < ControlFrames.close) {
      this.#output.packText(this.#first(fin, code, rsv, 0), message);
      return;
    }
    const data = this.#payload(code, message);
    this.#output.packBytes(this.#first(fin, code, rsv, data.length), data);
  }

  /** Sends a pong (RFC 6455 section 5.5.3). */
  pong(payload: string | Uint8Array = NOTHING): void {
    this.write(true, ControlFrames.pong, payload);
  }

  /** Hands on what is packed, without waiting for the end of the turn. */
  flush(): void {
    this.#output.flush();
  }

  /** Bytes packed and not yet handed to the writer. */
  get pending(): number {
    return this.#output.pending;
  }

  /**
   * Masks or unmasks bytes in place (RFC 6455 section 5.3).
   * @param key the four bytes of the masking key
   */
  static messageMask(data: Uint8Array, key: Uint8Array): Uint8Array {
    if (key.length !== 4) throw wrongValue(`key must be 4 bytes, got ${String(key.length)}`);
    const word = Buffer.from(key.buffer, key.byteOffset, 4).readInt32LE();
    maskBytes(data, 0, data.length, word);
    return data;
  }

  // ---- hooks ----

  /** A whole message has come. Emits it, or keeps it for `read()`. */
  protected deliver(data: Message, isBinary: boolean, bytes: number): void {
    this.#messageBytes = bytes;
    if (this.#pulls?.offer(data)) return;
    let heard = true;
    try {
      heard = this.emit('message', data, isBinary);
    } catch (error) {
      raise(error);
    }
    if (!heard) this.#pull().keep(data, bytes);
  }

  /** A control frame has come (RFC 6455 section 5.5). */
  protected extraOperation(code: number, payload: Buffer): void {
    if (code === ControlFrames.close) {
      this.receiveClose(payload);
      return;
    }
    try {
      this.emit(code === ControlFrames.ping ? 'ping' : 'pong', payload);
    } catch (error) {
      raise(error);
    }
  }

  /** A Close frame has come: checks it, and emits `close` (RFC 6455 section 5.5.1). */
  protected receiveClose(payload: Buffer): void {
    let code: number = StatusCodes.noStatus;
    let reason: string | undefined = '';
    if (payload.length === 1) throw protocolError('a Close frame with a body of 1 byte', payload);
    if (payload.length >= 2) {
      code = payload.readUInt16BE();
      if (!isCloseCode(code)) {
        throw protocolError(`close code ${String(code)} must not be sent`, payload);
      }
      reason = decodeUtf8(payload, 2, payload.length);
      if (reason === undefined) {
        throw new FrameError(
          'ERR_FRAME_UTF8',
          `the server sent a Close frame whose reason is not UTF-8 (bytes ${payload.toString('hex')})`,
          StatusCodes.invalidPayload,
        );
      }
    }
    this.stop();
    try {
      this.emit('close', code, reason);
    } catch (error) {
      raise(error);
    }
  }

  /**
   * Reads the head of a frame into {@link frame} and checks it, each byte as soon as it is there.
   * @returns false when more bytes are needed
   */
  protected unpackFrame(): boolean {
    const chunk = this.#chunk;
    const at = this.#at;
    const second = chunk[at + 1];
    if (this.#headLength > 0 || second === undefined || at + headBytes(second) > chunk.length) {
      return this.#collectHead();
    }
    this.#at = at + headBytes(second);
    this.#checkFirst(chunk[at] as number);
    this.#checkSecond(second);
    this.#openFrame(chunk, at);
    return true;
  }

  // ---- the parser ----

  #parse(chunk: Buffer): void {
    this.#parsing = true;
    this.#chunk = chunk;
    this.#at = 0;
    this.#output.cork();
    try {
      while (this.#at < chunk.length && !this.#paused && !this.#ended) {
        if (this.#remaining >= 0 || this.unpackFrame()) this.#takePayload();
      }
      if (this.#at < chunk.length && !this.#ended) {
        this.#rest = Buffer.concat([chunk.subarray(this.#at), this.#rest]);
      }
    } catch (error) {
      this.stop();
      throw error;
    } finally {
      this.#parsing = false;
      this.#chunk = NOTHING;
      this.#output.uncork();
    }
  }

  /** A head that the chunk's end cuts off is collected byte by byte. */
  #collectHead(): boolean {
    const head = (this.#head ??= Buffer.allocUnsafe(LONGEST_HEAD));
    while (this.#at < this.#chunk.length) {
      const byte = this.#chunk[this.#at++] as number;
      head[this.#headLength++] = byte;
      if (this.#headLength === 1) {
        this.#checkFirst(byte);
      } else if (this.#headLength === 2) {
        this.#checkSecond(byte);
        this.#headSize = headBytes(byte);
      }
      if (this.#headLength >= 2 && this.#headLength === this.#headSize) {
        this.#headLength = 0;
        this.#openFrame(head, 0);
        return true;
      }
    }
    return false;
  }

  /** FIN, RSV and opcode (RFC 6455 sections 5.2, 5.4, 5.5). */
  #checkFirst(first: number): void {
    const { frame } = this;
    const opcode = first & 0x0f;
    frame.fin = first >= FIN;
    frame.rsv = first & RSV;
    frame.opcode = opcode;
    if (
      opcode > ControlFrames.pong ||
      (opcode > DataFrames.binary && opcode < ControlFrames.close)
    ) {
      throw protocolError(`reserved opcode 0x${opcode.toString(16)}`, [first]);
    }
    if (frame.rsv !== 0) {
      throw protocolError('a reserved bit is set that no negotiated extension defines', [first]);
    }
    if (opcode >= ControlFrames.close) {
      if (!frame.fin) throw protocolError('a fragmented control frame', [first]);
    } else if ((opcode === DataFrames.cont) !== this.#assembly.open) {
      throw protocolError(
        opcode === DataFrames.cont
          ? 'a continuation frame without a message to continue'
          : 'a new message before the end of the fragmented one',
        [first],
      );
    }
  }

  /** MASK, and the length of a control frame (RFC 6455 sections 5.1 and 5.5). */
  #checkSecond(second: number): void {
    if (second >= 0x80) throw protocolError('a masked frame from the server', [second]);
    if (second > 125 && this.frame.opcode >= ControlFrames.close) {
      throw protocolError('a control frame of more than 125 bytes', [second]);
    }
  }

  /** The length, and with it the limits: before any memory is spent. */
  #openFrame(head: Buffer, at: number): void {
    const { frame } = this;
    const short = head[at + 1] as number;
    let length = short;
    if (short === 126) {
      length = head.readUInt16BE(at + 2);
      if (length < 126) throw protocolError('a length that is not minimal', head, at, 4);
    } else if (short === 127) {
      const high = head.readUInt32BE(at + 2);
      if (high >= 0x8000_0000) throw protocolError('a length above 2^63', head, at, LONGEST_HEAD);
      length = high * 2 ** 32 + head.readUInt32BE(at + 6);
      if (length < 65_536)
        throw protocolError('a length that is not minimal', head, at, LONGEST_HEAD);
    }
    frame.length = length;
    if (frame.opcode < ControlFrames.close) {
      if (frame.opcode !== DataFrames.cont) this.#assembly.begin(frame.opcode);
      this.#assembly.announce(length);
    }
    this.#remaining = length;
  }

  #takePayload(): void {
    const { frame } = this;
    const from = this.#at;
    const to = Math.min(from + this.#remaining, this.#chunk.length);
    this.#at = to;
    this.#remaining -= to - from;
    if (frame.opcode >= ControlFrames.close) {
      this.#takeControl(from, to);
      return;
    }
    const ended = this.#remaining === 0;
    if (ended) this.#remaining = -1;
    const message = this.#assembly.take(this.#chunk, from, to, ended && frame.fin);
    if (message !== undefined) {
      this.deliver(message, typeof message !== 'string', this.#assembly.bytes);
    }
  }

  #takeControl(from: number, to: number): void {
    const control = (this.#control ??= Buffer.allocUnsafe(this.frame.length));
    this.#controlLength += this.#chunk.copy(control, this.#controlLength, from, to);
    if (this.#remaining > 0) return;
    this.#remaining = -1;
    this.#control = undefined;
    this.#controlLength = 0;
    this.extraOperation(this.frame.opcode, control);
  }

  // ---- odds and ends ----

  /** The first byte of an outgoing frame, checked (RFC 6455 sections 5.4 and 5.5). */
  #first(fin: boolean, code: number, rsv: number, length: number): number {
    if (code >= ControlFrames.close) {
      if (code > ControlFrames.pong)
        throw wrongValue(`code must be an opcode, got ${String(code)}`);
      if (!fin || length > 125) {
        throw wrongValue('a control frame has at most 125 bytes and is never fragmented');
      }
    } else if (!(code >= 0 && code <= DataFrames.binary)) {
      throw wrongValue(`code must be an opcode, got ${String(code)}`);
    }
    return (fin ? FIN : 0) | (rsv & RSV) | code;
  }

  #payload(code: number, message: string | Uint8Array): Buffer {
    if (code >= ControlFrames.close) return controlPayload(message, 'payload');
    const data = typeof message === 'string' ? Buffer.from(message) : bytesOf(message);
    if (data === undefined) {
      throw wrongType(`message must be a string or bytes, got ${describeValue(message)}`);
    }
    return data;
  }

  #pull(): PullQueue<Message> {
    return (this.#pulls ??= new PullQueue({
      ...this.#limits,
      pause: () => {
        this.pause();
      },
      resume: () => {
        this.resume();
      },
    }));
  }
}

/** Bytes of the head of an unmasked frame, told by its second byte. */
function headBytes(second: number): number {
  const length = second & 0x7f;
  return length < 126 ? 2 : length === 126 ? 4 : LONGEST_HEAD;
}

function protocolError(
  what: string,
  bytes: Uint8Array | number[],
  at = 0,
  length = 16,
): FrameError {
  const shown = Buffer.from(bytes.slice(at, at + length)).toString('hex');
  return new FrameError('ERR_FRAME_PROTOCOL', `the server sent ${what} (bytes ${shown})`);
}
