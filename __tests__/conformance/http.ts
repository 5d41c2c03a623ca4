// The opening handshake as a server sees it (RFC 6455 sections 4.1 and 4.2).
import { createHash } from 'node:crypto';

import type { ClientOptions, CompressionOffer } from './adapter.js';

export type Field = readonly [name: string, value: string];

export interface Request {
  readonly line: string;
  readonly fields: readonly Field[];
  readonly key: string;
}

/** Read a request head, without the empty line that ends it. */
export function parseRequest(head: string): Request {
  const [line = '', ...rest] = head.split('\r\n');
  const fields = rest.map((text): Field => {
    const colon = text.indexOf(':');
    return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1).trim()];
  });
  return { line, fields, key: values(fields, 'sec-websocket-key')[0] ?? '' };
}

export function values(fields: readonly Field[], name: string): string[] {
  return fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);
}

function tokens(list: readonly string[]): string[] {
  return list.flatMap((value) => value.split(',')).map((token) => token.trim().toLowerCase());
}

/** What is wrong with a request, by the list of RFC 6455 section 4.1; nothing is right. */
export function requestFaults(request: Request, raw: string, port: number): string[] {
  const faults: string[] = [];
  const expect = (good: boolean, what: string): void => {
    if (!good) faults.push(`client's request: ${what}`);
  };
  const one = (name: string): string | undefined => {
    const found = values(request.fields, name);
    expect(found.length === 1, `${name} is there ${String(found.length)} times, expected once`);
    return found[0];
  };
  expect(request.line === 'GET / HTTP/1.1', `its line is ${JSON.stringify(request.line)}`);
  const host = one('host');
  expect(host === `127.0.0.1:${String(port)}`, `host is ${String(host)}`);
  expect(one('upgrade')?.toLowerCase() === 'websocket', 'upgrade is not websocket');
  expect(
    tokens(values(request.fields, 'connection')).includes('upgrade'),
    'no Connection: Upgrade',
  );
  expect(one('sec-websocket-version') === '13', 'the version is not 13');
  const key = one('sec-websocket-key') ?? '';
  expect(/^[A-Za-z0-9+/]{22}==$/.test(key), `the key ${JSON.stringify(key)} is not 16 octets`);
  expect(Buffer.from(key, 'base64').toString('base64') === key, 'the key is not canonical base64');
  expect(!/[^\r]\n|\r[^\n]/.test(raw), 'a line ends in something other than CR LF');
  const names = request.fields.every(([name]) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name));
  expect(names, 'a field name is not a token');
  return faults;
}

const PARAMETERS = {
  serverNoContextTakeover: 'server_no_context_takeover',
  clientNoContextTakeover: 'client_no_context_takeover',
  serverMaxWindowBits: 'server_max_window_bits',
  clientMaxWindowBits: 'client_max_window_bits',
} as const;

/** What the first element of the offer must have, and what it must not. */
function extensionFaults(compression: CompressionOffer, element: string): string[] {
  const [name, ...parameters] = element.split(';').map((part) => part.trim());
  const faults =
    name === 'permessage-deflate' ? [] : [`client offered the extension ${String(name)}`];
  for (const [option, parameter] of Object.entries(PARAMETERS)) {
    const value = compression[option as keyof typeof PARAMETERS];
    const found = parameters.find((text) => text.split('=')[0] === parameter);
    // A client may offer client_max_window_bits of its own accord.
    if (value === undefined && option === 'clientMaxWindowBits') continue;
    const wanted = typeof value === 'number' ? `${parameter}=${String(value)}` : parameter;
    if (value === undefined || value === false) {
      if (found !== undefined) faults.push(`client offered ${found}, which nobody asked for`);
    } else if (found !== wanted) {
      faults.push(`expected the client to offer ${wanted}, got ${String(found)}`);
    }
  }
  const names = parameters.map((text) => text.split('=')[0]);
  if (new Set(names).size < names.length)
    faults.push(`client offered a parameter twice: ${element}`);
  return faults;
}

/** Whether a request offers what the options ask for, and nothing else. */
export function offerFaults(request: Request, options: ClientOptions): string[] {
  const faults: string[] = [];
  const { protocols = [], compression } = options;
  const offered = values(request.fields, 'sec-websocket-protocol').join(', ');
  if (offered.replaceAll(' ', '') !== protocols.join(',')) {
    faults.push(
      `expected the client to offer the subprotocols [${protocols.join(', ')}], got [${offered}]`,
    );
  }
  const extensions = values(request.fields, 'sec-websocket-extensions');
  const [first] = extensions.join(',').split(',');
  if (compression !== undefined) return [...faults, ...extensionFaults(compression, first ?? '')];
  if (extensions.length > 0) faults.push(`client offered ${extensions.join(', ')} unasked`);
  return faults;
}

/** The value of Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

export interface ResponseFields {
  /** @default 'HTTP/1.1 101 Switching Protocols' */
  readonly line?: string;
  /** In place of the field, `null` leaves it out. @default 'websocket' */
  readonly upgrade?: string | null;
  /** @default 'Upgrade' */
  readonly connection?: string | null;
  /** @default the right one */
  readonly accept?: string | null;
  /** Further fields, after the others. */
  readonly extra?: readonly Field[];
  /** Between the lines, and twice at the end. @default '\r\n' */
  readonly eol?: string;
}

/** A response head; with no fields given, the right one. One octet a character. */
export function response(request: Request, fields: ResponseFields = {}): Buffer {
  const { line = 'HTTP/1.1 101 Switching Protocols', eol = '\r\n' } = fields;
  const { upgrade = 'websocket', connection = 'Upgrade', extra = [] } = fields;
  const accept = fields.accept === undefined ? acceptOf(request.key) : fields.accept;
  const lines = [line];
  if (upgrade !== null) lines.push(`Upgrade: ${upgrade}`);
  if (connection !== null) lines.push(`Connection: ${connection}`);
  if (accept !== null) lines.push(`Sec-WebSocket-Accept: ${accept}`);
  for (const [name, value] of extra) lines.push(`${name}: ${value}`);
  return Buffer.from(lines.join(eol) + eol + eol, 'latin1');
}
