/**
 * The opening handshake (RFC 6455 section 4). Mirrors `aiowebsocket/handshakes.py`.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { EventEmitter, load } from './builtins.js';
import { readBody, readUntil } from './bodies.js';
import { HandShakeError } from './exceptions.js';
import {
  EXTENSIONS,
  offerOf,
  parseAnswer,
  parseOffers,
  SEC,
  type DeflateParameters,
} from './negotiations.js';
import { checkOptions, type HandShakeOptions, type Numbers } from './options.js';
import type { HeaderList, Remote } from './parts.js';
import {
  checkHead,
  checkProtocols,
  composeHead,
  fieldTokens,
  fieldValue,
  hasToken,
  KEY,
  PROTOCOL,
  requestFields,
} from './requests.js';
import { randomBytes } from './random.js';
import { responseError, responseReader, type Answer, type HandShakeResponse } from './responses.js';
import { DEFLATE, REFUSED } from './symbols.js';
import { checkMade, connectionLost, describeValue, emitSafely, mustBe, ownOf } from './values.js';

export type { HandShakeOptions } from './options.js';
export type { HandShakeResponse } from './responses.js';

/** What {@link HandShake} emits. */
export interface HandShakeEvents {
  /** The request as it goes out. */
  request: [head: string];
  /** The response, before it is verified. */
  response: [response: HandShakeResponse];
}

const ACCEPT = `${SEC}Accept`;
/** What a request line and Host may hold. */
const PLAIN = /^[!-~]+$/;
const NO_HEADERS: HeaderList = [];
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * The request, and the response found good last, of handshakes without options of the user's but
 * `compression`: to one place they differ by the key alone, and many connections may go there.
 */
interface Exchange {
  readonly _remote: Remote;
  /** What Sec-WebSocket-Extensions offers. */
  readonly _offer: string;
  /** The request before the key, and behind it. */
  readonly _request: readonly string[];
  /**
   * The response that was verified last. It may hold secrets: it lives no longer than the
   * connections that got it.
   */
  _answer?: [
    response: WeakRef<Answer>,
    // What it led to: connections to one place share that as well.
    extensions: string,
    deflate: DeflateParameters | undefined,
  ];
}

let latest: Exchange | undefined;

/**
 * One opening handshake on one transport. Subclass it to sign requests, to accept other answers, to
 * choose otherwise: every step is a `protected` method of its own.
 */
export class HandShake extends EventEmitter<HandShakeEvents> {
  /** Where it connects. */
  declare readonly remote: Remote;
  /** The byte stream it speaks on. */
  declare readonly transport: Duplex;
  /** What it was made with. */
  declare protected readonly options: HandShakeOptions;
  readonly #numbers: Numbers;
  /** The fields of the request as sent: the response is verified against them. */
  #sent: HeaderList = NO_HEADERS;
  #requestLine: string | undefined;
  #exchange: Exchange | undefined;
  /** @internal The error for a response with another status than 101, while its body is read. */
  declare [REFUSED]: Promise<HandShakeError> | undefined;
  /** @internal The parameters of permessage-deflate that were negotiated. */
  declare [DEFLATE]: DeflateParameters | undefined;

  /**
   * @param remote where to connect, as `parseUri()` tells it
   * @param transport an open byte stream
   * @param options what the request says, and limits of the response
   * @throws TypeError or RangeError for headers, protocols or limits that cannot be
   */
  constructor(remote: Remote, transport: Duplex, options: HandShakeOptions = {}) {
    super();
    const { host, resource } = checkMade(remote, 'remote', 'resource');
    if (!PLAIN.test(resource + host)) throw mustBe('remote', 'visible ASCII', resource + host);
    this.remote = remote;
    this.transport = checkMade(transport, 'transport', 'write');
    this.#numbers = checkOptions(options);
    // What AioWebSocket hands on inherits nothing, as it is.
    this.options = Object.getPrototypeOf(options) ? ownOf(options) : options;
    checkProtocols(this.options.protocols);
  }

  /**
   * Checks all of the request that the options decide, before anything is connected. The
   * constructor of AioWebSocket calls it.
   * @throws TypeError or RangeError that names the option
   */
  static check(remote: Remote, options: HandShakeOptions): void {
    if (isPlain(remote, options)) return;
    checkProtocols(options.protocols);
    const { requestLine = 'GET / HTTP/1.1', fields } = requestFields(remote, options, newKey);
    checkHead(composeHead(requestLine, fields));
  }

  /**
   * The whole request head, blank line included. May be asynchronous, to fetch a token first.
   * @throws {TypeError} or RangeError for fields that cannot be
   */
  shakeHeaders(): string | Promise<string> {
    // The line may stand in the list that the fields are from.
    const fields = checkMade(this.requestHeaders(), 'requestHeaders()', 'map');
    return composeHead(this.requestLine(), fields);
  }

  /**
   * Composes the request, checks it, emits `request` and sends it.
   * @throws {TypeError} when the composed head is not what RFC 6455 section 4.1 asks for
   */
  async shake(): Promise<void> {
    let head: string;
    const exchange = (this.#exchange = this.#plainExchange());
    if (exchange) {
      const key = newKey();
      this.#sent = [
        [KEY, key],
        [EXTENSIONS, exchange._offer],
      ];
      head = exchange._request.join(key);
    } else {
      head = await this.shakeHeaders();
      this.#sent = checkHead(head);
    }
    emitSafely(this, 'request', head);
    this.transport.write(head);
  }

  /**
   * Reads the response, emits `response`, verifies it, and leaves the stream paused. The body of a
   * refusal is read up to 64 KiB, and waited for 2 seconds at most.
   * @throws {HandShakeError} when it is not what RFC 6455 section 4.1 asks for
   * @throws {ConnectionError} when the connection ends first
   */
  async shakeResult(): Promise<HandShakeResponse> {
    let answer: Exchange['_answer'];
    let known: Answer | undefined;
    let read: ReturnType<typeof responseReader> | undefined;
    const response = await readUntil(
      this.transport,
      (chunk) => {
        if (!read) {
          answer = this.#exchange?._answer;
          known = answer?.[0].deref()?._again(chunk, this.#accept);
        }
        return known ?? (read ??= responseReader(this.#numbers))(chunk);
      },
      (cause) => {
        // An Error after `error`; after `close` a boolean or nothing.
        throw connectionLost(
          `${read ? 'within' : 'before'} the server's answer`,
          'handshake',
          cause,
        );
      },
    );
    // A listener may change the response, or this handshake.
    const exchange = this.#isOurs ? this.#exchange : undefined;
    emitSafely(this, 'response', response);
    if (exchange && known) {
      [, response.extensions, this[DEFLATE]] = answer!;
    } else {
      await this.#verify(response);
      if (exchange) {
        exchange._answer = [response._share(this.#accept), response.extensions, this[DEFLATE]];
      }
    }
    // Verified: what it took is freed, for a handshake lives as long as its connection.
    response._dropFields();
    this.#sent = NO_HEADERS;
    this.#exchange = undefined;
    return response;
  }

  /** Verifies the response (RFC 6455 section 4.1); an overridden step may be asynchronous. */
  async #verify(response: Answer): Promise<void> {
    const steps = this as unknown as Steps;
    try {
      await steps.verifyStatus(response);
    } catch (error) {
      if (!(error instanceof HandShakeError)) throw error;
      // The body of a refusal may tell why.
      throw await (this[REFUSED] = readBody(this.transport, response).then((body) =>
        Object.assign(error, { body }),
      ));
    }
    await steps.verifyUpgrade(response);
    await steps.verifyAccept(response);
    const subprotocol = await steps.selectSubprotocol(response);
    const extensions = await steps.selectExtensions(response);
    response.subprotocol = subprotocol;
    response.extensions = extensions;
  }

  /** The Accept that answers our key (RFC 6455 section 4.2.2). */
  get #accept(): string {
    const key = fieldValue(this.#sent, KEY) ?? '';
    return load('node:crypto').hash('sha1', key + GUID, 'base64');
  }

  /** Whether nothing of the user's takes part: no option, listener or overridden method. */
  get #isOurs(): boolean {
    return (
      isPlain(this.remote, this.options) &&
      !this.listenerCount('response') &&
      OWN.every(([name, { value }]) => this[name as keyof this] === value)
    );
  }

  /** The exchange to repeat, where nothing of the user's takes part. */
  #plainExchange(): Exchange | undefined {
    const { remote } = this;
    const offer = offerOf(this.options.compression);
    // A remote that the user made may change: it is not frozen.
    if (!this.#isOurs || !Object.isFrozen(remote)) return undefined;
    if (latest?._remote === remote && latest._offer === offer) return latest;
    const head = this.shakeHeaders() as string;
    const key = fieldValue(checkHead(head), KEY)!;
    return (latest = { _remote: remote, _offer: offer, _request: head.split(key) });
  }

  // ---- hooks: the request ----

  /** The request line, without its line end. */
  protected requestLine(): string {
    return this.#requestLine ?? `GET ${this.remote.resource} HTTP/1.1`;
  }

  /** The fields of the request, in order. Extend: `[...super.requestHeaders(), ['X-A', 'b']]`. */
  protected requestHeaders(): HeaderList {
    const head = requestFields(this.remote, this.options, () => this.createKey());
    this.#requestLine = head.requestLine;
    return head.fields;
  }

  /** The nonce: 16 random bytes in base64 (RFC 6455 section 4.1). */
  protected createKey(): string {
    return newKey();
  }

  // ---- hooks: the response ----

  /** @throws {HandShakeError} unless the status is 101 */
  protected verifyStatus(response: HandShakeResponse): void {
    const { status } = response;
    if (status !== 101) {
      throw responseError(
        'STATUS',
        `HTTP ${`${status} ${response.statusText}`.slice(0, 80).trimEnd()}, not 101`,
        response,
      );
    }
  }

  /** @throws {HandShakeError} unless Upgrade is `websocket` and Connection holds `upgrade` */
  protected verifyUpgrade(response: HandShakeResponse): void {
    const fields = response.rawHeaders;
    // The value itself, not one of a list: an empty element beside it is one too many.
    if (fieldValue(fields, 'Upgrade')?.toLowerCase() !== 'websocket') {
      throw wrongField('UPGRADE', response, 'Upgrade', '"websocket"');
    }
    if (!hasToken(fields, 'Connection', 'upgrade')) {
      throw wrongField('UPGRADE', response, 'Connection', '"upgrade"');
    }
  }

  /** @throws {HandShakeError} unless Sec-WebSocket-Accept answers our key, byte for byte */
  protected verifyAccept(response: HandShakeResponse): void {
    const expected = this.#accept;
    if (fieldValue(response.rawHeaders, ACCEPT) !== expected) {
      throw wrongField('ACCEPT', response, ACCEPT, expected);
    }
  }

  /**
   * The subprotocol that the server chose, or empty.
   * @throws {HandShakeError} when it was not offered (RFC 6455 section 4.1)
   */
  protected selectSubprotocol(response: HandShakeResponse): string {
    const chosen = fieldValue(response.rawHeaders, PROTOCOL);
    if (chosen === undefined) return '';
    if (!fieldTokens(this.#sent, PROTOCOL).includes(chosen)) {
      // Which those are is not told: some carry a token.
      throw wrongField('SUBPROTOCOL', response, PROTOCOL, OFFERED);
    }
    return chosen;
  }

  /**
   * The extensions that were negotiated, or empty.
   * @throws {HandShakeError} when the server's choice fits nothing that was offered
   */
  protected selectExtensions(response: HandShakeResponse): string {
    const { rawHeaders } = response;
    if (fieldValue(rawHeaders, EXTENSIONS) === undefined) return '';
    const [chosen = '', another] = fieldTokens(rawHeaders, EXTENSIONS);
    const deflate = parseAnswer(chosen, parseOffers(fieldTokens(this.#sent, EXTENSIONS)));
    this[DEFLATE] = deflate;
    if (!deflate || another) {
      throw wrongField('EXTENSIONS', response, EXTENSIONS, OFFERED);
    }
    return chosen;
  }
}

/** Whether nothing in the request, or in what is asked of the response, comes from the user. */
const isPlain = (
  { userinfo }: Remote,
  { headers, unionHeader, origin, protocols, maxHeadBytes, maxHeadFields }: HandShakeOptions,
): boolean =>
  (headers ?? unionHeader ?? origin ?? protocols ?? userinfo ?? maxHeadBytes ?? maxHeadFields) ===
  undefined;

const OFFERED = 'what was offered';

const newKey = (): string => randomBytes(16).toString('base64');

/** Its methods as they were loaded, by which overridden and replaced ones are found out. */
const OWN = Object.entries(Object.getOwnPropertyDescriptors(HandShake.prototype));

/** The steps that verify, as users may override them: asynchronously. */
type Steps = Record<
  'verifyStatus' | 'verifyUpgrade' | 'verifyAccept',
  (response: HandShakeResponse) => unknown
> &
  Record<
    'selectSubprotocol' | 'selectExtensions',
    (response: HandShakeResponse) => string | Promise<string>
  >;

function wrongField(
  code: Parameters<typeof responseError>[0],
  response: HandShakeResponse,
  name: string,
  expected: string,
): HandShakeError {
  const got = describeValue(fieldValue(response.rawHeaders, name) ?? '');
  return responseError(code, `${name} ${got}, not ${expected}`, response);
}
