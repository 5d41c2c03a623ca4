/**
 * Messages on their way out: in the order of the calls, and no more than memory allows.
 * @packageDocumentation
 */
import { isUtf8 } from 'node:buffer';
import { DataFrames, StatusCodes } from './enumerations.js';
import { FrameError, InvalidStateError } from './exceptions.js';
import type { Data, SendData } from './parts.js';
import { SendQueue, type SendTask } from './sends.js';
import { checkUtf8 } from './utf8.js';
import { bytesOf, describeValue, mustBe, wrongType, wrongValue } from './values.js';

/** Options of `send()`. */
export interface SendOptions {
  /**
   * `false`: a piece of a message that is not whole yet. A later call with `fin` or with
   * `code: DataFrames.cont` goes on with it; other messages wait until it is whole.
   * @default true
   */
  fin?: boolean | undefined;
  /**
   * Sends bytes as text, a string as binary, or a piece as a continuation.
   * @default DataFrames.text for a string, DataFrames.binary for anything else
   */
  code?: DataFrames | undefined;
  /**
   * Whether to compress this message, where compression was negotiated; of a message in pieces the
   * first one decides.
   * @default from the option `compression.threshold` bytes up
   */
  compress?: boolean | undefined;
}

/** What the outbox needs of the connection. */
export interface OutboxHost {
  /** Whether more bytes wait to be sent than should. */
  readonly crowded: boolean;
  /** Packs one frame, and lets it go; a large one that is compressed takes its time. */
  write: (
    fin: boolean,
    code: DataFrames,
    data: string | Buffer,
    compress?: boolean,
  ) => void | Promise<void>;
  /** Whether messages can still be sent. */
  readonly sendable: boolean;
  /** Whether the connection has begun to end: then a message accepted before is stopped, too. */
  readonly begun: boolean;
  /** What a call gets that comes too late. */
  refusal: () => Error;
  /** The connection cannot go on. */
  fail: (error: Error) => void;
}

/** A message, or a piece of one, that is at hand. */
type Piece = string | Buffer | Blob;

interface Source {
  next: () => Promise<IteratorResult<Data>> | IteratorResult<Data>;
  return?: () => unknown;
}

interface Settler {
  resolve: () => void;
  reject: (error: unknown) => void;
}

const DONE = Promise.resolve();
const NOTHING: Buffer = Buffer.alloc(0);

/** A promise that may be rejected, but ends no process when nobody looks at it. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Sends messages, whole or in pieces, and tells when there is room for more. */
export class Outbox {
  readonly #host: OutboxHost;
  /** The order of sends; made when one has to wait for another. */
  #queue: SendQueue | undefined;
  /** Sends that wait for their turn. */
  #waiting: Set<Settler> | undefined;
  #sources: Set<Source> | undefined;
  /** Sends that wait for room. */
  #drains: Settler[] | undefined;
  /** What a message in pieces has left of a character so far, where it is text. */
  #tail: Buffer | undefined;

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  send(data: SendData, options?: SendOptions): Promise<void> {
    const host = this.#host;
    if (typeof data === 'string' && options === undefined && this.#idle && host.sendable) {
      return this.#inTurn(host.write(true, DataFrames.text, data));
    }
    try {
      return this.#sendAny(data, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves once there is room. */
  drained(): Promise<void> {
    if (!this.#drains && !this.#host.crowded) return DONE;
    return quietly(
      new Promise((resolve, reject) => {
        (this.#drains ??= []).push({ resolve, reject });
      }),
    );
  }

  /** Bytes have been taken. Tells whether senders waited for it, and have room now. */
  relieve(): boolean {
    const relieved = this.#drains;
    if (!relieved || this.#host.crowded) return false;
    this.#drains = undefined;
    for (const { resolve } of relieved) resolve();
    return true;
  }

  /** Resolves once all that was sent, and can be completed, is packed; undefined if it is now. */
  whenSettled(): Promise<void> | undefined {
    return this.#queue?.whenSettled();
  }

  /** Nothing can be sent any more: those who wait get the error. */
  end(error: () => unknown): void {
    const settlers = [...(this.#drains ?? []), ...(this.#waiting ?? [])];
    const sources = this.#sources ?? [];
    this.#drains = this.#waiting = this.#sources = undefined;
    this.#queue?.clear();
    for (const { reject } of settlers) reject(error());
    sources.forEach(endSource);
  }

  get #idle(): boolean {
    return this.#queue?.idle ?? true;
  }

  get #order(): SendQueue {
    return (this.#queue ??= new SendQueue());
  }

  /** A frame that takes its time holds back what comes later. */
  #inTurn(working: void | Promise<void>): Promise<void> {
    return working ? this.#enter(() => working) : this.drained();
  }

  #refused(): Promise<never> {
    return quietly(Promise.reject(this.#host.refusal()));
  }

  #sendAny(data: SendData, options: SendOptions = {}): Promise<void> {
    if (typeof options !== 'object' || !(options as object | null)) {
      throw mustBe('options', 'an object', options);
    }
    const { fin, code, compress } = options;
    if (compress !== undefined && typeof compress !== 'boolean') {
      throw mustBe('compress', 'a boolean', compress);
    }
    if (fin !== undefined && typeof fin !== 'boolean') throw mustBe('fin', 'a boolean', fin);
    if (code !== undefined && ![0, 1, 2].includes(code)) {
      throw wrongValue(`code must be one of DataFrames, got ${describeValue(code)}`);
    }
    const message = wholeData(data);
    const source = message === undefined ? sourceOf(data) : undefined;
    if (!this.#host.sendable) return this.#refused();
    const inPieces = this.#queue?.inPieces ?? false;
    const goesOn =
      code === DataFrames.cont || (code === undefined && fin !== undefined && inPieces);
    if (source) {
      if (fin !== undefined || goesOn) {
        throw wrongType('an iterable is a whole message: fin and DataFrames.cont are for pieces');
      }
      return this.#enter(() => this.#sendPieces(source(), code, compress));
    }
    if (goesOn || fin === false) {
      if (goesOn && !inPieces) {
        throw new InvalidStateError('there is no message to continue: begin one with fin: false');
      }
      return this.#sendPiece(
        message as Piece,
        goesOn ? DataFrames.cont : code,
        fin ?? true,
        compress,
      );
    }
    return this.#sendWhole(message as Piece, code, compress);
  }

  #sendWhole(
    message: Piece,
    code: DataFrames | undefined,
    compress: boolean | undefined,
  ): Promise<void> {
    const opcode = opcodeOf(message, code);
    if (opcode === DataFrames.text) requireText(message);
    if (this.#idle && !(message instanceof Blob)) {
      return this.#inTurn(this.#host.write(true, opcode, message, compress));
    }
    const kept = keep(message);
    return this.#enter(() => this.#writePiece(true, opcode, kept, compress));
  }

  #sendPiece(
    message: Piece,
    code: DataFrames | undefined,
    fin: boolean,
    compress: boolean | undefined,
  ): Promise<void> {
    const opcode = opcodeOf(message, code);
    const before =
      opcode === DataFrames.cont ? this.#tail : opcode === DataFrames.text ? NOTHING : undefined;
    this.#tail = textTail(before, message, fin);
    const kept = keep(message);
    return this.#enter(
      // What follows it would go on with a message that lacks this piece.
      () =>
        (this.#writePiece(fin, opcode, kept, compress) as Promise<void> | undefined)?.catch(
          (cause: unknown) => this.#abandon(cause),
        ),
      (task) => {
        this.#order.addPiece(task, fin);
      },
    );
  }

  /** Runs in its turn; settles once there is room. */
  #enter(
    work: () => void | Promise<void>,
    add = (task: SendTask): void => {
      this.#order.add(task);
    },
  ): Promise<void> {
    return quietly(
      new Promise((resolve, reject) => {
        const settler: Settler = { resolve, reject };
        (this.#waiting ??= new Set()).add(settler);
        const succeed = (): void => {
          if (this.#waiting?.delete(settler)) this.drained().then(resolve, reject);
        };
        const fail = (error: unknown): void => {
          this.#waiting?.delete(settler);
          reject(error);
        };
        add(() => {
          const working = work();
          if (working) return working.then(succeed, fail);
          succeed();
          return undefined;
        });
      }),
    );
  }

  #writePiece(
    fin: boolean,
    opcode: DataFrames,
    data: Piece,
    compress: boolean | undefined,
  ): void | Promise<void> {
    if (data instanceof Blob) {
      return data.arrayBuffer().then((buffer) => {
        const bytes = Buffer.from(buffer);
        if (opcode === DataFrames.text) requireText(bytes);
        this.#checkOpen();
        return this.#host.write(fin, opcode, bytes, compress);
      });
    }
    return this.#host.write(fin, opcode, data, compress);
  }

  /** A message that cannot be completed takes the connection with it. */
  #abandon(cause: unknown): never {
    if (this.#host.begun) throw cause;
    const error = new FrameError(
      'ERR_FRAME_SOURCE',
      `a message could not be completed: ${String(cause)}`,
      StatusCodes.internalError,
      { cause },
    );
    this.#host.fail(error);
    throw error;
  }

  /** Each item is a fragment that goes out as soon as it is there; an empty one ends the message. */
  async #sendPieces(
    source: Source,
    code: DataFrames | undefined,
    compress: boolean | undefined,
  ): Promise<void> {
    const host = this.#host;
    let opcode: DataFrames | undefined;
    let left: Buffer | undefined;
    (this.#sources ??= new Set()).add(source);
    try {
      for (let step; (step = await source.next()).done !== true;) {
        const whole = wholeData(step.value);
        if (whole === undefined) throw mustBe('an item', 'a string or bytes', step.value);
        const piece = whole instanceof Blob ? Buffer.from(await whole.arrayBuffer()) : whole;
        this.#checkOpen();
        const next = opcode === undefined ? opcodeOf(piece, code) : DataFrames.cont;
        if (next === DataFrames.text) left = NOTHING;
        left = textTail(left, piece, false);
        opcode ??= next;
        await host.write(false, next, piece, compress);
        await this.drained();
      }
      textTail(left, NOTHING, true);
      if (opcode !== undefined) await host.write(true, DataFrames.cont, NOTHING);
    } catch (cause) {
      if (this.#sources?.delete(source)) endSource(source);
      // Where nothing has gone out the connection need not suffer for it.
      if (opcode === undefined) throw cause;
      return this.#abandon(cause);
    } finally {
      this.#sources?.delete(source);
    }
  }

  #checkOpen(): void {
    if (this.#host.begun) throw this.#host.refusal();
  }
}

/** A message that is at hand as a whole. */
function wholeData(data: unknown): Piece | undefined {
  return typeof data === 'string' ? data : (bytesOf(data) ?? blobOf(data));
}

const blobOf = (data: unknown): Blob | undefined => (data instanceof Blob ? data : undefined);

function sourceOf(data: unknown): () => Source {
  if (typeof data === 'object' && data !== null && !(data instanceof String)) {
    const iterable = data as Record<symbol, (() => Source) | undefined>;
    const method = Symbol.asyncIterator in data ? Symbol.asyncIterator : Symbol.iterator;
    if (typeof iterable[method] === 'function') {
      return () => (iterable[method] as () => Source)();
    }
  }
  throw mustBe(
    'data',
    'a string, Buffer, TypedArray, DataView, ArrayBuffer, Blob or an (async) iterable of these',
    data,
  );
}

function opcodeOf(data: Piece, code: DataFrames | undefined): DataFrames {
  return code ?? (typeof data === 'string' ? DataFrames.text : DataFrames.binary);
}

/** What waits for its turn is copied: the caller may reuse its memory. */
function keep(data: Piece): Piece {
  return Buffer.isBuffer(data) ? Buffer.from(data) : data;
}

function requireText(data: Piece): void {
  if (Buffer.isBuffer(data) && !isUtf8(data)) throw notText();
}

/**
 * Checks a piece of text that was given as bytes; what a Blob holds is known only later.
 * @param tail what the pieces before left of a character; undefined for binary
 * @returns what this one leaves
 */
function textTail(tail: Buffer | undefined, data: Piece, last: boolean): Buffer | undefined {
  if (!tail || data instanceof Blob || (typeof data === 'string' && tail.length === 0)) return tail;
  const bytes = Buffer.concat([tail, Buffer.from(data)]);
  const valid = checkUtf8(bytes, 0, bytes.length);
  if (valid < 0 || (last && valid < bytes.length)) throw notText();
  return bytes.subarray(valid);
}

function notText(): TypeError {
  return wrongType('data sent as text must be valid UTF-8');
}

function endSource(source: Source): void {
  // Whatever it says to that is nobody's any more.
  void quietly(Promise.resolve().then(() => source.return?.()));
}
