/** The command: npm run fuzz -- [--minutes N] [--property NAME] [--seed N] [--path P] */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { outcomes, PROPERTIES } from './properties.js';

const USAGE = `npm run fuzz -- [options]
  --minutes N      how long to go on (default: 1)
  --property NAME  only this one: ${Object.keys(PROPERTIES).join(', ')}
  --seed N         the first seed, as a run prints it
  --path P         with --property and --seed: only this input, as a saved failure tells it
  --help           print this`;

const OPTIONS = {
  minutes: { type: 'string', default: '1' },
  property: { type: 'string' },
  seed: { type: 'string' },
  path: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

/** Inputs tried with one seed. */
const BATCH = 200;
const folder = join(process.cwd(), '.cache', 'fuzz');

interface Tally {
  inputs: number;
  milliseconds: number;
  failures: number;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Saves what is under way, for the case that it never ends. */
function save(file: string, content: object): void {
  writeFileSync(join(folder, file), `${JSON.stringify(content, undefined, 2)}\n`);
}

function report(name: string, result: fc.RunDetails<unknown>): void {
  const { seed, counterexamplePath: path, counterexample, errorInstance } = result;
  const file = `${name}-${seed}.json`;
  const error = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance);
  const again = `npm run fuzz -- --property ${name} --seed ${seed} --path ${path ?? '0'}`;
  save(file, { property: name, seed, path, again, input: fc.stringify(counterexample), error });
  print(
    `FAILED ${name}: ${String(error).slice(0, 2000)}\n  saved in .cache/fuzz/${file}\n  ${again}`,
  );
}

async function runBatch(
  name: string,
  seed: number,
  path: string | undefined,
  tally: Tally,
): Promise<void> {
  const { property } = PROPERTIES[name]!;
  save('current.json', { property: name, seed });
  const start = performance.now();
  const result = await fc.check(property, {
    seed,
    numRuns: BATCH,
    ...(path !== undefined && { path }),
  });
  tally.inputs += result.numRuns;
  tally.milliseconds += performance.now() - start;
  if (!result.failed) return;
  tally.failures++;
  report(name, result);
}

function summary(tallies: ReadonlyMap<string, Tally>, memory: number): void {
  print('\nproperty      inputs  inputs/s  failures');
  for (const [name, { inputs, milliseconds, failures }] of tallies) {
    const rate = Math.round((inputs * 1000) / milliseconds);
    print(
      `${name.padEnd(10)}${String(inputs).padStart(10)}${String(rate).padStart(10)}${String(failures).padStart(10)}`,
    );
  }
  print('\noutcomes');
  for (const [outcome, times] of [...outcomes].sort())
    print(`${String(times).padStart(10)}  ${outcome}`);
  print(`\nlargest resident set: ${Math.round(memory / 2 ** 20)} MiB`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  const names = Object.keys(PROPERTIES).filter((name) => name === (values.property ?? name));
  const first = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const milliseconds = Number(values.minutes) * 60_000;
  if (values.help || names.length === 0 || !(first >= 0) || !(milliseconds >= 0)) {
    print(USAGE);
    return values.help ? 0 : 2;
  }
  mkdirSync(folder, { recursive: true });
  print(`seed ${first}, ${values.minutes} minutes, ${names.join(', ')}`);
  const tallies = new Map(names.map((name) => [name, { inputs: 0, milliseconds: 0, failures: 0 }]));
  const end = performance.now() + (values.path === undefined ? milliseconds : 0);
  let memory = 0;
  let seed = first;
  do {
    for (const [name, tally] of tallies) await runBatch(name, seed, values.path, tally);
    seed = (seed + 1) % 2 ** 31;
    memory = Math.max(memory, process.memoryUsage().rss);
  } while (performance.now() < end);
  summary(tallies, memory);
  return [...tallies.values()].some(({ failures }) => failures > 0) ? 1 : 0;
}

process.on('uncaughtException', (error) => {
  print(
    `FAILED, outside of everything: ${error.stack ?? String(error)}\n  see .cache/fuzz/current.json`,
  );
  process.exit(1);
});
void main().then((code) => {
  process.exitCode = code;
});
