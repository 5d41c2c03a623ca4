/**
 * Random numbers from a strong source, many at a time.
 * @packageDocumentation
 */
import { Buffer, load } from './builtins.js';

const WORDS = new Int32Array(2048);
let next = WORDS.length;

/** Four unpredictable bytes, as a number. */
export function randomWord(): number {
  if (next === WORDS.length) {
    load('node:crypto').randomFillSync(WORDS);
    next = 0;
  }
  const word = WORDS[next] as number;
  // A used key must be found neither in memory nor by a later bug.
  WORDS[next++] = 0;
  return word;
}

/** So many unpredictable bytes, a multiple of 4. */
export function randomBytes(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size;) at = bytes.writeInt32LE(randomWord(), at);
  return bytes;
}
