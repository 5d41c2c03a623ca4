/** The tables. */
import { figures, formatFigure, formatRatio, formatShare } from './figures.mjs';
import { goals } from './goals.mjs';
import { compare, medianOf } from './statistics.mjs';

/**
 * What one workload gave.
 *
 * @typedef {object} Outcome
 * @property {import('./workloads.mjs').Workload} workload
 * @property {readonly import('./peers/index.mjs').Peer[]} peers
 * @property {Record<string, Record<string, number>[]>} samples by peer, one a round
 * @property {Record<string, string>} failures by peer
 */

/** @typedef {readonly (readonly string[])[]} Table the first row is its head */

/** The peer that the others are compared with. */
const BASE = 'ws';
const LIMIT = 'raw';
const OURS = 'ours';

/**
 * @param {string} figure
 * @param {string} unit
 */
const labelOf = (figure, unit) => figures[figure]?.label(unit) ?? figure;

/**
 * One row for each peer.
 *
 * @param {Outcome} outcome
 * @returns {Table}
 */
export function peerTable({ workload, peers, samples, failures }) {
  const { unit, figures: shown, compared } = workload;
  const limited = samples[LIMIT] !== undefined;
  const ratioHeads = compared.flatMap((figure) => [
    `${figures[figure]?.name} over ${BASE}`,
    ...(figure === compared[0] ? ['range'] : []),
  ]);
  const head = ['', ...shown.map((figure) => labelOf(figure, unit)), ...ratioHeads];
  if (limited) head.push('of limit');
  head.push('floor / target');
  const rows = peers.map(({ id, label }) => {
    if (failures[id] !== undefined) {
      return [label, ...Array(head.length - 2).fill(''), `failed: ${failures[id]}`];
    }
    const row = [label, ...shown.map((name) => formatFigure(name, medianOf(samples[id], name)))];
    for (const name of compared) {
      const { ratio, least, most } = compare(samples[id], samples[BASE], name);
      row.push(formatRatio(ratio));
      if (name !== compared[0]) continue;
      row.push(Number.isNaN(ratio) ? '' : `${formatRatio(least)} – ${formatRatio(most)}`);
    }
    if (limited) {
      const { ratio } = compare(samples[id], samples[LIMIT], compared[0] ?? '');
      row.push(formatShare(ratio));
    }
    row.push(id === OURS ? mainGoal(workload.id, samples) : '');
    return row;
  });
  return [head, ...rows];
}

/**
 * @param {string} id
 * @param {Outcome['samples']} samples
 */
function mainGoal(id, samples) {
  const [goal] = goals[id] ?? [];
  return goal === undefined ? '' : `${limits(goal)}  ${judge(goal, samples).mark}`;
}

/** @param {import('./goals.mjs').Goal} goal */
function limits({ figure, over, floor, target }) {
  const print = (/** @type {number} */ value) =>
    over === undefined ? formatFigure(figure, value) : String(value);
  return target === undefined ? print(floor) : `${print(floor)} / ${print(target)}`;
}

/**
 * @param {import('./goals.mjs').Goal} goal
 * @param {Outcome['samples']} samples
 * @returns {{ value: string, mark: string }}
 */
function judge({ figure, peer = OURS, over, floor, target = floor }, samples) {
  const absolute = over === undefined;
  const value = absolute
    ? medianOf(samples[peer], figure)
    : compare(samples[peer], samples[over], figure).ratio;
  if (Number.isNaN(value)) return { value: '', mark: '' };
  const reaches = (/** @type {number} */ limit) =>
    absolute && figures[figure]?.more !== true ? value <= limit : value >= limit;
  return {
    value: absolute ? formatFigure(figure, value) : formatRatio(value),
    mark: reaches(target) ? '✓ target' : reaches(floor) ? '✓ floor' : '✗ below',
  };
}

/**
 * Every goal that could be judged.
 *
 * @param {readonly Outcome[]} outcomes
 * @returns {Table}
 */
export function goalTable(outcomes) {
  const rows = outcomes.flatMap(({ workload, samples }) =>
    (goals[workload.id] ?? []).flatMap((goal) => {
      const { value, mark } = judge(goal, samples);
      if (mark === '') return [];
      const { peer = OURS, figure, over } = goal;
      const what = labelOf(figure, workload.unit);
      const whose = over === undefined ? `${peer}: ${what}` : `${peer} over ${over}: ${what}`;
      return [[workload.id, whose, value, limits(goal), mark]];
    }),
  );
  return [['workload', 'goal', 'measured', 'floor / target', ''], ...rows];
}

/**
 * Two builds of this library, beside each other.
 *
 * @param {readonly Outcome[]} outcomes
 * @returns {Table}
 */
export function pairTable(outcomes) {
  const rows = outcomes.flatMap(({ workload, peers, samples }) =>
    peers
      .filter(({ isPrevious }) => isPrevious === true)
      .flatMap(({ id: old }) => {
        const id = old.replace('ours-old', OURS);
        return workload.compared.map((figure) => {
          const { ratio, least, most } = compare(samples[id], samples[old], figure);
          return [
            ...[workload.id, id, labelOf(figure, workload.unit)],
            ...[formatFigure(figure, medianOf(samples[old], figure))],
            ...[formatFigure(figure, medianOf(samples[id], figure))],
            ...[formatRatio(ratio), `${formatRatio(least)} – ${formatRatio(most)}`],
          ];
        });
      }),
  );
  return [['workload', 'peer', 'figure', 'old', 'new', 'better by', 'range'], ...rows];
}

/**
 * @param {Table} table
 * @param {boolean} markdown
 */
export function render(table, markdown) {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? '').length)),
  );
  const lines = table.map((row) =>
    widths.map((width, column) => {
      const cell = row[column] ?? '';
      // Numbers to the right; words, and what is said at the end of a row, to the left.
      return /^\d/.test(cell) && column < widths.length - 1
        ? cell.padStart(width)
        : cell.padEnd(width);
    }),
  );
  if (!markdown) return lines.map((cells) => cells.join('  ').trimEnd()).join('\n');
  const rule = widths.map((width) => '-'.repeat(Math.max(3, width)));
  return [lines[0] ?? [], rule, ...lines.slice(1)]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
