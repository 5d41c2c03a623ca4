/**
 * What those who show messages to listeners have in common.
 * @packageDocumentation
 */
import { EventEmitter } from 'eventemitter3';
import type { Core } from './cores.js';
import type { Audience, MessageListener } from './inboxes.js';

/** An emitter of messages, on a connection that can keep the process alive. */
export abstract class MessageEmitter<Events extends object> extends EventEmitter<Events> {
  /** The process lives while the connection does: the default. */
  ref(): this {
    return this.hold(true);
  }

  /** The connection alone does not keep the process alive. */
  unref(): this {
    return this.hold(false);
  }

  override on<E extends EventEmitter.EventNames<Events>>(
    event: E,
    listener: EventEmitter.EventListener<Events, E>,
    context?: unknown,
  ): this {
    super.on(event, listener, context);
    return this.#attached(event, listener, context);
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
    return this.#attached(event, listener, context, true);
  }

  /** @internal The works of the connection, once it is open. */
  abstract get core(): Core | undefined;

  /** @internal Whether the process lives on for the connection. */
  abstract hold(alive: boolean): this;

  /** A listener of messages is shown what still waits. */
  #attached(event: unknown, listener: unknown, context: unknown = this, once = false): this {
    if (event === 'message') {
      this.core?.attached(this as unknown as Audience, listener as MessageListener, context, once);
    }
    return this;
  }
}
