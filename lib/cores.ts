/**
 * The works of a connection: what its parts have to do with each other.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { AliveWatch, type Watched } from './alives.js';
import { Ending, type EndingHost } from './closings.js';
import { Compressor } from './compressors.js';
import { ControlFrames, type DataFrames } from './enumerations.js';
import type { ConnectionClosed } from './exceptions.js';
import { Flow, type FlowHost } from './flows.js';
import type { Frames, FramesHost } from './freams.js';
import { Inbox, type Audience, type InboxHost, type MessageListener } from './inboxes.js';
import type { Lifecycle } from './lifecycles.js';
import { maskingKey } from './masks.js';
import type { Numbers } from './options.js';
import { Outbox, quietly, type OutboxHost } from './outboxes.js';
import type { Extension, Message } from './parts.js';
import type { TransportSink } from './transports.js';
import { controlPayload } from './values.js';

/** What a connection is made of. */
export interface CoreParts {
  readonly transport: Duplex;
  readonly frames: Frames;
  readonly sink: TransportSink;
  readonly lifecycle: Lifecycle;
  readonly numbers: Numbers;
  readonly autoPong: boolean;
  /** Whether listeners must wait for {@link Core.release}: the connection is not open yet. */
  readonly held: boolean;
  /** Bytes that came before reading begins. */
  readonly head?: Buffer | undefined;
  /** What compresses, and from how many bytes up. */
  readonly extension?: Extension | undefined;
  readonly threshold?: number | undefined;
  readonly beforeClose?: EndingHost['beforeClose'];
  readonly afterClose?: EndingHost['afterClose'];
}

/** A payload for control frames. */
export type ControlData = string | ArrayBufferView | ArrayBuffer;

interface Ping {
  readonly payload: Buffer;
  readonly sentAt: number;
  resolve: (latency: number) => void;
  reject: (error: unknown) => void;
}

/** Where a transport keeps the connection that it belongs to: its listeners serve all of them. */
const CORE = Symbol('aiowebsocket');

type CoreTransport = Duplex & { [CORE]?: Core };

/** The connection at work. Parts that an idle one can do without are made when needed. */
export class Core implements FramesHost, InboxHost, OutboxHost, EndingHost, FlowHost, Watched {
  readonly transport: Duplex;
  readonly frames: Frames;
  readonly lifecycle: Lifecycle;
  readonly numbers: Numbers;
  readonly outbox = new Outbox(this);
  readonly watch = new AliveWatch(this);
  readonly flow = new Flow(this);
  readonly #compressor: Compressor | undefined;
  readonly beforeClose: EndingHost['beforeClose'];
  readonly afterClose: EndingHost['afterClose'];
  readonly #sink: TransportSink;
  readonly #autoPong: boolean;
  #inbox: Inbox | undefined;
  #ending: Ending | undefined;
  #pings: Ping[] | undefined;
  #owedPong: Buffer | undefined;
  /** Whether nothing more comes. */
  #over = false;
  /** Whether listeners of messages must wait. */
  held: boolean;
  /** Whether the process lives on for the closing handshake. */
  holds = true;

  /** Joins the parts, and begins to read in the next turn of the event loop. */
  constructor(parts: CoreParts) {
    const { transport, frames, sink } = parts;
    this.transport = transport;
    this.frames = frames;
    this.lifecycle = parts.lifecycle;
    this.numbers = parts.numbers;
    this.held = parts.held;
    this.beforeClose = parts.beforeClose;
    this.afterClose = parts.afterClose;
    this.#sink = sink;
    this.#autoPong = parts.autoPong;
    if (parts.extension) {
      this.#compressor = new Compressor(this, parts.extension, parts.threshold ?? 0);
    }
    sink.owner = this;
    frames.attach(this);
    (transport as CoreTransport)[CORE] = this;
    transport.on('end', onEnd).on('error', onError).on('close', onClose);
    // Listeners attached in this turn, and promises that resolve in it, must miss nothing.
    setImmediate(start, this, parts.head);
  }

  /** @internal */
  start(head: Buffer | undefined): void {
    const { transport } = this;
    if (transport.destroyed) this.ending.finish();
    else {
      this.flow.start(head);
      // A foreign stream may have ended before anybody listened.
      if (transport.readableEnded) this.ending.end();
    }
  }

  // ---- what the parts ask ----

  /** Bytes that wait to be sent. */
  get buffered(): number {
    return this.frames.pending + this.transport.writableLength;
  }

  /** Whether more bytes wait to be sent than should. */
  get crowded(): boolean {
    return this.buffered > this.numbers.highWaterMark;
  }

  /** Bytes that the kernel has taken. */
  get taken(): number {
    return this.#sink.taken;
  }

  /** Who emits the connection's events. */
  get emitters(): readonly Audience[] {
    return this.lifecycle.emitters;
  }

  /** Whether messages can still be sent. */
  get sendable(): boolean {
    return this.#ending?.sendable ?? true;
  }

  /** Whether the connection has begun to end. */
  get begun(): boolean {
    return this.#ending?.begun ?? false;
  }

  /** What a call gets that comes too late. */
  refusal(): ConnectionClosed {
    return this.ending.refusal();
  }

  get ending(): Ending {
    return (this.#ending ??= new Ending(this));
  }

  get inbox(): Inbox {
    if (!this.#inbox) {
      this.#inbox = new Inbox(this);
      if (this.#over) this.#endInbox(this.#inbox);
    }
    return this.#inbox;
  }

  /** Messages that wait for a pull. */
  get queueSize(): number {
    return this.#inbox?.size ?? 0;
  }

  /** Packs one frame, compressed where that was negotiated. */
  write(
    fin: boolean,
    code: DataFrames,
    data: string | Buffer,
    compress?: boolean,
  ): void | Promise<void> {
    if (this.#compressor) return this.#compressor.write(fin, code, data, compress);
    this.frames.write(fin, code, data);
    return undefined;
  }

  // ---- what the parts tell ----

  onMessage(message: Message, bytes: number): void {
    if (this.#ending?.sent) this.#ending.discarded++;
    else this.inbox.deliver(message, bytes);
  }

  onPing(payload: Buffer): void {
    if (this.#autoPong) {
      // A server that pings and does not read gets one answer, to its latest ping.
      if (this.crowded) {
        this.#owedPong = payload;
      } else this.#pong(payload);
    }
    this.lifecycle.tell('ping', payload);
  }

  /** A pong answers its ping, and those before it (RFC 6455 section 5.5.3). */
  onPong(payload: Buffer): void {
    const now = performance.now();
    const pings = this.#pings ?? [];
    const answered = pings.splice(0, pings.findIndex((one) => one.payload.equals(payload)) + 1);
    for (const { resolve, sentAt } of answered) resolve(now - sentAt);
    const last = answered.at(-1);
    this.lifecycle.tell('pong', payload, last && now - last.sentAt);
  }

  /** Bytes have been taken: there may be room again. */
  onTaken(): void {
    if (this.#owedPong && !this.crowded) {
      this.#pong(this.#owedPong);
      this.#owedPong = undefined;
    }
    if (this.outbox.relieve()) this.lifecycle.tell('drain');
  }

  onFlow(works: boolean): void {
    this.flow.byFrames(works);
  }

  onFull(full: boolean): void {
    this.flow.byQueue(full);
  }

  onPeerClose(code: number, reason: string): void {
    this.ending.onPeerClose(code, reason);
  }

  onFault(error: Error): void {
    this.ending.fail(error);
  }

  fail(error: Error): void {
    this.ending.fail(error);
  }

  whenSettled(): Promise<void> | undefined {
    return this.outbox.whenSettled();
  }

  onEnding(): void {
    this.flow.update();
  }

  onNothingMore(error?: Error): void {
    this.#over = true;
    if (this.#inbox) this.#endInbox(this.#inbox, error);
    const reason = (): Error => error ?? this.refusal();
    this.outbox.end(reason);
    const pings = this.#pings ?? [];
    this.#pings = undefined;
    for (const { reject } of pings) reject(reason());
  }

  onError(error: Error): void {
    this.lifecycle.tell('error', error);
  }

  /** Sends a ping of the watch's own. */
  probe(): void {
    void this.#ping(newPayload());
  }

  // ---- what the user asks ----

  /** A listener has been attached. */
  attached(audience: Audience, listener: MessageListener, context: unknown, once: boolean): void {
    this.#inbox?.attached(audience, listener, context, once);
  }

  /** The connection is open: listeners are told what came meanwhile. */
  release(): void {
    if (!this.held) return;
    this.held = false;
    this.#inbox?.release();
  }

  /** Sends one ping; resolves with the milliseconds until its pong. */
  ping(data?: ControlData): Promise<number> {
    // Kept to be compared with the pong: the caller may reuse its memory.
    return this.#control(data, (payload) => this.#ping(Buffer.from(payload)));
  }

  /** Sends a pong that nobody asked for. */
  pong(data: ControlData): Promise<void> {
    return this.#control(data, (payload) => {
      this.frames.pong(payload);
      return this.outbox.drained();
    });
  }

  /** Whether the process lives on for the closing handshake. */
  hold(alive: boolean): void {
    this.holds = alive;
    this.#ending?.hold(alive);
  }

  /** A control frame of the user's: arguments are checked first, then whether it can go out. */
  #control<T>(data: ControlData | undefined, write: (payload: Buffer) => Promise<T>): Promise<T> {
    try {
      const payload = data === undefined ? newPayload() : controlPayload(data, 'data');
      return this.sendable ? write(payload) : quietly(Promise.reject(this.refusal()));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #ping(payload: Buffer): Promise<number> {
    this.frames.write(true, ControlFrames.ping, payload);
    const sentAt = performance.now();
    return quietly(
      new Promise((resolve, reject) => {
        (this.#pings ??= []).push({ payload, sentAt, resolve, reject });
      }),
    );
  }

  #pong(payload: Buffer): void {
    if (!this.#ending?.sent) this.frames.pong(payload);
  }

  #endInbox(inbox: Inbox, error?: Error): void {
    const refusal = this.refusal();
    inbox.end(refusal, error ?? refusal);
  }
}

const start = (core: Core, head: Buffer | undefined): void => {
  core.start(head);
};

function onEnd(this: CoreTransport): void {
  this[CORE]?.ending.end();
}

function onError(this: CoreTransport, cause: Error): void {
  this[CORE]?.ending.broken(cause);
}

function onClose(this: CoreTransport): void {
  this[CORE]?.ending.finish();
}

/** Random, so that concurrent pings differ. */
function newPayload(): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeInt32LE(maskingKey());
  return payload;
}
