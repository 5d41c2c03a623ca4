/**
 * The default request, with some fields of your own: those of the same name are replaced in their
 * place, `null` takes one out, others are added.
 *
 *   node examples/run.mjs union-header [ws://…]
 */
import { AioWebSocket, AioWebSocketError } from 'aiowebsocket';

const uri = process.argv[2] ?? 'ws://127.0.0.1:8765';
const unionHeader = {
  'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64)',
  Cookie: 'session=a1b2c3',
  'X-Trace': ['one', 'two'],
  Origin: null,
};

const aws = new AioWebSocket(uri, { unionHeader });
try {
  await aws.createConnection();
  await aws.manipulator.send('AioWebSocket - Async WebSocket Client');
  console.log('Client receive:', await aws.manipulator.receive({ text: true }));
  await aws.closeConnection();
} catch (error) {
  if (!(error instanceof AioWebSocketError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
