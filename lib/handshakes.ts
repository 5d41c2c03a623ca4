/**
 * The opening handshake (RFC 6455 section 4). Mirrors `aiowebsocket/handshakes.py`.
 * @packageDocumentation
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import { readBody } from './bodies.js';
import { ConnectionError, HandShakeError, type ErrorCode } from './exceptions.js';
import { numberOption, type HandShakeOptions } from './options.js';
import type { HeaderList, Remote } from './parts.js';
import { raise } from './values.js';
import {
  checkHead,
  checkProtocols,
  composeHead,
  fieldTokens,
  findField,
  requestFields,
} from './requests.js';
import { ResponseParser, type HandShakeResponse } from './responses.js';

export type { HandShakeResponse } from './responses.js';

/** What {@link HandShake} emits. */
export interface HandShakeEvents {
  /** The request as it goes out. */
  request: [head: string];
  /** The response, before it is verified. */
  response: [response: HandShakeResponse];
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * One opening handshake on one transport. Subclass it to sign requests, to accept other answers, to
 * choose otherwise: every step is a `protected` method of its own.
 */
export class HandShake extends EventEmitter<HandShakeEvents> {
  /** Where it connects. */
  readonly remote: Remote;
  /** The byte stream it speaks on. */
  readonly transport: Duplex;
  protected readonly options: HandShakeOptions;
  readonly #parser: ResponseParser;
  /** The fields of the request that was sent: what the answer is judged against. */
  #sent: HeaderList = [];
  #requestLine: string | undefined;

  /** @throws TypeError or RangeError for headers, protocols or limits that cannot be */
  constructor(remote: Remote, transport: Duplex, options: HandShakeOptions = {}) {
    super();
    this.remote = remote;
    this.transport = transport;
    this.options = options;
    checkProtocols(options.protocols ?? [], 'protocols');
    this.#parser = new ResponseParser(
      numberOption(options, 'maxHeadBytes'),
      numberOption(options, 'maxHeadFields'),
    );
  }

  /**
   * Checks the options against each other, as far as that goes before there is a connection.
   * @throws TypeError or RangeError that names the option
   */
  static check(remote: Remote, options: HandShakeOptions): void {
    checkProtocols(options.protocols ?? [], 'protocols');
    const { requestLine = 'GET / HTTP/1.1', fields } = requestFields(remote, options, newKey);
    checkHead(composeHead(requestLine, fields));
  }

  /** The whole request head, blank line included. May be awaited for, to sign it with a token. */
  shakeHeaders(): string | Promise<string> {
    const fields = this.requestHeaders();
    return composeHead(this.requestLine(), fields);
  }

  /**
   * Sends the request.
   * @throws {TypeError} when the composed head is not what RFC 6455 section 4.1 asks for
   */
  async shake(): Promise<void> {
    const head = await this.shakeHeaders();
    this.#sent = checkHead(head);
    try {
      this.emit('request', head);
    } catch (error) {
      raise(error);
    }
    this.transport.write(head);
  }

  /**
   * Reads the response and verifies it.
   * @throws {HandShakeError} when it is not what RFC 6455 section 4.1 asks for
   * @throws {ConnectionError} when the connection ends first
   */
  async shakeResult(): Promise<HandShakeResponse> {
    const response = await this.#read();
    try {
      this.emit('response', response);
    } catch (error) {
      raise(error);
    }
    try {
      this.verifyStatus(response);
    } catch (error) {
      if (error instanceof HandShakeError) error.body = await readBody(this.transport, response);
      throw error;
    }
    this.verifyUpgrade(response);
    this.verifyAccept(response);
    return {
      ...response,
      subprotocol: this.selectSubprotocol(response),
      extensions: this.selectExtensions(response),
    };
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
    if (response.status !== 101) {
      const { status, statusText } = response;
      throw refuse(
        'ERR_HANDSHAKE_STATUS',
        response,
        `HTTP ${String(status)} ${statusText}, not 101`,
      );
    }
  }

  /** @throws {HandShakeError} unless Upgrade is `websocket` and Connection holds `upgrade` */
  protected verifyUpgrade(response: HandShakeResponse): void {
    const upgrade = fieldTokens(response.rawHeaders, 'upgrade');
    if (upgrade.length !== 1 || upgrade[0]?.toLowerCase() !== 'websocket') {
      throw refuse('ERR_HANDSHAKE_UPGRADE', response, `Upgrade ${quote(upgrade)}, not "websocket"`);
    }
    const connection = fieldTokens(response.rawHeaders, 'connection');
    if (!connection.some((token) => token.toLowerCase() === 'upgrade')) {
      throw refuse(
        'ERR_HANDSHAKE_UPGRADE',
        response,
        `Connection ${quote(connection)}, without "upgrade"`,
      );
    }
  }

  /** @throws {HandShakeError} unless Sec-WebSocket-Accept answers our key, byte for byte */
  protected verifyAccept(response: HandShakeResponse): void {
    const key = findField(this.#sent, 'sec-websocket-key')?.[1] ?? '';
    const expected = createHash('sha1')
      .update(key + GUID)
      .digest('base64');
    const accepts = fieldLines(response, 'sec-websocket-accept');
    if (accepts.length !== 1 || accepts[0] !== expected) {
      throw refuse(
        'ERR_HANDSHAKE_ACCEPT',
        response,
        `Sec-WebSocket-Accept ${quote(accepts)}, not "${expected}"`,
      );
    }
  }

  /**
   * The subprotocol that the server chose, or empty.
   * @throws {HandShakeError} when it was not offered (RFC 6455 section 4.1)
   */
  protected selectSubprotocol(response: HandShakeResponse): string {
    const chosen = fieldLines(response, 'sec-websocket-protocol');
    if (chosen.length === 0) return '';
    const offered = fieldTokens(this.#sent, 'sec-websocket-protocol');
    const [subprotocol] = chosen;
    if (chosen.length > 1 || subprotocol === undefined || !offered.includes(subprotocol)) {
      throw refuse(
        'ERR_HANDSHAKE_SUBPROTOCOL',
        response,
        `the subprotocol ${quote(chosen)}; offered was ${quote(offered)}`,
      );
    }
    return subprotocol;
  }

  /**
   * The extensions that were negotiated, or empty.
   * @throws {HandShakeError} when the server chose one that was not offered
   */
  protected selectExtensions(response: HandShakeResponse): string {
    const chosen = fieldLines(response, 'sec-websocket-extensions').join(', ');
    if (chosen !== '') {
      throw refuse(
        'ERR_HANDSHAKE_EXTENSIONS',
        response,
        `extensions that were not offered: ${chosen}`,
      );
    }
    return '';
  }

  /** Reads until the head is whole, then leaves the transport paused. */
  #read(): Promise<HandShakeResponse> {
    const { transport } = this;
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        transport.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError);
        transport.pause();
        done();
      };
      const fail = (error: unknown): void => {
        settle(() => {
          reject(error);
        });
      };
      const onData = (chunk: Buffer): void => {
        try {
          const response = this.#parser.push(chunk);
          if (response !== undefined) {
            settle(() => {
              resolve(response);
            });
          }
        } catch (error) {
          fail(error);
        }
      };
      const onEnd = (): void => {
        fail(lost(this.#parser.untouched));
      };
      const onError = (cause: Error): void => {
        fail(
          new ConnectionError(
            'ERR_CONNECTION_RESET',
            `the connection broke during the opening handshake: ${cause.message}`,
            'handshake',
            { cause },
          ),
        );
      };
      transport.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError);
      if (transport.destroyed) onEnd();
      else transport.resume();
    });
  }
}

const newKey = (): string => randomBytes(16).toString('base64');

const fieldLines = (response: HandShakeResponse, name: string): string[] =>
  response.rawHeaders.filter((field) => field[0].toLowerCase() === name).map((field) => field[1]);

const quote = (values: readonly string[]): string => JSON.stringify(values.join(', '));

function lost(untouched: boolean): ConnectionError {
  const when = untouched ? 'without an answer to' : 'in the middle of its answer to';
  return new ConnectionError(
    'ERR_CONNECTION_LOST',
    `the server closed the connection ${when} the opening handshake`,
    'handshake',
  );
}

function refuse(code: ErrorCode, response: HandShakeResponse, what: string): HandShakeError {
  return new HandShakeError(code, `the server answered with ${what}`, response);
}
