/**
 * Which messages go out compressed, and large ones without keeping others waiting.
 * @packageDocumentation
 */
import { Buffer, setImmediate } from './builtins.js';
import type { Connection } from './connections.js';
import { DataFrames } from './enumerations.js';
import type { Extension } from './parts.js';
import { isString } from './values.js';

/** Bytes that are compressed at a time. */
const SLICE = 262_144;

/** Packs one frame, compressed where the message asks for it or is large enough, and lets it go. */
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
    deflate._active = compress ?? (threshold === 0 || Buffer.byteLength(data) >= threshold);
  }
  if (!deflate?._active) {
    frames.write(fin, code, data);
    return undefined;
  }
  const rsv = first ? deflate.rsv : 0;
  const bytes = isString(data) ? Buffer.from(data) : data;
  if (bytes.length <= SLICE) {
    frames.write(fin, code, deflate.encode(bytes, fin), rsv);
    return undefined;
  }
  return encode(c, deflate, Buffer.from(bytes), fin).then((encoded) => {
    if (!c._ending) frames.write(fin, code, encoded, rsv);
  });
}

/** In slices, so that others get their turns. */
async function encode(
  c: Connection,
  extension: Extension,
  bytes: Buffer,
  fin: boolean,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length && !c._ending; at += SLICE) {
    const last = fin && at + SLICE >= bytes.length;
    pieces.push(extension.encode(bytes.subarray(at, at + SLICE), last));
    await new Promise(setImmediate);
  }
  return Buffer.concat(pieces);
}
