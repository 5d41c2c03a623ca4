/**
 * What our own files say to each other through classes that users extend: no name that a subclass
 * gives to something of its own can meet these.
 * @packageDocumentation
 */

/** Frames: who gets everything before any listener does. */
export const HOST = Symbol();
/** Frames: whether bytes wait to be parsed. */
export const WAITS = Symbol();
/** HandShake: what of permessage-deflate was agreed on. */
export const DEFLATE = Symbol();
/** HandShake: why the server's answer was refused, while its body is read. */
export const REFUSED = Symbol();
