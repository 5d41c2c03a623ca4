/**
 * Which messages go out compressed, and large ones without keeping others waiting.
 * @packageDocumentation
 */
import { DataFrames } from './enumerations.js';
import type { Frames } from './freams.js';
import type { Extension } from './parts.js';

/** Bytes that are compressed at a time. */
const SLICE = 262_144;

/** What compressing needs of the connection. */
export interface CompressorHost {
  readonly frames: Frames;
  /** Whether nothing may go out any more. */
  readonly begun: boolean;
}

/** Writes frames, compressed where the message asks for it or is large enough. */
export class Compressor {
  readonly #host: CompressorHost;
  readonly #extension: Extension;
  readonly #threshold: number;
  /** Whether the message under way is compressed. */
  #compressing = false;

  /** @param threshold bytes below which a message goes out as it is */
  constructor(host: CompressorHost, extension: Extension, threshold: number) {
    this.#host = host;
    this.#extension = extension;
    this.#threshold = threshold;
  }

  /** Packs one frame, and lets it go; a large one takes its time. */
  write(
    fin: boolean,
    code: DataFrames,
    data: string | Buffer,
    compress?: boolean,
  ): void | Promise<void> {
    const { frames } = this.#host;
    const extension = this.#extension;
    const first = code !== DataFrames.cont;
    if (first) {
      this.#compressing =
        compress ?? (this.#threshold === 0 || Buffer.byteLength(data) >= this.#threshold);
    }
    if (!this.#compressing) {
      frames.write(fin, code, data);
      return undefined;
    }
    const rsv = first ? extension.rsv : 0;
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (bytes.length <= SLICE) {
      frames.write(fin, code, extension.encode(bytes, fin), rsv);
      return undefined;
    }
    return this.#encode(Buffer.from(bytes), fin).then((encoded) => {
      if (!this.#host.begun) frames.write(fin, code, encoded, rsv);
    });
  }

  /** In slices, so that others get their turns. */
  async #encode(bytes: Buffer, fin: boolean): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length && !this.#host.begun; at += SLICE) {
      const last = fin && at + SLICE >= bytes.length;
      pieces.push(this.#extension.encode(bytes.subarray(at, at + SLICE), last));
      await new Promise(setImmediate);
    }
    return Buffer.concat(pieces);
  }
}
