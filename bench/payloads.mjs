/** What the messages hold: deterministic, so that every peer and every run moves the same bytes. */

/**
 * ASCII text that looks like what a market feed sends.
 *
 * @param {number} size bytes
 */
function text(size) {
  let line = '';
  for (let i = 0; line.length < size; i++) {
    line += `{"s":"BTCUSDT","p":"${64_000 + ((i * 7_919) % 999)}.5","q":"0.0${i % 97}"},`;
  }
  return line.slice(0, size);
}

/**
 * Chinese text: three bytes a character, filled up with ASCII.
 *
 * @param {number} size bytes
 */
function cjk(size) {
  const characters = Array.from({ length: Math.floor(size / 3) }, (_, i) =>
    String.fromCharCode(0x4e00 + ((i * 31) % 5_000)),
  );
  return characters.join('') + '.'.repeat(size % 3);
}

/**
 * Bytes that look random.
 *
 * @param {number} size
 */
function binary(size) {
  const bytes = Buffer.allocUnsafeSlow(size);
  let state = 0x2545f491;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** @typedef {'text' | 'cjk' | 'binary'} Kind */

/**
 * One message.
 *
 * @param {Kind} kind
 * @param {number} size bytes
 * @returns {string | Buffer}
 */
export function makePayload(kind, size) {
  return { text, cjk, binary }[kind](size);
}

/** How many different messages {@link makeJsonMessages} gives. */
const JSON_MESSAGES = 4_000;

/** Different messages of exactly 1 KiB of JSON, alike as those of one feed are. */
export function makeJsonMessages() {
  return Array.from({ length: JSON_MESSAGES }, (_, i) => jsonMessage(i, 1_024));
}

/**
 * @param {number} index
 * @param {number} size bytes
 */
function jsonMessage(index, size) {
  const level = (/** @type {number} */ step) => {
    const noise = Math.imul(index * 64 + step, 2_654_435_761) >>> 4;
    return [`${64_000 + (noise % 2_000) / 10}`, `${(noise % 10_007) / 1_000}`];
  };
  const book = {
    channel: 'orderbook',
    symbol: ['BTC-USDT', 'ETH-USDT', 'SOL-USDT'][index % 3],
    sequence: 9_000_000 + index,
    time: new Date(1_700_000_000_000 + index * 137).toISOString(),
    bids: Array.from({ length: 20 }, (_, step) => level(step)),
    asks: Array.from({ length: 20 }, (_, step) => level(step + 20)),
    note: '',
  };
  book.note = '-'.repeat(Math.max(0, size - JSON.stringify(book).length));
  return JSON.stringify(book);
}
