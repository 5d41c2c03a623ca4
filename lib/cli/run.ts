/**
 * One run of the command, from its arguments to its exit code.
 * @packageDocumentation
 */
import { HELP, parseArguments, UsageError, type Job } from './arguments.js';
import { EchoServer } from './echo-server.js';
import { printable } from './printable.js';
import { talk } from './talk.js';

/** Where the command prints, line by line, and what ends it early. */
export interface Surroundings {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Exit codes: all went well, something failed, it was called wrongly, it was interrupted. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/**
 * Runs the command. Whatever goes wrong is told in one line.
 * @param args the arguments behind the program's name
 * @returns the exit code
 */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const { out, err, signal } = surroundings;
  try {
    const job = parseArguments(args);
    if (job === 'help') out(HELP);
    else await work(job, surroundings);
    return EXIT.ok;
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted;
    const message = error instanceof Error ? error.message : String(error);
    err(`aiowebsocket: ${printable(message.trim())}`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}

/** Without a URI it talks to a server of its own. */
async function work(job: Job, { out, signal }: Surroundings): Promise<void> {
  if (job.uri !== undefined) return talk(job.uri, job, out, signal);
  const server = await EchoServer.listen();
  try {
    await talk(server.url, job, out, signal);
  } finally {
    await server.close();
  }
}
