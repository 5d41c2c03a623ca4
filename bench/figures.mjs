/** What is measured, and how it is printed. */

/**
 * @typedef {object} Figure
 * @property {string} name
 * @property {(unit: string) => string} label with its unit
 * @property {number} digits behind the decimal point
 * @property {boolean} [more] whether more is better
 */

/**
 * @param {string} name
 * @param {string | ((unit: string) => string)} label
 * @param {number} digits
 * @returns {Figure}
 */
const figure = (name, label, digits) => ({
  ...{ name, digits },
  label: typeof label === 'string' ? () => label : label,
});

/** @type {Record<string, Figure>} */
export const figures = {
  rate: { ...figure('rate', (unit) => `${unit}/s`, 0), more: true },
  cpu: figure('CPU', (unit) => `CPU µs/${unit}`, 3),
  p50: figure('p50', 'p50 µs', 1),
  p99: figure('p99', 'p99 µs', 1),
  max: figure('max', 'max µs', 1),
  rss: figure('RSS', (unit) => `RSS KiB/${unit}`, 2),
  heap: figure('heap', (unit) => `heap KiB/${unit}`, 2),
  memory: figure('RSS', 'RSS MiB', 1),
  growth: figure('RSS growth', 'RSS growth MiB', 1),
  importTime: figure('import', 'import ms', 2),
  bundle: figure('bundle', 'bundled KiB', 1),
  installed: figure('installed', 'installed KiB', 1),
};

/** @param {number} value */
export function formatRatio(value) {
  if (Number.isNaN(value)) return '';
  return `${value.toFixed(value < 10 ? 2 : 1)}×`;
}

/** @param {number} value */
export function formatShare(value) {
  if (Number.isNaN(value)) return '';
  return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
}

/**
 * @param {string} figure
 * @param {number} value
 */
export function formatFigure(figure, value) {
  if (Number.isNaN(value)) return '';
  const { digits = 2 } = figures[figure] ?? {};
  const places = digits === 3 && value >= 10 ? 1 : digits;
  return value.toLocaleString('en', {
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
}
