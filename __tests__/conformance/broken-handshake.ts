// The opening handshake of the deliberately simple client.
import { randomBytes } from 'node:crypto';

import type { ClientOptions } from './adapter.js';
import type { Fault } from './broken-faults.js';
import { acceptOf, type Field, values } from './http.js';

const HEAD_LIMIT = 65_536;
const FIELD_LIMIT = 256;

export interface Accepted {
  readonly protocol: string;
  /** What came behind the head. */
  readonly rest: Buffer;
}

export class SimpleHandshake {
  private readonly key: string;
  private received: Buffer = Buffer.alloc(0);

  constructor(
    private readonly options: ClientOptions,
    private readonly has: (fault: Fault) => boolean,
  ) {
    this.key = randomBytes(has('short-key') ? 8 : 16).toString('base64');
  }

  request(host: string): string {
    const { protocols = [] } = this.options;
    const lines = [
      'GET / HTTP/1.1',
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Key: ${this.key}`,
    ];
    if (!this.has('no-version')) lines.push('Sec-WebSocket-Version: 13');
    if (protocols.length > 0) lines.push(`Sec-WebSocket-Protocol: ${protocols.join(', ')}`);
    return `${lines.join('\r\n')}\r\n\r\n`;
  }

  /**
   * Take what came in.
   * @returns undefined while the head is not whole
   * @throws {Error} when the response must be refused
   */
  feed(chunk: Buffer): Accepted | undefined {
    this.received = Buffer.concat([this.received, chunk]);
    let start = 0;
    for (;;) {
      const end = this.received.indexOf('\r\n\r\n', start);
      const size = end < 0 ? this.received.length : end + 4;
      if (size > HEAD_LIMIT && !this.has('no-head-limit')) throw new Error('the head is too long');
      if (end < 0) return undefined;
      const head = this.received.subarray(start, end).toString('latin1');
      start = end + 4;
      if (/^HTTP\/1\.1 1(?!01)\d\d /.test(head)) continue;
      return { protocol: this.judge(head), rest: this.received.subarray(start) };
    }
  }

  /** Check a whole head; gives the subprotocol. */
  private judge(head: string): string {
    const [line = '', ...lines] = head.split('\r\n');
    const status = this.has('ignores-status') ? '\\d{3}' : '101';
    const good = new RegExp(`^HTTP/1\\.1 ${status}( [\\t\\x20-\\x7e\\x80-\\xff]*)?$`);
    if (!good.test(line)) throw new Error(`unexpected status line ${line}`);
    if (lines.length > FIELD_LIMIT) throw new Error('too many fields');
    const fields = lines.map((text): Field => {
      const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(
        text,
      );
      if (match === null) throw new Error(`bad field ${text}`);
      return [match[1] ?? '', match[2] ?? ''];
    });
    this.judgeUpgrade(fields);
    this.judgeExtensions(fields);
    return this.judgeProtocol(fields);
  }

  private judgeUpgrade(fields: readonly Field[]): void {
    const upgrade = values(fields, 'upgrade');
    if (upgrade.length !== 1 || !/^websocket$/i.test(upgrade[0] ?? ''))
      throw new Error('bad Upgrade');
    const connection = values(fields, 'connection').flatMap((value) => value.split(','));
    const upgrades = connection.some((token) => token.trim().toLowerCase() === 'upgrade');
    if (!upgrades && !this.has('ignores-connection')) throw new Error('bad Connection');
    if (this.has('ignores-accept')) return;
    const accept = values(fields, 'sec-websocket-accept');
    const fold = (value = ''): string =>
      this.has('accept-any-case') ? value.toLowerCase() : value;
    if (accept.length !== 1 || fold(accept[0]) !== fold(acceptOf(this.key))) {
      throw new Error('bad Sec-WebSocket-Accept');
    }
  }

  private judgeExtensions(fields: readonly Field[]): void {
    const extensions = values(fields, 'sec-websocket-extensions');
    if (extensions.length === 0 || this.has('accepts-unsolicited-extension')) return;
    throw new Error('an extension nobody asked for');
  }

  private judgeProtocol(fields: readonly Field[]): string {
    const { protocols = [] } = this.options;
    const chosen = values(fields, 'sec-websocket-protocol');
    const [first] = chosen;
    if (first === undefined) return '';
    if (this.has('accepts-unsolicited-protocol')) return first;
    if (chosen.length > 1 || !protocols.includes(first)) throw new Error('bad subprotocol');
    return first;
  }
}
