/**
 * What several files use of others, imported once. As globals, Buffer and process are accessors, which V8 does not
 * see through: 10 ns each time.
 * @packageDocumentation
 */
import { Buffer, isUtf8, kMaxLength } from 'node:buffer';
import { hash, randomFillSync } from 'node:crypto';
import * as timers from 'node:timers';
import { isAnyArrayBuffer } from 'node:util/types';
import { EventEmitter } from 'eventemitter3';

// Not imported: a module of it looks at all that process has, and opens its streams.
// eslint-disable-next-line no-restricted-globals, @typescript-eslint/unbound-method -- needs no `this`
const { env, nextTick, versions } = process;

/** As they are when this is loaded: who puts fake ones in their place does not mean ours. */
export const { clearImmediate, clearTimeout, setImmediate, setTimeout } = timers;
export const { performance } = globalThis;

export {
  Buffer,
  EventEmitter,
  hash,
  isAnyArrayBuffer,
  isUtf8,
  kMaxLength,
  nextTick,
  randomFillSync,
  versions,
};

/** Whether only what Node documents is to be used. */
export const documented = (): boolean => !!env['AIOWEBSOCKET_DOCUMENTED'];

/** No bytes. */
export const NOTHING: Buffer = Buffer.alloc(0);
