// Where a client differs from a case on purpose or by its age, and why the case stands. A test
// holds the table to the facts: exactly these cases fail, no more and no fewer.

export interface Difference {
  /** The ids of the cases. */
  readonly cases: RegExp;
  readonly why: string;
}

const WS: readonly Difference[] = [
  {
    cases: /^utf8\/fast\//,
    why: 'ws looks at a text once the message is whole, so a wrong octet is not noticed at once. RFC 6455 section 8.1 allows that; this project asks for more.',
  },
  {
    cases: /^framing\/length\/(text|binary)\/\d+-in-(16|64)-bits$/,
    why: 'ws takes lengths that are not written in the shortest form, against the MUST of RFC 6455 section 5.2.',
  },
  {
    cases: /^(pings\/many\/(100|1000)|fragmentation\/every-gap\/100)$/,
    why: 'ws drops a connection with more than 60 pings in one read unanswered (its option maxPendingAutoPongs). Each of these sends more, a few kilobytes altogether.',
  },
  {
    cases: /^close\/tcp\/server-first/,
    why: 'ws ends TCP as soon as both Close frames are exchanged; RFC 6455 section 7.1.1 says that the server SHOULD be first.',
  },
  {
    cases: /^deflate\/offer\/bad\/(server|client)-bits\/(08|\+8|8\.0|0x9|1e1)$/,
    why: 'ws converts the value with Number(); RFC 7692 section 7.1.2 asks for a decimal number without leading zeros.',
  },
  {
    cases: /^deflate\/offer\/bad\/server-bits\/more$/,
    why: 'ws does not compare server_max_window_bits with what it asked for (RFC 7692 section 7.1.2.1).',
  },
  {
    cases: /^deflate\/offer\/(bad\/twice|two-fields)$/,
    why: 'ws takes the first of several agreements to one extension.',
  },
  {
    cases: /^deflate\/example\/bfinal-keeps-the-window/,
    why: 'ws starts a new inflater after a final block and forgets the window, which only no_context_takeover would allow (RFC 7692 section 7.2.2).',
  },
  {
    cases: /^handshake\/line\/(http-0\.9|http-1\.0|http-2\.0|nul)$/,
    why: 'ws leaves the status line to the HTTP parser of Node, which takes other versions and a NUL in the reason.',
  },
  {
    cases: /^handshake\/limit\/head-(60|64)-kib$/,
    why: 'the HTTP parser of Node stops at 16 KiB of head; 64 KiB is the documented limit of this project.',
  },
  {
    cases: /^handshake\/limit\/fields-(257|2000)$/,
    why: 'the HTTP parser of Node leaves out fields beyond 2,000 and says nothing; 256 is the documented limit of this project.',
  },
  {
    cases: /^handshake\/interim\/endless$/,
    why: 'the time-out of ws starts again with every octet, and interim responses have no limit.',
  },
];

/** Where Node's own HTTP parser, which reads answers for ws, is one of those before 9.3. */
const OLD_PARSER: readonly Difference[] = [
  {
    cases: /^handshake\/(line\/leading-zero|field\/(no-name|space-in-name))$/,
    why: 'ws leaves the head to the HTTP parser of Node, which took more in the first versions of Node 20.',
  },
];
const [major = 0, minor = 0] = (process.versions['llhttp'] ?? '').split('.').map(Number);
const isOld = major < 9 || (major === 9 && minor < 3);

export const DIFFERENCES: Readonly<Record<string, readonly Difference[]>> = {
  ws: isOld ? [...WS, ...OLD_PARSER] : WS,
};

/** Why `client` differs on a case; undefined when it is not known to. */
export function explain(client: string, id: string): string | undefined {
  return DIFFERENCES[client]?.find(({ cases }) => cases.test(id))?.why;
}

/** Milliseconds to wait: a client is not given long where it is known to do nothing. */
export function patienceWith(client: string): (subject: { readonly id: string }) => number {
  return ({ id }) => (explain(client, id) === undefined ? Infinity : 800);
}
