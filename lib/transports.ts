/**
 * Byte streams: how one is opened, read without copies, and written without waiting.
 * @packageDocumentation
 */
import type { LookupFunction, Socket, TcpNetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { ConnectionError, type ErrorCode, type Phase } from './exceptions.js';
import type { TlsOptions, TransportOptions } from './options.js';
import type { ByteSink, Remote } from './parts.js';
import { authority, mustBe } from './values.js';

/** What {@link openTransport} needs besides the options. */
export interface OpenContext {
  /** Aborts the attempt: the socket is destroyed, the promise rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told as the attempt gets on. */
  onPhase?: (phase: Phase) => void;
}

type ChunkReader = (chunk: Buffer) => void;

/** How to give chunks to one reader instead of the stream, for the transports made here. */
const fastReaders = new WeakMap<Duplex, (reader: ChunkReader) => void>();

/** One buffer serves every socket: it is read and left again within one callback. */
let readBuffer: Buffer | undefined;

/**
 * Opens a TCP connection, with TLS for `wss`.
 * @throws {ConnectionError} with the phase it failed in
 */
export async function openTransport(
  remote: Remote,
  options: TransportOptions = {},
  context: OpenContext = {},
): Promise<Duplex> {
  const { ssl, host } = remote;
  const { localAddress } = options;
  // Loaded only when used: importing this package costs neither.
  const net = await import('node:net');
  const { connect } = ssl ? await import('node:tls') : net;
  context.signal?.throwIfAborted();
  if (localAddress && !net.isIP(localAddress)) {
    throw mustBe('localAddress', 'an IP address', localAddress);
  }
  const phase = net.isIP(host) ? 'tcp' : 'dns';
  const buffer = (readBuffer ??= Buffer.alloc(65_536));
  let read = (chunk: Buffer): unknown => socket.push(Buffer.from(chunk));
  const onread = {
    buffer,
    // A full stream wants no more; a reader that does not pauses the socket itself.
    callback: (bytes: number): boolean => read(buffer.subarray(0, bytes)) !== false,
  };
  const lookup: LookupFunction | undefined =
    options.lookup &&
    // Not within connect(): what is told then has no listener yet.
    ((name, how, done) =>
      options.lookup?.(name, how, (...found) => process.nextTick(done, ...found)));
  let socket: Socket;
  try {
    const settings = { ...socketSettings(remote, options, phase === 'dns'), lookup, onread };
    socket = (connect as (settings: object) => Socket)(settings);
  } catch (cause) {
    throw connectionError(cause as Error, remote, ssl ? 'tls' : phase);
  }
  socket.setNoDelay(true);
  fastReaders.set(socket, (reader) => {
    read = reader;
  });
  await opened(socket, remote, phase, context);
  return socket;
}

const socketSettings = (
  { ssl, host, port }: Remote,
  options: TransportOptions,
  named: boolean,
): TcpNetConnectOpts & ConnectionOptions => ({
  // RFC 6066 section 3: no IP address in the server name; it is verified all the same.
  ...(ssl && {
    ...(named && { servername: host }),
    ALPNProtocols: ['http/1.1'],
    ...(options.ssl as TlsOptions | undefined),
  }),
  host,
  port,
  family: options.family ?? 0,
  localAddress: options.localAddress,
});

function opened(
  socket: Socket,
  remote: Remote,
  first: Phase,
  { signal, onPhase }: OpenContext,
): Promise<void> {
  const { ssl } = remote;
  let phase = first;
  const reach = (next: Phase): void => {
    onPhase?.((phase = next));
  };
  reach(first);
  return new Promise<void>((resolve, reject) => {
    const fail: (reason: unknown) => void = reject;
    // They stay: a late error is told by `close`, and without a listener would end the process.
    const onError = (cause: Error): void => {
      fail(signal?.aborted ? signal.reason : connectionError(cause, remote, phase));
      socket.destroy();
    };
    signal?.addEventListener('abort', () => socket.destroy());
    socket
      .on('lookup', (error: unknown) => {
        if (!error) reach('tcp');
      })
      .on('connect', () => {
        if (ssl) reach('tls');
      })
      .on('error', onError)
      .on('close', () => {
        onError(new Error('it was closed'));
      })
      .on(ssl ? 'secureConnect' : 'connect', resolve);
  });
}

function connectionError(cause: Error, remote: Remote, phase: Phase): ConnectionError {
  // Several addresses were tried: Node gathers their errors, with no message of its own.
  const { errors = [cause] } = cause as { errors?: Error[] };
  const { code = '' } = errors[0] as NodeJS.ErrnoException;
  const kind = /^ECONN(REFUSED|RESET)$/.exec(code)?.[1] ?? 'FAILED';
  const why = errors.map(({ message }) => message.trim()).join('; ');
  return new ConnectionError(
    (phase === 'tcp' ? `ERR_CONNECTION_${kind}` : `ERR_${phase.toUpperCase()}`) as ErrorCode,
    `cannot connect to ${authority(remote)} (${phase}): ${why}`,
    phase,
    { cause },
  );
}

/**
 * Reads a transport from now on: `onChunk` gets each chunk, which may be overwritten once it
 * returns. What the stream holds already comes first.
 */
export function readTransport(transport: Duplex, onChunk: ChunkReader): void {
  const useFast = fastReaders.get(transport);
  if (useFast === undefined) {
    transport.on('data', onChunk);
  } else {
    const waiting = transport.read() as Buffer | null;
    useFast(onChunk);
    if (waiting !== null) onChunk(waiting);
  }
  transport.resume();
}

/** What Node's sockets look at themselves to tell idleness from slow progress. */
interface HandleOwner extends Duplex {
  readonly _handle?: { readonly bytesWritten?: number; readonly writeQueueSize?: number } | null;
}

/** Writes packed frames to a transport, and tells when it has taken them. */
export class TransportSink implements ByteSink {
  readonly write: ByteSink['write'];
  /** Bytes written that the kernel has taken, as far as can be seen. */
  readonly taken: () => number;
  /** Called when something that was written has been taken. */
  onTaken: (() => void) | undefined;

  constructor(transport: Duplex) {
    // A foreign stream may keep what it was given: then nothing is lent.
    const lends = fastReaders.has(transport);
    // For TCP, nothing waiting means that the kernel has taken it.
    const direct = lends && !('encrypted' in transport);
    let lent: (() => void) | undefined;
    let written = 0;
    const release = (): void => {
      const free = lent;
      lent = undefined;
      free?.();
    };
    const onWritten = (): void => {
      // What a destroyed stream gives back has not been taken; `close` follows.
      if (transport.destroyed) return;
      if (transport.writableLength === 0) release();
      this.onTaken?.();
    };
    transport.once('close', release);
    // A stream tells only when all that it was given is gone; its handle tells meanwhile.
    this.taken = () => {
      const { bytesWritten = written, writeQueueSize = transport.writableLength } =
        (transport as HandleOwner)._handle ?? {};
      return bytesWritten - writeQueueSize;
    };
    this.write = (bytes, free) => {
      if (!transport.writable) return true;
      written += bytes.length;
      // Behind bytes that wait already, these would keep a slab for as long as those do.
      const lend = lends && !lent;
      transport.write(lend ? bytes : Buffer.from(bytes), onWritten);
      if (!lend || (direct && transport.writableLength === 0)) return true;
      lent = free;
      return false;
    };
  }
}
