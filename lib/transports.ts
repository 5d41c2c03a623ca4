/**
 * Byte streams: how one is opened, read without copies, and written without waiting.
 * @packageDocumentation
 */
import type { LookupFunction, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Buffer, documented, load, nextTick, setImmediate } from './builtins.js';
import { ConnectionError, type Phase } from './exceptions.js';
import { writeToHandle, type HandleOwner } from './handles.js';
import type { TlsOptions, TransportOptions } from './options.js';
import type { ByteSink, Remote } from './parts.js';
import { addListeners, TAP, type Tapped, type TransportOwner } from './taps.js';
import { authority, failureCode, isString, messageOf, mustBe, onAbort } from './values.js';
import { readBuffer } from './wasm.js';

/** What {@link openTransport} needs besides the options. */
export interface OpenContext {
  /** Aborts the attempt: the socket is destroyed, the promise rejects with the reason. */
  readonly _signal?: AbortSignal | undefined;
  /** Told as the attempt gets on. */
  _onPhase: (phase: Phase) => void;
  /** Told of the socket as soon as there is one. */
  _onTransport?: (transport: Duplex) => void;
}

/** `write` as sockets inherit it: another one has been put in its place by a user. */
let nativeWrite: unknown;

/** Owns a socket made here, until its connection takes it over. */
class Opener implements TransportOwner {
  readonly _ours = true;
  declare readonly _socket: Socket;
  declare readonly _remote: Remote;
  declare readonly _context: OpenContext;
  declare _phase: Phase;
  declare _resolve: (socket: Socket) => void;
  declare _reject: (reason: unknown) => void;
  declare readonly _stopListening: () => void;

  constructor(socket: Socket, remote: Remote, phase: Phase, context: OpenContext) {
    this._socket = socket;
    this._remote = remote;
    this._context = context;
    this._phase = phase;
    context._onPhase(phase);
    this._stopListening = onAbort(context._signal, () => socket.destroy());
    if (phase === 'dns') socket.on('lookup', onLookup);
    if (remote.ssl) socket.on('secureConnect', onSecure);
    socket.on('connect', onConnect);
    addListeners(socket);
  }

  _onStep(step: Phase | 'open'): void {
    if (step === 'open' || (step === 'tls' && !this._remote.ssl)) {
      this._stopListening();
      this._resolve(this._socket);
    } else {
      this._phase = step;
      this._context._onPhase(step);
    }
  }

  _onChunk(chunk: Buffer): boolean {
    // Who reads it as a stream, as the handshake does, gets bytes of their own.
    return this._socket.push(Buffer.from(chunk));
  }

  _onError(cause: Error): void {
    this._stopListening();
    this._reject(cause);
    this._socket.destroy();
  }

  /** Without effect once it is open or has failed: the promise is settled. */
  _onClose(): void {
    this._onError(new Error('it closed'));
  }
}

const onStep = (step: Phase | 'open') =>
  function (this: Tapped, error: unknown): void {
    if (!error) this[TAP]!._onStep?.(step);
  };
const onLookup = onStep('tcp');
const onConnect = onStep('tls');
const onSecure = onStep('open');

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
  let socket: Tapped & Socket;
  const callback = readCallback(() => socket);
  try {
    const settings = socketSettings(remote, options, phase === 'dns', callback);
    socket = (connect as (settings: object) => Socket)(settings);
  } catch (cause) {
    throw connectionError(cause as Error, remote, ssl ? 'tls' : phase);
  }
  socket.setNoDelay(true);
  const opener = new Opener(socket, remote, phase, context);
  socket[TAP] = opener;
  context._onTransport?.(socket);
  // The handshake's key will need it: it loads while the network is under way.
  load('node:crypto');
  try {
    return await new Promise<Socket>((resolve, reject) => {
      opener._resolve = resolve;
      opener._reject = reject;
    });
  } catch (cause) {
    context._signal?.throwIfAborted();
    // Made here, not where the socket tells of it: its stack shows who called.
    throw connectionError(cause as Error, remote, opener._phase);
  }
}

function socketSettings(
  { ssl, host, port }: Remote,
  {
    family = 0,
    localAddress,
    lookup,
    autoSelectFamilyAttemptTimeout,
    ssl: tlsOptions,
  }: TransportOptions,
  named: boolean,
  callback: ReadCallback,
): object {
  const settings = {
    host,
    port,
    family,
    localAddress,
    lookup: lookup && deferredLookup(lookup),
    // Node does not take undefined here.
    ...(autoSelectFamilyAttemptTimeout && { autoSelectFamilyAttemptTimeout }),
    onread: { buffer: readBuffer(), callback },
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

/** A lookup that answers once, and later: within connect() nobody listens for its error yet. */
const deferredLookup =
  (lookup: (...call: Parameters<LookupFunction>) => unknown): LookupFunction =>
  (name, how, done) => {
    type Answer = Parameters<typeof done>;
    void new Promise<Answer>((resolve, reject) => {
      const answer = (...given: Answer): void => {
        resolve(given);
      };
      // Thrown through connect(), its error would leave behind a socket that nobody can destroy; one
      // that its promise rejects with would be unhandled.
      Promise.resolve(lookup(name, how, answer)).catch(reject);
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

type ReadCallback = (this: Tapped, bytes: number) => boolean;

/** Whether Node calls what it hands bytes to as a method of the socket: **undocumented**. */
let hasSocket = false;

/** What Node is to call: the same for all sockets, once it is known that it says which it is. */
function readCallback(socket: () => Tapped): ReadCallback {
  if (hasSocket) return onRead;
  return function (bytes) {
    hasSocket ||= this === socket() && !documented();
    return onRead.call(socket(), bytes);
  };
}

function onRead(this: Tapped, bytes: number): boolean {
  // `false` stops the socket: a full stream asks for that; a connection calls pause() itself.
  return this[TAP]!._onChunk(readBuffer().subarray(0, bytes)) !== false;
}

function connectionError(cause: Error, remote: Remote, phase: Phase): ConnectionError {
  // Where several addresses were tried, Node gives an AggregateError without a message.
  const errors = [(cause as Partial<AggregateError>).errors ?? cause].flat() as unknown[];
  return new ConnectionError(
    phase === 'dns' ? 'ERR_DNS' : failureCode(errors[0], phase === 'tls' ? 'TLS' : 'FAILED'),
    `cannot connect to ${authority(remote)} (${phase}): ${errors.map(messageOf).join('; ')}`,
    phase,
    { cause },
  );
}

/**
 * What writes packed frames to a transport, and is told what it reads and how it ends: a
 * connection.
 */
export abstract class Transporter implements ByteSink, TransportOwner {
  _transport!: Duplex;
  /** Whether bytes are lent to the transport; a foreign stream may keep them, and gets copies. */
  _ours = false;
  /** Frees what has been lent. */
  _lent: (() => void) | undefined;
  /** Bytes given to the stream. */
  _written = 0;
  /** Bytes that bypassed the stream, and that the kernel has not taken yet. */
  _bypassing = 0;
  /** Made with the first write. */
  _onWritten: ((error?: Error | null) => void) | undefined;

  abstract _onChunk(chunk: Buffer): unknown;
  abstract _onEnd(): void;
  abstract _onError(cause: Error): void;
  abstract _onClose(): void;
  /** The kernel has taken something that was written. */
  abstract _onTaken(): void;
  /** The kernel has taken, within `write()`, all that was written. */
  abstract _onTakenAtOnce(): void;

  /** A `write` that a user has put in place of the socket's may keep what it is given. */
  get _mayLend(): boolean {
    return this._ours && this._transport.write === nativeWrite;
  }

  /** Becomes the transport's owner: is told of its end, and of what it reads. */
  _takeOver(): void {
    const transport: Tapped = this._transport;
    const before = transport[TAP];
    this._ours = !!before?._ours;
    transport[TAP] = this;
    if (!before) addListeners(transport);
  }

  /** Reads what the stream holds already, and from now on whatever comes. */
  _read(): void {
    const transport = this._transport;
    if (!this._ours) transport.on('data', (chunk: Buffer) => this._onChunk(chunk));
    // From Node 26 on, what waits is read piece by piece.
    else while (transport.readableLength > 0) this._onChunk(transport.read() as Buffer);
  }

  /** Reads on. A socket of ours that nobody has paused has been reading since it opened. */
  _resume(): void {
    const transport = this._transport;
    if (!this._ours || transport.readableFlowing !== null) transport.resume();
  }

  /**
   * Bytes written that the kernel has taken, as far as can be seen, and those that wait for it. A
   * stream tells only when all that it was given is gone, and with TLS says for a while of each
   * write that it waits; its handle knows.
   */
  get _progress(): [taken: number, waiting: number] {
    const transport: HandleOwner = this._transport;
    const handle = documented() ? undefined : transport._handle;
    // For TLS the handle below counts, which is given what is encrypted.
    const { bytesWritten = this._written, writeQueueSize = transport.writableLength } =
      handle?._parent ?? handle ?? {};
    return [bytesWritten - writeQueueSize, writeQueueSize];
  }

  /** Writes; `free` gives the bytes back once they may be overwritten, where this returns false. */
  write(bytes: Buffer, free: () => void): boolean {
    const transport = this._transport;
    const written =
      this._mayLend &&
      this._bypassing + transport.writableLength === 0 &&
      transport.writable &&
      !('encrypted' in transport) &&
      writeToHandle(transport, bytes);
    if (!written) return this.writev([bytes], free);
    if (written === true) {
      this._onTakenAtOnce();
      return true;
    }
    // All of them until the callback: only then has libuv no more use for them.
    this._bypassing = bytes.length;
    written.callback = (error) => {
      this._bypassing = 0;
      free();
      if (error) later(() => transport.destroy(error));
      else this._tellTaken();
    };
    return false;
  }

  /** Writes several pieces at once. */
  writev(pieces: readonly Buffer[], free: () => void): boolean {
    const transport = this._transport;
    if (!transport.writable) return true;
    const lends = this._mayLend;
    const onWritten = (this._onWritten ??= this._makeOnWritten());
    // Behind earlier bytes these are freed by a callback of their own: `_lent` holds one loan. In a
    // listener of `drain` nothing waits any more, but `_lent` is still out.
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
    if (this._ours) Object.assign(transport, FAILING_LATE);
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

  /** A destroyed stream calls back for what was never taken: nothing is told; `close` follows. */
  _tellTaken(): void {
    if (!this._transport.destroyed) this._onTaken();
  }
}

/**
 * Calls it a whole turn of the event loop later. A stream that has failed reads no more: what the
 * peer sent before it went, such as why, has been read by then.
 */
const later = (then: () => unknown): unknown => setImmediate(setImmediate, then);

/** What a socket writes by, which tells of failures later. */
const failingLate = (name: '_write' | '_writev') =>
  function (this: Duplex, ...given: unknown[]): void {
    const done = given.pop() as (error?: Error | null) => void;
    const { [name]: write } = Object.getPrototypeOf(this) as Record<string, typeof done>;
    const tell = (error?: Error | null): unknown => (error ? later(() => done(error)) : done());
    write!.apply(this, [...given, tell] as never);
  };
const FAILING_LATE = { _write: failingLate('_write'), _writev: failingLate('_writev') };
