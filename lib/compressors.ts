/**
 * Decides which messages go out compressed, and compresses large ones without keeping others
 * waiting.
 * @packageDocumentation
 */
import { Buffer, setImmediate } from './builtins.js';
import type { Connection } from './connections.js';
import { DataFrames } from './enumerations.js';
import { isString } from './values.js';

/** Bytes that are compressed at a time. */
const DEFLATE_SLICE = 262_144;

/**
 * Writes one frame, compressed where its message asks for it or is large enough. The promise, where
 * there is one, resolves once a large frame has been compressed.
 */
export function writeFrame(
  c: Connection,
  fin: boolean,
  code: DataFrames,
  data: string | Buffer,
  compress?: boolean,
): void | Promise<void> {
  const { _deflate: deflate, _frames: frames } = c;
  const first = code !== DataFrames.cont;
  if (deflate && first) {
    deflate._compresses = compress ?? Buffer.byteLength(data) >= deflate._threshold;
  }
  if (!deflate?._compresses) {
    frames.write(fin, code, data);
    return undefined;
  }
  const rsv = first ? deflate.rsv : 0;
  if (Buffer.byteLength(data) > DEFLATE_SLICE) {
    return writeSlices(c, fin, code, Buffer.from(data as string), rsv);
  }
  const bytes = isString(data) ? Buffer.from(data) : data;
  frames.write(fin, code, deflate.encode(bytes, fin), rsv);
  return undefined;
}

/** Compresses in slices, one a turn, then writes the frame. */
async function writeSlices(
  c: Connection,
  fin: boolean,
  code: DataFrames,
  bytes: Buffer,
  rsv: number,
): Promise<void> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length && !c._ending; at += DEFLATE_SLICE) {
    const last = fin && at + DEFLATE_SLICE >= bytes.length;
    pieces.push(c._deflate!.encode(bytes.subarray(at, at + DEFLATE_SLICE), last));
    await new Promise(setImmediate);
  }
  if (!c._ending) c._frames.write(fin, code, Buffer.concat(pieces), rsv);
}
