/**
 * Which messages go out compressed, and large ones without keeping others waiting.
 * @packageDocumentation
 */
import { DataFrames } from './enumerations.js';
import type { Frames } from './freams.js';
import type { OutboxHost } from './outboxes.js';
import type { Extension } from './parts.js';

/** Bytes that are compressed at a time. */
const SLICE = 262_144;

/**
 * Makes what writes frames, compressed where an extension was negotiated.
 * @param threshold bytes below which a message goes out as it is
 * @param ended whether nothing may go out any more
 */
export function makeWriter(
  frames: Frames,
  extension: Extension | undefined,
  threshold: number,
  ended: () => boolean,
): OutboxHost['write'] {
  if (!extension) {
    return (fin, code, data) => {
      frames.write(fin, code, data);
    };
  }
  let compressing = false;

  const encodeSlowly = async (bytes: Buffer, fin: boolean): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length && !ended(); at += SLICE) {
      const last = fin && at + SLICE >= bytes.length;
      pieces.push(extension.encode(bytes.subarray(at, at + SLICE), last));
      await new Promise(setImmediate);
    }
    return Buffer.concat(pieces);
  };
  return (fin, code, data, compress) => {
    const first = code !== DataFrames.cont;
    if (first) compressing = compress ?? Buffer.byteLength(data) >= threshold;
    const rsv = first ? extension.rsv : 0;
    if (!compressing) {
      frames.write(fin, code, data);
      return undefined;
    }
    const bytes = Buffer.from(data);
    if (bytes.length <= SLICE) {
      frames.write(fin, code, extension.encode(bytes, fin), rsv);
      return undefined;
    }
    return encodeSlowly(bytes, fin).then((encoded) => {
      if (!ended()) frames.write(fin, code, encoded, rsv);
    });
  };
}
