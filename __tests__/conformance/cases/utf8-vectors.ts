// Texts made systematically from RFC 3629: every boundary, and every way to be wrong.

export interface Vector {
  readonly name: string;
  readonly bytes: Buffer;
}

function vector(name: string, bytes: string): Vector {
  return { name, bytes: Buffer.from(bytes.replaceAll(' ', ''), 'hex') };
}

function character(point: number): Vector {
  const name = `u+${point.toString(16).padStart(4, '0')}`;
  return { name, bytes: Buffer.from(String.fromCodePoint(point)) };
}

/** First and last characters of each length, and what surrounds the surrogates. */
const BOUNDARIES = [
  0x00, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfffd, 0xffff,
  0x10000, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10ffff,
];

/** Characters that are not characters, and are valid all the same. */
const NONCHARACTERS = Array.from({ length: 17 }, (_, plane) => plane * 0x10000 + 0xfffe);

const TEXTS: readonly (readonly [name: string, text: string])[] = [
  ['greek', 'κόσμε'],
  ['latin', 'Hello-µ@ßöäüàá-UTF-8!!'],
  ['han', '中文字符'],
  ['emoji', '😀👩‍👩‍👧‍👦'],
  ['byte-order-mark', '\ufeffmarked'],
  ['nul', 'a\0b'],
  ['replacement', 'a\ufffdb'],
];

export const valid: readonly Vector[] = [
  ...BOUNDARIES.map(character),
  ...TEXTS.map(([name, text]): Vector => ({ name, bytes: Buffer.from(text) })),
];

export const noncharacters: readonly Vector[] = [
  ...NONCHARACTERS.map((point): Vector => ({
    name: `u+${point.toString(16)}-and-next`,
    bytes: Buffer.from(String.fromCodePoint(point, point + 1)),
  })),
  { name: 'u+fdd0-to-u+fdef', bytes: Buffer.from('\ufdd0\ufdef') },
];

/** Wrong at one octet, whatever follows it. */
export const invalid: readonly Vector[] = [
  vector('stray/80', '80'),
  vector('stray/bf', 'bf'),
  vector('stray/two', '80 bf'),
  vector('stray/after-character', 'c2 b5 80'),
  vector('overlong/c0-80', 'c0 80'),
  vector('overlong/c0-af', 'c0 af'),
  vector('overlong/c1-bf', 'c1 bf'),
  vector('overlong/e0-80-80', 'e0 80 80'),
  vector('overlong/e0-80-af', 'e0 80 af'),
  vector('overlong/e0-9f-bf', 'e0 9f bf'),
  vector('overlong/f0-80-80-80', 'f0 80 80 80'),
  vector('overlong/f0-80-80-af', 'f0 80 80 af'),
  vector('overlong/f0-8f-bf-bf', 'f0 8f bf bf'),
  vector('overlong/f8-five', 'f8 80 80 80 af'),
  vector('overlong/fc-six', 'fc 80 80 80 80 af'),
  vector('surrogate/d800', 'ed a0 80'),
  vector('surrogate/db7f', 'ed ad bf'),
  vector('surrogate/db80', 'ed ae 80'),
  vector('surrogate/dbff', 'ed af bf'),
  vector('surrogate/dc00', 'ed b0 80'),
  vector('surrogate/df80', 'ed be 80'),
  vector('surrogate/dfff', 'ed bf bf'),
  vector('surrogate/pair', 'ed a0 bd ed b8 80'),
  vector('above/110000', 'f4 90 80 80'),
  vector('above/13ffff', 'f4 bf bf bf'),
  vector('above/140000', 'f5 80 80 80'),
  vector('above/1fffff', 'f7 bf bf bf'),
  vector('five/200000', 'f8 88 80 80 80'),
  vector('five/3ffffff', 'fb bf bf bf bf'),
  vector('six/4000000', 'fc 84 80 80 80 80'),
  vector('six/7fffffff', 'fd bf bf bf bf bf'),
  vector('never/fe', 'fe'),
  vector('never/ff', 'ff'),
  vector('never/fe-fe-ff-ff', 'fe fe ff ff'),
  vector('cut/c2-then-ascii', 'c2 41'),
  vector('cut/df-then-lead', 'df c2 80'),
  vector('cut/e0-then-ascii', 'e0 41'),
  vector('cut/e2-82-then-ascii', 'e2 82 41'),
  vector('cut/ef-bf-then-lead', 'ef bf e2 82 ac'),
  vector('cut/f0-then-ascii', 'f0 41'),
  vector('cut/f0-9f-then-ascii', 'f0 9f 41'),
  vector('cut/f0-9f-98-then-ascii', 'f0 9f 98 41'),
  vector('cut/f4-8f-bf-then-lead', 'f4 8f bf f0 9f 98 80'),
];

/** Right as far as they go, but the last character is not whole. */
export const truncated: readonly Vector[] = [
  vector('c2', 'c2'),
  vector('df', 'df'),
  vector('e0-a0', 'e0 a0'),
  vector('e1', 'e1'),
  vector('ed-9f', 'ed 9f'),
  vector('ef-bf', 'ef bf'),
  vector('f0', 'f0'),
  vector('f0-90-80', 'f0 90 80'),
  vector('f1-80', 'f1 80'),
  vector('f4-8f-bf', 'f4 8f bf'),
];
