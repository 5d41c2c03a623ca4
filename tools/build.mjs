/**
 * Builds lib/ into dist/esm (ES modules) and dist/cjs (CommonJS), each with its types.
 *
 * esbuild joins the modules and puts the values of enumerations where they are used; tsc makes the
 * types. Both are compiled into a folder of their own, which then takes the place of dist/ in one go: a
 * build never leaves stale files behind, a failed one leaves the last good build alone, and two at
 * a time do no harm. When nothing has changed since the last build, nothing is done.
 *
 *   node tools/build.mjs [--quiet] [--force]
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build as bundle } from 'esbuild';
import { root } from './shared.mjs';

const require = createRequire(import.meta.url);
const dist = join(root, 'dist');
/** The modules that users import. */
const PUBLIC = [
  'index',
  'converses',
  'freams',
  'handshakes',
  'exceptions',
  'enumerations',
  'parts',
];
/** Holds the fingerprint of what dist/ was built from; not part of the package. */
const stamp = '.fingerprint';

/** What tsc complains about is for the reader, without a stack trace of ours. */
class CompileError extends Error {}

const { values: options } = parseArgs({
  options: { quiet: { type: 'boolean' }, force: { type: 'boolean' } },
});

const wanted = fingerprint();
if (options.force !== true && wanted === built()) {
  say('dist/ is up to date');
} else if (await build()) {
  say('built dist/esm and dist/cjs');
} else {
  process.exitCode = 1;
}

/** @returns {Promise<boolean>} whether it compiled */
async function build() {
  const fresh = join(root, `dist.${process.pid}`);
  try {
    await Promise.all([compile('esm', fresh), compile('cjs', fresh), joinModules(fresh)]);
    // The package says "type": "module"; the nearest package.json wins.
    writeFileSync(join(fresh, 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
    writeFileSync(join(fresh, stamp), wanted);
    replaceDist(fresh);
    return true;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    console.error(error.message);
    return false;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * @param {'esm' | 'cjs'} format
 * @param {string} folder
 * @returns {Promise<void>}
 */
function compile(format, folder) {
  const tsc = require.resolve('typescript/bin/tsc');
  const config = join(root, `tsconfig.${format}.json`);
  const args = [tsc, '-p', config, '--outDir', join(folder, format), '--pretty', 'false'];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new CompileError(`The ${format} build failed:\n${output}`));
    });
  });
}

/**
 * The modules that users import share one body each for import and require, so that a class is the
 * same whichever of them it came from.
 *
 * @param {string} folder
 */
async function joinModules(folder) {
  /** @type {import('esbuild').BuildOptions} */
  const settings = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node20.12',
    external: ['eventemitter3', '../index.js'],
    minifySyntax: true,
    outbase: 'lib',
  };
  const entryPoints = ['lib/index.ts'];
  const { metafile } = await bundle({
    ...settings,
    entryPoints: PUBLIC.map((name) => `lib/${name}.ts`),
    format: 'esm',
    outdir: folder,
    metafile: true,
    write: false,
  });
  await bundle({
    ...settings,
    entryPoints: [...entryPoints, 'lib/cli/main.ts'],
    format: 'esm',
    outdir: join(folder, 'esm'),
  });
  await bundle({ ...settings, entryPoints, format: 'cjs', outdir: join(folder, 'cjs') });
  for (const { entryPoint = '', exports: names } of Object.values(metafile.outputs)) {
    const name = entryPoint.replace(/^lib\/|\.ts$/g, '');
    if (name === 'index') continue;
    const lines = names.map((one) => `exports.${one} = all.${one};\n`);
    const body = `'use strict';\nconst all = require('./index.js');\n${lines.join('')}`;
    writeFileSync(join(folder, 'cjs', `${name}.js`), body);
    const list = names.map((one) => `  ${one},\n`).join('');
    writeFileSync(join(folder, 'esm', `${name}.js`), `export {\n${list}} from './index.js';\n`);
  }
}

/** @param {string} fresh */
function replaceDist(fresh) {
  const old = `${fresh}.old`;
  mkdirSync(dist, { recursive: true });
  renameSync(dist, old);
  try {
    renameSync(fresh, dist);
  } catch (error) {
    // Another build was quicker, and its dist/ is as good as ours.
    if (wanted !== built()) throw error;
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

/** A hash over everything that decides what dist/ looks like. */
function fingerprint() {
  const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('lib', name));
  const settings = readdirSync(root).filter((name) => /^tsconfig.*\.json$/.test(name));
  const hash = createHash('sha256').update(require('typescript/package.json').version);
  for (const name of [...sources, ...settings, join('tools', 'build.mjs')].sort()) {
    hash.update(`\0${name}\0`).update(readFileSync(join(root, name)));
  }
  return hash.digest('hex');
}

function built() {
  try {
    return readFileSync(join(dist, stamp), 'utf8');
  } catch {
    return undefined;
  }
}

/** @param {string} text */
function say(text) {
  if (options.quiet !== true) console.log(text);
}
