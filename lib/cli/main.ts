/**
 * The program behind `npm start`.
 * @packageDocumentation
 */
import { run } from './run.js';

const controller = new AbortController();
const quit = (): void => controller.abort();
// Once: whoever asks twice does not want to wait for a closing handshake.
process.once('SIGINT', quit);
process.once('SIGTERM', quit);
// Whoever read our output has gone, as `head` does: nothing is left to be done.
process.stdout.on('error', quit);

void run(process.argv.slice(2), {
  out: (line) => console.log(line),
  err: (line) => console.error(line),
  signal: controller.signal,
}).then((code) => {
  process.exitCode = code;
});
