/**
 * Reading a transport during the opening handshake, and the body of a response that is no 101.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { Buffer, clearTimeout, setTimeout } from './builtins.js';
import type { HandShakeResponse } from './responses.js';
import { tapInto } from './taps.js';

/** Most bytes of a body that are kept. */
const MAX_BODY = 65_536;
/** Milliseconds that a body is waited for. */
const PATIENCE = 2000;

/**
 * Reads a transport, and leaves it with what comes behind.
 * @param take gets each chunk; reading ends when it gives something
 * @param end gives the result when the transport ends first; `cause` is its error, if it had one
 * @param patience milliseconds after which `end` is asked, too
 * @returns what `take` or `end` gave; rejects with what they threw
 */
export function readUntil<T>(
  transport: Duplex,
  take: (chunk: Buffer) => T | undefined,
  end: (cause?: unknown) => T,
  patience?: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let reads = true;
    const settle = (result: () => T | undefined): void => {
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
        listen('off');
        transport.pause();
      }
    };
    const onData = (chunk: Buffer): void => {
      settle(() => take(chunk));
    };
    const onEnd = (cause?: unknown): void => {
      settle(() => end(cause));
    };
    const listen = (how: 'on' | 'off'): void => {
      transport[how]('data', onData)[how]('end', onEnd)[how]('close', onEnd)[how]('error', onEnd);
    };
    const timer = patience && setTimeout(onEnd, patience);
    const owner = { _onChunk: onData, _onEnd: onEnd, _onError: onEnd, _onClose: onEnd };
    const giveBack = tapInto(transport, owner);
    if (!giveBack) listen('on');
    if (transport.destroyed || transport.readableEnded) onEnd();
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
  /** Bytes to come, of the body or of the chunk (RFC 9112 section 7.1). */
  let left = /^\d+$/.test(length) ? Number(length) : Infinity;
  if (chunked || status === 204 || status === 304) left = 0;
  let ended = !chunked && !left;
  let sizeLine = '';
  const takeByte = (byte: number): void => {
    if (ended) return;
    if (left) {
      left--;
      ended = body.push(byte) === MAX_BODY || !(left || chunked);
      return;
    }
    sizeLine += String.fromCharCode(byte);
    ended = sizeLine.length > 1024;
    // A blank line is the end of the last chunk.
    if (byte === 10 && sizeLine.trim()) {
      left = parseInt(sizeLine, 16);
      ended = !(left > 0);
      sizeLine = '';
    }
  };
  const take = (chunk: Buffer): Buffer | undefined => {
    chunk.forEach(takeByte);
    return ended ? Buffer.from(body) : undefined;
  };
  return take(head) ?? readUntil(transport, take, () => Buffer.from(body), PATIENCE);
}
