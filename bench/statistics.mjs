/** Medians, and ratios of runs that were made beside each other. */
import { figures } from './figures.mjs';

/**
 * What the rounds gave, one sample each.
 *
 * @typedef {readonly Record<string, number>[]} Samples
 */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? Number(sorted[middle])
    : (Number(sorted[middle - 1]) + Number(sorted[middle])) / 2;
}

/**
 * @param {Samples | undefined} samples
 * @param {string} figure
 */
export function medianOf(samples, figure) {
  return median((samples ?? []).flatMap((sample) => sample[figure] ?? []));
}

/**
 * How much better one is than another, more being better: the median of the ratios within each
 * round, which what the machine did meanwhile disturbs least.
 *
 * @param {Samples | undefined} ones
 * @param {Samples | undefined} others
 * @param {string} figure
 * @returns {{ ratio: number, least: number, most: number }} NaN where there is nothing to compare
 */
export function compare(ones, others, figure) {
  const ratios = (ones ?? []).flatMap((sample, round) => {
    const one = sample[figure];
    const other = others?.[round]?.[figure];
    if (one === undefined || other === undefined) return [];
    return figures[figure]?.more === true ? one / other : other / one;
  });
  return { ratio: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}
