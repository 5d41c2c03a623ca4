/**
 * Messages one after another, until the server has no more. The loop ends by itself when the
 * server closes as agreed, and throws when the connection breaks.
 *
 *   node examples/run.mjs for-await [ws://…/feed?count=3]
 */
import { AioWebSocket, AioWebSocketError } from 'aiowebsocket';

const uri = process.argv[2] ?? 'ws://127.0.0.1:8765/feed?count=3&interval=50';
try {
  const aws = await AioWebSocket.connect(uri);
  let count = 0;
  for await (const message of aws.manipulator) {
    console.log(message.toString());
    count++;
  }
  const { code } = await aws.closed;
  console.log(`${count} messages, closed with ${code}`);
} catch (error) {
  if (!(error instanceof AioWebSocketError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
