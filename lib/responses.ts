/**
 * The server's answer to the opening handshake, read as it arrives.
 * @packageDocumentation
 */
import { Buffer, NOTHING } from './builtins.js';
import { HandShakeError, type HandShakeFailure } from './exceptions.js';
import type { Numbers } from './options.js';
import type { HeaderList } from './parts.js';
import { parseField } from './requests.js';
import { describeValue } from './values.js';

/** The server's answer. */
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

/** What stands in no head (RFC 9110 section 5.5, RFC 9112 section 2.2). */
const NEVER = /[^\t\n\r -~\x80-\xff]|\r(?!\n|$)/;

/** The error for an answer that is not what it should be. */
export const refusal = (
  code: 'RESPONSE' | 'STATUS' | 'UPGRADE' | 'ACCEPT' | 'SUBPROTOCOL' | 'EXTENSIONS' | 'LIMIT',
  what: string,
  response?: HandShakeFailure,
): HandShakeError =>
  new HandShakeError(`ERR_HANDSHAKE_${code}`, `the server answered with ${what}`, response);

/**
 * A response that is kept as its text: most are judged once, and never looked at again, but stay for
 * as long as their connection.
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

  /** The same for `console.log()`. */
  [Symbol.for('nodejs.util.inspect.custom')](): HandShakeResponse {
    return this.toJSON();
  }

  /** Its head is whole. */
  _complete(text: string, head: Buffer): this {
    this.#text = text;
    this.head = head;
    return this;
  }

  /** As it came, once it is whole. */
  get _text(): string {
    return this.#text;
  }

  /** It has been judged: what its text tells is taken from there again when somebody asks. */
  _rest(): void {
    this.#fields = this.#headers = undefined;
  }

  get #lines(): string[] {
    return this.#text.split(/(?<=\n)/);
  }
}

function tableOf(fields: HeaderList): Record<string, string> {
  // It inherits nothing: no name of a field has a meaning in it.
  const table = Object.create(null) as Record<string, string>;
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    table[key] = key in table ? `${table[key]!}, ${value}` : value;
  }
  return table;
}

/**
 * Reads a response head. The reader takes bytes, and gives the response once its head is whole;
 * `head` holds the bytes behind it. A line is looked at when it ends, and no more lines than fields
 * are allowed.
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
  const takeLine = (line: string): boolean => {
    if (!answer) {
      const found = STATUS_LINE.exec(line);
      if (!found) throw noResponse(line);
      answer = new Answer(Number(found[1]), (fields = []));
      return false;
    }
    if (line === '\r\n') return true;
    const field = parseField(line);
    if (!field) throw refusal('RESPONSE', `a bad field: ${describeValue(line)}`, answer);
    if (fields.push(field) > maxHeadFields) {
      throw refusal('LIMIT', `over ${maxHeadFields} fields (maxHeadFields)`, answer);
    }
    return false;
  };

  return (chunk) => {
    // No line ends between `from` and here.
    let seen = text.length;
    const last = text.slice(-1);
    const fresh = chunk.toString('latin1');
    text += fresh;
    const checkLimit = (to: number): void => {
      if (to > left) throw refusal('LIMIT', `over ${maxHeadBytes} bytes (maxHeadBytes)`, answer);
    };
    // Bytes cost the same however they are chopped: only what ends a line is looked at.
    const endsLine = fresh.includes('\n');
    for (let next; endsLine && (next = text.indexOf('\n', seen) + 1) > 0;) {
      const isEnd = takeLine(text.slice(from, next));
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
    // What cannot become a line of a head is refused before it ends, which may be never.
    if (!answer && seen < 9 && !START.startsWith(text.slice(0, 9).replace('.0', '.1'))) {
      throw noResponse(text);
    }
    if (NEVER.test(last + fresh)) takeLine(text.slice(from));
    checkLimit(text.length);
    return undefined;
  };
}

const noResponse = (line: string): HandShakeError =>
  refusal('RESPONSE', `no HTTP/1.1: ${describeValue(line)}`);
