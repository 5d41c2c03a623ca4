/**
 * What all files use of Node's own modules. As globals these are accessors, which V8 does not see
 * through: 10 ns each time.
 * @packageDocumentation
 */
import { Buffer, isUtf8, kMaxLength } from 'node:buffer';
import { emitWarning, env, nextTick, versions } from 'node:process';

export { Buffer, emitWarning, env, isUtf8, kMaxLength, nextTick, versions };

/** No bytes. */
export const NOTHING: Buffer = Buffer.alloc(0);
