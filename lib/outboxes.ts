/**
 * Messages on their way out: in the order of the calls, and no more than memory allows.
 * @packageDocumentation
 */
import { Buffer, isUtf8, NOTHING } from './builtins.js';
import { writeFrame } from './compressors.js';
import { closedError, crowded, isEnding, quietly, sendable } from './connections.js';
import type { Connection, Settler, Source } from './connections.js';
import { DataFrames, StatusCodes } from './enumerations.js';
import { FrameError, InvalidStateError } from './exceptions.js';
import { checkKinds, SEND_KINDS, type SendOptions } from './options.js';
import type { SendData } from './parts.js';
import { SendQueue } from './sends.js';
import { checkUtf8 } from './utf8.js';
import { bytesOf, isFunction, isString, mustBe, wrongType, wrongValue } from './values.js';

/** A message, or a piece of one, that is at hand. */
type Piece = string | Buffer | Blob;

const DONE = Promise.resolve();

/** Whether a message can go out now, without waiting for others. */
const isIdle = (c: Connection): boolean => !c._order?._slots._size;

/** Sends a message, whole or in pieces; settles once there is room for more. */
export function send(c: Connection, data: SendData, options?: SendOptions): Promise<void> {
  try {
    if (options === undefined && isIdle(c) && sendable(c)) {
      // The common case: all of it at hand, and nothing before it.
      const isText = typeof data === 'string';
      const message = isText ? data : bytesOf(data);
      const code = isText ? DataFrames.text : DataFrames.binary;
      if (message !== undefined) return inTurn(c, writeFrame(c, true, code, message));
    }
    return sendAny(c, data, options);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Resolves once there is room. */
export function drained(c: Connection): Promise<void> {
  if (!c._drains && !crowded(c)) return DONE;
  return quietly(
    new Promise((resolve, reject) => {
      (c._drains ??= []).push({ _resolve: resolve, _reject: reject });
    }),
  );
}

/** Bytes have been taken. Tells whether senders waited for it, and have room now. */
export function relieve(c: Connection): boolean {
  const relieved = c._drains;
  if (!relieved || crowded(c)) return false;
  c._drains = undefined;
  for (const { _resolve } of relieved) _resolve();
  return true;
}

/** Nothing can be sent any more: those who wait get what broke the connection, or how it was closed. */
export function endSending(c: Connection): void {
  const settlers = [...(c._drains ?? []), ...(c._waiting ?? []), ...(c._pings ?? [])];
  const sources = c._sources ?? [];
  c._drains = c._waiting = c._pings = c._sources = undefined;
  c._order?._forget();
  for (const { _reject } of settlers) _reject(c._error ?? closedError(c));
  sources.forEach(endSource);
}

/** A frame that takes its time holds back what comes later. */
function inTurn(c: Connection, working: void | Promise<void>): Promise<void> {
  return working ? enter(c, () => working) : drained(c);
}

function sendAny(c: Connection, data: SendData, options: SendOptions = {}): Promise<void> {
  const { fin, code, compress } = checkKinds(options, SEND_KINDS);
  if (code !== undefined && ![0, 1, 2].includes(code)) {
    throw mustBe('code', 'one of DataFrames', code, wrongValue);
  }
  const message = wholeData(data);
  const source = message === undefined ? sourceOf(data) : undefined;
  if (!sendable(c)) return quietly(Promise.reject(closedError(c)));
  const inPieces = c._order?._inPieces;
  const goesOn = code === DataFrames.cont || !!(fin !== undefined && inPieces);
  if (source) {
    if (fin !== undefined || goesOn) {
      throw wrongType('an iterable is a whole message: fin and cont are for pieces');
    }
    return enter(c, () => sendPieces(c, source(), code, compress));
  }
  if (goesOn && !inPieces) {
    throw new InvalidStateError('there is no message to continue: begin one with fin: false');
  }
  if (goesOn && code && code !== (c._tail ? DataFrames.text : DataFrames.binary)) {
    throw mustBe('code', "the message's", code, wrongValue);
  }
  const open = goesOn || fin === false ? fin === false : undefined;
  return sendPiece(c, message as Piece, goesOn ? DataFrames.cont : code, open, compress);
}

/** @param open whether more pieces follow; undefined for a whole message */
function sendPiece(
  c: Connection,
  message: Piece,
  code: DataFrames | undefined,
  open: boolean | undefined,
  compress: boolean | undefined,
): Promise<void> {
  const whole = open === undefined;
  const opcode = opcodeOf(message, code);
  const isText = opcode === DataFrames.text;
  if (!whole) {
    c._tail = textTail(opcode > 0 ? (isText ? NOTHING : undefined) : c._tail, message, !open);
  } else if (isText) requireText(message);
  if (whole && isIdle(c) && !(message instanceof Blob)) {
    return inTurn(c, writeFrame(c, true, opcode, message, compress));
  }
  // What waits for its turn is copied: the caller may reuse its memory.
  const kept = Buffer.isBuffer(message) ? Buffer.from(message) : message;
  const write = (): void | Promise<void> => {
    if (!(kept instanceof Blob)) return writeFrame(c, !open, opcode, kept, compress);
    return kept.arrayBuffer().then((buffer) => {
      const bytes = Buffer.from(buffer);
      if (isText) requireText(bytes);
      checkOpen(c);
      return writeFrame(c, !open, opcode, bytes, compress);
    });
  };
  return enter(c, write, open);
}

/** Runs in its turn; settles once there is room. */
function enter(c: Connection, work: () => void | Promise<void>, open?: boolean): Promise<void> {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const entered = new Promise<void>((...both) => {
    [resolve, reject] = both;
  });
  const settler: Settler = {
    _resolve: resolve,
    // With the connection: nobody need look. What is wrong with the data is not silenced.
    _reject: (error) => {
      void quietly(entered);
      reject(error);
    },
  };
  (c._waiting ??= new Set()).add(settler);
  const succeed = (): void => {
    if (c._waiting?.delete(settler)) drained(c).then(resolve, settler._reject);
  };
  const fail = (cause: unknown): void => {
    c._waiting?.delete(settler);
    // What follows a piece would go on with a message that lacks it.
    const error = open === undefined ? cause : incomplete(c, cause);
    (c._ending ? settler._reject : reject)(error);
  };
  (c._order ??= new SendQueue())._add(() => {
    try {
      const working = work();
      if (working) return working.then(succeed, fail);
      succeed();
    } catch (error) {
      fail(error);
    }
    return undefined;
  }, open);
  return entered;
}

/** A message that cannot be completed takes the connection with it. Returns what to tell of that. */
function incomplete(c: Connection, cause: unknown): unknown {
  if (isEnding(c)) return cause;
  const error = new FrameError(
    'ERR_FRAME_SOURCE',
    `a message could not be completed: ${String(cause)}`,
    StatusCodes.internalError,
    { cause },
  );
  c._fail(error);
  return error;
}

/** Each item is a fragment that goes out as soon as it is there; an empty one ends the message. */
async function sendPieces(
  c: Connection,
  source: Source,
  code: DataFrames | undefined,
  compress: boolean | undefined,
): Promise<void> {
  let begun = false;
  let left: Buffer | undefined;
  (c._sources ??= new Set()).add(source);
  try {
    for (let step; (step = await source.next()).done !== true;) {
      const whole = wholeData(step.value);
      if (whole === undefined) throw mustBe('an item', 'a string or bytes', step.value);
      const piece = whole instanceof Blob ? Buffer.from(await whole.arrayBuffer()) : whole;
      checkOpen(c);
      const opcode = begun ? DataFrames.cont : opcodeOf(piece, code);
      if (opcode === DataFrames.text) left = NOTHING;
      left = textTail(left, piece, false);
      begun = true;
      await writeFrame(c, false, opcode, piece, compress);
      await drained(c);
    }
    textTail(left, NOTHING, true);
    // It may have been asked for its end while the connection ended: nothing follows a Close frame.
    checkOpen(c);
    if (begun) await writeFrame(c, true, DataFrames.cont, NOTHING);
    c._sources?.delete(source);
  } catch (cause) {
    if (c._sources?.delete(source)) endSource(source);
    // Where nothing has gone out the connection need not suffer for it.
    throw begun ? incomplete(c, cause) : cause;
  }
}

function checkOpen(c: Connection): void {
  if (isEnding(c)) throw closedError(c);
}

/** A message that is at hand as a whole. */
const wholeData = (data: unknown): Piece | undefined =>
  isString(data) || data instanceof Blob ? data : bytesOf(data);

function sourceOf(data: unknown): () => Source {
  const iterable = Object(data) as Record<symbol, (() => Source) | undefined>;
  const begin = iterable[Symbol.asyncIterator] ?? iterable[Symbol.iterator];
  if (!isFunction(begin) || data instanceof String) {
    throw mustBe(
      'data',
      'a string, Buffer, TypedArray, DataView, ArrayBuffer, Blob or an (async) iterable of these',
      data,
    );
  }
  return () => begin.call(iterable);
}

const opcodeOf = (data: Piece, code: DataFrames | undefined): DataFrames =>
  code ?? (isString(data) ? DataFrames.text : DataFrames.binary);

function requireText(data: Piece): void {
  if (Buffer.isBuffer(data) && !isUtf8(data)) throw notText();
}

/**
 * Checks a piece of text that was given as bytes; what a Blob holds is known only later.
 * @param tail what the pieces before left of a character; undefined for binary
 * @returns what this one leaves
 */
function textTail(tail: Buffer | undefined, data: Piece, last: boolean): Buffer | undefined {
  if (!tail || data instanceof Blob || (isString(data) && tail.length === 0)) return tail;
  const bytes = Buffer.concat([tail, Buffer.from(data)]);
  const valid = checkUtf8(bytes, 0, bytes.length);
  if (valid < 0 || (last && valid < bytes.length)) throw notText();
  return bytes.subarray(valid);
}

const notText = (): TypeError => wrongType('data sent as text must be valid UTF-8');

function endSource(source: Source): void {
  // Whatever it says to that is nobody's any more.
  void quietly(Promise.resolve().then(() => source.return?.()));
}
