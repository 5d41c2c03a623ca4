/** Runs programs among the tests: they are TypeScript, so they are bundled first. */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { root } from './shared.mjs';

/**
 * Bundles a program, packages left outside, and starts it with the arguments of this process,
 * whose exit code becomes its own.
 *
 * @param {string} entry
 * @param {string} name of the folder under .cache/ that it goes to
 * @returns {Promise<import('node:child_process').ChildProcess>}
 */
export async function startBundled(entry, name) {
  const outfile = join(root, '.cache', name, `main.${process.pid}.cjs`);
  mkdirSync(dirname(outfile), { recursive: true });
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
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', outfile, ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit' },
  );
  child.on('exit', (code) => {
    rmSync(outfile, { force: true });
    process.exitCode = code ?? 1;
  });
  return child;
}
