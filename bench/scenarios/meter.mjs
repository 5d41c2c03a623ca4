/** The clock of a run: a warm-up, then the section that counts. */
import { performance } from 'node:perf_hooks';

/**
 * How long a run takes, in milliseconds.
 *
 * @typedef {object} Timing
 * @property {number} warmup
 * @property {number} duration
 */

/**
 * What a run measured. Scenarios add their own figures.
 *
 * @typedef {object} Sample
 * @property {number} rate units a second
 * @property {number} cpu microseconds of CPU time a unit, of all threads
 */

/** Measures how fast something that is counted grows, and what it costs. */
export class Meter {
  /** Whether the warm-up is over. */
  measuring = false;
  #until;
  #duration;
  #startedAt = 0;
  #startCount = 0;
  #startCpu = process.cpuUsage();

  /** @param {Timing} timing */
  constructor({ warmup, duration }) {
    this.#until = performance.now() + warmup;
    this.#duration = duration;
  }

  /**
   * To be asked again and again.
   *
   * @param {number} count
   * @returns {boolean} whether the run is over
   */
  isOver(count) {
    const now = performance.now();
    if (now < this.#until) return false;
    if (this.measuring) return true;
    this.measuring = true;
    this.#until = now + this.#duration;
    this.#startedAt = now;
    this.#startCount = count;
    this.#startCpu = process.cpuUsage();
    return false;
  }

  /**
   * @param {number} count
   * @returns {Sample}
   */
  sample(count) {
    const { user, system } = process.cpuUsage(this.#startCpu);
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const units = count - this.#startCount;
    return { rate: units / seconds, cpu: (user + system) / units };
  }
}

/**
 * @param {readonly number[]} values
 * @param {number} share 0.5 is the median
 */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
