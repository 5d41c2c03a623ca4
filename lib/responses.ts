/**
 * The server's response to the opening handshake, read as it arrives.
 * @packageDocumentation
 */
import { Buffer, NOTHING } from './builtins.js';
import { HandShakeError, type HandShakeFailure } from './exceptions.js';
import type { Numbers } from './options.js';
import type { HeaderList } from './parts.js';
import { parseField } from './requests.js';
import { describeValue } from './values.js';

/** The server's response to the opening handshake. */
export interface HandShakeResponse {
  /** The HTTP status: 101 once the connection is open. */
  readonly status: number;
  /** The reason phrase. */
  readonly statusText: string;
  /** Fields, names in lower case; those that came several times are joined by `', '`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Fields as they came: names in their case, in order, with duplicates. */
  readonly rawHeaders: HeaderList;
  /** The subprotocol that the server chose, or empty. */
  readonly subprotocol: string;
  /** The extensions that were negotiated, as the server's field tells them, or empty. */
  readonly extensions: string;
  /** Bytes that came behind the response: the first frames. */
  readonly head: Buffer;
}

const START = 'HTTP/1.1 ';
/** HTTP/1.0 knows no upgrade; it can refuse one. */
const STATUS_LINE = /^HTTP\/1\.(?:1|0(?! 101)) ([1-9]\d\d)(?: ([\t -~\x80-\xff]*))?\r\n$/;

/** What no response head may contain (RFC 9110 section 5.5, RFC 9112 section 2.2). */
const NEVER = /[^\t\n\r -~\x80-\xff]|\r(?!\n|$)/;

/** The error for a response that is not what it should be. */
export const responseError = (
  code: 'RESPONSE' | 'STATUS' | 'UPGRADE' | 'ACCEPT' | 'SUBPROTOCOL' | 'EXTENSIONS' | 'LIMIT',
  what: string,
  response?: HandShakeFailure,
): HandShakeError =>
  new HandShakeError(`ERR_HANDSHAKE_${code}`, `the server answered with ${what}`, response);

/**
 * A response that is kept as its text, and parsed anew when asked: most are verified once and never
 * looked at again, but live as long as their connection.
 */
export class Answer implements HandShakeResponse {
  readonly status: number;
  subprotocol = '';
  extensions = '';
  head: Buffer = NOTHING;
  #text = '';
  #fields: HeaderList | undefined;
  #headers: HandShakeResponse['headers'] | undefined;

  constructor(status: number, fields?: HeaderList) {
    this.status = status;
    this.#fields = fields;
  }

  get statusText(): string {
    return STATUS_LINE.exec(this.#lines[0]!)?.[2] ?? '';
  }

  get rawHeaders(): HeaderList {
    return (this.#fields ??= this.#lines.slice(1, -1).map((line) => parseField(line)!));
  }

  get headers(): HandShakeResponse['headers'] {
    return (this.#headers ??= tableOf(this.rawHeaders));
  }

  /** All of it, for `JSON.stringify()`. */
  toJSON(): HandShakeResponse {
    const { statusText, headers, rawHeaders } = this;
    return Object.assign({}, this, { statusText, headers, rawHeaders });
  }

  /** The same, for `console.log()`. */
  [Symbol.for('nodejs.util.inspect.custom')](): HandShakeResponse {
    return this.toJSON();
  }

  /** Its head is whole. */
  _complete(text: string, head: Buffer): this {
    this.#text = text;
    this.head = head;
    return this;
  }

  /** The head as it came. */
  get _text(): string {
    return this.#text;
  }

  /** It has been verified: its fields are parsed again when somebody asks. */
  _dropFields(): void {
    this.#fields = this.#headers = undefined;
  }

  get #lines(): string[] {
    return this.#text.split(/(?<=\n)/);
  }
}

function tableOf(fields: HeaderList): Record<string, string> {
  // Without a prototype: a field may have any name.
  const table = Object.create(null) as Record<string, string>;
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    table[key] = key in table ? `${table[key]!}, ${value}` : value;
  }
  return table;
}

/**
 * Makes a reader, which takes the bytes of a response head as they come, and returns the response
 * once its head is whole; its `head` then holds the bytes behind that. Each line is checked when it
 * ends.
 * @throws {HandShakeError} from the reader, for what is no HTTP/1.1 response, and at the limits
 */
export function responseReader({
  maxHeadBytes,
  maxHeadFields,
}: Pick<Numbers, 'maxHeadBytes' | 'maxHeadFields'>): (chunk: Buffer) => Answer | undefined {
  let text = '';
  /** Where the line begins that has not ended yet. */
  let from = 0;
  let left = maxHeadBytes;
  let fields: [name: string, value: string][] = [];
  let answer: Answer | undefined;

  /** @returns whether it was the last of the head */
  const readLine = (line: string): boolean => {
    if (!answer) {
      const found = STATUS_LINE.exec(line);
      if (!found) throw notHttp(line);
      answer = new Answer(Number(found[1]), (fields = []));
      return false;
    }
    if (line === '\r\n') return true;
    const field = parseField(line);
    if (!field) throw responseError('RESPONSE', `a bad field: ${describeValue(line)}`, answer);
    if (fields.push(field) > maxHeadFields) {
      throw responseError('LIMIT', `over ${maxHeadFields} fields (maxHeadFields)`, answer);
    }
    return false;
  };

  return (chunk) => {
    // Behind `from`, the text so far holds no line end: the search goes on here.
    let seen = text.length;
    const last = text.slice(-1);
    const fresh = chunk.toString('latin1');
    text += fresh;
    const checkLimit = (to: number): void => {
      if (to > left)
        throw responseError('LIMIT', `over ${maxHeadBytes} bytes (maxHeadBytes)`, answer);
    };
    // The cost must not grow with the number of chunks: the text is searched only where a line
    // ends.
    const endsLine = fresh.includes('\n');
    for (let next; endsLine && (next = text.indexOf('\n', seen) + 1) > 0;) {
      const isEnd = readLine(text.slice(from, next));
      checkLimit(next);
      from = seen = next;
      if (!isEnd) continue;
      const { status } = answer!;
      // 100, 102, 103 may come first (RFC 9110 section 15.2); they count against the same limit.
      if (status === 101 || status > 199) {
        const behind = text.length - next;
        const head = behind > 0 ? Buffer.from(chunk.subarray(-behind)) : NOTHING;
        // A copy: a slice would keep alive all that came in the same read.
        const own = Buffer.from(text.slice(0, next), 'latin1').toString('latin1');
        return answer!._complete(own, head);
      }
      text = text.slice(next);
      left -= next;
      from = seen = 0;
      answer = undefined;
    }
    // What cannot become a valid line is refused before its end, which may never come.
    if (!answer && seen < 9 && !START.startsWith(text.slice(0, 9).replace('.0', '.1'))) {
      throw notHttp(text);
    }
    if (NEVER.test(last + fresh)) readLine(text.slice(from));
    checkLimit(text.length);
    return undefined;
  };
}

const notHttp = (line: string): HandShakeError =>
  responseError('RESPONSE', `no HTTP/1.1: ${describeValue(line)}`);
