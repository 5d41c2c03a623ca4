// Payloads that are the same in every run.

const cache = new Map<string, Buffer>();

function remember(name: string, make: () => Buffer): Buffer {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const made = make();
  cache.set(name, made);
  return made;
}

function fillNoise(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, size);
}

/** `size` octets that do not compress: the head of one xorshift sequence. */
export function noise(size: number): Buffer {
  const whole = remember(size > 65_536 ? 'noise' : 'short noise', () =>
    fillNoise(size > 65_536 ? 16 * 1024 * 1024 + 1 : 65_536),
  );
  return whole.subarray(0, size);
}

const PATTERN = Buffer.from('Hello-µ@ßöäüàá-UTF-8!! κόσμε 𐍈 😀 中文字 ', 'utf8');

/** Text of exactly `size` octets of UTF-8, with characters of one to four octets. */
export function textOf(size: number): string {
  const whole = PATTERN.toString('utf8');
  const rest = size % PATTERN.length;
  return whole.repeat(Math.floor(size / PATTERN.length)) + '*'.repeat(rest);
}

/** ASCII of `size` octets, no two neighbouring lines alike, so that a lost piece shows. */
export function ascii(size: number): string {
  let made = '';
  for (let line = 0; made.length < size; line++)
    made += `${String(line)}:abcdefghijklmnopqrstuvw\n`;
  return made.slice(0, size);
}

/** JSON-like text of `size` octets, compressing about as well as a feed of quotes does. */
export function quotes(size: number): string {
  let made = '';
  for (let i = 0; made.length < size; i++) {
    const price = ((i * 7919) % 100_000) / 100;
    made += `{"s":"AIO${String(i % 13)}","p":${price.toFixed(2)},"n":${String(i)}}`;
  }
  return made.slice(0, size);
}
