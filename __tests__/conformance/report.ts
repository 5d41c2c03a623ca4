// A run as text: a table by area, then every failing case.
import { describeOutcome } from './case.js';
import { byArea, type CaseResult, type RunResult } from './runner.js';

function row(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
    .join('  ')
    .trimEnd();
}

export function table(run: RunResult): string {
  const head = ['area', 'cases', 'passed', 'failed', 'slowest'];
  const lines = byArea(run.results).map(([area, results]) => {
    const failed = results.filter(({ problems }) => problems.length > 0).length;
    const slowest = Math.max(...results.map(({ milliseconds }) => milliseconds));
    const counts = [results.length, results.length - failed, failed].map(String);
    return [area, ...counts, `${slowest.toFixed(0)} ms`];
  });
  const total = run.results.length;
  const failed = run.failures.length;
  lines.push(['total', ...[total, total - failed, failed].map(String), '']);
  const all = [head, ...lines];
  const widths = head.map((_, i) => Math.max(...all.map((cells) => cells[i]?.length ?? 0)));
  return all.map((cells) => row(cells, widths)).join('\n');
}

/** One failing case: what it is, what had to come, what came, and the octets that brought it about. */
export function describeFailure({ subject, problems, last }: CaseResult): string {
  return [
    `${subject.id}: ${subject.title}`,
    `  RFC:      ${subject.rfc}`,
    `  expected: ${describeOutcome(subject.expect.outcome)}`,
    ...problems.map((problem) => `  problem:  ${problem}`),
    `  sent:     ${last === '' ? 'nothing' : last}`,
  ].join('\n');
}
