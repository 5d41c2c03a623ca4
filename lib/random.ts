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

/** So many random words as bytes. */
export const randomBytes = (words: number): Buffer =>
  Buffer.from(new Int32Array(words).map(randomWord).buffer);
