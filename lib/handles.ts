/**
 * Writing to a socket's handle directly: **undocumented**. It bypasses the stream, whose
 * bookkeeping takes longer than packing a message. Whatever is not as expected is left to the
 * stream.
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { documented, type Buffer } from './builtins.js';
import { isFunction } from './values.js';

/** What a handle is asked to write with, as Node's sockets do. */
interface WriteRequest {
  /** Node's own function, which calls `callback`. */
  readonly oncomplete?: unknown;
  /** Told once the kernel has taken it all, or failed to; the socket may be destroyed. */
  callback?: (error?: Error | null) => void;
  /** Positive while a request is under way. */
  getAsyncId?: () => number;
}

/** What the stream of a socket writes to. */
export interface SocketHandle {
  /** Where what is encrypted goes. */
  readonly _parent?: SocketHandle | null;
  readonly bytesWritten?: number;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize?: number;
  writeBuffer?: (request: WriteRequest | null, bytes: Buffer) => unknown;
}

/** A stream that may have a handle. */
export interface HandleOwner extends Duplex {
  readonly _handle?: SocketHandle | null;
  /** Its time-out begins anew. */
  _unrefTimer?: () => void;
}

/**
 * Learned from a request of Node's own, whose class is exported nowhere; `false`: not to be used.
 */
let model: { _Request: new () => WriteRequest; _onComplete: unknown } | false | undefined;
/** A request that is done, to be used again. */
let spare: WriteRequest | undefined;

/**
 * Writes to the handle of a TCP socket whose stream is empty.
 * @returns true where the kernel has taken all of it, else the request under way, until whose
 * `callback` the bytes must stay as they are; undefined where nothing has been written
 */
export function writeToHandle(socket: HandleOwner, bytes: Buffer): WriteRequest | true | undefined {
  const { _handle: handle } = socket;
  if (!handle?.writeBuffer) return undefined;
  if (model === undefined) {
    if (documented()) model = false;
    else learnModel(handle);
  }
  if (!model) return undefined;
  // Taken before it is used: an async hook may write when it is told of the request.
  const request = spare ?? new model._Request();
  spare = undefined;
  // What fails here fails for the stream as well, which reports it.
  if (handle.writeBuffer(request, bytes) !== 0) return undefined;
  socket._unrefTimer?.();
  if (request.getAsyncId!() > 0) {
    const oncomplete = model._onComplete;
    // The bytes live as long as the request.
    return Object.assign(request, { handle, oncomplete, buffer: bytes });
  }
  spare = request;
  return true;
}

/** Learns from the next write of Node's own. From Node 26 on there is no request, and no model. */
function learnModel(handle: SocketHandle): void {
  handle.writeBuffer = (request, bytes) => {
    delete handle.writeBuffer;
    const result = handle.writeBuffer!(request, bytes);
    model = isFunction(request?.getAsyncId) &&
      typeof result === 'number' && {
        _Request: request.constructor as new () => WriteRequest,
        _onComplete: request.oncomplete,
      };
    return result;
  };
}
