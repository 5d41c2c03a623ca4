/**
 * The fields of the request that opens a connection (RFC 6455 section 4.1).
 * @packageDocumentation
 */
import { Buffer } from './builtins.js';
import { EXTENSIONS, offerOf, parseOffers, SEC } from './negotiations.js';
import type { HandShakeOptions, HeaderFields, UnionFields } from './options.js';
import type { HeaderField, HeaderList, Remote } from './parts.js';
import { authority, isString, mustBe, trimField, wrongType, wrongValue } from './values.js';

/** What a token may not hold; nor may it be empty. */
const NO_TOKEN = /[^\w!#-'*+.^`|~-]/;
const VALUE = /^[\t -~\x80-\uffff]*$/;
const REQUEST_LINE = /^\S+ \S+ HTTP\/\S+$/;
const REQUEST_HEAD = /^GET [!-~]+ HTTP\/1\.[1-9]\r\n((?:[^]+\r\n)?)\r\n$/;
/** Control characters, apart from the tab. */
const CONTROL = /[^\t -~\xa0-\uffff]/;
/** 16 bytes in base64. */
const NONCE = /^[+/-9A-Za-z]{21}[AQgw]==$/;
/** One Host: several fields would be joined by a comma and a space. */
const ONE_HOST = /^\S*$/;

/** The field that offers subprotocols, and tells the one chosen. */
export const PROTOCOL = `${SEC}Protocol`;
/** The field with the nonce. */
export const KEY = `${SEC}Key`;
const VERSION = `${SEC}Version`;

/** The product token of the request's User-Agent. */
export const USER_AGENT = 'aiowebsocket/1.0.0';

/** A request head's parts. */
export interface RequestHead {
  /** The request line, where the user's list brought its own. */
  readonly requestLine?: string | undefined;
  readonly fields: HeaderList;
}

/** Name and value of a line, with or without its line end; bytes above ASCII are not checked. */
export function parseField(line: string): [name: string, value: string] | undefined {
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  const value = line.slice(colon + 1, line.endsWith('\r\n') ? -2 : undefined);
  return colon > 0 && !NO_TOKEN.test(name) && VALUE.test(value)
    ? [name, trimField(value)]
    : undefined;
}

/** The value of a field, as it came; several of one name are joined by `', '`. */
export function fieldValue(fields: HeaderList, name: string): string | undefined {
  const isIt = named(name);
  let found: string | undefined;
  for (const field of fields) {
    if (isIt(field)) found = found === undefined ? field[1] : `${found}, ${field[1]}`;
  }
  return found;
}

/** Every element of a comma-separated field, of all its lines. */
export const fieldTokens = (fields: HeaderList, name: string): string[] =>
  fieldValue(fields, name)?.split(',').map(trimField).filter(Boolean) ?? [];

/** Whether a comma-separated field holds a token, any case. */
export const hasToken = (fields: HeaderList, name: string, token: string): boolean =>
  fieldTokens(fields, name).some((one) => one.toLowerCase() === token);

const named =
  (name: string) =>
  (field: HeaderField): boolean =>
    field[0].length === name.length && field[0].toLowerCase() === name.toLowerCase();

/** Composes the fields that the options ask for. */
export function requestFields(
  remote: Remote,
  options: HandShakeOptions,
  createKey: () => string,
): RequestHead {
  const { headers, origin, protocols, unionHeader, compression } = options;
  if (Array.isArray(headers)) return exactHead(remote, options, headers as string[]);
  const { ssl, userinfo } = remote;
  const host = authority(remote);
  let fields = headers ? fieldsOf('headers', headers as HeaderFields) : [];
  const add = (name: string, value?: string): void => {
    if (value && !(headers && fields.some(named(name)))) fields.push([name, value]);
  };
  add('Host', host);
  add('Connection', 'Upgrade');
  add('Upgrade', 'websocket');
  if (!headers) {
    add('User-Agent', USER_AGENT);
    if (origin === undefined) add('Origin', `http${ssl ? 's' : ''}://${host}`);
  }
  if (origin !== undefined)
    fields = union(fields, { Origin: origin === false ? null : origin }, 'origin');
  add(KEY, createKey());
  add(VERSION, '13');
  // RFC 7617 section 2, with the UTF-8 that section 2.1 recommends.
  if (userinfo) add('Authorization', `Basic ${Buffer.from(userinfo).toString('base64')}`);
  add(PROTOCOL, protocols?.join(', '));
  add(EXTENSIONS, offerOf(compression));
  return { fields: unionHeader ? union(fields, unionHeader, 'unionHeader') : fields };
}

/**
 * The head as it goes out: UTF-8 lines, and the blank line that ends it.
 * @throws a TypeError for a field with a line break in it: joined, it would be two
 */
export function composeHead(requestLine: string, fields: HeaderList): string {
  // As wrong as a request line can be: refused by checkHead().
  if (CONTROL.test(requestLine)) requestLine = '';
  const lines = fields.map(([name, value, line = `${name}: ${value}`]) => {
    parseLine(line);
    return line;
  });
  return [requestLine, ...lines, '\r\n'].join('\r\n');
}

/**
 * Takes a request head apart again, whoever composed it, and holds it to RFC 6455 section 4.1.
 * @throws a TypeError that names what is wrong or lacking
 */
export function checkHead(head: unknown): HeaderList {
  const text = String(head);
  const found = REQUEST_HEAD.exec(text);
  if (!found) {
    const [line] = text.split(/\?|\r\n/, 1);
    throw mustBe('the request', '"GET <resource> HTTP/1.1", fields and a blank line', line);
  }
  const headers = found[1]!.split('\r\n').slice(0, -1).map(parseLine);
  requireField(headers, 'Upgrade', 'websocket');
  requireField(headers, 'Connection', 'upgrade');
  requireField(headers, 'Host', '<host>', ONE_HOST);
  requireField(headers, KEY, '<16 bytes in base64>', NONCE);
  requireField(headers, VERSION, '13', /^13$/);
  checkProtocols(fieldTokens(headers, PROTOCOL), PROTOCOL);
  parseOffers(fieldTokens(headers, EXTENSIONS));
  return headers;
}

/** Holds offered subprotocols to RFC 6455 section 4.1: tokens, each of them once. */
export function checkProtocols(protocols: readonly unknown[] = [], what = 'protocols'): void {
  for (const protocol of protocols) {
    // As with the values of fields, only what is wrong is shown.
    const wrong = protocol && isString(protocol) ? NO_TOKEN.exec(protocol) : [protocol];
    if (wrong) throw mustBe(what, 'tokens', wrong[0]);
  }
  if (new Set(protocols).size < protocols.length) {
    throw wrongValue(`${what} must be distinct`);
  }
}

/** A list goes out byte for byte; options that would change it are refused. */
function exactHead(
  remote: Remote,
  { unionHeader, origin, protocols, compression }: HandShakeOptions,
  list: readonly string[],
): RequestHead {
  const lines = [...list];
  // The original sent no blank line at the end: lists that worked with it bring their own.
  while (lines.at(-1) === '') lines.pop();
  const requestLine = REQUEST_LINE.test(lines[0]!) ? lines.shift() : undefined;
  const fields = lines.map((line): HeaderField => [...parseLine(line), line]);
  const offered = fieldTokens(fields, PROTOCOL).join();
  if (
    unionHeader ||
    origin !== undefined ||
    (protocols && protocols.join() !== offered) ||
    (compression && fieldTokens(fields, EXTENSIONS).length === 0)
  ) {
    throw wrongType(
      'a headers list goes out as it is: write unionHeader, origin, protocols, compression into it',
    );
  }
  const users = fields.filter(named('Authorization')).length;
  if (remote.userinfo && users !== 1) {
    throw mustBe("the request's Authorization", "<the URI's user>, once", users);
  }
  return { fields, requestLine };
}

const fieldsOf = (what: string, headers: Readonly<Record<string, unknown>>): HeaderField[] =>
  Object.entries(headers).flatMap(([name, value]) => {
    if (!name || NO_TOKEN.test(name)) throw mustBe(`${what}: a field name`, 'a token', name);
    return [value].flat().map((one): HeaderField => {
      const text = String(one);
      // Only the character that is wrong is shown: values may be secret.
      const wrong = isString(one) || Number.isFinite(one) ? CONTROL.exec(text) : [one];
      if (wrong) throw mustBe(`${what}: ${name}`, 'a string, no control characters', wrong[0]);
      return [name, text];
    });
  });

/** The fields with `changes` made: in place of those of the same name, or behind all others. */
function union(fields: HeaderField[], changes: UnionFields, what: string): HeaderField[] {
  for (const [name, value] of Object.entries<unknown>(changes)) {
    const isOld = named(name);
    const fresh = fieldsOf(what, { [name]: value === null ? [] : value });
    // All of them take the place of the first of that name; the others of it are removed.
    const others = fields.flatMap((field) => (isOld(field) ? fresh.splice(0) : [field]));
    fields = [...others, ...fresh];
  }
  return fields;
}

function parseLine(line: unknown): [name: string, value: string] {
  const field = isString(line) && !CONTROL.test(line) && parseField(line);
  if (!field) {
    // Values may be secret.
    const [name] = isString(line) ? line.split(/[^\w-]/) : [line];
    throw mustBe('headers: a line', '"Name: value", no control characters', name);
  }
  return field;
}

/** @throws TypeError unless the field's value is valid, or holds the expected token */
function requireField(headers: HeaderList, name: string, expected: string, valid?: RegExp): void {
  const value = fieldValue(headers, name);
  const met = valid ? value !== undefined && valid.test(value) : hasToken(headers, name, expected);
  if (!met) throw mustBe(`the request's ${name}`, `${expected}, once`, value ?? '');
}
