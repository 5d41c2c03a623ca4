/**
 * The fields of the request that opens a connection (RFC 6455 section 4.1).
 * @packageDocumentation
 */
import type { HandShakeOptions, HeaderFields, UnionFields } from './options.js';
import type { HeaderField, HeaderList, Remote } from './parts.js';
import { authority, describeValue, trimField, wrongType, wrongValue } from './values.js';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/;
const REQUEST_LINE = /^\S+ \S+ HTTP\/\S+$/;
const GET_REQUEST_LINE = /^GET [!-~]+ HTTP\/1\.[1-9]$/;
/** Control characters, apart from the tab. */
const CONTROL = /(?!\t)\p{Cc}/u;
/** A nonce of 16 bytes, in base64. */
const KEY = /^[+/0-9A-Za-z]{21}[AQgw]==$/;

/** The product token of the request's User-Agent. */
export const USER_AGENT = 'aiowebsocket/1.0.0';

/** A request head's parts. */
export interface RequestHead {
  /** The request line, where the user's list brought its own. */
  readonly requestLine?: string;
  readonly fields: HeaderList;
}

/** A field of this name, any case. */
export function findField(fields: HeaderList, name: string): HeaderField | undefined {
  return fields.find((field) => field[0].toLowerCase() === name);
}

/** Every element of a comma-separated field, of all its lines. */
export function fieldTokens(fields: HeaderList, name: string): string[] {
  return fields
    .filter((field) => field[0].toLowerCase() === name)
    .flatMap((field) => field[1].split(','))
    .map(trimField)
    .filter((token) => token !== '');
}

/** Composes the fields that the options ask for. */
export function requestFields(
  remote: Remote,
  options: HandShakeOptions,
  createKey: () => string,
): RequestHead {
  if (Array.isArray(options.headers))
    return exactHead(remote, options, options.headers as string[]);
  const { headers } = options as { headers?: HeaderFields };
  const fields = headers === undefined ? [] : objectFields('headers', headers);
  const add = (name: string, value: string): void => {
    if (findField(fields, name.toLowerCase()) === undefined) fields.push([name, value]);
  };
  add('Host', authority(remote));
  add('Connection', 'Upgrade');
  add('Upgrade', 'websocket');
  if (headers === undefined) {
    add('User-Agent', USER_AGENT);
    if (options.origin === undefined) add('Origin', originOf(remote));
  }
  if (typeof options.origin === 'string') union(fields, { Origin: options.origin }, 'origin');
  add('Sec-WebSocket-Key', createKey());
  add('Sec-WebSocket-Version', '13');
  if (remote.userinfo !== undefined) add('Authorization', basicAuthorization(remote.userinfo));
  if (options.protocols !== undefined && options.protocols.length > 0) {
    add('Sec-WebSocket-Protocol', options.protocols.join(', '));
  }
  if (options.unionHeader !== undefined) union(fields, options.unionHeader, 'unionHeader');
  return { fields };
}

/** The head as it goes out: UTF-8 lines, and the blank line that ends it. */
export function composeHead(requestLine: string, fields: HeaderList): string {
  const lines = fields.map(([name, value, line]) => line ?? `${name}: ${value}`);
  return [requestLine, ...lines, '', ''].join('\r\n');
}

/**
 * Takes a request head apart again, whoever composed it, and holds it to RFC 6455 section 4.1.
 * @throws a TypeError that names what is wrong or lacking
 */
export function checkHead(head: string): HeaderList {
  const lines = head.split('\r\n');
  if (lines.pop() !== '' || lines.pop() !== '') {
    throw wrongType('the request head must end with a blank line');
  }
  const requestLine = lines.shift() ?? '';
  if (!GET_REQUEST_LINE.test(requestLine)) {
    throw wrongType(
      `the request line must be "GET <resource> HTTP/1.1", got ${describeValue(requestLine)}`,
    );
  }
  const fields = lines.map((line) => parseLine(line, 'headers'));
  requireToken(fields, 'Upgrade', 'websocket');
  requireToken(fields, 'Connection', 'upgrade');
  requireOne(fields, 'Host', () => true, 'the host');
  requireOne(fields, 'Sec-WebSocket-Key', (value) => KEY.test(value), '16 bytes in base64');
  requireOne(
    fields,
    'Sec-WebSocket-Version',
    (value) => value === '13',
    '13, the only version spoken',
  );
  checkProtocols(fieldTokens(fields, 'sec-websocket-protocol'), 'Sec-WebSocket-Protocol');
  return fields;
}

/** Holds offered subprotocols to RFC 6455 section 4.1: tokens, each of them once. */
export function checkProtocols(protocols: readonly unknown[], what: string): void {
  for (const protocol of protocols) {
    if (typeof protocol !== 'string' || !TOKEN.test(protocol)) {
      throw wrongType(
        `${what} must hold tokens (RFC 6455 section 4.1), got ${describeValue(protocol)}`,
      );
    }
  }
  if (new Set(protocols).size !== protocols.length) {
    throw wrongValue(`${what} must name each subprotocol once, got ${protocols.join(', ')}`);
  }
}

function originOf(remote: Remote): string {
  return `${remote.ssl ? 'https' : 'http'}://${authority(remote)}`;
}

/** RFC 7617 section 2, with the UTF-8 that section 2.1 recommends. */
function basicAuthorization(userinfo: string): string {
  return `Basic ${Buffer.from(userinfo).toString('base64')}`;
}

/** A list goes out byte for byte; options that would change it are refused. */
function exactHead(
  remote: Remote,
  options: HandShakeOptions,
  list: readonly string[],
): RequestHead {
  for (const name of ['unionHeader', 'origin'] as const) {
    if (options[name] !== undefined) {
      throw wrongType(
        `${name} cannot change a headers list, which goes out byte for byte: write the field into the list`,
      );
    }
  }
  const lines = [...list];
  // Lists that worked with the original end with the blank line that it forgot.
  while (lines.at(-1) === '') lines.pop();
  const ownLine = typeof lines[0] === 'string' && REQUEST_LINE.test(lines[0]);
  const requestLine = ownLine ? lines.shift() : undefined;
  const fields = lines.map((line): HeaderField => {
    const [name, value] = parseLine(line, 'headers');
    return [name, value, line];
  });
  if (remote.userinfo !== undefined) {
    requireOne(fields, 'Authorization', () => true, 'the credentials that the URI holds');
  }
  const offered = fieldTokens(fields, 'sec-websocket-protocol');
  if (options.protocols !== undefined && options.protocols.join() !== offered.join()) {
    throw wrongType(
      'protocols cannot change a headers list: write Sec-WebSocket-Protocol into the list, or leave protocols out',
    );
  }
  return { fields, ...(requestLine === undefined ? {} : { requestLine }) };
}

function objectFields(what: string, headers: HeaderFields | UnionFields): HeaderField[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (value === null) return [];
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.map((one): HeaderField => [checkName(name, what), checkValue(name, one, what)]);
  });
}

/** Puts fields in place of those of the same name, or behind the others. */
function union(fields: HeaderField[], changes: UnionFields, what: string): void {
  for (const [name, value] of Object.entries(changes)) {
    const replacements = objectFields(what, { [checkName(name, what)]: value });
    const same = (field: HeaderField): boolean => field[0].toLowerCase() === name.toLowerCase();
    const at = fields.findIndex(same);
    const others = fields.filter((field) => !same(field));
    others.splice(at < 0 ? others.length : at, 0, ...replacements);
    fields.splice(0, fields.length, ...others);
  }
}

function checkName(name: string, what: string): string {
  if (!TOKEN.test(name)) {
    throw wrongType(`${what}: a field name must be a token (RFC 9110), got ${describeValue(name)}`);
  }
  return name;
}

function checkValue(name: string, value: unknown, what: string): string {
  if (typeof value !== 'string' && !(typeof value === 'number' && Number.isFinite(value))) {
    throw wrongType(`${what}: ${name} must be a string, got ${describeValue(value)}`);
  }
  const text = String(value);
  if (CONTROL.test(text)) {
    throw wrongType(`${what}: ${name} must not hold CR, LF, NUL or other control characters`);
  }
  return text;
}

function parseLine(line: unknown, what: string): HeaderField {
  const found = typeof line === 'string' && !CONTROL.test(line) ? FIELD_LINE.exec(line) : null;
  if (found === null) {
    throw wrongType(
      `${what}: a line must be "Name: value" without control characters, got ${describeValue(line)}`,
    );
  }
  return [found[1] as string, trimField(found[2] as string)];
}

function requireToken(fields: HeaderList, name: string, token: string): void {
  const tokens = fieldTokens(fields, name.toLowerCase());
  if (!tokens.some((one) => one.toLowerCase() === token)) {
    throw wrongType(`the request lacks "${name}: ${token}" (RFC 6455 section 4.1)`);
  }
}

function requireOne(
  fields: HeaderList,
  name: string,
  valid: (value: string) => boolean,
  expected: string,
): void {
  const found = fields.filter((field) => field[0].toLowerCase() === name.toLowerCase());
  if (found.length === 0) {
    throw wrongType(`the request lacks ${name}: add it (RFC 6455 section 4.1)`);
  }
  if (found.length > 1 || !valid((found[0] as HeaderField)[1])) {
    throw wrongType(
      `${name} must stand in the request once, as ${expected}; got ${describeValue(found.map((field) => field[1]).join(', '))}`,
    );
  }
}
