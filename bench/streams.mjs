/** What the server sends without being asked twice: frames made once, sent over and over. */
import { constants, deflateRawSync } from 'node:zlib';
import { packFrame, repeatFrame } from './frames.mjs';
import { makeJsonMessages, makePayload } from './payloads.mjs';

/** Bytes handed to the socket at a time. */
const BLOCK = 262_144;

/**
 * Frames behind each other. They may be sent again and again, in this order.
 *
 * @typedef {object} FrameLoop
 * @property {Buffer} bytes
 * @property {readonly number[]} ends where each frame ends in it
 */

/**
 * One uncompressed message over and over.
 *
 * @param {import('./payloads.mjs').Kind} kind
 * @param {number} size bytes of the message
 * @returns {FrameLoop}
 */
export function plainLoop(kind, size) {
  const frame = packFrame(makePayload(kind, size));
  const bytes = repeatFrame(frame, BLOCK);
  return { bytes, ends: ends(Array(bytes.length / frame.length).fill(frame)) };
}

/**
 * The JSON messages under permessage-deflate with context takeover (RFC 7692 section 7.2.3).
 *
 * One compressor works through all of them, so that each refers to those before; the first refers
 * to nothing. A receiver whose window still holds the last messages may therefore get the first
 * again: no reference reaches back beyond it.
 *
 * @returns {FrameLoop}
 */
export function deflatedLoop() {
  const frames = deflateEach(makeJsonMessages()).map((payload) =>
    packFrame(payload, { compressed: true }),
  );
  return { bytes: Buffer.concat(frames), ends: ends(frames) };
}

/**
 * Compresses messages in one context, synchronously: each is compressed with the 32 KiB before it
 * as its dictionary, which gives what one compressor gives.
 *
 * @param {readonly string[]} messages
 */
function deflateEach(messages) {
  let window = Buffer.alloc(0);
  return messages.map((message) => {
    const bytes = Buffer.from(message);
    const deflated = deflateRawSync(bytes, {
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(window.length > 0 && { dictionary: window }),
    });
    window = Buffer.concat([window, bytes]).subarray(-32_768);
    // Section 7.2.1: the empty block at the end is left out.
    return deflated.subarray(0, -4);
  });
}

/**
 * @param {readonly Buffer[]} frames
 * @returns {number[]}
 */
function ends(frames) {
  let end = 0;
  return frames.map(({ length }) => (end += length));
}

/**
 * Sends a loop of frames as fast as the socket takes it, until it is closed.
 *
 * @param {import('node:net').Socket} socket
 * @param {FrameLoop} loop
 */
export function pour(socket, { bytes }) {
  const pump = () => {
    while (socket.writable && socket.write(bytes));
  };
  socket.on('drain', pump);
  pump();
}

/**
 * Hands out the frames of a loop one after the other, several at a time.
 *
 * @param {FrameLoop} loop
 * @returns {(count: number) => Buffer[]}
 */
export function dealer({ bytes, ends }) {
  let next = 0;
  return (count) => {
    const parts = [];
    for (let left = count; left > 0;) {
      const take = Math.min(left, ends.length - next);
      parts.push(bytes.subarray(ends[next - 1] ?? 0, ends[next + take - 1]));
      next = (next + take) % ends.length;
      left -= take;
    }
    return parts;
  };
}
