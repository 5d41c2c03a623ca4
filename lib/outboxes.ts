/**
 * Messages on their way out: in the order of the calls, and no more than memory allows.
 * @packageDocumentation
 */
import { DataFrames, StatusCodes } from './enumerations.js';
import { FrameError, InvalidStateError } from './exceptions.js';
import type { Data, SendData } from './parts.js';
import { bytesOf, describeValue, wrongType, wrongValue } from './values.js';
import { SendQueue, type SendTask } from './sends.js';
import { isUtf8 } from 'node:buffer';
import { checkUtf8 } from './utf8.js';

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
}

/** What the outbox needs of the connection. */
export interface OutboxHost {
  readonly highWaterMark: number;
  readonly bufferedAmount: number;
  /** Packs one frame, and lets it go. */
  write(fin: boolean, code: DataFrames, data: string | Buffer): void;
  /** Why nothing can be sent any more; undefined while it can. */
  refusal(): Error | undefined;
  /** A message cannot be completed: the connection fails. */
  fail(error: FrameError): void;
}

const DONE = Promise.resolve();
const NOTHING: Buffer = Buffer.alloc(0);
const ignore = (): void => undefined;

/** A promise that is rejected, but ends no process when nobody looks at it. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

interface Settler {
  resolve(): void;
  reject(error: unknown): void;
}

/** Sends messages, whole or in pieces, and tells when there is room for more. */
export class Outbox {
  readonly #host: OutboxHost;
  readonly #queue = new SendQueue();
  /** Sends that wait for their turn. */
  readonly #waiting = new Set<Settler>();
  /** Sends that wait for room. */
  #drains: Settler[] = [];
  /** Ends of text that is sent in pieces of bytes: a character may be cut. */
  #tail: Buffer | undefined;
  readonly #iterators = new Set<{ return?(): unknown }>();

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  send(data: SendData, options?: SendOptions): Promise<void> {
    if (typeof data === 'string' && options === undefined && this.#queue.idle) {
      const refusal = this.#host.refusal();
      if (refusal !== undefined) return quietly(Promise.reject(refusal));
      this.#host.write(true, DataFrames.text, data);
      return this.drained();
    }
    try {
      return this.#send(data, options ?? {});
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves once there is room. */
  drained(): Promise<void> {
    const { bufferedAmount, highWaterMark } = this.#host;
    if (bufferedAmount <= highWaterMark && this.#drains.length === 0) return DONE;
    return quietly(
      new Promise((resolve, reject) => {
        this.#drains.push({ resolve, reject });
      }),
    );
  }

  /**
   * Bytes have been taken.
   * @returns whether senders waited for it, and have room now
   */
  relieve(): boolean {
    if (this.#drains.length === 0 || this.#host.bufferedAmount > this.#host.highWaterMark) {
      return false;
    }
    const drains = this.#drains;
    this.#drains = [];
    for (const { resolve } of drains) resolve();
    return true;
  }

  /** Whether senders wait for room. */
  get crowded(): boolean {
    return this.#drains.length > 0;
  }

  /** Resolves once all that was sent, and can be completed, is packed; undefined if it is now. */
  whenSettled(): Promise<void> | undefined {
    return this.#queue.whenSettled();
  }

  /** Nothing can be sent any more. */
  end(error: unknown): void {
    const settlers = [...this.#drains, ...this.#waiting];
    this.#drains = [];
    this.#waiting.clear();
    this.#queue.clear();
    for (const { reject } of settlers) reject(error);
    for (const iterator of this.#iterators) endIterator(iterator);
    this.#iterators.clear();
  }

  #send(data: SendData, options: SendOptions): Promise<void> {
    const { fin, code } = checkSend(options);
    const whole = wholeData(data);
    const source = whole === undefined ? iteratorOf(data) : undefined;
    const refusal = this.#host.refusal();
    if (refusal !== undefined) return quietly(Promise.reject(refusal));
    const continues = code === DataFrames.cont || (code === undefined && fin !== undefined);
    if (source !== undefined) {
      if (fin !== undefined || code === DataFrames.cont) {
        throw wrongType(
          'an iterable is a whole message: fin and DataFrames.cont are for its pieces',
        );
      }
      return this.#enter(
        (task) => {
          this.#queue.add(task);
        },
        () => this.#sendPieces(source, code),
      );
    }
    const message = whole as string | Buffer | Blob;
    const inPieces = this.#queue.inPieces;
    if (code === DataFrames.cont && !inPieces) {
      throw new InvalidStateError('there is no message to continue: begin one with fin: false');
    }
    if (fin === false || (inPieces && continues)) {
      const opcode = inPieces && continues ? DataFrames.cont : opcodeOf(message, code);
      return this.#sendPiece(message, opcode, fin ?? true);
    }
    return this.#sendWhole(message, opcodeOf(message, code));
  }

  #sendWhole(message: string | Buffer | Blob, opcode: DataFrames): Promise<void> {
    if (opcode === DataFrames.text) requireText(message);
    if (this.#queue.idle && !(message instanceof Blob)) {
      this.#host.write(true, opcode, message);
      return this.drained();
    }
    const kept = keep(message);
    return this.#enter(
      (task) => {
        this.#queue.add(task);
      },
      () => this.#writeData(true, opcode, kept),
    );
  }

  #sendPiece(message: string | Buffer | Blob, opcode: DataFrames, fin: boolean): Promise<void> {
    if (opcode !== DataFrames.cont) this.#tail = opcode === DataFrames.text ? NOTHING : undefined;
    if (this.#tail !== undefined) this.#tail = textTail(this.#tail, message, fin);
    if (fin) this.#tail = undefined;
    const kept = keep(message);
    return this.#enter(
      (task) => {
        this.#queue.addPiece(task, fin);
      },
      () => this.#writeData(fin, opcode, kept),
    );
  }

  /** Runs in its turn; settles once there is room. */
  #enter(add: (task: SendTask) => void, work: () => void | Promise<void>): Promise<void> {
    return quietly(
      new Promise<void>((resolve, reject) => {
        const settler: Settler = { resolve, reject };
        this.#waiting.add(settler);
        const succeed = (): void => {
          if (!this.#waiting.delete(settler)) return;
          this.drained().then(resolve, reject);
        };
        const fail = (error: unknown): void => {
          if (this.#waiting.delete(settler)) reject(error);
        };
        add(() => {
          try {
            const done = work();
            if (done !== undefined) return done.then(succeed, fail);
            succeed();
          } catch (error) {
            fail(error);
          }
          return undefined;
        });
      }),
    );
  }

  #writeData(fin: boolean, opcode: DataFrames, data: string | Buffer | Blob): void | Promise<void> {
    if (!(data instanceof Blob)) {
      this.#host.write(fin, opcode, data);
      return undefined;
    }
    return data.arrayBuffer().then((buffer) => {
      const refusal = this.#host.refusal();
      if (refusal !== undefined) throw refusal;
      const bytes = Buffer.from(buffer);
      if (opcode === DataFrames.text) requireText(bytes);
      this.#host.write(fin, opcode, bytes);
    });
  }

  /** Each item is a fragment that goes out as soon as it is there; an empty one ends the message. */
  async #sendPieces(source: Source, code: DataFrames | undefined): Promise<void> {
    const iterator = source();
    this.#iterators.add(iterator);
    let begun = false;
    let tail: Buffer | undefined;
    try {
      for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) {
        const piece = await pieceData(step.value);
        const refusal = this.#host.refusal();
        if (refusal !== undefined) throw refusal;
        const opcode = begun ? DataFrames.cont : opcodeOf(piece, code);
        if (opcode === DataFrames.text) tail = NOTHING;
        if (tail !== undefined) tail = textTail(tail, piece, false);
        this.#host.write(false, opcode, piece);
        begun = true;
        await this.drained();
      }
      if (tail !== undefined) textTail(tail, NOTHING, true);
      if (begun) this.#host.write(true, DataFrames.cont, NOTHING);
    } catch (cause) {
      endIterator(iterator);
      // Nothing has gone out: the connection need not suffer for it.
      if (!begun || this.#host.refusal() !== undefined) throw cause;
      const error = new FrameError(
        'ERR_FRAME_SOURCE',
        `a message could not be completed: ${cause instanceof Error ? cause.message : String(cause)}`,
        StatusCodes.internalError,
        { cause },
      );
      this.#host.fail(error);
      throw error;
    } finally {
      this.#iterators.delete(iterator);
    }
  }
}

type Source = () => {
  next(): Promise<IteratorResult<Data>> | IteratorResult<Data>;
  return?(): unknown;
};

function checkSend(options: SendOptions): SendOptions {
  if (typeof options !== 'object' || (options as object | null) === null) {
    throw wrongType(`options must be an object, got ${describeValue(options)}`);
  }
  const { fin, code } = options;
  if (fin !== undefined && typeof fin !== 'boolean') {
    throw wrongType(`fin must be true or false, got ${describeValue(fin)}`);
  }
  if (code !== undefined && DataFrames[code] === undefined) {
    throw wrongValue(`code must be one of DataFrames, got ${describeValue(code)}`);
  }
  return options;
}

/** A message that is at hand as a whole. */
function wholeData(data: unknown): string | Buffer | Blob | undefined {
  if (typeof data === 'string' || data instanceof Blob) return data;
  return bytesOf(data);
}

function iteratorOf(data: unknown): Source {
  if (typeof data === 'object' && data !== null && !(data instanceof String)) {
    const iterable = data as Record<symbol, (() => ReturnType<Source>) | undefined>;
    const method = Symbol.asyncIterator in data ? Symbol.asyncIterator : Symbol.iterator;
    if (typeof iterable[method] === 'function') {
      return () => (iterable[method] as () => ReturnType<Source>)();
    }
  }
  throw wrongType(
    `data must be a string, Buffer, TypedArray, DataView, ArrayBuffer, Blob or an (async) iterable of these, got ${describeValue(data)}`,
  );
}

async function pieceData(value: unknown): Promise<string | Buffer> {
  const piece = wholeData(value);
  if (piece === undefined) {
    throw wrongType(`an iterable must yield strings or bytes, got ${describeValue(value)}`);
  }
  return piece instanceof Blob ? Buffer.from(await piece.arrayBuffer()) : piece;
}

function opcodeOf(data: string | Buffer | Blob, code: DataFrames | undefined): DataFrames {
  return code ?? (typeof data === 'string' ? DataFrames.text : DataFrames.binary);
}

/** What waits for its turn is copied: the caller may reuse its memory. */
function keep(data: string | Buffer | Blob): string | Buffer | Blob {
  return Buffer.isBuffer(data) ? Buffer.from(data) : data;
}

function requireText(data: string | Buffer | Blob): void {
  if (Buffer.isBuffer(data) && !isUtf8(data)) throw notText();
}

/**
 * Checks a piece of text that was given as bytes.
 * @param tail what the pieces before left of a character
 * @returns what this one leaves
 */
function textTail(tail: Buffer, data: string | Buffer | Blob, last: boolean): Buffer {
  // What a Blob holds is known only later: it is checked alone.
  if (data instanceof Blob) return tail;
  const bytes = typeof data === 'string' ? NOTHING : Buffer.concat([tail, data]);
  const valid =
    typeof data === 'string' ? (tail.length > 0 ? -1 : 0) : checkUtf8(bytes, 0, bytes.length);
  if (valid < 0 || (last && valid !== bytes.length)) throw notText();
  return bytes.subarray(valid);
}

function notText(): TypeError {
  return wrongType('data sent as text must be valid UTF-8 (RFC 6455 section 8.1)');
}

function endIterator(iterator: { return?(): unknown }): void {
  try {
    // An async iterator's promise is nobody's any more.
    Promise.resolve(iterator.return?.()).catch(ignore);
  } catch {
    // Nor is what it throws: the reason to end it is told already.
  }
}
