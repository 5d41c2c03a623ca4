/**
 * What Converse and AioWebSocket have in common: both show messages to listeners.
 * @packageDocumentation
 */
import { EventEmitter } from './builtins.js';
import { buffered, closedOf, setRef } from './connections.js';
import type { Core } from './cores.js';
import type { SocketState } from './enumerations.js';
import { listenerAttached } from './inboxes.js';
import type { CloseInfo } from './parts.js';

/**
 * @internal The connection of an emitter, from a private field: subclasses can neither see nor
 * shadow it.
 */
export let coreOf: (emitter: object) => Core;

/** An emitter of messages, on a connection that can keep the process alive. */
export abstract class MessageEmitter<Events extends object> extends EventEmitter<Events> {
  readonly #core: Core;

  static {
    coreOf = (emitter) => (emitter as MessageEmitter<object>).#core;
  }

  /** @internal */
  constructor(core: Core) {
    super();
    this.#core = core;
  }

  /** Resolves once the connection has ended, however it did. Never rejects. */
  get closed(): Promise<CloseInfo> {
    return closedOf(this.#core);
  }

  /** Where the connection is in its life. */
  get state(): SocketState {
    return this.#core._state;
  }

  /**
   * Bytes that wait to be sent, the headers of their frames included. Short texts of this turn of
   * the event loop are counted as if they were ASCII.
   */
  get bufferedAmount(): number {
    return buffered(this.#core);
  }

  /** The process lives while the connection does, and is being read: the default. */
  ref(): this {
    setRef(this.#core, true);
    return this;
  }

  /** The connection alone does not keep the process alive. */
  unref(): this {
    setRef(this.#core, false);
    return this;
  }

  override on<E extends EventEmitter.EventNames<Events>>(
    event: E,
    listener: EventEmitter.EventListener<Events, E>,
    context?: unknown,
  ): this {
    super.on(event, listener, context);
    return attached(this, event);
  }

  override addListener<E extends EventEmitter.EventNames<Events>>(
    event: E,
    listener: EventEmitter.EventListener<Events, E>,
    context?: unknown,
  ): this {
    return this.on(event, listener, context);
  }

  override once<E extends EventEmitter.EventNames<Events>>(
    event: E,
    listener: EventEmitter.EventListener<Events, E>,
    context?: unknown,
  ): this {
    super.once(event, listener, context);
    return attached(this, event);
  }
}

/** Messages that no listener has been shown are shown to the first. */
function attached<E extends object>(emitter: E, event: unknown): E {
  if (event === 'message') listenerAttached(coreOf(emitter));
  return emitter;
}
