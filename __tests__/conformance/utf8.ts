// UTF-8 (RFC 3629 section 4), one octet at a time: where exactly a sequence goes wrong.

/** What the next octet must be: `[lowest, highest]` for each octet still missing. */
type Ranges = readonly (readonly [number, number])[];

const TAIL = [0x80, 0xbf] as const;

/** What follows a lead octet over 0x7f; undefined when it cannot lead. */
function expected(lead: number): Ranges | undefined {
  if (lead >= 0xc2 && lead <= 0xdf) return [TAIL];
  if (lead === 0xe0) return [[0xa0, 0xbf], TAIL];
  if (lead === 0xed) return [[0x80, 0x9f], TAIL];
  if (lead >= 0xe1 && lead <= 0xef) return [TAIL, TAIL];
  if (lead === 0xf0) return [[0x90, 0xbf], TAIL, TAIL];
  if (lead >= 0xf1 && lead <= 0xf3) return [TAIL, TAIL, TAIL];
  if (lead === 0xf4) return [[0x80, 0x8f], TAIL, TAIL];
  return undefined;
}

/** Checks a text that comes in pieces. */
export class Utf8Checker {
  private missing: Ranges = [];

  /** The index of the first octet in `data` that cannot follow what came before it, or -1. */
  feed(data: Buffer): number {
    for (let index = 0; index < data.length; index++) {
      const octet = data[index] ?? 0;
      const [next] = this.missing;
      if (next !== undefined) {
        if (octet < next[0] || octet > next[1]) return index;
        this.missing = this.missing.slice(1);
      } else if (octet > 0x7f) {
        const ranges = expected(octet);
        if (ranges === undefined) return index;
        this.missing = ranges;
      }
    }
    return -1;
  }

  /** Whether the last character is whole. */
  get whole(): boolean {
    return this.missing.length === 0;
  }
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
  const checker = new Utf8Checker();
  const index = checker.feed(data);
  if (index >= 0) return { kind: 'invalid', index };
  return checker.whole ? { kind: 'valid' } : { kind: 'truncated' };
}
