/**
 * Decides which messages go out compressed, and compresses large ones without keeping others
 * waiting.
 * @packageDocumentation
 */
import { Buffer, setImmediate } from './builtins.js';
import type { Connection } from './connections.js';
import { DataFrames } from './enumerations.js';
import type { Extension } from './parts.js';
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
    const { _threshold: threshold } = deflate;
    deflate._compresses = compress ?? (threshold === 0 || Buffer.byteLength(data) >= threshold);
  }
  if (!deflate?._compresses) {
    frames.write(fin, code, data);
    return undefined;
  }
  const rsv = first ? deflate.rsv : 0;
  const bytes = isString(data) ? Buffer.from(data) : data;
  if (bytes.length <= DEFLATE_SLICE) {
    frames.write(fin, code, deflate.encode(bytes, fin), rsv);
    return undefined;
  }
  return encodeSlices(c, deflate, Buffer.from(bytes), fin).then((encoded) => {
    if (!c._ending) frames.write(fin, code, encoded, rsv);
  });
}

/** Compresses in slices, one a turn. */
async function encodeSlices(
  c: Connection,
  extension: Extension,
  bytes: Buffer,
  fin: boolean,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length && !c._ending; at += DEFLATE_SLICE) {
    const last = fin && at + DEFLATE_SLICE >= bytes.length;
    pieces.push(extension.encode(bytes.subarray(at, at + DEFLATE_SLICE), last));
    await new Promise(setImmediate);
  }
  return Buffer.concat(pieces);
}
