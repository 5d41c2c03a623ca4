/**
 * The server's answer to the opening handshake, read as it arrives.
 * @packageDocumentation
 */
import { HandShakeError, type HandShakeFailure } from './exceptions.js';
import type { Numbers } from './options.js';
import type { HeaderList } from './parts.js';
import { addHeader, newHeaders, parseField } from './requests.js';
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

const NOTHING: Buffer = Buffer.alloc(0);
const START = 'HTTP/1.1 ';
const STATUS_LINE = /^HTTP\/1\.1 ([1-9]\d\d)(?: ([\t -~\x80-\xff]*))?\r\n$/;

/** The error for an answer that is not what it should be. */
export const refusal = (
  code: 'RESPONSE' | 'STATUS' | 'UPGRADE' | 'ACCEPT' | 'SUBPROTOCOL' | 'EXTENSIONS' | 'LIMIT',
  what: string,
  response?: HandShakeFailure,
): HandShakeError =>
  new HandShakeError(`ERR_HANDSHAKE_${code}`, `the server answered with ${what}`, response);

/**
 * Reads a response head. The reader takes bytes, and gives the response once its head is whole;
 * `head` holds the bytes behind it. A line is looked at when it ends, and no more lines than
 * fields are allowed; bytes in between cost the same however they are chopped.
 * @throws {HandShakeError} from the reader, for what is no HTTP/1.1 response, and at the limits
 */
export function responseReader({
  maxHeadBytes,
  maxHeadFields,
}: Pick<Numbers, 'maxHeadBytes' | 'maxHeadFields'>): (
  chunk: Buffer,
) => HandShakeResponse | undefined {
  let text = '';
  /** Its last characters, where the end of the head may have begun. */
  let tail = '';
  let left = maxHeadBytes;
  let response: HandShakeResponse | undefined;
  return (chunk) => {
    const fresh = chunk.toString('latin1');
    for (let from = 0; ;) {
      const seen = tail + fresh.slice(from);
      const end = seen.indexOf('\r\n\r\n') + 4;
      const piece = seen.slice(tail.length, end > 3 ? end : undefined);
      const begins = text.length < 9;
      text += piece;
      from += piece.length;
      left -= piece.length;
      // What cannot become a status line is refused before its line ends, which may be never.
      if (piece.includes('\n') || (begins && !START.startsWith(text.slice(0, 9)))) {
        response = parseHead(text, maxHeadFields);
      }
      if (left < 0) throw refusal('LIMIT', `over ${maxHeadBytes} bytes (maxHeadBytes)`, response);
      tail = (tail + piece).slice(-3);
      if (end < 4) return undefined;
      const { status } = response!;
      // 100, 102, 103 may come first (RFC 9110 section 15.2); they count against the same limit.
      if (status === 101 || status > 199) {
        const head = from < chunk.length ? Buffer.from(chunk.subarray(from)) : NOTHING;
        return Object.assign(response!, { head });
      }
      text = tail = '';
    }
  };
}

/** @throws {HandShakeError} unless every line that has ended is as it should be */
function parseHead(text: string, maxFields: number): HandShakeResponse {
  let from = text.indexOf('\n') + 1;
  const first = text.slice(0, from || undefined);
  const found = STATUS_LINE.exec(first);
  if (!found) throw refusal('RESPONSE', `no HTTP/1.1: ${describeValue(first)}`);
  const headers = newHeaders();
  const rawHeaders: [name: string, value: string][] = [];
  const response: HandShakeResponse = {
    status: Number(found[1]),
    statusText: found[2] ?? '',
    headers,
    rawHeaders,
    subprotocol: '',
    extensions: '',
    head: NOTHING,
  };
  for (let next; (next = text.indexOf('\n', from) + 1) > 0; from = next) {
    const line = text.slice(from, next);
    if (line === '\r\n') break;
    const field = parseField(line);
    if (!field) throw refusal('RESPONSE', `a bad field: ${describeValue(line)}`, response);
    if (rawHeaders.push(field) > maxFields) {
      throw refusal('LIMIT', `over ${maxFields} fields (maxHeadFields)`, response);
    }
    addHeader(headers, ...field);
  }
  return response;
}
