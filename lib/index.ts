/**
 * A WebSocket client for Node.js: a port of Python's `aiowebsocket`.
 * @packageDocumentation
 */
export type { PieceSink } from './assemblies.js';
export * from './converses.js';
export type { MessageEmitter } from './emitters.js';
export * from './enumerations.js';
export * from './exceptions.js';
export * from './freams.js';
export * from './handshakes.js';
export * from './parts.js';
export type { CompressionOptions } from './negotiations.js';
export type {
  ConverseOptions,
  HandShakeOptions,
  HeaderFields,
  LimitOptions,
  TlsOptions,
  TransportOptions,
  UnionFields,
} from './options.js';
