/**
 * The first example of the original's README: send, print, receive, print.
 *
 *   node examples/run.mjs ws [ws://…]
 */
import { AioWebSocket, AioWebSocketError } from 'aiowebsocket';

const time = (): string => new Date().toLocaleString('sv');

async function startup(uri: string): Promise<void> {
  await AioWebSocket.connect(uri, async (aws) => {
    const converse = aws.manipulator;
    const message = 'AioWebSocket - Async WebSocket Client';
    for (let i = 0; i < 5; i++) {
      await converse.send(message);
      console.log(`${time()}-Client send: ${message}`);
      const received = await converse.receive();
      console.log(`${time()}-Client receive: ${received.toString()}`);
    }
  });
}

try {
  await startup(process.argv[2] ?? 'ws://127.0.0.1:8765');
} catch (error) {
  if (!(error instanceof AioWebSocketError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
