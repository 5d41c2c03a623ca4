/**
 * The server's response to the opening handshake, read as it arrives.
 * @packageDocumentation
 */
import { Buffer, NOTHING } from './builtins.js';
import { HandShakeError, type HandShakeFailure } from './exceptions.js';
import type { Numbers } from './options.js';
import type { HeaderField, HeaderList } from './parts.js';
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
  #fields: HeaderField[] | undefined;
  #headers: HandShakeResponse['headers'] | undefined;

  constructor(status: number, fields?: HeaderField[]) {
    this.status = status;
    this.#fields = fields;
  }

  get statusText(): string {
    return STATUS_LINE.exec(linesOf(this.#text)[0]!)?.[2] ?? '';
  }

  get rawHeaders(): HeaderList {
    return (this.#fields ??= linesOf(this.#text)
      .slice(1, -1)
      .map((line) => parseField(line)!));
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

  /** Adds a field. Returns how many there are. */
  _add(field: HeaderField): number {
    return this.#fields!.push(field);
  }

  /** Its head is whole. */
  _complete(text: string, head: Buffer): this {
    this.#text = text;
    if (head.length > 0) this.head = Buffer.from(head);
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
}

const linesOf = (text: string): string[] => text.split(/(?<=\n)/);

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
  let left = maxHeadBytes;
  /** The lines that have ended, and what has come of the next one. */
  let head = '';
  let line = '';
  /** Its last character: looking for that in it would take longer with each chunk. */
  let last = '';
  let answer: Answer | undefined;

  const checkLimit = (): void => {
    if (line.length > left) {
      throw responseError('LIMIT', `over ${maxHeadBytes} bytes (maxHeadBytes)`, answer);
    }
  };
  return (chunk) => {
    const fresh = chunk.toString('latin1');
    let from = 0;
    for (let next; (next = fresh.indexOf('\n', from) + 1) > 0; from = next) {
      line += fresh.slice(from, next);
      const whole = line === '\r\n' && answer;
      if (!whole) answer = withLine(answer, line, maxHeadFields);
      checkLimit();
      left -= line.length;
      head += line;
      line = last = '';
      if (whole) {
        // 100, 102, 103 may come first (RFC 9110 section 15.2); they count against the same limit.
        if (whole.status === 101 || whole.status > 199) {
          return whole._complete(ownText(head), chunk.subarray(next));
        }
        head = '';
        answer = undefined;
      }
    }
    const part = last + fresh.slice(from);
    const unsure = !answer && line.length < START.length;
    last = part.slice(-1);
    line += fresh.slice(from);
    // What cannot become a valid line is refused before its end, which may never come.
    if (NEVER.test(part) || (unsure && !isStart(line))) withLine(answer, line, maxHeadFields);
    checkLimit();
    return undefined;
  };
}

/** A copy: a slice would keep alive all that came in the same read. */
const ownText = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** Whether HTTP/1.1 or 1.0 begins so. */
const isStart = (text: string): boolean =>
  START.startsWith(text.slice(0, START.length).replace('.0', '.1'));

/**
 * Takes a line of the head that is not its last.
 * @param answer with the lines before it; made of the first one
 */
function withLine(answer: Answer | undefined, line: string, maxHeadFields: number): Answer {
  if (!answer) {
    const found = STATUS_LINE.exec(line);
    if (!found) throw responseError('RESPONSE', `no HTTP/1.1: ${describeValue(line)}`);
    return new Answer(Number(found[1]), []);
  }
  const field = parseField(line);
  if (!field) throw responseError('RESPONSE', `a bad field: ${describeValue(line)}`, answer);
  if (answer._add(field) > maxHeadFields) {
    throw responseError('LIMIT', `over ${maxHeadFields} fields (maxHeadFields)`, answer);
  }
  return answer;
}
