/**
 * Messages on their way out: in the order of the calls, and no more than memory allows.
 * @packageDocumentation
 */
import { Buffer, isUtf8, NOTHING, setImmediate } from './builtins.js';
import { writeFrame } from './compressors.js';
import { closedError, crowded, isEnding, quietly, rejectLate, sendable } from './connections.js';
import type { Connection, Source } from './connections.js';
import { DataFrames, StatusCodes } from './enumerations.js';
import { InvalidStateError } from './exceptions.js';
import { checkKinds, SEND_KINDS, type SendOptions } from './options.js';
import type { SendData } from './parts.js';
import { SendQueue, type SendTask } from './sends.js';
import { checkUtf8 } from './utf8.js';
import {
  bytesOf,
  frameError,
  isFunction,
  isString,
  mustBe,
  wrongNumber,
  wrongType,
  wrongValue,
} from './values.js';

/** A message, or a piece of one, that is at hand. */
type Piece = string | Buffer | Blob;

/** Items of an iterable that are sent at most before others get their turn. */
const ITEMS_A_TURN = 128;

const RESOLVED = Promise.resolve();

/** Whether a message can go out now, without waiting for others. */
const isIdle = ({ _sendQueue: queue }: Connection): boolean => !(queue?._current ?? queue?._behind);

/** Sends a message, whole or in pieces; settles once there is room for more. */
export function send(c: Connection, data: SendData, options?: SendOptions): Promise<void> {
  try {
    if (options === undefined && isIdle(c) && sendable(c)) {
      // The common case: all of it at hand, and nothing before it.
      const isText = typeof data === 'string';
      const message = isText ? data : bytesOf(data);
      const code = isText ? DataFrames.text : DataFrames.binary;
      if (message !== undefined) return settleFrame(c, writeFrame(c, true, code, message));
    }
    return sendAny(c, data, options);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Resolves once there is room. */
export function drained(c: Connection): Promise<void> {
  if (!c._drainWaiters && !crowded(c)) return RESOLVED;
  return quietly(
    new Promise((_resolve, _reject) => {
      (c._drainWaiters ??= []).push({ _resolve, _reject });
    }),
  );
}

/**
 * Bytes have been taken: where there is room now, senders go on. Returns whether any had waited.
 */
export function resolveDrains(c: Connection): boolean {
  const waiters = c._drainWaiters;
  if (!waiters || crowded(c)) return false;
  c._drainWaiters = undefined;
  for (const { _resolve } of waiters) _resolve();
  return true;
}

/**
 * Nothing more can be sent: those who wait are rejected with what broke or closed the connection.
 */
export function endSending(c: Connection): void {
  const waiters: Pick<SendTask, '_reject'>[] = [
    ...(c._drainWaiters ?? []),
    ...(c._sendQueue?._clear() ?? []),
  ];
  for (let ping; (ping = c._pings?._list._shift());) waiters.push(ping);
  const source = c._source;
  c._drainWaiters = c._pings = c._source = undefined;
  // One for all: each of its own would cost a stack trace.
  let error: Error | undefined;
  for (const { _reject } of waiters) _reject((error ??= c._error ?? closedError(c)));
  if (source) returnSource(source);
}

/**
 * Settles once a frame is written and there is room; one that takes its time holds back later
 * sends.
 */
function settleFrame(c: Connection, writing: void | Promise<void>): Promise<void> {
  return writing ? enqueue(c, () => writing) : drained(c);
}

function sendAny(c: Connection, data: SendData, options: SendOptions = {}): Promise<void> {
  const { fin, code, compress } = checkKinds(options, SEND_KINDS);
  if (code !== undefined && ![0, 1, 2].includes(code)) {
    throw mustBe('code', 'one of DataFrames', code, wrongNumber(code));
  }
  const message = wholeData(data);
  const source = message === undefined ? sourceOf(data) : undefined;
  if (!sendable(c)) return rejectLate(c);
  const inPieces = !!c._sendQueue?._behind;
  const goesOn = code === DataFrames.cont || (fin !== undefined && inPieces);
  if (source) {
    if (fin !== undefined || goesOn) {
      throw wrongType('an iterable is a whole message: fin and cont are for pieces');
    }
    return enqueue(c, () => sendPieces(c, source(), code, compress));
  }
  if (goesOn && !inPieces) {
    throw new InvalidStateError('there is no message to continue: begin one with fin: false');
  }
  if (goesOn && code && code !== (c._textTail ? DataFrames.text : DataFrames.binary)) {
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
  const isText = opcode === DataFrames.text || (!opcode && !!c._textTail);
  if (!whole) {
    const tail = isText ? NOTHING : undefined;
    c._textTail = textTail(opcode > 0 ? tail : c._textTail, message, !open);
  } else if (isText) requireText(message);
  if (whole && isIdle(c) && !isBlob(message)) {
    return settleFrame(c, writeFrame(c, true, opcode, message, compress));
  }
  // What waits for its turn is copied: the caller may reuse its memory.
  const kept = Buffer.isBuffer(message) ? Buffer.from(message) : message;
  const write = (): void | Promise<void> => {
    if (!isBlob(kept)) return writeFrame(c, !open, opcode, kept, compress);
    return kept.arrayBuffer().then((buffer) => {
      const bytes = Buffer.from(buffer);
      if (isText) requireText(bytes);
      checkOpen(c);
      return writeFrame(c, !open, opcode, bytes, compress);
    });
  };
  return enqueue(c, write, open);
}

/** Runs `work` behind the sends before it; settles once there is room. */
function enqueue(c: Connection, work: () => void | Promise<void>, open?: boolean): Promise<void> {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const entered = new Promise<void>((...both) => {
    [resolve, reject] = both;
  });
  const queue = (c._sendQueue ??= new SendQueue());
  const task: SendTask = {
    // Where the connection ended, nobody need handle it. What is wrong with the data is not
    // silenced.
    _reject(error) {
      void quietly(entered);
      reject(error);
    },
    _send() {
      try {
        const working = work();
        if (working) return working.then(succeed, fail);
        succeed();
      } catch (error) {
        fail(error);
      }
      return undefined;
    },
  };
  const succeed = (): void => {
    // Otherwise the connection has ended meanwhile.
    if (queue._current === task) drained(c).then(resolve, task._reject);
  };
  const fail = (cause: unknown): void => {
    // Without this piece the message under way cannot be completed.
    const error = open === undefined ? cause : incomplete(c, cause);
    (c._ending ? task._reject : reject)(error);
  };
  queue._add(task, open);
  return entered;
}

/** A message that cannot be completed fails the connection. Returns the error for its sender. */
function incomplete(c: Connection, cause: unknown): unknown {
  if (isEnding(c)) return cause;
  const error = frameError(
    'SOURCE',
    `a message could not be completed: ${String(cause)}`,
    StatusCodes.internalError,
    cause,
  );
  c._fail(error);
  return error;
}

/**
 * Sends each item as a fragment as soon as it is there; an empty final fragment ends the message
 * (RFC 6455 section 5.4).
 */
async function sendPieces(
  c: Connection,
  source: Source,
  code: DataFrames | undefined,
  compress: boolean | undefined,
): Promise<void> {
  let count = 0;
  let begun = false;
  let left: Buffer | undefined;
  c._source = source;
  try {
    // Once it has been returned, as at the end of the connection, it is not asked any more.
    for (let step; c._source && (step = await source.next()).done !== true;) {
      const whole = wholeData(step.value);
      if (whole === undefined) throw mustBe('an item', 'a string or bytes', step.value);
      const piece = isBlob(whole) ? Buffer.from(await whole.arrayBuffer()) : whole;
      checkOpen(c);
      const opcode = begun ? DataFrames.cont : opcodeOf(piece, code);
      if (opcode === DataFrames.text) left = NOTHING;
      left = textTail(left, piece, false);
      begun = true;
      await writeFrame(c, false, opcode, piece, compress);
      // Where all is at hand, others get their turn now and then.
      await (++count % ITEMS_A_TURN ? drained(c) : new Promise(setImmediate));
    }
    textTail(left, NOTHING, true);
    // The connection may have ended while the source was asked: nothing follows a Close frame.
    checkOpen(c);
    if (begun) await writeFrame(c, true, DataFrames.cont, NOTHING);
    c._source = undefined;
  } catch (cause) {
    if (c._source) returnSource(source);
    c._source = undefined;
    // Where nothing has gone out, only this call fails.
    throw begun ? incomplete(c, cause) : cause;
  }
}

function checkOpen(c: Connection): void {
  if (isEnding(c)) throw closedError(c);
}

/** By its name: where a DOM has been put in Node's place there are two classes of them. */
const isBlob = (data: unknown): data is Blob =>
  /^(Blob|File)$/.test(String((data as Partial<Blob> | null)?.[Symbol.toStringTag as never]));

/** Data that is a whole message, or a piece; undefined for anything else, such as an iterable. */
const wholeData = (data: unknown): Piece | undefined =>
  isString(data) || isBlob(data) ? data : bytesOf(data);

function sourceOf(data: unknown): () => Source {
  const iterable = Object(data) as Record<symbol, (() => Source) | undefined>;
  const begin = iterable[Symbol.asyncIterator] ?? iterable[Symbol.iterator];
  if (!isFunction(begin) || data instanceof String) {
    throw mustBe('data', 'a string, bytes, a Blob or an (async) iterable of these', data);
  }
  return () => begin.call(iterable);
}

const opcodeOf = (data: Piece, code: DataFrames | undefined): DataFrames =>
  code ?? (isString(data) ? DataFrames.text : DataFrames.binary);

function requireText(data: Piece): void {
  if (Buffer.isBuffer(data) && !isUtf8(data)) throw notText();
}

/**
 * Checks a piece of text that was given as bytes. What a Blob holds is known only later: whole
 * characters, it has to be.
 * @param tail what the pieces before left of a character; undefined for binary
 * @returns what this one leaves
 */
function textTail(tail: Buffer | undefined, data: Piece, last: boolean): Buffer | undefined {
  if (!tail || (!tail.length && (isString(data) || isBlob(data)))) return tail;
  if (isBlob(data)) throw notText();
  const bytes = Buffer.concat([tail, Buffer.from(data)]);
  const valid = checkUtf8(bytes, 0, bytes.length);
  if (valid < 0 || (last && valid < bytes.length)) throw notText();
  return bytes.subarray(valid);
}

const notText = (): TypeError => wrongType('data sent as text must be valid UTF-8');

function returnSource(source: Source): void {
  // Nobody is left to be told what comes of it.
  void quietly(Promise.resolve().then(() => source.return?.()));
}
