/**
 * Importing the package must load none of the modules that only some connections need: a script
 * that talks plain ws:// pays for no TLS, no zlib and no HTTP, and one that does not talk at all for no
 * sockets and no cryptography. Checked in fresh processes, for both
 * builds, against Node's own list of the built-in modules it has loaded.
 */
import { conclude, ensureBuilt, run } from './shared.mjs';

const unwanted = ['net', 'crypto', 'tls', 'zlib', 'http', 'https', 'http2'];

/**
 * What the fresh process runs. It ends with loading them on purpose: a check that cannot see them
 * even then checks nothing.
 *
 * @param {string} load the statement that loads the package
 */
const probe = (load) => `
const loaded = () => ${JSON.stringify(unwanted)}.filter((name) =>
  process.moduleLoadList.some((entry) => entry === 'NativeModule ' + name));
const before = loaded();
${load}
const after = loaded();
for (const name of ${JSON.stringify(unwanted)}) process.getBuiltinModule?.(name) ?? await import(name);
console.log(JSON.stringify({ before, after, seen: loaded() }));`;

await ensureBuilt();
const loads = {
  import: "await import('aiowebsocket');",
  require: `
const { createRequire } = await import('node:module');
createRequire(process.cwd() + '/entry.cjs')('aiowebsocket');`,
};

/** @type {string[]} */
const complaints = [];
for (const [way, load] of Object.entries(loads)) {
  const output = await run(process.execPath, ['--input-type=module', '-e', probe(load)]);
  /** @type {Record<'before' | 'after' | 'seen', string[]>} */
  const { before, after, seen } = JSON.parse(output);
  const blind = unwanted.filter((name) => before.includes(name) || !seen.includes(name));
  const found = after.filter((name) => !before.includes(name));
  if (blind.length > 0) complaints.push(`imports: this check cannot tell ${blind.join(', ')}`);
  if (found.length > 0) complaints.push(`imports: ${way} of the package loads ${found.join(', ')}`);
}
conclude(`imports: none of ${unwanted.join(', ')} is loaded`, complaints);
