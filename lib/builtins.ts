/**
 * What several files use of others, imported once. As globals, Buffer and process are accessors, which V8 does not
 * see through: 10 ns each time.
 * @packageDocumentation
 */
import { Buffer, isUtf8, kMaxLength } from 'node:buffer';
import { hash, randomFillSync } from 'node:crypto';
import { EventEmitter } from 'eventemitter3';

// Not imported: a module of it looks at all that process has, and opens its streams.
// eslint-disable-next-line no-restricted-globals, @typescript-eslint/unbound-method -- needs no `this`
const { env, nextTick, versions } = process;

export { Buffer, EventEmitter, hash, isUtf8, kMaxLength, nextTick, randomFillSync, versions };

/** Whether only what Node documents is to be used. */
export const documented = (): boolean => !!env['AIOWEBSOCKET_DOCUMENTED'];

/** No bytes. */
export const NOTHING: Buffer = Buffer.alloc(0);
