/** Programs that use the package in a process of their own, where nobody catches what they throw. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

let folder: string | undefined;

/** Removes what {@link runProgram} made: `afterAll(removePrograms)`. */
export function removePrograms(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
}

function bundle(): string {
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'aiowebsocket-test-'));
    buildSync({
      entryPoints: [join(__dirname, '..', '..', 'lib', 'index.ts')],
      outfile: join(folder, 'package.cjs'),
      bundle: true,
      platform: 'node',
      format: 'cjs',
    });
  }
  return join(folder, 'package.cjs');
}

/** How a program ended. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs JavaScript in which `aiowebsocket` holds the package. */
export function runProgram(code: string, nodeOptions: readonly string[] = []): Promise<ProgramEnd> {
  const program = `const aiowebsocket = require(${JSON.stringify(bundle())});\n${code}`;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...nodeOptions, '-e', program],
      { timeout: 15_000, killSignal: 'SIGKILL' },
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, stdout, stderr });
      },
    );
  });
}
