/**
 * What the command is told to do.
 * @packageDocumentation
 */
import { parseArgs } from 'node:util';
import { parseUri } from '../index.js';

/** What to send, how often, and where to. */
export interface Job {
  /** Undefined: an echo server of our own. */
  readonly uri: string | undefined;
  /** For the request, each name with all its values. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly message: string;
  readonly count: number;
  /** Milliseconds, for opening and for each answer. */
  readonly timeout: number;
}

/** The command was called wrongly. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What `--help` prints. */
export const HELP = `Usage: npm start -- [options] [ws://… | wss://…]

Sends a message several times, and prints each with what comes back.
Without a URI it starts an echo server on this machine and talks to that.

Options:
  --message <text>          what to send (AioWebSocket - Async WebSocket Client)
  --count <number>          how often (5)
  --header <'Name: value'>  a header field of the request; repeatable
  --timeout <milliseconds>  for opening, and for each answer (10000)
  --help                    this text`;

const OPTIONS = {
  message: { type: 'string', default: 'AioWebSocket - Async WebSocket Client' },
  count: { type: 'string', default: '5' },
  header: { type: 'string', multiple: true, default: [] as string[] },
  timeout: { type: 'string', default: '10000' },
  help: { type: 'boolean', default: false },
} as const;

const LONGEST_TIMER = 2_147_483_647;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/s;

/**
 * Understands the arguments.
 * @throws {UsageError} for options that it does not know, and for values that cannot be
 * @throws {InvalidURI} for anything but a `ws://` or `wss://` URI
 */
export function parseArguments(args: readonly string[]): Job | 'help' {
  const { values, positionals } = parse(args);
  if (values.help) return 'help';
  const [uri, another] = positionals;
  if (another !== undefined) {
    throw new UsageError(`one URI is enough, got ${JSON.stringify(another)} as well; see --help`);
  }
  if (uri !== undefined) parseUri(uri);
  return {
    uri,
    headers: collect(values.header),
    message: values.message,
    count: wholeNumber('--count', values.count, Number.MAX_SAFE_INTEGER),
    timeout: wholeNumber('--timeout', values.timeout, LONGEST_TIMER),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (cause) {
    // Node explains on several lines, and how to write arguments that nobody needs here.
    const what = (cause as Error).message
      .replace(/\. To specify a positional.*/s, '')
      .replace(/\s*\n\s*/g, ' ');
    throw new UsageError(`${what}; see --help`, { cause });
  }
}

/** Fields of one name, in any case, stay together: `unionHeader` sends each of their values. */
function collect(lines: readonly string[]): Record<string, string[]> {
  const fields = new Map<string, [name: string, values: string[]]>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(`--header must be 'Name: value', got ${JSON.stringify(line)}`);
    }
    const field = fields.get(name.toLowerCase());
    if (field === undefined) fields.set(name.toLowerCase(), [name, [value.trim()]]);
    else field[1].push(value.trim());
  }
  return Object.fromEntries(fields.values());
}

function wholeNumber(option: string, text: string, most: number): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > most) {
    throw new UsageError(
      `${option} must be a whole number from 1 to ${most}, got ${JSON.stringify(text)}`,
    );
  }
  return number;
}
