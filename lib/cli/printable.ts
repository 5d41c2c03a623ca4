/**
 * What strangers send, made fit for a terminal.
 * @packageDocumentation
 */
import type { Message } from '../index.js';

/**
 * Control characters, which may be commands to a terminal; characters that end a line or turn the
 * direction of text; halves of characters.
 */
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
/** Bytes of a binary message that are shown. */
const SHOWN_BYTES = 64;

/** Text on one line, in which nothing is left that a terminal would act upon. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => NAMED[character] ?? escape(character));
}

/** A message on one line: text as it is, binary in hexadecimal. */
export function printableMessage(message: Message): string {
  if (typeof message === 'string') return printable(message);
  const shown = message.subarray(0, SHOWN_BYTES).toString('hex');
  return `<${message.length} bytes: ${shown}${message.length > SHOWN_BYTES ? '…' : ''}>`;
}

/** `2019-03-05 18:46:23`, the local time, as the original's README has it. */
export function timestamp(time: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}

function escape(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
