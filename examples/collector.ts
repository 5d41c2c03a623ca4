/**
 * Collects a live feed into a file of JSON lines until Ctrl-C, as those who collect market data do.
 *
 *   node examples/run.mjs collector [ws://…/feed] [feed.jsonl]
 *
 * A link that has died without a word is found by the keepalive that is on by default; here it is
 * made stricter. While the disk is slow, messages wait in memory, 16 MiB of them at the most
 * (`maxQueueBytes`); then the server is made to wait.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setInterval } from 'node:timers';
import { AioWebSocket, AioWebSocketError } from 'aiowebsocket';

const [uri = 'ws://127.0.0.1:8765/feed', path = 'feed.jsonl'] = process.argv.slice(2);

const file = createWriteStream(path, { flags: 'a' });
await once(file, 'open');

const quit = new AbortController();
process.once('SIGINT', () => quit.abort());

let count = 0;
try {
  const options = { pingInterval: 10_000, pongTimeout: 5000, signal: quit.signal };
  await AioWebSocket.connect(uri, options, async (aws) => {
    const converse = aws.manipulator;
    await converse.send(JSON.stringify({ op: 'subscribe', channel: 'ticks' }));
    // Many feeds also want a heartbeat in their own words. Nobody needs to await it: if the
    // connection ends meanwhile, the loop below tells.
    const heartbeat = setInterval(() => void converse.send('{"op":"heartbeat"}'), 15_000);
    try {
      for (;;) {
        const message = await converse.receive({ text: true, signal: quit.signal });
        const line = JSON.stringify({ received: new Date().toISOString(), message });
        if (!file.write(`${line}\n`)) await once(file, 'drain');
        count++;
      }
    } finally {
      clearInterval(heartbeat);
    }
  });
} catch (error) {
  // However it ended, it is to go on: who runs this sees it by the exit code.
  if (!quit.signal.aborted) {
    if (!(error instanceof AioWebSocketError)) throw error;
    console.error(`${error.name}: ${error.message}`);
    process.exitCode = 1;
  }
} finally {
  file.end();
  await once(file, 'close');
  console.log(`${count} messages in ${path}`);
}
