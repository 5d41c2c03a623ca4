/**
 * Who owns a transport is told what happens on it: what a socket of ours reads bypasses its stream,
 * and the listeners are the same functions for all transports.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { Phase } from './exceptions.js';

/** Who is told what happens on a transport. */
export interface TransportOwner {
  /** Whether the transport was made here: then what it is given may be overwritten once taken. */
  _ours: boolean;
  /**
   * Takes what has been read; it may be overwritten once this returns. `false`: no more for now.
   */
  _onChunk: (chunk: Buffer) => unknown;
  _onError: (cause: Error) => void;
  _onClose: () => void;
  _onEnd?: () => void;
  /** Its opening has reached this phase; `open` when it is done. */
  _onStep?: (phase: Phase | 'open') => void;
}

/** Where a transport keeps who owns it: its listeners are the same for all, and stay. */
export const TAP: unique symbol = Symbol('aiowebsocket');

/** A transport that somebody may own. */
export type Tapped = Duplex & { [TAP]?: TransportOwner };

function onEnd(this: Tapped): void {
  this[TAP]!._onEnd?.();
}

function onError(this: Tapped, cause: Error): void {
  this[TAP]!._onError(cause);
}

function onClose(this: Tapped): void {
  this[TAP]!._onClose();
}

/** Adds the listeners that tell the owner. */
export function addListeners(transport: Duplex): void {
  transport.on('error', onError).on('close', onClose).on('end', onEnd);
}

/**
 * Makes `owner` the owner of a transport that was made here.
 * @returns gives it back to the owner before; `undefined` where it has to be read as a stream:
 * another transport, or one of ours that somebody reads as a stream already
 */
export function tapInto(transport: Duplex, owner: TransportOwner): (() => void) | undefined {
  const tapped: Tapped = transport;
  const before = tapped[TAP];
  if (!before?._ours || transport.readableFlowing !== null) return undefined;
  tapped[TAP] = owner;
  return () => {
    tapped[TAP] = before;
  };
}
