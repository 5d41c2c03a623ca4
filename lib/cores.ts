/**
 * The works of a connection: what its parts have to do with each other.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { watchAlive } from './alives.js';
import { makeEnding, type Ending } from './closings.js';
import { makeWriter } from './compressors.js';
import { ControlFrames, SocketState } from './enumerations.js';
import type { Frames } from './freams.js';
import { makeFlow, type Flow } from './flows.js';
import { makeInbox, type Audience, type Inbox } from './inboxes.js';
import type { Lifecycle } from './lifecycles.js';
import { maskingKey } from './masks.js';
import type { Numbers } from './options.js';
import { makeOutbox, quietly, type Outbox } from './outboxes.js';
import type { CloseInfo, Extension, Message } from './parts.js';
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
  /** Bytes that came before reading begins. */
  readonly head?: Buffer | undefined;
  /** What compresses, and from how many bytes up. */
  readonly extension?: Extension | undefined;
  readonly threshold?: number | undefined;
  readonly audiences: readonly Audience[];
  beforeClose?: (code: number, reason: string) => void | Promise<void>;
  afterClose?: (info: CloseInfo) => void | Promise<void>;
  /** Tells listeners; what they throw is not ours. */
  tell: ((event: 'ping', payload: Buffer) => void) &
    ((event: 'pong', payload: Buffer, latency: number | undefined) => void) &
    ((event: 'drain') => void) &
    ((event: 'error', error: Error) => void) &
    ((event: 'close', code: number, reason: string, info: CloseInfo) => void);
}

/** A payload for control frames. */
export type ControlData = string | ArrayBufferView | ArrayBuffer;

interface Ping {
  readonly payload: Buffer;
  readonly sentAt: number;
  resolve: (latency: number) => void;
  reject: (error: unknown) => void;
}

/** The connection at work. */
export interface Core {
  readonly closed: Promise<CloseInfo>;
  /** Bytes that wait to be sent. */
  readonly buffered: () => number;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly ending: Ending;
  readonly flow: Flow;
  readonly ping: (data?: ControlData) => Promise<number>;
  readonly pong: (data: ControlData) => Promise<void>;
}

/** Joins the parts, and begins to read in the next turn of the event loop. */
export function makeCore(parts: CoreParts): Core {
  const { transport, frames, sink, numbers, lifecycle } = parts;
  const { highWaterMark } = numbers;
  let pings: Ping[] = [];
  let owedPong: Buffer | undefined;
  let settleClosed: (info: CloseInfo) => void;
  const closed = new Promise<CloseInfo>((resolve) => {
    settleClosed = resolve;
  });
  const buffered = (): number => frames.pending + transport.writableLength;

  const outbox = makeOutbox({
    highWaterMark,
    buffered,
    write: makeWriter(frames, parts.extension, parts.threshold ?? 0, () => ending.begun()),
    refusal: (late) =>
      (late ? !ending.begun() : ending.sendable()) ? undefined : ending.refusal(),
    fail: (error) => {
      ending.fail(error);
    },
  });
  const watch = watchAlive(numbers, {
    ping: () => {
      void ping(newPayload());
    },
    buffered,
    taken: () => sink.taken(),
    fail: (error) => {
      ending.fail(error);
    },
  });
  const flow = makeFlow(transport, frames, watch, () => ending);
  const inbox = makeInbox(
    numbers,
    frames,
    parts.audiences,
    lifecycle.state() < SocketState.opened,
    flow.byQueue,
  );
  const ending = makeEnding({
    transport,
    frames,
    lifecycle,
    closeTimeout: numbers.closeTimeout,
    beforeClose: parts.beforeClose,
    afterClose: parts.afterClose,
    whenSettled: outbox.whenSettled,
    onEnding: flow.update,
    onNothingMore(error, refusal) {
      inbox.end(refusal, error);
      outbox.end(error);
      for (const { reject } of pings) reject(error);
      pings = [];
    },
    onError: (error) => {
      parts.tell('error', error);
    },
    onClosed(info) {
      parts.tell('close', info.code, info.reason, info);
      settleClosed(info);
    },
  });

  sink.onTaken = onTaken;
  frames.on('message', (message: Message) => {
    if (!ending.discards()) inbox.deliver(message, frames.messageBytes);
  });
  frames.on('flow', flow.byFrames);
  frames.on('error', (error) => {
    ending.fail(error);
  });
  frames.on('ping', onPing);
  frames.on('pong', onPong);
  // Listeners attached in this turn, and promises that resolve in it, must miss nothing.
  setImmediate(() => {
    if (transport.destroyed) ending.finish();
    else {
      flow.start(parts.head);
      // A foreign stream may have ended before anybody listened.
      if (transport.readableEnded) ending.end();
    }
  });
  return { closed, buffered, inbox, outbox, ending, flow, ping: sendPing, pong: sendPong };

  function onPing(payload: Buffer): void {
    if (parts.autoPong) {
      // A server that pings and does not read gets one answer, to its latest ping.
      if (buffered() > highWaterMark) owedPong = payload;
      else pong(payload);
    }
    parts.tell('ping', payload);
  }

  /** A pong answers its ping, and those before it (RFC 6455 section 5.5.3). */
  function onPong(payload: Buffer): void {
    const now = performance.now();
    const answered = pings.splice(0, pings.findIndex((one) => one.payload.equals(payload)) + 1);
    for (const { resolve, sentAt } of answered) resolve(now - sentAt);
    const last = answered.at(-1);
    parts.tell('pong', payload, last && now - last.sentAt);
  }

  function onTaken(): void {
    if (owedPong && buffered() <= highWaterMark) {
      pong(owedPong);
      owedPong = undefined;
    }
    if (outbox.relieve()) parts.tell('drain');
  }

  function pong(payload: Buffer): void {
    if (!ending.closeSent()) frames.pong(payload);
  }

  function ping(payload: Buffer): Promise<number> {
    frames.write(true, ControlFrames.ping, payload);
    const sentAt = performance.now();
    return quietly(
      new Promise((resolve, reject) => {
        pings.push({ payload, sentAt, resolve, reject });
      }),
    );
  }

  /** A control frame of the user's: arguments are checked first, then whether it can go out. */
  function control<T>(
    data: ControlData | undefined,
    write: (payload: Buffer) => Promise<T>,
  ): Promise<T> {
    try {
      const payload = data === undefined ? newPayload() : controlPayload(data, 'data');
      return ending.sendable() ? write(payload) : quietly(Promise.reject(ending.refusal()));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  function sendPing(data?: ControlData): Promise<number> {
    // Kept to be compared with the pong: the caller may reuse its memory.
    return control(data, (payload) => ping(Buffer.from(payload)));
  }

  function sendPong(data: ControlData): Promise<void> {
    return control(data, (payload) => {
      frames.pong(payload);
      return outbox.drained();
    });
  }
}

/** Random, so that concurrent pings differ. */
function newPayload(): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeInt32LE(maskingKey());
  return payload;
}
