/**
 * Byte streams: how one is opened, read without copies, and written without waiting.
 * @packageDocumentation
 */
import type * as Net from 'node:net';
import type { LookupFunction, Socket, TcpNetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import type * as Tls from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { ConnectionError, type ErrorCode, type Phase } from './exceptions.js';
import type { TlsOptions, TransportOptions } from './options.js';
import type { ByteSink, Remote } from './parts.js';
import { authority, mustBe } from './values.js';
import { readBuffer } from './wasm.js';

/** What {@link openTransport} needs besides the options. */
export interface OpenContext {
  /** Aborts the attempt: the socket is destroyed, the promise rejects with the reason. */
  readonly _signal?: AbortSignal | undefined;
  /** Told as the attempt gets on. */
  _onPhase?: (phase: Phase) => void;
  /** Told of the socket as soon as there is one. */
  _onTransport?: (transport: Duplex) => void;
}

/** Takes what a transport reads. A chunk may be overwritten once the call returns. */
export interface ChunkTaker {
  /** @returns false where no more is wanted for now */
  _onChunk: (chunk: Buffer) => unknown;
}

let net: typeof Net | undefined;
let tls: typeof Tls | undefined;

/** Who gets the chunks of a transport made here: its stream, until somebody else does. */
const taps = new WeakMap<Duplex, { taker: ChunkTaker }>();

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
  net ??= await import('node:net');
  const { connect } = ssl ? (tls ??= await import('node:tls')) : net;
  context._signal?.throwIfAborted();
  if (localAddress && !net.isIP(localAddress)) {
    throw mustBe('localAddress', 'an IP address', localAddress);
  }
  const phase = net.isIP(host) ? 'tcp' : 'dns';
  const buffer = readBuffer();
  const tap: { taker: ChunkTaker } = {
    taker: { _onChunk: (chunk) => socket.push(Buffer.from(chunk)) },
  };
  const onread = {
    buffer,
    // A full stream wants no more; a taker that does not pauses the socket itself.
    callback: (bytes: number): boolean => tap.taker._onChunk(buffer.subarray(0, bytes)) !== false,
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
  taps.set(socket, tap);
  context._onTransport?.(socket);
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

function opened(socket: Socket, remote: Remote, first: Phase, context: OpenContext): Promise<void> {
  const { ssl } = remote;
  const { _signal: signal } = context;
  let phase = first;
  const reach = (next: Phase): void => {
    context._onPhase?.((phase = next));
  };
  reach(first);
  return new Promise<void>((resolve, reject) => {
    const fail: (reason: unknown) => void = reject;
    const onError = (cause: Error): void => {
      fail(signal?.aborted ? signal.reason : connectionError(cause, remote, phase));
      socket.destroy();
    };
    const onClose = (): void => {
      onError(new Error('it was closed'));
    };
    const onAbort = (): void => {
      socket.destroy();
    };
    const onLookup = (error: unknown): void => {
      if (!error) reach('tcp');
    };
    const onConnect = (): void => {
      if (ssl) reach('tls');
      else onOpen();
    };
    const onOpen = (): void => {
      signal?.removeEventListener('abort', onAbort);
      socket.off('lookup', onLookup).off('connect', onConnect).off('secureConnect', onOpen);
      socket.off('error', onError).off('close', onClose);
      resolve();
    };
    signal?.addEventListener('abort', onAbort);
    if (phase === 'dns') socket.on('lookup', onLookup);
    if (ssl) socket.on('secureConnect', onOpen);
    // One stays: a late error is told by `close`, and without a listener would end the process.
    socket.on('connect', onConnect).on('error', onError).on('error', ignore).on('close', onClose);
  });
}

const ignore = (): void => undefined;

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

/** Reads a transport from now on. What the stream holds already comes first. */
export function readTransport(transport: Duplex, taker: ChunkTaker): void {
  const tap = taps.get(transport);
  if (tap) {
    const waiting = transport.read() as Buffer | null;
    tap.taker = taker;
    if (waiting !== null) taker._onChunk(waiting);
  } else transport.on('data', (chunk: Buffer) => taker._onChunk(chunk));
  transport.resume();
}

/** What Node's sockets look at themselves to tell idleness from slow progress. */
interface HandleOwner extends Duplex {
  readonly _handle?: { readonly bytesWritten?: number; readonly writeQueueSize?: number } | null;
}

/** Writes packed frames to a transport, and tells when it has taken them: a part of a connection. */
export abstract class TransportSink implements ByteSink {
  declare _transport: Duplex;
  /** A foreign stream may keep what it was given: then nothing is lent. */
  _lends = false;
  _lent: (() => void) | undefined;
  _written = 0;
  /** Made with the first write. */
  _onWritten: (() => void) | undefined;

  /** Something that was written has been taken. */
  abstract _onTaken(): void;

  /**
   * Bytes written that the kernel has taken, as far as can be seen. A stream tells only when all
   * that it was given is gone; its handle tells meanwhile.
   */
  get _taken(): number {
    const transport: HandleOwner = this._transport;
    const { bytesWritten = this._written, writeQueueSize = transport.writableLength } =
      transport._handle ?? {};
    return bytesWritten - writeQueueSize;
  }

  /** Writes; `free` gives the bytes back once they may be overwritten, where this returns false. */
  write(bytes: Buffer, free: () => void): boolean {
    const transport = this._transport;
    if (!transport.writable) return true;
    this._written += bytes.length;
    // Behind bytes that wait already, these would keep a slab for as long as those do.
    const lend = this._lends && !this._lent;
    transport.write(lend ? bytes : Buffer.from(bytes), (this._onWritten ??= this._makeOnWritten()));
    // For TCP, nothing waiting means that the kernel has taken it.
    const direct = transport.writableLength === 0 && !('encrypted' in transport);
    if (!lend || direct) return true;
    this._lent = free;
    return false;
  }

  _makeOnWritten(): () => void {
    const transport = this._transport;
    const release = (): void => {
      const free = this._lent;
      this._lent = undefined;
      free?.();
    };
    transport.once('close', release);
    return () => {
      // What a destroyed stream gives back has not been taken; `close` follows.
      if (transport.destroyed) return;
      if (transport.writableLength === 0) release();
      this._onTaken();
    };
  }
}

/** Whether a transport was made here: then what it is given may be overwritten once it is taken. */
export const isOurs = (transport: Duplex): boolean => taps.has(transport);
