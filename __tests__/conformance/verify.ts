// What came against what had to come. Each function gives the problems, none when all is well.
import { hex, type Message, toBytes } from './wire.js';

export function show(data: Message | undefined): string {
  if (data === undefined) return 'nothing';
  const kind = typeof data === 'string' ? 'text' : 'binary';
  const bytes = toBytes(data);
  return `${kind} of ${String(bytes.length)} octets (${hex(bytes, 24)})`;
}

function same(left: Message, right: Message): boolean {
  if (typeof left === 'string' || typeof right === 'string') return left === right;
  return left.equals(right);
}

/** `got` against `expected`; with `prefix`, the last ones may be missing. */
export function compareMessages(
  who: string,
  expected: readonly Message[],
  got: readonly Message[],
  prefix: boolean,
): string[] {
  const wrong = got.findIndex((data, index) => {
    const wanted = expected[index];
    return wanted === undefined || !same(wanted, data);
  });
  if (wrong >= 0) {
    const wanted = expected[wrong];
    const head = `${who} message ${String(wrong + 1)}: expected`;
    return [`${head} ${wanted === undefined ? 'none' : show(wanted)}, got ${show(got[wrong])}`];
  }
  if (prefix || got.length === expected.length) return [];
  const counts = `${String(expected.length)} messages, got ${String(got.length)}`;
  return [`${who}: expected ${counts}`];
}

export type PongRule = 'each' | 'last' | 'some';

/** Pongs in order; with 'last' all but the last may be missing, with 'some' any may. */
export function comparePongs(
  expected: readonly Buffer[],
  got: readonly Buffer[],
  rule: PongRule,
): string[] {
  let next = 0;
  for (const pong of got) {
    const found = expected.findIndex((ping, index) => index >= next && ping.equals(pong));
    if (found < 0) return [`an unexpected pong ${hex(pong)}`];
    if (rule === 'each' && found !== next)
      return [`no pong for ping ${hex(expected[next] ?? pong)}`];
    next = found + 1;
  }
  if (rule === 'some' || next === expected.length) return [];
  return [`expected ${String(expected.length)} pongs, got ${String(got.length)}`];
}

/** Masking keys must be unpredictable (RFC 6455 section 5.3): not few, not zero, not a sequence. */
export function keyFaults(keys: readonly number[]): string[] {
  if (keys.length < 16) return [];
  const distinct = new Set(keys).size;
  if (distinct < keys.length * 0.99) {
    return [`${String(keys.length)} frames had only ${String(distinct)} masking keys`];
  }
  const steps = new Set(keys.slice(1).map((key, index) => (key - (keys[index] ?? 0)) | 0));
  if (steps.size < keys.length / 2) return ['the masking keys are a sequence'];
  // With fewer keys a bit may well be the same in all of them by chance.
  if (keys.length < 64) return [];
  const ones = Array.from(
    { length: 32 },
    (_, bit) => keys.filter((key) => (key >>> bit) & 1).length,
  );
  const stuck = ones.findIndex((count) => count === 0 || count === keys.length);
  return stuck < 0 ? [] : [`bit ${String(stuck)} of every masking key is the same`];
}
