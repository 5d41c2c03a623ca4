/**
 * Byte streams: how one is opened, read without copies, and written without waiting.
 * @packageDocumentation
 */
import type { LookupFunction, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Buffer, load, nextTick } from './builtins.js';
import { ConnectionError, type ErrorCode, type Phase } from './exceptions.js';
import { writePast, type HandleOwner } from './handles.js';
import type { TlsOptions, TransportOptions } from './options.js';
import type { ByteSink, Remote } from './parts.js';
import { listen, TAP, type Tap, type Tapped, type TransportOwner } from './taps.js';
import { authority, describeValue, isString, mustBe, onAbort } from './values.js';
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

/** What writes for a socket, if nobody has put another method in its place. */
let nativeWrite: unknown;

/** Owns a socket made here, until its connection takes it over. */
class Opener implements TransportOwner {
  readonly _socket: Socket;
  readonly _remote: Remote;
  readonly _context: OpenContext;
  _phase: Phase;
  declare _resolve: (socket: Socket) => void;
  declare _reject: (reason: unknown) => void;
  readonly _forget: () => void;

  constructor(socket: Socket, remote: Remote, phase: Phase, context: OpenContext) {
    this._socket = socket;
    this._remote = remote;
    this._context = context;
    this._phase = phase;
    context._onPhase?.(phase);
    this._forget = onAbort(context._signal, () => socket.destroy());
    if (phase === 'dns') socket.on('lookup', onLookup);
    if (remote.ssl) socket.on('secureConnect', onSecure);
    socket.on('connect', onConnect);
    listen(socket);
  }

  _onStep(step: Phase | 'open'): void {
    if (step === 'open' || (step === 'tls' && !this._remote.ssl)) {
      this._forget();
      this._resolve(this._socket);
    } else {
      this._phase = step;
      this._context._onPhase?.(step);
    }
  }

  _onChunk(chunk: Buffer): boolean {
    // Who reads it as a stream, as the handshake does, gets bytes of their own.
    return this._socket.push(Buffer.from(chunk));
  }

  _onError(cause: Error): void {
    const { _signal: signal } = this._context;
    this._forget();
    this._reject(
      signal?.aborted ? signal.reason : connectionError(cause, this._remote, this._phase),
    );
    this._socket.destroy();
  }

  /** Once it is open, or has failed, nobody waits for this any more. */
  _onClose(): void {
    this._onError(new Error('it closed'));
  }
}

const tellStep = (step: Phase | 'open') =>
  function (this: Tapped, error: unknown): void {
    if (!error) this[TAP]!._owner!._onStep?.(step);
  };
const onLookup = tellStep('tcp');
const onConnect = tellStep('tls');
const onSecure = tellStep('open');

/**
 * Opens a TCP connection, with TLS for `wss`.
 * @throws {ConnectionError} with the phase it failed in
 */
export async function openTransport(
  remote: Remote,
  options: TransportOptions,
  context: OpenContext,
): Promise<Duplex> {
  const { ssl, host } = remote;
  const { localAddress } = options;
  const net = load('node:net');
  nativeWrite ??= (Object.getPrototypeOf(net.Socket.prototype) as { write: unknown }).write;
  const { connect } = load(ssl ? 'node:tls' : 'node:net');
  context._signal?.throwIfAborted();
  if (localAddress && !net.isIP(localAddress)) {
    throw mustBe('localAddress', 'an IP address', localAddress);
  }
  const phase = net.isIP(host) ? 'tcp' : 'dns';
  const tap: Tap = { _owner: undefined, _ours: true };
  let socket: Tapped & Socket;
  try {
    const settings = socketSettings(remote, options, phase === 'dns', tap);
    socket = (connect as (settings: object) => Socket)(settings);
  } catch (cause) {
    throw connectionError(cause as Error, remote, ssl ? 'tls' : phase);
  }
  socket.setNoDelay(true);
  const opener = new Opener(socket, remote, phase, context);
  tap._owner = opener;
  socket[TAP] = tap;
  context._onTransport?.(socket);
  // The handshake's key will need it: it loads while the network is under way.
  load('node:crypto');
  return new Promise((resolve, reject) => {
    opener._resolve = resolve;
    opener._reject = reject;
  });
}

function socketSettings(
  { ssl, host, port }: Remote,
  { family = 0, localAddress, lookup, ssl: tlsOptions }: TransportOptions,
  named: boolean,
  tap: Tap,
): object {
  const settings = {
    host,
    port,
    family,
    localAddress,
    lookup: lookup && later(lookup),
    onread: onRead(tap),
  };
  if (!ssl) return settings;
  return {
    // RFC 6066 section 3: no IP address in the server name; it is verified all the same.
    ...(named && { servername: host }),
    ALPNProtocols: ['http/1.1'],
    ...(tlsOptions as TlsOptions | undefined),
    ...settings,
    // A unix socket would take the place of the host.
    path: undefined,
  };
}

/** Once, and not within connect(): what is told then has no listener yet. */
const later =
  (lookup: (...call: Parameters<LookupFunction>) => unknown): LookupFunction =>
  (name, how, done) => {
    type Answer = Parameters<typeof done>;
    void new Promise<Answer>((resolve, reject) => {
      const give = (...answer: Answer): void => {
        resolve(answer);
      };
      // What it throws, Node would throw with a socket that nobody has; a promise, nobody would hear.
      Promise.resolve(lookup(name, how, give)).catch(reject);
    })
      .catch((error: unknown): Answer => [error as Error, ''])
      .then(([error, found, family]) => {
        const nobody = found?.length ? null : new Error('no address');
        // Node asks for one address or for all, and checks neither: whichever comes is made to fit.
        const all = isString(found) ? [{ address: found, family }] : [found].flat().map(Object);
        const one = Object(all[0]) as { address?: string; family?: number };
        const [first, second] = how.all ? [all] : [one.address, one.family];
        nextTick(done, [error, nobody].find(Boolean), first, second);
      });
  };

const onRead = (tap: Tap): object => {
  const buffer = readBuffer();
  return {
    buffer,
    // A full stream wants no more; a connection that does not pauses the socket itself.
    callback: (bytes: number): boolean => tap._owner!._onChunk(buffer.subarray(0, bytes)) !== false,
  };
};

function connectionError(cause: Error, remote: Remote, phase: Phase): ConnectionError {
  // Several addresses were tried: Node gathers their errors, with no message of its own.
  const errors = [(cause as Partial<AggregateError>).errors ?? cause].flat() as unknown[];
  const { code = '' } = Object(errors[0]) as NodeJS.ErrnoException;
  const kind = /^ECONN(REFUSED|RESET)$/.exec(code)?.[1] ?? 'FAILED';
  // A lookup of the user's may give what is no error.
  const why = errors.map((one) => {
    const { message = describeValue(one) } = Object(one) as { message?: unknown };
    return String(message).trim();
  });
  return new ConnectionError(
    (phase === 'tcp' ? `ERR_CONNECTION_${kind}` : `ERR_${phase.toUpperCase()}`) as ErrorCode,
    `cannot connect to ${authority(remote)} (${phase}): ${why.join('; ')}`,
    phase,
    { cause },
  );
}

/**
 * A transport in use: packed frames are written to it, and what it reads is taken, until it ends.
 * A connection is one.
 */
export abstract class Transporter implements ByteSink, TransportOwner {
  declare _transport: Duplex;
  /** A foreign stream may keep what it was given: then nothing is lent. */
  _lends = false;
  _lent: (() => void) | undefined;
  _written = 0;
  /** Bytes written past the stream that the kernel has not taken at once. */
  _past = 0;
  /** Made with the first write. */
  _onWritten: ((error?: Error | null) => void) | undefined;

  abstract _onChunk(chunk: Buffer): unknown;
  abstract _onEnd(): void;
  abstract _onError(cause: Error): void;
  abstract _onClose(): void;
  /** Something that was written has been taken. */
  abstract _onTaken(): void;
  /** It has been taken at once. */
  abstract _onSent(): void;

  /** Who replaces the write method of the socket may keep what it is given. */
  get _mayLend(): boolean {
    return this._lends && this._transport.write === nativeWrite;
  }

  /** Takes the transport over: is told of its end, and later given what it reads. */
  _own(): void {
    const transport: Tapped = this._transport;
    const tap = transport[TAP];
    if (tap) {
      tap._owner = this;
      this._lends = tap._ours;
    } else {
      transport[TAP] = { _owner: this, _ours: false };
      listen(transport);
    }
  }

  /** Takes what it reads from now on. What the stream holds already comes first. */
  _read(): void {
    const transport = this._transport;
    if (!this._lends) transport.on('data', (chunk: Buffer) => this._onChunk(chunk));
    // From Node 26 on, what waits is read piece by piece.
    else while (transport.readableLength > 0) this._onChunk(transport.read() as Buffer);
  }

  /** Reads on. A socket of ours that nobody has paused reads since it is open. */
  _resume(): void {
    const transport = this._transport;
    if (!this._lends || transport.readableFlowing !== null) transport.resume();
  }

  /**
   * Bytes written that the kernel has taken, as far as can be seen. A stream tells only when all
   * that it was given is gone; its handle tells meanwhile.
   */
  get _taken(): number {
    const transport: HandleOwner = this._transport;
    const handle = transport._handle;
    // What is encrypted is counted below.
    const { bytesWritten = this._written, writeQueueSize = transport.writableLength } =
      handle?._parent ?? handle ?? {};
    return bytesWritten - writeQueueSize;
  }

  /** Writes; `free` gives the bytes back once they may be overwritten, where this returns false. */
  write(bytes: Buffer, free: () => void): boolean {
    const transport = this._transport;
    const past =
      this._mayLend &&
      this._past + transport.writableLength === 0 &&
      transport.writable &&
      !('encrypted' in transport) &&
      writePast(transport, bytes);
    if (!past) return this.writev([bytes], free);
    if (past === true) {
      this._onSent();
      return true;
    }
    // All of it until its callback: only then the kernel no longer reads them.
    this._past = bytes.length;
    past.callback = (error) => {
      this._past = 0;
      free();
      if (error) transport.destroy(error);
      this._tellTaken();
    };
    return false;
  }

  /** Writes several pieces at once. */
  writev(pieces: readonly Buffer[], free: () => void): boolean {
    const transport = this._transport;
    if (!transport.writable) return true;
    const lends = this._mayLend;
    const onWritten = (this._onWritten ??= this._makeOnWritten());
    // A `drain` is told before what was lent has come back.
    const waits = lends && (transport.writableLength > 0 || this._lent !== undefined);
    const taken = waits
      ? (error?: Error | null): void => {
          free();
          onWritten(error);
        }
      : onWritten;
    const last = pieces.length - 1;
    if (last > 0) transport.cork();
    try {
      pieces.forEach((bytes, i) => {
        this._written += bytes.length;
        transport.write(lends ? bytes : Buffer.from(bytes), i < last ? undefined : taken);
      });
    } finally {
      if (last > 0) transport.uncork();
    }
    if (!lends) return true;
    if (!waits) {
      // For TCP, nothing waiting means that the kernel has taken it.
      if (transport.writableLength === 0 && !('encrypted' in transport)) return true;
      this._lent = free;
    }
    return false;
  }

  _makeOnWritten(): (error?: Error | null) => void {
    const transport = this._transport;
    const release = (): void => {
      const free = this._lent;
      this._lent = undefined;
      free?.();
    };
    transport.once('close', release);
    return (error) => {
      if (transport.writableLength === 0 && !transport.destroyed) release();
      if (!error) this._tellTaken();
    };
  }

  /** What a destroyed stream gives back has not been taken; `close` follows. */
  _tellTaken(): void {
    if (!this._transport.destroyed) this._onTaken();
  }
}
