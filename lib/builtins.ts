/**
 * What several files use of Node, imported once. As globals, Buffer and process are accessors,
 * which V8 cannot inline: 10 ns each time.
 * @packageDocumentation
 */
import { Buffer, isUtf8, kMaxLength } from 'node:buffer';
import type * as Crypto from 'node:crypto';
import * as modules from 'node:module';
import type * as Net from 'node:net';
import * as timers from 'node:timers';
import type * as Tls from 'node:tls';
import { isAnyArrayBuffer } from 'node:util/types';
import type * as Zlib from 'node:zlib';
import { EventEmitter } from 'eventemitter3';

// Not imported: `node:process` as a module reads every property, and so opens the standard streams.
// eslint-disable-next-line no-restricted-globals, @typescript-eslint/unbound-method -- needs no `this`
const { env, nextTick: given, versions } = process;

/** As they were when this was loaded: a test that fakes timers or time means its own, not ours. */
export const { clearImmediate, clearTimeout, setImmediate, setTimeout } = timers;
export const { performance, queueMicrotask } = globalThis;

/**
 * Node's own, also where it was faked before this was loaded, as `fakeTimers` in Jest's
 * configuration does: what waits for the end of the turn would never be sent.
 */
export const nextTick =
  (given as { clock?: Record<string, typeof given> }).clock?.['_nextTick'] ?? given;

export { Buffer, EventEmitter, isAnyArrayBuffer, isUtf8, kMaxLength, versions };

interface Loaded {
  'node:crypto': typeof Crypto;
  'node:net': typeof Net;
  'node:tls': typeof Tls;
  'node:zlib': typeof Zlib;
}

// webpack puts something else in the place of a createRequire that is imported by name. The path
// counts for nothing: '/' is absolute everywhere, process.execPath is not where there is no /proc.
const builtin = modules.createRequire('/') as <Name extends keyof Loaded>(
  name: Name,
) => Loaded[Name];
const loaded: Partial<Loaded> = {};

/** Loads a built-in module when it is first needed: importing this package loads none of these. */
export const load = <Name extends keyof Loaded>(name: Name): Loaded[Name] =>
  (loaded[name] ??= builtin(name));

/**
 * Whether only what Node documents is to be used: `AIOWEBSOCKET_DOCUMENTED` is set, or this is Deno,
 * which has what is undocumented, but not as it is in Node.
 */
export const documented = (): boolean => !!(env['AIOWEBSOCKET_DOCUMENTED'] ?? versions['deno']);

/** No bytes. */
export const NOTHING: Buffer = Buffer.alloc(0);
