/**
 * The main job: send, receive, print, as the original's README does.
 * @packageDocumentation
 */
import { AioWebSocket, type Converse } from '../index.js';
import type { Job } from './arguments.js';
import { printable, printableMessage, timestamp } from './printable.js';

/** Milliseconds for the closing handshake. */
const CLOSE_TIMEOUT = 5000;

/**
 * Sends the message `count` times, prints it and what comes back, and closes.
 * @throws {AioWebSocketError} when the connection fails or ends early, or no answer comes in time
 * @throws `signal.reason`, once aborted; the connection is closed all the same
 */
export function talk(
  uri: string,
  { headers, message, count, timeout }: Job,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const options = { unionHeader: headers, timeout, closeTimeout: CLOSE_TIMEOUT, signal };
  return AioWebSocket.connect(uri, options, async ({ manipulator: converse }) => {
    for (let i = 0; i < count; i++) {
      await converse.send(message);
      print(`${timestamp(new Date())}-Client send: ${printable(message)}`);
      await printNext(converse, print, { timeout, signal });
      // A server may say more than it is asked: nothing of that is held back.
      for (let more = converse.queueSize; more > 0; more--) {
        await printNext(converse, print, { timeout, signal });
      }
    }
  });
}

async function printNext(
  converse: Converse,
  print: (line: string) => void,
  options: { timeout: number; signal: AbortSignal },
): Promise<void> {
  const message = await converse.receive(options);
  print(`${timestamp(new Date())}-Client receive: ${printableMessage(message)}`);
}
