/**
 * The same over TLS. A `wss` URI is enough; `ssl: true` may be said, as in the original. A server
 * whose certificate your system does not know needs the certificate of who signed it.
 *
 *   node examples/run.mjs wss wss://… [ca.pem]
 */
import { readFileSync } from 'node:fs';
import { AioWebSocket } from 'aiowebsocket';

const [uri = 'wss://127.0.0.1:8766', ca] = process.argv.slice(2);
const ssl = ca === undefined ? true : { ca: readFileSync(ca) };

await AioWebSocket.connect(uri, { ssl }, async (aws) => {
  await aws.manipulator.send('AioWebSocket - Async WebSocket Client');
  console.log('Client receive:', await aws.manipulator.receive({ text: true }));
});
