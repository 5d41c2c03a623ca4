/** What `npm run bench` can be told. */
import { parseArgs } from 'node:util';
import { listPeers } from './peers/index.mjs';
import { workloads } from './workloads.mjs';

export const usage = `Usage: npm run bench -- [options]

  --quick            the principal workloads and peers, in short runs: less than a minute
  --only w2,w3       the workloads whose names begin like this
  --peers ours,ws    these peers only
  --rounds N         how often everything is run; default 5
  --warmup MS        before each measurement
  --duration MS      of each measurement
  --lib PATH         measure this build of the library: a folder with index.js
  --against PATH     and compare it with this one, run beside it
  --markdown         print Markdown
  --json FILE        write every sample to a file
  --list             print the names of workloads and peers
  --help`;

/** What was asked for cannot be done: told without a stack trace. */
export class UsageError extends Error {}

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {string[]} args
 * @throws {UsageError}
 */
export function readOptions(args) {
  const values = parse(args);
  const quick = values.quick === true;
  return {
    quick,
    help: values.help === true,
    list: values.list === true,
    markdown: values.markdown === true,
    json: values.json,
    lib: values.lib,
    against: values.against,
    rounds: positive('rounds', values.rounds, quick ? 3 : 5),
    timing: {
      warmup: positive('warmup', values.warmup, quick ? 150 : 600),
      duration: positive('duration', values.duration, quick ? 250 : 1_000),
    },
    workloads: chosenWorkloads(names(values.only), quick),
    peers: chosenPeers(names(values.peers), quick, values.against !== undefined),
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        peers: { type: 'string' },
        rounds: { type: 'string' },
        warmup: { type: 'string' },
        duration: { type: 'string' },
        lib: { type: 'string' },
        against: { type: 'string' },
        markdown: { type: 'boolean' },
        json: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string | undefined} list */
const names = (list) => list?.split(',').map((name) => name.trim().toLowerCase());

/**
 * @param {string} name
 * @param {string | undefined} text
 * @param {number} byDefault
 */
function positive(name, text, byDefault) {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`--${name} must be a positive integer, got ${text}`);
}

/**
 * Whether a name begins so; `w1` is not the beginning of `w10`.
 *
 * @param {string} id
 * @param {string} prefix
 */
function beginsWith(id, prefix) {
  if (/^w\d+$/.test(prefix)) return id === prefix || id.startsWith(`${prefix}-`);
  return id.startsWith(prefix);
}

/**
 * @param {string[] | undefined} prefixes
 * @param {boolean} quick
 */
function chosenWorkloads(prefixes, quick) {
  if (prefixes === undefined) return quick ? workloads.filter((one) => one.quick) : workloads;
  for (const prefix of prefixes) {
    if (workloads.some(({ id }) => beginsWith(id, prefix))) continue;
    const known = workloads.map(({ id }) => id).join(', ');
    throw new UsageError(`--only: no workload begins with ${prefix}; known are ${known}`);
  }
  return workloads.filter(({ id }) => prefixes.some((prefix) => beginsWith(id, prefix)));
}

/**
 * @param {string[] | undefined} ids
 * @param {boolean} quick
 * @param {boolean} paired
 */
function chosenPeers(ids, quick, paired) {
  const peers = listPeers(paired);
  if (ids === undefined) {
    return peers.filter(({ extra, isQuick }) => (quick ? isQuick === true : extra !== true));
  }
  const known = peers.map(({ id }) => id);
  const wrong = ids.find((id) => !known.includes(id));
  if (wrong !== undefined) {
    throw new UsageError(`--peers: there is no ${wrong}; known are ${known.join(', ')}`);
  }
  // A build to compare with comes with ours.
  return peers.filter(({ id }) => ids.includes(id) || ids.includes(id.replace('-old', '')));
}
