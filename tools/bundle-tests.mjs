/** Runs programs among the tests, which are TypeScript: bundled first, packages left outside. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './shared.mjs';

/**
 * Bundles a program and runs it to its end, with the arguments of this process. Its exit code
 * becomes ours.
 *
 * @param {string} name of the bundle, under .cache/
 * @param {string} entry
 * @returns {Promise<import('node:child_process').ChildProcess>} the running program
 */
export async function runBundled(name, entry) {
  const outfile = join(root, '.cache', name, `main-${process.pid}.cjs`);
  mkdirSync(join(root, '.cache', name), { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.12',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  return spawn(process.execPath, ['--enable-source-maps', outfile, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
}
