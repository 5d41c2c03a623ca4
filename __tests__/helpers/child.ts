/** Programs of their own: what ends a process, and what does not, can only be seen in one. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { atEnd } from './cleanup.js';

const folder = mkdtempSync(join(tmpdir(), 'aiowebsocket-'));
const library = join(folder, 'aiowebsocket.cjs');
let built = false;

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

export interface ChildResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it printed, line by line. */
  readonly lines: string[];
  readonly stderr: string;
  /** Milliseconds from its first line to its end. */
  readonly lasted: number;
}

/**
 * Runs a CommonJS program with `aws`, an AioWebSocket to `uri`, and the library's names in `lib`.
 * @param body statements, which may await
 */
export function runChild(
  body: string,
  uri: string,
  { flags = [], options = {} }: { flags?: string[]; options?: object } = {},
): Promise<ChildResult> {
  if (!built) {
    buildSync({
      entryPoints: [join(__dirname, '..', '..', 'lib', 'index.ts')],
      outfile: library,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      logLevel: 'silent',
    });
    built = true;
  }
  const program = `
    const lib = require(${JSON.stringify(library)});
    const print = (...words) => console.log(...words);
    const aws = new lib.AioWebSocket(${JSON.stringify(uri)}, ${JSON.stringify(options)});
    (async () => { print('begun'); ${body} })();
  `;
  const child = spawn(process.execPath, [...flags, '-e', program]);
  atEnd(() => child.kill('SIGKILL'));
  let begun = 0;
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (begun === 0) begun = performance.now();
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const lines = stdout.split('\n').slice(1, -1);
      resolve({ code, signal, lines, stderr, lasted: performance.now() - begun });
    });
  });
}
