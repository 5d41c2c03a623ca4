/** npm run fuzz: the properties under __tests__/fuzz for long; `--help` tells its arguments. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { startBundled } from './bundled.mjs';
import { root } from './shared.mjs';

/** Told anew with every batch, which takes seconds: when it is that old, an input hangs. */
const current = join(root, '.cache', 'fuzz', 'current.json');
const patience = 180_000;

const started = Date.now();
const child = await startBundled('__tests__/fuzz/main.ts', 'fuzz');
const watch = setInterval(() => {
  const told = statSync(current, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (Date.now() - Math.max(told, started) < patience) return;
  console.error(`FAILED: it hangs, within\n${readFileSync(current, 'utf8')}`);
  child.kill('SIGKILL');
}, 5000);
child.on('exit', () => clearInterval(watch));
