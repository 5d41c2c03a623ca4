/**
 * UTF-8, checked as it arrives (RFC 6455 section 8.1, RFC 3629).
 * @packageDocumentation
 */
import { Buffer, documented, isUtf8 } from './builtins.js';

const REPLACEMENT = '\ufffd';

interface FastWriter {
  utf8Write?: (text: string, at: number) => number;
}

/**
 * Writes text as UTF-8, and returns how many bytes. By `utf8Write`, which `write` itself calls:
 * **undocumented**, and a tenth faster for a small message; by `write` where that is missing, or
 * only what is documented is to be used.
 */
export const writeUtf8: (into: Buffer, text: string, at: number) => number =
  (Buffer.prototype as FastWriter).utf8Write && !documented()
    ? (into, text, at) => (into as unknown as Required<FastWriter>).utf8Write(text, at)
    : (into, text, at) => into.write(text, at);

/**
 * Decodes whole UTF-8 text.
 * @returns undefined where it is not valid
 */
export function decodeUtf8(bytes: Buffer, from: number, to: number): string | undefined {
  const text = bytes.toString('utf8', from, to);
  // Decoding is lossy only where it shows U+FFFD; most text is valid and needs no second look.
  return text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(from, to)) ? undefined : text;
}

/**
 * Checks text of which more may follow.
 * @param from where a character starts
 * @returns where the last whole character ends, or -1 as soon as no continuation can make it valid
 */
export function checkUtf8(bytes: Buffer, from: number, to: number): number {
  const end = wholeUntil(bytes, from, to);
  if (end < to && !canBegin(bytes, end, to)) return -1;
  return end === from || isUtf8(bytes.subarray(from, end)) ? end : -1;
}

/** Where the last character starts if it is cut off, else `to`. */
function wholeUntil(bytes: Buffer, from: number, to: number): number {
  for (let at = Math.max(from, to - 3); at < to; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0xc0 && at + sequenceLength(byte) > to) return at;
  }
  return to;
}

function sequenceLength(lead: number): number {
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/**
 * Whether a cut-off character, its lead byte at `at`, may become a valid one (RFC 3629 section 4).
 */
function canBegin(bytes: Buffer, at: number, to: number): boolean {
  const begun = bytes.subarray(at, to);
  const size = sequenceLength(bytes[at] as number);
  // The second byte's range depends on the lead byte, but always contains the least or the greatest
  // one.
  return [0x80, 0xbf].some((next) =>
    isUtf8(Buffer.concat([begun, Buffer.of(next, 0x80, 0x80)], size)),
  );
}
