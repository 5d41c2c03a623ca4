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

/** HTTP/1.0 knows no upgrade; it can refuse one. */
const STATUS_LINE = /^HTTP\/1\.(?:1|0(?! 101)) [1-9]\d\d(?: ([\t -~\x80-\xff]*))?\r\n/;

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
 * A response that is kept as it came, and parsed anew when asked: most are verified once and never
 * looked at again, but live as long as their connection.
 */
export class Answer implements HandShakeResponse {
  readonly status: number;
  subprotocol = '';
  extensions = '';
  head: Buffer = NOTHING;
  /** In one piece, or what stands around Accept: connections that got the same share that. */
  #head: readonly string[];
  #accept: string;
  #fields: HeaderList | undefined;
  #headers: HandShakeResponse['headers'] | undefined;

  /**
   * @param head as it came, as Latin-1, or the beginning of it: whole lines that are valid
   * @param behind the bytes that came behind it
   * @param accept what stands between the pieces of the head
   */
  constructor(head: readonly string[], behind: Buffer = NOTHING, accept = '') {
    this.#head = head;
    this.#accept = accept;
    this.status = Number(head[0]!.slice(9, 12));
    if (behind.length > 0) this.head = Buffer.from(behind);
  }

  get statusText(): string {
    return STATUS_LINE.exec(this._text)![1] ?? '';
  }

  get rawHeaders(): HeaderList {
    return (this.#fields ??= this._text
      .split(/(?<=\n)/)
      .slice(1)
      .map(parseField)
      .filter((field) => field !== undefined));
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

  /** The head as it came. */
  get _text(): string {
    return this.#head.join(this.#accept);
  }

  /** It has been verified: its fields are parsed again when somebody asks. */
  _dropFields(): void {
    this.#fields = this.#headers = undefined;
  }

  /** Others may equal it but for this Accept. */
  _share(accept: string): WeakRef<Answer> {
    this.#head = this._text.split(accept);
    this.#accept = accept;
    return new WeakRef(this);
  }

  /** The same response with another Accept, if the bytes are that and no more. */
  _again(bytes: Buffer, accept: string): Answer | undefined {
    const again = new Answer(this.#head, NOTHING, accept);
    return again._text === bytes.toString('latin1') ? again : undefined;
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
  let left = maxHeadBytes;
  let fields = 0;
  /** The lines that have ended, and what has come of the next one. */
  let head = '';
  let line = '';
  /** Its last character: looking for that in it would take longer with each chunk. */
  let last = '';

  const fail = (code: 'RESPONSE' | 'LIMIT', what: string): never => {
    throw responseError(code, what, head ? new Answer([head]) : undefined);
  };
  /** A line has ended, or cannot become a valid one. */
  const checkLine = (): void => {
    if (head) {
      if (!parseField(line)) fail('RESPONSE', `a bad field: ${describeValue(line)}`);
      if (++fields > maxHeadFields) fail('LIMIT', `over ${maxHeadFields} fields (maxHeadFields)`);
    } else if (!STATUS_LINE.test(line)) fail('RESPONSE', `no HTTP/1.1: ${describeValue(line)}`);
  };
  const checkLimit = (): void => {
    if (line.length > left) fail('LIMIT', `over ${maxHeadBytes} bytes (maxHeadBytes)`);
  };
  return (chunk) => {
    const fresh = chunk.toString('latin1');
    let from = 0;
    for (let next; (next = fresh.indexOf('\n', from) + 1) > 0; from = next) {
      line += fresh.slice(from, next);
      const isWhole = line === '\r\n' && head;
      if (!isWhole) checkLine();
      checkLimit();
      left -= line.length;
      head += line;
      line = last = '';
      if (isWhole) {
        const answer = new Answer([ownText(head)], chunk.subarray(next));
        // 100, 102, 103 may come first (RFC 9110 section 15.2); they count against the same limit.
        if (answer.status === 101 || answer.status > 199) return answer;
        head = '';
        fields = 0;
      }
    }
    const part = last + fresh.slice(from);
    last = part.slice(-1);
    line += fresh.slice(from);
    // What cannot become a valid line is refused before its end, which may never come.
    if (NEVER.test(part) || (!head && !isStart(line))) checkLine();
    checkLimit();
    return undefined;
  };
}

/** A copy: a slice would keep alive all that came in the same read. */
const ownText = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** Whether HTTP/1.1 or 1.0 begins so. */
const isStart = (text: string): boolean =>
  'HTTP/1.1'.startsWith(text.slice(0, 8).replace('.0', '.1'));
