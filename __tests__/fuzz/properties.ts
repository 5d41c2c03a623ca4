/** What holds for any input. The tests try each a while, `npm run fuzz` for as long as it is told. */
import { isDeepStrictEqual } from 'node:util';
import {
  AioWebSocket,
  AioWebSocketError,
  ConnectionError,
  Frames,
  FrameError,
  HandShake,
  HandShakeError,
  parseUri,
  type CloseInfo,
  type HandShakeResponse,
} from 'aiowebsocket';
import fc from 'fast-check';
import { MemoryTransport } from '../helpers/duplex.js';
import { codec, note, type Told } from '../helpers/frames.js';
import { acceptance } from '../helpers/raw-server.js';
import { compare } from './differences.js';
import { describeVerdict, eventsOf, LIMITS, ours, theirs } from './receivers.js';
import { ACCEPT, answers, KEY, PROTOCOLS, type Answer } from './responses.js';
import {
  chop,
  chunking,
  cut,
  deflateOf,
  garbage,
  garbageBytes,
  mutate,
  mutations,
  parameters,
  plans,
  serverStream,
  type Parameters,
  type Plan,
} from './streams.js';

/** One property. */
export interface Property {
  readonly title: string;
  /** Inputs that the tests try. */
  readonly runs: number;
  readonly property: fc.IRawProperty<unknown>;
}

/** How often each outcome came: a property that meets but one of them shows little. */
export const outcomes = new Map<string, number>();

function count(outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

/** Milliseconds after which what has not ended hangs. */
const PATIENCE = 10_000;
/** Bytes of buffers that an input of some 100 KB may make the codec hold. */
const MOST_MEMORY = 64 * 2 ** 20;
const NO_LIMITS = { maxPayload: 0, maxFragments: 0 };

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}

function expectSame(told: unknown, expected: unknown): void {
  if (isDeepStrictEqual(told, expected)) return;
  throw new Error(`told ${fc.stringify(told)}\nnot ${fc.stringify(expected)}`);
}

/** Has zlib used by documented means alone, or not. */
function useZlib(documented: boolean): void {
  if (documented) process.env['AIOWEBSOCKET_DOCUMENTED'] = '1';
  else delete process.env['AIOWEBSOCKET_DOCUMENTED'];
}

// ---- any messages, fragments, chunks: the same messages ----

/** True for few inputs. */
const rarely = fc.nat(39).map((n) => n === 39);

/** A message of which the inflated bytes are worked on in slices, where it is compressed. */
const LARGE: Plan = {
  isText: true,
  data: Buffer.from('large, '.repeat(400_000)),
  cuts: [500],
  controls: [],
  compressed: true,
  final: false,
};

async function incoming(
  messages: readonly Plan[],
  deflate: Parameters | undefined,
  sizes: readonly number[],
  withLarge: boolean,
  documented: boolean,
): Promise<void> {
  useZlib(documented);
  const all = withLarge ? [...messages.slice(0, 2), LARGE, ...messages.slice(2)] : messages;
  const { wire, told: expected } = serverStream(all, deflate);
  const frames = codec({ extension: deflate && deflateOf(deflate) });
  const told = note(frames);
  for (const chunk of chop(wire, sizes)) {
    frames.feed(chunk);
    // What the codec keeps, it has to have copied.
    chunk.fill(0xee);
    while (frames.paused) await turn();
  }
  frames.stop();
  expectSame(told, expected);
  count(deflate ? 'incoming, compressed' : 'incoming');
}

/** What the receiver of `ws`, as a server, has to tell of messages. */
async function outgoing(
  messages: readonly Plan[],
  deflate: Parameters | undefined,
  sizes: readonly number[],
  documented: boolean,
): Promise<void> {
  useZlib(documented);
  const extension = deflate && deflateOf(deflate);
  const written: Buffer[] = [];
  const frames = new Frames((bytes) => written.push(bytes), { extension });
  const expected: Told[] = [];
  for (const { isText, data, cuts, controls, compressed } of messages) {
    const encoder = compressed ? extension : undefined;
    const pieces = cut(data, cuts);
    pieces.forEach((piece, i) => {
      const last = i === pieces.length - 1;
      const payload = encoder ? encoder.encode(piece, last) : piece;
      const whole = isText && !encoder && pieces.length === 1;
      const rsv = encoder && i === 0 ? encoder.rsv : 0;
      frames.write(last, i > 0 ? 0 : isText ? 1 : 2, whole ? data.toString() : payload, rsv);
      const between = last ? undefined : controls[i];
      if (between) {
        frames.write(true, between[0], between[1]);
        expected.push([between[0] === 0x9 ? 'ping' : 'pong', between[1]]);
      }
    });
    expected.push(['message', data, !isText]);
  }
  await turn();
  frames.stop();
  const server = await theirs(chop(Buffer.concat(written), sizes), deflate, NO_LIMITS, true);
  expectSame([server.end, server.events], ['open', eventsOf(expected)]);
  count(deflate ? 'outgoing, compressed' : 'outgoing');
}

// ---- any bytes: the verdict of another ----

async function verdicts(
  wire: Buffer,
  deflate: Parameters | undefined,
  sizes: readonly number[],
  othersSizes: readonly number[],
): Promise<void> {
  useZlib(false);
  const judge = async (bytes: Buffer) =>
    [
      ours(chop(bytes, sizes), deflate),
      await within('the receiver of ws', theirs(chop(bytes, othersSizes), deflate, LIMITS)),
    ] as const;
  const [mine, other] = await judge(wire);
  const found = await compare(mine, other, () => judge(Buffer.concat([wire, Buffer.alloc(1)])));
  if (found === undefined) {
    throw new Error(`ours: ${describeVerdict(mine)}\nws: ${describeVerdict(other)}`);
  }
  count(`verdict: ${found}, ${mine.end}`);
}

// ---- any bytes after the handshake ----

/** A client whose server answers the handshake, sends some bytes, and ends. */
class Client extends AioWebSocket {
  readonly #chunks: readonly Buffer[];
  readonly #extensions: string;

  constructor(chunks: readonly Buffer[], compression: boolean) {
    super('ws://127.0.0.1/', { ...LIMITS, compression, pingInterval: 0, closeTimeout: 2000 });
    this.#chunks = chunks;
    this.#extensions = compression ? 'permessage-deflate' : '';
  }

  protected override openTransport(): MemoryTransport {
    let request: string | undefined = '';
    return new MemoryTransport((bytes, transport) => {
      if (request === undefined) return;
      request += bytes.toString('latin1');
      if (!request.endsWith('\r\n\r\n')) return;
      const fields = this.#extensions ? { 'Sec-WebSocket-Extensions': this.#extensions } : {};
      transport.push(acceptance(request, fields));
      request = undefined;
      for (const chunk of this.#chunks) transport.push(chunk);
      transport.push(null);
    });
  }
}

async function anyBytes(
  wire: Buffer,
  compression: boolean,
  sizes: readonly number[],
  pulls: boolean,
  documented: boolean,
): Promise<void> {
  useZlib(documented);
  const before = process.memoryUsage().arrayBuffers;
  const aws = await new Client(chop(wire, sizes), compression).createConnection();
  const errors: Error[] = [];
  aws.on('error', (error) => errors.push(error));
  const pulled = pulls ? pullAll(aws) : undefined;
  const info = await within('the connection', aws.closed);
  await within('receive()', Promise.resolve(pulled));
  for (const error of [info.error, ...errors]) checkError(error);
  const grown = process.memoryUsage().arrayBuffers - before;
  if (grown > MOST_MEMORY) throw new Error(`${grown} bytes were taken for ${wire.length}`);
  count(`any bytes: ${ending(info)}`);
}

async function pullAll(aws: AioWebSocket): Promise<void> {
  try {
    for (;;) await aws.manipulator.receive();
  } catch (error) {
    if (!(error instanceof AioWebSocketError)) throw error;
  }
}

function checkError(error: Error | undefined): void {
  if (error === undefined || error instanceof FrameError) return;
  // The server of this property ends in the middle of things.
  if (error instanceof ConnectionError) return;
  throw error;
}

const ending = ({ code, error }: CloseInfo): string =>
  error instanceof FrameError
    ? `FrameError ${error.closeCode}`
    : `${error?.name ?? 'closed'} ${code}`;

// ---- any answer to the handshake ----

class KnownKey extends HandShake {
  protected override createKey(): string {
    return KEY;
  }
}

/** What comes of an answer: the fields that matter, or the code of the error. */
async function judgeAnswer(bytes: Buffer, sizes: readonly number[]): Promise<Judgement> {
  const transport = new MemoryTransport();
  const options = {
    protocols: PROTOCOLS,
    compression: true,
    maxHeadBytes: 8192,
    maxHeadFields: 64,
  };
  const handShake = new KnownKey(parseUri('ws://127.0.0.1/'), transport, options);
  await handShake.shake();
  const result = handShake.shakeResult();
  for (const chunk of chop(bytes, sizes)) transport.push(chunk);
  transport.push(null);
  try {
    const { status, rawHeaders, subprotocol, extensions, head } = await within('it', result);
    // How much of what follows came with the head depends on the chunks.
    const pieces = [head];
    while (transport.readableLength > 0) pieces.push(transport.read() as Buffer);
    const rest = Buffer.concat(pieces);
    return { code: '', rest, response: { status, rawHeaders, subprotocol, extensions } };
  } catch (error) {
    if (!(error instanceof HandShakeError || error instanceof ConnectionError)) throw error;
    return { code: error.code };
  } finally {
    transport.destroy();
  }
}

interface Judgement {
  /** Of the error; empty when the answer was taken. */
  readonly code: string;
  readonly rest?: Buffer;
  readonly response?: Partial<HandShakeResponse>;
}

/** What no answer is taken without. */
function checkTaken({ code, response }: Judgement): void {
  if (code !== '') return;
  const { status, rawHeaders = [] } = response!;
  const valuesOf = (wanted: string): string =>
    rawHeaders
      .filter(([name]) => name.toLowerCase() === wanted)
      .map(([, value]) => value)
      .join();
  const isRight =
    status === 101 &&
    valuesOf('upgrade').toLowerCase() === 'websocket' &&
    /(^|[ \t,])upgrade($|[ \t,])/i.test(valuesOf('connection')) &&
    valuesOf('sec-websocket-accept') === ACCEPT;
  if (!isRight) throw new Error(`taken: ${fc.stringify(response)}`);
}

async function anyAnswer(
  { bytes, isValid, rest }: Answer,
  sizes: readonly number[],
): Promise<void> {
  const whole = await judgeAnswer(bytes, [bytes.length + 1]);
  const chopped = await judgeAnswer(bytes, sizes);
  if (isValid) expectSame([whole.code, whole.rest], ['', rest]);
  checkTaken(whole);
  // Of several faults the first to come counts, and a limit may be met before a line is whole.
  if (![whole.code, chopped.code].includes('ERR_HANDSHAKE_LIMIT')) expectSame(chopped, whole);
  else expectSame(chopped.code !== '', whole.code !== '');
  count(`answer: ${whole.code || 'taken'}`);
}

/** What an offer without parameters comes to. */
const DEFAULTS: Parameters = {
  serverForgets: false,
  clientForgets: false,
  serverBits: 15,
  clientBits: 15,
};

export const PROPERTIES: Readonly<Record<string, Property>> = {
  incoming: {
    title: 'any messages, in any fragments and chunks, come as they were sent',
    runs: 150,
    property: fc.asyncProperty(plans, parameters, chunking, rarely, fc.boolean(), incoming),
  },
  outgoing: {
    title: 'any messages, in any fragments, reach a server as they were sent',
    runs: 150,
    property: fc.asyncProperty(plans, parameters, chunking, fc.boolean(), outgoing),
  },
  verdicts: {
    title: 'a changed stream gets the verdict that the receiver of ws gives, but for the list',
    runs: 400,
    property: fc.asyncProperty(
      fc.tuple(plans, parameters, mutations, chunking, chunking),
      ([messages, deflate, changes, sizes, othersSizes]) =>
        verdicts(
          mutate(serverStream(messages, deflate).wire, changes),
          deflate,
          sizes,
          othersSizes,
        ),
    ),
  },
  garbage: {
    title: 'frames of any kind get the verdict that the receiver of ws gives, but for the list',
    runs: 200,
    property: fc.asyncProperty(
      fc.tuple(garbage, parameters, chunking, chunking),
      ([frames, deflate, sizes, othersSizes]) =>
        verdicts(garbageBytes(frames, deflate), deflate, sizes, othersSizes),
    ),
  },
  bytes: {
    title: 'any bytes after the handshake end the connection, with a FrameError at the worst',
    runs: 200,
    property: fc.asyncProperty(
      garbage,
      fc.option(mutations, { nil: [] }),
      fc.boolean(),
      chunking,
      fc.boolean(),
      fc.boolean(),
      (frames, changes, compression, ...rest) =>
        anyBytes(
          mutate(garbageBytes(frames, compression ? DEFAULTS : undefined), changes),
          compression,
          ...rest,
        ),
    ),
  },
  answers: {
    title: 'any answer to the handshake is taken, or refused with a HandShakeError',
    runs: 300,
    property: fc.asyncProperty(answers, chunking, anyAnswer),
  },
};
