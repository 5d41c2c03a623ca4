// UTF-8 (RFC 3629 section 4), one octet at a time: where exactly a sequence goes wrong.

/** What the next octet must be: `[lowest, highest]` for each octet still missing. */
type Ranges = readonly (readonly [number, number])[];

const TAIL = [0x80, 0xbf] as const;

function expected(lead: number): Ranges | undefined {
  if (lead <= 0x7f) return [];
  if (lead >= 0xc2 && lead <= 0xdf) return [TAIL];
  if (lead === 0xe0) return [[0xa0, 0xbf], TAIL];
  if (lead === 0xed) return [[0x80, 0x9f], TAIL];
  if (lead >= 0xe1 && lead <= 0xef) return [TAIL, TAIL];
  if (lead === 0xf0) return [[0x90, 0xbf], TAIL, TAIL];
  if (lead >= 0xf1 && lead <= 0xf3) return [TAIL, TAIL, TAIL];
  if (lead === 0xf4) return [[0x80, 0x8f], TAIL, TAIL];
  return undefined;
}

/** Where a text goes wrong. */
export type Verdict =
  | { readonly kind: 'valid' }
  /** The octet at `index` cannot follow what came before it. */
  | { readonly kind: 'invalid'; readonly index: number }
  /** Every octet may be right, but the last character is not finished. */
  | { readonly kind: 'truncated' };

/** Judge a whole text. */
export function judge(data: Buffer): Verdict {
  let missing: Ranges = [];
  for (const [index, octet] of data.entries()) {
    const [next, ...rest] = missing;
    if (next === undefined) {
      const ranges = expected(octet);
      if (ranges === undefined) return { kind: 'invalid', index };
      missing = ranges;
    } else if (octet < next[0] || octet > next[1]) {
      return { kind: 'invalid', index };
    } else {
      missing = rest;
    }
  }
  return missing.length === 0 ? { kind: 'valid' } : { kind: 'truncated' };
}
