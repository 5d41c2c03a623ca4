// What a client must offer to be driven by the suite.
import type { Message } from './wire.js';

/** What to offer of permessage-deflate; `clientMaxWindowBits: false` leaves the parameter out. */
export interface CompressionOffer {
  readonly serverNoContextTakeover?: boolean;
  readonly clientNoContextTakeover?: boolean;
  readonly serverMaxWindowBits?: number;
  readonly clientMaxWindowBits?: number | boolean;
}

/** Options of one connection; all times in milliseconds, all sizes in bytes. */
export interface ClientOptions {
  readonly protocols?: readonly string[];
  /** Undefined means that no extension is offered; messages of every size are compressed. */
  readonly compression?: CompressionOffer;
  readonly maxPayload?: number;
  readonly openTimeout?: number;
  readonly closeTimeout?: number;
}

export interface Handlers {
  /** Called for every message, in order: a string for text, a Buffer for binary. */
  readonly message: (data: Message) => void;
}

/** How the opening handshake ended. */
export interface Opened {
  /** The subprotocol in use, '' for none. */
  readonly protocol: string;
}

/** How the connection ended, as the application was told. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
}

export interface Connection {
  /** Resolves when the connection is open, rejects when the handshake failed. */
  readonly opened: Promise<Opened>;
  /** Resolves once, however the connection ended, a failed handshake included. */
  readonly closed: Promise<Ended>;
  /** Send one message; failures are swallowed. */
  send: (data: Message) => void;
  ping: (data: Buffer) => void;
  /** Start the closing handshake. */
  close: (code?: number, reason?: string) => void;
  /** Drop the connection at once. */
  terminate: () => void;
}

export interface Adapter {
  readonly name: string;
  /** Whether permessage-deflate can be offered; without it those cases are skipped. */
  readonly compression: boolean;
  connect: (uri: string, options: ClientOptions, handlers: Handlers) => Connection;
}
