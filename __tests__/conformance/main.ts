// The command: npm run conformance -- [--all] [--area X] [--case ID] [--client NAME] [--list]
import { parseArgs } from 'node:util';

import type { Adapter } from './adapter.js';
import { aiowebsocket } from './adapters/aiowebsocket.js';
import { ws } from './adapters/ws.js';
import { AREAS, type Case, describeOutcome } from './case.js';
import { allCases, quickCases } from './cases/index.js';
import { explain, patienceWith } from './known-differences.js';
import { describeFailure, table } from './report.js';
import { runCases, type RunResult } from './runner.js';

const ADAPTERS: Readonly<Record<string, Adapter>> = { aiowebsocket, ws };

const USAGE = `npm run conformance -- [options]
  --all          also the long cases
  --area NAME    only this area: ${AREAS.join(', ')}
  --case ID      only this case, and those whose id starts with it and a slash
  --client NAME  ${Object.keys(ADAPTERS).join(' or ')} (default: aiowebsocket)
  --list         print the cases instead of running them
  --help         print this`;

const OPTIONS = {
  all: { type: 'boolean', default: false },
  area: { type: 'string' },
  case: { type: 'string' },
  client: { type: 'string', default: 'aiowebsocket' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

interface Filter {
  readonly all: boolean;
  readonly area: string | undefined;
  readonly id: string | undefined;
}

function select({ all, area, id }: Filter): readonly Case[] {
  const base = all || id !== undefined ? allCases : quickCases;
  return base.filter(
    (subject) =>
      (area === undefined || subject.area === area) &&
      (id === undefined || subject.id === id || subject.id.startsWith(`${id}/`)),
  );
}

/** Print a run; the number of failures that are not explained. */
function show(run: RunResult): number {
  const explained = run.failures.filter(({ subject }) => explain(run.client, subject.id));
  const failures = run.failures.filter((result) => !explained.includes(result));
  for (const failure of failures) print(`${describeFailure(failure)}\n`);
  for (const { subject, problems } of explained) {
    const why = explain(run.client, subject.id) ?? '';
    print(`known difference: ${subject.id}\n  ${problems[0] ?? ''}\n  ${why}\n`);
  }
  print(table(run));
  const seconds = (run.milliseconds / 1000).toFixed(1);
  const skipped = run.skipped === 0 ? '' : `, ${String(run.skipped)} skipped`;
  print(
    `\n${run.client}: ${String(run.results.length)} cases in ${seconds} s, ` +
      `${String(failures.length)} failed, ${String(explained.length)} known differences${skipped}`,
  );
  return failures.length;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  const { all, area, client, list, help } = values;
  const adapter = ADAPTERS[client];
  const cases = select({ all, area, id: values.case });
  if (help || adapter === undefined || cases.length === 0) {
    print(USAGE);
    return help ? 0 : 2;
  }
  if (list) {
    for (const { id, title, rfc, expect } of cases) {
      print(`${id}\n  ${title}\n  RFC ${rfc}: ${describeOutcome(expect.outcome)}`);
    }
    return 0;
  }
  return show(await runCases(cases, adapter, { patience: patienceWith(client) })) === 0 ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 2;
  },
);
