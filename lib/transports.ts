/**
 * Byte streams: how one is opened, read without copies, and written without waiting.
 * @packageDocumentation
 */
import type { Socket, TcpNetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { ConnectionError, type ErrorCode, type Phase } from './exceptions.js';
import type { TransportOptions } from './options.js';
import type { ByteSink, Remote } from './parts.js';
import { authority } from './values.js';

/** What {@link openTransport} needs besides the options. */
export interface OpenContext {
  /** Aborts the attempt: the socket is destroyed, the promise rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told as the attempt gets on. */
  onPhase?(phase: Phase): void;
}

type ChunkReader = (chunk: Buffer) => void;

/** How to give chunks to one reader instead of the stream, for the transports made here. */
const fastReaders = new WeakMap<Duplex, (reader: ChunkReader) => void>();
const encrypted = new WeakSet<Duplex>();

/** One buffer serves every socket: it is read and left again within one callback. */
let readBuffer: Uint8Array | undefined;

/**
 * Opens a TCP connection, with TLS for `wss`.
 * @throws {ConnectionError} with the phase it failed in
 */
export async function openTransport(
  remote: Remote,
  options: TransportOptions = {},
  context: OpenContext = {},
): Promise<Duplex> {
  const { ssl } = remote;
  // Loaded only when used: importing this package costs neither.
  const { isIP, connect: connectPlain } = await import('node:net');
  const connect = ssl ? (await import('node:tls')).connect : connectPlain;
  context.signal?.throwIfAborted();
  let read: ChunkReader | undefined;
  readBuffer ??= new Uint8Array(65_536);
  const shared = readBuffer;
  const settings: TcpNetConnectOpts & ConnectionOptions = {
    ...(ssl ? tlsSettings(remote, options, isIP(remote.host) !== 0) : {}),
    host: remote.host,
    port: remote.port,
    family: options.family ?? 0,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    onread: {
      buffer: shared,
      callback: (bytes: number): boolean => {
        const chunk = Buffer.from(shared.buffer, 0, bytes);
        if (read === undefined) return socket.push(Buffer.from(chunk));
        read(chunk);
        return true;
      },
    },
  };
  const socket = (connect as (settings: object) => Socket)(settings);
  socket.setNoDelay(true);
  fastReaders.set(socket, (reader) => {
    read = reader;
  });
  if (ssl) encrypted.add(socket);
  await opened(socket, remote, isIP(remote.host) !== 0 ? 'tcp' : 'dns', context);
  return socket;
}

function tlsSettings(remote: Remote, options: TransportOptions, isIP: boolean): ConnectionOptions {
  return {
    // RFC 6066 section 3: no IP address in the server name; it is verified all the same.
    ...(isIP ? {} : { servername: remote.host }),
    ALPNProtocols: ['http/1.1'],
    ...(typeof options.ssl === 'object' ? options.ssl : {}),
  };
}

function opened(socket: Socket, remote: Remote, first: Phase, context: OpenContext): Promise<void> {
  let phase = first;
  const reach = (next: Phase): void => {
    phase = next;
    context.onPhase?.(next);
  };
  reach(first);
  socket.on('lookup', (error: unknown) => {
    if (!(error instanceof Error)) reach('tcp');
  });
  if (remote.ssl)
    socket.on('connect', () => {
      reach('tls');
    });
  // A late error is told by `close`; without a listener it would end the process.
  socket.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    const { signal } = context;
    const settle = (): void => {
      socket.off('error', onError).off('close', onClose);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onError = (cause: Error): void => {
      fail(connectionError(cause, remote, phase));
    };
    const onClose = (): void => {
      onError(new Error('the connection was closed'));
    };
    const onAbort = (): void => {
      fail(signal?.reason);
    };
    socket.on('error', onError).on('close', onClose);
    socket.once(remote.ssl ? 'secureConnect' : 'connect', () => {
      settle();
      resolve();
    });
    signal?.addEventListener('abort', onAbort);
  });
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'ERR_CONNECTION_REFUSED',
  ECONNRESET: 'ERR_CONNECTION_RESET',
};

function connectionError(cause: Error, remote: Remote, phase: Phase): ConnectionError {
  // Several addresses were tried: Node gathers their errors, with no message of its own.
  const errors = cause instanceof AggregateError ? (cause.errors as Error[]) : [cause];
  const codes = errors.map((error) => (error as NodeJS.ErrnoException).code ?? '');
  const known = CODES[codes[0] ?? ''];
  const code =
    phase === 'dns' ? 'ERR_DNS' : phase === 'tls' ? 'ERR_TLS' : (known ?? 'ERR_CONNECTION_FAILED');
  const why = errors.map((error) => error.message).join('; ');
  const doing = { dns: 'find', tls: 'speak TLS with' }[phase as string] ?? 'connect to';
  return new ConnectionError(code, `cannot ${doing} ${authority(remote)}: ${why}`, phase, {
    cause,
  });
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

/** Writes packed frames to a transport, and tells when it has taken them. */
export class TransportSink implements ByteSink {
  readonly #transport: Duplex;
  /** Whether bytes may be lent: a foreign stream may keep what it was given. */
  readonly #lends: boolean;
  /** Whether nothing waiting means that the kernel has taken it: so it is for TCP. */
  readonly #direct: boolean;
  #free: (() => void) | undefined;
  #written = 0;
  /** Called when something that was written has been taken. */
  onTaken: (() => void) | undefined;

  constructor(transport: Duplex) {
    this.#transport = transport;
    this.#lends = fastReaders.has(transport);
    this.#direct = this.#lends && !encrypted.has(transport);
    transport.once('close', this.#release);
  }

  /** Bytes that the kernel has taken so far. */
  taken(): number {
    return this.#written - this.#transport.writableLength;
  }

  write(bytes: Buffer, free: () => void): boolean {
    const transport = this.#transport;
    if (!transport.writable) return true;
    this.#written += bytes.length;
    if (!this.#lends || this.#free !== undefined) {
      // Behind bytes that wait already: these would keep a slab for as long as those do.
      transport.write(Buffer.from(bytes), this.#taken);
      return true;
    }
    transport.write(bytes, this.#taken);
    if (this.#direct && transport.writableLength === 0) return true;
    this.#free = free;
    return false;
  }

  readonly #taken = (): void => {
    if (this.#transport.writableLength === 0) this.#release();
    this.onTaken?.();
  };

  readonly #release = (): void => {
    const free = this.#free;
    this.#free = undefined;
    free?.();
  };
}
