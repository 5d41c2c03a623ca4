/** What the tools share. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds when something has changed. */
export async function ensureBuilt() {
  await run(process.execPath, ['tools/build.mjs', '--quiet']);
}

/**
 * Runs a program to its end and gives what it printed.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<string>} standard output
 * @throws {Error} with everything the program printed, when it does not exit with 0
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
    });
    let output = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
    child.stderr?.setEncoding('utf8').on('data', (/** @type {string} */ text) => (errors += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${args.join(' ')} ended with ${signal ?? code}\n${output}${errors}`));
    });
  });
}

/**
 * Runs npm, the very one that started us if there is one.
 *
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export function npm(args, options) {
  const script = process.env['npm_execpath'];
  if (script === undefined) return run('npm', args, options);
  return run(process.execPath, [script, ...args], options);
}

/**
 * Ends a check: prints the complaints, if any, and sets the exit code.
 *
 * @param {string} passed what to print when there are none
 * @param {readonly string[]} complaints
 */
export function conclude(passed, complaints) {
  if (complaints.length === 0) {
    console.log(passed);
    return;
  }
  for (const complaint of complaints) console.error(complaint);
  process.exitCode = 1;
}
