/**
 * The body of a response that is no 101: what the server had to say.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { HandShakeResponse } from './responses.js';

/** Most bytes of a body that are kept. */
const MAX_BODY = 65_536;
/** Milliseconds that a body is waited for. */
const PATIENCE = 2000;

/** Reads a body until it ends (RFC 9112 section 6), but no more and no longer than the limits. */
export function readBody(transport: Duplex, response: HandShakeResponse): Promise<Buffer> {
  const body = bodyReader(response);
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      transport.off('data', onData).off('end', finish).off('close', finish).off('error', finish);
      transport.pause();
      resolve(Buffer.concat(body.pieces));
    };
    const onData = (chunk: Buffer): void => {
      if (body.push(chunk)) finish();
    };
    const timer = setTimeout(finish, PATIENCE);
    if (transport.destroyed || body.push(response.head)) {
      finish();
      return;
    }
    transport.on('data', onData).on('end', finish).on('close', finish).on('error', finish);
    transport.resume();
  });
}

interface BodyReader {
  readonly pieces: Buffer[];
  /** @returns whether the body is whole, or enough of it */
  push(chunk: Buffer): boolean;
}

function bodyReader(response: HandShakeResponse): BodyReader {
  const coding = response.headers['transfer-encoding']?.toLowerCase();
  if (coding !== undefined && coding.endsWith('chunked')) return new ChunkedBody();
  const length = response.headers['content-length'];
  const empty = response.status === 204 || response.status === 304;
  return new PlainBody(
    empty ? 0 : length !== undefined && /^\d+$/.test(length) ? Number(length) : Infinity,
  );
}

class PlainBody implements BodyReader {
  readonly pieces: Buffer[] = [];
  #left: number;

  constructor(length: number) {
    this.#left = Math.min(length, MAX_BODY);
  }

  push(chunk: Buffer): boolean {
    const piece = chunk.subarray(0, this.#left);
    this.#left -= piece.length;
    if (piece.length > 0) this.pieces.push(Buffer.from(piece));
    return this.#left === 0;
  }
}

/** Chunked coding (RFC 9112 section 7.1). */
class ChunkedBody implements BodyReader {
  readonly pieces: Buffer[] = [];
  #kept = 0;
  /** Bytes of the chunk that are still to come, its CR LF included; 0 in a size line. */
  #left = 0;
  #sizeLine = '';

  push(chunk: Buffer): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const piece = chunk.subarray(at, at + this.#left);
        this.#keep(piece.subarray(0, Math.max(0, Math.min(piece.length, this.#left - 2))));
        at += piece.length;
        this.#left -= piece.length;
        if (this.#kept >= MAX_BODY) return true;
        continue;
      }
      const character = String.fromCharCode(chunk[at++] as number);
      this.#sizeLine += character;
      if (character === '\n' && this.#startChunk()) return true;
      if (this.#sizeLine.length > 1024) return true;
    }
    return false;
  }

  /** @returns whether it is the last chunk, or none at all */
  #startChunk(): boolean {
    const size = /^[\da-f]{1,8}/i.exec(this.#sizeLine)?.[0];
    this.#sizeLine = '';
    if (size === undefined || Number.parseInt(size, 16) === 0) return true;
    this.#left = Number.parseInt(size, 16) + 2;
    return false;
  }

  #keep(piece: Buffer): void {
    const kept = piece.subarray(0, MAX_BODY - this.#kept);
    this.#kept += kept.length;
    if (kept.length > 0) this.pieces.push(Buffer.from(kept));
  }
}
