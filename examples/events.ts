/**
 * Events, as Node users know them, from the first to the last.
 *
 *   node examples/run.mjs events [ws://…]
 */
import { AioWebSocket, SocketState, statusName } from 'aiowebsocket';

const aws = new AioWebSocket(process.argv[2] ?? 'ws://127.0.0.1:8765');

aws.on('state', (state) => {
  console.log('state:', SocketState[state]);
});
aws.on('handshake', ({ status, statusText }) => {
  console.log('handshake:', status, statusText);
});
aws.on('open', () => {
  console.log('open:', aws.url);
  void aws.manipulator.send('text');
  void aws.manipulator.send(Buffer.from('bytes'));
  void aws.manipulator.ping();
});
aws.on('message', (data, isBinary) => {
  console.log('message:', isBinary ? data : JSON.stringify(data));
});
aws.on('pong', (_payload, latency) => {
  console.log('pong:', latency !== undefined && latency < 1000 ? 'in time' : 'late');
  void aws.closeConnection();
});
aws.on('error', (error) => {
  console.error('error:', error.message);
});
aws.on('close', (code, reason, { wasClean }) => {
  console.log('close:', code, statusName(code), JSON.stringify(reason), wasClean);
});

// What goes wrong is told by `error` and `close`, and by this promise.
await aws.createConnection().catch(() => {
  process.exitCode = 1;
});
