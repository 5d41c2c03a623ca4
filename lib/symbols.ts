/**
 * Members that our files use of classes that users extend: named by symbols, they cannot meet a
 * member of a subclass.
 * @packageDocumentation
 */

/** Frames: who is told of everything before the listeners are. */
export const HOST = Symbol();
/** Frames: whether bytes wait to be parsed. */
export const WAITS = Symbol();
/** HandShake: the parameters of permessage-deflate that were negotiated. */
export const DEFLATE = Symbol();
/** HandShake: the error for a response with another status than 101, while its body is read. */
export const REFUSED = Symbol();
