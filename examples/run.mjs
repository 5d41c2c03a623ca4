/**
 * Runs an example: `node examples/run.mjs ws ws://127.0.0.1:8765`.
 *
 * Examples are TypeScript, which Node 20 does not run by itself: this builds the package if that is
 * needed, takes the types out of the example, and runs what is left in this process.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';
import { ensureBuilt, root } from '../tools/shared.mjs';

const examples = join(root, 'examples');
const names = readdirSync(examples)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));
const [name = '', ...args] = process.argv.slice(2);

if (names.includes(name)) {
  await ensureBuilt();
  await import(pathToFileURL(toProgram(name)).href);
} else {
  console.error(`Usage: node examples/run.mjs <${names.join(' | ')}> [arguments]`);
  process.exitCode = 2;
}

/** @param {string} name */
function toProgram(name) {
  const source = readFileSync(join(examples, `${name}.ts`), 'utf8');
  const { code } = transformSync(source, { loader: 'ts', target: 'node20.12', format: 'esm' });
  // Inside the project, where the package's own name means what is built here.
  const folder = join(root, '.cache', 'examples');
  const file = join(folder, `${name}.${process.pid}.mjs`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, code);
  process.once('exit', () => rmSync(file, { force: true }));
  process.argv = [process.execPath, file, ...args];
  return file;
}
