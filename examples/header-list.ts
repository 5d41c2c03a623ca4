/**
 * The original's custom header: a list of lines goes out byte for byte, in this order, in this
 * case, with this key. Paste what a browser sent, and that is what the server gets.
 *
 *   node examples/run.mjs header-list [ws://…]
 */
import { AioWebSocket, AioWebSocketError, parseUri } from 'aiowebsocket';

const uri = process.argv[2] ?? 'ws://127.0.0.1:8765/ajaxchattest';
const { host, port, resource } = parseUri(uri);

const headers = [
  `GET ${resource} HTTP/1.1`,
  'Connection: Upgrade',
  `Host: ${host}:${port}`,
  'Origin: http://coolaf.com',
  'Sec-WebSocket-Key: RmDgZzaqqvC4hGlWBsEmwQ==',
  'Sec-WebSocket-Version: 13',
  'Upgrade: websocket',
];

try {
  await AioWebSocket.connect(uri, { headers }, async (aws) => {
    console.log('Status:', aws.response?.status);
    await aws.manipulator.send('AioWebSocket - Async WebSocket Client');
    console.log('Client receive:', await aws.manipulator.receive({ text: true }));
  });
} catch (error) {
  if (!(error instanceof AioWebSocketError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
