/**
 * One message, piece by piece as it arrives.
 * @packageDocumentation
 */
import { checkSize, type PieceSink } from './assemblies.js';
import { Buffer } from './builtins.js';
import type { Connection } from './connections.js';
import { armStream, makeOnFull, pull, queueOf, stopWaiting, type PieceWaiter } from './inboxes.js';
import { DONE, pullIterator, type PieceStream } from './iterators.js';
import { checkKinds, STREAM_KINDS, type StreamOptions } from './options.js';
import type { Message } from './parts.js';
import { PullQueue } from './queues.js';

/** Bytes that a piece counts beyond its own: many small ones take memory, too. */
const PIECE_COST = 128;

/** The next message in pieces. */
export function receivePieces(c: Connection, options: StreamOptions): PieceStream {
  const { maxPayload } = checkKinds(options, STREAM_KINDS);
  const pieces = new PullQueue<Message>(c._numbers, makeOnFull(c), Infinity);
  const sink: PieceSink = {
    maxPayload,
    begin() {
      queueOf(c)._waiters._shift();
      c._streaming = sink;
      armStream(c);
    },
    piece(piece) {
      // Once it has ended, as by a close of ours, nothing more is kept.
      if (!pieces._ended && !pieces._offer(piece)) pieces._keep(piece, piece.length + PIECE_COST);
    },
    end: (error = DONE) => {
      pieces._end(error);
    },
  };
  const waiter: PieceWaiter = {
    _sink: sink,
    // A message that was whole before anybody asked for its pieces is one piece.
    _resolve(message) {
      try {
        checkSize(Buffer.byteLength(message), maxPayload ?? Infinity);
        if (message.length > 0) sink.piece(message);
        sink.end();
      } catch (error) {
        sink.end(error);
      }
    },
    _reject: sink.end,
  };
  pull(c, waiter);
  return pullIterator<Message>(
    () => {
      c._pulls++;
      return pieces._poll();
    },
    (reader) => {
      pieces._wait(reader);
    },
    (error) => error !== DONE && (error as Error),
    () => {
      c._frames.undivert(sink);
      stopWaiting(c, waiter);
      sink.end();
      pieces._clear();
    },
  );
}
