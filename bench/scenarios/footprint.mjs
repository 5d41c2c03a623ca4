/** What a package costs before anything is connected: its import, its bundle, its files. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { npm, root, run } from '../../tools/shared.mjs';
import { specifier } from '../peers/ours.mjs';
import { median } from '../statistics.mjs';

const KB = 1_024;
/** Imports are timed in so many fresh processes. */
const IMPORTS = 9;

/**
 * What is imported of each package.
 *
 * @type {Record<string, string>}
 */
const names = {
  aiowebsocket: 'AioWebSocket',
  ws: 'WebSocket',
  undici: 'WebSocket',
  websocket: 'client',
};

/** @param {import('./messages.mjs').Setting} setting */
export async function footprint({ peer, lib }) {
  const name = peer.module === 'ours' ? 'aiowebsocket' : peer.module;
  const path = name === 'aiowebsocket' ? specifier(lib) : name;
  return {
    importTime: await importTime(path),
    bundle: (await bundleSize(path, names[name] ?? 'default')) / KB,
    installed: (await installedSize(name)) / KB,
  };
}

/**
 * @param {string} path
 * @returns {Promise<number>} milliseconds, without what starting Node and its loader takes
 */
async function importTime(path) {
  const program = `await import('data:text/javascript,');
    const startedAt = performance.now();
    await import(${JSON.stringify(path)});
    console.log(performance.now() - startedAt);`;
  const times = [];
  for (let i = 0; i < IMPORTS; i++) {
    times.push(Number(await run(process.execPath, ['--input-type=module', '-e', program])));
  }
  return median(times);
}

/**
 * @param {string} path
 * @param {string} name
 */
async function bundleSize(path, name) {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { ${name} } from ${JSON.stringify(path.replace(/^file:\/\//, ''))};`,
      resolveDir: root,
    },
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.12',
    external: ['eventemitter3', 'bufferutil', 'utf-8-validate'],
    tsconfigRaw: {},
    write: false,
  });
  return outputFiles.reduce((sum, { contents }) => sum + contents.length, 0);
}

/**
 * A package's files, those of its dependencies included.
 *
 * @param {string} name
 */
async function installedSize(name) {
  if (name !== 'aiowebsocket') return withDependencies(name);
  const output = await npm(['pack', '--dry-run', '--json', '--ignore-scripts']);
  /** @type {[{ unpackedSize: number }]} */
  const [{ unpackedSize }] = JSON.parse(output);
  return unpackedSize + withDependencies('eventemitter3');
}

/**
 * @param {string} name
 * @param {Set<string>} [counted]
 * @returns {number}
 */
function withDependencies(name, counted = new Set()) {
  if (counted.has(name)) return 0;
  counted.add(name);
  const folder = join(root, 'node_modules', name);
  /** @type {{ dependencies?: Record<string, string> }} */
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const own = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  return Object.keys(dependencies).reduce(
    (sum, dependency) => sum + withDependencies(dependency, counted),
    own,
  );
}
