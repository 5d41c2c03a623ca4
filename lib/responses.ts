/**
 * The server's answer to the opening handshake, read as it arrives.
 * @packageDocumentation
 */
import { HandShakeError, type ErrorCode } from './exceptions.js';
import type { HeaderList } from './parts.js';
import { trimField } from './values.js';

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

const START = Buffer.from('HTTP/1.1 ');
const STATUS_LINE = /^HTTP\/1\.1 ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/;
const LF = 0x0a;
const CR = 0x0d;

/** Reads a response head; every byte is looked at once, however it is chopped. */
export class ResponseParser {
  readonly #maxBytes: number;
  readonly #maxFields: number;
  #bytes = 0;
  /** A line that is cut off so far. */
  #line = Buffer.alloc(0);
  #lineLength = 0;
  #status = 0;
  #statusText = '';
  #fields: [name: string, value: string][] = [];

  constructor(maxBytes: number, maxFields: number) {
    this.#maxBytes = maxBytes;
    this.#maxFields = maxFields;
  }

  /**
   * Takes bytes of the response.
   * @returns the response once its head is whole; `head` holds the bytes behind it
   * @throws {HandShakeError} at the first thing that is no HTTP/1.1 response, and at the limits
   */
  push(chunk: Buffer): HandShakeResponse | undefined {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(LF, from);
      const end = at < 0 ? chunk.length : at + 1;
      this.#count(end - from);
      const whole = at >= 0 && this.#lineLength === 0;
      const line = whole ? chunk.subarray(from, end) : this.#join(chunk, from, end);
      from = end;
      if (this.#status === 0) this.#checkStart(line);
      if (at < 0) return undefined;
      this.#lineLength = 0;
      if (line[line.length - 2] !== CR) {
        throw this.#fail('ERR_HANDSHAKE_RESPONSE', 'a line that does not end with CR LF', line);
      }
      if (this.#takeLine(line.toString('latin1', 0, line.length - 2))) {
        return this.#response(Buffer.from(chunk.subarray(from)));
      }
    }
  }

  /** Whether not a byte has come. */
  get untouched(): boolean {
    return this.#bytes === 0;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) {
      throw this.#fail(
        'ERR_HANDSHAKE_LIMIT',
        `a head of more than ${String(this.#maxBytes)} bytes (maxHeadBytes)`,
      );
    }
  }

  /** Collects a line that comes in pieces, in memory that doubles. */
  #join(chunk: Buffer, from: number, to: number): Buffer {
    const length = this.#lineLength + (to - from);
    if (length > this.#line.length) {
      const larger = Buffer.allocUnsafe(length * 2);
      this.#line.copy(larger, 0, 0, this.#lineLength);
      this.#line = larger;
    }
    chunk.copy(this.#line, this.#lineLength, from, to);
    this.#lineLength = length;
    return this.#line.subarray(0, length);
  }

  /** What cannot become a status line is refused before its line ends, which may be never. */
  #checkStart(line: Buffer): void {
    const length = Math.min(line.length, START.length);
    if (line.compare(START, 0, length, 0, length) !== 0) {
      throw this.#fail('ERR_HANDSHAKE_RESPONSE', 'something else than an HTTP/1.1 response', line);
    }
  }

  /** @returns whether the head is whole */
  #takeLine(line: string): boolean {
    if (this.#status === 0) {
      const found = STATUS_LINE.exec(line);
      if (found === null) {
        throw this.#fail('ERR_HANDSHAKE_RESPONSE', 'a malformed status line', line);
      }
      this.#status = Number(found[1]);
      this.#statusText = found[2] ?? '';
      return false;
    }
    if (line === '') return !this.#skipInterim();
    const found = FIELD.exec(line);
    if (found === null) throw this.#fail('ERR_HANDSHAKE_RESPONSE', 'a malformed field', line);
    if (this.#fields.length >= this.#maxFields) {
      throw this.#fail(
        'ERR_HANDSHAKE_LIMIT',
        `more than ${String(this.#maxFields)} fields (maxHeadFields)`,
      );
    }
    this.#fields.push([found[1] as string, trimField(found[2] as string)]);
    return false;
  }

  /** 100, 102, 103 may come first (RFC 9110 section 15.2); they count against the same limits. */
  #skipInterim(): boolean {
    if (this.#status === 101 || this.#status >= 200) return false;
    this.#status = 0;
    this.#fields = [];
    return true;
  }

  #response(head: Buffer): HandShakeResponse {
    return {
      status: this.#status,
      statusText: this.#statusText,
      headers: joinFields(this.#fields),
      rawHeaders: this.#fields,
      subprotocol: '',
      extensions: '',
      head,
    };
  }

  #fail(code: ErrorCode, what: string, got?: Buffer | string): HandShakeError {
    const shown =
      got === undefined
        ? ''
        : `: ${JSON.stringify(Buffer.from(got).toString('latin1').slice(0, 80))}`;
    return new HandShakeError(code, `the server answered with ${what}${shown}`, {
      status: this.#status === 0 ? undefined : this.#status,
      headers: joinFields(this.#fields),
    });
  }
}

function joinFields(fields: HeaderList): Record<string, string> {
  const joined = Object.create(null) as Record<string, string>;
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    const earlier = joined[key];
    joined[key] = earlier === undefined ? value : `${earlier}, ${value}`;
  }
  return joined;
}
