/** What becomes of bytes: at this package's codec, and at the receiver of `ws`. */
import { FrameError, type Extension } from 'aiowebsocket';
import * as ws from 'ws';
import { inflate } from '../conformance/inflate.js';
import { codec, note, type Told } from '../helpers/frames.js';
import { deflateOf, type Parameters } from './streams.js';

/** The limits of both sides: small, so that they are met. */
export const LIMITS = { maxPayload: 100_000, maxFragments: 8 } as const;

/** What was told of a stream, and how that ended. */
export interface Verdict {
  /** Events in order, as text. */
  readonly events: readonly string[];
  /** `open` for more, `closed` by a Close frame, or failed with this close code. */
  readonly end: 'open' | 'closed' | number;
  /** The error, where there was one. */
  readonly code: string;
  readonly message: string;
  /** Bytes of the largest message. */
  readonly largest: number;
  /** Whether a final block was met (RFC 7692 section 7.2.3.4). */
  readonly sawFinal: () => boolean;
  /** Whether a compressed message had no byte at all. */
  readonly sawNothing: boolean;
  /** Whether messages may be compressed. */
  readonly extended: boolean;
}

/** Events as text: the same for the same bytes, whether shown as a string or as a Buffer. */
export const eventsOf = (told: readonly Told[]): string[] => told.map((one) => show(asBytes(one)));

const show = ([event, ...values]: Told): string =>
  [event, ...values.map((value) => Buffer.from(String(value)).toString('hex'))].join(' ');

/** A verdict, to be read. */
export const describeVerdict = ({ events, end, code, message }: Verdict): string =>
  `${end} ${code} ${message}\n  ${events.join('\n  ')}`;

/** A message is shown by its bytes: `ws` gives text as a Buffer. */
const asBytes = (one: Told): Told =>
  one[0] === 'message'
    ? ['message', Buffer.from(one[1] as string).toString('latin1'), one[2]]
    : one;

function verdict(told: readonly Told[], error: unknown, watched?: Watched): Verdict {
  const messages = told.filter((one) => one[0] === 'message').map((one) => one[1]);
  const failure = error as Partial<FrameError> | undefined;
  const isClosed = told.some(([event]) => event === 'close');
  return {
    events: eventsOf(told),
    end: failure ? (failure.closeCode ?? -1) : isClosed ? 'closed' : 'open',
    code: failure?.code ?? '',
    message: failure?.message ?? '',
    largest: Math.max(0, ...messages.map((data) => Buffer.byteLength(data as string))),
    sawFinal: watched?.sawFinal ?? (() => false),
    sawNothing: watched?.sawNothing() ?? false,
    extended: watched !== undefined,
  };
}

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/** What went through an extension. */
interface Watched {
  readonly extension: Extension;
  readonly sawFinal: () => boolean;
  readonly sawNothing: () => boolean;
}

/** Notes what goes into an extension, to tell what was special about it. */
function watch(extension: Extension, { serverForgets }: Parameters): Watched {
  /** Each may have blocks that begin in one message and end in another. */
  const streams: Buffer[][] = [[]];
  let bytesOfMessage = 0;
  let nothing = false;
  const hasFinal = (stream: readonly Buffer[]): boolean => {
    try {
      return inflate(Buffer.concat(stream), Buffer.alloc(0)).final;
    } catch {
      // Malformed, or cut off, with no final block before that.
      return false;
    }
  };
  return {
    sawFinal: () => streams.some(hasFinal),
    sawNothing: () => nothing,
    extension: {
      rsv: extension.rsv,
      resume: (rest, last, output) => extension.resume(rest, last, output),
      encode: (bytes, last) => extension.encode(bytes, last),
      close: () => {
        extension.close();
      },
      decode(bytes, last, most, output) {
        bytesOfMessage += bytes.length;
        const tail = last && bytesOfMessage > 0 ? [TAIL] : [];
        streams.at(-1)?.push(Buffer.from(bytes), ...tail);
        nothing ||= last && bytesOfMessage === 0;
        if (last) bytesOfMessage = 0;
        if (last && serverForgets) streams.push([]);
        return extension.decode(bytes, last, most, output);
      },
    },
  };
}

/** This package's codec. Throws what is no FrameError. */
export function ours(chunks: readonly Buffer[], deflate: Parameters | undefined): Verdict {
  const watched = deflate && watch(deflateOf(deflate), deflate);
  const frames = codec({ ...LIMITS, extension: watched?.extension });
  const told = note(frames);
  try {
    for (const chunk of chunks) frames.feed(chunk);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return verdict(told, error, watched);
  } finally {
    frames.stop();
  }
  return verdict(told, undefined, watched);
}

/** What `ws` exports and its types leave out. */
interface Internals {
  readonly Receiver: new (options: object) => WsReceiver;
  readonly PerMessageDeflate: new (options: object) => WsDeflate;
}
interface WsReceiver {
  on: (event: string, listener: (...values: never[]) => void) => void;
  _write: (chunk: Buffer, encoding: string, done: (error?: Error) => void) => void;
}
interface WsDeflate {
  params: Record<string, number | true>;
  cleanup: () => void;
}
const { Receiver, PerMessageDeflate } = ws as unknown as Internals;

const windowOf = (side: string, bits: number, forgets: boolean): Record<string, number | true> => ({
  [`${side}_max_window_bits`]: bits,
  ...(forgets && { [`${side}_no_context_takeover`]: true as const }),
});

/** The receiver of `ws`, on the client's side or the server's. */
export async function theirs(
  chunks: readonly Buffer[],
  deflate: Parameters | undefined,
  limits: { readonly maxPayload: number; readonly maxFragments: number },
  isServer = false,
): Promise<Verdict> {
  const extension = deflate && new PerMessageDeflate({ isServer, maxPayload: limits.maxPayload });
  if (extension) {
    extension.params = {
      ...windowOf('server', deflate.serverBits, deflate.serverForgets),
      ...windowOf('client', deflate.clientBits, deflate.clientForgets),
    };
  }
  const extensions = extension ? { 'permessage-deflate': extension } : {};
  const receiver = new Receiver({ ...limits, isServer, extensions });
  const told: Told[] = [];
  let closed = false;
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    told.push(['message', data, isBinary]);
  });
  receiver.on('ping', (payload: Buffer) => told.push(['ping', payload]));
  receiver.on('pong', (payload: Buffer) => told.push(['pong', payload]));
  receiver.on('conclude', (code: number, reason: Buffer) => {
    closed = true;
    told.push(['close', code, reason.toString()]);
  });
  let failure: Error | undefined;
  for (const chunk of chunks) {
    failure = await new Promise<Error | undefined>((resolve) => {
      receiver._write(chunk, 'buffer', (error) => resolve(error ?? undefined));
    });
    if (failure || closed) break;
  }
  extension?.cleanup();
  return verdict(told, failure && withCloseCode(failure));
}

/** `ws` keeps the close code behind a symbol. */
function withCloseCode(error: Error): Error {
  const symbol = Object.getOwnPropertySymbols(error).find(
    ({ description }) => description === 'status-code',
  );
  return Object.assign(error, { closeCode: symbol && (error as never)[symbol] });
}
