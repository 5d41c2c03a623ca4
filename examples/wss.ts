/**
 * The same over TLS; it needs a server of yours, for `server.ts` has no TLS. A `wss` URI is enough;
 * `ssl: true` may be said, as in the original. A server whose certificate your system does not know
 * needs the certificate of who signed it.
 *
 *   node examples/run.mjs wss wss://host [ca.pem]
 */
import { readFileSync } from 'node:fs';
import { AioWebSocket, AioWebSocketError } from 'aiowebsocket';

const [uri = 'wss://127.0.0.1:8766', ca] = process.argv.slice(2);
const ssl = ca === undefined ? true : { ca: readFileSync(ca) };

try {
  await AioWebSocket.connect(uri, { ssl }, async (aws) => {
    await aws.manipulator.send('AioWebSocket - Async WebSocket Client');
    console.log('Client receive:', await aws.manipulator.receive({ text: true }));
  });
} catch (error) {
  if (!(error instanceof AioWebSocketError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
