/**
 * Reading a transport during the opening handshake, and the body of a response that is no 101.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { Buffer, clearTimeout, setTimeout } from './builtins.js';
import type { HandShakeResponse } from './responses.js';
import { tapInto } from './taps.js';
import { bytesOf } from './values.js';

/** Most bytes of a body that are kept. */
const MAX_BODY = 65_536;
/** Milliseconds to wait for the whole body. */
const BODY_TIMEOUT = 2000;

/**
 * Reads a transport until `consume` or `end` has a result; what comes behind is left in it.
 * @param consume gets each chunk; reading ends once it returns a result
 * @param end returns the result when the transport ends first; `cause` is its error, if it had one
 * @param timeout milliseconds after which `end` is called, too
 * @returns the result; rejects with what `consume` or `end` threw
 */
export function readUntil<T>(
  transport: Duplex,
  consume: (chunk: Buffer) => T | undefined,
  end: (cause?: unknown) => T,
  timeout?: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let reads = true;
    const tryToEnd = (result: () => T | undefined): void => {
      try {
        const got = result();
        if (got === undefined) return;
        resolve(got);
      } catch (error) {
        reject(error);
      }
      reads = false;
      clearTimeout(timer);
      if (giveBack) giveBack();
      else {
        setListeners('off');
        transport.pause();
      }
    };
    const onData = (chunk: Buffer): void => {
      // A stream in object mode may give any view.
      tryToEnd(() => consume(bytesOf(chunk)!));
    };
    const onEnd = (cause?: unknown): void => {
      tryToEnd(() => end(cause));
    };
    const setListeners = (how: 'on' | 'off'): void => {
      transport[how]('data', onData)[how]('end', onEnd)[how]('close', onEnd)[how]('error', onEnd);
    };
    // The process lives on for the transport, or not at all.
    const timer = timeout && setTimeout(onEnd, timeout).unref();
    const giveBack = tapInto(transport, {
      _ours: true,
      _onChunk: onData,
      _onEnd: onEnd,
      _onError: onEnd,
      _onClose: onEnd,
    });
    if (!giveBack) setListeners('on');
    if (transport.destroyed || transport.readableEnded) onEnd(transport.errored);
    else if (!giveBack) transport.resume();
    else while (reads && transport.readableLength > 0) onData(transport.read() as Buffer);
  });
}

/** Reads a body until it ends (RFC 9112 section 6), but no more and no longer than the limits. */
export async function readBody(transport: Duplex, response: HandShakeResponse): Promise<Buffer> {
  const { headers, status, head } = response;
  const chunked = /chunked$/i.test(headers['transfer-encoding'] ?? '');
  const length = headers['content-length'] ?? '';
  const body: number[] = [];
  /** Bytes still to come: of the body, or of a chunk of it (RFC 9112 section 7.1). */
  let left = /^\d+$/.test(length) ? Number(length) : Infinity;
  if (chunked || status === 204 || status === 304) left = 0;
  let ended = !chunked && !left;
  let sizeLine = '';
  const consumeByte = (byte: number): void => {
    if (ended) return;
    if (left) {
      left--;
      ended = body.push(byte) === MAX_BODY || !(left || chunked);
      return;
    }
    sizeLine += String.fromCharCode(byte);
    ended = sizeLine.length > 1024;
    // A blank line ends the chunk before; the line with the next one's size follows.
    if (byte === 10 && sizeLine.trim()) {
      left = parseInt(sizeLine, 16);
      ended = !(left > 0);
      sizeLine = '';
    }
  };
  const consume = (chunk: Buffer): Buffer | undefined => {
    chunk.forEach(consumeByte);
    return ended ? Buffer.from(body) : undefined;
  };
  return consume(head) ?? readUntil(transport, consume, () => Buffer.from(body), BODY_TIMEOUT);
}
