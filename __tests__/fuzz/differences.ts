/**
 * Where this package's codec and the receiver of `ws` judge the same bytes differently, and why.
 * Each entry tells exactly what may differ: anything else is a fault of one of them.
 */
import { LIMITS, type Verdict } from './receivers.js';

export interface Difference {
  readonly name: string;
  readonly why: string;
  /** Whether this is it; `more` gives the verdicts on the same bytes and one more, which is 0. */
  readonly explains: (
    ours: Verdict,
    theirs: Verdict,
    more: () => Promise<readonly [ours: Verdict, theirs: Verdict]>,
  ) => boolean | Promise<boolean>;
}

const isPrefix = (of: Verdict, whole: Verdict): boolean =>
  of.events.every((event, i) => event === whole.events[i]);

const sameEvents = (one: Verdict, other: Verdict): boolean =>
  one.events.length === other.events.length && isPrefix(one, other);

/** We gave up on a message, and `ws` never delivered it. */
const undelivered = (ours: Verdict, theirs: Verdict): boolean =>
  isPrefix(ours, theirs) &&
  !theirs.events.slice(ours.events.length).some((event) => event.startsWith('message'));

/** Whether the head of a frame, in hexadecimal, has a length of more bytes than it needs. */
function isPadded(head: string): boolean {
  const bytes = Buffer.from(head, 'hex');
  const short = bytes[1] ?? 0;
  if (short === 126) return bytes.readUInt16BE(2) < 126;
  return (
    short === 127 && (bytes.readBigUInt64BE(2) < 65_536n || bytes.readBigUInt64BE(2) >= 2n ** 63n)
  );
}

export const DIFFERENCES: readonly Difference[] = [
  {
    name: 'a final block',
    why: '`ws` drops what follows a block that is marked as the last within a message; RFC 7692 section 7.2.3.4 has an example where something does, and we go on with it.',
    explains: ({ sawFinal }) => sawFinal(),
  },
  {
    name: 'a compressed message without a byte',
    why: '`ws` gives the four bytes of RFC 7692 section 7.2.2 to zlib alone, which takes them for the beginning of a block and what follows for its rest. We take it for an empty message.',
    explains: ({ sawNothing }) => sawNothing,
  },
  {
    name: 'lengths',
    why: 'RFC 6455 section 5.2: a length takes as few bytes as it can, and the highest bit of one of 64 bits is 0. `ws` takes the first, and calls the second too big (1009).',
    explains: (ours, theirs) => {
      const head = /a length that is not minimal.*\(bytes (\w+)\)$/.exec(ours.message)?.[1];
      return head !== undefined && isPadded(head) && ours.end === 1002 && isPrefix(ours, theirs);
    },
  },
  {
    name: 'UTF-8 at once',
    why: 'We refuse a text at its first wrong byte, `ws` when it is whole; what ends the stream before that then ends it otherwise.',
    explains: (ours, theirs) =>
      ours.code === 'ERR_FRAME_UTF8' && ours.end === 1007 && undelivered(ours, theirs),
  },
  {
    name: 'the first byte',
    why: 'We look at the first byte of a head when it comes, `ws` waits for the second.',
    explains: async (ours, theirs, more) =>
      ours.end === 1002 &&
      theirs.end === 'open' &&
      sameEvents(ours, theirs) &&
      (await more())[1].end === 1002,
  },
  {
    name: 'a Close frame of one byte',
    why: '`ws` refuses its head, we its body.',
    explains: async (ours, theirs, more) =>
      ours.end === 'open' &&
      theirs.end === 1002 &&
      sameEvents(ours, theirs) &&
      (await more())[0].end === 1002,
  },
  {
    name: 'too many fragments',
    why: 'We count a fragment when its head has come, and before its length; `ws` when it is whole.',
    explains: (ours, theirs) => ours.end === 1008 && undelivered(ours, theirs),
  },
  {
    name: 'the size of what is compressed',
    why: '`ws` holds the compressed bytes to maxPayload, too; we what becomes of them, and bytes only far beyond.',
    explains: (ours, theirs) =>
      ours.extended &&
      theirs.end === 1009 &&
      /^WS_ERR_UNSUPPORTED_(MESSAGE_LENGTH|DATA_PAYLOAD_LENGTH)$/.test(theirs.code) &&
      ours.end !== 'closed' &&
      ours.largest <= LIMITS.maxPayload &&
      sameEvents(ours, theirs),
  },
  {
    name: 'inflating at once',
    why: 'We inflate as the bytes come, `ws` frame by frame: what is wrong shows before the frame is whole, and of two faults the first one counts.',
    explains: (ours, theirs) =>
      ours.extended &&
      (ours.code === 'ERR_FRAME_PAYLOAD' || ours.code === 'ERR_FRAME_TOO_BIG') &&
      (theirs.end === 'open' || theirs.end === 1007 || theirs.end === 1009) &&
      sameEvents(ours, theirs),
  },
];

/** @returns the name of the difference, `same`, or undefined where nothing explains it */
export async function compare(
  ours: Verdict,
  theirs: Verdict,
  more: () => Promise<readonly [ours: Verdict, theirs: Verdict]>,
): Promise<string | undefined> {
  if (ours.end === theirs.end && sameEvents(ours, theirs)) return 'same';
  for (const { name, explains } of DIFFERENCES) {
    if (await explains(ours, theirs, more)) return name;
  }
  return undefined;
}
