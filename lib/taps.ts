/**
 * What a transport reads, past its stream: who owns it is told, by listeners that are the same for all.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { Phase } from './exceptions.js';

/** Who is told what happens on a transport. */
export interface TransportOwner {
  /** Takes what has been read; it may be overwritten once this returns. `false`: no more for now. */
  _onChunk: (chunk: Buffer) => unknown;
  _onError: (cause: Error) => void;
  _onClose: () => void;
  _onEnd?: () => void;
  /** The opening has come so far. */
  _onStep?: (phase: Phase | 'open') => void;
}

/** What is kept with a transport. */
export interface Tap {
  _owner: TransportOwner | undefined;
  /** Whether the transport was made here: then what it is given may be overwritten once taken. */
  readonly _ours: boolean;
}

/** Where a transport keeps who owns it: its listeners are the same for all, and stay. */
export const TAP: unique symbol = Symbol('aiowebsocket');

/** A transport that somebody may own. */
export type Tapped = Duplex & { [TAP]?: Tap };

function onEnd(this: Tapped): void {
  this[TAP]!._owner!._onEnd?.();
}

function onError(this: Tapped, cause: Error): void {
  this[TAP]!._owner!._onError(cause);
}

function onClose(this: Tapped): void {
  this[TAP]!._owner!._onClose();
}

/** Listens for those who own it. */
export function listen(transport: Duplex): void {
  transport.on('error', onError).on('close', onClose).on('end', onEnd);
}

/**
 * Has `owner` told what happens on a transport that was made here, past its stream, until the function
 * is called that this returns. Other transports are read as streams; so is one of ours once somebody
 * has done that.
 */
export function tapInto(transport: Duplex, owner: TransportOwner): (() => void) | undefined {
  const { [TAP]: tap } = transport as Tapped;
  if (!tap?._ours || transport.readableFlowing !== null) return undefined;
  const before = tap._owner;
  tap._owner = owner;
  return () => {
    tap._owner = before;
  };
}
